/* Batches of records for the journal: made, and appended. */
#include "core/queue/journal_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/chunk.h"
#include "core/base/log.h"
#include "core/queue/manager_priv.h"
#include "core/queue/redrive_priv.h"

enum { KEY_SIZE_MAX = 300 };

static const char rule_suffix[] = "tags";
static const char redrive_suffix[] = "redrive";

void queue__journal_begin(struct queue_journal_batch *batch, struct queue_journal *journal,
                          int64_t timestamp_ms)
{
    batch->journal = journal;
    batch->timestamp_ms = timestamp_ms;
    base_writer_init(&batch->writer, QUEUE_JOURNAL_BATCH_BYTES_MAX);
    base_writer_init(&batch->text, QUEUE_JOURNAL_BATCH_BYTES_MAX);
    logstore_records_builder_begin(&batch->builder, &batch->writer);
}

void queue__journal_drop(struct queue_journal_batch *batch)
{
    base_writer_fini(&batch->writer);
    base_writer_fini(&batch->text);
}

static size_t format_key(char key[KEY_SIZE_MAX], const char *group_id, int32_t partition)
{
    const char *suffix = partition == QUEUE_JOURNAL_RULE ? rule_suffix : redrive_suffix;
    int length = partition < 0 ? snprintf(key, KEY_SIZE_MAX, "%s/%s", group_id, suffix)
                               : snprintf(key, KEY_SIZE_MAX, "%s/%" PRId32, group_id, partition);
    BASE_ASSERT(length > 0);
    BASE_ASSERT(length < KEY_SIZE_MAX);
    return (size_t)length;
}

bool queue__journal_parse_key(struct base_slice key, struct base_slice *group_id,
                              int32_t *partition)
{
    size_t at = key.length;
    int32_t number = 0;

    while (at > 0 && key.data[at - 1] != '/') {
        at--;
    }
    if (at < 2 || at == key.length || key.length - at > 9 || at - 1 > UINT8_MAX) {
        return false;
    }
    *group_id = base_slice_of(key.data, at - 1);
    struct base_slice suffix = base_slice_of(key.data + at, key.length - at);
    if (base_slice_is(suffix, rule_suffix) || base_slice_is(suffix, redrive_suffix)) {
        *partition =
            base_slice_is(suffix, rule_suffix) ? QUEUE_JOURNAL_RULE : QUEUE_JOURNAL_REDRIVE;
        return true;
    }
    for (size_t i = at; i < key.length; i++) {
        if (key.data[i] < '0' || key.data[i] > '9') {
            return false;
        }
        number = number * 10 + (key.data[i] - '0');
    }
    *partition = number;
    return true;
}

/* Adds the record of that key with batch->text as its value, or null. */
static void add(struct queue_journal_batch *batch, const char *group_id, int32_t partition,
                bool has_text)
{
    char key[KEY_SIZE_MAX];
    struct logstore_record_input input = {.timestamp_ms = batch->timestamp_ms};

    input.key = base_slice_of(key, format_key(key, group_id, partition));
    if (has_text && batch->text.err != BASE_ERR_OK) {
        base_writer_fail(&batch->writer, batch->text.err);
        return;
    }
    if (has_text) {
        input.value = base_slice_of(batch->text.buffer->data, batch->text.length);
    }
    logstore_records_builder_add(&batch->builder, &input);
}

void queue__journal_add(struct queue_journal_batch *batch, const char *group_id, int32_t partition,
                        const struct queue_record *record)
{
    BASE_ASSERT(partition >= 0);

    base_writer_reset(&batch->text);
    if (record != NULL) {
        queue__record_encode(record, &batch->text);
    }
    add(batch, group_id, partition, record != NULL);
}

void queue__journal_add_rule(struct queue_journal_batch *batch, const char *group_id,
                             const struct queue_tag_rule *rule)
{
    base_writer_reset(&batch->text);
    if (rule != NULL) {
        queue__record_encode_rule(rule, &batch->text);
    }
    add(batch, group_id, QUEUE_JOURNAL_RULE, rule != NULL);
}

void queue__journal_add_redrive(struct queue_journal_batch *batch, const char *group_id,
                                const struct queue_redrive_record *redrive)
{
    base_writer_reset(&batch->text);
    if (redrive != NULL) {
        queue__record_encode_redrive(redrive, &batch->text);
    }
    add(batch, group_id, QUEUE_JOURNAL_REDRIVE, redrive != NULL);
}

enum base_err queue__journal_append(struct queue_journal_batch *batch,
                                    struct base_executor *executor, struct partition_waiter *waiter,
                                    bool *pending)
{
    struct queue_journal *journal = batch->journal;
    struct partition_appended appended = {0};
    struct base_chunk chunk = {0};

    *pending = false;
    enum base_err err = logstore_records_builder_finish(&batch->builder);
    if (err == BASE_ERR_OK) {
        BASE_ASSERT(batch->builder.header.records_count > 0);
        chunk.buffer = base_writer_take(&batch->writer, &chunk.length);
        err = partition_append(journal->partition, &chunk, &batch->builder.header,
                               PARTITION_ACK_ALL, executor, waiter, &appended);
        base_buffer_release(&chunk.buffer);
    }
    queue__journal_drop(batch);
    if (err != BASE_ERR_OK) {
        return err;
    }
    BASE_ASSERT(appended.verdict == LOGSTORE_VERDICT_APPEND);
    *pending = appended.pending;
    uint64_t count = (uint64_t)batch->builder.header.records_count;
    uint64_t records = atomic_fetch_add(&journal->records, count) + count;
    if (records >= queue__manager_snapshot_records(journal->manager)) {
        queue__snapshot_start(journal, executor);
    }
    return BASE_ERR_OK;
}

void queue__journal_send(struct queue_journal_batch *batch, struct base_executor *executor)
{
    int32_t partition = batch->journal->index;
    bool pending;
    enum base_err err = queue__journal_append(batch, executor, NULL, &pending);
    if (err != BASE_ERR_OK) {
        base_log(BASE_LOG_WARN, "CURSORS_NOT_WRITTEN",
                 "topic=" QUEUE_JOURNAL_TOPIC " partition=%" PRId32 " cause=\"%s\"", partition,
                 base_err_text(err));
    }
}
