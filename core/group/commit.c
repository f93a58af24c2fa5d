/* OffsetCommit, OffsetDelete and DeleteGroups. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/group/coordinator_priv.h"
#include "core/group/offsets_priv.h"
#include "core/group/store_priv.h"

static enum group_verdict verdict_of(enum base_err err)
{
    return err == BASE_ERR_NOMEM ? GROUP_OUT_OF_MEMORY : GROUP_STORAGE_FAILED;
}

/* Who may commit: a member of the current generation, or anybody for a group without
 * members. While the leader assigns, nobody. */
static enum group_verdict check_commit(struct group *group, const struct group_commit *commit)
{
    struct group_member *member = NULL;

    if (commit->generation < 0 && group->state == GROUP_EMPTY) {
        return GROUP_OK;
    }
    if (commit->generation < 0 && commit->member_id.length == 0 &&
        commit->group_instance_id.data == NULL) {
        return GROUP_UNKNOWN_MEMBER;
    }
    enum group_verdict verdict =
        group__member_check(group, commit->member_id, commit->group_instance_id, &member);
    if (verdict != GROUP_OK) {
        return verdict;
    }
    if (commit->generation != group->generation) {
        return GROUP_ILLEGAL_GENERATION;
    }
    if (group->state == GROUP_COMPLETING_REBALANCE) {
        return GROUP_REBALANCE_IN_PROGRESS;
    }
    group__member_touch(group, member, member->session_timeout_ms);
    return GROUP_OK;
}

/* Frees what prepare() made. */
static void unprepare(struct group *group, struct group_commit *commit)
{
    for (uint32_t i = 0; i < commit->items_count; i++) {
        struct group_commit_item *item = &commit->items[i];
        group_offset_release(&item->value);
        if (item->entry != NULL) {
            item->entry->ops_count--;
            group__entry_drop_if_unused(group, item->entry);
            item->entry = NULL;
        }
    }
}

/* A topic that is gone, since the caller looked, gets an id that no topic has. */
static struct base_uuid id_of(const struct catalog_view *view, struct base_slice name)
{
    const struct catalog_topic *topic = catalog_view_topic(view, name);
    struct base_uuid none;

    memset(none.bytes, 0xff, sizeof none.bytes);
    return topic == NULL ? none : topic->id;
}

/* Which topics the names stand for now: one that is made later under the same name has
 * nothing to do with these offsets. */
static void resolve(const struct group *group, struct group_commit *commit)
{
    struct catalog *catalog = group->coordinator->options.catalog;
    struct catalog_view *view = catalog == NULL ? NULL : catalog_view(catalog);

    for (uint32_t i = 0; i < commit->items_count; i++) {
        struct group_commit_item *item = &commit->items[i];
        item->topic_id = (struct base_uuid){0};
        if (view != NULL) {
            item->topic_id = id_of(view, item->topic);
        }
    }
    if (view != NULL) {
        catalog_view_release(&view);
    }
}

/* Until when the client wants its offsets kept; 0: it leaves that to the broker. */
static int64_t expire_ms_of(const struct group_commit *commit, int64_t now_ms)
{
    if (commit->retention_ms <= 0) {
        return 0;
    }
    return commit->retention_ms < INT64_MAX - now_ms ? now_ms + commit->retention_ms : INT64_MAX;
}

/* Everything that takes memory is done before the log knows of it. */
static enum group_verdict prepare(struct group *group, struct group_commit *commit,
                                  struct group_batch *batch)
{
    for (uint32_t i = 0; i < commit->items_count; i++) {
        struct group_commit_item *item = &commit->items[i];
        if (item->metadata.length > GROUP_OFFSET_METADATA_SIZE_MAX) {
            item->verdict = GROUP_METADATA_TOO_LARGE;
            continue;
        }
        item->expire_ms = expire_ms_of(commit, batch->now_ms);
        item->value = group__offset_make(item, batch->now_ms);
        item->entry = group__entry_take(group, item->topic, item->partition);
        if (item->entry != NULL) {
            item->entry->ops_count++;
        }
        if (item->value == NULL || item->entry == NULL) {
            return GROUP_OUT_OF_MEMORY;
        }
        group__batch_add_offset(batch, group->id, item->entry, item->value);
    }
    return GROUP_OK;
}

