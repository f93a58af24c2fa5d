/* libFuzzer target: HTTP requests on one connection of a whole broker. Whatever they are, the
 * broker lives, answers nothing but HTTP, and every error it reports is its JSON error object.
 *
 * In the input {p} stands for the project, {q} and {f} for a NORMAL and a FIFO queue, {k} for
 * a Kafka queue, {g} for a group of {q}: requests can reach what exists. */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "tests/fuzz/door.h"

enum { INPUT_BYTES_MAX = 1 << 15, REQUEST_BYTES_MAX = INPUT_BYTES_MAX * DOOR_NAME_SIZE / 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROJECT "0123456789abcdef0123456789abcdef"

static struct door_name names[] = {{'p', PROJECT}, {'q', ""}, {'f', ""}, {'k', ""}, {'g', ""}};

enum { NAME_PROJECT, NAME_NORMAL, NAME_FIFO, NAME_KAFKA, NAME_GROUP, NAME_COUNT };

/* Posts body to path and takes the id from the answer. */
static void make(const struct door *door, const char *path, const char *body,
                 char id[DOOR_NAME_SIZE])
{
    char whole[256];
    (void)snprintf(whole, sizeof whole, "/v1.0/" PROJECT "%s", path);
    door_ask(door, "POST", whole, "", body, "\"id\":\"", id);
}

static void make_names(const struct door *door)
{
    char path[128];
    char ignored[DOOR_NAME_SIZE];

    make(door, "/queues", "{\"name\":\"n\",\"redrive_policy\":\"enable\",\"max_consume_count\":1}",
         names[NAME_NORMAL].text);
    make(door, "/queues", "{\"name\":\"f\",\"queue_mode\":\"FIFO\"}", names[NAME_FIFO].text);
    make(door, "/queues", "{\"name\":\"k\",\"queue_mode\":\"KAFKA_HT\"}", names[NAME_KAFKA].text);
    (void)snprintf(path, sizeof path, "/queues/%s/groups", names[NAME_NORMAL].text);
    make(door, path, "{\"groups\":[{\"name\":\"g\"}]}", names[NAME_GROUP].text);
    (void)snprintf(path, sizeof path, "/queues/%s/messages", names[NAME_NORMAL].text);
    make(door, path, "{\"messages\":[{\"body\":1},{\"body\":\"two\"}],\"returnId\":true}", ignored);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t request[REQUEST_BYTES_MAX];
    static const char start[] = "HTTP/1.1 ";
    const uint8_t *response;
    bool is_new;

    if (size > INPUT_BYTES_MAX) {
        return 0;
    }
    const struct door *door = door_open(DOOR_FREE, &is_new);
    if (is_new) {
        make_names(door);
    }
    size_t length = door_fill_in(names, NAME_COUNT, data, size, request);
    size_t received = door_talk(door->http_port, DOOR_QUIET_MS, request, length, &response);
    BASE_ASSERT(received < sizeof start || memcmp(response, start, sizeof start - 1) == 0);
    bool has_head = memmem(request, length, "HEAD", 4) != NULL; /* answered without a body */
    if (!has_head && received > sizeof start && (response[9] == '4' || response[9] == '5')) {
        BASE_ASSERT(memmem(response, received, "\"code\":", 7) != NULL);
    }
    return 0;
}
