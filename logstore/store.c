/* What logs share: deadlines of their housekeeping, background syncs, open segments. */
#include "logstore/store.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "logstore/store_priv.h"

/* Sends the earliest deadline to the housekeeper. Posting under the lock keeps it in
 * front of whatever is posted after logstore__store_remove(). */
static void send_deadline(struct logstore_store *store)
{
    if (!store->arm_posted) {
        store->arm_posted = true;
        base_executor_post(store->housekeeper, &store->arm_task);
    }
}

static void schedule_locked(struct logstore_store *store, struct logstore__resident *resident,
                            int64_t due_us)
{
    if (resident->closed ||
        (base_timer_is_armed(&resident->timer) && resident->timer.deadline_us <= due_us)) {
        return;
    }
    int64_t before_us = base_timer_heap_next_us(&store->heap);
    resident->timer.deadline_us = due_us;
    base_timer_heap_arm(&store->heap, &resident->timer);
    if (before_us < 0 || due_us < before_us) {
        send_deadline(store);
    }
}

/* On the housekeeper: brings its timer in line with the earliest deadline. */
static void arm_timer(struct logstore_store *store)
{
    base_mutex_lock(&store->lock);
    int64_t next_us = base_timer_heap_next_us(&store->heap);
    base_mutex_unlock(&store->lock);
    if (next_us >= 0 &&
        (!base_timer_is_armed(&store->timer) || store->timer.deadline_us > next_us)) {
        base_timer_arm(store->housekeeper, &store->timer, next_us);
    }
}

static void deadline_came(struct base_task *task)
{
    struct logstore_store *store = BASE_CONTAINER_OF(task, struct logstore_store, arm_task);

    base_mutex_lock(&store->lock);
    store->arm_posted = false;
    base_mutex_unlock(&store->lock);
    arm_timer(store);
}

/* Takes one log whose deadline has passed; NULL when there is none. */
static struct logstore__resident *take_due(struct logstore_store *store, int64_t now_us)
{
    struct logstore__resident *resident = NULL;

    base_mutex_lock(&store->lock);
    if (store->heap.count > 0 && store->heap.timers[1]->deadline_us <= now_us) {
        struct base_timer *timer = store->heap.timers[1];
        base_timer_heap_stop(&store->heap, timer);
        resident = BASE_CONTAINER_OF(timer, struct logstore__resident, timer);
    }
    base_mutex_unlock(&store->lock);
    return resident;
}

static void ring(struct base_timer *timer)
{
    struct logstore_store *store = BASE_CONTAINER_OF(timer, struct logstore_store, timer);
    int64_t now_us = base_clock_monotonic_us(store->clock);

    for (struct logstore__resident *due = take_due(store, now_us); due != NULL;
         due = take_due(store, now_us)) {
        logstore__log_housekeep(due);
    }
    arm_timer(store);
}

static void no_fire(struct base_timer *timer)
{
    (void)timer;
    base_assert_fail("timers of logs are taken, not fired", __FILE__, __LINE__);
}

enum base_err logstore_store_create(const struct logstore_store_options *options,
                                    struct logstore_store **out)
{
    BASE_ASSERT(options->io != NULL);
    BASE_ASSERT(options->worker != NULL);
    BASE_ASSERT(options->housekeeper != NULL);
    BASE_ASSERT(options->clock != NULL);
    BASE_ASSERT(options->retention_check_ms > 0);

    *out = NULL;
    struct logstore_store *store = base_alloc_object(struct logstore_store);
    if (store == NULL) {
        return BASE_ERR_NOMEM;
    }
    store->io = options->io;
    store->worker = options->worker;
    store->housekeeper = options->housekeeper;
    store->clock = options->clock;
    store->tail_budget.bytes_max = options->tail_bytes_max;
    atomic_init(&store->tail_budget.used_bytes, 0);
    store->open_segments_max = options->open_segments_max;
    store->retention_check_ms = options->retention_check_ms;
    atomic_init(&store->stops_waiting, false);
    store->timer.fire = ring;
    store->arm_task.run = deadline_came;
    base_mutex_init(&store->lock);
    base_timer_heap_init(&store->heap);
    base_list_init(&store->open_segments);
    base_list_init(&store->flush_waiting);
    *out = store;
    return BASE_ERR_OK;
}

void logstore_store_close(struct logstore_store **store)
{
    if (*store == NULL) {
        return;
    }
    BASE_ASSERT((*store)->logs_count == 0);
    BASE_ASSERT(!(*store)->arm_posted);
    BASE_ASSERT(!base_timer_is_armed(&(*store)->timer));
    BASE_ASSERT(atomic_load(&(*store)->tail_budget.used_bytes) == 0);
    base_timer_heap_fini(&(*store)->heap);
    base_mutex_fini(&(*store)->lock);
    base_free(*store);
    *store = NULL;
}

