/* The body of POST .../ack, read in place. */
#ifndef RESTGW_ACK_BODY_H
#define RESTGW_ACK_BODY_H

#include "core/base/arena.h"
#include "core/base/slice.h"
#include "core/queue/ack.h"
#include "rest-gw/error.h"

struct restgw_ack_body {
    struct queue_ack_item *items; /* in arena */
    uint32_t items_count;         /* 1 to QUEUE_ACK_ITEMS_MAX */
    struct base_slice detail;     /* of an error; in text, arena or static storage */
};

/* text is borrowed and must live as long as the items. NONE, or the error to answer, with
 * out->detail. */
enum restgw_error restgw_ack_body_read(struct base_arena *arena, struct base_slice text,
                                       struct restgw_ack_body *out);

#endif
