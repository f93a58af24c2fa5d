/* Decompression into a bounded writer. The stream decoders are given room piece by
 * piece, so a small input that claims to be huge costs one piece. */
#include "logstore/compression.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/base/assert.h"
#include "core/base/endian.h"

enum {
    PIECE_SIZE_MIN = 1024,
    PIECE_SIZE_MAX = 256 * 1024,
    /* Snappy's best element is 3 bytes for 64. */
    SNAPPY_RATIO_MAX = 22,
    XERIAL_MAGIC_SIZE = 8,
    XERIAL_HEADER_SIZE = 16, /* magic, version, oldest compatible version */
    XERIAL_LENGTH_SIZE = 4,
};

static const uint8_t xerial_magic[XERIAL_MAGIC_SIZE] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

/* Room at the end of the output for a decoder to fill. At the limit it is one spilled
 * byte: a stream that ends there never writes it. */
struct piece {
    struct base_writer *out;
    uint8_t *room;
    size_t size;
    uint8_t spill;
};

static enum base_err piece_get(struct piece *piece, size_t wanted)
{
    size_t left = piece->out->limit_bytes - piece->out->length;
    if (left == 0) {
        piece->room = &piece->spill;
        piece->size = 1;
        return BASE_ERR_OK;
    }
    wanted = wanted < PIECE_SIZE_MIN ? PIECE_SIZE_MIN : wanted;
    wanted = wanted > PIECE_SIZE_MAX ? PIECE_SIZE_MAX : wanted;
    piece->size = wanted < left ? wanted : left;
    piece->room = base_writer_extend(piece->out, piece->size);
    return piece->room == NULL ? piece->out->err : BASE_ERR_OK;
}

/* Gives back what the decoder did not fill. */
static enum base_err piece_put(struct piece *piece, size_t produced)
{
    BASE_ASSERT(produced <= piece->size);
    if (piece->room == &piece->spill) {
        return produced > 0 ? BASE_ERR_TOO_LARGE : BASE_ERR_OK;
    }
    base_writer_truncate(piece->out, piece->out->length - (piece->size - produced));
    return BASE_ERR_OK;
}

/* Guess of how much a packed stream still gives. */
static size_t guess(size_t packed_left)
{
    return packed_left > PIECE_SIZE_MAX / 4 ? PIECE_SIZE_MAX : packed_left * 4;
}

/* One call of zlib. *ended tells that a member was read to its end. */
static enum base_err gzip_step(z_stream *stream, struct piece *piece, bool *ended)
{
    enum base_err err = piece_get(piece, guess(stream->avail_in));
    if (err != BASE_ERR_OK) {
        return err;
    }
    stream->next_out = piece->room;
    stream->avail_out = (uInt)piece->size;
    int result = inflate(stream, Z_NO_FLUSH);
    err = piece_put(piece, piece->size - stream->avail_out);
    if (err != BASE_ERR_OK) {
        return err;
    }
    *ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR) {
        return BASE_ERR_NOMEM;
    }
    /* Z_BUF_ERROR: no progress, which with room to write means no input. */
    return result == Z_OK || result == Z_STREAM_END ? BASE_ERR_OK : BASE_ERR_MALFORMED;
}

static enum base_err gunzip(struct base_slice packed, struct base_writer *out)
{
    enum { GZIP_WINDOW_BITS = 15 + 16 }; /* 32 KiB window, gzip header and trailer */
    z_stream stream = {.next_in = (z_const Bytef *)packed.data, .avail_in = (uInt)packed.length};
    struct piece piece = {.out = out};
    bool ended = false;

    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = BASE_ERR_OK;
    while (err == BASE_ERR_OK && !(ended && stream.avail_in == 0)) {
        if (ended) { /* another member follows (RFC 1952, 2.2) */
            (void)inflateReset(&stream);
        }
        err = gzip_step(&stream, &piece, &ended);
    }
    (void)inflateEnd(&stream);
    return err;
}

/* One raw snappy block. Its declared length is held against what its bytes can yield
 * and against the limit before anything is allocated. */
static enum base_err unsnappy_block(struct base_slice packed, struct base_writer *out)
{
    size_t length = 0;
    const char *bytes = (const char *)packed.data;

    if (snappy_uncompressed_length(bytes, packed.length, &length) != SNAPPY_OK ||
        length / SNAPPY_RATIO_MAX > packed.length) {
        return BASE_ERR_MALFORMED;
    }
    uint8_t *room = base_writer_extend(out, length);
    if (room == NULL) {
        return out->err;
    }
    size_t room_size = length;
    if (snappy_uncompress(bytes, packed.length, (char *)room, &room_size) != SNAPPY_OK) {
        return BASE_ERR_MALFORMED;
    }
    BASE_ASSERT(room_size == length);
    return BASE_ERR_OK;
}

/* snappy-java's stream: a header, then blocks behind their lengths. The magic cannot
 * begin a raw block: that would start by copying from before its own output. */
static enum base_err unsnappy(struct base_slice packed, struct base_writer *out)
{
    if (packed.length < XERIAL_HEADER_SIZE ||
        memcmp(packed.data, xerial_magic, sizeof xerial_magic) != 0) {
        return unsnappy_block(packed, out);
    }
    const uint8_t *at = packed.data + XERIAL_HEADER_SIZE;
    size_t left = packed.length - XERIAL_HEADER_SIZE;
    while (left > 0) {
        if (left < XERIAL_LENGTH_SIZE) {
            return BASE_ERR_MALFORMED;
        }
        size_t length = base_get_u32(at);
        at += XERIAL_LENGTH_SIZE;
        left -= XERIAL_LENGTH_SIZE;
        if (length > left) {
            return BASE_ERR_MALFORMED;
        }
        enum base_err err = unsnappy_block(base_slice_of(at, length), out);
        if (err != BASE_ERR_OK) {
            return err;
        }
        at += length;
        left -= length;
    }
    return BASE_ERR_OK;
}

