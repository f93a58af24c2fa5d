/* Producer ids (KIP-98): never given twice, also across restarts.
 *
 * They are taken from the catalog in blocks; a crash loses the rest of a block, never
 * repeats one. Threads: a monitor. */
#ifndef TXN_PRODUCER_IDS_H
#define TXN_PRODUCER_IDS_H

#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/list.h"
#include "core/catalog/catalog.h"

struct txn_producer_ids;

BASE_MUST_USE enum base_err txn_producer_ids_create(struct catalog *catalog,
                                                    struct txn_producer_ids **out);

/* No request may be under way. NULL-safe. */
void txn_producer_ids_close(struct txn_producer_ids **ids);

/* One request for an id, embedded in what waits for it; not to be cancelled. */
struct txn_producer_id_request {
    struct base_executor *executor;
    struct base_task task; /* always posted */
    enum base_err err;
    int64_t producer_id; /* -1 on error */

    struct base_list link; /* the allocator's own */
};

void txn_producer_ids_take(struct txn_producer_ids *ids, struct txn_producer_id_request *request);

#endif