static void commit_apply(struct group_op *op, enum base_err err)
{
    struct group_commit *commit = BASE_CONTAINER_OF(op, struct group_commit, op);

    commit->verdict = err ? verdict_of(err) : GROUP_OK;
    for (uint32_t i = 0; i < commit->items_count && !err; i++) {
        struct group_commit_item *item = &commit->items[i];
        if (item->entry != NULL) {
            group__entry_set_visible(item->entry, item->value);
        }
    }
    unprepare(op->group, commit);
}

static void commit_finish(struct group_op *op)
{
    struct group_commit *commit = BASE_CONTAINER_OF(op, struct group_commit, op);
    commit->task.run(&commit->task); /* this is its executor */
}

static enum group_verdict append_commit(struct group *group, struct group_commit *commit,
                                        bool *pending)
{
    struct group_batch batch;

    resolve(group, commit);
    group__batch_init(&batch, group__now_ms(group));
    enum group_verdict verdict = prepare(group, commit, &batch);
    if (verdict == GROUP_OK && batch.records_count > 0) {
        enum base_err err = group__append(group, &commit->op, &batch, pending);
        verdict = err ? verdict_of(err) : GROUP_OK;
    }
    if (verdict != GROUP_OK || batch.records_count == 0) {
        unprepare(group, commit);
        group__batch_fini(&batch);
        return verdict;
    }
    for (uint32_t i = 0; i < commit->items_count; i++) {
        if (commit->items[i].entry != NULL) {
            group__entry_set_appended(commit->items[i].entry, commit->items[i].value);
        }
    }
    group__op_begin(group, &commit->op, *pending);
    group__batch_fini(&batch);
    return GROUP_OK;
}

enum group_answer group__commit(struct group *group, struct group_commit *commit)
{
    bool pending = false;

    for (uint32_t i = 0; i < commit->items_count; i++) {
        commit->items[i].verdict = GROUP_OK;
        commit->items[i].entry = NULL;
        commit->items[i].value = NULL;
    }
    commit->op.apply = commit_apply;
    commit->op.finish = commit_finish;
    commit->verdict = check_commit(group, commit);
    if (commit->verdict != GROUP_OK) {
        return GROUP_DONE;
    }
    commit->verdict = append_commit(group, commit, &pending);
    return pending ? GROUP_PENDING : GROUP_DONE;
}

/* A deletion on its way to the log. */
struct removal {
    struct group_op op;
    struct group_offset_entry **entries; /* owned array */
    uint32_t entries_count;
    bool with_group; /* the group goes as well; it is dead already */
    /* At most one of them is set: who waits. */
    struct group_delete_offsets *delete_offsets;
    struct group_delete *delete;
};

static void removal_free(struct removal *removal)
{
    base_free(removal->entries);
    base_free(removal);
}

static void removal_apply(struct group_op *op, enum base_err err)
{
    struct removal *removal = BASE_CONTAINER_OF(op, struct removal, op);
    enum group_verdict verdict = err ? verdict_of(err) : GROUP_OK;

    for (uint32_t i = 0; i < removal->entries_count; i++) {
        struct group_offset_entry *entry = removal->entries[i];
        entry->ops_count--;
        if (!err) {
            group__entry_set_visible(entry, NULL);
        }
        group__entry_drop_if_unused(op->group, entry);
    }
    if (removal->delete_offsets != NULL) {
        removal->delete_offsets->verdict = verdict;
    }
    if (removal->delete != NULL) {
        removal->delete->verdict = verdict;
    }
}

static void removal_finish(struct group_op *op)
{
    struct removal *removal = BASE_CONTAINER_OF(op, struct removal, op);
    struct base_task *task = NULL;

    if (removal->delete_offsets != NULL) {
        task = &removal->delete_offsets->task;
    } else if (removal->delete != NULL) {
        task = &removal->delete->task;
    }
    removal_free(removal);
    if (task != NULL) {
        task->run(task);
    }
}

