#include "tests/sim/queue_harness.h"

#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum {
    WAIT_SECONDS_MAX = 3600,
    RETENTION_CHECK_MS_DEFAULT = 1000,
    TAIL_BYTES_DEFAULT = 1 << 20,
    SNAPSHOT_UPDATES_DEFAULT = 1000,
};

/* A task that notes that it ran. */
struct flag {
    struct base_task task;
    bool is_set;
};

static void set_flag(struct base_task *task)
{
    BASE_CONTAINER_OF(task, struct flag, task)->is_set = true;
}

void queue_harness_wait(struct queue_harness *harness, const bool *is_over)
{
    bool ended = sim_scheduler_run_until(harness->scheduler, is_over,
                                         WAIT_SECONDS_MAX * QUEUE_HARNESS_SECOND);
    BASE_ASSERT(ended);
}

void queue_harness_init(struct queue_harness *harness, uint64_t seed,
                        const struct io_sim_options *options)
{
    struct io_sim_options own = *options;

    *harness = (struct queue_harness){
        .retention_check_ms = RETENTION_CHECK_MS_DEFAULT,
        .tail_bytes_max = TAIL_BYTES_DEFAULT,
        .snapshot_updates = SNAPSHOT_UPDATES_DEFAULT,
        .committed = -1,
    };
    base_uuid_seed(seed);
    harness->scheduler = sim_scheduler_create(seed);
    for (uint32_t i = 0; i < QUEUE_HARNESS_LOOPS; i++) {
        harness->loops[i] = sim_scheduler_add(harness->scheduler, SIM_LOOP);
    }
    harness->housekeeper = sim_scheduler_add(harness->scheduler, SIM_LOOP);
    harness->pool = sim_scheduler_add(harness->scheduler, SIM_POOL);
    harness->clock = sim_scheduler_clock(harness->scheduler);
    own.scheduler = harness->scheduler;
    harness->sim = io_sim_create(&own);
}

void queue_harness_fini(struct queue_harness *harness)
{
    queue_harness_stop(harness);
    io_sim_close(&harness->sim);
    sim_scheduler_close(&harness->scheduler);
}

static bool is_active(void *context, const char *group_id)
{
    struct queue_harness *harness = context;
    (void)group_id;
    return harness->kafka_is_active;
}

static void committed_offsets(void *context, const char *group_id,
                              const struct catalog_topic *topic, int64_t *offsets)
{
    struct queue_harness *harness = context;
    (void)group_id;
    harness->committed_asked++;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        offsets[i] = harness->committed;
    }
}

/* The part of starting that belongs to the worker. */
struct catalog_start {
    struct queue_harness *harness;
    struct base_task task;
    int32_t generation;
    enum base_err err;
    bool is_over;
};

static void start_catalog(struct base_task *task)
{
    struct catalog_start *start = BASE_CONTAINER_OF(task, struct catalog_start, task);

    start->err = catalog_next_generation(start->harness->store, &start->generation);
    if (start->err == BASE_ERR_OK) {
        const struct catalog_options options = {
            .store = start->harness->store,
            .queues_per_project_max = 1000,
            .groups_per_queue_max = 10,
            .partitions_max = 10000,
            .leader_epoch = start->generation,
        };
        start->err = catalog_open(&options, &start->harness->catalog);
    }
    start->is_over = true;
}

static enum base_err start_partitions(struct queue_harness *harness, int32_t generation)
{
    const struct partition_table_options options = {
        .catalog = harness->catalog,
        .store = harness->store,
        .leader_epoch = generation,
        .flush_interval_ms = 1000,
        .flush_bytes = 64 << 20,
    };
    struct flag opened = {.task.run = set_flag};

    enum base_err err = partition_table_create(&options, &harness->table);
    BASE_ASSERT(err == BASE_ERR_OK);
    io_sim_set_full(harness->sim, harness->opens_full);
    err = partition_table_open_all(harness->table, harness->loops[0], &opened.task);
    BASE_ASSERT(err == BASE_ERR_OK);
    queue_harness_wait(harness, &opened.is_set);
    io_sim_set_full(harness->sim, false);
    return BASE_ERR_OK;
}

struct queues_start {
    struct queue_open open;
    bool is_over;
};

static void queues_opened(struct base_task *task)
{
    struct queue_open *open = BASE_CONTAINER_OF(task, struct queue_open, task);
    BASE_CONTAINER_OF(open, struct queues_start, open)->is_over = true;
}

