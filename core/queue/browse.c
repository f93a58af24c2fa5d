/* Walks over a partition. Logs are read forward; newest first, that means pieces of the log from
 * its end towards its start, each walked forward while the last matches are kept. */
#define _GNU_SOURCE /* memmem. NOLINT(bugprone-reserved-identifier) */
#include "core/queue/browse.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/manager_priv.h"
#include "core/queue/reader_priv.h"

enum {
    PIECE_SIZE_FIRST = 16, /* offsets */
    PIECE_SIZE_MAX = 4096,
    PIECE_GROWS_BELOW = 1024 * 1024, /* bytes that the piece before took */
    RETRIES_MAX = 3,                 /* of a read that the moving log start overtook */
};

struct queue_browse_walk {
    struct queue_browse *browse;
    struct partition *partition; /* counted */
    struct queue_reader reader;
    struct logstore_lookup lookup;
    int64_t oldest_ms; /* messages with an older time have expired; -1 none has */
    int64_t position;  /* next offset to look at */
    int64_t stop;      /* exclusive */
    uint32_t scanned_count;
    size_t scanned_bytes;
    size_t inflated_bytes; /* those of the reader that were counted */
    unsigned retries;

    /* Newest first. */
    int64_t piece_from;
    int64_t piece_size;
    size_t piece_bytes;
    struct queue_browsed kept[QUEUE_BROWSE_MESSAGES_MAX]; /* ring: the last matches of the piece */
    uint32_t kept_first;
    uint32_t kept_count;
    bool has_dropped; /* matches older than those kept */
};

/* What came of walking. */
enum walked {
    WALKED_TO_STOP,
    WALKED_ENOUGH,  /* messages, or scanned */
    WALKED_TOO_FAR, /* the piece is larger than one answer may scan */
    WALKED_READING,
    WALKED_FAILED, /* see browse->err */
};

static bool holds(struct base_slice value, struct base_slice text)
{
    return text.length == 0 || memmem(value.data, value.length, text.data, text.length) != NULL;
}

static bool is_wanted(const struct queue_browse_walk *walk, const struct logstore_record *record)
{
    const struct queue_browse *browse = walk->browse;
    return !queue__has_expired(record, walk->oldest_ms) && holds(record->value, browse->text) &&
           queue_tag_rule_matches(&browse->rule, record);
}

static void keep(struct queue_browse_walk *walk, const struct logstore_record *record,
                 struct base_buffer *buffer)
{
    struct queue_browse *browse = walk->browse;
    struct queue_browsed found = {.record = *record, .buffer = base_buffer_hold(buffer)};

    if (!browse->newest_first) {
        browse->messages[browse->messages_count++] = found;
        return;
    }
    uint32_t room = browse->messages_max - browse->messages_count;
    if (walk->kept_count == room) {
        base_buffer_release(&walk->kept[walk->kept_first].buffer);
        walk->kept[walk->kept_first] = found;
        walk->kept_first = (walk->kept_first + 1) % room;
        walk->has_dropped = true;
    } else {
        walk->kept[walk->kept_count++] = found;
    }
}

static void drop_kept(struct queue_browse_walk *walk)
{
    for (uint32_t i = 0; i < walk->kept_count; i++) {
        base_buffer_release(&walk->kept[i].buffer);
    }
    walk->kept_first = 0;
    walk->kept_count = 0;
    walk->has_dropped = false;
}

/* The kept ones become messages, the last first. */
static void take_kept(struct queue_browse_walk *walk)
{
    struct queue_browse *browse = walk->browse;

    for (uint32_t i = walk->kept_count; i > 0; i--) {
        uint32_t place = (walk->kept_first + i - 1) % walk->kept_count;
        browse->messages[browse->messages_count++] = walk->kept[place];
    }
    walk->kept_first = 0;
    walk->kept_count = 0;
}

static bool has_scanned_enough(const struct queue_browse_walk *walk)
{
    return walk->scanned_count >= QUEUE_BROWSE_SCANNED_MAX ||
           walk->scanned_bytes >= QUEUE_BROWSE_SCANNED_BYTES_MAX;
}

/* Looks at the offsets of the log; false when it cannot be read. */
static bool look(struct queue_browse_walk *walk)
{
    struct queue_browse *browse = walk->browse;
    struct partition_offsets offsets;

    partition_offsets(walk->partition, &offsets);
    browse->err = offsets.err;
    browse->start = offsets.start;
    browse->end = offsets.last_stable;
    return offsets.err == BASE_ERR_OK;
}

