/* libFuzzer target: whatever a disk holds of a log, opening it does not crash; what can be read
 * then are whole batches in order; and without the objects that spare recovery its scan, each
 * of them has a good CRC. What recovery accepted once it accepts again.
 *
 * A log of a few segments is written, and the input is a list of edits of its objects:
 *
 *     byte 0      bit 0: the log was closed with a checkpoint; bit 1: only segments are left
 *     then edits  object (of the sorted list), kind, two bytes n, and for REPLACE n bytes */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/base/log.h"
#include "tests/sim/log_harness.h"

enum {
    OBJECTS_MAX = 64,
    NAME_SIZE = 96,
    FLAG_CHECKPOINT = 1,
    FLAG_SEGMENTS_ONLY = 2,
    EDIT_SIZE = 4,
    BATCHES = 24,
    READ_BYTES = 64 << 10,
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
    log_harness_close(harness, checkpoint);
}

static bool is_segment(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".log") == 0;
}

/* Does one edit; returns the bytes of the input it took. */
static size_t edit(struct log_harness *harness, const struct objects *objects, const uint8_t *data,
                   size_t size)
{
    const char *name = objects->names[data[0] % objects->count];
    unsigned number = (unsigned)data[2] << 8 | data[3];
    int64_t object_size = io_sim_size(harness->sim, name);
    size_t taken = EDIT_SIZE;

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

/* Batches of one chunk follow each other from *offset on. False: what an index vouched for is
 * damaged, which only its reader can see. */
static bool check_chunk(const struct base_chunk *chunk, int64_t *offset, bool with_crc)
{
    const uint8_t *data = chunk->buffer->data + chunk->position;
    size_t left = chunk->length;

    while (left > 0) {
        struct logstore_batch batch;
        enum base_err err = logstore_batch_peek(data, left, &batch, NULL);
        if (err == BASE_ERR_OK) {
            err = logstore_batch_verify_crc(data, batch.size_bytes);
        }
        if (!with_crc && err != BASE_ERR_OK) {
            return false;
        }
        BASE_ASSERT(err == BASE_ERR_OK);
        if (!with_crc && logstore_batch_next_offset(&batch) <= *offset) {
            return false; /* the offset lies outside the CRC */
        }
        BASE_ASSERT(logstore_batch_next_offset(&batch) > *offset);
        *offset = logstore_batch_next_offset(&batch);
        data += batch.size_bytes;
        left -= batch.size_bytes;
    }
    return true;
}

/* Reads all there is; the offset behind the last batch. */
static int64_t read_all(struct log_harness *harness, bool with_crc)
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
            BASE_ASSERT(!with_crc || log_harness_reason(harness) != NULL ||
                        read.err != BASE_ERR_OK);
            logstore_read_release(&read);
            break;
        }
        bool is_sound = true;
        for (uint32_t i = 0; is_sound && i < read.chunks_count; i++) {
            is_sound = check_chunk(&read.chunks[i], &offset, with_crc);
        }
        BASE_ASSERT(!is_sound || offset == read.next_offset || !with_crc);
        logstore_read_release(&read);
        if (!is_sound) {
            break;
        }
    }
    return offset;
}

/* Opens the log; false when it stays closed. */
static bool open_edited(struct log_harness *harness)
{
    enum base_err err = log_harness_open(harness);
    BASE_ASSERT(err != BASE_ERR_CORRUPT || log_harness_reason(harness) != NULL);
    return harness->log != NULL;
}

static void check_recovery(struct log_harness *harness, bool with_crc)
{
    if (!open_edited(harness)) {
        return;
    }
    bool works = log_harness_reason(harness) == NULL;
    int64_t end = read_all(harness, with_crc);
    if (works && log_harness_reason(harness) == NULL) {
        (void)log_harness_put(harness, 2, 100);
    }
    log_harness_close(harness, false);
    if (!open_edited(harness)) {
        BASE_ASSERT(!works);
        return;
    }
    BASE_ASSERT(read_all(harness, with_crc) >= end);
    log_harness_close(harness, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct io_sim_options options = {0};
    struct log_harness harness;
    struct objects objects;

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
    check_recovery(&harness, segments_only);
    log_harness_fini(&harness);
    return 0;
}
