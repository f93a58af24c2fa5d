/* The administrator: topics come, grow and go, records are deleted from the front, and
 * offsets are looked up by time. One request at a time of each kind. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "tests/sim/broker_world.h"

enum { LIVES_KEPT = 3 /* topics' lives that random deletions leave for the end */ };

struct broker_admin {
    struct broker_client client;

    struct partition_topic_op op;
    bool op_pending;
    enum { OP_CREATE, OP_GROW, OP_DELETE } op_kind;
    uint32_t op_topic;
    int32_t op_count;

    struct logstore_trim trim;
    bool trim_pending;
    uint32_t trim_topic;
    int32_t trim_index;
    int64_t trim_offset;
    struct partition *trim_partition; /* held */

    struct logstore_lookup lookup;
    bool lookup_pending;
    uint32_t lookup_topic;
    int32_t lookup_index;
    int64_t lookup_end;                 /* known to be readable when it was asked */
    struct partition *lookup_partition; /* held */
};

/* Topics. */

static void check_topic(const struct model_topic *topic, const struct catalog_topic *told)
{
    MODEL_CHECK(told != NULL);
    MODEL_CHECK(base_uuid_equal(told->id, topic->id));
    MODEL_CHECK(told->partitions_count == topic->partitions_asked);
}

static void create_over(struct broker_admin *admin, struct model_topic *topic)
{
    if (admin->op.verdict == CATALOG_DONE) {
        check_topic(topic, admin->op.topic);
        topic->is_made_on_full_disk = admin->client.world->was_full;
        topic->state = MODEL_TOPIC_EXISTS;
        topic->partitions_count = topic->partitions_asked;
    } else { /* nobody knows: the next start tells */
        MODEL_CHECK(admin->op.verdict == CATALOG_STORAGE_FAILED);
        broker_world_check_err(admin->client.world, admin->op_topic, admin->op.err);
    }
}

static void grow_over(struct broker_admin *admin, struct model_topic *topic)
{
    if (admin->op.verdict == CATALOG_DONE) {
        check_topic(topic, admin->op.topic);
        topic->is_made_on_full_disk = topic->is_made_on_full_disk || admin->client.world->was_full;
        topic->partitions_count = topic->partitions_asked;
    } else {
        MODEL_CHECK(admin->op.verdict == CATALOG_STORAGE_FAILED);
        broker_world_check_err(admin->client.world, admin->op_topic, admin->op.err);
    }
}

static void delete_over(struct broker_admin *admin, struct model_topic *topic)
{
    if (admin->op.verdict == CATALOG_DONE) {
        topic->state = MODEL_TOPIC_GONE;
    } else {
        MODEL_CHECK(admin->op.verdict == CATALOG_STORAGE_FAILED);
        broker_world_check_err(admin->client.world, admin->op_topic, admin->op.err);
    }
}

static void op_over(struct base_task *task)
{
    struct broker_admin *admin = BASE_CONTAINER_OF(task, struct broker_admin, op.task);
    struct broker_world *world = admin->client.world;
    struct model_topic *topic = &world->model.topics[admin->op_topic];

    world->open_count--;
    admin->op_pending = false;
    broker_model_note(&world->model, (uint64_t)admin->op.verdict);
    switch (admin->op_kind) {
    case OP_CREATE:
        create_over(admin, topic);
        break;
    case OP_GROW:
        grow_over(admin, topic);
        break;
    case OP_DELETE:
        delete_over(admin, topic);
        break;
    }
    catalog_topic_release(&admin->op.topic);
}

static void begin_op(struct broker_admin *admin, uint32_t topic)
{
    admin->client.world->open_count++;
    admin->op_pending = true;
    admin->op_topic = topic;
    admin->op = (struct partition_topic_op){.executor = admin->client.loop, .task.run = op_over};
}

static void set_config(struct catalog_topic *draft, enum catalog_topic_config_key key,
                       int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    enum base_err err = catalog_config_set(&draft->config, key, base_slice_text(text));
    BASE_ASSERT(err == BASE_ERR_OK);
}

