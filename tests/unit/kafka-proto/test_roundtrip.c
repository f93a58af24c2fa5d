/* Random messages of every kind and version: there and back, cut short, damaged, and with
 * memory running out. All follow from one seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "kafka-proto/api.h"
#include "kafka-proto/decode.h"
#include "kafka-proto/dump.h"
#include "kafka-proto/encode.h"

enum {
    LIMIT = 1 << 24,
    MESSAGE_SIZE_MAX = 1024, /* of any message struct */
    TEXT_SIZE = 1 << 18,
    ROUNDS = 40,
    MANY = 60,
};

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t random_below(uint32_t limit)
{
    return (uint32_t)(random_next() % limit);
}

/* How big and how full generated messages are. */
enum shape { SHAPE_SMALL, SHAPE_MANY_EMPTY, SHAPE_MIXED };

struct generator {
    struct base_arena *arena;
    int16_t version;
    enum shape shape;
};

static uint32_t random_length(const struct generator *generator)
{
    switch (generator->shape) {
    case SHAPE_SMALL:
        return random_below(4);
    case SHAPE_MANY_EMPTY:
        return 0;
    case SHAPE_MIXED:
        break;
    }
    return random_below(8) == 0 ? random_below(400) : random_below(20);
}

static uint32_t random_count(const struct generator *generator, unsigned depth)
{
    if (generator->shape == SHAPE_MANY_EMPTY) {
        return depth == 0 ? MANY : 0;
    }
    return random_below(generator->shape == SHAPE_SMALL ? 2 : 4);
}

static struct base_slice random_slice(const struct generator *generator)
{
    uint32_t length = random_length(generator);
    uint8_t *bytes = base_arena_alloc(generator->arena, length + 1);
    assert_non_null(bytes);
    for (uint32_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)random_next();
    }
    return base_slice_of(bytes, length);
}

static void fill_struct(const struct generator *generator, const struct kproto_schema *schema,
                        void *object, unsigned depth);

static void fill_value(const struct generator *generator, const struct kproto_field *field,
                       bool nullable, void *value, unsigned depth)
{
    uint64_t bits = random_next();
    bool null = nullable && random_below(3) == 0;

    switch ((enum kproto_type)field->type) {
    case KPROTO_TYPE_BOOL:
        *(bool *)value = bits & 1;
        break;
    case KPROTO_TYPE_INT8:
        *(int8_t *)value = (int8_t)bits;
        break;
    case KPROTO_TYPE_INT16:
    case KPROTO_TYPE_UINT16:
        *(int16_t *)value = (int16_t)bits;
        break;
    case KPROTO_TYPE_INT32:
    case KPROTO_TYPE_UINT32:
        *(int32_t *)value = (int32_t)bits;
        break;
    case KPROTO_TYPE_INT64:
        *(int64_t *)value = (int64_t)bits;
        break;
    case KPROTO_TYPE_FLOAT64:
        *(double *)value = (double)(int64_t)bits;
        break;
    case KPROTO_TYPE_UUID:
        memcpy(value, &bits, sizeof bits);
        break;
    case KPROTO_TYPE_STRING:
    case KPROTO_TYPE_BYTES:
        *(struct base_slice *)value = null ? (struct base_slice){0} : random_slice(generator);
        break;
    case KPROTO_TYPE_RECORDS: {
        struct kproto_records *records = value;
        records->is_null = null;
        records->bytes = null ? (struct base_slice){0} : random_slice(generator);
        break;
    }
    case KPROTO_TYPE_OBJECT:
        fill_struct(generator, field->inner, value, depth + 1);
        break;
    case KPROTO_TYPE_COUNT:
        fail();
    }
}

static size_t item_size(const struct kproto_field *field)
{
    static const size_t sizes[KPROTO_TYPE_OBJECT] = {
        1, 1, 2, 2, 4, 4, 8, 8, 16, sizeof(struct base_slice), sizeof(struct base_slice), 0};
    return field->type == KPROTO_TYPE_OBJECT ? field->inner->size : sizes[field->type];
}

/* The items of an array, or the object behind a pointer; NULL for null. */
static void *fill_items(const struct generator *generator, const struct kproto_field *field,
                        bool nullable, uint32_t count, unsigned depth)
{
    if (nullable && random_below(3) == 0) {
        return NULL;
    }
    uint8_t *items = base_arena_array(generator->arena, count + 1, item_size(field));
    assert_non_null(items);
    for (uint32_t i = 0; i < count; i++) {
        fill_value(generator, field, false, items + i * item_size(field), depth);
    }
    return items;
}

