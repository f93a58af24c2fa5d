/* The table of groups: finding them, making them, and the end of everything. */
#include "core/group/coordinator.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/group_priv.h"
#include "core/group/offsets_priv.h"

void group_coordinator_options_default(struct group_coordinator_options *options)
{
    *options = (struct group_coordinator_options){
        .initial_rebalance_delay_ms = 3000,
        .session_timeout_min_ms = 6000,
        .session_timeout_max_ms = 1800000,
        .max_size = INT32_MAX,
        .groups_max = 100000,
        .offsets_partitions = 50,
        .offsets_retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .offsets_check_ms = 600000,
    };
}

struct base_executor *group__executor(const struct group_coordinator *coordinator, uint32_t index)
{
    return coordinator->options.executors[index % coordinator->options.executors_count];
}

static void sweep_ring(struct base_alarm *alarm)
{
    struct group_coordinator *coordinator =
        BASE_CONTAINER_OF(alarm, struct group_coordinator, sweep);
    group__sweep_start(coordinator);
}

static void end(struct base_task *task)
{
    struct group_coordinator *coordinator = BASE_CONTAINER_OF(task, struct group_coordinator, end);
    struct base_executor *executor = coordinator->closed_executor;
    struct base_task *closed = coordinator->closed_task;

    for (uint32_t i = 0; i < coordinator->shards_count; i++) {
        struct group_journal *journal = coordinator->shards[i].journal;
        if (journal != NULL && journal != coordinator->options.journal) {
            journal->ops->close(journal);
        }
    }
    base_free(coordinator->shards);
    base_map_close(&coordinator->groups);
    base_mutex_fini(&coordinator->mutex);
    base_free(coordinator);
    base_executor_post(executor, closed);
}

static void sweep_closed(struct base_task *task)
{
    group__coordinator_idle(BASE_CONTAINER_OF(task, struct group_coordinator, sweep_closed));
}

/* On the alarm's home: only there no ring can be under way. */
static void sweep_end(struct base_task *task)
{
    struct group_coordinator *coordinator =
        BASE_CONTAINER_OF(task, struct group_coordinator, sweep_end);
    base_alarm_close(&coordinator->sweep, &coordinator->sweep_closed);
}

enum base_err group_coordinator_create(const struct group_coordinator_options *options,
                                       struct group_coordinator **out)
{
    BASE_ASSERT(options->clock != NULL);
    BASE_ASSERT(options->executors_count > 0);
    BASE_ASSERT(options->worker != NULL);

    *out = NULL;
    struct group_coordinator *coordinator = base_alloc_object(struct group_coordinator);
    if (coordinator == NULL) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = base_map_create(&coordinator->groups);
    if (err) {
        base_free(coordinator);
        return err;
    }
    coordinator->options = *options;
    base_mutex_init(&coordinator->mutex);
    atomic_init(&coordinator->ready, false);
    atomic_init(&coordinator->closing, false);
    atomic_init(&coordinator->busy_count, 1);
    base_alarm_init(&coordinator->sweep, group__executor(coordinator, 0), sweep_ring);
    coordinator->sweep_end.run = sweep_end;
    coordinator->sweep_closed.run = sweep_closed;
    coordinator->end.run = end;
    *out = coordinator;
    return BASE_ERR_OK;
}

bool group_coordinator_is_ready(const struct group_coordinator *coordinator)
{
    return atomic_load(&coordinator->ready);
}

void group__coordinator_busy(struct group_coordinator *coordinator)
{
    unsigned before = atomic_fetch_add(&coordinator->busy_count, 1);
    BASE_ASSERT(before > 0);
}

void group__coordinator_idle(struct group_coordinator *coordinator)
{
    unsigned before = atomic_fetch_sub(&coordinator->busy_count, 1);
    BASE_ASSERT(before > 0);
    if (before == 1) {
        base_executor_post(coordinator->closed_executor, &coordinator->end);
    }
}

/* One code point of UTF-8; a byte that belongs to none counts for itself. */
static uint32_t next_code_point(struct base_slice text, size_t *position)
{
    uint8_t first = text.data[(*position)++];
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;

    if (more == 0 || more > text.length - *position) {
        return first;
    }
    uint32_t point = first & (0x3fu >> more);
    for (size_t i = 0; i < more; i++) {
        point = point << 6 | (text.data[(*position)++] & 0x3f);
    }
    return point;
}