static void open_queues(void *context)
{
    struct queue_harness *harness = context;
    const struct queue_manager_options options = {
        .catalog = harness->catalog,
        .table = harness->table,
        .clock = harness->clock,
        .worker = harness->pool,
        .executors = harness->loops,
        .executors_count = QUEUE_HARNESS_LOOPS,
        .journal_partitions = 2,
        .delay_partitions = 2,
        .delayed_max = harness->delayed_max,
        .delayed_queue_max = harness->delayed_queue_max,
        .delay_rewrite_bytes = harness->delay_rewrite_bytes,
        .snapshot_updates = harness->snapshot_updates,
        .kafka_group_is_active = is_active,
        .committed_offsets = committed_offsets,
        .context = harness,
    };
    enum base_err err = queue_manager_create(&options, &harness->manager);
    BASE_ASSERT(err == BASE_ERR_OK);
}

static enum base_err start_queues(struct queue_harness *harness)
{
    struct queues_start start = {.open.executor = harness->loops[0],
                                 .open.task = {.run = queues_opened}};

    queue_harness_run_on(harness, 0, open_queues, harness);
    queue_manager_open(harness->manager, &start.open);
    queue_harness_wait(harness, &start.is_over);
    return start.open.err;
}

enum base_err queue_harness_start(struct queue_harness *harness)
{
    const struct logstore_store_options options = {
        .io = io_sim_io(harness->sim),
        .worker = harness->pool,
        .housekeeper = harness->housekeeper,
        .clock = harness->clock,
        .tail_bytes_max = harness->tail_bytes_max,
        .open_segments_max = 64,
        .retention_check_ms = harness->retention_check_ms,
    };
    struct catalog_start start = {.harness = harness, .task.run = start_catalog};

    BASE_ASSERT(harness->store == NULL);
    enum base_err err = logstore_store_create(&options, &harness->store);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_executor_post(harness->pool, &start.task);
    queue_harness_wait(harness, &start.is_over);
    err = start.err;
    if (err == BASE_ERR_OK) {
        err = start_partitions(harness, start.generation);
    }
    if (err == BASE_ERR_OK) {
        err = start_queues(harness);
    }
    if (err != BASE_ERR_OK) {
        queue_harness_stop(harness);
    }
    return err;
}

void queue_harness_stop(struct queue_harness *harness)
{
    struct base_executor *loop = harness->loops[0];
    struct flag closed = {.task.run = set_flag};

    if (harness->manager != NULL) {
        queue_manager_close(harness->manager, loop, &closed.task);
        harness->manager = NULL;
        queue_harness_wait(harness, &closed.is_set);
    }
    if (harness->table != NULL) {
        closed.is_set = false;
        partition_table_close(harness->table, loop, &closed.task);
        harness->table = NULL;
        queue_harness_wait(harness, &closed.is_set);
    }
    if (harness->catalog != NULL) {
        closed.is_set = false;
        catalog_close(harness->catalog, loop, &closed.task);
        harness->catalog = NULL;
        queue_harness_wait(harness, &closed.is_set);
    }
    sim_scheduler_run(harness->scheduler);
    logstore_store_close(&harness->store);
}

struct call {
    struct base_task task;
    queue_harness_call *call;
    void *context;
    bool is_over;
};

static void run_call(struct base_task *task)
{
    struct call *call = BASE_CONTAINER_OF(task, struct call, task);
    call->call(call->context);
    call->is_over = true;
}

void queue_harness_run_on(struct queue_harness *harness, uint32_t loop, queue_harness_call *call,
                          void *context)
{
    struct call own = {.task.run = run_call, .call = call, .context = context};
    base_executor_post(harness->loops[loop], &own.task);
    queue_harness_wait(harness, &own.is_over);
}

/* A change of topics under way. */
struct change {
    struct queue_harness *harness;
    struct partition_topic_op op;
    struct catalog_topic *draft;
    const struct catalog_topic *topic;
    const char *name;
    bool is_over;
};

static void op_over(struct base_task *task)
{
    struct partition_topic_op *op = BASE_CONTAINER_OF(task, struct partition_topic_op, task);
    BASE_CONTAINER_OF(op, struct change, op)->is_over = true;
}

static void change_init(struct change *change, struct queue_harness *harness)
{
    *change = (struct change){.harness = harness};
    change->op.executor = harness->loops[0];
    change->op.task.run = op_over;
}

