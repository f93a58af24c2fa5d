/* Traces as JSON records; a search walks the journal backwards, block by block. */
#include "core/telemetry/audit.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/uuid.h"
#include "core/telemetry/journal_priv.h"
#include "core/telemetry/refusals_priv.h"

enum {
    MS_PER_DAY = 24 * 60 * 60 * 1000,
    RETENTION_DAYS = 7,
    RETENTION_BYTES = -1, /* what was done is kept for all of that time; see refusals_priv.h */
    TEXT_LENGTH_MAX = 1024,
    REFUSED_TEXT_LENGTH_MAX = 256, /* of operations that were refused: anybody may make such */
    TRACE_BYTES_MAX = 128 << 10,   /* fourteen texts, escaped */
    BLOCK_OFFSETS = 256,           /* read at once when searching backwards */
    SEARCHES_MAX = 4,              /* at once: they hold threads of the disk pool */
    SCAN_MAX_DEFAULT = 64 * BLOCK_OFFSETS, /* some 12 MiB */
};

struct telemetry_audit {
    struct telemetry__journal *journal; /* owned */
    struct base_executor *worker;       /* borrowed */
    struct base_clock *clock;           /* borrowed */
    int64_t scan_max;                   /* traces one search looks at */
    struct base_mutex lock;             /* of refusals only */
    struct telemetry__refusals refusals;
    atomic_uint searches_count;
    struct base_executor *closed_executor;
    struct base_task *closed_task;
    struct base_task journal_closed;
};

#define RESOURCE_TEXT(name, text) text,
static const char *const resource_texts[TELEMETRY_RESOURCE_COUNT] = {
    TELEMETRY_RESOURCE_LIST(RESOURCE_TEXT)};
#undef RESOURCE_TEXT

static const char *const rating_texts[TELEMETRY_RATING_COUNT] = {"normal", "warning", "incident"};

const char *telemetry_resource_text(enum telemetry_resource resource)
{
    BASE_ASSERT(resource < TELEMETRY_RESOURCE_COUNT);
    return resource_texts[resource];
}

const char *telemetry_rating_text(enum telemetry_rating rating)
{
    BASE_ASSERT(rating < TELEMETRY_RATING_COUNT);
    return rating_texts[rating];
}

bool telemetry_rating_parse(struct base_slice text, enum telemetry_rating *out)
{
    for (unsigned i = 0; i < TELEMETRY_RATING_COUNT; i++) {
        if (base_slice_is(text, rating_texts[i])) {
            *out = (enum telemetry_rating)i;
            return true;
        }
    }
    return false;
}

static void free_audit(struct telemetry_audit *audit)
{
    base_mutex_fini(&audit->lock);
    base_free(audit);
}

enum base_err telemetry_audit_open(const struct telemetry_audit_options *options,
                                   struct telemetry_audit **out)
{
    struct telemetry__journal_options journal = {.store = options->store,
                                                 .name = "__dms_audit-0",
                                                 .leader_epoch = options->leader_epoch,
                                                 .retention_ms =
                                                     (int64_t)RETENTION_DAYS * MS_PER_DAY,
                                                 .retention_bytes = RETENTION_BYTES,
                                                 .segment_ms = MS_PER_DAY};

    *out = NULL;
    struct telemetry_audit *audit = base_alloc_object(struct telemetry_audit);
    if (audit == NULL) {
        return BASE_ERR_NOMEM;
    }
    audit->worker = logstore_store_worker(options->store);
    audit->clock = logstore_store_clock(options->store);
    audit->scan_max = options->scan_max == 0 ? SCAN_MAX_DEFAULT : options->scan_max;
    base_mutex_init(&audit->lock);
    atomic_init(&audit->searches_count, 0);
    enum base_err err = telemetry__journal_open(&journal, &audit->journal);
    if (audit->journal == NULL) {
        free_audit(audit);
    } else {
        *out = audit;
    }
    return err;
}

static void journal_closed(struct base_task *task)
{
    struct telemetry_audit *audit = BASE_CONTAINER_OF(task, struct telemetry_audit, journal_closed);
    struct base_executor *executor = audit->closed_executor;
    struct base_task *closed = audit->closed_task;

    free_audit(audit);
    base_executor_post(executor, closed);
}

