/* The background job: one per log at a time, on the worker. It writes footers and
 * checkpoints, makes the log start durable and removes what lies below it.
 *
 * A footer must never know more than a power cut leaves of the log. So a snapshot is taken
 * first, of everything accepted so far, and written when all of that has become durable. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/base/log.h"
#include "logstore/log_priv.h"

enum {
    HEAD_MAGIC = 0x444d5348,    /* "DMSH" */
    DURABLE_MAGIC = 0x444d5344, /* "DMSD" */
    HEAD_VERSION = 1,
    AT_CRC = 4,
    AT_FIELDS = 8,
};

void logstore__object_name(char name[LOGSTORE_NAME_SIZE], const struct logstore_log *log,
                           const char *object)
{
    int length = snprintf(name, LOGSTORE_NAME_SIZE, "%s/%s", log->name, object);
    BASE_ASSERT(length > 0);
    BASE_ASSERT(length < LOGSTORE_NAME_SIZE);
}

static void seal(uint8_t *bytes, size_t size, uint32_t magic)
{
    base_put_u32(bytes, magic);
    base_put_u32(bytes + AT_CRC, base_crc32c(0, bytes + AT_FIELDS, size - AT_FIELDS));
}

static bool is_sealed(struct base_slice content, size_t size, uint32_t magic)
{
    return content.length == size && base_get_u32(content.data) == magic &&
           base_get_u32(content.data + AT_CRC) ==
               base_crc32c(0, content.data + AT_FIELDS, size - AT_FIELDS);
}

void logstore__head_encode(uint8_t head[LOGSTORE__HEAD_SIZE], int64_t start_offset)
{
    base_put_u32(head + AT_FIELDS, HEAD_VERSION);
    base_put_u32(head + AT_FIELDS + 4, 0);
    base_put_i64(head + AT_FIELDS + 8, start_offset);
    seal(head, LOGSTORE__HEAD_SIZE, HEAD_MAGIC);
}

enum base_err logstore__head_decode(struct base_slice content, int64_t *start_offset)
{
    *start_offset = 0;
    if (!is_sealed(content, LOGSTORE__HEAD_SIZE, HEAD_MAGIC)) {
        return BASE_ERR_CORRUPT;
    }
    if (base_get_u32(content.data + AT_FIELDS) != HEAD_VERSION) {
        return BASE_ERR_UNSUPPORTED;
    }
    *start_offset = base_get_i64(content.data + AT_FIELDS + 8);
    return *start_offset < 0 ? BASE_ERR_CORRUPT : BASE_ERR_OK;
}

void logstore__durable_encode(uint8_t note[LOGSTORE__DURABLE_SIZE],
                              const struct logstore__mark *mark)
{
    base_put_i64(note + AT_FIELDS, mark->segment->base_offset);
    base_put_i64(note + AT_FIELDS + 8, (int64_t)mark->position);
    seal(note, LOGSTORE__DURABLE_SIZE, DURABLE_MAGIC);
}

bool logstore__durable_decode(struct base_slice content, int64_t *base_offset, uint64_t *position)
{
    *base_offset = -1;
    *position = 0;
    if (!is_sealed(content, LOGSTORE__DURABLE_SIZE, DURABLE_MAGIC)) {
        return false;
    }
    *base_offset = base_get_i64(content.data + AT_FIELDS);
    *position = (uint64_t)base_get_i64(content.data + AT_FIELDS + 8);
    return true;
}

void logstore__durable_note(struct logstore_log *log)
{
    uint8_t note[LOGSTORE__DURABLE_SIZE];
    char name[LOGSTORE_NAME_SIZE];
    struct logstore__mark mark = logstore__written_mark(log);

    logstore__durable_encode(note, &mark);
    logstore__object_name(name, log, "durable");
    enum base_err err = log->io->ops->put_lazy(log->io, name, base_slice_of(note, sizeof note));
    (void)err; /* only makes recovery tell damage from a torn tail */
}

void logstore__want(struct logstore_log *log, unsigned wants)
{
    if (log->closing) {
        return;
    }
    log->wants |= wants;
    if (!log->upkeep_running) {
        log->upkeep_running = true;
        logstore__use(log);
        base_executor_post(log->store->worker, &log->upkeep_task);
    }
}