/* A stream of frames in progress. */
struct frames {
    struct base_slice packed; /* what is left */
    struct piece piece;
    bool ended; /* the last byte read ended a frame */
};

static bool frames_are_done(const struct frames *frames)
{
    return frames->ended && frames->packed.length == 0;
}

/* Advances by what one decoder call read and wrote. A call that does neither is stuck
 * for want of input. */
static enum base_err frames_advance(struct frames *frames, size_t consumed, size_t produced)
{
    BASE_ASSERT(consumed <= frames->packed.length);
    frames->packed.data += consumed;
    frames->packed.length -= consumed;
    enum base_err err = piece_put(&frames->piece, produced);
    if (err == BASE_ERR_OK && consumed == 0 && produced == 0 && !frames_are_done(frames)) {
        err = BASE_ERR_MALFORMED;
    }
    return err;
}

/* The codes behind the names are not part of lz4's stable interface. */
static enum base_err lz4_error(size_t result)
{
    bool is_memory = strcmp(LZ4F_getErrorName(result), "ERROR_allocation_failed") == 0;
    return is_memory ? BASE_ERR_NOMEM : BASE_ERR_MALFORMED;
}

static enum base_err unlz4(struct base_slice packed, struct base_writer *out)
{
    struct frames frames = {.packed = packed, .piece = {.out = out}};
    LZ4F_dctx *context = NULL; /* allocates at most for two blocks of 4 MiB, lz4's largest */
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = BASE_ERR_OK;
    while (err == BASE_ERR_OK && !frames_are_done(&frames)) {
        err = piece_get(&frames.piece, guess(frames.packed.length));
        if (err != BASE_ERR_OK) {
            break;
        }
        size_t consumed = frames.packed.length;
        size_t produced = frames.piece.size;
        size_t result = LZ4F_decompress(context, frames.piece.room, &produced, frames.packed.data,
                                        &consumed, NULL);
        if (LZ4F_isError(result)) {
            err = lz4_error(result);
            break;
        }
        frames.ended = result == 0;
        err = frames_advance(&frames, consumed, produced);
    }
    (void)LZ4F_freeDecompressionContext(context);
    return err;
}

/* One call of zstd. The decoder keeps a window of its own, of the size that the frame
 * declares, at most 128 MiB (its default, and what the highest levels of Java's
 * producer declare). It is touched only as far as plain bytes are made, so the limit
 * bounds the memory behind it too. */
static enum base_err zstd_step(ZSTD_DCtx *context, struct frames *frames)
{
    enum base_err err = piece_get(&frames->piece, guess(frames->packed.length));
    if (err != BASE_ERR_OK) {
        return err;
    }
    ZSTD_inBuffer input = {.src = frames->packed.data, .size = frames->packed.length};
    ZSTD_outBuffer output = {.dst = frames->piece.room, .size = frames->piece.size};
    size_t result = ZSTD_decompressStream(context, &output, &input);
    if (ZSTD_isError(result)) {
        return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? BASE_ERR_NOMEM
                                                                         : BASE_ERR_MALFORMED;
    }
    frames->ended = result == 0;
    return frames_advance(frames, input.pos, output.pos);
}

static enum base_err unzstd(struct base_slice packed, struct base_writer *out)
{
    struct frames frames = {.packed = packed, .piece = {.out = out}};
    unsigned long long declared = ZSTD_getFrameContentSize(packed.data, packed.length);
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN && declared != ZSTD_CONTENTSIZE_ERROR &&
        declared > out->limit_bytes - out->length) {
        return BASE_ERR_TOO_LARGE;
    }
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL) {
        return BASE_ERR_NOMEM;
    }
    enum base_err err = BASE_ERR_OK;
    while (err == BASE_ERR_OK && !frames_are_done(&frames)) {
        err = zstd_step(context, &frames);
    }
    (void)ZSTD_freeDCtx(context);
    return err;
}

enum base_err logstore_decompress(unsigned codec, struct base_slice packed, struct base_writer *out)
{
    BASE_ASSERT(packed.data != NULL || packed.length == 0);
    if (out->err != BASE_ERR_OK) {
        return out->err;
    }
    if (packed.length > INT32_MAX) { /* more than a batch can hold; also zlib counts in 32 bits */
        return BASE_ERR_TOO_LARGE;
    }
    if (codec == LOGSTORE_CODEC_NONE) {
        base_writer_slice(out, packed);
        return out->err;
    }
    if (packed.length == 0) { /* every format has at least a header */
        return codec < LOGSTORE_CODEC_COUNT ? BASE_ERR_MALFORMED : BASE_ERR_UNSUPPORTED;
    }
    switch (codec) {
    case LOGSTORE_CODEC_GZIP:
        return gunzip(packed, out);
    case LOGSTORE_CODEC_SNAPPY:
        return unsnappy(packed, out);
    case LOGSTORE_CODEC_LZ4:
        return unlz4(packed, out);
    case LOGSTORE_CODEC_ZSTD:
        return unzstd(packed, out);
    default:
        return BASE_ERR_UNSUPPORTED;
    }
}
