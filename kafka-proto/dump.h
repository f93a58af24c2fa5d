/* Messages as text, for trace logs and failing tests. */
#ifndef KPROTO_DUMP_H
#define KPROTO_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "kafka-proto/schema.h"

/* Prints the fields that this version has, on one line:
 *   heartbeat_request{group_id="g" generation_id=1 member_id="m" group_instance_id=null}
 * Strings are escaped and cut, bytes and records only counted, secrets hidden. What does not
 * fit is cut off and ends in "...". text is always terminated, size > 3. Returns the length. */
size_t kproto_dump(const struct kproto_message *message, int16_t version, const void *msg,
                   char *text, size_t size);

#endif