/* Fills the fields outside the version too: they must not matter. */
static void fill_struct(const struct generator *generator, const struct kproto_schema *schema,
                        void *object, unsigned depth)
{
    kproto_init(schema, object);
    for (uint16_t i = 0; i < schema->fields_count; i++) {
        const struct kproto_field *field = &schema->fields[i];
        uint8_t *member = (uint8_t *)object + field->offset;
        bool nullable = generator->version >= field->nullable_since;

        if (field->tag >= 0 && (generator->shape != SHAPE_MIXED || random_below(2) == 0)) {
            continue;
        }
        if (field->is_array) {
            uint32_t count = random_count(generator, depth);
            void *items = fill_items(generator, field, nullable, count, depth);
            count = items == NULL ? 0 : count;
            memcpy(member, &items, sizeof items);
            memcpy((uint8_t *)object + field->count_offset, &count, sizeof count);
        } else if (field->type == KPROTO_TYPE_OBJECT) {
            void *inner = fill_items(generator, field, nullable, 1, depth);
            memcpy(member, &inner, sizeof inner);
        } else {
            fill_value(generator, field, nullable, member, depth);
        }
    }
}

struct fixture {
    struct base_arena arena;
    struct kproto_writer writer;       /* of the generated message */
    struct kproto_writer again_writer; /* of what decoding made of it */
    struct kproto_message const *message;
    int16_t version;
    max_align_t original[MESSAGE_SIZE_MAX / sizeof(max_align_t)];
    max_align_t decoded[MESSAGE_SIZE_MAX / sizeof(max_align_t)];
    char original_text[TEXT_SIZE];
    char decoded_text[TEXT_SIZE];
};

static struct fixture fixture;

/* Encodes a random message into fixture.writer. */
static struct base_slice generate(enum shape shape)
{
    struct generator generator = {
        .arena = &fixture.arena, .version = fixture.version, .shape = shape};

    base_arena_reset(&fixture.arena);
    base_writer_reset(&fixture.writer.bytes);
    assert_true(fixture.message->schema->size <= sizeof fixture.original);
    fill_struct(&generator, fixture.message->schema, fixture.original, 0);
    assert_int_equal(
        kproto_encode(&fixture.writer, fixture.message, fixture.version, fixture.original),
        BASE_ERR_OK);
    size_t length = fixture.writer.bytes.length;
    return base_slice_of(length == 0 ? (const void *)"" : fixture.writer.bytes.buffer->data,
                         length);
}

static enum base_err decode(struct base_slice wire)
{
    struct base_reader reader;
    base_reader_init(&reader, wire.data, wire.length);
    return kproto_decode(&reader, fixture.message, fixture.version, &fixture.arena,
                         fixture.decoded);
}

static enum base_err encode_again(void)
{
    base_writer_reset(&fixture.again_writer.bytes);
    return kproto_encode(&fixture.again_writer, fixture.message, fixture.version, fixture.decoded);
}

static void assert_same_bytes(struct base_slice wire)
{
    assert_int_equal(fixture.again_writer.bytes.length, wire.length);
    if (wire.length > 0) {
        assert_memory_equal(fixture.again_writer.bytes.buffer->data, wire.data, wire.length);
    }
}

typedef void check_message(void);

static void for_every_message_and_version(check_message *check)
{
    random_state = 0x9e3779b97f4a7c15u;
    for (int16_t key = 0; key < KPROTO_KEY_LIMIT; key++) {
        const struct kproto_api *api = kproto_api_find(key);
        for (int16_t version = api == NULL ? 0 : api->version_min;
             api != NULL && version <= api->version_max; version++) {
            fixture.version = version;
            fixture.message = api->request;
            check();
            fixture.message = api->response;
            check();
        }
    }
}