static void create_topic(struct broker_admin *admin, uint32_t name)
{
    struct broker_world *world = admin->client.world;
    struct broker_model *model = &world->model;

    if (model->topics_count == MODEL_TOPICS_MAX) {
        return;
    }
    struct model_topic *topic = &model->topics[model->topics_count];
    *topic = (struct model_topic){
        .id = base_uuid_random(),
        .name = name,
        .state = MODEL_TOPIC_ASKED,
        .is_ha = name == MODEL_NAMES - 1 || broker_world_chance(world, 2),
        .has_retention = broker_world_chance(world, 4),
        .partitions_asked = 1 + (int32_t)broker_world_pick(world, MODEL_PARTITIONS_MAX - 1),
    };
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text(broker_model_name(name)), base_slice_of(NULL, 0),
                            topic->is_ha ? CATALOG_KAFKA_HA : CATALOG_KAFKA_HT);
    BASE_ASSERT(draft != NULL);
    draft->id = topic->id;
    draft->partitions_count = topic->partitions_asked;
    set_config(draft, CATALOG_CONFIG_SEGMENT_BYTES,
               16384 + (int64_t)broker_world_pick(world, 100000));
    if (topic->has_retention) {
        set_config(draft, CATALOG_CONFIG_RETENTION_BYTES,
                   20000 + (int64_t)broker_world_pick(world, 100000));
    }
    begin_op(admin, model->topics_count++);
    admin->op_kind = OP_CREATE;
    partition_create_topic(world->harness.table, draft, &admin->op);
}

static void grow_topic(struct broker_admin *admin, struct model_topic *topic)
{
    struct broker_world *world = admin->client.world;

    if (topic->partitions_asked == MODEL_PARTITIONS_MAX) {
        return;
    }
    if (topic->partitions_asked == topic->partitions_count) {
        topic->partitions_asked++;
    } /* else asked again after a failure */
    begin_op(admin, (uint32_t)(topic - world->model.topics));
    admin->op_kind = OP_GROW;
    partition_grow_topic(world->harness.table, topic->id, topic->partitions_asked, &admin->op);
}

static void delete_topic(struct broker_admin *admin, struct model_topic *topic)
{
    struct broker_world *world = admin->client.world;

    if (world->model.topics_count + LIVES_KEPT >= MODEL_TOPICS_MAX) {
        return;
    }
    topic->state = MODEL_TOPIC_DYING;
    begin_op(admin, (uint32_t)(topic - world->model.topics));
    admin->op_kind = OP_DELETE;
    partition_delete_topic(world->harness.table, topic->id, &admin->op);
}

static void change_topics(struct broker_admin *admin)
{
    struct broker_world *world = admin->client.world;
    uint32_t name = (uint32_t)broker_world_pick(world, MODEL_NAMES);
    struct model_topic *topic = broker_model_topic(&world->model, name);

    if (topic == NULL) {
        create_topic(admin, name);
    } else if (topic->state != MODEL_TOPIC_EXISTS) {
        return; /* its fate shows after the next start */
    } else if (broker_world_chance(world, 3)) {
        grow_topic(admin, topic);
    } else if (name < MODEL_NAMES - 1 && broker_world_chance(world, 4)) {
        delete_topic(admin, topic);
    }
}

/* Trims. */

static void trim_over(struct base_task *task)
{
    struct broker_admin *admin = BASE_CONTAINER_OF(task, struct broker_admin, trim.task);
    struct broker_world *world = admin->client.world;
    struct model_partition *place =
        &world->model.topics[admin->trim_topic].partitions[admin->trim_index];

    world->open_count--;
    admin->trim_pending = false;
    if (admin->trim.err == BASE_ERR_OK) {
        place->start_acked =
            admin->trim_offset > place->start_acked ? admin->trim_offset : place->start_acked;
    } else {
        broker_world_check_err(world, admin->trim_topic, admin->trim.err);
    }
    partition_release(&admin->trim_partition);
}

static void trim(struct broker_admin *admin)
{
    struct broker_world *world = admin->client.world;
    struct partition_offsets offsets;

    if (!broker_world_pick_partition(world, &admin->trim_topic, &admin->trim_index)) {
        return;
    }
    struct model_partition *place =
        &world->model.topics[admin->trim_topic].partitions[admin->trim_index];
    struct partition *partition =
        broker_world_partition(world, admin->trim_topic, admin->trim_index);
    partition_offsets(partition, &offsets);
    if (offsets.err != BASE_ERR_OK) {
        partition_release(&partition);
        return;
    }
    bool is_all = broker_world_chance(world, 8);
    int64_t length = offsets.high_watermark - offsets.start;
    admin->trim_offset =
        is_all ? offsets.high_watermark
               : offsets.start + (int64_t)broker_world_pick(world, (uint64_t)length / 2 + 1);
    admin->trim = (struct logstore_trim){.executor = admin->client.loop, .task.run = trim_over};
    admin->trim_pending = true;
    admin->trim_partition = partition;
    world->open_count++;
    place->start_asked =
        admin->trim_offset > place->start_asked ? admin->trim_offset : place->start_asked;
    enum base_err err = partition_trim(partition, is_all ? -1 : admin->trim_offset, &admin->trim);
    MODEL_CHECK(err == BASE_ERR_OK);
    partition_offsets(partition, &offsets);
    MODEL_CHECK(offsets.start >= admin->trim_offset); /* readable from there at once */
}

