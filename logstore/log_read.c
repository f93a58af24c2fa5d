/* Reads: from the tail in memory, else from a segment. A read of a segment is a short
 * machine of steps, each of which may end later, so that it works the same in place, on
 * a slow disk and over the network. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "logstore/log_priv.h"

enum { BLOCK_BYTES = 4096 + 512 }; /* headers are read in blocks: an index interval and a bit */

enum step {
    STEP_BEGIN,    /* find the segment; its object and index may have to be loaded */
    STEP_START,    /* walk headers from an index entry to the batch that holds the offset */
    STEP_END,      /* walk headers from an index entry to the end of what is returned */
    STEP_DATA,     /* read the range into a buffer */
    STEP_FILE,     /* or hand out a part of the file */
    STEP_FINISHED, /* err says how */
};

struct read_job {
    struct logstore_io_op op;
    struct base_task work; /* to the worker */
    struct logstore_log *log;
    struct logstore_read *read;
    struct logstore_segment *segment; /* pinned; NULL before BEGIN */
    enum logstore_io_state *state;    /* what the call gives; the caller's, until is_pending */
    bool waiting;                     /* the caller waits, on the worker: nothing is posted */
    bool on_worker;                   /* may wait right now */
    bool is_pending;                  /* the answer has to be posted */
    bool is_requested;                /* op is on its way, or has just ended */
    enum step step;
    enum base_err err;
    int64_t offset;          /* looked for; behind read->offset after a gap */
    int64_t limit_offset;    /* no batch that starts at or behind it */
    uint64_t limit_position; /* nothing of the segment is read at or behind it */
    int64_t offset_min;      /* of the batch at position: a lower one is damage */
    int64_t end_offset;      /* of the batch at limit_position, or of the next segment */
    bool limit_is_exact;     /* all batches in front of limit_position are in the limit */
    uint64_t position;       /* of the batch to look at next */
    uint64_t from;           /* the bytes found so far, ... */
    uint64_t to;             /* ... a run of whole batches, ... */
    int64_t next_offset;     /* ... and what comes behind it */
    struct base_buffer *buffer;
    uint64_t block_position;
    size_t block_length;
    uint8_t block[BLOCK_BYTES];
};

static void job_run(struct read_job *job);

static void set_done(struct read_job *job, enum base_err err)
{
    job->err = err;
    job->step = STEP_FINISHED;
}

/* Bytes that cannot be a batch stop the log. */
static void set_damaged(struct read_job *job)
{
    base_mutex_lock(job->log->lock);
    logstore__offline(job->log, job->segment, job->position, "batch header is damaged",
                      BASE_ERR_CORRUPT);
    base_mutex_unlock(job->log->lock);
    set_done(job, BASE_ERR_CORRUPT);
}

static void io_ended(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, task);
    struct read_job *job = BASE_CONTAINER_OF(op, struct read_job, op);

    job->on_worker = false;
    job_run(job);
}

static void worker_came(struct base_task *task)
{
    struct read_job *job = BASE_CONTAINER_OF(task, struct read_job, work);

    job->on_worker = true;
    job_run(job);
}

/* False: the job goes on over there, and is not to be touched here any more. */
static bool move_to_worker(struct read_job *job)
{
    if (job->on_worker) {
        return true;
    }
    job->is_pending = true;
    job->work.run = worker_came;
    base_executor_post(job->log->store->worker, &job->work);
    return false;
}

/* Reads; called again with the same arguments when the operation has ended. False: it has
 * not yet, and the job is not to be touched any more. */
static bool fetch(struct read_job *job, uint64_t position, void *data, size_t length)
{
    struct logstore_io *io = job->log->io;
    struct logstore_object *object = job->segment->object;

    if (job->is_requested) {
        job->is_requested = false;
        return true;
    }
    if (job->waiting) {
        job->op.err = io->ops->read_wait(io, object, position, data, length, &job->op.length);
        return true;
    }
    /* Set first: the operation may end on another thread before the call returns. */
    bool was_pending = job->is_pending;
    job->is_pending = true;
    job->is_requested = true;
    job->op.task.run = io_ended;
    job->op.executor = job->read->executor;
    if (io->ops->read(io, object, position, data, length, &job->op) == LOGSTORE_IO_PENDING) {
        return false;
    }
    job->is_pending = was_pending;
    job->is_requested = false;
    return true;
}

