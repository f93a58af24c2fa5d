/* Producer table: hash by id with chains, a list by idleness, a list of open transactions. */
#include "logstore/producers.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/uuid.h"

enum {
    BUCKETS_COUNT_MIN = 4,
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_PRODUCER_SIZE_MIN = 8 + 2 + 8 + 8 + 1,
    NO_SEQUENCE = -1,
};

/* One batch as appended. Sequences and offsets include both ends. */
struct appended {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t first_offset;
    int64_t last_offset;
    int64_t timestamp_ms;
};

struct logstore_producer {
    struct logstore_producer *chain; /* next in the bucket */
    struct base_list idle_link;
    struct base_list txn_link;
    int64_t id;
    int64_t last_timestamp_ms; /* broker's clock */
    int64_t txn_first_offset;  /* -1: not in a transaction */
    int16_t epoch;
    uint8_t batches_count; /* 0 after a marker brought a new epoch */
    struct appended batches[LOGSTORE_PRODUCERS_BATCHES_COUNT]; /* oldest first */
};

void logstore_producers_init(struct logstore_producers *producers)
{
    *producers = (struct logstore_producers){0};
    base_list_init(&producers->idle);
    base_list_init(&producers->txns);
}

void logstore_producers_fini(struct logstore_producers *producers)
{
    logstore_producers_clear(producers);
    base_free(producers->spare);
    producers->spare = NULL;
}

void logstore_producers_clear(struct logstore_producers *producers)
{
    struct base_list *node = NULL;
    while ((node = base_list_pop_front(&producers->idle)) != NULL) {
        base_free(BASE_CONTAINER_OF(node, struct logstore_producer, idle_link));
    }
    base_free(producers->buckets);
    producers->buckets = NULL;
    producers->buckets_count = 0;
    producers->count = 0;
    base_list_init(&producers->txns);
}

size_t logstore_producers_count(const struct logstore_producers *producers)
{
    return producers->count;
}

static struct logstore_producer **bucket_of(const struct logstore_producers *producers, int64_t id)
{
    uint64_t hash = ((uint64_t)id ^ producers->seed) * 0x9e3779b97f4a7c15U;
    hash = (hash ^ (hash >> 32)) * 0xbf58476d1ce4e5b9U;
    return &producers->buckets[(hash >> 32) & (producers->buckets_count - 1)];
}

static struct logstore_producer *find(const struct logstore_producers *producers, int64_t id)
{
    if (producers->count == 0) {
        return NULL;
    }
    struct logstore_producer *producer = *bucket_of(producers, id);
    while (producer != NULL && producer->id != id) {
        producer = producer->chain;
    }
    return producer;
}

static int32_t last_sequence(const struct logstore_producer *producer)
{
    return producer->batches_count == 0
               ? NO_SEQUENCE
               : producer->batches[producer->batches_count - 1].last_sequence;
}

static bool follows(int32_t last, int32_t next)
{
    return last == INT32_MAX ? next == 0 : next == last + 1;
}

/* A retry repeats a batch exactly; a batch that only overlaps one is no duplicate. */
static const struct appended *find_duplicate(const struct logstore_producer *producer,
                                             const struct logstore_batch *batch)
{
    int32_t last = logstore_batch_last_sequence(batch);
    for (unsigned i = 0; i < producer->batches_count; i++) {
        const struct appended *appended = &producer->batches[i];
        if (appended->first_sequence == batch->base_sequence && appended->last_sequence == last) {
            return appended;
        }
    }
    return NULL;
}

