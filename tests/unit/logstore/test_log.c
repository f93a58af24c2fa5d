/* A log on real files: append, durability, reads, roll, trim, reopen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/log_harness.h"

static int setup(void **state)
{
    static struct log_harness harness;
    log_harness_init(&harness, 1);
    log_harness_use_files(&harness);
    *state = &harness;
    return 0;
}

static int teardown(void **state)
{
    log_harness_fini(*state);
    return 0;
}

static void appended_batches_become_durable_and_are_read_back(void **state)
{
    struct log_harness *harness = *state;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(log_harness_put(harness, 3, 50), i * 3);
    }
    assert_int_equal(log_harness_written(harness), 300);
    assert_int_equal(log_harness_durable(harness), 0);
    assert_true(log_harness_wait_durable(harness, 300));
    uint32_t count = 0;
    assert_int_equal(log_harness_verify(harness, 0, 300, &count), 300);
    assert_int_equal(count, 100);
    log_harness_close(harness, true);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_end(harness), 300);
    assert_int_equal(log_harness_verify(harness, 0, 300, &count), 300);
    assert_int_equal(count, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appended_batches_become_durable_and_are_read_back, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