void logstore__want_checkpoint(struct logstore_log *log, bool active)
{
    log->checkpoint_wanted = log->checkpoint_wanted || active;
    logstore__want(log, LOGSTORE__WANT_SNAPSHOT);
}

/* Encodes what is known as of the end of the log. */
static void take_snapshot(struct logstore_log *log)
{
    base_writer_reset(&log->snapshot);
    logstore_footer_snapshot_encode(&log->epochs, &log->producers, &log->snapshot);
    log->snapshot_offset = log->snapshot.err == BASE_ERR_OK ? log->end_offset : -1;
}

static void run_snapshot(struct logstore_log *log)
{
    if (log->offline) {
        return;
    }
    take_snapshot(log);
    if (log->snapshot_offset <= log->durable.offset) {
        log->wants |= LOGSTORE__WANT_FOOTERS; /* also when it failed: footers do without */
        return;
    }
    /* sync_done, or append_done, will ask for the footers. */
    log->flush_offset =
        log->flush_offset > log->snapshot_offset ? log->flush_offset : log->snapshot_offset;
    logstore__sync_start(log, log->store->worker);
}

/* Fills in a footer for the segment's bytes in front of mark->position. */
static struct logstore_footer footer_of(const struct logstore_log *log,
                                        const struct logstore__mark *mark, int64_t snapshot_offset)
{
    return (struct logstore_footer){
        .base_offset = mark->segment->base_offset,
        .covered_bytes = mark->position,
        .next_offset = mark->offset,
        .created_at_ms = mark->segment->created_at_ms,
        .written_at_ms = base_clock_wall_ms(log->store->clock),
        .max_timestamp_ms = mark->max_timestamp_ms,
        .max_timestamp_offset = mark->max_timestamp_offset,
        .snapshot_offset = snapshot_offset,
    };
}

/* Writes an encoded footer. Not locked. */
static enum base_err put_footer(struct logstore_log *log, int64_t base_offset,
                                struct base_writer *writer)
{
    char name[LOGSTORE_NAME_SIZE];
    enum base_err err = writer->err;

    logstore_segment_index_name(name, log->name, base_offset);
    if (err == BASE_ERR_OK) {
        err = log->io->ops->put(log->io, name, base_slice_of(writer->buffer->data, writer->length));
    }
    if (err != BASE_ERR_OK) {
        /* The next open scans more; nothing is lost. */
        base_log(BASE_LOG_WARN, "INDEX_NOT_WRITTEN", "file=%s cause=\"%s\"", name,
                 base_err_text(err));
    }
    return err;
}

static struct base_slice snapshot_slice(const struct logstore_log *log, int64_t snapshot_offset)
{
    return snapshot_offset < 0 ? base_slice_of(NULL, 0)
                               : base_slice_of(log->snapshot.buffer->data, log->snapshot.length);
}

/* Writes the footer of the sealed segment at index. Its index does not change any more,
 * so that it is encoded without the lock. */
static void write_footer(struct logstore_log *log, uint32_t index, int64_t snapshot_offset)
{
    struct logstore_segment *segment = log->segments[index];
    struct base_writer writer;
    struct logstore__mark mark = {
        .offset = logstore__segment_next_offset(log, index),
        .segment = segment,
        .position = segment->size_bytes,
        .max_timestamp_ms = segment->max_timestamp_ms,
        .max_timestamp_offset = segment->max_timestamp_offset,
    };

    BASE_ASSERT(segment->index_loaded);
    struct logstore_footer footer = footer_of(log, &mark, snapshot_offset);
    logstore__pin(segment);
    base_writer_init(&writer, LOGSTORE_FOOTER_SIZE_MAX);
    base_mutex_unlock(log->lock);
    logstore_footer_encode(&footer, &segment->index, snapshot_slice(log, snapshot_offset), &writer);
    enum base_err err = put_footer(log, segment->base_offset, &writer);
    base_writer_fini(&writer);
    base_mutex_lock(log->lock);
    if (err == BASE_ERR_OK) {
        segment->touched_at_ms = footer.written_at_ms;
        if (snapshot_offset >= 0) {
            log->snapshot_base = segment->base_offset;
        }
    }
    segment->footer_wanted = false; /* on an error, too: a scan when loading makes up for it */
    logstore__unpin(segment);
}

