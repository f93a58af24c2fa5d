/* The floor: what the same bytes cost on this machine without any broker. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/crc32c.h"
#include "tests/bench/bench.h"
#include "tests/bench/engine.h"
#include "tests/bench/floor.h"
#include "tests/bench/histogram.h"
#include "tests/bench/proc.h"

enum {
    PIECE_SIZE = 256 << 10, /* as the log store writes */
    BIG_SIZE = 1 << 20,
    PING_SIZE = 200, /* about a produce request of one 100 B record */
    PINGS = 3000,
    SYNCS = 300,
    SYNC_SMALL = 4096,
};

static double gigabytes(const struct bench_options *options)
{
    return (double)options->bytes / 1e9;
}

static int open_file(const struct bench_options *options, char name[512])
{
    (void)snprintf(name, 512, "%s/dmsd-floor-XXXXXX", options->directory);
    int fd = mkstemp(name);
    if (fd < 0) {
        bench_die("cannot write to %s: %s", options->directory, strerror(errno));
    }
    (void)unlink(name); /* gone when it is closed */
    return fd;
}

static void fill_file(int fd, int64_t bytes, const uint8_t *piece)
{
    for (int64_t at = 0; at < bytes; at += PIECE_SIZE) {
        if (pwrite(fd, piece, PIECE_SIZE, at) != PIECE_SIZE) {
            bench_die("write: %s", strerror(errno));
        }
    }
}