/* Gets the bytes at the position. True: go on. */
static bool fetch(struct queue_browse_walk *walk, enum walked *result)
{
    struct queue_browse *browse = walk->browse;

    if (queue__reader_fetch(&walk->reader, walk->partition, walk->position) ==
        LOGSTORE_IO_PENDING) {
        *result = WALKED_READING;
        return false;
    }
    if (walk->reader.has_window) {
        return true;
    }
    if (walk->reader.err == BASE_ERR_OUT_OF_RANGE && walk->retries++ < RETRIES_MAX && look(walk)) {
        walk->position = walk->position < browse->start ? browse->start : walk->position;
        return true;
    }
    *result = WALKED_FAILED;
    browse->err = walk->reader.err == BASE_ERR_OK ? BASE_ERR_OFFLINE : walk->reader.err;
    return false;
}

static void count_bytes(struct queue_browse_walk *walk, size_t bytes)
{
    walk->scanned_bytes += bytes;
    walk->piece_bytes += bytes;
}

/* Compressed batches count as what they inflated to, once they were left: however little of that
 * is records. */
static void count_inflated(struct queue_browse_walk *walk)
{
    count_bytes(walk, walk->reader.inflated_bytes - walk->inflated_bytes);
    walk->inflated_bytes = walk->reader.inflated_bytes;
}

static void scan(struct queue_browse_walk *walk, const struct logstore_record *record,
                 struct base_buffer *buffer)
{
    walk->scanned_count++;
    if (buffer != walk->reader.records.inflated) {
        count_bytes(walk, record->key.length + record->value.length + record->headers.length);
    }
    walk->position = record->offset + 1;
    if (is_wanted(walk, record)) {
        keep(walk, record, buffer);
    }
}

/* Walks forward to walk->stop. */
static enum walked walk_forward(struct queue_browse_walk *walk)
{
    struct queue_browse *browse = walk->browse;
    enum walked result = WALKED_TO_STOP;
    struct logstore_record record;
    struct base_buffer *buffer;
    int64_t gap_to;

    while (walk->position < walk->stop) {
        if (!browse->newest_first &&
            (browse->messages_count == browse->messages_max || has_scanned_enough(walk))) {
            return WALKED_ENOUGH;
        }
        if (browse->newest_first && walk->piece_bytes >= QUEUE_BROWSE_SCANNED_BYTES_MAX &&
            walk->piece_size > 1) {
            return WALKED_TOO_FAR;
        }
        enum queue_reader_found found =
            queue__reader_find(&walk->reader, walk->position, &record, &buffer, &gap_to);
        count_inflated(walk);
        switch (found) {
        case QUEUE_READER_RECORD:
            scan(walk, &record, buffer);
            break;
        case QUEUE_READER_GAP:
        case QUEUE_READER_DAMAGED:
            walk->position = gap_to;
            break;
        case QUEUE_READER_ELSEWHERE:
            if (!fetch(walk, &result)) {
                return result;
            }
            break;
        case QUEUE_READER_FAILED:
            browse->err = walk->reader.err;
            return WALKED_FAILED;
        }
    }
    return WALKED_TO_STOP;
}

/* The piece in front of `stop`. */
static void begin_piece(struct queue_browse_walk *walk, int64_t stop)
{
    int64_t room = stop - walk->browse->start;

    walk->stop = stop;
    walk->piece_from = stop - (room < walk->piece_size ? room : walk->piece_size);
    walk->position = walk->piece_from;
    walk->piece_bytes = 0;
}

/* A piece was walked to its end. True: there is another one to walk. */
static bool end_piece(struct queue_browse_walk *walk)
{
    struct queue_browse *browse = walk->browse;

    take_kept(walk);
    browse->next_offset = walk->piece_from;
    if (walk->has_dropped) {
        browse->next_offset = browse->messages[browse->messages_count - 1].record.offset;
    }
    if (browse->messages_count == browse->messages_max || browse->next_offset <= browse->start ||
        has_scanned_enough(walk)) {
        return false;
    }
    if (walk->piece_bytes < PIECE_GROWS_BELOW && walk->piece_size < PIECE_SIZE_MAX) {
        walk->piece_size *= 2;
    }
    begin_piece(walk, walk->piece_from);
    return true;
}

static enum queue_progress finish(struct queue_browse_walk *walk, enum base_err err)
{
    struct queue_browse *browse = walk->browse;

    browse->err = err;
    browse->verdict = err == BASE_ERR_OK ? QUEUE_OK : QUEUE_STORAGE_FAILED;
    browse->has_more = browse->newest_first ? browse->next_offset > browse->start
                                            : browse->next_offset < browse->end;
    return QUEUE_DONE;
}

static enum queue_progress walk_on(struct queue_browse_walk *walk)
{
    struct queue_browse *browse = walk->browse;

    for (;;) {
        enum walked result = walk_forward(walk);
        switch (result) {
        case WALKED_READING:
            return QUEUE_PENDING;
        case WALKED_FAILED:
            return finish(walk, browse->err);
        case WALKED_TOO_FAR:
            drop_kept(walk);
            walk->piece_size = (walk->piece_size + 3) / 4;
            begin_piece(walk, walk->stop);
            break;
        case WALKED_TO_STOP:
        case WALKED_ENOUGH:
            if (!browse->newest_first) {
                browse->next_offset = walk->position;
                return finish(walk, BASE_ERR_OK);
            }
            if (!end_piece(walk)) {
                return finish(walk, BASE_ERR_OK);
            }
            break;
        }
    }
}