uint32_t group__shard_index(struct base_slice group_id, uint32_t shards_count)
{
    uint32_t hash = 0; /* java.lang.String.hashCode: over UTF-16 */
    size_t position = 0;

    while (position < group_id.length) {
        uint32_t point = next_code_point(group_id, &position);
        if (point >= 0x10000) {
            hash = hash * 31 + (0xd7c0 + (point >> 10));
            point = 0xdc00 + (point & 0x3ff);
        }
        hash = hash * 31 + point;
    }
    if (hash > (uint32_t)INT32_MAX) { /* Utils.abs: the magnitude, and 0 for INT32_MIN */
        hash = hash == 0x80000000 ? 0 : 0 - hash;
    }
    return hash % shards_count;
}

static struct group *make_group(struct group_coordinator *coordinator, struct group_shard *shard,
                                struct base_slice id, enum group_verdict *verdict)
{
    if (base_map_count(coordinator->groups) >= coordinator->options.groups_max &&
        atomic_load(&coordinator->ready)) {
        *verdict = GROUP_TOO_MANY_GROUPS;
        return NULL;
    }
    struct base_executor *home = group__executor(coordinator, coordinator->homes_given++);
    struct group *group = group__create(coordinator, shard, id, home);
    if (group == NULL) {
        *verdict = GROUP_OUT_OF_MEMORY;
        return NULL;
    }
    if (base_map_put(coordinator->groups, id, group)) {
        group__release(&group);
        *verdict = GROUP_OUT_OF_MEMORY;
        return NULL;
    }
    base_list_push_back(&shard->groups, &group->shard_link);
    shard->groups_count++;
    return group;
}

struct group *group__coordinator_take(struct group_coordinator *coordinator, struct base_slice id,
                                      bool create, enum group_verdict *verdict)
{
    struct group_shard *shard =
        &coordinator->shards[group__shard_index(id, coordinator->shards_count)];

    /* Never "no such group", or "no offset", only because its records cannot be read. */
    if (shard->journal == NULL) {
        *verdict = GROUP_STORAGE_FAILED;
        return NULL;
    }
    *verdict = GROUP_NOT_FOUND;
    base_mutex_lock(&coordinator->mutex);
    struct group *group = base_map_get(coordinator->groups, id);
    if (group == NULL && create) {
        group = make_group(coordinator, shard, id, verdict);
    }
    if (group != NULL) {
        (void)group__hold(group);
        *verdict = GROUP_OK;
    }
    base_mutex_unlock(&coordinator->mutex);
    return group;
}

struct group *group__enter(struct group_coordinator *coordinator, struct base_slice group_id,
                           bool create, struct base_executor *turn, enum group_verdict *verdict)
{
    for (;;) {
        if (atomic_load(&coordinator->closing)) {
            *verdict = GROUP_CLOSING;
            return NULL;
        }
        if (!atomic_load(&coordinator->ready)) {
            *verdict = GROUP_NOT_READY;
            return NULL;
        }
        struct group *group = group__coordinator_take(coordinator, group_id, create, verdict);
        if (group == NULL) {
            return NULL;
        }
        group__lock(group, turn);
        if (group->state != GROUP_DEAD) {
            return group;
        }
        group__unlock(group);
        group__coordinator_forget(coordinator, group);
        group__release(&group);
    }
}

void group__exit(struct group **group)
{
    group__unlock(*group);
    group__release(group);
}

void group__coordinator_forget(struct group_coordinator *coordinator, struct group *group)
{
    struct group *removed = NULL;

    base_mutex_lock(&coordinator->mutex);
    if (base_map_get(coordinator->groups, group->id) == group) {
        removed = base_map_remove(coordinator->groups, group->id);
        base_list_remove(&group->shard_link);
        group->shard->groups_count--;
    }
    base_mutex_unlock(&coordinator->mutex);
    group__release(&removed);
}

static enum group_verdict check_join(const struct group_coordinator *coordinator,
                                     const struct group_join *join)
{
    if (join->group_id.length == 0) {
        return GROUP_INVALID_GROUP_ID;
    }
    if (join->session_timeout_ms < coordinator->options.session_timeout_min_ms ||
        join->session_timeout_ms > coordinator->options.session_timeout_max_ms) {
        return GROUP_INVALID_SESSION_TIMEOUT;
    }
    return group__protocols_check(join);
}

enum group_answer group_join(struct group_coordinator *coordinator, struct group_join *join)
{
    BASE_ASSERT(join->executor != NULL);

