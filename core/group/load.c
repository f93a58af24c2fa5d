/* From the log to groups: makes the topic if need be, reads it, starts the sessions. */
#include <inttypes.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/group/coordinator_priv.h"
#include "core/group/format_priv.h"
#include "core/group/group_priv.h"
#include "core/group/offsets_priv.h"
#include "logstore/records.h"

struct loader {
    struct group_coordinator *coordinator; /* borrowed */
    struct group_load *load;               /* borrowed; the answer goes there */
    struct partition_topic_op op;
    struct base_task work; /* on the worker */
    struct base_task over; /* on the load's executor */
    enum base_err err;
};

/* One shard being read. */
struct reading {
    struct group_coordinator *coordinator;
    struct group_shard *shard;
};

static enum base_err load_offset(struct group *group, const struct group_key *key,
                                 const struct logstore_record *record)
{
    struct group_commit_item item = {.topic = key->topic, .partition = key->partition};
    int64_t commit_ms = 0;

    if (record->value.data == NULL) {
        struct group_offset_entry *entry = group__entry_find(group, key->topic, key->partition);
        if (entry != NULL) {
            group__entry_set_appended(entry, NULL);
            group__entry_set_visible(entry, NULL);
            group__entry_drop_if_unused(group, entry);
        }
        return BASE_ERR_OK;
    }
    enum base_err err = group__decode_offset(record, &item, &commit_ms);
    if (err) {
        return BASE_ERR_CORRUPT;
    }
    struct group_offset *offset = group__offset_make(&item, commit_ms);
    struct group_offset_entry *entry = group__entry_take(group, key->topic, key->partition);
    if (offset != NULL && entry != NULL) {
        group__entry_set_appended(entry, offset);
        group__entry_set_visible(entry, offset);
    }
    err = offset == NULL || entry == NULL ? BASE_ERR_NOMEM : BASE_ERR_OK;
    group_offset_release(&offset);
    return err;
}

/* Only kept: what it says is taken from the last one, when all is read. */
static enum base_err load_group(struct group *group, struct base_slice value)
{
    struct base_buffer *buffer = NULL;

    if (value.data != NULL) {
        buffer = base_buffer_create(value.length);
        if (buffer == NULL) {
            return BASE_ERR_NOMEM;
        }
        memcpy(buffer->data, value.data, value.length);
    }
    group__set_stored(group, buffer, value.length);
    return BASE_ERR_OK;
}

static enum base_err load_record(void *context, const struct logstore_record *record)
{
    const struct reading *reading = context;
    enum group_verdict verdict = GROUP_OK;
    struct group_key key;

    atomic_fetch_add(&reading->shard->records, 1);
    enum base_err err = group__decode_key(record->key, &key);
    if (err == BASE_ERR_UNSUPPORTED) { /* Kafka skips keys of later versions, too */
        return BASE_ERR_OK;
    }
    if (err) {
        return BASE_ERR_CORRUPT;
    }
    struct group *group =
        group__coordinator_take(reading->coordinator, key.group_id, true, &verdict);
    if (group == NULL) {
        return verdict == GROUP_OUT_OF_MEMORY ? BASE_ERR_NOMEM : BASE_ERR_CORRUPT;
    }
    group__lock(group, NULL);
    err = key.is_offset ? load_offset(group, &key, record) : load_group(group, record->value);
    group__exit(&group);
    return err;
}

static enum base_err load_member(struct group *group, const struct group_value *value,
                                 const struct group_value_member *stored)
{
    bool failed = false;
    struct group_member *member = NULL;
    struct group_protocol protocol = {.name = value->protocol, .metadata = stored->subscription};
    struct group_join join = {
        .group_instance_id = stored->instance_id,
        .client_id = stored->client_id,
        .client_host = stored->client_host,
        .protocol_type = value->protocol_type,
        .protocols = &protocol,
        .protocols_count = 1,
        .session_timeout_ms = stored->session_timeout_ms,
        .rebalance_timeout_ms = stored->rebalance_timeout_ms,
    };

    if (group__member_find(group, stored->member_id) != NULL) {
        return BASE_ERR_CORRUPT;
    }
    enum base_err err = group__member_add(group, &join, stored->member_id, &member);
    if (err) {
        return err;
    }
    member->assignment = group__bytes_copy(stored->assignment, &failed);
    if (base_slice_equal(stored->member_id, value->leader_id)) {
        group->leader = member;
    }
    group__member_touch(group, member, member->session_timeout_ms);
    return failed ? BASE_ERR_NOMEM : BASE_ERR_OK;
}

