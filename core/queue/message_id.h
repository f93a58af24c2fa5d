/* The public name of a message: opaque, URL-safe, unique for ever.
 *
 * The queue's id, and partition and offset under a permutation keyed by it: nobody can read
 * an order or a count out of it, but we get back to the message. Part of what users store:
 * never to be changed. */
#ifndef QUEUE_MESSAGE_ID_H
#define QUEUE_MESSAGE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/base/uuid.h"

enum {
    QUEUE_MESSAGE_ID_SIZE = 39, /* 28 bytes in base64, and the terminator */

    /* In the partition of an id: a message that was delayed. Its id was made before it had a
     * place in the queue, from its place in the delay log, and goes with it as a header. */
    QUEUE_MESSAGE_ID_DELAYED = 0x40000000,
};

#define QUEUE_MESSAGE_ID_HEADER "dms.id"

void queue_message_id_format(struct base_uuid topic_id, int32_t partition, int64_t offset,
                             char text[QUEUE_MESSAGE_ID_SIZE]);

/* False when text is no message id. */
bool queue_message_id_parse(struct base_slice text, struct base_uuid *topic_id, int32_t *partition,
                            int64_t *offset);

#endif
