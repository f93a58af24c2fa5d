/* libFuzzer target: whatever a disk holds of a log, opening it does not crash, and what can be
 * read then are whole batches in order. A batch with a wrong CRC comes out only where an index
 * with a right checksum vouches for its bytes (struct trust), and then no record of it. What
 * recovery accepted once it accepts again.
 *
 * A log of a few segments is written, and the input is a list of edits of its objects:
 *
 *     byte 0      bit 0: the log was closed with a checkpoint; bit 1: only segments are left;
 *                 bit 2: checksums of small objects and indexes are made right after the edits;
 *                 bit 3: so are the CRCs of batches
 *     then edits  object (of the sorted list), kind, two bytes n, and for REPLACE n bytes; a kind
 *                 with bit 2 set writes over bytes from n on instead: a byte of their number (at
 *                 most 16), then these */
#define _GNU_SOURCE /* memmem */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/base/log.h"
#include "logstore/footer.h"
#include "logstore/log_priv.h"
#include "tests/sim/log_harness.h"

enum {
    OBJECTS_MAX = 64,
    NAME_SIZE = 96,
    FLAG_CHECKPOINT = 1,
    FLAG_SEGMENTS_ONLY = 2,
    FLAG_SEAL = 4,
    FLAG_SEAL_BATCHES = 8,
    EDIT_SIZE = 4,
    PATCH_FLAG = 4,
    PATCH_SIZE_MAX = 16,
    BATCHES = 24,
    READ_BYTES = 64 << 10,
    OBJECT_BYTES_MAX = 1 << 20,
    INDEX_AT_CRC = 8, /* of "<base>.index"; what it is of follows */
    SMALL_AT_CRC = 4, /* of "head" and "durable" */
};

enum edit { EDIT_FLIP, EDIT_CUT, EDIT_DROP, EDIT_REPLACE, EDIT_COUNT };