static enum base_err revive(struct group *group)
{
    bool failed = false;
    struct group_value value;
    struct group_value_member member;
    enum base_err err =
        group__decode_group(base_slice_of(group->stored->data, group->stored_length), &value);

    if (err) {
        return BASE_ERR_CORRUPT;
    }
    if (value.members_count > 0 && value.protocol.data == NULL) {
        return BASE_ERR_CORRUPT;
    }
    group->generation = value.generation;
    group->protocol = group__bytes_copy(value.protocol, &failed);
    group->protocol_type = group__bytes_copy(value.protocol_type, &failed);
    for (uint32_t i = 0; i < value.members_count && !failed && !err; i++) {
        group__decode_member(&value.members, &member);
        err = value.members.failed ? BASE_ERR_CORRUPT : load_member(group, &value, &member);
    }
    if (err == BASE_ERR_OK && failed) {
        err = BASE_ERR_NOMEM;
    }
    if (err) {
        return err;
    }
    if (group->members_count > 0) {
        group__move(group, GROUP_STABLE);
    } else {
        group__bytes_free(&group->protocol);
    }
    group->state_since_ms = value.state_since_ms;
    return BASE_ERR_OK;
}

struct reviving {
    struct group_walk walk;
    enum base_err err;
};

static void revive_group(struct group_walk *walk, struct group *group)
{
    struct reviving *reviving = BASE_CONTAINER_OF(walk, struct reviving, walk);
    bool died = false;

    group__lock(group, NULL);
    if (group->stored != NULL) {
        enum base_err err = revive(group);
        if (err) {
            char text[BASE_LOG_TEXT_SIZE];
            base_log(BASE_LOG_ERROR, "GROUP_RECORD_UNREADABLE", "group=%s cause=\"%s\"",
                     base_log_text(text, group->id), base_err_text(err));
            reviving->err = err;
        }
    } else {
        died = group__die_if_useless(group);
    }
    group__unlock(group);
    if (died) {
        group__coordinator_forget(walk->coordinator, group);
    }
}

static enum base_err read_shard(struct group_coordinator *coordinator, struct group_shard *shard)
{
    struct reading reading = {.coordinator = coordinator, .shard = shard};
    struct reviving reviving = {.err = BASE_ERR_OK};

    enum base_err err = shard->journal->ops->replay(shard->journal, load_record, &reading);
    if (err) {
        return err;
    }
    err = group__walk_init(&reviving.walk, coordinator, shard, NULL);
    if (err) {
        return err;
    }
    reviving.walk.visit = revive_group;
    while (group__walk_step(&reviving.walk)) {
    }
    group__walk_fini(&reviving.walk);
    return reviving.err;
}

static enum base_err make_shards(struct group_coordinator *coordinator, uint32_t count)
{
    coordinator->shards = base_alloc_array(count, sizeof *coordinator->shards);
    if (coordinator->shards == NULL) {
        return BASE_ERR_NOMEM;
    }
    coordinator->shards_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct group_shard *shard = &coordinator->shards[i];
        shard->coordinator = coordinator;
        base_list_init(&shard->groups);
        atomic_init(&shard->records, 0);
        atomic_init(&shard->records_live, 0);
        atomic_init(&shard->snapshot_running, false);
    }
    return BASE_ERR_OK;
}

/* A shard that cannot be read takes no requests; the others do. */
static enum base_err open_shard(struct group_coordinator *coordinator, uint32_t index,
                                struct partition *partition)
{
    struct group_shard *shard = &coordinator->shards[index];
    enum base_err err = BASE_ERR_OFFLINE;

    if (partition != NULL) {
        err = group_journal_open(partition, &shard->journal);
        if (err) {
            partition_release(&partition);
            return err;
        }
        err = read_shard(coordinator, shard);
    }
    if (err == BASE_ERR_OK || err == BASE_ERR_NOMEM) {
        return err;
    }
    base_log(BASE_LOG_ERROR, "GROUP_OFFSETS_OFFLINE", "partition=%" PRIu32 " cause=\"%s\"", index,
             base_err_text(err));
    if (shard->journal != NULL) {
        group__coordinator_shut(coordinator, shard);
        shard->journal->ops->close(shard->journal);
        shard->journal = NULL;
    }
    return BASE_ERR_OK;
}

static enum base_err read_topic(struct group_coordinator *coordinator)
{
    struct catalog_view *view = catalog_view(coordinator->options.catalog);
    const struct catalog_topic *topic =
        catalog_view_topic(view, base_slice_text(GROUP_OFFSETS_TOPIC));
    enum base_err err = topic == NULL ? BASE_ERR_NOT_FOUND : BASE_ERR_OK;

