/* One log, one writer, trimmed by age. */
#include "core/telemetry/journal_priv.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "logstore/log.h"

enum { BATCH_BYTES_MAX = 32 << 20, SEGMENT_BYTES = 16 << 20 };

struct telemetry__journal {
    struct base_clock *clock; /* borrowed */
    struct base_mutex lock;
    struct logstore_log *log; /* owned */
    struct base_executor *closed_executor;
    struct base_task *closed_task;
    struct base_task log_closed;
};

static void free_journal(struct telemetry__journal *journal)
{
    base_mutex_fini(&journal->lock);
    base_free(journal);
}

enum base_err telemetry__journal_open(const struct telemetry__journal_options *options,
                                      struct telemetry__journal **out)
{
    struct logstore_store *store = options->store;

    *out = NULL;
    struct telemetry__journal *journal = base_alloc_object(struct telemetry__journal);
    if (journal == NULL) {
        return BASE_ERR_NOMEM;
    }
    journal->clock = logstore_store_clock(store);
    base_mutex_init(&journal->lock);
    struct logstore_log_options log_options = {.store = store,
                                               .name = options->name,
                                               .lock = &journal->lock,
                                               .leader_epoch = options->leader_epoch};
    logstore_log_config_default(&log_options.config);
    log_options.config.durable = true;
    log_options.config.segment_bytes = SEGMENT_BYTES;
    log_options.config.segment_ms = options->segment_ms;
    log_options.config.retention_ms = options->retention_ms;
    log_options.config.retention_bytes = options->retention_bytes;
    log_options.config.retention_exact = true;
    enum base_err err = logstore_log_open(&log_options, &journal->log);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_ERROR, "TELEMETRY_LOG_NOT_OPENED", "log=%s cause=\"%s\"", options->name,
                 base_err_text(err));
    }
    if (journal->log == NULL) {
        free_journal(journal);
    } else {
        *out = journal;
    }
    return err;
}

static void log_closed(struct base_task *task)
{
    struct telemetry__journal *journal =
        BASE_CONTAINER_OF(task, struct telemetry__journal, log_closed);
    struct base_executor *executor = journal->closed_executor;
    struct base_task *closed = journal->closed_task;

    free_journal(journal);
    base_executor_post(executor, closed);
}

void telemetry__journal_close(struct telemetry__journal *journal, struct base_executor *executor,
                              struct base_task *closed)
{
    journal->closed_executor = executor;
    journal->closed_task = closed;
    journal->log_closed.run = log_closed;
    logstore_log_close(journal->log, true, executor, &journal->log_closed);
}

void telemetry__journal_begin(struct telemetry__journal *journal,
                              struct telemetry__journal_batch *batch)
{
    base_writer_init(&batch->writer, BATCH_BYTES_MAX);
    logstore_records_builder_begin(&batch->builder, &batch->writer);
    batch->now_ms = base_clock_wall_ms(journal->clock);
}

enum base_err telemetry__journal_end(struct telemetry__journal *journal,
                                     struct telemetry__journal_batch *batch,
                                     struct base_executor *executor)
{
    struct logstore_appended appended;
    struct base_chunk chunk = {0};
    enum base_err err = BASE_ERR_OK;

    if (batch->builder.header.records_count > 0 || batch->writer.err != BASE_ERR_OK) {
        err = logstore_records_builder_finish(&batch->builder);
        if (err == BASE_ERR_OK) {
            chunk.buffer = base_writer_take(&batch->writer, &chunk.length);
            base_mutex_lock(&journal->lock);
            err = logstore_log_append(journal->log, &chunk, &batch->builder.header, executor,
                                      &appended);
            if (err == BASE_ERR_OK) {
                logstore_log_write(journal->log, executor); /* not behind a sync in flight */
            }
            base_mutex_unlock(&journal->lock);
            base_chunk_release(&chunk);
        }
    }
    base_writer_fini(&batch->writer);
    return err;
}

void telemetry__journal_range(struct telemetry__journal *journal, int64_t *start, int64_t *end)
{
    base_mutex_lock(&journal->lock);
    *start = logstore_log_start_offset(journal->log);
    *end = logstore_log_written_offset(journal->log);
    base_mutex_unlock(&journal->lock);
}

struct logstore_log *telemetry__journal_log(struct telemetry__journal *journal)
{
    return journal->log;
}