static bool has_header(const struct read_job *job)
{
    return job->position >= job->block_position &&
           job->position - job->block_position + LOGSTORE_BATCH_HEADER_SIZE <= job->block_length;
}

enum look {
    LOOK_FOUND, /* *batch is the header at job->position */
    LOOK_ENDED, /* the job is finished, with an error */
    LOOK_LATER, /* and the job is not to be touched any more */
};

static enum look look(struct read_job *job, struct logstore_batch *batch)
{
    if (!has_header(job)) {
        uint64_t left = job->limit_position - job->position;
        job->block_position = job->position;
        job->block_length = 0;
        if (!fetch(job, job->position, job->block,
                   left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES)) {
            return LOOK_LATER;
        }
        if (job->op.err != BASE_ERR_OK) {
            set_done(job, job->op.err);
            return LOOK_ENDED;
        }
        job->block_length = job->op.length;
        if (!has_header(job)) {
            set_damaged(job);
            return LOOK_ENDED;
        }
    }
    size_t at = (size_t)(job->position - job->block_position);
    enum base_err err = logstore_batch_peek(job->block + at, job->block_length - at, batch, NULL);
    if ((err != BASE_ERR_OK && batch->size_bytes == 0) ||
        batch->size_bytes > job->limit_position - job->position ||
        batch->base_offset < job->offset_min ||
        logstore_batch_next_offset(batch) > job->end_offset) {
        set_damaged(job);
        return LOOK_ENDED;
    }
    return LOOK_FOUND;
}

/* What of the segment may be read, and where to start looking. Locked. */
static void aim(struct read_job *job, uint32_t index)
{
    const struct logstore_log *log = job->log;
    const struct logstore_segment *segment = job->segment;

    job->limit_position = segment->size_bytes;
    job->end_offset = logstore__segment_next_offset(log, index);
    job->limit_is_exact = job->limit_offset >= job->end_offset;
    if (!job->limit_is_exact && log->durable.segment == segment &&
        log->durable.offset == job->limit_offset) {
        job->limit_position = log->durable.position;
        job->end_offset = log->durable.offset;
        job->limit_is_exact = true;
    }
    struct logstore_index_entry entry = logstore_segment_entry(segment, job->offset);
    job->position = entry.position;
    job->offset_min = segment->base_offset + entry.relative_offset;
    job->block_length = 0;
    job->step = STEP_START;
}

/* All steps: false when the job is not to be touched any more. */
static bool run_begin(struct read_job *job)
{
    struct logstore_log *log = job->log;
    bool is_loaded = true;

    base_mutex_lock(log->lock);
    if (job->segment != NULL) {
        logstore__unpin(job->segment);
        job->segment = NULL;
    }
    if (job->offset < log->start_offset) {
        set_done(job, BASE_ERR_OUT_OF_RANGE); /* it moved meanwhile */
    } else if (job->offset >= job->limit_offset) {
        set_done(job, BASE_ERR_OK);
    } else {
        uint32_t index = logstore__find_segment(log, job->offset);
        job->segment = log->segments[index];
        logstore__pin(job->segment);
        enum base_err err = BASE_ERR_OK;
        if (!logstore__is_loaded(job->segment) && job->on_worker) {
            err = logstore__segment_load(log, job->segment);
            /* Unlocked meanwhile, segments below may be gone. */
            index = logstore__find_segment(log, job->segment->base_offset);
        }
        is_loaded = logstore__is_loaded(job->segment);
        if (err != BASE_ERR_OK) {
            set_done(job, err);
        } else if (is_loaded) {
            aim(job, index);
        }
    }
    base_mutex_unlock(log->lock);
    return is_loaded || job->step == STEP_FINISHED || move_to_worker(job);
}

static enum step last_step(const struct read_job *job)
{
    bool in_memory = job->read->in_memory || job->log->io->ops->file_range == NULL;
    return in_memory ? STEP_DATA : STEP_FILE;
}

