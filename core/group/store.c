/* Appends a group's changes and makes them true in the order of the log.
 *
 * Each change waits with its own waiter, on the executor of its request; executors run at
 * their own pace. Hence whoever wakes first applies everything in front of its own change
 * too: what lies before a durable offset is durable. */
#include "core/group/store_priv.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/journal.h"

static void settle(struct group *group, const struct group_op *last)
{
    const struct group_op *op = NULL;

    while (op != last) {
        struct base_list *node = base_list_pop_front(&group->ops);
        BASE_ASSERT(node != NULL);
        struct group_op *next = BASE_CONTAINER_OF(node, struct group_op, link);
        next->apply(next, BASE_ERR_OK);
        op = next;
    }
}

/* The batch is durable, or never will be. */
static void op_over(struct base_task *task)
{
    struct group_op *op = BASE_CONTAINER_OF(task, struct group_op, waiter.task);
    struct group *group = op->group;

    group__lock(group, op->waiter.executor);
    if (base_list_is_linked(&op->link)) {
        if (op->waiter.err == BASE_ERR_OK) {
            settle(group, op);
        } else {
            base_list_remove(&op->link);
            op->apply(op, op->waiter.err);
        }
    }
    group__unlock(group);
    op->finish(op);
    group__release(&group);
}

enum base_err group__append(struct group *group, struct group_op *op, struct group_batch *batch,
                            bool *pending)
{
    struct base_chunk chunk;
    struct group_shard *shard = group->shard;

    base_mutex_assert_held(&group->mutex);
    BASE_ASSERT(group->turn != NULL);
    BASE_ASSERT(shard->journal != NULL);

    *pending = false;
    enum base_err err = group__batch_finish(batch, &chunk);
    if (err) {
        return err;
    }
    op->group = group;
    op->link = (struct base_list){NULL, NULL};
    op->waiter = (struct partition_waiter){.executor = group->turn, .task = {.run = op_over}};
    err = shard->journal->ops->append(shard->journal, &chunk, &batch->builder.header, group->turn,
                                      &op->waiter, pending);
    base_chunk_release(&chunk);
    if (err) {
        return err;
    }
    atomic_fetch_add(&shard->records, batch->records_count);
    return BASE_ERR_OK;
}

void group__op_begin(struct group *group, struct group_op *op, bool pending)
{
    base_mutex_assert_held(&group->mutex);

    base_list_push_back(&group->ops, &op->link);
    if (pending) {
        (void)group__hold(group);
    } else {
        settle(group, op);
    }
    group__snapshot_maybe(group->shard);
}

struct store {
    struct group_op op;
    enum group_store_kind kind;
    int32_t generation;
    struct base_slice member_id; /* owned; null unless REJOIN */
};

static void store_free(struct store *store)
{
    group__bytes_free(&store->member_id);
    base_free(store);
}

static void apply(struct group_op *op, enum base_err err)
{
    struct store *store = BASE_CONTAINER_OF(op, struct store, op);

    switch (store->kind) {
    case GROUP_STORE_EMPTY:
        break;
    case GROUP_STORE_ASSIGNMENT:
        group__assignment_stored(op->group, store->generation, err);
        break;
    case GROUP_STORE_REJOIN:
        group__rejoin_stored(op->group, store->member_id, err);
        break;
    }
}

static void finish(struct group_op *op)
{
    store_free(BASE_CONTAINER_OF(op, struct store, op));
}

/* A snapshot repeats the newest value, so it is kept. */
static void keep_value(struct group *group, struct base_writer *writer)
{
    size_t length = 0;
    struct base_buffer *buffer = base_writer_take(writer, &length);
    group__set_stored(group, buffer, length);
}

enum base_err group__store(struct group *group, enum group_store_kind kind,
                           const struct group_member *member)
{
    enum base_err err = BASE_ERR_NOMEM;
    bool failed = false;
    bool pending = false;
    struct base_writer value;
    struct group_batch batch;
    struct store *store = base_alloc_object(struct store);

    base_writer_init(&value, GROUP_ASSIGNMENTS_SIZE_MAX);
    group__batch_init(&batch, group__now_ms(group));
    if (store == NULL) {
        goto exit;
    }
    store->op.apply = apply;
    store->op.finish = finish;
    store->kind = kind;
    store->generation = group->generation;
    if (member != NULL) {
        store->member_id = group__bytes_copy(member->member_id, &failed);
    }
    group__encode_group(&value, group, kind == GROUP_STORE_ASSIGNMENT);
    if (failed || value.err) {
        err = failed ? BASE_ERR_NOMEM : value.err;
        goto exit;
    }
    group__batch_add_group(&batch, group->id, base_slice_of(value.buffer->data, value.length));
    err = group__append(group, &store->op, &batch, &pending);
    if (err) {
        goto exit;
    }
    keep_value(group, &value);
    struct store *begun = store;
    if (pending) {
        store = NULL; /* frees itself */
    }
    group__op_begin(group, &begun->op, pending);

exit:
    group__batch_fini(&batch);
    base_writer_fini(&value);
    if (store != NULL) {
        store_free(store);
    }
    return err;
}