    join->wait = (struct group_wait){.in_call = true};
    join->group = NULL;
    join->generation = -1;
    join->joined_member_id = base_slice_of(NULL, 0);
    join->leader_id = base_slice_of(NULL, 0);
    join->skip_assignment = false;
    join->members = NULL;
    join->members_count = 0;
    base_arena_init(&join->memory, SIZE_MAX);
    join->verdict = check_join(coordinator, join);
    if (join->verdict != GROUP_OK) {
        return GROUP_DONE;
    }
    struct group *group = group__enter(coordinator, join->group_id, join->member_id.length == 0,
                                       join->executor, &join->verdict);
    if (group == NULL) {
        if (join->verdict == GROUP_NOT_FOUND) {
            join->verdict = GROUP_UNKNOWN_MEMBER;
        }
        return GROUP_DONE;
    }
    enum group_answer answer = group__join(group, join);
    BASE_ASSERT((answer == GROUP_DONE) == join->wait.answered);
    if (answer == GROUP_PENDING) {
        join->group = group__hold(group);
    }
    join->wait.in_call = false;
    group__exit(&group);
    return answer;
}

enum group_answer group_sync(struct group_coordinator *coordinator, struct group_sync *sync)
{
    BASE_ASSERT(sync->executor != NULL);

    sync->wait = (struct group_wait){.in_call = true};
    sync->group = NULL;
    base_arena_init(&sync->memory, SIZE_MAX);
    if (sync->group_id.length == 0) {
        sync->verdict = GROUP_INVALID_GROUP_ID;
        return GROUP_DONE;
    }
    struct group *group =
        group__enter(coordinator, sync->group_id, false, sync->executor, &sync->verdict);
    if (group == NULL) {
        if (sync->verdict == GROUP_NOT_FOUND) {
            sync->verdict = GROUP_UNKNOWN_MEMBER;
        }
        return GROUP_DONE;
    }
    enum group_answer answer = group__sync(group, sync);
    BASE_ASSERT((answer == GROUP_DONE) == sync->wait.answered);
    if (answer == GROUP_PENDING) {
        sync->group = group__hold(group);
    }
    sync->wait.in_call = false;
    group__exit(&group);
    return answer;
}

enum group_answer group_commit(struct group_coordinator *coordinator, struct group_commit *commit)
{
    BASE_ASSERT(commit->executor != NULL);

    struct group *group = group__enter(coordinator, commit->group_id, commit->generation < 0,
                                       commit->executor, &commit->verdict);
    if (group == NULL) {
        return GROUP_DONE;
    }
    enum group_answer answer = group__commit(group, commit);
    group__exit(&group);
    return answer;
}

enum group_answer group_delete_offsets(struct group_coordinator *coordinator,
                                       struct group_delete_offsets *request)
{
    BASE_ASSERT(request->executor != NULL);

    struct group *group =
        group__enter(coordinator, request->group_id, false, request->executor, &request->verdict);
    if (group == NULL) {
        return GROUP_DONE;
    }
    enum group_answer answer = group__delete_offsets(group, request);
    group__exit(&group);
    return answer;
}

enum group_answer group_delete(struct group_coordinator *coordinator, struct group_delete *request)
{
    BASE_ASSERT(request->executor != NULL);

    struct group *group =
        group__enter(coordinator, request->group_id, false, request->executor, &request->verdict);
    if (group == NULL) {
        return GROUP_DONE;
    }
    enum group_answer answer = group__delete(group, request);
    bool died = group->state == GROUP_DEAD;
    group__unlock(group);
    if (died) {
        group__coordinator_forget(coordinator, group);
    }
    group__release(&group);
    return answer;
}

static void shut(struct group_walk *walk, struct group *group)
{
    group__lock(group, NULL);
    while (group->members_count > 0) {
        group__member_remove(group,
                             BASE_CONTAINER_OF(group->members.next, struct group_member, link),
                             GROUP_CLOSING);
    }
    if (group->state != GROUP_DEAD) {
        group__move(group, GROUP_DEAD);
    }
    group__unlock(group);
    group__coordinator_forget(walk->coordinator, group);
}

void group__coordinator_shut(struct group_coordinator *coordinator, struct group_shard *shard)
{
    struct group_walk walk;

    /* This must not fail for want of a little memory: try until there is some. */
    while (group__walk_init(&walk, coordinator, shard, NULL)) {
    }
    walk.visit = shut;
    while (group__walk_step(&walk)) {
    }
    group__walk_fini(&walk);
}

void group_coordinator_close(struct group_coordinator *coordinator, struct base_executor *executor,
                             struct base_task *closed)
{
    BASE_ASSERT(!atomic_load(&coordinator->closing));
    coordinator->closed_executor = executor;
    coordinator->closed_task = closed;
    atomic_store(&coordinator->closing, true);
    group__coordinator_shut(coordinator, NULL);
    base_executor_post(coordinator->sweep.home, &coordinator->sweep_end);
}
