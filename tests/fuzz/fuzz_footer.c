/* libFuzzer target: the small objects beside segments, with checksums that are right: footers and
 * checkpoints with their index and snapshot, the head, the durable note. Any bytes are refused or
 * understood, and what was understood is the same once it is written and read again.
 *
 * Byte 0 chooses (enum kind). A footer begins behind its checksum, at the first field. */
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "logstore/footer.h"
#include "logstore/log_priv.h"

enum kind { KIND_FOOTER, KIND_SNAPSHOT, KIND_HEAD, KIND_DURABLE, KIND_COUNT };

enum { FOOTER_FIELDS = 12, SMALL_FIELDS = 8, OBJECT_SIZE_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bytes of an object as the encoder writes them; the checksum is put in. */
static size_t seal(uint8_t *object, const uint8_t *model, size_t fields_at, const uint8_t *data,
                   size_t size)
{
    size_t crc_at = fields_at - sizeof(uint32_t);

    memcpy(object, model, crc_at);
    memcpy(object + fields_at, data, size);
    base_put_u32(object + crc_at, base_crc32c(0, data, size));
    return fields_at + size;
}

static struct base_slice written(const struct base_writer *writer)
{
    BASE_ASSERT(writer->err == BASE_ERR_OK);
    return base_slice_of(writer->buffer == NULL ? NULL : writer->buffer->data, writer->length);
}

/* Decoded and encoded once more: the same, but for the order of what is not ordered. */
static void encode_again(const struct base_writer *first)
{
    struct logstore_epochs epochs;
    struct logstore_producers producers;
    struct base_writer second;

    logstore_epochs_init(&epochs);
    logstore_producers_init(&producers);
    enum base_err err = logstore_footer_snapshot_decode(written(first), &epochs, &producers);
    BASE_ASSERT(err == BASE_ERR_OK);
    base_writer_init(&second, SIZE_MAX);
    logstore_footer_snapshot_encode(&epochs, &producers, &second);
    BASE_ASSERT(base_slice_equal(written(first), written(&second)));
    base_writer_fini(&second);
    logstore_epochs_fini(&epochs);
    logstore_producers_fini(&producers);
}

static void snapshot(const uint8_t *data, size_t size)
{
    struct logstore_epochs epochs;
    struct logstore_producers producers;
    struct base_writer writer;

    logstore_epochs_init(&epochs);
    logstore_producers_init(&producers);
    if (logstore_footer_snapshot_decode(base_slice_of(data, size), &epochs, &producers) ==
        BASE_ERR_OK) {
        int32_t found_epoch = -1;
        int64_t found_offset = -1;
        base_writer_init(&writer, SIZE_MAX);
        logstore_footer_snapshot_encode(&epochs, &producers, &writer);
        BASE_ASSERT(writer.length == size);
        encode_again(&writer);
        base_writer_fini(&writer);
        for (int32_t epoch = 0; epoch < 4; epoch++) {
            (void)logstore_epochs_end(&epochs, epoch, INT64_MAX, &found_epoch, &found_offset);
            (void)logstore_epochs_at(&epochs, epoch);
        }
        logstore_epochs_trim(&epochs, 1);
        (void)logstore_producers_first_txn_offset(&producers);
        (void)logstore_producers_expire(&producers, INT64_MAX, 0);
    }
    logstore_epochs_fini(&epochs);
    logstore_producers_fini(&producers);
}

static void search(const struct logstore_index *index)
{
    static const int64_t keys[] = {0, 1, 1 << 12, UINT32_MAX, INT64_MAX};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct logstore_index_entry entry = logstore_index_find_offset(index, (uint64_t)keys[i]);
        BASE_ASSERT(entry.relative_offset <= keys[i]);
        entry = logstore_index_find_position(index, (uint64_t)keys[i]);
        BASE_ASSERT(entry.position <= keys[i]);
        entry = logstore_index_find_timestamp(index, keys[i]);
        BASE_ASSERT(entry.max_timestamp_ms < keys[i]);
    }
}

static void footer(const uint8_t *data, size_t size)
{
    static uint8_t object[OBJECT_SIZE_MAX];
    struct logstore_footer fields = {0};
    struct logstore_index index;
    struct base_slice found;
    struct base_writer model;
    struct base_writer writer;

    logstore_index_init(&index);
    base_writer_init(&model, SIZE_MAX);
    logstore_footer_encode(&fields, &index, base_slice_of(NULL, 0), &model);
    size_t length = seal(object, written(&model).data, FOOTER_FIELDS, data, size);
    base_writer_fini(&model);
    enum base_err err =
        logstore_footer_decode(base_slice_of(object, length), &fields, &index, &found);
    BASE_ASSERT(err != BASE_ERR_CORRUPT);
    if (err == BASE_ERR_OK) {
        search(&index);
        snapshot(found.data, found.length);
        if (fields.snapshot_offset >= 0 || found.length == 0) {
            base_writer_init(&writer, SIZE_MAX);
            logstore_footer_encode(&fields, &index, found, &writer);
            BASE_ASSERT(base_slice_equal(written(&writer), base_slice_of(object, length)));
            base_writer_fini(&writer);
        }
    }
    logstore_index_fini(&index);
}

static void head(const uint8_t *data, size_t size)
{
    uint8_t model[LOGSTORE__HEAD_SIZE];
    static uint8_t object[OBJECT_SIZE_MAX];
    int64_t start_offset = -1;

    logstore__head_encode(model, 0);
    size_t length = seal(object, model, SMALL_FIELDS, data, size);
    if (logstore__head_decode(base_slice_of(object, length), &start_offset) == BASE_ERR_OK) {
        BASE_ASSERT(start_offset >= 0);
    }
}

static void durable(const uint8_t *data, size_t size)
{
    uint8_t model[LOGSTORE__DURABLE_SIZE];
    static uint8_t object[OBJECT_SIZE_MAX];
    const struct logstore_segment segment = {.base_offset = 0};
    const struct logstore__mark mark = {.segment = (struct logstore_segment *)(uintptr_t)&segment};
    int64_t base_offset = 0;
    uint64_t position = 0;

    logstore__durable_encode(model, &mark);
    size_t length = seal(object, model, SMALL_FIELDS, data, size);
    (void)logstore__durable_decode(base_slice_of(object, length), &base_offset, &position);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[KIND_COUNT])(const uint8_t *data, size_t size) = {footer, snapshot,
                                                                                head, durable};
    if (size == 0 || size > OBJECT_SIZE_MAX - FOOTER_FIELDS) {
        return 0;
    }
    kinds[data[0] % KIND_COUNT](data + 1, size - 1);
    return 0;
}