void telemetry_audit_close(struct telemetry_audit *audit, struct base_executor *executor,
                           struct base_task *closed)
{
    BASE_ASSERT(atomic_load(&audit->searches_count) == 0);
    audit->closed_executor = executor;
    audit->closed_task = closed;
    audit->journal_closed.run = journal_closed;
    telemetry__journal_close(audit->journal, executor, &audit->journal_closed);
}

/* Writing. */

/* A JSON string of whatever text holds; NULL when memory is out. */
static json_t *string_of(struct base_slice text, size_t length_max)
{
    char bytes[TEXT_LENGTH_MAX];
    size_t length = text.length < length_max ? text.length : length_max;

    BASE_ASSERT(length_max <= sizeof bytes);

    if (length == 0) {
        return json_string("");
    }
    /* A NUL could be written, but not be read back. */
    json_t *string = memchr(text.data, '\0', length) != NULL
                         ? NULL
                         : json_stringn((const char *)text.data, length);
    if (string != NULL) {
        return string;
    }
    for (size_t i = 0; i < length; i++) { /* not UTF-8, or cut within a character */
        bool is_plain = text.data[i] != '\0' && text.data[i] < 0x80;
        bytes[i] = (char)(is_plain ? text.data[i] : '?');
    }
    return json_stringn(bytes, length);
}

static bool is_refused(const struct telemetry_trace *trace)
{
    return trace->rating == TELEMETRY_RATING_WARNING;
}

static json_t *json_of(const struct telemetry_trace *trace, int64_t now_ms)
{
    char id[BASE_UUID_TEXT_SIZE];
    size_t max = is_refused(trace) ? REFUSED_TEXT_LENGTH_MAX : TEXT_LENGTH_MAX;

    base_uuid_format(base_uuid_random(), id);
    /* clang-format off */
    return json_pack("{s:s, s:I, s:I, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
                     " s:o, s:{s:o, s:o, s:{s:o, s:o}}}",
                     "trace_id", id, "time", (json_int_t)now_ms, "record_time", (json_int_t)now_ms,
                     "trace_name", string_of(trace->name, max),
                     "trace_rating", telemetry_rating_text(trace->rating),
                     "trace_type", "ApiCall", "service_type", "DMS",
                     "resource_type", telemetry_resource_text(trace->resource),
                     "resource_id", string_of(trace->resource_id, max),
                     "resource_name", string_of(trace->resource_name, max),
                     "project_id", string_of(trace->project_id, max),
                     "source_ip", string_of(trace->source_ip, max),
                     "request_id", string_of(trace->request_id, max),
                     "api_version", string_of(trace->api_version, max),
                     "code", string_of(trace->code, max), "message", string_of(trace->message, max),
                     "user", "id", string_of(trace->user_id, max),
                     "name", string_of(trace->user_name, max),
                     "domain", "id", string_of(trace->domain_id, max),
                     "name", string_of(trace->domain_name, max));
    /* clang-format on */
}

static int put(const char *data, size_t length, void *writer)
{
    base_writer_bytes(writer, data, length);
    return 0;
}

static enum base_err append(struct telemetry_audit *audit, const struct telemetry_trace *trace,
                            struct base_executor *executor)
{
    struct telemetry__journal_batch batch;
    struct base_writer text;

    base_writer_init(&text, TRACE_BYTES_MAX);
    telemetry__journal_begin(audit->journal, &batch);
    json_t *object = json_of(trace, batch.now_ms);
    if (json_dump_callback(object, put, &text, JSON_COMPACT) != 0) {
        base_writer_fail(&text, BASE_ERR_NOMEM);
    }
    json_decref(object);
    if (text.err != BASE_ERR_OK) {
        base_writer_fail(&batch.writer, text.err);
    } else {
        logstore_records_builder_add(&batch.builder,
                                     &(struct logstore_record_input){
                                         .timestamp_ms = batch.now_ms,
                                         .value = base_slice_of(text.buffer->data, text.length)});
    }
    base_writer_fini(&text);
    return telemetry__journal_end(audit->journal, &batch, executor);
}

static void write_trace(struct telemetry_audit *audit, const struct telemetry_trace *trace,
                        struct base_executor *executor)
{
    enum base_err err = append(audit, trace, executor);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "TRACE_NOT_WRITTEN",
                 "trace_name=\"%.*s\" resource_type=%s rating=%s cause=\"%s\"",
                 (int)trace->name.length, (const char *)trace->name.data,
                 telemetry_resource_text(trace->resource), telemetry_rating_text(trace->rating),
                 base_err_text(err));
    }
}

