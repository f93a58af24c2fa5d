/* Every wire type and form, on rows made for this test: some are in no message of Kafka's
 * that we have yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kafka-proto/decode.h"
#include "kafka-proto/dump.h"
#include "kafka-proto/encode.h"

enum { LIMIT = 1 << 16, FLEXIBLE_SINCE = 1, NEVER = KPROTO_VERSION_NEVER };

struct inner {
    int8_t small;
    struct base_slice text;
};

struct outer {
    uint16_t port;
    uint32_t epoch;
    double ratio;
    struct base_uuid *ids;
    uint32_t ids_count;
    double *ratios;
    uint32_t ratios_count;
    bool *flags;
    uint32_t flags_count;
    struct inner *plain;    /* never null */
    struct inner *optional; /* may be null */
    uint16_t tagged_port;   /* tag 0, default 9092 */
    double tagged_ratio;    /* tag 1 */
    struct base_uuid tagged_id;
    struct base_slice tagged_bytes; /* tag 3, may be null */
    struct inner *tagged_optional;  /* tag 4, may be null */
};

#define ROW(struct_name, member, kind)                                                           \
    .name = #member, .offset = offsetof(struct struct_name, member), .type = KPROTO_TYPE_##kind, \
    .until = KPROTO_VERSION_LATEST
