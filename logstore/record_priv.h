/* One record on the wire, for the two places that walk records: the check before an
 * append, which runs for every record produced, and the iterator. Inline, so that the
 * check pays nothing for what only the iterator wants.
 *
 * Record = length varint, then in `length` bytes: attributes int8 (unused),
 * timestamp delta varlong, offset delta varint, key, value (length varint, -1 null,
 * and bytes each), headers count varint, headers (key, value as above; key not null). */
#ifndef LOGSTORE_RECORD_PRIV_H
#define LOGSTORE_RECORD_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"

/* What is left to read. Lengths are compared with `left`, never added to `at` first. */
struct logstore__cursor {
    const uint8_t *at;
    size_t left;
};

struct logstore__record {
    int64_t timestamp_delta;
    int32_t offset_delta;
    int32_t headers_count;
    struct base_slice key;
    struct base_slice value;
    struct base_slice headers; /* checked */
};

static inline bool logstore__uvarint(struct logstore__cursor *cursor, unsigned bits_max,
                                     uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < bits_max; shift += 7) {
        if (cursor->left == 0) {
            return false;
        }
        uint64_t byte = *cursor->at++;
        cursor->left--;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            /* The last group may hold bits beyond bits_max. */
            return shift + 7 <= bits_max || byte >> (bits_max - shift) == 0;
        }
    }
    return false;
}

static inline bool logstore__varint(struct logstore__cursor *cursor, int32_t *out)
{
    uint64_t raw = 0;
    if (!logstore__uvarint(cursor, 32, &raw)) {
        return false;
    }
    *out = (int32_t)((uint32_t)raw >> 1 ^ (~((uint32_t)raw & 1) + 1));
    return true;
}

static inline bool logstore__varlong(struct logstore__cursor *cursor, int64_t *out)
{
    uint64_t raw = 0;
    if (!logstore__uvarint(cursor, 64, &raw)) {
        return false;
    }
    *out = (int64_t)(raw >> 1 ^ (~(raw & 1) + 1));
    return true;
}

/* A length and as many bytes; length -1 is null, others below 0 are wrong. */
static inline bool logstore__bytes(struct logstore__cursor *cursor, struct base_slice *out)
{
    int32_t length = 0;
    if (!logstore__varint(cursor, &length)) {
        return false;
    }
    if (length < 0) {
        *out = (struct base_slice){.data = NULL, .length = 0};
        return length == -1;
    }
    if ((size_t)length > cursor->left) {
        return false;
    }
    *out = base_slice_of(cursor->at, (size_t)length);
    cursor->at += length;
    cursor->left -= (size_t)length;
    return true;
}

static inline bool logstore__headers_check(struct logstore__cursor cursor, int32_t count)
{
    struct base_slice key;
    struct base_slice value;
    for (int32_t i = 0; i < count; i++) {
        if (!logstore__bytes(&cursor, &key) || key.data == NULL ||
            !logstore__bytes(&cursor, &value)) {
            return false;
        }
    }
    return count >= 0 && cursor.left == 0;
}

/* Moves cursor behind the record. False: malformed, cursor is of no use any more. */
static inline bool logstore__record_parse(struct logstore__cursor *cursor,
                                          struct logstore__record *out)
{
    int32_t length = 0;
    if (!logstore__varint(cursor, &length) || length < 1 || (size_t)length > cursor->left) {
        return false;
    }
    /* Starts behind the attributes. */
    struct logstore__cursor body = {.at = cursor->at + 1, .left = (size_t)length - 1};
    cursor->at += length;
    cursor->left -= (size_t)length;

    if (!logstore__varlong(&body, &out->timestamp_delta) ||
        !logstore__varint(&body, &out->offset_delta) || !logstore__bytes(&body, &out->key) ||
        !logstore__bytes(&body, &out->value) || !logstore__varint(&body, &out->headers_count)) {
        return false;
    }
    out->headers = base_slice_of(body.at, body.left);
    return logstore__headers_check(body, out->headers_count);
}

#endif