static void make_topic(void *context)
{
    struct change *change = context;
    partition_create_topic(change->harness->table, change->draft, &change->op);
}

static struct catalog_topic *draft_queue(const char *name, enum catalog_kind kind,
                                         int32_t partitions_count)
{
    struct catalog_topic *draft =
        catalog_topic_draft(base_slice_text(name), base_slice_text(name), kind);
    BASE_ASSERT(draft != NULL);
    draft->partitions_count = partitions_count;
    draft->made_by_rest = true;
    return draft;
}

/* draft is moved. */
static struct catalog_topic *make_queue(struct queue_harness *harness, struct catalog_topic *draft)
{
    struct change change;

    change_init(&change, harness);
    change.draft = draft;
    queue_harness_run_on(harness, 0, make_topic, &change);
    queue_harness_wait(harness, &change.is_over);
    if (change.op.verdict != CATALOG_DONE) {
        BASE_ASSERT(io_sim_has_crashed(harness->sim));
        catalog_topic_release(&change.op.topic);
        return NULL;
    }
    return change.op.topic;
}

struct catalog_topic *queue_harness_make_queue(struct queue_harness *harness, const char *name,
                                               enum catalog_kind kind, int32_t partitions_count,
                                               int64_t retention_ms)
{
    struct catalog_topic *draft = draft_queue(name, kind, partitions_count);
    char text[32];

    if (retention_ms != 0) {
        (void)snprintf(text, sizeof text, "%lld", (long long)retention_ms);
        enum base_err err =
            catalog_config_set(&draft->config, CATALOG_CONFIG_RETENTION_MS, base_slice_text(text));
        BASE_ASSERT(err == BASE_ERR_OK);
    }
    return make_queue(harness, draft);
}

struct catalog_topic *queue_harness_make_redrive_queue(struct queue_harness *harness,
                                                       const char *name, enum catalog_kind kind,
                                                       int32_t partitions_count,
                                                       int32_t max_consume_count)
{
    struct catalog_topic *draft = draft_queue(name, kind, partitions_count);

    draft->redrive = true;
    draft->max_consume_count = max_consume_count;
    return make_queue(harness, draft);
}

static void make_group(void *context)
{
    struct change *change = context;
    struct base_slice name = base_slice_text(change->name);
    partition_create_groups(change->harness->table, change->topic->id, &name, 1, &change->op);
}

static bool group_changed(struct queue_harness *harness, struct change *change,
                          struct catalog_topic **topic)
{
    queue_harness_wait(harness, &change->is_over);
    if (change->op.verdict != CATALOG_DONE) {
        BASE_ASSERT(io_sim_has_crashed(harness->sim));
        catalog_topic_release(&change->op.topic);
        return false;
    }
    catalog_topic_release(topic);
    *topic = change->op.topic;
    return true;
}

bool queue_harness_make_group(struct queue_harness *harness, struct catalog_topic **topic,
                              const char *name)
{
    struct change change;

    change_init(&change, harness);
    change.topic = *topic;
    change.name = name;
    queue_harness_run_on(harness, 0, make_group, &change);
    return group_changed(harness, &change, topic);
}

static void delete_group(void *context)
{
    struct change *change = context;
    partition_delete_group(change->harness->table, change->topic->id, base_slice_text(change->name),
                           &change->op);
}

bool queue_harness_delete_group(struct queue_harness *harness, struct catalog_topic **topic,
                                const char *group_id)
{
    struct change change;
    char id[CATALOG_GROUP_ID_SIZE];

    (void)snprintf(id, sizeof id, "%s", group_id);
    change_init(&change, harness);
    change.topic = *topic;
    change.name = id;
    queue_harness_run_on(harness, 0, delete_group, &change);
    if (!group_changed(harness, &change, topic)) {
        return false;
    }
    queue_group_deleted(harness->manager, base_slice_text(id));
    return true;
}

static void delete_topic(void *context)
{
    struct change *change = context;
    partition_delete_topic(change->harness->table, change->topic->id, &change->op);
}

bool queue_harness_delete_queue(struct queue_harness *harness, const struct catalog_topic *topic)
{
    struct change change;

    change_init(&change, harness);
    change.topic = topic;
    queue_harness_run_on(harness, 0, delete_topic, &change);
    queue_harness_wait(harness, &change.is_over);
    catalog_topic_release(&change.op.topic);
    BASE_ASSERT(change.op.verdict == CATALOG_DONE || io_sim_has_crashed(harness->sim));
    return change.op.verdict == CATALOG_DONE;
}