/* Writes the checkpoint of the active segment. False: its snapshot is not there to stay. */
static bool write_checkpoint(struct logstore_log *log, int64_t snapshot_offset)
{
    struct base_writer writer;
    struct logstore__mark mark = log->durable;
    int64_t base_offset = mark.segment->base_offset;

    if (mark.segment != logstore__active(log)) {
        return false; /* sealed meanwhile: it gets a footer */
    }
    if (snapshot_offset < 0 && log->snapshot_base == base_offset) {
        return false; /* the one that is there has the newest */
    }
    struct logstore_footer footer = footer_of(log, &mark, snapshot_offset);
    base_writer_init(&writer, LOGSTORE_FOOTER_SIZE_MAX);
    logstore_footer_encode(&footer, &mark.segment->index, snapshot_slice(log, snapshot_offset),
                           &writer);
    base_mutex_unlock(log->lock);
    enum base_err err = put_footer(log, base_offset, &writer);
    base_writer_fini(&writer);
    base_mutex_lock(log->lock);
    if (err == BASE_ERR_OK && mark.segment == logstore__active(log)) {
        log->covered_bytes = mark.position;
    }
    if (err == BASE_ERR_OK && snapshot_offset >= 0) {
        log->snapshot_base = base_offset;
    }
    return err == BASE_ERR_OK && mark.segment == logstore__active(log); /* or a footer comes */
}

static void run_footers(struct logstore_log *log)
{
    int64_t snapshot_offset = log->snapshot_offset;

    if (log->offline || snapshot_offset > log->durable.offset) {
        return;
    }
    log->snapshot_offset = -1; /* taken; the job is the only one to make another */
    /* Only the newest object carries the snapshot: the older ones would never be asked. It is
     * written first, as a sealed one may have to give up the snapshot that it carries. */
    bool checkpoint_wanted = log->checkpoint_wanted;
    log->checkpoint_wanted = false; /* the next one may be asked for while this one is written */
    if (checkpoint_wanted && write_checkpoint(log, snapshot_offset)) {
        snapshot_offset = -1;
    }
    for (uint32_t i = log->segments_count - 1; i > 0; i--) {
        struct logstore_segment *segment = log->segments[i - 1];
        if (segment->footer_wanted && !segment->doomed) {
            write_footer(log, i - 1, snapshot_offset);
            snapshot_offset = -1;
        }
    }
    base_writer_fini(&log->snapshot); /* can be large */
    if (log->removal_waits) {
        log->removal_waits = false;
        log->removal_goes_on = true;
        log->wants |= LOGSTORE__WANT_REMOVAL;
    }
}

static enum base_err put_head(struct logstore_log *log, int64_t start_offset)
{
    uint8_t head[LOGSTORE__HEAD_SIZE];
    char name[LOGSTORE_NAME_SIZE];

    logstore__head_encode(head, start_offset);
    logstore__object_name(name, log, "head");
    enum base_err err = log->io->ops->put(log->io, name, base_slice_of(head, sizeof head));
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "HEAD_NOT_WRITTEN", "log=%s start_offset=%" PRId64 " cause=\"%s\"",
                 log->name, start_offset, base_err_text(err));
    }
    return err;
}

static void answer_trims(struct base_list *trims, enum base_err err)
{
    for (struct base_list *node = base_list_pop_front(trims); node != NULL;
         node = base_list_pop_front(trims)) {
        struct logstore_trim *trim = BASE_CONTAINER_OF(node, struct logstore_trim, link);
        trim->err = err;
        if (trim->executor != NULL) {
            base_executor_post(trim->executor, &trim->task);
        }
    }
}

