/* RabbitMQ streams over their own protocol. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/endian.h"
#include "core/base/writer.h"
#include "tests/bench/kafka_client.h"
#include "tests/bench/peer.h"
#include "tests/bench/proc.h"

enum command {
    DECLARE_PUBLISHER = 1,
    PUBLISH = 2,
    PUBLISH_CONFIRM = 3,
    PUBLISH_ERROR = 4,
    SUBSCRIBE = 7,
    DELIVER = 8,
    CREDIT = 9,
    CREATE = 13,
    PEER_PROPERTIES = 17,
    SASL_HANDSHAKE = 18,
    SASL_AUTHENTICATE = 19,
    TUNE = 20,
    OPEN = 21,
};

enum {
    ANSWER_BIT = 0x8000, /* of a command */
    VERSION = 1,
    CODE_OK = 1,
    OFFSET_FIRST = 1,
    SUBSCRIPTION = 0,
    CREDIT_CHUNKS = 10, /* that may be under way to a consumer */
    FRAME_BYTES_MAX = 16 << 20,
    FRAME_HEAD_SIZE = 8,                    /* size, command, version */
    CONFIRM_COUNT_AT = FRAME_HEAD_SIZE + 1, /* behind the publisher */
    /* Behind the subscription: magic, kind, entries, and then the records. */
    CHUNK_RECORDS_AT = FRAME_HEAD_SIZE + 1 + 4,
    CHUNK_HEAD_SIZE = 48,
};

static const char stream[] = "bench";

static void put_text(struct base_writer *writer, const char *text)
{
    base_writer_int16(writer, (int16_t)strlen(text));
    base_writer_bytes(writer, text, strlen(text));
}

/* size and correlation are filled by ask. */
static void begin(struct base_writer *writer, int command)
{
    base_writer_init(writer, FRAME_BYTES_MAX);
    base_writer_int32(writer, 0);
    base_writer_int16(writer, (int16_t)command);
    base_writer_int16(writer, VERSION);
}

static void begin_request(struct base_writer *writer, enum command command)
{
    begin(writer, (int)command);
    base_writer_int32(writer, 1); /* correlation: one at a time */
}

/* Ends the writer. */
static struct peer_request finish(struct base_writer *writer)
{
    base_writer_patch_int32(writer, 0, (int32_t)(writer->length - sizeof(int32_t)));
    struct kafka_frame frame = kafka_frame_take(writer);
    return (struct peer_request){.bytes = (char *)frame.bytes, .length = frame.length};
}

static void send_frame(int fd, struct base_writer *writer)
{
    struct peer_request frame = finish(writer);
    peer_send(fd, frame.bytes, frame.length);
    free(frame.bytes);
}

static void receive_all(int fd, uint8_t *data, size_t size)
{
    if (size > 0 && recv(fd, data, size, MSG_WAITALL) != (ssize_t)size) {
        bench_die("RabbitMQ closed the connection");
    }
}

/* One frame; its command, and its first bytes behind the version. */
static unsigned receive_frame(int fd, uint8_t *body, size_t capacity)
{
    uint8_t head[FRAME_HEAD_SIZE];

    receive_all(fd, head, sizeof head);
    size_t length = base_get_u32(head);
    if (length < FRAME_HEAD_SIZE - sizeof(uint32_t) ||
        length - (FRAME_HEAD_SIZE - sizeof(uint32_t)) > capacity) {
        bench_die("RabbitMQ: a frame of %zu bytes", length);
    }
    receive_all(fd, body, length - (FRAME_HEAD_SIZE - sizeof(uint32_t)));
    return base_get_u16(head + sizeof(uint32_t));
}

/* Sends the request, ends the writer, and dies unless the answer is OK. */
static void ask(int fd, struct base_writer *writer, enum command command)
{
    uint8_t body[8192];

    send_frame(fd, writer);
    unsigned answered = receive_frame(fd, body, sizeof body);
    unsigned code = base_get_u16(body + sizeof(uint32_t)); /* behind the correlation */
    if (answered != (ANSWER_BIT | (unsigned)command) || code != CODE_OK) {
        bench_die("RabbitMQ answered command %d with command %u, code %u", (int)command,
                  answered & ~(unsigned)ANSWER_BIT, code);
    }
}