enum logstore_verdict logstore_producers_check(const struct logstore_producers *producers,
                                               const struct logstore_batch *batch,
                                               struct logstore_duplicate *duplicate)
{
    *duplicate = (struct logstore_duplicate){-1, -1, -1};
    if (!logstore_batch_has_producer(batch)) {
        return LOGSTORE_VERDICT_APPEND;
    }
    const struct logstore_producer *producer = find(producers, batch->producer_id);
    if (producer == NULL) {
        return LOGSTORE_VERDICT_APPEND; /* KIP-360: state was forgotten, any sequence will do */
    }
    if (batch->producer_epoch < producer->epoch) {
        return LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH;
    }
    if (logstore_batch_is_control(batch)) {
        return LOGSTORE_VERDICT_APPEND; /* markers have no sequence */
    }
    if (batch->producer_epoch > producer->epoch) {
        return batch->base_sequence == 0 ? LOGSTORE_VERDICT_APPEND
                                         : LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE;
    }
    const struct appended *original = find_duplicate(producer, batch);
    if (original != NULL) {
        *duplicate = (struct logstore_duplicate){.base_offset = original->first_offset,
                                                 .last_offset = original->last_offset,
                                                 .timestamp_ms = original->timestamp_ms};
        return LOGSTORE_VERDICT_DUPLICATE;
    }
    return follows(last_sequence(producer), batch->base_sequence)
               ? LOGSTORE_VERDICT_APPEND
               : LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE;
}

/* Doubles the table. Failing is harmless unless there is none: chains get longer. */
static void grow(struct logstore_producers *producers)
{
    uint32_t buckets_count =
        producers->buckets_count == 0 ? BUCKETS_COUNT_MIN : producers->buckets_count * 2;
    struct logstore_producer **buckets = base_alloc_array(buckets_count, sizeof buckets[0]);
    if (buckets == NULL) {
        return;
    }
    if (producers->buckets == NULL) {
        base_random_bytes(&producers->seed, sizeof producers->seed);
    }
    base_free(producers->buckets);
    producers->buckets = buckets;
    producers->buckets_count = buckets_count;

    struct base_list *node = producers->idle.next;
    for (; node != &producers->idle; node = node->next) {
        struct logstore_producer *producer =
            BASE_CONTAINER_OF(node, struct logstore_producer, idle_link);
        struct logstore_producer **bucket = bucket_of(producers, producer->id);
        producer->chain = *bucket;
        *bucket = producer;
    }
}

static void forget(struct logstore_producers *producers, struct logstore_producer *producer)
{
    struct logstore_producer **link = bucket_of(producers, producer->id);
    while (*link != producer) {
        BASE_ASSERT(*link != NULL);
        link = &(*link)->chain;
    }
    *link = producer->chain;
    base_list_remove(&producer->idle_link);
    if (base_list_is_linked(&producer->txn_link)) {
        base_list_remove(&producer->txn_link);
    }
    base_free(producer);
    producers->count--;
}

/* The first producer at or behind node that has no open transaction; NULL if none. */
static struct logstore_producer *next_forgettable(const struct logstore_producers *producers,
                                                  struct base_list *node)
{
    for (; node != &producers->idle; node = node->next) {
        struct logstore_producer *producer =
            BASE_CONTAINER_OF(node, struct logstore_producer, idle_link);
        if (producer->txn_first_offset < 0) {
            return producer;
        }
    }
    return NULL;
}