/* Says how many refusals of the minute that is over left no trace of their own. */
static void tell_suppressed(struct telemetry_audit *audit,
                            const struct telemetry__refusals *refusals,
                            struct base_executor *executor)
{
    uint64_t total = refusals->suppressed_count;
    char message[64];

    for (uint32_t i = 0; i < refusals->projects_count; i++) {
        const struct telemetry__refusals_project *project = &refusals->projects[i];
        if (project->suppressed_count == 0) {
            continue;
        }
        total += project->suppressed_count;
        (void)snprintf(message, sizeof message, "%" PRIu64 " more were refused within a minute.",
                       project->suppressed_count);
        write_trace(audit,
                    &(struct telemetry_trace){.name = base_slice_text("refusedOperations"),
                                              .rating = TELEMETRY_RATING_WARNING,
                                              .project_id = base_slice_text(project->id),
                                              .message = base_slice_text(message)},
                    executor);
    }
    if (total > 0) {
        base_log(BASE_LOG_WARN, "REFUSALS_NOT_TRACED", "count=%" PRIu64, total);
    }
}

/* Ends the minute of refusals if it is over. */
static void settle(struct telemetry_audit *audit, struct base_executor *executor)
{
    struct telemetry__refusals *over = NULL;
    int64_t now_ms = base_clock_wall_ms(audit->clock);

    base_mutex_lock(&audit->lock);
    if (telemetry__refusals_is_over(&audit->refusals, now_ms)) {
        over = base_alloc(sizeof *over);
        if (over != NULL) {
            *over = audit->refusals;
            telemetry__refusals_restart(&audit->refusals, now_ms);
        }
    }
    base_mutex_unlock(&audit->lock);
    if (over != NULL) {
        tell_suppressed(audit, over, executor);
        base_free(over);
    }
}

void telemetry_audit_write(struct telemetry_audit *audit, const struct telemetry_trace *trace,
                           struct base_executor *executor)
{
    if (audit == NULL) {
        return;
    }
    settle(audit, executor);
    if (is_refused(trace)) {
        base_mutex_lock(&audit->lock);
        bool is_traced =
            telemetry__refusals_admit(&audit->refusals, trace->project_id, trace->is_stranger);
        base_mutex_unlock(&audit->lock);
        if (!is_traced) {
            return;
        }
    }
    write_trace(audit, trace, executor);
}

/* Searching. */

/* One search; of one block at a time it holds what matches, oldest first. */
struct block {
    struct logstore_lookup lookup;         /* of where to end */
    struct telemetry_audit_search *search; /* borrowed */
    json_t *traces[BLOCK_OFFSETS];
    int64_t offsets[BLOCK_OFFSETS];
    uint32_t count;
    bool is_past; /* retention has come by */
};

static bool is_text(const json_t *object, const char *key, struct base_slice wanted)
{
    const json_t *value = json_object_get(object, key);
    return wanted.data == NULL ||
           base_slice_equal(wanted,
                            base_slice_of(json_string_value(value), json_string_length(value)));
}

static bool matches(const struct telemetry_audit_search *search, const json_t *trace)
{
    return is_text(trace, "project_id", search->project_id) &&
           is_text(trace, "trace_name", search->name) &&
           is_text(trace, "resource_type", search->resource_type) &&
           is_text(trace, "resource_id", search->resource_id) &&
           is_text(trace, "resource_name", search->resource_name) &&
           is_text(trace, "trace_rating", search->rating) &&
           is_text(trace, "trace_id", search->trace_id) &&
           is_text(json_object_get(trace, "user"), "name", search->user);
}

static enum base_err visit(void *context, const struct logstore_record *record)
{
    struct block *block = context;
    const struct telemetry_audit_search *search = block->search;

    if (record->timestamp_ms < search->from_ms || record->timestamp_ms >= search->to_ms) {
        return BASE_ERR_OK;
    }
    json_t *trace = json_loadb((const char *)record->value.data, record->value.length, 0, NULL);
    if (trace == NULL) {
        return BASE_ERR_CORRUPT;
    }
    if (matches(search, trace) && block->count < BLOCK_OFFSETS) {
        block->offsets[block->count] = record->offset;
        block->traces[block->count++] = trace;
    } else {
        json_decref(trace);
    }
    return BASE_ERR_OK;
}

/* Moves what was found to the answer, newest first, as far as it wants more. */
static enum base_err take(struct block *block, struct telemetry_audit_search *search)
{
    enum base_err err = BASE_ERR_OK;

