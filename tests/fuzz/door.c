#define _GNU_SOURCE /* mkdtemp, nftw, memmem */
#include "tests/fuzz/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/siphash.h"
#include "core/main/broker.h"
#include "rest-gw/json.h"

enum {
    DOOR_CALLS_MAX = 5000, /* on one broker */
};

static struct main_config *config;
static struct main_broker *broker;
static struct door door;
static char root[32];
static unsigned calls;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void stop(void)
{
    if (broker != NULL) {
        main_broker_stop(&broker);
        main_config_close(&config);
        (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool done = fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
                getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    BASE_ASSERT(done);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* A hash that is slow on purpose would be all that a fuzzer does: these two take the place of
 * libcrypto's, and are as good where nobody guesses. */
int EVP_PBE_scrypt(const char *password, size_t password_length, const unsigned char *salt,
                   size_t salt_length, uint64_t n, uint64_t r, uint64_t p, uint64_t memory_max,
                   unsigned char *key, size_t key_length);
int PKCS5_PBKDF2_HMAC(const char *password, int password_length, const unsigned char *salt,
                      int salt_length, int iterations, const void *digest, int key_length,
                      unsigned char *key);

static int hash_quickly(struct base_slice password, struct base_slice salt, unsigned char *key,
                        size_t key_length)
{
    uint8_t seed[BASE_SIPHASH_KEY_SIZE] = {0};

    for (size_t at = 0; at < key_length; at += sizeof(uint64_t)) {
        seed[0] = (uint8_t)at;
        uint64_t hash = base_siphash(seed, password.data, password.length) ^
                        base_siphash(seed, salt.data, salt.length);
        size_t left = key_length - at;
        memcpy(key + at, &hash, left < sizeof hash ? left : sizeof hash);
    }
    return 1;
}

int EVP_PBE_scrypt(const char *password, size_t password_length, const unsigned char *salt,
                   size_t salt_length, uint64_t n, uint64_t r, uint64_t p, uint64_t memory_max,
                   unsigned char *key, size_t key_length)
{
    (void)n;
    (void)r;
    (void)p;
    (void)memory_max;
    return hash_quickly(base_slice_of(password, password_length), base_slice_of(salt, salt_length),
                        key, key_length);
}

int PKCS5_PBKDF2_HMAC(const char *password, int password_length, const unsigned char *salt,
                      int salt_length, int iterations, const void *digest, int key_length,
                      unsigned char *key)
{
    (void)iterations;
    (void)digest;
    return hash_quickly(base_slice_of(password, (size_t)password_length),
                        base_slice_of(salt, (size_t)salt_length), key, (size_t)key_length);
}

static void set(const char *key, const char *value)
{
    char error[MAIN_CONFIG_ERROR_SIZE];
    BASE_ASSERT(main_config_set(config, key, value, error) == BASE_ERR_OK);
}

static void start(enum door_kind kind)
{
    char text[64];

    (void)snprintf(root, sizeof root, "/tmp/dmsd-fuzz-XXXXXX");
    BASE_ASSERT(mkdtemp(root) != NULL);
    config = main_config_create();
    BASE_ASSERT(config != NULL);
    door = (struct door){.kafka_port = free_port(), .http_port = free_port(), .root = root};
    (void)snprintf(text, sizeof text, "PLAINTEXT://127.0.0.1:%d", door.kafka_port);
    set("listeners", text);
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d", door.http_port);
    set("http.listeners", text);
    set("log.dirs", root);
    set("num.network.threads", "1");
    set("dms.disk.threads", "1");
    set("max.partitions", "300");
    set("offsets.topic.num.partitions", "1");
    set("group.initial.rebalance.delay.ms", "0");
    set("dms.shutdown.drain.ms", "0");
    set("dms.authentication", kind == DOOR_BUILTIN ? "builtin" : "none");
    BASE_ASSERT(main_broker_start(config, &broker) == BASE_ERR_OK);
}

void door_drop(void)
{
    stop();
}

const struct door *door_open(enum door_kind kind, bool *is_new)
{
    static bool is_prepared;

    if (!is_prepared) {
        is_prepared = true;
        base_log_configure(BASE_LOG_ERROR, BASE_LOG_LOGFMT);
        restgw_json_init();
        /* Its own end comes after that of the threads that use it. */
        BASE_ASSERT(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) == 1);
        (void)atexit(stop);
    }
    *is_new = broker == NULL || ++calls == DOOR_CALLS_MAX;
    if (*is_new) {
        stop();
        calls = 0;
        start(kind);
    }
    return &door;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Reset at close: thousands of connections a second must not wait for their end. */
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    BASE_ASSERT(fd >= 0);
    BASE_ASSERT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EISCONN) {
        /* Others have all ports for the moment, or the clock has interrupted. */
        BASE_ASSERT(errno == EADDRNOTAVAIL || errno == EINTR || errno == EALREADY);
        (void)poll(NULL, 0, DOOR_QUIET_MS);
    }
    return fd;
}

static void send_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return; /* refused already */
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    (void)shutdown(fd, SHUT_WR);
}

