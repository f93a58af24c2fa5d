/* Decompression: every format round trip, its bound, and bytes that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/alloc.h"
#include "logstore/compression.h"
#include "tests/unit/logstore/packing.h"

enum { PLAIN_MAX = 3 << 20 };

static uint8_t plain_bytes[PLAIN_MAX];

/* Every way in which a client may have packed its records. */
enum way {
    WAY_NONE,
    WAY_GZIP,
    WAY_SNAPPY,
    WAY_XERIAL,
    WAY_LZ4,
    WAY_ZSTD_SIZED,
    WAY_ZSTD_STREAM,
    WAY_COUNT
};

static const unsigned codecs[WAY_COUNT] = {
    LOGSTORE_CODEC_NONE, LOGSTORE_CODEC_GZIP, LOGSTORE_CODEC_SNAPPY, LOGSTORE_CODEC_SNAPPY,
    LOGSTORE_CODEC_LZ4,  LOGSTORE_CODEC_ZSTD, LOGSTORE_CODEC_ZSTD,
};

static void pack(unsigned way, struct base_slice plain, struct base_writer *out)
{
    switch (way) {
    case WAY_NONE:
        base_writer_slice(out, plain);
        break;
    case WAY_GZIP:
        pack_gzip(plain, out);
        break;
    case WAY_SNAPPY:
        pack_snappy(plain, out);
        break;
    case WAY_XERIAL:
        pack_xerial(plain, 32768, out);
        break;
    case WAY_LZ4:
        pack_lz4(plain, out);
        break;
    case WAY_ZSTD_SIZED:
        pack_zstd(plain, true, 3, out);
        break;
    default:
        pack_zstd(plain, false, 3, out);
        break;
    }
}

/* Compressible, but not a run. */
static int fill_plain(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (size_t i = 0; i < PLAIN_MAX; i++) {
        random = random * 1664525U + 1013904223U;
        plain_bytes[i] = (uint8_t)((random >> 28) + 'a');
    }
    return 0;
}

static enum base_err unpack(unsigned codec, const void *data, size_t size, size_t limit_bytes,
                            struct base_writer *out)
{
    base_writer_init(out, limit_bytes);
    return logstore_decompress(codec, base_slice_of(data, size), out);
}

static void plain_bytes_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,      2,      100,       1023,    1024,     4096,
                                   32768, 100000, 262144, (1 << 20), 1048700, PLAIN_MAX};
    for (unsigned way = 0; way < WAY_COUNT; way++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct base_writer packed;
            struct base_writer out;
            base_writer_init(&packed, SIZE_MAX);
            pack(way, base_slice_of(plain_bytes, sizes[i]), &packed);
            const uint8_t *bytes = packed.buffer == NULL ? NULL : packed.buffer->data;

            /* Exactly enough, then one byte too little. */
            assert_int_equal(unpack(codecs[way], bytes, packed.length, sizes[i], &out),
                             BASE_ERR_OK);
            assert_int_equal(out.length, sizes[i]);
            assert_true(out.buffer == NULL || out.buffer->capacity <= sizes[i]);
            if (sizes[i] > 0) {
                assert_memory_equal(out.buffer->data, plain_bytes, sizes[i]);
                base_writer_fini(&out);
                assert_int_equal(unpack(codecs[way], bytes, packed.length, sizes[i] - 1, &out),
                                 BASE_ERR_TOO_LARGE);
                assert_true(out.buffer == NULL || out.buffer->capacity < sizes[i]);
            }
            base_writer_fini(&out);
            base_writer_fini(&packed);
        }
    }
    assert_int_equal(base_buffer_total_bytes(), 0);
}

static void output_is_appended(void **state)
{
    (void)state;
    for (unsigned way = 0; way < WAY_COUNT; way++) {
        struct base_writer packed;
        struct base_writer out;
        base_writer_init(&packed, SIZE_MAX);
        pack(way, base_slice_of(plain_bytes, 5000), &packed);
        base_writer_init(&out, 10003);
        base_writer_bytes(&out, "abc", 3);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(logstore_decompress(codecs[way],
                                                 base_slice_of(packed.buffer->data, packed.length),
                                                 &out),
                             BASE_ERR_OK);
        }
        assert_int_equal(out.length, 10003);
        assert_memory_equal(out.buffer->data, "abc", 3);
        assert_memory_equal(out.buffer->data + 3, plain_bytes, 5000);
        assert_memory_equal(out.buffer->data + 5003, plain_bytes, 5000);
        base_writer_fini(&out);
        base_writer_fini(&packed);
    }
}

