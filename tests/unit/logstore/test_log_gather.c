/* Small batches that are written together: when, and what it may not change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/logstore/fixture.h"

enum {
    BATCHES = 40,
    VALUE_BYTES = 10,
    LARGE_VALUE_BYTES = 20000, /* more than what is gathered, and than the room there is */
    ROOM_BYTES = BATCHES * 100,
    SYNC_US = 10000,
};

static int64_t room_bytes(struct log_harness *harness)
{
    int64_t size_bytes = io_sim_size(harness->sim, LOG_HARNESS_NAME "/00000000000000000000.log");
    assert_true(size_bytes >= 0);
    return size_bytes - (int64_t)logstore_log_size_bytes(harness->log);
}

/* Opens the log and appends, a turn each, until storage has room behind. Nothing is under way
 * then. Returns the end offset. */
static int64_t open_with_room(struct log_harness *harness, bool durable)
{
    harness->config.durable = durable;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    io_sim_set_sync_us(harness->sim, SYNC_US);
    do {
        (void)log_harness_put(harness, 1, VALUE_BYTES);
        sim_scheduler_advance(harness->scheduler, 2 * SYNC_US);
    } while (room_bytes(harness) < ROOM_BYTES);
    assert_int_equal(log_harness_written(harness), log_harness_end(harness));
    return log_harness_end(harness);
}

static void put_many(struct log_harness *harness)
{
    for (int i = 0; i < BATCHES; i++) {
        (void)log_harness_put(harness, 1, VALUE_BYTES);
    }
}

static void verify_all(struct log_harness *harness)
{
    uint32_t count = 0;
    int64_t end = log_harness_end(harness);

    assert_int_equal(log_harness_written(harness), end);
    assert_int_equal(log_harness_verify(harness, 0, end, &count), end);
}

static void what_follows_the_first_of_a_turn_is_one_write(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = open_with_room(harness, false);
    uint64_t calls = io_sim_calls_count(harness->sim);

    put_many(harness);
    assert_int_equal(log_harness_written(harness), end + 1);
    assert_int_equal(log_harness_end(harness), end + BATCHES);
    sim_scheduler_run(harness->scheduler); /* the turn ends */
    assert_int_equal(io_sim_calls_count(harness->sim), calls + 2);
    verify_all(harness);
}

static void what_comes_during_a_sync_is_one_write_at_its_end(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = open_with_room(harness, true);

    (void)log_harness_put(harness, 1, VALUE_BYTES);
    sim_scheduler_run(harness->scheduler); /* its sync begins */
    for (int i = 0; i < BATCHES / 2; i++) {
        (void)log_harness_put(harness, 1, VALUE_BYTES);
        sim_scheduler_run(harness->scheduler); /* turns of their own */
    }
    assert_int_equal(log_harness_written(harness), end + 1);
    uint64_t syncs = io_sim_syncs_count(harness->sim);
    sim_scheduler_advance(harness->scheduler, SYNC_US);
    assert_int_equal(log_harness_written(harness), log_harness_end(harness));
    assert_int_equal(log_harness_durable(harness), end + 1);
    assert_int_equal(io_sim_syncs_count(harness->sim), syncs + 1);
    sim_scheduler_advance(harness->scheduler, SYNC_US);
    assert_int_equal(log_harness_durable(harness), log_harness_end(harness));
    verify_all(harness);
}

static void a_large_batch_takes_those_before_it_along(void **state)
{
    struct log_harness *harness = *state;
    (void)open_with_room(harness, false);

    put_many(harness);
    assert_true(log_harness_written(harness) < log_harness_end(harness));
    (void)log_harness_put(harness, 1, LARGE_VALUE_BYTES);
    assert_int_equal(log_harness_written(harness), log_harness_end(harness));
    verify_all(harness);
}

static void who_cannot_wait_has_it_written(void **state)
{
    struct log_harness *harness = *state;
    (void)open_with_room(harness, true);

    (void)log_harness_put(harness, 1, VALUE_BYTES);
    sim_scheduler_run(harness->scheduler);
    (void)log_harness_put(harness, 1, VALUE_BYTES);
    assert_true(log_harness_written(harness) < log_harness_end(harness));
    base_mutex_lock(&harness->lock);
    logstore_log_write(harness->log, harness->loop);
    base_mutex_unlock(&harness->lock);
    assert_int_equal(log_harness_written(harness), log_harness_end(harness));
}

static void what_was_taken_fits_a_disk_that_is_full_meanwhile(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = {.records_count = 1,
                                     .value_bytes = LARGE_VALUE_BYTES,
                                     .producer_id = -1,
                                     .base_sequence = -1};
    struct logstore_appended appended;
    (void)open_with_room(harness, false);

    put_many(harness);
    io_sim_set_full(harness->sim, true);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_NO_SPACE);
    verify_all(harness);
    spec.value_bytes = VALUE_BYTES; /* nor is a small one taken to wait */
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_NO_SPACE);
    verify_all(harness);
}

static void a_log_that_closes_writes_what_it_took(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = open_with_room(harness, false) + BATCHES;

    put_many(harness);
    log_harness_close(harness, true);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_end(harness), end);
    verify_all(harness);
}

static void a_log_that_fails_gives_up_what_it_took(void **state)
{
    struct log_harness *harness = *state;
    (void)open_with_room(harness, true);

    (void)log_harness_put(harness, 1, VALUE_BYTES);
    io_sim_fail_sync_at(harness->sim, 0);
    sim_scheduler_run(harness->scheduler);
    put_many(harness);
    sim_scheduler_advance(harness->scheduler, 2 * SYNC_US);
    assert_non_null(log_harness_reason(harness));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_follows_the_first_of_a_turn_is_one_write, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_comes_during_a_sync_is_one_write_at_its_end, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_large_batch_takes_those_before_it_along, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_cannot_wait_has_it_written, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(what_was_taken_fits_a_disk_that_is_full_meanwhile,
                                        setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_closes_writes_what_it_took, setup_sim, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_fails_gives_up_what_it_took, setup_sim,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