static struct removal *removal_make(uint32_t entries_max)
{
    struct removal *removal = base_alloc_object(struct removal);
    if (removal == NULL) {
        return NULL;
    }
    removal->entries = base_alloc_array(entries_max, sizeof *removal->entries);
    if (removal->entries == NULL) {
        base_free(removal);
        return NULL;
    }
    removal->op.apply = removal_apply;
    removal->op.finish = removal_finish;
    return removal;
}

/* Nothing comes of it. */
static void removal_drop(struct group *group, struct removal *removal)
{
    for (uint32_t i = 0; i < removal->entries_count; i++) {
        removal->entries[i]->ops_count--;
        group__entry_drop_if_unused(group, removal->entries[i]);
    }
    removal_free(removal);
}

/* Moves removal. batch: its records. On an error it is dropped. */
static enum base_err append_removal(struct group *group, struct removal *removal,
                                    struct group_batch *batch, bool *pending)
{
    enum base_err err = group__append(group, &removal->op, batch, pending);
    if (err) {
        removal_drop(group, removal);
        return err;
    }
    for (uint32_t i = 0; i < removal->entries_count; i++) {
        group__entry_set_appended(removal->entries[i], NULL);
    }
    if (removal->with_group) {
        group__set_stored(group, NULL, 0);
        group__move(group, GROUP_DEAD);
    }
    bool waits = *pending;
    group__op_begin(group, &removal->op, waits);
    if (!waits) {
        removal_free(removal);
    }
    return BASE_ERR_OK;
}

/* Those of the entries, from `first` on, as a removal of their own; NULL: no memory. */
static struct removal *split(struct removal *removal, uint32_t first)
{
    uint32_t count = removal->entries_count - first;
    struct removal *part = removal_make(count);

    if (part != NULL) {
        memcpy(part->entries, &removal->entries[first], count * sizeof(part->entries[0]));
        part->entries_count = count;
        removal->entries_count = first;
    }
    return part;
}

/* Fills the batch with as many entries as it takes, the last ones first. When some are left
 * these become a removal of their own; NULL: no memory. */
static struct removal *fill(struct group *group, struct removal *removal, struct group_batch *batch)
{
    uint32_t left = removal->entries_count;

    while (left > 0 && !group__batch_is_full(batch)) {
        group__batch_add_offset(batch, group->id, removal->entries[--left], NULL);
    }
    if (left > 0) {
        return split(removal, left);
    }
    if (removal->with_group && group->stored != NULL) {
        group__batch_add_group(batch, group->id, base_slice_of(NULL, 0));
    }
    return removal;
}

/* Moves removal. What one batch cannot hold goes to the log in several, and the last has the
 * end of the group and the answer. On an error what went before is gone, and the rest stays. */
static enum base_err removal_begin(struct group *group, struct removal *removal, bool *pending)
{
    enum base_err err = BASE_ERR_OK;
    bool is_last = false;

    for (uint32_t i = 0; i < removal->entries_count; i++) { /* one may be there twice */
        removal->entries[i]->ops_count++;
    }
    while (!is_last && err == BASE_ERR_OK) {
        struct group_batch batch;
        group__batch_init(&batch, group__now_ms(group));
        struct removal *part = fill(group, removal, &batch);
        is_last = part == removal;
        err = part == NULL ? BASE_ERR_NOMEM : append_removal(group, part, &batch, pending);
        group__batch_fini(&batch);
    }
    if (!is_last) {
        removal_drop(group, removal);
    }
    *pending = *pending && err == BASE_ERR_OK;
    return err;
}

static bool refuse_topic(void *context, struct base_slice name)
{
    struct base_map *firsts = context;
    struct group_commit_item *first = base_map_get(firsts, name);

    if (first != NULL) {
        first->verdict = GROUP_SUBSCRIBED_TO_TOPIC;
    }
    return true;
}

/* Refuses the items whose topics members read. Reads each subscription once: both they and the
 * request may be long. */
static enum group_verdict refuse_subscribed(const struct group *group,
                                            struct group_delete_offsets *request)
{
    struct base_map *firsts = NULL; /* the first item of each topic, which stands for the others */
    enum base_err err = base_map_create(&firsts);