static void truncated_or_trailing_bytes_are_malformed(void **state)
{
    (void)state;
    for (unsigned way = 1; way < WAY_COUNT; way++) {
        struct base_writer packed;
        struct base_writer out;
        base_writer_init(&packed, SIZE_MAX);
        pack(way, base_slice_of(plain_bytes, 300), &packed);
        for (size_t size = 0; size <= packed.length + 1; size++) {
            uint8_t *exact = base_alloc(size); /* sanitizers see the end */
            memcpy(exact, packed.buffer->data, size < packed.length ? size : packed.length);
            if (size > packed.length) {
                exact[packed.length] = 0x5a;
            }
            enum base_err err = unpack(codecs[way], exact, size, PLAIN_MAX, &out);
            /* A xerial stream may end after its header: that is no record at all. */
            bool is_whole = size == packed.length || (way == WAY_XERIAL && size == 16);
            assert_int_equal(err, is_whole ? BASE_ERR_OK : BASE_ERR_MALFORMED);
            base_writer_fini(&out);
            base_free(exact);
        }
        base_writer_fini(&packed);
    }
}

static void flipped_bits_never_crash(void **state)
{
    (void)state;
    for (unsigned way = 1; way < WAY_COUNT; way++) {
        struct base_writer packed;
        struct base_writer out;
        base_writer_init(&packed, SIZE_MAX);
        pack(way, base_slice_of(plain_bytes, 200), &packed);
        for (size_t at = 0; at < packed.length; at++) {
            for (int bit = 0; bit < 8; bit++) {
                uint8_t *byte = &packed.buffer->data[at];
                *byte = (uint8_t)(*byte ^ 1 << bit);
                enum base_err err =
                    unpack(codecs[way], packed.buffer->data, packed.length, 10000, &out);
                assert_true(err == BASE_ERR_OK || err == BASE_ERR_MALFORMED ||
                            err == BASE_ERR_TOO_LARGE || err == BASE_ERR_NOMEM);
                assert_true(out.length <= 10000);
                base_writer_fini(&out);
                *byte = (uint8_t)(*byte ^ 1 << bit);
            }
        }
        base_writer_fini(&packed);
    }
}

/* Sizes that a stream declares and its bytes do not back. */
static void declared_sizes_are_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        unsigned codec;
        size_t size;
        uint8_t bytes[32];
        enum base_err err;
    } rows[] = {
        {"snappy of 4 GiB - 1",
         2,
         7,
         {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 'a'},
         BASE_ERR_MALFORMED},
        {"snappy of 33 bits", 2, 7, {0xff, 0xff, 0xff, 0xff, 0x1f, 0x00, 'a'}, BASE_ERR_MALFORMED},
        {"snappy of 1 MiB in 5 bytes", 2, 5, {0x80, 0x80, 0x40, 0x00, 'a'}, BASE_ERR_MALFORMED},
        {"snappy without its length", 2, 1, {0x80}, BASE_ERR_MALFORMED},
        {"snappy copy from before the start", 2, 3, {4, 0x01, 1}, BASE_ERR_MALFORMED},
        {"xerial block of 4 GiB - 1",
         2,
         22,
         {0x82, 'S', 'N', 'A', 'P', 'P',  'Y',  0,    0,    0, 0,
          1,    0,   0,   0,   1,   0xff, 0xff, 0xff, 0xff, 1, 0},
         BASE_ERR_MALFORMED},
        {"xerial block of 2 GiB - 1",
         2,
         22,
         {0x82, 'S', 'N', 'A', 'P', 'P',  'Y',  0,    0,    0, 0,
          1,    0,   0,   0,   1,   0x7f, 0xff, 0xff, 0xff, 1, 0},
         BASE_ERR_MALFORMED},
        {"xerial block that declares 2 GiB - 1 plain bytes",
         2,
         27,
         {0x82, 'S', 'N', 'A', 'P', 'P', 'Y',  0,    0,    0,    0,    1, 0,  0,
          0,    1,   0,   0,   0,   7,   0xff, 0xff, 0xff, 0xff, 0x07, 0, 'a'},
         BASE_ERR_MALFORMED},
        {"xerial block of no bytes",
         2,
         20,
         {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0},
         BASE_ERR_MALFORMED},
        {"xerial block length cut short",
         2,
         18,
         {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0},
         BASE_ERR_MALFORMED},
        {"zstd frame of 2^60 bytes",
         4,
         14,
         {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0},
         BASE_ERR_TOO_LARGE},
        {"zstd of another magic", 4, 4, {1, 2, 3, 4}, BASE_ERR_MALFORMED},
        {"gzip of another magic", 1, 4, {1, 2, 3, 4}, BASE_ERR_MALFORMED},
        {"lz4 of another magic", 3, 7, {1, 2, 3, 4, 5, 6, 7}, BASE_ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_writer out;
        enum base_err err =
            unpack(rows[i].codec, rows[i].bytes, rows[i].size, (size_t)1 << 30, &out);
        if (err != rows[i].err) {
            fail_msg("%s: %s", rows[i].what, base_err_text(err));
        }
        assert_true(out.buffer == NULL || out.buffer->capacity < 1 << 20);
        base_writer_fini(&out);
    }
}