#define LIST(struct_name, member) \
    .count_offset = offsetof(struct struct_name, member##_count), .is_array = true

static const struct kproto_field inner_fields[] = {
    {ROW(inner, small, INT8), .nullable_since = NEVER, .tag = -1, .default_value = -7},
    {ROW(inner, text, STRING), .nullable_since = NEVER, .tag = -1},
};
static const struct kproto_schema inner_schema = {"inner", inner_fields, 2, sizeof(struct inner)};

static const struct kproto_field outer_fields[] = {
    {ROW(outer, port, UINT16), .nullable_since = NEVER, .tag = -1},
    {ROW(outer, epoch, UINT32), .nullable_since = NEVER, .tag = -1},
    {ROW(outer, ratio, FLOAT64), .nullable_since = NEVER, .tag = -1},
    {ROW(outer, ids, UUID), LIST(outer, ids), .nullable_since = 0, .tag = -1},
    {ROW(outer, ratios, FLOAT64), LIST(outer, ratios), .nullable_since = NEVER, .tag = -1},
    {ROW(outer, flags, BOOL), LIST(outer, flags), .nullable_since = NEVER, .tag = -1},
    {ROW(outer, plain, OBJECT), .inner = &inner_schema, .nullable_since = NEVER, .tag = -1},
    {ROW(outer, optional, OBJECT), .inner = &inner_schema, .nullable_since = 0, .tag = -1},
    {ROW(outer, tagged_port, UINT16), .since = FLEXIBLE_SINCE, .nullable_since = NEVER, .tag = 0,
     .default_value = 9092},
    {ROW(outer, tagged_ratio, FLOAT64), .since = FLEXIBLE_SINCE, .nullable_since = NEVER, .tag = 1},
    {ROW(outer, tagged_id, UUID), .since = FLEXIBLE_SINCE, .nullable_since = NEVER, .tag = 2},
    {ROW(outer, tagged_bytes, BYTES), .since = FLEXIBLE_SINCE, .nullable_since = 1, .tag = 3},
    {ROW(outer, tagged_optional, OBJECT), .inner = &inner_schema, .since = FLEXIBLE_SINCE,
     .nullable_since = 1, .tag = 4},
};
static const struct kproto_schema outer_schema = {
    "outer", outer_fields, sizeof outer_fields / sizeof outer_fields[0], sizeof(struct outer)};
static const struct kproto_message message = {&outer_schema, 0, 0, 1, FLEXIBLE_SINCE};

/* Encodes, compares with wire, decodes; *arena keeps what *out points at. */
static void there_and_back(const struct outer *msg, int16_t version, const char *wire,
                           size_t length, struct base_arena *arena, struct outer *out)
{
    struct kproto_writer writer;
    struct base_reader reader;
    kproto_writer_init(&writer, LIMIT);
    assert_int_equal(kproto_encode(&writer, &message, version, msg), BASE_ERR_OK);
    assert_int_equal(writer.bytes.length, length);
    assert_memory_equal(writer.bytes.buffer->data, wire, length);
    kproto_writer_fini(&writer);

    base_arena_init(arena, LIMIT);
    base_reader_init(&reader, wire, length); /* a literal: outlives *out */
    assert_int_equal(kproto_decode(&reader, &message, version, arena, out), BASE_ERR_OK);
}

static struct base_uuid ids[] = {{{1, [15] = 2}}, {{3}}};
static double ratios[] = {1.0, -0.5};
static bool flags[] = {true, false, true};

static void numbers_and_lists_of_all_types(void **state)
{
    struct outer msg;
    struct outer out;
    struct base_arena arena;
    struct inner plain = {.small = 5, .text = base_slice_text("x")};
    char text[600];
    (void)state;

    kproto_init(&outer_schema, &msg);
    msg.port = 65535;
    msg.epoch = UINT32_MAX;
    msg.ratio = 2.0;
    msg.ids = ids;
    msg.ids_count = 2;
    msg.ratios = ratios;
    msg.ratios_count = 2;
    msg.flags = flags;
    msg.flags_count = 3;
    msg.plain = &plain;
    msg.optional = &plain;
    static const char wire[] = "\xff\xff\xff\xff\xff\xff\x40\x00\x00\x00\x00\x00\x00\x00"
                               "\x00\x00\x00\x02"
                               "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"
                               "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                               "\x00\x00\x00\x02"
                               "\x3f\xf0\x00\x00\x00\x00\x00\x00\xbf\xe0\x00\x00\x00\x00\x00\x00"
                               "\x00\x00\x00\x03\x01\x00\x01"
                               "\x05\x00\x01x"
                               "\x01\x05\x00\x01x";
    there_and_back(&msg, 0, wire, sizeof wire - 1, &arena, &out);
    assert_int_equal(out.port, 65535);
    assert_true(out.epoch == UINT32_MAX);
    assert_true(out.ratio == 2.0);
    assert_true(base_uuid_equal(out.ids[1], ids[1]));
    assert_true(out.ratios[1] == -0.5);
    assert_false(out.flags[1]);
    assert_true(out.flags[2]);
    assert_int_equal(out.plain->small, 5);
    assert_true(base_slice_is(out.optional->text, "x"));
    assert_int_equal(out.tagged_port, 9092); /* not in this version */

    kproto_dump(&message, 0, &out, text, sizeof text);
    assert_string_equal(text, "outer{port=65535 epoch=4294967295 ratio=2 "
                              "ids=[01000000-0000-0000-0000-000000000002 "
                              "03000000-0000-0000-0000-000000000000] ratios=[1 -0.5] "
                              "flags=[true false true] plain={small=5 text=\"x\"} "
                              "optional={small=5 text=\"x\"}}");
    base_arena_fini(&arena);
}

static void an_object_that_cannot_be_null_goes_out_as_its_defaults(void **state)
{
    struct outer msg;
    struct outer out;
    struct base_arena arena;
    (void)state;

    kproto_init(&outer_schema, &msg);
    static const char wire[] = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                               "\x00\x01\x01" /* null ids, two empty lists */
                               "\xf9\x01\x00" /* plain: -7, empty, no tags */
                               "\xff"
                               "\x00";
    there_and_back(&msg, 1, wire, sizeof wire - 1, &arena, &out);
    assert_null(out.ids);
    assert_non_null(out.ratios);
    assert_int_equal(out.plain->small, -7);
    assert_null(out.optional);
    base_arena_fini(&arena);
}

static void tagged_fields_of_all_types(void **state)
{
    struct outer msg;
    struct outer out;
    struct base_arena arena;
    struct inner inner = {.small = -7, .text = base_slice_text("")};
    char text[600];
    (void)state;

    kproto_init(&outer_schema, &msg);
    msg.tagged_port = 0; /* not the default */
    msg.tagged_ratio = 1.0;
    msg.tagged_id = ids[1];
    msg.tagged_bytes = base_slice_text(""); /* null is the default, empty is not */
    static const char wire[] = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                               "\x00\x01\x01\xf9\x01\x00\xff"
                               "\x04"
                               "\x00\x02\x00\x00"
                               "\x01\x08\x3f\xf0\x00\x00\x00\x00\x00\x00"
                               "\x02\x10\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                               "\x00\x00"
                               "\x03\x01\x01";
    there_and_back(&msg, 1, wire, sizeof wire - 1, &arena, &out);
    assert_int_equal(out.tagged_port, 0);
    assert_true(out.tagged_ratio == 1.0);
    assert_true(base_uuid_equal(out.tagged_id, ids[1]));
    assert_non_null(out.tagged_bytes.data);
    kproto_dump(&message, 1, &out, text, sizeof text);
    assert_non_null(strstr(text, "tagged_bytes=<0 bytes> tagged_optional=null}"));
    base_arena_fini(&arena);

    /* All default again, but for an object that is there and holds nothing but defaults. */
    kproto_init(&outer_schema, &msg);
    msg.tagged_optional = &inner;
    static const char object_wire[] = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                                      "\x00\x01\x01\xf9\x01\x00\xff"
                                      "\x01\x04\x04\x01\xf9\x01\x00";
    there_and_back(&msg, 1, object_wire, sizeof object_wire - 1, &arena, &out);
    assert_non_null(out.tagged_optional);
    assert_int_equal(out.tagged_optional->small, -7);
    base_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_lists_of_all_types),
        cmocka_unit_test(an_object_that_cannot_be_null_goes_out_as_its_defaults),
        cmocka_unit_test(tagged_fields_of_all_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
