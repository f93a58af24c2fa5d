/* Compressors for tests: what clients do to records before they send them. Each returns
 * a writer's worth of bytes appended to out. */
#ifndef TESTS_UNIT_LOGSTORE_PACKING_H
#define TESTS_UNIT_LOGSTORE_PACKING_H

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/assert.h"
#include "core/base/slice.h"
#include "core/base/writer.h"

static inline void pack_gzip(struct base_slice plain, struct base_writer *out)
{
    z_stream stream = {.next_in = (z_const Bytef *)plain.data, .avail_in = (uInt)plain.length};
    int result = deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    BASE_ASSERT(result == Z_OK);
    size_t bound = deflateBound(&stream, plain.length);
    size_t start = out->length;
    stream.next_out = base_writer_extend(out, bound);
    stream.avail_out = (uInt)bound;
    result = deflate(&stream, Z_FINISH);
    BASE_ASSERT(result == Z_STREAM_END);
    base_writer_truncate(out, start + stream.total_out);
    (void)deflateEnd(&stream);
}

static inline void pack_snappy(struct base_slice plain, struct base_writer *out)
{
    size_t size = snappy_max_compressed_length(plain.length);
    size_t start = out->length;
    char *room = (char *)base_writer_extend(out, size);
    snappy_status status = snappy_compress((const char *)plain.data, plain.length, room, &size);
    BASE_ASSERT(status == SNAPPY_OK);
    base_writer_truncate(out, start + size);
}

/* As snappy-java's stream does, in blocks of block_size plain bytes. */
static inline void pack_xerial(struct base_slice plain, size_t block_size, struct base_writer *out)
{
    static const uint8_t header[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
    base_writer_bytes(out, header, sizeof header);
    while (plain.length > 0) {
        size_t taken = plain.length < block_size ? plain.length : block_size;
        size_t at = out->length;
        base_writer_int32(out, 0);
        pack_snappy(base_slice_of(plain.data, taken), out);
        base_writer_patch_int32(out, at, (int32_t)(out->length - at - 4));
        plain = base_slice_of(plain.data + taken, plain.length - taken);
    }
}

static inline void pack_lz4(struct base_slice plain, struct base_writer *out)
{
    size_t bound = LZ4F_compressFrameBound(plain.length, NULL);
    size_t start = out->length;
    uint8_t *room = base_writer_extend(out, bound);
    size_t size = LZ4F_compressFrame(room, bound, plain.data, plain.length, NULL);
    BASE_ASSERT(!LZ4F_isError(size));
    base_writer_truncate(out, start + size);
}

/* With sized, the frame declares its content size, as one-shot compression does;
 * without, it does not, as Java's stream. */
static inline void pack_zstd(struct base_slice plain, bool sized, int level,
                             struct base_writer *out)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(plain.length) + 64;
    size_t start = out->length;
    ZSTD_outBuffer output = {.dst = base_writer_extend(out, bound), .size = bound};
    ZSTD_inBuffer input = {.src = plain.data, .size = plain.length};
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (sized) {
        (void)ZSTD_CCtx_setPledgedSrcSize(context, plain.length);
    } else {
        size_t left = ZSTD_compressStream2(context, &output, &input, ZSTD_e_flush);
        BASE_ASSERT(left == 0);
    }
    size_t left = ZSTD_compressStream2(context, &output, &input, ZSTD_e_end);
    BASE_ASSERT(left == 0);
    base_writer_truncate(out, start + output.pos);
    (void)ZSTD_freeCCtx(context);
}

#endif
