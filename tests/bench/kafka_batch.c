/* The batches that producers send, made once. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "logstore/batch.h"
#include "logstore/records_builder.h"
#include "tests/bench/bench.h"
#include "tests/bench/kafka_client.h"
#include "tests/unit/logstore/packing.h"

enum { BATCH_BYTES_MAX = 1 << 30, ZSTD_LEVEL = 3 };

static const char *const codec_names[LOGSTORE_CODEC_COUNT] = {"none", "gzip", "snappy", "lz4",
                                                              "zstd"};

static unsigned codec_named(const char *name)
{
    for (unsigned i = 0; i < LOGSTORE_CODEC_COUNT; i++) {
        if (strcmp(codec_names[i], name) == 0) {
            return i;
        }
    }
    bench_die("no such codec: %s", name);
}

static void pack(unsigned codec, struct base_slice plain, struct base_writer *out)
{
    switch (codec) {
    case LOGSTORE_CODEC_GZIP:
        pack_gzip(plain, out);
        break;
    case LOGSTORE_CODEC_SNAPPY:
        pack_snappy(plain, out);
        break;
    case LOGSTORE_CODEC_LZ4:
        pack_lz4(plain, out);
        break;
    default:
        pack_zstd(plain, true, ZSTD_LEVEL, out);
        break;
    }
}

/* The same batch with its records compressed; frees the plain one. */
static struct kafka_frame compress_batch(struct kafka_frame plain, unsigned codec)
{
    struct base_writer writer;

    base_writer_init(&writer, BATCH_BYTES_MAX);
    base_writer_bytes(&writer, plain.bytes, LOGSTORE_BATCH_HEADER_SIZE);
    pack(codec,
         base_slice_of(plain.bytes + LOGSTORE_BATCH_HEADER_SIZE,
                       plain.length - LOGSTORE_BATCH_HEADER_SIZE),
         &writer);
    free(plain.bytes);
    struct kafka_frame packed = kafka_frame_take(&writer);
    base_put_i32(packed.bytes + LOGSTORE_BATCH_AT_LENGTH,
                 (int32_t)packed.length - LOGSTORE_BATCH_LENGTH_OVERHEAD);
    base_put_u16(packed.bytes + LOGSTORE_BATCH_AT_ATTRIBUTES, (uint16_t)codec);
    base_put_u32(packed.bytes + LOGSTORE_BATCH_AT_CRC,
                 base_crc32c(0, packed.bytes + LOGSTORE_BATCH_AT_ATTRIBUTES,
                             packed.length - LOGSTORE_BATCH_AT_ATTRIBUTES));
    return packed;
}

/* A JSON string, which REST clients can read as well; 16 letters, of which entropy coding
 * makes half and matching nothing. */
static void fill(uint8_t *value, size_t size, uint32_t *random)
{
    for (size_t i = 0; i < size; i++) {
        *random = *random * 1664525u + 1013904223u;
        value[i] = (uint8_t)('a' + (*random >> 28));
    }
    if (size >= 2) {
        value[0] = '"';
        value[size - 1] = '"';
    }
}

struct kafka_frame kafka_batch_build(uint32_t records_count, size_t record_bytes, const char *codec)
{
    struct base_writer writer;
    struct logstore_records_builder builder;
    unsigned way = codec_named(codec);
    uint32_t random = 7;
    uint8_t *value = bench_alloc(1, record_bytes + 1);
    struct logstore_record_input input = {.timestamp_ms = (int64_t)time(NULL) * 1000,
                                          .value = base_slice_of(value, record_bytes)};

    base_writer_init(&writer, BATCH_BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    for (uint32_t i = 0; i < records_count; i++) {
        /* Text that comes again, so that lz4 and snappy find something too. */
        if (i % 2 == 0) {
            fill(value, record_bytes, &random);
        }
        logstore_records_builder_add(&builder, &input);
    }
    if (logstore_records_builder_finish(&builder) != BASE_ERR_OK) {
        bench_die("cannot build a batch");
    }
    free(value);
    struct kafka_frame batch = kafka_frame_take(&writer);
    return way == LOGSTORE_CODEC_NONE ? batch : compress_batch(batch, way);
}
