/* Identifiers: their texts, their randomness, their seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/uuid.h"

static void texts_of_a_known_uuid(void **state)
{
    (void)state;
    struct base_uuid uuid;
    char text[BASE_UUID_TEXT_SIZE];
    char base64[BASE_UUID_BASE64_SIZE];

    assert_true(base_uuid_parse("00112233-4455-6677-8899-AAbbccddeeff", 36, &uuid));
    base_uuid_format(uuid, text);
    assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
    base_uuid_format_base64(uuid, base64);
    assert_string_equal(base64, "ABEiM0RVZneImaq7zN3u_w");
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeeff0",
        "00112233x4455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeefg",
        "00112233-4455-6677-8899aaabbccddeeff",
        "{0112233-4455-6677-8899-aabbccddeef}",
        "001122334455-6677-8899-aabbccddeeff-",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct base_uuid uuid = base_uuid_random();
        assert_false(base_uuid_parse(texts[i], strlen(texts[i]), &uuid));
        assert_true(base_uuid_is_zero(uuid));
    }
}

static void random_ones_are_version_4_and_differ(void **state)
{
    (void)state;
    struct base_uuid previous = {{0}};
    for (int i = 0; i < 1000; i++) {
        struct base_uuid uuid = base_uuid_random();
        struct base_uuid parsed;
        char text[BASE_UUID_TEXT_SIZE];
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
        assert_false(base_uuid_equal(uuid, previous));
        base_uuid_format(uuid, text);
        assert_true(base_uuid_parse(text, strlen(text), &parsed));
        assert_true(base_uuid_equal(uuid, parsed));
        previous = uuid;
    }
}

static void long_random_bytes_are_filled(void **state)
{
    (void)state;
    uint8_t bytes[5000] = {0};
    size_t zeros = 0;
    base_random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        zeros += bytes[i] == 0;
    }
    assert_true(zeros < 100); /* 20 expected */
}

/* Last: nothing is truly random afterwards. */
static void seed_repeats(void **state)
{
    (void)state;
    base_uuid_seed(42);
    struct base_uuid first = base_uuid_random();
    struct base_uuid second = base_uuid_random();
    base_uuid_seed(42);
    assert_true(base_uuid_equal(first, base_uuid_random()));
    assert_true(base_uuid_equal(second, base_uuid_random()));
    assert_false(base_uuid_equal(first, second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_a_known_uuid),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(random_ones_are_version_4_and_differ),
        cmocka_unit_test(long_random_bytes_are_filled),
        cmocka_unit_test(seed_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