static int listen_any(int64_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        bench_die("cannot listen: %s", strerror(errno));
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int64_t floor_serve(floor_serve_fn *run, const struct bench_options *options, int *result_fd)
{
    int64_t port = 0;
    int pipes[2];
    int listener = listen_any(&port);

    if (pipe(pipes) != 0) {
        bench_die("pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        bench_die("fork: %s", strerror(errno));
    }
    if (child == 0) {
        proc_pin(options->server_cpu);
        uint64_t started_ns = proc_cpu_ns(getpid());
        run(listener, options);
        double seconds = (double)(proc_cpu_ns(getpid()) - started_ns) / 1e9;
        _exit(write(pipes[1], &seconds, sizeof seconds) == sizeof seconds ? 0 : 1);
    }
    (void)close(pipes[1]);
    (void)close(listener);
    *result_fd = pipes[0];
    return port;
}

double floor_result(int result_fd)
{
    double seconds = 0;

    if (read(result_fd, &seconds, sizeof seconds) != sizeof seconds) {
        bench_die("the other side of the floor ended early");
    }
    (void)close(result_fd);
    (void)wait(NULL);
    return seconds;
}

int floor_accept(int listener)
{
    int on = 1;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        bench_die("accept: %s", strerror(errno));
    }
    return fd;
}

/* A server with one connection: this one. */
static int serve(floor_serve_fn *run, const struct bench_options *options, int *result_fd)
{
    return engine_connect(floor_serve(run, options, result_fd));
}

static double result_of(int fd, int result_fd)
{
    (void)close(fd);
    return floor_result(result_fd);
}

static void receive_all(int fd)
{
    uint8_t *piece = bench_alloc(1, BIG_SIZE);
    while (recv(fd, piece, BIG_SIZE, 0) > 0) {
    }
    free(piece);
}

static void send_all(int fd, int64_t bytes)
{
    uint8_t *piece = bench_alloc(1, BIG_SIZE);
    while (bytes > 0) {
        ssize_t sent = send(fd, piece, BIG_SIZE, MSG_NOSIGNAL);
        if (sent <= 0) {
            bench_die("send: %s", strerror(errno));
        }
        bytes -= sent;
    }
    free(piece);
}

static void serve_receive(int listener, const struct bench_options *options)
{
    (void)options;
    receive_all(floor_accept(listener));
}

static void serve_send(int listener, const struct bench_options *options)
{
    int fd = floor_accept(listener);
    send_all(fd, options->bytes);
    (void)shutdown(fd, SHUT_WR);
}

static int served_file = -1;

static void serve_sendfile(int listener, const struct bench_options *options)
{
    int fd = floor_accept(listener);
    off_t at = 0;
    while (at < options->bytes) {
        if (sendfile(fd, served_file, &at, BIG_SIZE) <= 0) {
            bench_die("sendfile: %s", strerror(errno));
        }
    }
    (void)shutdown(fd, SHUT_WR);
}

static void serve_echo(int listener, const struct bench_options *options)
{
    uint8_t message[PING_SIZE];
    int fd = floor_accept(listener);
    (void)options;
    while (recv(fd, message, sizeof message, MSG_WAITALL) == sizeof message) {
        if (send(fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message) {
            return;
        }
    }
}

static double mb_per_s_since(const struct bench_options *options, uint64_t started_ns)
{
    return (double)options->bytes * 1e3 / (double)(bench_now_ns() - started_ns);
}

static void floor_tcp(const struct bench_options *options)
{
    int result_fd = -1;
    int fd = serve(serve_receive, options, &result_fd);
    uint64_t started_ns = bench_now_ns();
    send_all(fd, options->bytes);
    double receive = result_of(fd, result_fd) / gigabytes(options);
    double receive_mb_per_s = mb_per_s_since(options, started_ns);

    fd = serve(serve_send, options, &result_fd);
    started_ns = bench_now_ns();
    receive_all(fd);
    double send_mb_per_s = mb_per_s_since(options, started_ns);
    double send = result_of(fd, result_fd) / gigabytes(options);
    printf("\"tcp_receive_s_per_gb\": %.4f, \"tcp_send_s_per_gb\": %.4f, "
           "\"tcp_receive_mb_per_s\": %.1f, \"tcp_send_mb_per_s\": %.1f, ",
           receive, send, receive_mb_per_s, send_mb_per_s);
}

static void floor_sendfile(const struct bench_options *options)
{
    int result_fd = -1;
    char name[512];
    uint8_t *piece = bench_alloc(1, PIECE_SIZE);

    served_file = open_file(options, name);
    fill_file(served_file, options->bytes, piece);
    int fd = serve(serve_sendfile, options, &result_fd);
    receive_all(fd);
    printf("\"sendfile_s_per_gb\": %.4f, ", result_of(fd, result_fd) / gigabytes(options));
    (void)close(served_file);
    free(piece);
}

static void floor_ping(const struct bench_options *options)
{
    static struct histogram histogram;
    int result_fd = -1;
    uint8_t message[PING_SIZE] = {0};
    int64_t period_ns = 1000000000 / options->rate;
    int fd = serve(serve_echo, options, &result_fd);
    struct timespec due;

    (void)clock_gettime(CLOCK_MONOTONIC, &due);
    for (unsigned i = 0; i < PINGS; i++) {
        due.tv_nsec += period_ns;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        uint64_t started_ns = bench_now_ns();
        if (send(fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message ||
            recv(fd, message, sizeof message, MSG_WAITALL) != sizeof message) {
            bench_die("ping-pong: %s", strerror(errno));
        }
        histogram_add(&histogram, bench_now_ns() - started_ns);
    }
    (void)result_of(fd, result_fd);
    printf("\"ping_p50_us\": %.1f, \"ping_p99_us\": %.1f, \"ping_p999_us\": %.1f, ",
           histogram_us(&histogram, 0.5), histogram_us(&histogram, 0.99),
           histogram_us(&histogram, 0.999));
}

static void floor_crc(const struct bench_options *options)
{
    uint8_t *piece = bench_alloc(1, BIG_SIZE);
    uint32_t crc = 0;
    uint64_t started_ns = proc_cpu_ns(getpid());

    for (int64_t at = 0; at < options->bytes; at += BIG_SIZE) {
        crc = base_crc32c(crc, piece, BIG_SIZE);
    }
    double seconds = (double)(proc_cpu_ns(getpid()) - started_ns) / 1e9;
    printf("\"crc32c_s_per_gb\": %.4f, \"crc32c_check\": %" PRIu32 ", ",
           seconds / gigabytes(options), crc);
    free(piece);
}

/* Fresh pages, and once more over the same ones: what a recycled segment would cost. */
static void floor_write(const struct bench_options *options)
{
    char name[512];
    double seconds[2];
    uint8_t *piece = bench_alloc(1, PIECE_SIZE);
    int fd = open_file(options, name);

    for (int i = 0; i < 2; i++) {
        uint64_t started_ns = proc_cpu_ns(getpid());
        fill_file(fd, options->bytes, piece);
        seconds[i] = (double)(proc_cpu_ns(getpid()) - started_ns) / 1e9;
    }
    printf("\"write_s_per_gb\": %.4f, \"overwrite_s_per_gb\": %.4f, ",
           seconds[0] / gigabytes(options), seconds[1] / gigabytes(options));
    (void)close(fd);
    free(piece);
}

/* Appends size bytes and syncs, over and over; returns MB/s. */
static double sync_rate(int fd, size_t size, struct histogram *histogram)
{
    uint8_t *piece = bench_alloc(1, size);
    uint64_t began_ns = bench_now_ns();

    for (int i = 0; i < SYNCS; i++) {
        uint64_t started_ns = bench_now_ns();
        if (write(fd, piece, size) != (ssize_t)size || fdatasync(fd) != 0) {
            bench_die("fdatasync: %s", strerror(errno));
        }
        histogram_add(histogram, bench_now_ns() - started_ns);
    }
    free(piece);
    return (double)size * SYNCS * 1e3 / (double)(bench_now_ns() - began_ns);
}

static void floor_sync(const struct bench_options *options)
{
    static struct histogram small;
    static struct histogram big;
    char name[512];
    int fd = open_file(options, name);

    (void)sync_rate(fd, SYNC_SMALL, &small);
    double mb_per_s = sync_rate(fd, BIG_SIZE, &big);
    printf("\"fdatasync_p50_us\": %.1f, \"fdatasync_p99_us\": %.1f, "
           "\"fdatasync_1mib_mb_per_s\": %.1f}\n",
           histogram_us(&small, 0.5), histogram_us(&small, 0.99), mb_per_s);
    (void)close(fd);
}

void bench_floor(const struct bench_options *options)
{
    printf("{\"case\": \"floor\", ");
    (void)fflush(stdout); /* the children must not print it again */
    floor_tcp(options);
    (void)fflush(stdout);
    floor_sendfile(options);
    (void)fflush(stdout);
    floor_ping(options);
    (void)fflush(stdout);
    floor_exchange(options);
    /* What a server does besides belongs on its core. */
    proc_pin(options->server_cpu);
    floor_crc(options);
    floor_write(options);
    floor_sync(options);
}

void bench_touch(const struct bench_options *options)
{
    size_t size = (size_t)options->bytes;
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        bench_die("no %zu bytes of memory", size);
    }
    for (size_t at = 0; at < size; at += 4096) {
        memory[at] = 1;
    }
    (void)munmap(memory, size);
}
