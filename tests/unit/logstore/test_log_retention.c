/* What goes: retention by time, by size, to the batch; trims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/logstore/fixture.h"

enum { SECOND_US = 1000000 };

static int setup(void **state)
{
    (void)setup_files(state);
    struct log_harness *harness = *state;
    harness->config.segment_bytes = 3000;
    return 0;
}

/* One batch of about 1 KiB per second; three make a segment. */
static void fill(struct log_harness *harness, int batches_count)
{
    for (int i = 0; i < batches_count; i++) {
        (void)log_harness_put(harness, 1, 900);
        sim_scheduler_advance(harness->scheduler, SECOND_US);
    }
}

static void expired_segments_go_as_a_whole(void **state)
{
    struct log_harness *harness = *state;

    harness->config.retention_ms = 10000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 9);
    assert_int_equal(log_harness_segments(harness), 3);
    assert_int_equal(log_harness_start(harness), 0);
    sim_scheduler_advance(harness->scheduler, 5 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 3);
    assert_int_equal(log_harness_segments(harness), 2);
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), 3);
}

static void active_segment_that_has_expired_is_rolled_and_goes(void **state)
{
    struct log_harness *harness = *state;

    harness->config.retention_ms = 10000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 2);
    sim_scheduler_advance(harness->scheduler, 20 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 2);
    assert_int_equal(log_harness_segments(harness), 1);
    assert_int_equal(log_harness_put(harness, 1, 10), 2);
}

static void size_keeps_at_least_what_was_asked_for(void **state)
{
    struct log_harness *harness = *state;

    harness->config.retention_bytes = 7000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 20);
    sim_scheduler_advance(harness->scheduler, 5 * SECOND_US);
    base_mutex_lock(&harness->lock);
    uint64_t size_bytes = logstore_log_size_bytes(harness->log);
    base_mutex_unlock(&harness->lock);
    assert_true(size_bytes >= 7000);
    assert_true(size_bytes < 7000 + 3000);
    assert_true(log_harness_start(harness) > 0);
    assert_int_equal(log_harness_verify(harness, log_harness_start(harness), 20, NULL), 20);
}

static void exact_retention_follows_message_by_message(void **state)
{
    struct log_harness *harness = *state;

    harness->config.retention_ms = 10000;
    harness->config.retention_exact = true;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int64_t second = 1; second <= 40; second++) {
        (void)log_harness_put(harness, 1, 900);
        sim_scheduler_advance(harness->scheduler, SECOND_US);
        /* Batch n was written at second n; at most one second late. */
        int64_t due = second - 10;
        int64_t start = log_harness_start(harness);
        assert_true(start <= (due < 0 ? 0 : due));
        assert_true(start >= due - 1);
    }
    int64_t start = log_harness_start(harness);
    assert_true(start >= 29);
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), start); /* found again */
    sim_scheduler_advance(harness->scheduler, 20 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 40);
    (void)log_harness_put(harness, 1, 10);
    sim_scheduler_advance(harness->scheduler, 5 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 40);
    sim_scheduler_advance(harness->scheduler, 6 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 41);
}

static void no_retention_keeps_everything(void **state)
{
    struct log_harness *harness = *state;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 10);
    sim_scheduler_advance(harness->scheduler, INT64_C(8) * 24 * 3600 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 0);
    assert_int_equal(log_harness_verify(harness, 0, 10, NULL), 10);
}

static void trim_inside_a_segment_survives_reopen(void **state)
{
    struct log_harness *harness = *state;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 9);
    assert_int_equal(log_harness_trim(harness, 4), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, SECOND_US);
    assert_int_equal(log_harness_start(harness), 4);
    assert_int_equal(log_harness_segments(harness), 2);
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), 4);
    assert_int_equal(log_harness_verify(harness, 4, 9, NULL), 9);
}

static void trim_to_the_end_leaves_an_empty_log_that_goes_on(void **state)
{
    struct log_harness *harness = *state;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 4);
    assert_int_equal(log_harness_trim(harness, 4), BASE_ERR_OK);
    log_harness_close(harness, true);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), 4);
    assert_int_equal(log_harness_end(harness), 4);
    assert_int_equal(log_harness_put(harness, 1, 10), 4);
}

static void lower_trim_changes_nothing(void **state)
{
    struct log_harness *harness = *state;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 4);
    assert_int_equal(log_harness_trim(harness, 3), BASE_ERR_OK);
    assert_int_equal(log_harness_trim(harness, 1), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), 3);
}

static void removed_segments_leave_no_files(void **state)
{
    struct log_harness *harness = *state;
    char path[256];
    static const char *const objects[] = {"00000000000000000000.log", "00000000000000000000.index",
                                          "00000000000000000003.log", "00000000000000000003.index"};

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 9);
    for (size_t i = 0; i < 4; i++) {
        log_harness_path(harness, objects[i], path, sizeof path);
        assert_int_equal(access(path, F_OK), 0);
    }
    assert_int_equal(log_harness_trim(harness, 7), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, SECOND_US);
    for (size_t i = 0; i < 4; i++) {
        log_harness_path(harness, objects[i], path, sizeof path);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(expired_segments_go_as_a_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(active_segment_that_has_expired_is_rolled_and_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(size_keeps_at_least_what_was_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(exact_retention_follows_message_by_message, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_retention_keeps_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(trim_inside_a_segment_survives_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(trim_to_the_end_leaves_an_empty_log_that_goes_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lower_trim_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(removed_segments_leave_no_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