static void consume_end(struct queue_harness_consume *own)
{
    own->is_over = true;
    if (own->on_over != NULL) {
        own->on_over(own);
    }
}

static void consume_over(struct base_task *task)
{
    struct queue_consume *consume = BASE_CONTAINER_OF(task, struct queue_consume, task);
    consume_end(BASE_CONTAINER_OF(consume, struct queue_harness_consume, consume));
}

static void consume_start(struct base_task *task)
{
    struct queue_harness_consume *own =
        BASE_CONTAINER_OF(task, struct queue_harness_consume, start);
    if (queue_consume(own->manager, &own->consume) == QUEUE_DONE) {
        consume_end(own);
    }
}

void queue_harness_start_consume(struct queue_harness *harness, uint32_t loop,
                                 struct queue_harness_consume *consume)
{
    consume->manager = harness->manager;
    consume->is_over = false;
    consume->consume.executor = harness->loops[loop];
    consume->consume.task.run = consume_over;
    consume->start.run = consume_start;
    base_executor_post(harness->loops[loop], &consume->start);
}

static void ack_end(struct queue_harness_ack *own)
{
    own->is_over = true;
    if (own->on_over != NULL) {
        own->on_over(own);
    }
}

static void ack_over(struct base_task *task)
{
    struct queue_ack *ack = BASE_CONTAINER_OF(task, struct queue_ack, task);
    ack_end(BASE_CONTAINER_OF(ack, struct queue_harness_ack, ack));
}

static void ack_start(struct base_task *task)
{
    struct queue_harness_ack *own = BASE_CONTAINER_OF(task, struct queue_harness_ack, start);
    if (own->on_start != NULL) {
        own->on_start(own);
    }
    if (queue_ack(own->manager, &own->ack) == QUEUE_DONE) {
        ack_end(own);
    }
}

void queue_harness_start_ack(struct queue_harness *harness, uint32_t loop,
                             struct queue_harness_ack *ack)
{
    ack->manager = harness->manager;
    ack->is_over = false;
    ack->ack.executor = harness->loops[loop];
    ack->ack.task.run = ack_over;
    ack->start.run = ack_start;
    base_executor_post(harness->loops[loop], &ack->start);
}

static void reset_end(struct queue_harness_reset *own)
{
    own->is_over = true;
    if (own->on_over != NULL) {
        own->on_over(own);
    }
}

static void reset_over(struct base_task *task)
{
    struct queue_reset *reset = BASE_CONTAINER_OF(task, struct queue_reset, task);
    reset_end(BASE_CONTAINER_OF(reset, struct queue_harness_reset, reset));
}

static void reset_start(struct base_task *task)
{
    struct queue_harness_reset *own = BASE_CONTAINER_OF(task, struct queue_harness_reset, start);
    if (queue_reset(own->manager, &own->reset) == QUEUE_DONE) {
        reset_end(own);
    }
}

void queue_harness_start_reset(struct queue_harness *harness, uint32_t loop,
                               struct queue_harness_reset *reset)
{
    reset->manager = harness->manager;
    reset->is_over = false;
    reset->reset.executor = harness->loops[loop];
    reset->reset.task.run = reset_over;
    reset->start.run = reset_start;
    base_executor_post(harness->loops[loop], &reset->start);
}

static void produce_end(struct queue_harness_produce *own)
{
    own->is_over = true;
    if (own->on_over != NULL) {
        own->on_over(own);
    }
}

static void produce_over(struct base_task *task)
{
    struct queue_produce *produce = BASE_CONTAINER_OF(task, struct queue_produce, task);
    produce_end(BASE_CONTAINER_OF(produce, struct queue_harness_produce, produce));
}

static void produce_start(struct base_task *task)
{
    struct queue_harness_produce *own =
        BASE_CONTAINER_OF(task, struct queue_harness_produce, start);
    if (queue_produce(own->manager, &own->produce) == QUEUE_DONE) {
        produce_end(own);
    }
}

void queue_harness_start_produce(struct queue_harness *harness, uint32_t loop,
                                 struct queue_harness_produce *produce)
{
    produce->manager = harness->manager;
    produce->is_over = false;
    produce->produce.executor = harness->loops[loop];
    produce->produce.task.run = produce_over;
    produce->start.run = produce_start;
    base_executor_post(harness->loops[loop], &produce->start);
}
