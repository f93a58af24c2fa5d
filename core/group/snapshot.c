/* Keeps a partition of __consumer_offsets short: appends the state of each of its groups and
 * then moves the log start to where that began.
 *
 * A record is encoded and appended in one hold of its group's lock, and it is what the log
 * would give for its key up to there, durable or not. So whatever order other changes arrive
 * in, the log from the first of these batches on gives the same state as all of it.
 *
 * A group may have more than one batch can hold, and the log takes only so much that is not
 * durable yet: what a turn did not append is for the next one, when that is durable. */
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/group/coordinator_priv.h"
#include "core/group/offsets_priv.h"
#include "core/group/store_priv.h"

enum {
    RECORDS_MIN = 10000,  /* a shorter log is left alone */
    RECORDS_PER_LIVE = 4, /* and one that is not this many times longer than its content */
    TURN_BATCHES_MAX = 64,
    TURN_SIZE_MAX = 4 << 20, /* bytes; no other batch begins behind them */
};

struct slot {
    struct partition_waiter waiter;
    struct snapshot *snapshot;
};

struct snapshot {
    struct group_shard *shard;
    struct base_executor *executor; /* everything runs there */
    struct base_task start;
    struct group_walk walk;
    uint32_t number; /* marks the offsets that are in it */
    int64_t trim_offset;
    struct slot slots[TURN_BATCHES_MAX];
    uint32_t slots_used;
    size_t turn_bytes;
    uint32_t waiting_count;
    bool failed;
};

static void end(struct snapshot *snapshot)
{
    struct group_shard *shard = snapshot->shard;
    struct group_coordinator *coordinator = shard->coordinator;

    base_free(snapshot);
    atomic_store(&shard->snapshot_running, false);
    group__coordinator_idle(coordinator);
}

static void take_turn(struct snapshot *snapshot);

static void go_on(struct snapshot *snapshot)
{
    struct group_shard *shard = snapshot->shard;

    while (!snapshot->failed && !atomic_load(&shard->coordinator->closing) &&
           snapshot->walk.next < snapshot->walk.groups_count) {
        take_turn(snapshot);
        if (snapshot->waiting_count > 0) {
            return; /* the last of them goes on */
        }
    }
    if (!snapshot->failed && snapshot->walk.next == snapshot->walk.groups_count) {
        shard->journal->ops->trim(shard->journal, snapshot->trim_offset);
    }
    group__walk_fini(&snapshot->walk);
    end(snapshot);
}

static void slot_over(struct base_task *task)
{
    struct slot *slot = BASE_CONTAINER_OF(task, struct slot, waiter.task);
    struct snapshot *snapshot = slot->snapshot;

    snapshot->failed = snapshot->failed || slot->waiter.err;
    BASE_ASSERT(snapshot->waiting_count > 0);
    if (--snapshot->waiting_count == 0) {
        go_on(snapshot);
    }
}

/* A group's next batch. */
struct filling {
    struct group_batch batch;
    uint32_t number; /* the snapshot's */
    bool is_all;
};

static bool add_entry(void *context, struct group *group, struct group_offset_entry *entry)
{
    struct filling *filling = context;

    if (entry->appended == NULL || entry->snapshot == filling->number) {
        return true;
    }
    if (group__batch_is_full(&filling->batch)) {
        filling->is_all = false;
        return false;
    }
    entry->snapshot = filling->number;
    group__batch_add_offset(&filling->batch, group->id, entry, entry->appended);
    return true;
}

static enum base_err append(struct snapshot *snapshot, struct group_batch *batch)
{
    struct base_chunk chunk;
    bool pending = false;
    struct group_journal *journal = snapshot->shard->journal;
    struct slot *slot = &snapshot->slots[snapshot->slots_used++];

    enum base_err err = group__batch_finish(batch, &chunk);
    if (err) {
        return err;
    }
    snapshot->turn_bytes += chunk.length;
    slot->snapshot = snapshot;
    slot->waiter =
        (struct partition_waiter){.executor = snapshot->executor, .task = {.run = slot_over}};
    err = journal->ops->append(journal, &chunk, &batch->builder.header, snapshot->executor,
                               &slot->waiter, &pending);
    base_chunk_release(&chunk);
    if (err == BASE_ERR_OK && pending) {
        snapshot->waiting_count++;
    }
    return err;
}

/* True: the group has nothing left for the next turn. */
static bool append_group(struct snapshot *snapshot, struct group *group)
{
    struct filling filling = {.number = snapshot->number, .is_all = true};

    group__lock(group, snapshot->executor);
    group__batch_init(&filling.batch, group__now_ms(group));
    if (group->state != GROUP_DEAD) {
        group__entries_each(group, add_entry, &filling);
        if (filling.is_all && group->stored != NULL) {
            group__batch_add_group(&filling.batch, group->id,
                                   base_slice_of(group->stored->data, group->stored_length));
        }
    }
    if (filling.batch.records_count > 0 && append(snapshot, &filling.batch)) {
        snapshot->failed = true;
    }
    group__batch_fini(&filling.batch);
    group__unlock(group);
    return filling.is_all;
}

static void take_turn(struct snapshot *snapshot)
{
    struct group_walk *walk = &snapshot->walk;

    snapshot->slots_used = 0;
    snapshot->turn_bytes = 0;
    while (!snapshot->failed && walk->next < walk->groups_count &&
           snapshot->slots_used < TURN_BATCHES_MAX && snapshot->turn_bytes < TURN_SIZE_MAX) {
        if (append_group(snapshot, walk->groups[walk->next])) {
            group__release(&walk->groups[walk->next++]);
        }
    }
}

static void start(struct base_task *task)
{
    struct snapshot *snapshot = BASE_CONTAINER_OF(task, struct snapshot, start);
    struct group_shard *shard = snapshot->shard;

    atomic_store(&shard->records, 0);
    /* First the offset, then the list: a group that comes later lies behind the offset. */
    snapshot->trim_offset = shard->journal->ops->end(shard->journal);
    if (atomic_load(&shard->coordinator->closing) ||
        group__walk_init(&snapshot->walk, shard->coordinator, shard, snapshot->executor)) {
        end(snapshot);
        return;
    }
    snapshot->failed = snapshot->walk.groups_count == 0; /* nothing tells when it is durable */
    go_on(snapshot);
}

void group__snapshot_maybe(struct group_shard *shard)
{
    int64_t live = atomic_load(&shard->records_live);
    int64_t records_max =
        live * RECORDS_PER_LIVE > RECORDS_MIN ? live * RECORDS_PER_LIVE : RECORDS_MIN;

    if (atomic_load(&shard->records) < records_max ||
        atomic_exchange(&shard->snapshot_running, true)) {
        return;
    }
    struct snapshot *snapshot = base_alloc_object(struct snapshot);
    if (snapshot == NULL) {
        atomic_store(&shard->snapshot_running, false);
        return;
    }
    struct group_coordinator *coordinator = shard->coordinator;
    snapshot->shard = shard;
    snapshot->number = ++shard->snapshots_count;
    snapshot->executor = group__executor(coordinator, (uint32_t)(shard - coordinator->shards));
    snapshot->start.run = start;
    group__coordinator_busy(coordinator);
    base_executor_post(snapshot->executor, &snapshot->start);
}