    for (uint32_t i = 0; err == BASE_ERR_OK && i < request->items_count; i++) {
        if (base_map_get(firsts, request->items[i].topic) == NULL) {
            err = base_map_put(firsts, request->items[i].topic, &request->items[i]);
        }
    }
    if (err != BASE_ERR_OK) {
        base_map_close(&firsts);
        return verdict_of(err);
    }
    bool is_all = !group__subscribed_each(group, refuse_topic, firsts);
    for (uint32_t i = 0; i < request->items_count; i++) {
        struct group_commit_item *item = &request->items[i];
        const struct group_commit_item *first = base_map_get(firsts, item->topic);
        item->verdict = is_all ? GROUP_SUBSCRIBED_TO_TOPIC : first->verdict;
    }
    base_map_close(&firsts);
    return GROUP_OK;
}

static enum group_verdict check_delete_offsets(struct group *group,
                                               struct group_delete_offsets *request)
{
    if (group->state == GROUP_EMPTY) {
        return GROUP_OK;
    }
    if (!group__is_consumer(group)) {
        return GROUP_NOT_EMPTY;
    }
    return refuse_subscribed(group, request);
}

enum group_answer group__delete_offsets(struct group *group, struct group_delete_offsets *request)
{
    bool pending = false;

    for (uint32_t i = 0; i < request->items_count; i++) {
        request->items[i].verdict = GROUP_OK;
    }
    request->verdict = check_delete_offsets(group, request);
    if (request->verdict != GROUP_OK) {
        return GROUP_DONE;
    }
    struct removal *removal = removal_make(request->items_count);
    if (removal == NULL) {
        request->verdict = GROUP_OUT_OF_MEMORY;
        return GROUP_DONE;
    }
    for (uint32_t i = 0; i < request->items_count; i++) {
        const struct group_commit_item *item = &request->items[i];
        struct group_offset_entry *entry = group__entry_find(group, item->topic, item->partition);
        if (item->verdict == GROUP_OK && entry != NULL && entry->appended != NULL) {
            removal->entries[removal->entries_count++] = entry;
        }
    }
    if (removal->entries_count == 0) {
        removal_free(removal);
        return GROUP_DONE;
    }
    removal->delete_offsets = request;
    enum base_err err = removal_begin(group, removal, &pending);
    if (err) {
        request->verdict = verdict_of(err);
    }
    return pending ? GROUP_PENDING : GROUP_DONE;
}

static bool collect(void *context, struct group *group, struct group_offset_entry *entry)
{
    struct removal *removal = context;

    (void)group;
    if (entry->appended != NULL) {
        removal->entries[removal->entries_count++] = entry;
    }
    return true;
}

/* Kills an empty group. request may be NULL. */
static enum base_err bury(struct group *group, struct group_delete *request, bool *pending)
{
    BASE_ASSERT(group->state == GROUP_EMPTY);

    struct removal *removal = removal_make(group->entries_count);
    if (removal == NULL) {
        return BASE_ERR_NOMEM;
    }
    removal->delete = request;
    removal->with_group = true;
    group__entries_each(group, collect, removal);
    if (removal->entries_count == 0 && group->stored == NULL) { /* the log has never heard */
        removal_free(removal);
        group__move(group, GROUP_DEAD);
        return BASE_ERR_OK;
    }
    return removal_begin(group, removal, pending);
}

enum group_answer group__delete(struct group *group, struct group_delete *request)
{
    bool pending = false;

    if (group->state != GROUP_EMPTY) {
        request->verdict = GROUP_NOT_EMPTY;
        return GROUP_DONE;
    }
    request->verdict = GROUP_OK;
    enum base_err err = bury(group, request, &pending);
    if (err) {
        request->verdict = verdict_of(err);
    }
    return pending ? GROUP_PENDING : GROUP_DONE;
}

bool group__bury(struct group *group)
{
    bool pending = false;
    return bury(group, NULL, &pending) == BASE_ERR_OK;
}

void group__remove_entries(struct group *group, struct group_offset_entry **entries, uint32_t count)
{
    bool pending = false;
    struct removal *removal = count == 0 ? NULL : removal_make(count);

    if (removal == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        removal->entries[i] = entries[i];
    }
    removal->entries_count = count;
    (void)removal_begin(group, removal, &pending);
}
