/* From wire bytes to the structs of schema.h. */
#ifndef KPROTO_DECODE_H
#define KPROTO_DECODE_H

#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/reader.h"
#include "kafka-proto/schema.h"

/* Decodes all that is left in reader as one message of this version, which must be in the
 * message's range. out is the message's struct. Strings, bytes and records point into the
 * frame; arrays and objects are in the arena.
 *
 * Errors, with *out zeroed and the reader failed:
 *   MALFORMED  too short, bytes left over, null or a number of elements where it cannot be,
 *              tags out of order
 *   TOO_LARGE  the arena's limit
 *   NOMEM */
BASE_MUST_USE enum base_err kproto_decode(struct base_reader *reader,
                                          const struct kproto_message *message, int16_t version,
                                          struct base_arena *arena, void *out);

/* The same for a request, which may have bytes behind its last field: Kafka does not look there,
 * and librdkafka 2.0 leaves one (ListGroups that asks for states). They stay in reader. */
BASE_MUST_USE enum base_err kproto_decode_request(struct base_reader *reader,
                                                  const struct kproto_message *message,
                                                  int16_t version, struct base_arena *arena,
                                                  void *out);

#endif