/* The first batch is found. Goes as far as can be told without looking at each. */
static void jump_ahead(struct read_job *job)
{
    size_t bytes_max = job->read->bytes_max;
    uint64_t budget_end = bytes_max > UINT64_MAX - job->from ? UINT64_MAX : job->from + bytes_max;

    job->step = last_step(job);
    if (job->to >= budget_end) {
        return;
    }
    if (job->limit_is_exact && job->limit_position <= budget_end) {
        job->to = job->limit_position;
        job->next_offset = job->end_offset;
        return;
    }
    base_mutex_lock(job->log->lock);
    const struct logstore_segment *segment = job->segment;
    uint64_t end = budget_end < job->limit_position ? budget_end : job->limit_position;
    struct logstore_index_entry entry = logstore_index_find_position(&segment->index, end);
    if (!job->limit_is_exact) {
        struct logstore_index_entry limit = logstore_segment_entry(segment, job->limit_offset);
        entry = limit.position < entry.position ? limit : entry;
    }
    base_mutex_unlock(job->log->lock);
    if (entry.position > job->to) {
        job->to = entry.position;
        job->next_offset = segment->base_offset + entry.relative_offset;
    }
    /* Less than the budget by a little is not worth a walk, less by much is. */
    if (job->to - job->from < bytes_max / 2) {
        job->position = job->to;
        job->offset_min = job->next_offset;
        job->step = STEP_END;
    }
}

static bool run_start(struct read_job *job)
{
    struct logstore_batch batch;

    if (job->position >= job->limit_position) {
        /* Compaction has left nothing behind the offset in this segment. */
        job->offset = job->end_offset;
        job->step = STEP_BEGIN;
        return true;
    }
    enum look found = look(job, &batch);
    if (found != LOOK_FOUND) {
        return found == LOOK_ENDED;
    }
    if (logstore_batch_next_offset(&batch) <= job->offset) {
        job->position += batch.size_bytes;
        job->offset_min = logstore_batch_next_offset(&batch);
        return true;
    }
    if (batch.base_offset >= job->limit_offset ||
        (batch.size_bytes > job->read->bytes_max && !job->read->first_whole)) {
        set_done(job, BASE_ERR_OK);
        return true;
    }
    job->from = job->position;
    job->to = job->position + batch.size_bytes;
    job->next_offset = logstore_batch_next_offset(&batch);
    jump_ahead(job);
    return true;
}

static bool run_end(struct read_job *job)
{
    struct logstore_batch batch;

    if (job->position >= job->limit_position) {
        job->step = last_step(job);
        return true;
    }
    enum look found = look(job, &batch);
    if (found != LOOK_FOUND) {
        return found == LOOK_ENDED;
    }
    if (batch.base_offset >= job->limit_offset ||
        batch.size_bytes > job->read->bytes_max - (job->to - job->from)) {
        job->step = last_step(job);
        return true;
    }
    job->position += batch.size_bytes;
    job->to = job->position;
    job->next_offset = logstore_batch_next_offset(&batch);
    job->offset_min = job->next_offset;
    return true;
}

static void give(struct read_job *job, struct base_chunk chunk)
{
    job->read->chunks[0] = chunk; /* moved */
    job->read->chunks_count = 1;
    job->read->length = chunk.length;
    job->read->next_offset = job->next_offset;
    set_done(job, BASE_ERR_OK);
}

static bool run_data(struct read_job *job)
{
    size_t length = (size_t)(job->to - job->from);

    if (job->buffer == NULL) {
        job->buffer = base_buffer_create(length);
        if (job->buffer == NULL) {
            set_done(job, BASE_ERR_NOMEM);
            return true;
        }
    }
    if (!fetch(job, job->from, job->buffer->data, length)) {
        return false;
    }
    if (job->op.err != BASE_ERR_OK || job->op.length < length) {
        set_done(job, job->op.err != BASE_ERR_OK ? job->op.err : BASE_ERR_IO);
        return true;
    }
    give(job, (struct base_chunk){.buffer = job->buffer, .length = length});
    job->buffer = NULL;
    return true;
}

static bool run_file(struct read_job *job)
{
    struct logstore_io *io = job->log->io;
    struct logstore_object *object = job->segment->object;
    size_t length = (size_t)(job->to - job->from);
    struct base_chunk chunk = {0};

    if (io->ops->file_range(io, object, job->from, length, &chunk)) {
        give(job, chunk);
        return true;
    }
    if (!job->on_worker) {
        return move_to_worker(job);
    }
    enum base_err err = io->ops->warm(io, object, job->from, length);
    if (err != BASE_ERR_OK) {
        set_done(job, err);
    } else if (io->ops->file_range(io, object, job->from, length, &chunk)) {
        give(job, chunk);
    } else {
        job->step = STEP_DATA; /* pushed out of memory again: so read it */
    }
    return true;
}