static void check_round_trip(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct base_slice wire = generate(i % 3 == 0 ? SHAPE_MANY_EMPTY : SHAPE_MIXED);
        enum base_err err = decode(wire);
        if (err != BASE_ERR_OK) {
            fail_msg("%s version %d: %s", fixture.message->schema->name, fixture.version,
                     base_err_text(err));
        }
        assert_int_equal(encode_again(), BASE_ERR_OK);
        assert_same_bytes(wire);

        kproto_dump(fixture.message, fixture.version, fixture.original, fixture.original_text,
                    TEXT_SIZE);
        kproto_dump(fixture.message, fixture.version, fixture.decoded, fixture.decoded_text,
                    TEXT_SIZE);
        assert_string_equal(fixture.original_text, fixture.decoded_text);
    }
}

static void every_message_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for_every_message_and_version(check_round_trip);
}

static void check_truncation(void)
{
    struct base_slice wire = generate(SHAPE_MIXED);
    for (size_t length = 0; length < wire.length; length++) {
        /* In memory of its own, so that a sanitizer sees a read past the end. */
        uint8_t *copy = base_alloc(length);
        assert_non_null(copy);
        memcpy(copy, wire.data, length);
        assert_int_equal(decode(base_slice_of(copy, length)), BASE_ERR_MALFORMED);
        base_free(copy);
    }
}

static void a_message_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for_every_message_and_version(check_truncation);
}

static void check_damage(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct base_slice wire = generate(SHAPE_MIXED);
        for (uint32_t k = random_below(3); k < 3 && wire.length > 0; k++) {
            uint32_t position = random_below((uint32_t)wire.length);
            fixture.writer.bytes.buffer->data[position] = (uint8_t)random_next();
        }
        enum base_err err = decode(wire);
        if (err == BASE_ERR_OK) {
            assert_int_equal(encode_again(), BASE_ERR_OK);
        } else {
            assert_int_equal(err, BASE_ERR_MALFORMED);
        }
    }
}

static void damage_is_refused_or_makes_another_message(void **state)
{
    (void)state;
    for_every_message_and_version(check_damage);
}

static void check_memory_running_out(void)
{
    struct base_slice wire = generate(SHAPE_SMALL);
    long allocation = 0;
    for (bool fired = true; fired; allocation++) {
        struct base_arena arena;
        struct base_reader reader;
        struct kproto_writer writer;
        base_arena_init(&arena, LIMIT);
        kproto_writer_init(&writer, LIMIT);
        base_reader_init(&reader, wire.data, wire.length);

        base_alloc_fail_after(allocation, 1);
        enum base_err err =
            kproto_decode(&reader, fixture.message, fixture.version, &arena, fixture.decoded);
        if (err == BASE_ERR_OK) {
            err = kproto_encode(&writer, fixture.message, fixture.version, fixture.decoded);
        }
        fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);

        assert_int_equal(err, fired ? BASE_ERR_NOMEM : BASE_ERR_OK);
        kproto_writer_fini(&writer);
        base_arena_fini(&arena);
    }
}

static void memory_running_out_anywhere_is_reported(void **state)
{
    (void)state;
    for_every_message_and_version(check_memory_running_out);
}

static void check_arena_limit(void)
{
    struct base_slice wire = generate(SHAPE_SMALL);
    enum base_err err = BASE_ERR_TOO_LARGE;
    for (size_t limit = 0; err != BASE_ERR_OK; limit += 16) {
        struct base_arena arena;
        struct base_reader reader;
        base_arena_init(&arena, limit);
        base_reader_init(&reader, wire.data, wire.length);
        err = kproto_decode(&reader, fixture.message, fixture.version, &arena, fixture.decoded);
        assert_true(err == BASE_ERR_OK || err == BASE_ERR_TOO_LARGE);
        base_arena_fini(&arena);
    }
}

static void arena_limit_anywhere_is_reported(void **state)
{
    (void)state;
    for_every_message_and_version(check_arena_limit);
}

static int setup(void **state)
{
    (void)state;
    base_arena_init(&fixture.arena, LIMIT);
    kproto_writer_init(&fixture.writer, LIMIT);
    kproto_writer_init(&fixture.again_writer, LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    base_arena_fini(&fixture.arena);
    kproto_writer_fini(&fixture.writer);
    kproto_writer_fini(&fixture.again_writer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_the_way_there_and_back),
        cmocka_unit_test(a_message_cut_anywhere_is_malformed),
        cmocka_unit_test(damage_is_refused_or_makes_another_message),
        cmocka_unit_test(memory_running_out_anywhere_is_reported),
        cmocka_unit_test(arena_limit_anywhere_is_reported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