void logstore_store_stop_waiting(struct logstore_store *store)
{
    atomic_store(&store->stops_waiting, true);
}

struct logstore_io *logstore_store_io(struct logstore_store *store)
{
    return store->io;
}

struct base_executor *logstore_store_worker(struct logstore_store *store)
{
    return store->worker;
}

struct base_executor *logstore_store_housekeeper(struct logstore_store *store)
{
    return store->housekeeper;
}

struct base_clock *logstore_store_clock(struct logstore_store *store)
{
    return store->clock;
}

enum base_err logstore_store_remove_log(struct logstore_store *store, const char *log_name)
{
    return store->io->ops->remove_all(store->io, log_name);
}

enum base_err logstore__store_add(struct logstore_store *store, struct logstore__resident *resident)
{
    resident->timer.fire = no_fire;
    base_mutex_lock(&store->lock);
    enum base_err err = base_timer_heap_reserve(&store->heap, store->logs_count + 1);
    if (err == BASE_ERR_OK) {
        store->logs_count++;
    }
    base_mutex_unlock(&store->lock);
    return err;
}

void logstore__store_remove(struct logstore_store *store, struct logstore__resident *resident)
{
    base_mutex_lock(&store->lock);
    BASE_ASSERT(!resident->closed);
    resident->closed = true;
    base_timer_heap_stop(&store->heap, &resident->timer);
    if (base_list_is_linked(&resident->flush_link)) {
        base_list_remove(&resident->flush_link);
    }
    base_mutex_unlock(&store->lock);
}

void logstore__store_removed(struct logstore_store *store)
{
    BASE_ASSERT(base_executor_is_current(store->housekeeper));
    base_mutex_lock(&store->lock);
    BASE_ASSERT(store->logs_count > 0);
    store->logs_count--;
    bool is_last = store->logs_count == 0;
    base_mutex_unlock(&store->lock);
    if (is_last) {
        base_timer_stop(store->housekeeper, &store->timer);
    }
}

void logstore__store_schedule(struct logstore_store *store, struct logstore__resident *resident,
                              int64_t due_us)
{
    int64_t rounded_us = due_us > INT64_MAX - LOGSTORE__TICK_US
                             ? INT64_MAX
                             : (due_us / LOGSTORE__TICK_US + 1) * LOGSTORE__TICK_US;
    base_mutex_lock(&store->lock);
    schedule_locked(store, resident, rounded_us);
    base_mutex_unlock(&store->lock);
}

bool logstore__store_flush_begin(struct logstore_store *store, struct logstore__resident *resident)
{
    base_mutex_lock(&store->lock);
    bool granted = store->flushes_count < LOGSTORE__FLUSHES_MAX;
    if (granted) {
        store->flushes_count++;
    } else if (!resident->closed && !base_list_is_linked(&resident->flush_link)) {
        base_list_push_back(&store->flush_waiting, &resident->flush_link);
    }
    base_mutex_unlock(&store->lock);
    return granted;
}

void logstore__store_flush_end(struct logstore_store *store)
{
    base_mutex_lock(&store->lock);
    BASE_ASSERT(store->flushes_count > 0);
    store->flushes_count--;
    struct base_list *node = base_list_pop_front(&store->flush_waiting);
    if (node != NULL) {
        schedule_locked(store, BASE_CONTAINER_OF(node, struct logstore__resident, flush_link), 0);
    }
    base_mutex_unlock(&store->lock);
}

/* Calls the log whose segment was not used for the longest time. */
static void thin_out(struct logstore_store *store)
{
    if (store->open_segments_count > store->open_segments_max) {
        struct base_list *node = store->open_segments.next;
        struct logstore_segment *segment =
            BASE_CONTAINER_OF(node, struct logstore_segment, open_link);
        schedule_locked(store, logstore__log_resident(segment->log), 0);
    }
}

void logstore__store_segment_used(struct logstore_store *store, struct logstore_segment *segment)
{
    base_mutex_lock(&store->lock);
    if (base_list_is_linked(&segment->open_link)) {
        base_list_remove(&segment->open_link);
    } else {
        store->open_segments_count++;
    }
    base_list_push_back(&store->open_segments, &segment->open_link);
    thin_out(store);
    base_mutex_unlock(&store->lock);
}

void logstore__store_segment_gone(struct logstore_store *store, struct logstore_segment *segment)
{
    base_mutex_lock(&store->lock);
    if (base_list_is_linked(&segment->open_link)) {
        base_list_remove(&segment->open_link);
        BASE_ASSERT(store->open_segments_count > 0);
        store->open_segments_count--;
    }
    base_mutex_unlock(&store->lock);
}

bool logstore__store_is_crowded(struct logstore_store *store)
{
    base_mutex_lock(&store->lock);
    bool is_crowded = store->open_segments_count > store->open_segments_max;
    base_mutex_unlock(&store->lock);
    return is_crowded;
}