static void run_head(struct logstore_log *log)
{
    struct base_list trims;
    int64_t start_offset = log->start_offset;

    /* A start that a power cut would leave behind the end must wait. */
    if (start_offset > log->durable.offset && !log->offline) {
        log->head_waits = true;
        log->flush_offset = log->flush_offset > start_offset ? log->flush_offset : start_offset;
        logstore__sync_start(log, log->store->worker);
        return;
    }
    base_list_init(&trims);
    base_list_splice_back(&trims, &log->trims);
    bool is_known = start_offset <= log->start_durable;
    enum base_err err = log->offline ? BASE_ERR_OFFLINE : BASE_ERR_OK;
    base_mutex_unlock(log->lock);
    if (err == BASE_ERR_OK && !is_known) {
        err = put_head(log, start_offset);
    }
    base_mutex_lock(log->lock);
    if (err == BASE_ERR_OK && start_offset > log->start_durable) {
        log->start_durable = start_offset;
    }
    /* On a full disk there will be no room for head before segments have gone. Whoever opens the
     * log then finds its start at the first one that is left. */
    if ((err == BASE_ERR_OK || err == BASE_ERR_NO_SPACE) && start_offset > log->removable_offset) {
        log->removable_offset = start_offset;
    }
    answer_trims(&trims, err);
    log->wants |= LOGSTORE__WANT_REMOVAL;
}

/* Removes the objects of a segment. Not locked. */
static enum base_err remove_objects(struct logstore_log *log, int64_t base_offset)
{
    char name[LOGSTORE_NAME_SIZE];

    /* The log object last: it is what the next open goes by if this is interrupted. */
    logstore_segment_index_name(name, log->name, base_offset);
    enum base_err err = log->io->ops->remove(log->io, name);
    if (err == BASE_ERR_OK) {
        logstore_segment_name(name, log->name, base_offset);
        err = log->io->ops->remove(log->io, name);
    }
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "SEGMENT_NOT_REMOVED", "file=%s cause=\"%s\"", name,
                 base_err_text(err));
    }
    return err;
}

/* The newest snapshot must not go with its segment: a younger object gets one first. When
 * that fails, removal goes on all the same, since the cause may be a full disk. On one that is,
 * a snapshot knows of batches that wait for space, and would wait with them. */
static bool must_wait_for_snapshot(struct logstore_log *log, const struct logstore_segment *segment)
{
    bool waits_for_space = log->no_space && log->end_offset > log->written_offset;

    if (log->removal_goes_on || waits_for_space || segment->base_offset < log->snapshot_base) {
        return false;
    }
    log->removal_waits = true;
    logstore__want_checkpoint(log, true);
    return true;
}

/* Removes the oldest segment. False: not now. */
static bool remove_first(struct logstore_log *log)
{
    struct logstore_segment *segment = log->segments[0];

    segment->doomed = true;
    if (segment->pins > 0 || must_wait_for_snapshot(log, segment)) {
        return false; /* its last user, or the job itself, asks again */
    }
    segment->footer_wanted = false;
    logstore__segment_release(log, segment);
    base_mutex_unlock(log->lock);
    enum base_err err = remove_objects(log, segment->base_offset);
    base_mutex_lock(log->lock);
    if (err != BASE_ERR_OK || segment->pins > 0) {
        log->removal_goes_on = false;
        return false; /* the younger ones wait: no gap may remain. Retention asks again */
    }
    log->segments_count--;
    memmove(log->segments, log->segments + 1, log->segments_count * sizeof log->segments[0]);
    log->size_bytes -= segment->size_bytes;
    logstore__store_segment_gone(log->store, segment);
    logstore_segment_close(&segment);
    return true;
}

static void run_removal(struct logstore_log *log)
{
    uint32_t segments_count = log->segments_count;
    bool goes_on = true;

    while (goes_on && log->segments_count > 1 && !log->offline &&
           log->segments[1]->base_offset <= log->removable_offset &&
           log->segments[1]->base_offset <= log->start_offset) {
        goes_on = remove_first(log);
    }
    if (goes_on) {
        log->removal_goes_on = false;
    }
    if (log->segments_count < segments_count && log->removable_offset > log->start_durable) {
        log->wants |= LOGSTORE__WANT_HEAD; /* there may be room for it now */
    }
}

