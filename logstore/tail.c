/* Tail cache: a ring of runs. Copied batches are written behind bytes that readers may
 * already hold; those are never changed, so sharing the buffer is safe. */
#include "logstore/tail.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/endian.h"

enum {
    RUNS_COUNT_MIN = 8,
    RUNS_COUNT_MAX = 1024,
    COPY_BYTES_MIN = 4096, /* first buffer for copies of a log; each next one is twice as large */
    RUN_BYTES_MAX = 65536, /* a run is searched by walking its batches */
};

void logstore_tail_init(struct logstore_tail *tail, struct logstore_tail_budget *budget)
{
    *tail = (struct logstore_tail){.budget = budget};
}

static struct logstore_tail_run *run_at(const struct logstore_tail *tail, uint32_t index)
{
    BASE_ASSERT(index < tail->count);
    return &tail->runs[(tail->head + index) & (tail->capacity - 1)];
}

static void charge(struct logstore_tail *tail, size_t bytes)
{
    tail->bytes += bytes;
    atomic_fetch_add_explicit(&tail->budget->used_bytes, bytes, memory_order_relaxed);
}

static void drop_oldest(struct logstore_tail *tail)
{
    struct logstore_tail_run *run = run_at(tail, 0);

    tail->bytes -= run->length;
    atomic_fetch_sub_explicit(&tail->budget->used_bytes, run->length, memory_order_relaxed);
    base_buffer_release(&run->buffer);
    tail->head = (tail->head + 1) & (tail->capacity - 1);
    tail->count--;
}

void logstore_tail_clear(struct logstore_tail *tail)
{
    while (tail->count > 0) {
        drop_oldest(tail);
    }
    BASE_ASSERT(tail->bytes == 0);
    base_buffer_release(&tail->copy);
    tail->copy_used = 0;
    base_free(tail->runs);
    tail->runs = NULL;
    tail->head = 0;
    tail->capacity = 0;
}

void logstore_tail_fini(struct logstore_tail *tail)
{
    logstore_tail_clear(tail);
}

static bool is_over_budget(const struct logstore_tail *tail, size_t bytes)
{
    size_t used_bytes = atomic_load_explicit(&tail->budget->used_bytes, memory_order_relaxed);
    return used_bytes + bytes > tail->budget->bytes_max;
}

/* Makes room for `bytes` more; false if they cannot be had. */
static bool make_room(struct logstore_tail *tail, size_t bytes)
{
    if (bytes > LOGSTORE_TAIL_BYTES_MAX) {
        return false;
    }
    while (tail->count > 0 &&
           (tail->bytes + bytes > LOGSTORE_TAIL_BYTES_MAX || is_over_budget(tail, bytes))) {
        drop_oldest(tail);
    }
    return !is_over_budget(tail, bytes);
}

/* Room for one more run; false when memory is out. */
static bool reserve_run(struct logstore_tail *tail)
{
    if (tail->count == RUNS_COUNT_MAX) {
        drop_oldest(tail);
    }
    if (tail->count < tail->capacity) {
        return true;
    }
    uint32_t capacity = tail->capacity == 0 ? RUNS_COUNT_MIN : tail->capacity * 2;
    struct logstore_tail_run *runs = base_alloc_array(capacity, sizeof runs[0]);
    if (runs == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < tail->count; i++) {
        runs[i] = *run_at(tail, i);
    }
    base_free(tail->runs);
    tail->runs = runs;
    tail->head = 0;
    tail->capacity = capacity;
    return true;
}

/* Copies a batch behind the others, into a new buffer if there is no room; false when
 * memory is out. */
static bool copy_batch(struct logstore_tail *tail, const struct base_chunk *bytes, size_t *position)
{
    if (tail->copy == NULL || bytes->length > tail->copy->capacity - tail->copy_used) {
        size_t capacity = tail->copy == NULL ? COPY_BYTES_MIN : tail->copy->capacity * 2;
        capacity = capacity > LOGSTORE_TAIL_COPY_BYTES ? LOGSTORE_TAIL_COPY_BYTES : capacity;
        capacity = capacity < bytes->length ? bytes->length : capacity;
        struct base_buffer *fresh = base_buffer_create(capacity);
        if (fresh == NULL) {
            return false;
        }
        base_buffer_release(&tail->copy);
        tail->copy = fresh;
        tail->copy_used = 0;
    }
    *position = tail->copy_used;
    memcpy(tail->copy->data + tail->copy_used, bytes->buffer->data + bytes->position,
           bytes->length);
    tail->copy_used += bytes->length;
    return true;
}

/* Makes the batch part of the last run if it lies right behind it. */
static bool extend_last(struct logstore_tail *tail, const struct logstore_tail_run *batch)
{
    if (tail->count == 0) {
        return false;
    }
    struct logstore_tail_run *last = run_at(tail, tail->count - 1);
    if (last->buffer != batch->buffer || last->position + last->length != batch->position ||
        last->length + batch->length > RUN_BYTES_MAX) {
        return false;
    }
    last->length += batch->length;
    last->next_offset = batch->next_offset;
    return true;
}