    while (block->count > 0) {
        json_t *trace = block->traces[--block->count];
        if (err != BASE_ERR_OK || json_array_size(search->traces) == search->limit) {
            json_decref(trace);
        } else if (json_array_append_new(search->traces, trace) != 0) {
            err = BASE_ERR_NOMEM;
        } else {
            search->marker = block->offsets[block->count];
        }
    }
    return err;
}

/* The traces of [first, end). Retention may overtake it: then those from the new start on, and
 * nothing older is left. What was visited until then is in front of that. */
static enum base_err replay(struct block *block, int64_t first, int64_t end)
{
    enum { TRIES_MAX = 3 };
    struct telemetry__journal *journal = block->search->audit->journal;
    enum base_err err = logstore_replay(telemetry__journal_log(journal), first, end, visit, block);
    int64_t journal_end;

    for (unsigned i = 1; err == BASE_ERR_OUT_OF_RANGE && i < TRIES_MAX; i++) {
        block->is_past = true;
        telemetry__journal_range(journal, &first, &journal_end);
        err = first < end
                  ? logstore_replay(telemetry__journal_log(journal), first, end, visit, block)
                  : BASE_ERR_OK;
    }
    return err;
}

/* Everything in front of oldest is older than what is asked for. What is behind it need not be
 * in order: clocks are set back. */
static enum base_err find(struct telemetry_audit_search *search, struct block *block,
                          int64_t oldest)
{
    struct telemetry__journal *journal = search->audit->journal;
    enum base_err err = BASE_ERR_OK;
    int64_t start;
    int64_t end;

    search->traces = json_array();
    if (search->traces == NULL) {
        return BASE_ERR_NOMEM;
    }
    telemetry__journal_range(journal, &start, &end);
    start = oldest > start ? oldest : start;
    end = search->before < end ? search->before : end;
    int64_t scan_max = search->audit->scan_max;
    int64_t stop = end - start > scan_max ? end - scan_max : start;
    while (err == BASE_ERR_OK && end > stop && !block->is_past &&
           json_array_size(search->traces) < search->limit) {
        int64_t first = end - stop > BLOCK_OFFSETS ? end - BLOCK_OFFSETS : stop;
        err = replay(block, first, end);
        enum base_err taken = take(block, search);
        err = err == BASE_ERR_OK ? taken : err;
        end = first;
    }
    if (end > start && !block->is_past && json_array_size(search->traces) < search->limit) {
        search->marker = end; /* there is more to look at, whatever was found */
    }
    return err;
}

static void answer(struct telemetry_audit_search *search, enum base_err err)
{
    search->err = err;
    if (err != BASE_ERR_OK) {
        json_decref(search->traces);
        search->traces = NULL;
    }
    atomic_fetch_sub(&search->audit->searches_count, 1);
    base_executor_post(search->executor, &search->task);
}

/* On the worker: it is known where to end. */
static void looked_up(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, task);
    struct block *block = BASE_CONTAINER_OF(lookup, struct block, lookup);
    struct telemetry_audit_search *search = block->search;
    enum base_err err = lookup->err;

    if (err == BASE_ERR_OK) {
        err = find(search, block, lookup->offset < 0 ? INT64_MAX : lookup->offset);
    }
    base_free(block);
    answer(search, err);
}

void telemetry_audit_find(struct telemetry_audit *audit, struct telemetry_audit_search *search)
{
    int64_t start;
    int64_t end;

    BASE_ASSERT(search->from_ms >= 0);
    BASE_ASSERT(search->limit >= 1);
    BASE_ASSERT(search->limit <= TELEMETRY_AUDIT_LIMIT_MAX);
    settle(audit, search->executor);
    search->audit = audit;
    search->traces = NULL;
    search->marker = -1;
    bool is_busy = atomic_fetch_add(&audit->searches_count, 1) >= SEARCHES_MAX;
    struct block *block = is_busy ? NULL : base_alloc_object(struct block);
    if (block == NULL) {
        answer(search, is_busy ? BASE_ERR_BUSY : BASE_ERR_NOMEM);
        return;
    }
    telemetry__journal_range(audit->journal, &start, &end);
    block->search = search;
    block->lookup.timestamp_ms = search->from_ms;
    block->lookup.limit_offset = end;
    block->lookup.executor = audit->worker;
    block->lookup.task.run = looked_up;
    logstore_log_lookup(telemetry__journal_log(audit->journal), &block->lookup);
}
