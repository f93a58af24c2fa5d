/* CRC-32C: known values, and every form against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "core/base/crc32c.h"

/* The definition, bit by bit. */
static uint32_t slow(uint32_t crc, const uint8_t *bytes, size_t length)
{
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
        }
    }
    return ~crc;
}

/* First in the list of tests: several threads make the very first calls. */
static void *first_call(void *argument)
{
    (void)argument;
    uint8_t bytes[300];
    memset(bytes, 7, sizeof bytes);
    assert_true(base_crc32c(0, bytes, sizeof bytes) == slow(0, bytes, sizeof bytes));
    assert_true(base_crc32c_portable(0, bytes, sizeof bytes) == slow(0, bytes, sizeof bytes));
    return NULL;
}

static void first_calls_may_race(void **state)
{
    (void)state;
    enum { THREADS_COUNT = 8 };
    pthread_t threads[THREADS_COUNT];
    for (int i = 0; i < THREADS_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, first_call, NULL), 0);
    }
    for (int i = 0; i < THREADS_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

/* RFC 3720, B.4, and the usual check value. */
static void known_values(void **state)
{
    (void)state;
    uint8_t bytes[32];

    assert_true(base_crc32c(0, "123456789", 9) == 0xe3069283U);
    assert_true(base_crc32c(0, "", 0) == 0);
    assert_true(base_crc32c(0, NULL, 0) == 0);
    memset(bytes, 0, sizeof bytes);
    assert_true(base_crc32c(0, bytes, sizeof bytes) == 0x8a9136aaU);
    memset(bytes, 0xff, sizeof bytes);
    assert_true(base_crc32c(0, bytes, sizeof bytes) == 0x62a8ab43U);
    for (uint8_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = i;
    }
    assert_true(base_crc32c(0, bytes, sizeof bytes) == 0x46dd794eU);
}

static void fill(uint8_t *bytes, size_t size)
{
    uint32_t random = 12345;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525U + 1013904223U;
        bytes[i] = (uint8_t)(random >> 24);
    }
}

static void every_length_and_alignment(void **state)
{
    (void)state;
    enum { LENGTH_MAX = 700, SHIFT_MAX = 8 };
    uint8_t bytes[LENGTH_MAX + SHIFT_MAX];
    fill(bytes, sizeof bytes);

    for (size_t length = 0; length <= LENGTH_MAX; length++) {
        size_t shift = length % SHIFT_MAX;
        uint32_t seed = (uint32_t)length * 2654435761U;
        uint32_t expected = slow(seed, bytes + shift, length);
        assert_true(base_crc32c(seed, bytes + shift, length) == expected);
        assert_true(base_crc32c_portable(seed, bytes + shift, length) == expected);
    }
}

static void long_data_and_any_split(void **state)
{
    (void)state;
    static uint8_t bytes[100003];
    fill(bytes, sizeof bytes);

    for (size_t length = 3000; length <= sizeof bytes; length += 9973) {
        uint32_t expected = slow(0, bytes, length);
        assert_true(base_crc32c_portable(0, bytes, length) == expected);
        for (size_t split = 0; split <= length; split += 1009) {
            uint32_t crc = base_crc32c(0, bytes, split);
            assert_true(base_crc32c(crc, bytes + split, length - split) == expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_calls_may_race),
        cmocka_unit_test(known_values),
        cmocka_unit_test(every_length_and_alignment),
        cmocka_unit_test(long_data_and_any_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