static void on_read(struct base_task *task)
{
    struct logstore_read *read = BASE_CONTAINER_OF(task, struct logstore_read, task);
    struct queue_reader *reader = BASE_CONTAINER_OF(read, struct queue_reader, read);
    struct queue_browse_walk *walk = BASE_CONTAINER_OF(reader, struct queue_browse_walk, reader);
    struct queue_browse *browse = walk->browse;
    enum queue_progress progress = QUEUE_DONE;

    queue__reader_fetched(reader);
    bool is_overtaken = reader->err == BASE_ERR_OUT_OF_RANGE;
    if (reader->err != BASE_ERR_OK && !is_overtaken) {
        (void)finish(walk, reader->err);
    } else {
        progress = walk_on(walk);
    }
    if (progress == QUEUE_DONE) {
        browse->task.run(&browse->task);
    }
}

static int64_t within(const struct queue_browse *browse, int64_t offset)
{
    if (offset < browse->start) {
        return browse->start;
    }
    return offset > browse->end ? browse->end : offset;
}

/* Where to begin is known. */
static enum queue_progress begin(struct queue_browse_walk *walk, int64_t offset)
{
    struct queue_browse *browse = walk->browse;

    if (!browse->newest_first) {
        walk->position = offset;
        walk->stop = browse->end;
    } else {
        walk->piece_size = PIECE_SIZE_FIRST;
        begin_piece(walk, offset);
    }
    return walk_on(walk);
}

static void on_found(struct base_task *task)
{
    struct logstore_lookup *lookup = BASE_CONTAINER_OF(task, struct logstore_lookup, task);
    struct queue_browse_walk *walk = BASE_CONTAINER_OF(lookup, struct queue_browse_walk, lookup);
    struct queue_browse *browse = walk->browse;
    enum queue_progress progress;

    if (lookup->err != BASE_ERR_OK) {
        progress = finish(walk, lookup->err);
    } else {
        progress = begin(walk, within(browse, lookup->offset < 0 ? browse->end : lookup->offset));
    }
    if (progress == QUEUE_DONE) {
        browse->task.run(&browse->task);
    }
}

static enum queue_progress refuse(struct queue_browse *browse, enum base_err err)
{
    browse->verdict = QUEUE_STORAGE_FAILED;
    browse->err = err;
    return QUEUE_DONE;
}

enum queue_progress queue_browse(struct queue_manager *manager, struct queue_browse *browse)
{
    BASE_ASSERT(browse->executor != NULL);
    BASE_ASSERT(browse->task.run != NULL);
    BASE_ASSERT(browse->messages_max >= 1);
    BASE_ASSERT(browse->messages_max <= QUEUE_BROWSE_MESSAGES_MAX);
    BASE_ASSERT(browse->partition >= 0);
    BASE_ASSERT(browse->partition < browse->topic->partitions_count);

    browse->messages_count = 0;
    browse->next_offset = -1;
    browse->has_more = false;
    browse->walk = base_alloc_object(struct queue_browse_walk);
    if (browse->walk == NULL) {
        return refuse(browse, BASE_ERR_NOMEM);
    }
    struct queue_browse_walk *walk = browse->walk;
    walk->browse = browse;
    queue__reader_init(&walk->reader);
    walk->reader.read.executor = browse->executor;
    walk->reader.read.task.run = on_read;
    walk->oldest_ms = queue__oldest_ms(manager, browse->topic);
    walk->partition =
        partition_table_get(manager->options.table, browse->topic->id, browse->partition);
    if (walk->partition == NULL) {
        return refuse(browse, BASE_ERR_OFFLINE);
    }
    if (!look(walk)) {
        return refuse(browse, browse->err);
    }
    if (browse->timestamp_ms >= 0) {
        walk->lookup = (struct logstore_lookup){.timestamp_ms = browse->timestamp_ms,
                                                .executor = browse->executor,
                                                .task = {.run = on_found}};
        partition_lookup(walk->partition, &walk->lookup);
        return QUEUE_PENDING;
    }
    int64_t first = browse->newest_first ? browse->end : browse->start;
    return begin(walk, browse->offset < 0 ? first : within(browse, browse->offset));
}

void queue_browse_release(struct queue_browse *browse)
{
    for (uint32_t i = 0; i < browse->messages_count; i++) {
        base_buffer_release(&browse->messages[i].buffer);
    }
    browse->messages_count = 0;
    if (browse->walk != NULL) {
        drop_kept(browse->walk);
        queue__reader_fini(&browse->walk->reader);
        partition_release(&browse->walk->partition);
    }
    base_free(browse->walk);
    browse->walk = NULL;
}