/* 100 MiB of zeros in a few bytes, against a bound of 1 MiB. */
static void bombs_stop_at_the_bound(void **state)
{
    (void)state;
    enum { BOMB_SIZE = 100 << 20, BOUND = 1 << 20 };
    uint8_t *zeros = base_alloc_array(BOMB_SIZE, 1);
    for (unsigned way = 1; way < WAY_COUNT; way++) {
        struct base_writer packed;
        struct base_writer out;
        base_writer_init(&packed, SIZE_MAX);
        pack(way, base_slice_of(zeros, BOMB_SIZE), &packed);
        assert_int_equal(unpack(codecs[way], packed.buffer->data, packed.length, BOUND, &out),
                         BASE_ERR_TOO_LARGE);
        assert_true(out.buffer == NULL || out.buffer->capacity <= BOUND);
        base_writer_fini(&out);
        base_writer_fini(&packed);
    }
    base_free(zeros);
}

static void gzip_members_and_frames_may_follow_each_other(void **state)
{
    (void)state;
    static const unsigned ways[] = {WAY_GZIP, WAY_LZ4, WAY_ZSTD_SIZED, WAY_ZSTD_STREAM};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct base_writer packed;
        struct base_writer out;
        base_writer_init(&packed, SIZE_MAX);
        pack(ways[i], base_slice_of(plain_bytes, 1000), &packed);
        pack(ways[i], base_slice_of(plain_bytes + 1000, 0), &packed);
        pack(ways[i], base_slice_of(plain_bytes + 1000, 70000), &packed);
        assert_int_equal(unpack(codecs[ways[i]], packed.buffer->data, packed.length, 71000, &out),
                         BASE_ERR_OK);
        assert_int_equal(out.length, 71000);
        assert_memory_equal(out.buffer->data, plain_bytes, 71000);
        base_writer_fini(&out);
        base_writer_fini(&packed);
    }
}

static void highest_zstd_level_is_accepted(void **state)
{
    (void)state;
    struct base_writer packed;
    struct base_writer out;
    base_writer_init(&packed, SIZE_MAX);
    pack_zstd(base_slice_of(plain_bytes, 50000), false, 22, &packed); /* declares 128 MiB */
    assert_int_equal(unpack(LOGSTORE_CODEC_ZSTD, packed.buffer->data, packed.length, 50000, &out),
                     BASE_ERR_OK);
    assert_memory_equal(out.buffer->data, plain_bytes, 50000);
    base_writer_fini(&out);
    base_writer_fini(&packed);
}

static void unknown_codecs_are_unsupported(void **state)
{
    (void)state;
    static const unsigned unknown[] = {5, 6, 7, 8, 1000};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        struct base_writer out;
        assert_int_equal(unpack(unknown[i], "x", 1, 10, &out), BASE_ERR_UNSUPPORTED);
        assert_int_equal(unpack(unknown[i], "", 0, 10, &out), BASE_ERR_UNSUPPORTED);
        base_writer_fini(&out);
    }
}

static void failed_writer_stays_failed(void **state)
{
    (void)state;
    struct base_writer out;
    base_writer_init(&out, 10);
    base_writer_fail(&out, BASE_ERR_TOO_LARGE);
    assert_int_equal(logstore_decompress(LOGSTORE_CODEC_NONE, base_slice_text("x"), &out),
                     BASE_ERR_TOO_LARGE);
    base_writer_fini(&out);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (unsigned way = 0; way < WAY_COUNT; way++) {
        struct base_writer packed;
        base_writer_init(&packed, SIZE_MAX);
        pack(way, base_slice_of(plain_bytes, 100000), &packed);
        bool fired = true;
        for (long n = 0; fired; n++) {
            struct base_writer out;
            base_alloc_fail_after(n, 1);
            enum base_err err =
                unpack(codecs[way], packed.buffer->data, packed.length, 200000, &out);
            fired = base_alloc_fault_fired();
            base_alloc_fail_after(-1, 0);
            assert_int_equal(err, fired ? BASE_ERR_NOMEM : BASE_ERR_OK);
            base_writer_fini(&out);
        }
        base_writer_fini(&packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_come_back),
        cmocka_unit_test(output_is_appended),
        cmocka_unit_test(truncated_or_trailing_bytes_are_malformed),
        cmocka_unit_test(flipped_bits_never_crash),
        cmocka_unit_test(declared_sizes_are_not_believed),
        cmocka_unit_test(bombs_stop_at_the_bound),
        cmocka_unit_test(gzip_members_and_frames_may_follow_each_other),
        cmocka_unit_test(highest_zstd_level_is_accepted),
        cmocka_unit_test(unknown_codecs_are_unsupported),
        cmocka_unit_test(failed_writer_stays_failed),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, fill_plain, NULL);
}
