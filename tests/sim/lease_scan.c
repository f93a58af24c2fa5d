/* The logs, read whole without consuming: what was acknowledged is there, once, at its place. */
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/text.h"
#include "core/queue/browse.h"
#include "tests/sim/lease_world.h"

struct browse {
    struct queue_browse request;
    struct lease_world *world;
    bool is_over;
};

/* The last of the delayed messages seen in a FIFO queue. */
struct order {
    int64_t deliver_at_ms;
    int64_t delay_offset;
};

static void on_over(struct base_task *task)
{
    struct queue_browse *request = BASE_CONTAINER_OF(task, struct queue_browse, task);
    BASE_CONTAINER_OF(request, struct browse, request)->is_over = true;
}

static void start(void *context)
{
    struct browse *browse = context;
    enum queue_progress progress = queue_browse(browse->world->harness.manager, &browse->request);
    browse->is_over |= progress == QUEUE_DONE;
}

static int64_t number_of(const struct logstore_record *record, const char *key)
{
    struct base_slice text;
    int64_t number;

    bool is_there = logstore_record_header(record, key, &text) && base_text_int64(text, &number);
    LEASE_CHECK(is_there);
    return number;
}

/* By due time, and then as they were produced. What was written anew has lost its place among
 * those of the same millisecond. */
static void check_order(const struct lease_world *world, struct order *last,
                        const struct logstore_record *record)
{
    const struct order next = {number_of(record, "dms.deliver_at"),
                               number_of(record, "dms.delay_offset")};

    LEASE_CHECK(next.deliver_at_ms >= last->deliver_at_ms);
    LEASE_CHECK(next.deliver_at_ms > last->deliver_at_ms ||
                world->harness.delay_rewrite_bytes > 0 || next.delay_offset > last->delay_offset);
    *last = next;
}

/* False when the disk has crashed. */
static bool scan_partition(struct lease_world *world, struct lease_queue *queue, int32_t partition)
{
    struct browse *browse = base_alloc_object(struct browse);
    struct order last = {-1, -1};
    bool has_more = true;
    bool is_ok = true;

    BASE_ASSERT(browse != NULL);
    browse->world = world;
    browse->request.offset = -1;
    while (has_more && is_ok) {
        struct queue_browse *request = &browse->request;
        request->executor = world->harness.loops[0];
        request->task.run = on_over;
        request->topic = queue->topic;
        request->partition = partition;
        request->timestamp_ms = -1;
        request->messages_max = QUEUE_BROWSE_MESSAGES_MAX;
        browse->is_over = false;
        queue_harness_run_on(&world->harness, 0, start, browse);
        queue_harness_wait(&world->harness, &browse->is_over);
        is_ok = request->verdict == QUEUE_OK;
        for (uint32_t i = 0; is_ok && i < request->messages_count; i++) {
            const struct logstore_record *record = &request->messages[i].record;
            uint32_t number = lease_model_identify(queue, partition, record);
            queue->messages[number].scan = world->scans;
            if (queue->is_fifo && queue->messages[number].is_delayed) {
                check_order(world, &last, record);
            }
        }
        has_more = request->has_more;
        request->offset = request->next_offset;
        queue_browse_release(request);
    }
    base_free(browse);
    LEASE_CHECK(is_ok || lease_is_down(world));
    return is_ok;
}

static int64_t delayed_count(struct lease_world *world, const struct lease_queue *queue)
{
    struct queue_counters counters;
    enum queue_verdict verdict =
        queue_count(world->harness.manager, queue->topic, base_slice_of(NULL, 0), &counters);

    LEASE_CHECK(verdict == QUEUE_OK);
    return counters.delayed;
}

void lease_scan(struct lease_world *world, struct lease_queue *queue)
{
    bool *is_promised = base_alloc_array(LEASE_MESSAGES_MAX, sizeof is_promised[0]);
    int64_t delayed = delayed_count(world, queue);
    bool is_whole = true;

    BASE_ASSERT(is_promised != NULL);
    for (uint32_t i = 0; i < queue->messages_count; i++) {
        is_promised[i] = queue->messages[i].fate == FATE_STORED;
    }
    world->scans++;
    for (int32_t i = 0; is_whole && i < queue->topic->partitions_count; i++) {
        is_whole = scan_partition(world, queue, i);
    }
    for (uint32_t i = 0; is_whole && i < queue->messages_count; i++) {
        const struct lease_message *message = &queue->messages[i];
        bool is_missing = is_promised[i] && message->scan != world->scans &&
                          !lease_model_has_expired(queue, message);
        bool is_waiting = is_missing && message->is_delayed && message->offset < 0;
        delayed -= is_waiting;
        LEASE_CHECK(!is_missing || is_waiting);
    }
    LEASE_CHECK(!is_whole || delayed >= 0); /* who is not there still waits */
    base_free(is_promised);
}

void lease_scan_all(struct lease_world *world)
{
    for (uint32_t i = 0; i < LEASE_QUEUES && !lease_is_down(world); i++) {
        lease_scan(world, world->queues[i]);
    }
    for (uint32_t i = 0; i < LEASE_QUEUES * LEASE_GROUPS && !lease_is_down(world); i++) {
        struct lease_group *group = world->queues[i / LEASE_GROUPS]->groups[i % LEASE_GROUPS];
        if (group->letters != NULL) {
            lease_scan(world, group->letters);
        }
    }
}
