/* The journal that is a partition of __consumer_offsets. */
#include "core/group/journal.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"

struct partition_journal {
    struct group_journal journal;
    struct partition *partition; /* held */
};

static struct partition *partition_of(struct group_journal *journal)
{
    return BASE_CONTAINER_OF(journal, struct partition_journal, journal)->partition;
}

static enum base_err append(struct group_journal *journal, const struct base_chunk *bytes,
                            const struct logstore_batch *batch, struct base_executor *executor,
                            struct partition_waiter *waiter, bool *pending)
{
    struct partition_appended appended;
    enum base_err err = partition_append(partition_of(journal), bytes, batch, PARTITION_ACK_ALL,
                                         executor, waiter, &appended);

    *pending = err == BASE_ERR_OK && appended.pending;
    BASE_ASSERT(err != BASE_ERR_OK || appended.verdict == LOGSTORE_VERDICT_APPEND);
    return err;
}

static int64_t end(struct group_journal *journal)
{
    struct partition_offsets offsets;
    partition_offsets(partition_of(journal), &offsets);
    return offsets.end;
}

static void trim(struct group_journal *journal, int64_t offset)
{
    /* If it fails the log stays longer than need be, which is no harm. */
    (void)!partition_trim(partition_of(journal), offset, NULL);
}

static enum base_err replay(struct group_journal *journal, partition_visit *visit, void *context)
{
    return partition_replay(partition_of(journal), visit, context);
}

static void close_journal(struct group_journal *journal)
{
    struct partition_journal *self = BASE_CONTAINER_OF(journal, struct partition_journal, journal);
    partition_release(&self->partition);
    base_free(self);
}

static const struct group_journal_ops partition_journal_ops = {
    .append = append,
    .end = end,
    .trim = trim,
    .replay = replay,
    .close = close_journal,
};

enum base_err group_journal_open(struct partition *partition, struct group_journal **out)
{
    *out = NULL;
    struct partition_journal *self = base_alloc_object(struct partition_journal);
    if (self == NULL) {
        return BASE_ERR_NOMEM;
    }
    self->journal.ops = &partition_journal_ops;
    self->partition = partition;
    *out = &self->journal;
    return BASE_ERR_OK;
}
