/* Producer ids out of blocks. */
#include "core/txn/producer_ids.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/mutex.h"

enum { BLOCK_SIZE = 1000 }; /* Kafka's */

struct txn_producer_ids {
    struct catalog *catalog; /* borrowed */
    struct base_mutex lock;
    int64_t next;
    int64_t end;              /* of the block in use */
    struct base_list waiting; /* requests for the block being taken */
    struct catalog_change change;
    int64_t block_first; /* of the block being taken */
};

enum base_err txn_producer_ids_create(struct catalog *catalog, struct txn_producer_ids **out)
{
    struct txn_producer_ids *ids = base_alloc_object(struct txn_producer_ids);
    *out = ids;
    if (ids == NULL) {
        return BASE_ERR_NOMEM;
    }
    ids->catalog = catalog;
    base_mutex_init(&ids->lock);
    base_list_init(&ids->waiting);
    return BASE_ERR_OK;
}

void txn_producer_ids_close(struct txn_producer_ids **ids)
{
    if (*ids == NULL) {
        return;
    }
    BASE_ASSERT(base_list_is_empty(&(*ids)->waiting));
    base_mutex_fini(&(*ids)->lock);
    base_free(*ids);
    *ids = NULL;
}

static void answer(struct txn_producer_id_request *request, enum base_err err, int64_t producer_id)
{
    request->err = err;
    request->producer_id = producer_id;
    base_executor_post(request->executor, &request->task);
}

static void take_block(struct txn_producer_ids *ids, struct base_executor *executor);

/* The catalog's answer: serves those who wait, and takes another block if it was not enough. */
static void block_taken(struct base_task *task)
{
    struct txn_producer_ids *ids = BASE_CONTAINER_OF(task, struct txn_producer_ids, change.task);
    struct base_executor *executor = ids->change.executor;
    bool more = false;

    base_mutex_lock(&ids->lock);
    bool failed = ids->change.verdict != CATALOG_DONE;
    if (!failed) {
        ids->next = ids->block_first;
        ids->end = ids->block_first + BLOCK_SIZE;
    }
    while (!base_list_is_empty(&ids->waiting)) {
        if (!failed && ids->next == ids->end) {
            more = true;
            break;
        }
        struct txn_producer_id_request *request = BASE_CONTAINER_OF(
            base_list_pop_front(&ids->waiting), struct txn_producer_id_request, link);
        answer(request, failed ? ids->change.err : BASE_ERR_OK, failed ? -1 : ids->next++);
    }
    base_mutex_unlock(&ids->lock);
    if (more) {
        take_block(ids, executor);
    }
}

/* Not locked; one at a time, because `waiting` is not empty meanwhile. */
static void take_block(struct txn_producer_ids *ids, struct base_executor *executor)
{
    ids->change = (struct catalog_change){.executor = executor, .task = {.run = block_taken}};
    catalog_take_producer_ids(ids->catalog, BLOCK_SIZE, &ids->block_first, &ids->change);
}

void txn_producer_ids_take(struct txn_producer_ids *ids, struct txn_producer_id_request *request)
{
    bool take = false;

    base_mutex_lock(&ids->lock);
    if (ids->next < ids->end) {
        answer(request, BASE_ERR_OK, ids->next++);
    } else {
        take = base_list_is_empty(&ids->waiting);
        request->link = (struct base_list){0};
        base_list_push_back(&ids->waiting, &request->link);
    }
    base_mutex_unlock(&ids->lock);
    if (take) {
        take_block(ids, request->executor);
    }
}
