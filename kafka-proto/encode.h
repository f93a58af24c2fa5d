/* From the structs of schema.h to wire bytes. */
#ifndef KPROTO_ENCODE_H
#define KPROTO_ENCODE_H

#include <stdint.h>

#include "core/base/err.h"
#include "kafka-proto/schema.h"
#include "kafka-proto/writer.h"

/* Appends one message in this version, which must be in the message's range. msg is the
 * message's struct. Fields the version does not have are left out, whatever they hold; a
 * tagged field at its default is left out too.
 *
 * Errors, after which the writer is good for nothing but fini: TOO_LARGE for the writer's
 * limit, a string of more than 32767 bytes or a length of more than 31 bits; NOMEM. */
BASE_MUST_USE enum base_err kproto_encode(struct kproto_writer *writer,
                                          const struct kproto_message *message, int16_t version,
                                          const void *msg);

#endif