static uint8_t answer[DOOR_RESPONSE_BYTES_MAX];
static size_t answer_length;

/* Whether something can be read within the time; libFuzzer's clock interrupts. */
static bool has_more(int fd, int quiet_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready;

    do {
        ready = poll(&wait, 1, quiet_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

size_t door_talk(int port, int quiet_ms, const uint8_t *bytes, size_t length,
                 const uint8_t **response)
{
    size_t received = 0;
    int fd = connect_to(port);

    send_all(fd, bytes, length);
    while (received < sizeof answer && has_more(fd, quiet_ms)) {
        ssize_t count = recv(fd, answer + received, sizeof answer - received, 0);
        if (count <= 0) {
            break;
        }
        received += (size_t)count;
    }
    (void)close(fd);
    answer_length = received;
    if (getenv("FUZZ_SHOW") != NULL) {
        (void)fprintf(stderr, "--> %.*s\n<-- %.*s\n", (int)length, (const char *)bytes,
                      (int)received, (const char *)answer);
    }
    *response = answer;
    return received;
}

void door_ask(const struct door *asked, const char *method, const char *path, const char *headers,
              const char *body, const char *mark, char out[DOOR_NAME_SIZE])
{
    char request[2048];
    const uint8_t *response;

    body = body == NULL ? "" : body;
    int length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s"
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          method, path, headers, strlen(body), body);
    BASE_ASSERT(length > 0 && (size_t)length < sizeof request);
    (void)door_talk(asked->http_port, DOOR_PATIENCE_MS, (const uint8_t *)request, (size_t)length,
                    &response);
    door_find(mark, out);
}

void door_find(const char *mark, char out[DOOR_NAME_SIZE])
{
    const char *found = memmem(answer, answer_length, mark, strlen(mark));
    if (found == NULL) {
        (void)fprintf(stderr, "no %s in: %.*s\n", mark, (int)answer_length, (const char *)answer);
    }
    BASE_ASSERT(found != NULL);
    found += strlen(mark);
    size_t left = answer_length - (size_t)(found - (const char *)answer);
    size_t taken = 0;
    while (taken < left && strchr("\"\r\n", found[taken]) == NULL) {
        taken++;
    }
    BASE_ASSERT(taken < DOOR_NAME_SIZE);
    memcpy(out, found, taken);
    out[taken] = '\0';
}

/* The text {x} stands for; NULL when it stands for nothing. */
static const char *name_of(const struct door_name *names, size_t names_count, const uint8_t *bytes,
                           size_t left)
{
    if (left < 3 || bytes[0] != '{' || bytes[2] != '}') {
        return NULL;
    }
    for (size_t i = 0; i < names_count; i++) {
        if (names[i].key == (char)bytes[1]) {
            return names[i].text;
        }
    }
    return NULL;
}

size_t door_fill_in(const struct door_name *names, size_t names_count, const uint8_t *data,
                    size_t size, uint8_t *out)
{
    size_t length = 0;

    for (size_t i = 0; i < size; i++) {
        const char *name = name_of(names, names_count, data + i, size - i);
        if (name == NULL) {
            out[length++] = data[i];
        } else {
            size_t name_length = strlen(name);
            memcpy(out + length, name, name_length);
            length += name_length;
            i += 2;
        }
    }
    return length;
}