struct objects {
    char names[OBJECTS_MAX][NAME_SIZE];
    unsigned count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool add_object(void *context, const char *name, uint64_t size_bytes)
{
    struct objects *objects = context;
    (void)size_bytes;
    if (objects->count < OBJECTS_MAX) {
        (void)snprintf(objects->names[objects->count++], NAME_SIZE, "%s/%s", LOG_HARNESS_NAME,
                       name);
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list(struct log_harness *harness, struct objects *objects)
{
    objects->count = 0;
    enum base_err err = harness->io->ops->list(harness->io, LOG_HARNESS_NAME, add_object, objects);
    BASE_ASSERT(err == BASE_ERR_OK);
    qsort(objects->names, objects->count, NAME_SIZE, compare_names);
}

static void write_log(struct log_harness *harness, bool checkpoint)
{
    enum base_err err = log_harness_open(harness);
    BASE_ASSERT(err == BASE_ERR_OK);
    for (unsigned i = 0; i < BATCHES; i++) {
        struct logstore_appended appended;
        struct log_harness_batch spec = {
            .records_count = 1 + (int32_t)(i % 3),
            .value_bytes = 40 + 37 * (size_t)i,
            .producer_id = i % 4 == 0 ? 7 : -1,
            .base_sequence = i % 4 == 0 ? (int32_t)(i / 4) : -1,
        };
        if (i % 4 == 0) {
            spec.records_count = 1;
        } else {
            spec.producer_epoch = -1;
        }
        err = log_harness_append(harness, &spec, &appended);
        BASE_ASSERT(err == BASE_ERR_OK);
        BASE_ASSERT(log_harness_wait_durable(harness, appended.end_offset));
    }
    err = log_harness_trim(harness, 3);
    BASE_ASSERT(err == BASE_ERR_OK);
    if (checkpoint) { /* closing alone would not care for so few bytes */
        base_mutex_lock(&harness->lock);
        logstore__want_checkpoint(harness->log, true);
        base_mutex_unlock(&harness->lock);
        sim_scheduler_run(harness->scheduler);
    }
    log_harness_close(harness, checkpoint);
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name);
    return length > strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

static bool is_segment(const char *name)
{
    return ends_in(name, ".log");
}

/* The content of an object; *length 0 when there is none. */
static struct base_buffer *get(struct log_harness *harness, const char *name, size_t *length)
{
    struct base_buffer *buffer = NULL;

    *length = 0;
    enum base_err err = harness->io->ops->get(harness->io, name, OBJECT_BYTES_MAX, &buffer, length);
    BASE_ASSERT(err == BASE_ERR_OK || err == BASE_ERR_NOT_FOUND);
    return buffer;
}

static void put(struct log_harness *harness, const char *name, const struct base_buffer *buffer,
                size_t length)
{
    enum base_err err =
        harness->io->ops->put(harness->io, name, base_slice_of(buffer->data, length));
    BASE_ASSERT(err == BASE_ERR_OK);
}

static void patch(struct log_harness *harness, const char *name, size_t position,
                  const uint8_t *bytes, size_t count)
{
    size_t length = 0;
    struct base_buffer *buffer = get(harness, name, &length);

    for (size_t i = 0; i < count && length > 0; i++) {
        buffer->data[(position + i) % length] = bytes[i];
    }
    if (buffer != NULL) {
        put(harness, name, buffer, length);
        base_buffer_release(&buffer);
    }
}

/* The checksum at at_crc becomes that of what follows it. */
static void seal(uint8_t *bytes, size_t length, size_t at_crc)
{
    size_t start = at_crc + sizeof(uint32_t);
    if (length >= start) {
        base_put_u32(bytes + at_crc, base_crc32c(0, bytes + start, length - start));
    }
}

static void seal_batches(uint8_t *bytes, size_t length)
{
    struct logstore_batch batch;

    while (length > 0 && logstore_batch_peek(bytes, length, &batch, NULL) == BASE_ERR_OK) {
        seal(bytes, batch.size_bytes, LOGSTORE_BATCH_AT_CRC);
        bytes += batch.size_bytes;
        length -= batch.size_bytes;
    }
}

static void seal_all(struct log_harness *harness, const struct objects *objects, unsigned flags)
{
    for (unsigned i = 0; i < objects->count; i++) {
        const char *name = objects->names[i];
        size_t length = 0;
        struct base_buffer *buffer = get(harness, name, &length);

        if (buffer == NULL) {
            continue;
        }
        if (is_segment(name) && (flags & FLAG_SEAL_BATCHES) != 0) {
            seal_batches(buffer->data, length);
        } else if (!is_segment(name) && (flags & FLAG_SEAL) != 0) {
            seal(buffer->data, length, ends_in(name, ".index") ? INDEX_AT_CRC : SMALL_AT_CRC);
        }
        put(harness, name, buffer, length);
        base_buffer_release(&buffer);
    }
}

/* Does one edit; returns the bytes of the input it took. */
static size_t edit(struct log_harness *harness, const struct objects *objects, const uint8_t *data,
                   size_t size)
{
    const char *name = objects->names[data[0] % objects->count];
    unsigned number = (unsigned)data[2] << 8 | data[3];
    int64_t object_size = io_sim_size(harness->sim, name);
    size_t taken = EDIT_SIZE;

    if ((data[1] & PATCH_FLAG) != 0) {
        size_t count = size == taken ? 0 : data[taken++] % (PATCH_SIZE_MAX + 1);
        count = count < size - taken ? count : size - taken;
        patch(harness, name, number, data + taken, count);
        return taken + count;
    }
    if (object_size < 0) {
        return taken; /* dropped before */
    }
    switch ((enum edit)(data[1] % EDIT_COUNT)) {
    case EDIT_FLIP:
        if (object_size > 0) {
            io_sim_flip(harness->sim, name, number % (uint64_t)object_size, data[1] >> 5);
        }
        break;
    case EDIT_CUT:
        io_sim_cut(harness->sim, name, number % ((uint64_t)object_size + 1));
        break;
    case EDIT_DROP:
        io_sim_drop(harness->sim, name);
        break;
    case EDIT_REPLACE: {
        size_t length = number < size - taken ? number : size - taken;
        enum base_err err =
            harness->io->ops->put(harness->io, name, base_slice_of(data + taken, length));
        BASE_ASSERT(err == BASE_ERR_OK);
        taken += length;
        break;
    }
    case EDIT_COUNT:
        BASE_UNREACHABLE("no edit");
    }
    return taken;
}

/* What is not scanned when a log is opened or read: the bytes of a segment that its index covers.
 * Only what was synced gets such an index. */
struct trust {
    struct base_buffer *bytes[OBJECTS_MAX]; /* owned; of a segment */
    size_t lengths[OBJECTS_MAX];
    unsigned count;
};

static void trust_init(struct trust *trust, struct log_harness *harness,
                       const struct objects *objects)
{
    char segment_name[NAME_SIZE];

    trust->count = 0;
    for (unsigned i = 0; i < objects->count; i++) {
        const char *name = objects->names[i];
        struct logstore_footer footer;
        struct logstore_index index;
        struct base_slice snapshot;
        size_t length = 0;

        if (!ends_in(name, ".index")) {
            continue;
        }
        (void)snprintf(segment_name, sizeof segment_name, "%.*s.log",
                       (int)(strlen(name) - strlen(".index")), name);
        struct base_buffer *content = get(harness, name, &length);
        logstore_index_init(&index);
        if (content != NULL && logstore_footer_decode(base_slice_of(content->data, length), &footer,
                                                      &index, &snapshot) == BASE_ERR_OK) {
            struct base_buffer *bytes = get(harness, segment_name, &length);
            trust->lengths[trust->count] =
                footer.covered_bytes < length ? (size_t)footer.covered_bytes : length;
            trust->bytes[trust->count++] = bytes;
        }
        logstore_index_fini(&index);
        base_buffer_release(&content);
    }
}

static void trust_fini(struct trust *trust)
{
    while (trust->count > 0) {
        base_buffer_release(&trust->bytes[--trust->count]);
    }
}

/* Whether these bytes are among what an index vouches for. */
static bool is_trusted(const struct trust *trust, const uint8_t *data, size_t length)
{
    for (unsigned i = 0; i < trust->count; i++) {
        if (trust->bytes[i] != NULL &&
            memmem(trust->bytes[i]->data, trust->lengths[i], data, length) != NULL) {
            return true;
        }
    }
    return false;
}

/* Batches of one chunk follow each other from *offset to at most end. False: what an index vouched
 * for is damaged, which only who looks into it can see. */
static bool check_chunk(const struct base_chunk *chunk, int64_t *offset, int64_t end,
                        const struct trust *trust)
{
    const uint8_t *data = chunk->buffer->data + chunk->position;
    size_t left = chunk->length;

    while (left > 0) {
        struct logstore_batch batch;
        enum base_err err = logstore_batch_peek(data, left, &batch, NULL);
        size_t size = err == BASE_ERR_OK                  ? batch.size_bytes
                      : left < LOGSTORE_BATCH_HEADER_SIZE ? left
                                                          : LOGSTORE_BATCH_HEADER_SIZE;
        if (err == BASE_ERR_OK) {
            err = logstore_batch_verify_crc(data, size);
        }
        int64_t next = err == BASE_ERR_OK ? logstore_batch_next_offset(&batch) : -1;
        /* The offset lies outside the CRC. */
        if (err != BASE_ERR_OK || next <= *offset || next > end) {
            BASE_ASSERT(is_trusted(trust, data, size));
            return false;
        }
        *offset = next;
        data += size;
        left -= size;
    }
    return true;
}

/* Reads all there is up to the first damage; the offset behind the last good batch. */
static int64_t read_all(struct log_harness *harness, const struct trust *trust)
{
    int64_t offset = log_harness_start(harness);
    int64_t written = log_harness_written(harness);

    while (offset < written) {
        struct logstore_read read = {.offset = offset,
                                     .limit_offset = written,
                                     .bytes_max = READ_BYTES,
                                     .first_whole = true,
                                     .in_memory = true};
        log_harness_read(harness, &read);
        if (read.err != BASE_ERR_OK || read.chunks_count == 0) {
            BASE_ASSERT(trust->count > 0 || log_harness_reason(harness) != NULL ||
                        read.err != BASE_ERR_OK);
            logstore_read_release(&read);
            break;
        }
        bool is_sound = true;
        for (uint32_t i = 0; is_sound && i < read.chunks_count; i++) {
            is_sound = check_chunk(&read.chunks[i], &offset, written, trust);
        }
        BASE_ASSERT(!is_sound || offset == read.next_offset || trust->count > 0);
        logstore_read_release(&read);
        if (!is_sound) {
            break;
        }
    }
    return offset;
}

/* Who decodes records gets none of a batch that is damaged. */
static enum base_err check_record(void *context, const struct logstore_record *record)
{
    const int64_t *good_to = context;
    BASE_ASSERT(record->offset < *good_to);
    return BASE_ERR_OK;
}

/* Searches that believe indexes and snapshots. */
static void look_up(struct log_harness *harness)
{
    int64_t times_ms[] = {0, 1, INT64_MAX, LOGSTORE_LOOKUP_MAX};

    for (unsigned i = 0; i < sizeof times_ms / sizeof times_ms[0]; i++) {
        struct logstore_lookup lookup = {.timestamp_ms = times_ms[i], .limit_offset = INT64_MAX};
        log_harness_lookup(harness, &lookup);
        BASE_ASSERT(lookup.offset == -1 || (lookup.offset >= log_harness_start(harness) &&
                                            lookup.offset < log_harness_end(harness)));
    }
    base_mutex_lock(&harness->lock);
    for (int32_t epoch = 0; epoch < 3; epoch++) {
        int32_t found = -1;
        int64_t offset = -1;
        (void)logstore_log_epoch_end(harness->log, epoch, &found, &offset);
    }
    base_mutex_unlock(&harness->lock);
}

/* Opens the log; false when it stays closed. */
static bool open_edited(struct log_harness *harness)
{
    enum base_err err = log_harness_open(harness);
    BASE_ASSERT(err != BASE_ERR_CORRUPT || log_harness_reason(harness) != NULL);
    return harness->log != NULL;
}

static void check_recovery(struct log_harness *harness, const struct trust *trust)
{
    if (!open_edited(harness)) {
        return;
    }
    bool works = log_harness_reason(harness) == NULL;
    int64_t good_to = read_all(harness, trust);
    (void)log_harness_replay(harness, log_harness_start(harness), log_harness_written(harness),
                             check_record, &good_to);
    look_up(harness);
    if (works && log_harness_reason(harness) == NULL) {
        (void)log_harness_put(harness, 2, 100);
    }
    log_harness_close(harness, false);
    if (!open_edited(harness)) {
        BASE_ASSERT(!works);
        return;
    }
    BASE_ASSERT(read_all(harness, trust) >= good_to);
    log_harness_close(harness, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct io_sim_options options = {0};
    struct log_harness harness;
    struct objects objects;
    struct trust trust;

    if (size == 0) {
        return 0;
    }
    base_log_configure(BASE_LOG_ERROR, BASE_LOG_LOGFMT);
    log_harness_init(&harness, 1);
    harness.config.segment_bytes = 4096;
    log_harness_use_sim(&harness, &options);
    write_log(&harness, (data[0] & FLAG_CHECKPOINT) != 0);
    list(&harness, &objects);
    bool segments_only = (data[0] & FLAG_SEGMENTS_ONLY) != 0;
    for (size_t at = 1; size - at >= EDIT_SIZE;) {
        at += edit(&harness, &objects, data + at, size - at);
    }
    for (unsigned i = 0; segments_only && i < objects.count; i++) {
        if (!is_segment(objects.names[i]) && io_sim_size(harness.sim, objects.names[i]) >= 0) {
            io_sim_drop(harness.sim, objects.names[i]);
        }
    }
    seal_all(&harness, &objects, data[0]);
    trust_init(&trust, &harness, &objects);
    check_recovery(&harness, &trust);
    trust_fini(&trust);
    log_harness_fini(&harness);
    return 0;
}