/* The server suggests, and gets it back without heartbeats. */
static void tune(int fd)
{
    uint8_t body[64];
    struct base_writer writer;

    if (receive_frame(fd, body, sizeof body) != TUNE) {
        bench_die("RabbitMQ suggests no settings");
    }
    begin(&writer, ANSWER_BIT | TUNE);
    base_writer_bytes(&writer, body, sizeof(uint32_t));
    base_writer_int32(&writer, 0);
    send_frame(fd, &writer);
}

static void greet(int fd, unsigned lane_index)
{
    static const char plain[] = "\0guest\0guest";
    struct base_writer writer;
    (void)lane_index;

    begin_request(&writer, PEER_PROPERTIES);
    base_writer_int32(&writer, 0);
    ask(fd, &writer, PEER_PROPERTIES);
    begin_request(&writer, SASL_HANDSHAKE);
    ask(fd, &writer, SASL_HANDSHAKE);
    begin_request(&writer, SASL_AUTHENTICATE);
    put_text(&writer, "PLAIN");
    base_writer_int32(&writer, (int32_t)sizeof plain - 1);
    base_writer_bytes(&writer, plain, sizeof plain - 1);
    ask(fd, &writer, SASL_AUTHENTICATE);
    tune(fd);
    begin_request(&writer, OPEN);
    put_text(&writer, "/");
    ask(fd, &writer, OPEN);
}

static void greet_publisher(int fd, unsigned lane_index)
{
    struct base_writer writer;

    greet(fd, lane_index);
    begin_request(&writer, DECLARE_PUBLISHER);
    base_writer_int8(&writer, 0);
    put_text(&writer, ""); /* no name: the server looks for no duplicates */
    put_text(&writer, stream);
    ask(fd, &writer, DECLARE_PUBLISHER);
}

static void subscribe(int fd)
{
    struct base_writer writer;

    begin_request(&writer, SUBSCRIBE);
    base_writer_int8(&writer, SUBSCRIPTION);
    put_text(&writer, stream);
    base_writer_int16(&writer, OFFSET_FIRST);
    base_writer_int16(&writer, CREDIT_CHUNKS);
    base_writer_int32(&writer, 0);
    ask(fd, &writer, SUBSCRIBE);
}

static void create_stream(const struct bench_options *options)
{
    struct base_writer writer;
    int fd = engine_connect(options->port);

    greet(fd, 0);
    begin_request(&writer, CREATE);
    put_text(&writer, stream);
    base_writer_int32(&writer, 0);
    ask(fd, &writer, CREATE);
    (void)close(fd);
}

static struct peer_request build_publish(const struct bench_options *options, unsigned lane_index,
                                         uint32_t messages_count)
{
    struct base_writer writer;
    size_t value_size = (size_t)options->record_bytes;
    (void)lane_index;

    begin(&writer, PUBLISH);
    base_writer_int8(&writer, 0);
    base_writer_int32(&writer, (int32_t)messages_count);
    for (uint32_t i = 0; i < messages_count; i++) {
        base_writer_int64(&writer, i);
        base_writer_int32(&writer, (int32_t)value_size);
        char *value = (char *)base_writer_extend(&writer, value_size);
        if (value == NULL) {
            bench_die("a request over %d bytes", (int)FRAME_BYTES_MAX);
        }
        peer_fill(value, value_size);
    }
    return finish(&writer);
}

/* A frame. */
static size_t measure(const uint8_t *data, size_t size, uint32_t messages_count)
{
    (void)messages_count;
    size_t whole = size < FRAME_HEAD_SIZE ? 0 : sizeof(uint32_t) + base_get_u32(data);
    if (whole > 0 && base_get_u16(data + sizeof(uint32_t)) == PUBLISH_ERROR) {
        bench_die("RabbitMQ refused a message");
    }
    return whole;
}

static bool is_command(const uint8_t *data, enum command command)
{
    return base_get_u16(data + sizeof(uint32_t)) == (unsigned)command;
}

static uint32_t confirms(const uint8_t *data, size_t size)
{
    return is_command(data, PUBLISH_CONFIRM) && size >= CONFIRM_COUNT_AT + sizeof(uint32_t)
               ? base_get_u32(data + CONFIRM_COUNT_AT)
               : 0;
}

static const struct peer_ops publish_ops = {
    .greet = greet_publisher, .build = build_publish, .measure = measure, .confirms = confirms};

void bench_rabbit_produce(const struct bench_options *options)
{
    create_stream(options);
    peer_run(options, &publish_ops, "rabbit-produce", false);
}