void logstore__upkeep_run(struct base_task *task)
{
    struct logstore_log *log = BASE_CONTAINER_OF(task, struct logstore_log, upkeep_task);
    struct base_mutex *lock = log->lock;
    static const struct {
        unsigned want;
        void (*run)(struct logstore_log *log);
    } jobs[] = {
        {LOGSTORE__WANT_RETENTION, logstore__retention_run},
        {LOGSTORE__WANT_SNAPSHOT, run_snapshot},
        {LOGSTORE__WANT_FOOTERS, run_footers},
        {LOGSTORE__WANT_HEAD, run_head},
        {LOGSTORE__WANT_REMOVAL, run_removal},
    };

    base_mutex_lock(lock);
    while (log->wants != 0 && !log->closing) {
        for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
            if ((log->wants & jobs[i].want) != 0 && !log->closing) {
                log->wants &= ~jobs[i].want;
                jobs[i].run(log);
            }
        }
    }
    log->upkeep_running = false;
    logstore__unuse(log);
    base_mutex_unlock(lock);
}

void logstore__start_move(struct logstore_log *log, int64_t offset)
{
    BASE_ASSERT(offset > log->start_offset);
    BASE_ASSERT(offset <= log->written_offset);

    log->start_offset = offset;
    log->oldest_timestamp_ms = -1;
    logstore_epochs_trim(&log->epochs, offset);
    logstore__progress(log);
}

void logstore_log_trim(struct logstore_log *log, int64_t offset, struct logstore_trim *trim)
{
    base_mutex_assert_held(log->lock);
    BASE_ASSERT(!log->closing);
    BASE_ASSERT(offset <= log->written_offset);

    if (offset > log->start_offset) {
        logstore__start_move(log, offset);
        if (log->config.retention_exact) {
            logstore__want(log, LOGSTORE__WANT_RETENTION); /* to know the oldest one again */
        }
    }
    if (trim != NULL) {
        trim->err = BASE_ERR_OK;
        trim->link = (struct base_list){0};
        base_list_push_back(&log->trims, &trim->link);
    }
    logstore__want(log, LOGSTORE__WANT_HEAD);
}

void logstore__head_wait(struct logstore_log *log)
{
    if (base_list_is_empty(&log->trims)) {
        return;
    }
    enum base_err err = log->offline ? BASE_ERR_OFFLINE : BASE_ERR_OK;
    if (err == BASE_ERR_OK && log->start_offset > log->durable.offset) {
        err = log->io->ops->sync_wait(log->io, logstore__active(log)->object);
    }
    if (err == BASE_ERR_OK && log->start_offset > log->start_durable) {
        err = put_head(log, log->start_offset);
    }
    answer_trims(&log->trims, err);
}

static bool wants_footer(const struct logstore_log *log)
{
    for (uint32_t i = 0; i + 1 < log->segments_count; i++) {
        if (log->segments[i]->footer_wanted) {
            return true;
        }
    }
    return false;
}

void logstore__checkpoint_wait(struct logstore_log *log)
{
    struct logstore_segment *active = logstore__active(log);
    enum base_err err = BASE_ERR_OK;

    BASE_ASSERT(log->users == 0);
    if (log->durable.offset < log->written_offset) {
        err = log->io->ops->sync_wait(log->io, active->object);
    }
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "LOG_NOT_SYNCED", "log=%s durable_offset=%" PRId64, log->name,
                 log->durable.offset);
        return;
    }
    if (log->durable.offset < log->written_offset) {
        log->durable = logstore__written_mark(log);
        logstore__durable_note(log);
    }
    if (active->size_bytes - log->covered_bytes < LOGSTORE__CLOSE_BYTES && !wants_footer(log)) {
        return;
    }
    base_mutex_lock(log->lock); /* for the asserts of what it shares with the job */
    if (log->end_offset == log->written_offset) {
        take_snapshot(log);
    } else {
        log->snapshot_offset = -1; /* producers know of batches that a full disk kept out */
    }
    log->checkpoint_wanted = true;
    run_footers(log);
    base_mutex_unlock(log->lock);
}