/* Lookups. */

/* No record in [from, to) is as young as asked for, as far as anybody knows. */
static void check_older(struct broker_world *world, const struct model_partition *place,
                        int64_t from, int64_t to, int64_t timestamp_ms)
{
    for (int64_t i = from; i < to; i++) {
        uint32_t number = broker_model_at(place, i);
        MODEL_CHECK(number == 0 || world->model.values[number].timestamp_ms < timestamp_ms);
    }
}

static void lookup_over(struct base_task *task)
{
    struct broker_admin *admin = BASE_CONTAINER_OF(task, struct broker_admin, lookup.task);
    struct broker_world *world = admin->client.world;
    const struct logstore_lookup *lookup = &admin->lookup;
    const struct model_partition *place =
        &world->model.topics[admin->lookup_topic].partitions[admin->lookup_index];
    struct partition_offsets offsets;

    world->open_count--;
    admin->lookup_pending = false;
    partition_offsets(admin->lookup_partition, &offsets);
    partition_release(&admin->lookup_partition);
    if (lookup->err != BASE_ERR_OK) {
        broker_world_check_err(world, admin->lookup_topic, lookup->err);
        return;
    }
    if (lookup->offset < 0) {
        check_older(world, place, offsets.start, admin->lookup_end, lookup->timestamp_ms);
        return;
    }
    check_older(world, place, offsets.start, lookup->offset, lookup->timestamp_ms);
    MODEL_CHECK(lookup->found_timestamp_ms >= lookup->timestamp_ms);
    MODEL_CHECK(lookup->offset < offsets.high_watermark);
    uint32_t number = broker_model_at(place, lookup->offset);
    MODEL_CHECK(number == 0 ||
                world->model.values[number].timestamp_ms == lookup->found_timestamp_ms);
}

static void look_up(struct broker_admin *admin)
{
    struct broker_world *world = admin->client.world;
    struct partition_offsets offsets;

    if (!broker_world_pick_partition(world, &admin->lookup_topic, &admin->lookup_index)) {
        return;
    }
    admin->lookup_partition =
        broker_world_partition(world, admin->lookup_topic, admin->lookup_index);
    partition_offsets(admin->lookup_partition, &offsets);
    admin->lookup_end = offsets.high_watermark;
    admin->lookup = (struct logstore_lookup){
        .timestamp_ms = broker_world_now_ms(world) - (int64_t)broker_world_pick(world, 20000),
        .executor = admin->client.loop,
        .task.run = lookup_over};
    admin->lookup_pending = true;
    world->open_count++;
    partition_lookup(admin->lookup_partition, &admin->lookup);
}

static void act(struct broker_client *client)
{
    struct broker_admin *admin = BASE_CONTAINER_OF(client, struct broker_admin, client);
    struct broker_world *world = client->world;

    if (!world->is_up || world->is_ending) {
        return;
    }
    if (!admin->lookup_pending && broker_world_chance(world, 4)) {
        look_up(admin);
    }
    if (!admin->trim_pending && broker_world_chance(world, 20)) {
        trim(admin);
    }
    if (!admin->op_pending && !world->is_calm && broker_world_chance(world, 10)) {
        change_topics(admin);
    }
}

static void begin(struct base_task *task)
{
    struct broker_client *client = BASE_CONTAINER_OF(task, struct broker_client, start);
    struct broker_admin *admin = BASE_CONTAINER_OF(client, struct broker_admin, client);
    create_topic(admin, MODEL_NAMES - 1);
}

struct broker_admin *broker_admin_create(struct broker_world *world)
{
    struct broker_admin *admin = base_alloc_object(struct broker_admin);

    BASE_ASSERT(admin != NULL);
    admin->client.world = world;
    admin->client.loop = world->harness.loops[0];
    admin->client.start.run = begin;
    base_executor_post(admin->client.loop, &admin->client.start);
    while (world->model.topics_count == 0 || admin->op_pending) {
        sim_scheduler_advance(world->harness.scheduler, 1000);
    }
    MODEL_CHECK(admin->op.verdict == CATALOG_DONE);
    broker_client_start(&admin->client, world, act);
    return admin;
}

void broker_admin_close(struct broker_admin **admin)
{
    base_free(*admin);
    *admin = NULL;
}