static bool add(struct logstore_tail *tail, const struct base_chunk *bytes,
                const struct logstore_batch *batch)
{
    struct logstore_tail_run run = {
        .buffer = bytes->buffer,
        .position = (size_t)bytes->position,
        .length = bytes->length,
        .base_offset = batch->base_offset,
        .next_offset = logstore_batch_next_offset(batch),
    };
    if (!make_room(tail, bytes->length)) {
        return false;
    }
    if (bytes->length < LOGSTORE_TAIL_SHARED_MIN ||
        bytes->buffer->capacity / LOGSTORE_TAIL_SLACK_MAX > bytes->length) {
        if (!copy_batch(tail, bytes, &run.position)) {
            return false;
        }
        run.buffer = tail->copy;
    }
    if (!extend_last(tail, &run)) {
        if (!reserve_run(tail)) {
            return false;
        }
        (void)base_buffer_hold(run.buffer);
        tail->count++;
        *run_at(tail, tail->count - 1) = run;
    }
    charge(tail, run.length);
    return true;
}

void logstore_tail_add(struct logstore_tail *tail, const struct base_chunk *bytes,
                       const struct logstore_batch *batch)
{
    BASE_ASSERT(bytes->buffer != NULL);
    BASE_ASSERT(tail->count == 0 ||
                run_at(tail, tail->count - 1)->next_offset == batch->base_offset);
    if (!add(tail, bytes, batch)) {
        logstore_tail_clear(tail); /* a gap would be worse than nothing */
    }
}

/* What reading needs to know of a batch in memory, which was checked when it came. */
struct step {
    size_t length;
    int64_t base_offset;
    int64_t next_offset;
};

static struct step step_at(const struct logstore_tail_run *run, size_t position)
{
    const uint8_t *bytes = run->buffer->data + run->position + position;
    BASE_ASSERT(run->length - position >= LOGSTORE_BATCH_HEADER_SIZE);

    struct step step = {
        .length = base_get_u32(bytes + LOGSTORE_BATCH_AT_LENGTH) + LOGSTORE_BATCH_LENGTH_OVERHEAD,
        .base_offset = base_get_i64(bytes),
    };
    step.next_offset =
        step.base_offset + base_get_i32(bytes + LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA) + 1;
    BASE_ASSERT(step.length <= run->length - position);
    return step;
}

/* Index of the run that holds offset. */
static uint32_t find_run(const struct logstore_tail *tail, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = tail->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run_at(tail, middle)->next_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* True while the read may still take a batch of `length` bytes. */
static bool has_room(const struct logstore_tail_read *read, size_t length)
{
    if (read->length == 0 && read->first_whole) {
        return true;
    }
    return read->bytes_max >= read->length && length <= read->bytes_max - read->length;
}

/* Takes whole batches of run from position on; false when the read is at its end. */
static bool take_run(const struct logstore_tail_run *run, size_t position,
                     struct logstore_tail_read *read)
{
    size_t from = position;
    bool more = true;

    /* The usual case needs no walk. */
    if (run->next_offset <= read->limit_offset && read->length <= read->bytes_max &&
        run->length - from <= read->bytes_max - read->length) {
        position = run->length;
        read->length += run->length - from;
        read->next_offset = run->next_offset;
    }
    while (position < run->length) {
        struct step step = step_at(run, position);
        if (step.base_offset >= read->limit_offset || !has_room(read, step.length)) {
            more = false;
            break;
        }
        position += step.length;
        read->length += step.length;
        read->next_offset = step.next_offset;
    }
    if (position > from) {
        read->chunks[read->chunks_count] = (struct base_chunk){
            .buffer = base_buffer_hold(run->buffer),
            .position = run->position + from,
            .length = position - from,
        };
        read->chunks_count++;
    }
    return more;
}

bool logstore_tail_read(const struct logstore_tail *tail, struct logstore_tail_read *read)
{
    if (tail->count == 0 || read->offset < run_at(tail, 0)->base_offset) {
        return false;
    }
    read->chunks_count = 0;
    read->length = 0;
    read->next_offset = read->offset;

    uint32_t index = find_run(tail, read->offset);
    size_t position = 0;
    if (index < tail->count) {
        const struct logstore_tail_run *run = run_at(tail, index);
        for (struct step step = step_at(run, 0); step.next_offset <= read->offset;
             step = step_at(run, position)) {
            position += step.length;
        }
    }
    while (index < tail->count && read->chunks_count < read->chunks_max &&
           take_run(run_at(tail, index), position, read)) {
        index++;
        position = 0;
    }
    return true;
}