/* Ends the job and answers the read. */
static void finish(struct read_job *job)
{
    struct logstore_log *log = job->log;
    struct logstore_read *read = job->read;
    struct base_mutex *lock = log->lock;
    bool post = job->is_pending;

    read->err = job->err;
    if (!job->is_pending) {
        *job->state = LOGSTORE_IO_DONE; /* still inside the call */
    }
    base_buffer_release(&job->buffer);
    base_mutex_lock(lock);
    if (job->segment != NULL) {
        logstore__unpin(job->segment);
    }
    base_free(job);
    if (post) {
        base_executor_post(read->executor, &read->task);
    }
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

/* Goes on until the job is finished or something has to be waited for. */
static void job_run(struct read_job *job)
{
    bool go_on = true;

    while (go_on) {
        switch (job->step) {
        case STEP_BEGIN:
            go_on = run_begin(job);
            break;
        case STEP_START:
            go_on = run_start(job);
            break;
        case STEP_END:
            go_on = run_end(job);
            break;
        case STEP_DATA:
            go_on = run_data(job);
            break;
        case STEP_FILE:
            go_on = run_file(job);
            break;
        case STEP_FINISHED:
            finish(job);
            return;
        }
    }
}

static void clear_result(struct logstore_read *read)
{
    read->err = BASE_ERR_OK;
    read->chunks_count = 0;
    read->length = 0;
    read->next_offset = read->offset;
}

/* Answers from the tail. Locked. */
static bool read_tail(const struct logstore_log *log, struct logstore_read *read,
                      int64_t limit_offset)
{
    struct logstore_tail_read tail = {
        .offset = read->offset,
        .limit_offset = limit_offset,
        .bytes_max = read->bytes_max,
        .first_whole = read->first_whole,
        .chunks = read->chunks,
        .chunks_max = LOGSTORE_READ_CHUNKS_MAX,
    };
    if (!logstore_tail_read(&log->tail, &tail)) {
        return false;
    }
    read->chunks_count = tail.chunks_count;
    read->length = tail.length;
    read->next_offset = tail.next_offset;
    return true;
}

/* Answers in place what can be; otherwise *out is a job, which the log waits for. */
static void start(struct logstore_log *log, struct logstore_read *read, struct read_job **out)
{
    *out = NULL;
    clear_result(read);
    base_mutex_lock(log->lock);
    BASE_ASSERT(!log->closing);
    int64_t limit_offset =
        read->limit_offset < log->written_offset ? read->limit_offset : log->written_offset;
    if (read->offset < log->start_offset || read->offset > log->written_offset) {
        read->err = BASE_ERR_OUT_OF_RANGE;
    } else if (read->offset < limit_offset && !read_tail(log, read, limit_offset)) {
        struct read_job *job = base_alloc(sizeof *job);
        if (job == NULL) {
            read->err = BASE_ERR_NOMEM;
        } else {
            memset(job, 0, offsetof(struct read_job, block));
            job->log = log;
            job->read = read;
            job->step = STEP_BEGIN;
            job->offset = read->offset;
            job->limit_offset = limit_offset;
            logstore__use(log);
            *out = job;
        }
    }
    base_mutex_unlock(log->lock);
}

enum logstore_io_state logstore_log_read(struct logstore_log *log, struct logstore_read *read)
{
    struct read_job *job = NULL;

    start(log, read, &job);
    if (job == NULL) {
        return LOGSTORE_IO_DONE;
    }
    enum logstore_io_state state = LOGSTORE_IO_PENDING;
    job->state = &state;
    job_run(job);
    return state;
}

void logstore_read_release(struct logstore_read *read)
{
    for (uint32_t i = 0; i < read->chunks_count; i++) {
        base_chunk_release(&read->chunks[i]);
    }
    read->chunks_count = 0;
    read->length = 0;
}

enum base_err logstore_log_read_wait(struct logstore_log *log, struct logstore_read *read)
{
    struct read_job *job = NULL;
    enum logstore_io_state state = LOGSTORE_IO_PENDING;

    start(log, read, &job);
    if (job != NULL) {
        job->state = &state;
        job->waiting = true;
        job->on_worker = true;
        job_run(job);
        BASE_ASSERT(state == LOGSTORE_IO_DONE);
    }
    return read->err;
}
