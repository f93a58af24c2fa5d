/* The body of POST .../messages, read in place. */
#ifndef RESTGW_PRODUCE_BODY_H
#define RESTGW_PRODUCE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/slice.h"
#include "core/queue/queue.h"
#include "core/queue/tags.h"
#include "logstore/records.h"
#include "rest-gw/error.h"

#define RESTGW_ATTRIBUTE_PREFIX "dms.attr."
#define RESTGW_TAG_GRAMMAR "a tag has 1 to 64 letters, digits, hyphens and underscores"

/* Slices of the request's text, as written there. */
struct restgw_produce_message {
    struct base_slice body;       /* any JSON value */
    struct base_slice attributes; /* an object; the null slice when there is none */
    struct base_slice tags;       /* an array; the null slice when there is none */
    int64_t delay_ms;             /* 0 none */
};

struct restgw_produce_body {
    struct restgw_produce_message messages[QUEUE_MESSAGES_MAX];
    uint32_t messages_count; /* 1 to QUEUE_MESSAGES_MAX */
    size_t size_bytes;       /* of all bodies and attributes */
    bool return_id;
    const char *detail; /* of an error; static storage */
};

/* text is borrowed. NONE, or the error to answer, with out->detail. */
enum restgw_error restgw_produce_body_read(struct base_slice text, bool is_kafka,
                                           struct restgw_produce_body *out);

/* Headers "dms.attr.<name>" with the JSON text of the values, in order, a repeated name with
 * its last value only. attributes: as above. Keys and *headers live in arena, values point
 * into attributes. INVALID for an empty name; NOMEM, TOO_LARGE of the arena. */
BASE_MUST_USE enum base_err restgw_attributes_read(struct base_arena *arena,
                                                   struct base_slice attributes,
                                                   struct logstore_header **headers,
                                                   uint32_t *headers_count);

/* The tags of a message, each once. array: as above. Slices live in arena or in the array. NONE, or
 * the error to answer, with *detail (static storage). */
enum restgw_error restgw_message_tags_read(struct base_arena *arena, struct base_slice array,
                                           struct base_slice tags[QUEUE_TAGS_MAX],
                                           uint32_t *tags_count, const char **detail);

#endif