enum base_err logstore_producers_reserve(struct logstore_producers *producers,
                                         const struct logstore_batch *batch)
{
    if (!logstore_batch_has_producer(batch) || find(producers, batch->producer_id) != NULL) {
        return BASE_ERR_OK;
    }
    if (producers->count >= producers->buckets_count) {
        grow(producers);
        if (producers->buckets == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    if (producers->spare == NULL) {
        producers->spare = base_alloc_object(struct logstore_producer);
        if (producers->spare == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    if (producers->count >= LOGSTORE_PRODUCERS_COUNT_MAX) {
        struct logstore_producer *victim = next_forgettable(producers, producers->idle.next);
        if (victim == NULL) {
            return BASE_ERR_TOO_LARGE;
        }
        forget(producers, victim);
    }
    return BASE_ERR_OK;
}

/* Turns the spare into a known producer. */
static struct logstore_producer *admit(struct logstore_producers *producers, int64_t id)
{
    struct logstore_producer *producer = producers->spare;
    BASE_ASSERT(producer != NULL); /* reserve() was called */
    BASE_ASSERT(producers->buckets != NULL);
    BASE_ASSERT(producers->count < LOGSTORE_PRODUCERS_COUNT_MAX);
    producers->spare = NULL;

    *producer = (struct logstore_producer){.id = id, .epoch = -1, .txn_first_offset = -1};
    struct logstore_producer **bucket = bucket_of(producers, id);
    producer->chain = *bucket;
    *bucket = producer;
    base_list_push_back(&producers->idle, &producer->idle_link);
    producers->count++;
    return producer;
}

static void remember_batch(struct logstore_producer *producer, const struct appended *appended)
{
    if (producer->batches_count == LOGSTORE_PRODUCERS_BATCHES_COUNT) {
        producer->batches_count--;
        memmove(producer->batches, producer->batches + 1,
                producer->batches_count * sizeof producer->batches[0]);
    }
    producer->batches[producer->batches_count++] = *appended;
}

static void move_txn(struct logstore_producers *producers, struct logstore_producer *producer,
                     const struct logstore_batch *batch)
{
    bool is_open = producer->txn_first_offset >= 0;
    if (logstore_batch_is_control(batch)) {
        if (is_open) {
            producer->txn_first_offset = -1;
            base_list_remove(&producer->txn_link);
        }
    } else if (logstore_batch_is_transactional(batch) && !is_open) {
        producer->txn_first_offset = batch->base_offset;
        base_list_push_back(&producers->txns, &producer->txn_link); /* offsets only grow */
    }
}

void logstore_producers_update(struct logstore_producers *producers,
                               const struct logstore_batch *batch, int64_t now_ms)
{
    if (!logstore_batch_has_producer(batch)) {
        return;
    }
    struct logstore_producer *producer = find(producers, batch->producer_id);
    if (producer == NULL) {
        producer = admit(producers, batch->producer_id);
    }
    if (producer->epoch != batch->producer_epoch) {
        producer->epoch = batch->producer_epoch;
        producer->batches_count = 0;
    }
    if (!logstore_batch_is_control(batch)) {
        remember_batch(producer,
                       &(struct appended){.first_sequence = batch->base_sequence,
                                          .last_sequence = logstore_batch_last_sequence(batch),
                                          .first_offset = batch->base_offset,
                                          .last_offset = logstore_batch_last_offset(batch),
                                          .timestamp_ms = batch->max_timestamp});
    }
    move_txn(producers, producer, batch);
    producer->last_timestamp_ms = now_ms;
    base_list_remove(&producer->idle_link);
    base_list_push_back(&producers->idle, &producer->idle_link);
}

size_t logstore_producers_expire(struct logstore_producers *producers, int64_t now_ms,
                                 int64_t expiration_ms)
{
    BASE_ASSERT(now_ms >= 0 && expiration_ms >= 0);
    size_t forgotten = 0;
    struct logstore_producer *producer = next_forgettable(producers, producers->idle.next);

    while (producer != NULL && producer->last_timestamp_ms <= now_ms - expiration_ms) {
        struct base_list *next = producer->idle_link.next;
        forget(producers, producer);
        forgotten++;
        producer = next_forgettable(producers, next);
    }
    return forgotten;
}

int64_t logstore_producers_first_txn_offset(const struct logstore_producers *producers)
{
    if (base_list_is_empty(&producers->txns)) {
        return -1;
    }
    return BASE_CONTAINER_OF(producers->txns.next, struct logstore_producer, txn_link)
        ->txn_first_offset;
}

void logstore_producers_each(const struct logstore_producers *producers,
                             logstore_producers_visit *visit, void *context)
{
    struct base_list *node = producers->idle.next;
    for (; node != &producers->idle; node = node->next) {
        const struct logstore_producer *producer =
            BASE_CONTAINER_OF(node, struct logstore_producer, idle_link);
        struct logstore_producer_info info = {.producer_id = producer->id,
                                              .producer_epoch = producer->epoch,
                                              .last_sequence = last_sequence(producer),
                                              .last_timestamp_ms = producer->last_timestamp_ms,
                                              .txn_first_offset = producer->txn_first_offset};
        if (!visit(context, &info)) {
            return;
        }
    }
}

static void encode_producer(const struct logstore_producer *producer, struct base_writer *writer)
{
    base_writer_int64(writer, producer->id);
    base_writer_int16(writer, producer->epoch);
    base_writer_int64(writer, producer->last_timestamp_ms);
    base_writer_int64(writer, producer->txn_first_offset);
    base_writer_int8(writer, (int8_t)producer->batches_count);
    for (unsigned i = 0; i < producer->batches_count; i++) {
        base_writer_int32(writer, producer->batches[i].first_sequence);
        base_writer_int32(writer, producer->batches[i].last_sequence);
        base_writer_int64(writer, producer->batches[i].first_offset);
        base_writer_int64(writer, producer->batches[i].last_offset);
        base_writer_int64(writer, producer->batches[i].timestamp_ms);
    }
}

/* Version, count, then the producers: first those with an open transaction in the order
 * of their offsets, then the others by idleness, so that reading it back rebuilds both
 * lists by appending. */
void logstore_producers_encode(const struct logstore_producers *producers,
                               struct base_writer *writer)
{
    base_writer_int8(writer, SNAPSHOT_VERSION);
    base_writer_uint32(writer, producers->count);

    struct base_list *node = producers->txns.next;
    for (; node != &producers->txns; node = node->next) {
        encode_producer(BASE_CONTAINER_OF(node, struct logstore_producer, txn_link), writer);
    }
    for (node = producers->idle.next; node != &producers->idle; node = node->next) {
        const struct logstore_producer *producer =
            BASE_CONTAINER_OF(node, struct logstore_producer, idle_link);
        if (producer->txn_first_offset < 0) {
            encode_producer(producer, writer);
        }
    }
}

static void decode_batches(struct logstore_producer *producer, struct base_reader *reader)
{
    int8_t batches_count = base_reader_int8(reader);
    if (batches_count < 0 || batches_count > LOGSTORE_PRODUCERS_BATCHES_COUNT) {
        base_reader_fail(reader);
        return;
    }
    for (int8_t i = 0; i < batches_count; i++) {
        struct appended appended;
        appended.first_sequence = base_reader_int32(reader);
        appended.last_sequence = base_reader_int32(reader);
        appended.first_offset = base_reader_int64(reader);
        appended.last_offset = base_reader_int64(reader);
        appended.timestamp_ms = base_reader_int64(reader);
        remember_batch(producer, &appended);
    }
}

static enum base_err decode_producer(struct logstore_producers *producers,
                                     struct base_reader *reader)
{
    struct logstore_batch stub = {.producer_id = base_reader_int64(reader)};
    if (!logstore_batch_has_producer(&stub) || find(producers, stub.producer_id) != NULL) {
        return BASE_ERR_MALFORMED;
    }
    enum base_err err = logstore_producers_reserve(producers, &stub);
    if (err != BASE_ERR_OK) {
        return err;
    }
    int64_t txn_offset_min = -1;
    if (!base_list_is_empty(&producers->txns)) {
        txn_offset_min = BASE_CONTAINER_OF(producers->txns.prev, struct logstore_producer, txn_link)
                             ->txn_first_offset;
    }
    struct logstore_producer *producer = admit(producers, stub.producer_id);
    producer->epoch = base_reader_int16(reader);
    producer->last_timestamp_ms = base_reader_int64(reader);
    producer->txn_first_offset = base_reader_int64(reader);
    if (producer->txn_first_offset >= 0) {
        base_list_push_back(&producers->txns, &producer->txn_link);
        if (producer->txn_first_offset < txn_offset_min) {
            return BASE_ERR_MALFORMED;
        }
    }
    decode_batches(producer, reader);
    return reader->failed ? BASE_ERR_MALFORMED : BASE_ERR_OK;
}

enum base_err logstore_producers_decode(struct logstore_producers *producers,
                                        struct base_reader *reader)
{
    logstore_producers_clear(producers);

    int8_t version = base_reader_int8(reader);
    uint32_t count = base_reader_uint32(reader);
    if (!reader->failed && version != SNAPSHOT_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    if (reader->failed || count > LOGSTORE_PRODUCERS_COUNT_MAX ||
        count > reader->remaining / SNAPSHOT_PRODUCER_SIZE_MIN) {
        return BASE_ERR_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum base_err err = decode_producer(producers, reader);
        if (err != BASE_ERR_OK) {
            logstore_producers_clear(producers);
            return err;
        }
    }
    return BASE_ERR_OK;
}
