/* A handler is the packed name of one lease with a keyed checksum.
 *
 * The key is made when the manager is created and never stored: leases do not outlive the
 * broker, and neither do handlers. So a handler that checks out is one that this run has
 * given; whether its lease still lives is for the cursor to say. */
#ifndef QUEUE_HANDLER_PRIV_H
#define QUEUE_HANDLER_PRIV_H

#include "core/base/uuid.h"
#include "core/queue/consume.h"
#include "core/base/siphash.h"

struct queue_handler_key {
    uint8_t bytes[BASE_SIPHASH_KEY_SIZE];
};

struct queue_handler {
    uint64_t scope; /* of queue and group */
    int32_t partition;
    int64_t offset;
    uint64_t lease_number;
};

void queue__handler_key_init(struct queue_handler_key *key);

/* What stands for a queue and group in a handler. */
uint64_t queue__handler_scope(const struct queue_handler_key *key, struct base_uuid topic_id,
                              struct base_slice group_id);

void queue__handler_format(const struct queue_handler_key *key, const struct queue_handler *handler,
                           char text[QUEUE_HANDLER_SIZE]);

/* False for anything that format() with this key has not made. */
bool queue__handler_parse(const struct queue_handler_key *key, struct base_slice text,
                          struct queue_handler *out);

#endif