void bench_rabbit_roundtrip(const struct bench_options *options)
{
    create_stream(options);
    peer_run(options, &publish_ops, "rabbit-roundtrip", true);
}

static unsigned chunks_to_credit;

/* Records in a delivered chunk; 0: it is something else. */
static uint32_t records_of(const uint8_t *data, size_t size)
{
    return is_command(data, DELIVER) && size >= FRAME_HEAD_SIZE + 1 + CHUNK_HEAD_SIZE
               ? base_get_u32(data + CHUNK_RECORDS_AT)
               : 0;
}

static void delivered(const uint8_t *data, size_t size)
{
    chunks_to_credit += records_of(data, size) > 0 ? 1 : 0;
}

/* As many more chunks as came. */
static struct peer_request credit(void)
{
    static uint8_t frame[FRAME_HEAD_SIZE + 3];

    if (chunks_to_credit == 0) {
        return (struct peer_request){.length = 0};
    }
    base_put_u32(frame, sizeof frame - sizeof(uint32_t));
    base_put_u16(frame + 4, CREDIT);
    base_put_u16(frame + 6, VERSION);
    frame[FRAME_HEAD_SIZE] = SUBSCRIPTION;
    base_put_u16(frame + FRAME_HEAD_SIZE + 1, (uint16_t)chunks_to_credit);
    chunks_to_credit = 0;
    return (struct peer_request){.bytes = (char *)frame, .length = sizeof frame};
}

struct reader {
    uint64_t messages;
    uint64_t to_read;
    uint64_t requests;
};

static unsigned next_credit(void *context, struct engine_lane *lane,
                            struct iovec iov[ENGINE_IOV_MAX])
{
    struct reader *reader = context;
    struct peer_request request = credit();
    (void)lane;

    iov[0] = (struct iovec){.iov_base = request.bytes, .iov_len = request.length};
    reader->requests += request.length > 0 ? 1 : 0;
    return request.length > 0 ? 1 : 0;
}

static size_t measure_frame(const uint8_t *data, size_t size)
{
    return measure(data, size, 1);
}

static unsigned completes_credit(void *context, struct engine_lane *lane, const uint8_t *data,
                                 size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return lane->in_flight;
}

static void on_chunk(void *context, struct engine_lane *lane, const uint8_t *data, size_t size)
{
    struct reader *reader = context;
    (void)lane;

    reader->messages += records_of(data, size);
    delivered(data, size);
}

static bool all_read(const void *context)
{
    const struct reader *reader = context;
    return reader->messages >= reader->to_read;
}

static const struct engine_ops consume_ops = {.next = next_credit,
                                              .measure = measure_frame,
                                              .on_answer = on_chunk,
                                              .completes = completes_credit,
                                              .done = all_read};

/* Whole requests were published. */
void bench_rabbit_consume(const struct bench_options *options)
{
    static struct histogram histogram;
    struct proc_measure cost;
    uint32_t batch = peer_batch(options);
    uint64_t batches = (uint64_t)options->messages / batch;
    struct reader reader = {.to_read = (batches < 1 ? 1 : batches) * batch};
    struct engine engine = {
        .ops = &consume_ops, .context = &reader, .histogram = &histogram, .window = 1};

    peer_open(&engine, options->port, 1, greet);
    proc_measure_begin(&cost, options->pid);
    peer_set_blocking(engine.lanes[0].fd, true);
    subscribe(engine.lanes[0].fd);
    peer_set_blocking(engine.lanes[0].fd, false);
    engine_run(&engine);
    proc_measure_report(&cost, "rabbit-consume", reader.messages,
                        reader.messages * (uint64_t)options->record_bytes, reader.requests,
                        &histogram);
    engine_close(&engine);
}

static void greet_e2e(int fd, unsigned lane_index)
{
    if (lane_index == PEER_PRODUCER) {
        greet_publisher(fd, lane_index);
    } else {
        greet(fd, lane_index);
    }
}

static const struct peer_e2e_ops e2e_ops = {.greet = greet_e2e,
                                            .build = build_publish,
                                            .measure = measure,
                                            .confirms = confirms,
                                            .subscribe = subscribe,
                                            .delivered = delivered,
                                            .pull = credit};

void bench_rabbit_e2e(const struct bench_options *options)
{
    create_stream(options);
    peer_e2e_run(options, &e2e_ops, "rabbit-e2e");
}