    if (err == BASE_ERR_OK) {
        err = make_shards(coordinator, (uint32_t)topic->partitions_count);
    }
    for (uint32_t i = 0; i < coordinator->shards_count && err == BASE_ERR_OK; i++) {
        err = open_shard(coordinator, i,
                         partition_table_get(coordinator->options.table, topic->id, (int32_t)i));
    }
    catalog_view_release(&view);
    return err;
}

static void over(struct base_task *task)
{
    struct loader *loader = BASE_CONTAINER_OF(task, struct loader, over);
    struct group_coordinator *coordinator = loader->coordinator;
    struct group_load *load = loader->load;

    load->err = loader->err;
    base_free(loader);
    if (load->err == BASE_ERR_OK) {
        atomic_store(&coordinator->ready, true);
        /* At once: topics may have been deleted while nobody watched. */
        base_alarm_set(&coordinator->sweep, base_clock_monotonic_us(coordinator->options.clock));
    }
    group__coordinator_idle(coordinator);
    load->task.run(&load->task);
}

static void work(struct base_task *task)
{
    struct loader *loader = BASE_CONTAINER_OF(task, struct loader, work);
    struct group_coordinator *coordinator = loader->coordinator;

    if (coordinator->options.journal != NULL) {
        loader->err = make_shards(coordinator, 1);
        if (loader->err == BASE_ERR_OK) {
            coordinator->shards[0].journal = coordinator->options.journal;
            loader->err = read_shard(coordinator, &coordinator->shards[0]);
        }
    } else {
        loader->err = read_topic(coordinator);
    }
    if (loader->err) {
        group__coordinator_shut(coordinator, NULL);
    }
    base_executor_post(loader->load->executor, &loader->over);
}

static void read_on_worker(struct loader *loader)
{
    base_executor_post(loader->coordinator->options.worker, &loader->work);
}

static void topic_made(struct base_task *task)
{
    struct partition_topic_op *op = BASE_CONTAINER_OF(task, struct partition_topic_op, task);
    struct loader *loader = BASE_CONTAINER_OF(op, struct loader, op);

    catalog_topic_release(&op->topic);
    if (op->verdict == CATALOG_DONE || op->verdict == CATALOG_EXISTS) {
        read_on_worker(loader);
        return;
    }
    loader->err = catalog_internal_refused(
        GROUP_OFFSETS_TOPIC, loader->coordinator->options.offsets_partitions, op->verdict, op->err);
    over(&loader->over);
}

static void make_topic(struct loader *loader)
{
    struct catalog_topic *draft = catalog_topic_draft(base_slice_text(GROUP_OFFSETS_TOPIC),
                                                      base_slice_of(NULL, 0), CATALOG_INTERNAL);
    enum base_err err = BASE_ERR_NOMEM;

    if (draft != NULL) {
        draft->partitions_count = loader->coordinator->options.offsets_partitions;
        err =
            catalog_config_set(&draft->config, CATALOG_CONFIG_RETENTION_MS, base_slice_text("-1"));
    }
    if (err) {
        catalog_topic_release(&draft);
        loader->err = err;
        base_executor_post(loader->load->executor, &loader->over);
        return;
    }
    loader->op.executor = loader->load->executor;
    loader->op.task.run = topic_made;
    partition_create_topic(loader->coordinator->options.table, draft, &loader->op);
}

static bool topic_exists(struct group_coordinator *coordinator)
{
    struct catalog_view *view = catalog_view(coordinator->options.catalog);
    bool exists = catalog_view_topic(view, base_slice_text(GROUP_OFFSETS_TOPIC)) != NULL;
    catalog_view_release(&view);
    return exists;
}

void group_coordinator_load(struct group_coordinator *coordinator, struct group_load *load)
{
    BASE_ASSERT(!atomic_load(&coordinator->ready));
    BASE_ASSERT(coordinator->shards == NULL);

    struct loader *loader = base_alloc_object(struct loader);
    if (loader == NULL) {
        load->err = BASE_ERR_NOMEM;
        base_executor_post(load->executor, &load->task);
        return;
    }
    loader->coordinator = coordinator;
    loader->load = load;
    loader->work.run = work;
    loader->over.run = over;
    group__coordinator_busy(coordinator);
    if (coordinator->options.journal != NULL) {
        read_on_worker(loader);
        return;
    }
    partition_table_on_deleted(coordinator->options.table, group__topic_deleted, coordinator);
    if (topic_exists(coordinator)) {
        read_on_worker(loader);
    } else {
        make_topic(loader);
    }
}
