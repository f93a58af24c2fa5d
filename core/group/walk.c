/* Visits many groups without holding the table's lock, a few per turn of a loop. */
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/group_priv.h"

static bool take_note(void *context, struct base_slice key, void *value)
{
    struct group_walk *walk = context;

    (void)key;
    walk->groups[walk->groups_count++] = group__hold(value);
    return true;
}

enum base_err group__walk_init(struct group_walk *walk, struct group_coordinator *coordinator,
                               struct group_shard *shard, struct base_executor *executor)
{
    walk->coordinator = coordinator;
    walk->executor = executor;
    walk->groups_count = 0;
    walk->next = 0;

    base_mutex_lock(&coordinator->mutex);
    size_t count = shard == NULL ? base_map_count(coordinator->groups) : shard->groups_count;
    walk->groups = base_alloc_array(count, sizeof(struct group *));
    if (walk->groups == NULL) {
        base_mutex_unlock(&coordinator->mutex);
        return BASE_ERR_NOMEM;
    }
    if (shard == NULL) {
        base_map_each(coordinator->groups, take_note, walk);
    } else {
        for (struct base_list *node = shard->groups.next; node != &shard->groups;
             node = node->next) {
            struct group *group = BASE_CONTAINER_OF(node, struct group, shard_link);
            walk->groups[walk->groups_count++] = group__hold(group);
        }
    }
    BASE_ASSERT(walk->groups_count == count);
    base_mutex_unlock(&coordinator->mutex);
    group__coordinator_busy(coordinator);
    return BASE_ERR_OK;
}

bool group__walk_step(struct group_walk *walk)
{
    for (uint32_t i = 0; i < GROUP_WALK_STEP && walk->next < walk->groups_count; i++) {
        struct group **group = &walk->groups[walk->next++];
        walk->visit(walk, *group);
        group__release(group);
    }
    return walk->next < walk->groups_count;
}

static void walk_turn(struct base_task *task)
{
    struct group_walk *walk = BASE_CONTAINER_OF(task, struct group_walk, task);

    if (!atomic_load(&walk->coordinator->closing) && group__walk_step(walk)) {
        base_executor_post(walk->executor, &walk->task);
        return;
    }
    walk->ended(walk);
}

void group__walk_run(struct group_walk *walk)
{
    walk->task.run = walk_turn;
    base_executor_post(walk->executor, &walk->task);
}

void group__walk_fini(struct group_walk *walk)
{
    while (walk->next < walk->groups_count) {
        group__release(&walk->groups[walk->next++]);
    }
    base_free(walk->groups);
    walk->groups = NULL;
    group__coordinator_idle(walk->coordinator);
}
