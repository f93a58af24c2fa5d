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

/* What a removal leaves that failed for the oldest segment and then went on. */
static void gap_in_front_of_the_start_is_no_damage(void **state)
{
    struct log_harness *harness = *state;
    char path[256];
    char kept[256];

    harness->config.retention_ms = 1000000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 9);
    log_harness_path(harness, "00000000000000000000.log", path, sizeof path);
    log_harness_path(harness, "kept", kept, sizeof kept);
    assert_int_equal(link(path, kept), 0);
    assert_int_equal(log_harness_trim(harness, 7), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, SECOND_US);
    assert_int_equal(log_harness_segments(harness), 1);
    log_harness_close(harness, false);
    assert_int_equal(rename(kept, path), 0);
    log_harness_path(harness, "00000000000000000006.index", kept, sizeof kept);
    (void)unlink(kept); /* so that all is read */
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_null(log_harness_reason(harness));
    assert_int_equal(log_harness_start(harness), 7);
    assert_int_equal(log_harness_segments(harness), 1);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(log_harness_put(harness, 1, 10), 9);
}

static void put_undated(struct log_harness *harness)
{
    const struct log_harness_batch spec = {.records_count = 1,
                                           .value_bytes = 900,
                                           .timestamp_ms = -1,
                                           .producer_id = -1,
                                           .producer_epoch = -1,
                                           .base_sequence = -1};
    struct logstore_appended appended;

    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, SECOND_US);
}

static void batches_without_a_time_are_as_old_as_the_last_append(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 1 << 20;
    harness->config.retention_ms = 10000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < 15; i++) {
        put_undated(harness);
    }
    assert_int_equal(log_harness_start(harness), 0);
    sim_scheduler_advance(harness->scheduler, 20 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 15);
}

static void exact_retention_does_not_pass_over_batches_without_a_time(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 1 << 20;
    harness->config.index_interval_bytes = 100;
    harness->config.retention_ms = 10000;
    harness->config.retention_exact = true;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    (void)log_harness_put(harness, 1, 900);
    put_undated(harness);
    fill(harness, 15);
    assert_int_equal(log_harness_start(harness), 1);
}

static void full_disk_gets_room_from_what_has_expired(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 3000;
    harness->config.retention_ms = 10000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 9);
    assert_int_equal(log_harness_segments(harness), 3);
    io_sim_set_full(harness->sim, true);
    sim_scheduler_advance(harness->scheduler, 5 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 3);
    assert_int_equal(log_harness_segments(harness), 2);
    io_sim_set_full(harness->sim, false);
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), 3);
}

static void start_that_found_no_room_is_noted_later(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 3000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 9);
    io_sim_set_full(harness->sim, true);
    assert_int_equal(log_harness_trim(harness, 4), BASE_ERR_NO_SPACE);
    sim_scheduler_advance(harness->scheduler, 5 * SECOND_US);
    assert_int_equal(log_harness_segments(harness), 2);
    io_sim_set_full(harness->sim, false);
    sim_scheduler_advance(harness->scheduler, 5 * SECOND_US);
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_start(harness), 4);
}

/* The newest snapshot is that of the segment that has to go, and a batch waits for a roll. */
static void full_disk_gets_room_while_batches_wait_for_it(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_bytes = 3000;
    harness->config.retention_ms = 10000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    fill(harness, 6);
    assert_int_equal(log_harness_segments(harness), 2);
    io_sim_set_full(harness->sim, true);
    assert_int_equal(log_harness_put(harness, 1, 900), 6);
    sim_scheduler_advance(harness->scheduler, 8 * SECOND_US);
    assert_int_equal(log_harness_start(harness), 3);
    assert_int_equal(log_harness_segments(harness), 1);
    io_sim_set_full(harness->sim, false);
    assert_true(log_harness_wait_durable(harness, 7));
}

static void flush_interval_beyond_all_time_is_never(void **state)
{
    struct log_harness *harness = *state;

    harness->config.durable = false;
    harness->config.flush_interval_ms = INT64_MAX;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    (void)log_harness_put(harness, 1, 10);
    uint64_t syncs_count = io_sim_syncs_count(harness->sim);
    sim_scheduler_advance(harness->scheduler, 60 * SECOND_US);
    assert_int_equal(io_sim_syncs_count(harness->sim), syncs_count);
    assert_int_equal(log_harness_durable(harness), 0);
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
        cmocka_unit_test_setup_teardown(gap_in_front_of_the_start_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_without_a_time_are_as_old_as_the_last_append, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(exact_retention_does_not_pass_over_batches_without_a_time,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(full_disk_gets_room_from_what_has_expired, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(start_that_found_no_room_is_noted_later, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(full_disk_gets_room_while_batches_wait_for_it, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(flush_interval_beyond_all_time_is_never, setup_sim,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
