/* The writer of a log: offsets, group commit, rolls, producers, epochs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "logstore/footer.h"
#include "tests/unit/logstore/fixture.h"

/* Appends end later, always: as over a network. */
static int setup_pending(void **state)
{
    struct io_sim_options options = {
        .append_is_durable = true, .pending_one_in = 1, .latency_us_max = 5000};

    log_harness_use_sim(fixture_init(state, 7), &options);
    return 0;
}

static void open_log(struct log_harness *harness)
{
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
}

static void appended_batches_become_durable_and_are_read_back(void **state)
{
    struct log_harness *harness = *state;
    uint32_t count = 0;

    open_log(harness);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(log_harness_put(harness, 3, 50), i * 3);
    }
    assert_int_equal(log_harness_end(harness), 300);
    assert_int_equal(log_harness_durable(harness), 0);
    assert_true(log_harness_wait_written(harness, 300));
    assert_true(log_harness_wait_durable(harness, 300));
    assert_int_equal(log_harness_verify(harness, 0, 300, &count), 300);
    assert_int_equal(count, 100);
    log_harness_close(harness, true);
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 300);
    assert_int_equal(log_harness_verify(harness, 0, 300, &count), 300);
    assert_int_equal(count, 100);
}

static void what_arrives_during_a_sync_joins_the_next_one(void **state)
{
    struct log_harness *harness = *state;

    open_log(harness);
    io_sim_set_sync_us(harness->sim, 10000);
    (void)log_harness_put(harness, 1, 10);
    sim_scheduler_run(harness->scheduler);
    assert_int_equal(io_sim_syncs_count(harness->sim), 1);
    for (int i = 0; i < 50; i++) {
        (void)log_harness_put(harness, 1, 10);
        sim_scheduler_run(harness->scheduler);
    }
    assert_int_equal(io_sim_syncs_count(harness->sim), 1);
    sim_scheduler_advance(harness->scheduler, 10000);
    assert_int_equal(log_harness_durable(harness), 1); /* not what came after it began */
    assert_int_equal(io_sim_syncs_count(harness->sim), 2);
    sim_scheduler_advance(harness->scheduler, 10000);
    assert_int_equal(log_harness_durable(harness), 51);
    sim_scheduler_advance(harness->scheduler, 100000);
    assert_int_equal(io_sim_syncs_count(harness->sim), 2);
}

static void high_throughput_mode_syncs_after_its_interval(void **state)
{
    struct log_harness *harness = *state;

    harness->config.durable = false;
    harness->config.flush_interval_ms = 500;
    open_log(harness);
    (void)log_harness_put(harness, 1, 10);
    sim_scheduler_advance(harness->scheduler, 300000);
    (void)log_harness_put(harness, 1, 10);
    assert_int_equal(io_sim_syncs_count(harness->sim), 0);
    sim_scheduler_advance(harness->scheduler, 301000 + 100000);
    assert_int_equal(io_sim_syncs_count(harness->sim), 1);
    assert_int_equal(log_harness_durable(harness), 2);
    sim_scheduler_advance(harness->scheduler, 5000000);
    assert_int_equal(io_sim_syncs_count(harness->sim), 1); /* idle costs nothing */
}

static void high_throughput_mode_syncs_when_enough_is_written(void **state)
{
    struct log_harness *harness = *state;

    harness->config.durable = false;
    harness->config.flush_bytes = 1000;
    open_log(harness);
    (void)log_harness_put(harness, 1, 600);
    sim_scheduler_advance(harness->scheduler, 2000);
    assert_int_equal(io_sim_syncs_count(harness->sim), 0);
    (void)log_harness_put(harness, 1, 600);
    sim_scheduler_advance(harness->scheduler, 2000);
    assert_int_equal(io_sim_syncs_count(harness->sim), 1);
}

static void flush_makes_everything_durable_in_high_throughput_mode(void **state)
{
    struct log_harness *harness = *state;

    harness->config.durable = false;
    open_log(harness);
    (void)log_harness_put(harness, 5, 100);
    base_mutex_lock(&harness->lock);
    logstore_log_flush(harness->log, harness->loop);
    base_mutex_unlock(&harness->lock);
    sim_scheduler_advance(harness->scheduler, 2000);
    assert_int_equal(log_harness_durable(harness), 5);
}

static void batches_that_come_during_a_roll_keep_their_order(void **state)
{
    struct log_harness *harness = *state;
    uint32_t count = 0;

    harness->config.segment_bytes = 5000;
    open_log(harness);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(log_harness_put(harness, 2, 100), i * 2);
        if (i % 7 == 0) {
            (void)sim_scheduler_step(harness->scheduler);
        }
    }
    assert_true(log_harness_wait_durable(harness, 800));
    assert_true(log_harness_segments(harness) > 10);
    assert_int_equal(log_harness_verify(harness, 0, 800, &count), 800);
    assert_int_equal(count, 400);
    log_harness_close(harness, false);
    open_log(harness);
    assert_int_equal(log_harness_end(harness), 800);
    assert_int_equal(log_harness_verify(harness, 0, 800, &count), 800);
    assert_int_equal(count, 400);
}

static void pending_appends_go_out_together(void **state)
{
    struct log_harness *harness = *state;
    uint32_t count = 0;

    harness->config.segment_bytes = 1 << 20;
    open_log(harness);
    uint64_t calls_before = io_sim_calls_count(harness->sim);
    for (int i = 0; i < 200; i++) {
        (void)log_harness_put(harness, 1, 100);
    }
    assert_int_equal(log_harness_end(harness), 200);
    assert_int_equal(log_harness_written(harness), 0);
    assert_true(log_harness_wait_durable(harness, 200));
    assert_int_equal(io_sim_calls_count(harness->sim) - calls_before, 2);
    assert_int_equal(log_harness_verify(harness, 0, 200, &count), 200);
    assert_int_equal(count, 200);
}

static void too_many_waiting_bytes_are_refused(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = {
        .records_count = 1, .value_bytes = 8 << 20, .producer_id = -1, .base_sequence = -1};
    struct logstore_appended appended;
    enum base_err err = BASE_ERR_OK;
    int accepted = 0;

    open_log(harness);
    while (err == BASE_ERR_OK && accepted < 100) {
        err = log_harness_append(harness, &spec, &appended);
        accepted += err == BASE_ERR_OK;
    }
    assert_int_equal(err, BASE_ERR_BUSY);
    assert_in_range(accepted, 8, 10);
    assert_int_equal(log_harness_end(harness), accepted);
    assert_true(log_harness_wait_durable(harness, accepted));
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    assert_true(log_harness_wait_durable(harness, accepted + 1));
}

static struct log_harness_batch from_producer(int64_t producer_id, int32_t base_sequence)
{
    return (struct log_harness_batch){.records_count = 2,
                                      .value_bytes = 100,
                                      .producer_id = producer_id,
                                      .base_sequence = base_sequence};
}

static void duplicate_gets_the_offset_of_its_original(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch first = from_producer(9, 0);
    struct log_harness_batch gap = from_producer(9, 7);
    struct logstore_appended appended;

    open_log(harness);
    (void)log_harness_put(harness, 3, 10);
    assert_int_equal(log_harness_append(harness, &first, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_APPEND);
    assert_int_equal(log_harness_append(harness, &first, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_DUPLICATE);
    assert_int_equal(appended.base_offset, 3);
    assert_int_equal(appended.end_offset, 5);
    assert_int_equal(log_harness_append(harness, &gap, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(log_harness_end(harness), 5);
}

/* checkpoint: closed in good order, or left like after a kill. */
static void producers_survive(struct log_harness *harness, bool checkpoint)
{
    struct logstore_appended appended;
    struct log_harness_batch old = from_producer(5, 0);

    harness->config.segment_bytes = 3000;
    open_log(harness);
    assert_int_equal(log_harness_append(harness, &old, &appended), BASE_ERR_OK);
    for (int32_t i = 0; i < 100; i++) {
        struct log_harness_batch spec = from_producer(6, i * 2);
        assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_wait_durable(harness, 202));
    assert_int_equal(log_harness_trim(harness, 150), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, 1000000);
    log_harness_close(harness, checkpoint);
    open_log(harness);
    assert_int_equal(log_harness_append(harness, &old, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_DUPLICATE);
    assert_int_equal(appended.base_offset, 0);
    struct log_harness_batch last = from_producer(6, 198);
    assert_int_equal(log_harness_append(harness, &last, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_DUPLICATE);
    assert_int_equal(appended.base_offset, 200);
    struct log_harness_batch next = from_producer(6, 200);
    assert_int_equal(log_harness_append(harness, &next, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_APPEND);
}

static void producers_survive_a_kill_after_their_segments_are_gone(void **state)
{
    producers_survive(*state, false);
}

static void producers_survive_a_good_close(void **state)
{
    producers_survive(*state, true);
}

static void check_epoch(struct log_harness *harness, int32_t epoch, bool known, int32_t found,
                        int64_t end)
{
    int32_t found_epoch = 0;
    int64_t end_offset = 0;

    base_mutex_lock(&harness->lock);
    assert_int_equal(logstore_log_epoch_end(harness->log, epoch, &found_epoch, &end_offset), known);
    base_mutex_unlock(&harness->lock);
    assert_int_equal(found_epoch, found);
    assert_int_equal(end_offset, end);
}

static void epochs_are_answered_as_kafka_does(void **state)
{
    struct log_harness *harness = *state;

    harness->leader_epoch = 3;
    open_log(harness);
    (void)log_harness_put(harness, 10, 10);
    log_harness_close(harness, false);
    harness->leader_epoch = 5;
    open_log(harness);
    (void)log_harness_put(harness, 10, 10);
    log_harness_close(harness, true);
    harness->leader_epoch = 8;
    open_log(harness);
    check_epoch(harness, 8, true, 8, 20); /* nothing written by it yet */
    (void)log_harness_put(harness, 10, 10);
    check_epoch(harness, 1, true, 1, 0); /* lower than all */
    check_epoch(harness, 3, true, 3, 10);
    check_epoch(harness, 4, true, 3, 10);
    check_epoch(harness, 5, true, 5, 20);
    check_epoch(harness, 7, true, 5, 20);
    check_epoch(harness, 8, true, 8, 30);
    check_epoch(harness, 9, false, -1, -1);
    base_mutex_lock(&harness->lock);
    assert_int_equal(logstore_log_epoch_at(harness->log, 0), 3);
    assert_int_equal(logstore_log_epoch_at(harness->log, 9), 3);
    assert_int_equal(logstore_log_epoch_at(harness->log, 10), 5);
    assert_int_equal(logstore_log_epoch_at(harness->log, 30), 8);
    base_mutex_unlock(&harness->lock);
}

static void old_segment_is_rolled_at_the_next_append(void **state)
{
    struct log_harness *harness = *state;

    harness->config.segment_ms = 10000;
    open_log(harness);
    (void)log_harness_put(harness, 1, 10);
    sim_scheduler_advance(harness->scheduler, 11000000);
    assert_int_equal(log_harness_segments(harness), 1);
    (void)log_harness_put(harness, 1, 10);
    assert_true(log_harness_wait_durable(harness, 2));
    assert_int_equal(log_harness_segments(harness), 2);
}

static void idle_log_closes_its_file_and_opens_it_again(void **state)
{
    struct log_harness *harness = *state;
    uint32_t count = 0;

    open_log(harness);
    (void)log_harness_put(harness, 1, 10);
    sim_scheduler_advance(harness->scheduler, 120 * 1000000);
    assert_int_equal(log_harness_verify(harness, 0, 1, &count), 1);
    sim_scheduler_advance(harness->scheduler, 120 * 1000000);
    assert_int_equal(log_harness_put(harness, 1, 10), 1);
    assert_int_equal(log_harness_put(harness, 1, 10), 2);
    assert_true(log_harness_wait_durable(harness, 3));
    assert_int_equal(log_harness_verify(harness, 0, 3, &count), 3);
    assert_int_equal(count, 3);
}

static void progress_is_told(void **state)
{
    struct log_harness *harness = *state;

    open_log(harness);
    uint64_t before = harness->progress_count;
    (void)log_harness_put(harness, 1, 10);
    assert_true(harness->progress_count > before); /* written */
    before = harness->progress_count;
    assert_true(log_harness_wait_durable(harness, 1));
    assert_true(harness->progress_count > before);
}

enum { CHECKPOINT_BYTES = 16 << 20, LARGE_BYTES = 1 << 20 };

/* The io of a log that goes on while its first checkpoint is being written. */
static struct {
    const struct logstore_io_ops *ops; /* of the simulator */
    struct log_harness *harness;
    int puts_count; /* of the index */
} growing;

/* So much that a checkpoint is asked for. */
static void put_much(struct log_harness *harness)
{
    for (int bytes = 0; bytes < CHECKPOINT_BYTES; bytes += LARGE_BYTES) {
        (void)log_harness_put(harness, 1, LARGE_BYTES);
    }
}

static enum base_err put_and_grow(struct logstore_io *io, const char *name,
                                  struct base_slice content)
{
    if (strstr(name, ".index") != NULL && growing.puts_count++ == 0) {
        put_much(growing.harness);
    }
    return growing.ops->put(io, name, content);
}

static void checkpoint_asked_for_while_one_is_written_comes_next(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_io_ops ops = *harness->io->ops;
    struct logstore_footer footer = {.covered_bytes = 0};
    struct logstore_index index;
    struct base_buffer *content = NULL;
    struct base_slice snapshot;
    size_t length = 0;

    growing.ops = harness->io->ops;
    growing.harness = harness;
    growing.puts_count = 0;
    ops.put = put_and_grow;
    harness->io->ops = &ops;
    harness->config.segment_bytes = 64 << 20;
    open_log(harness);
    put_much(harness);
    sim_scheduler_advance(harness->scheduler, 1000000);
    harness->io->ops = growing.ops;
    assert_int_equal(growing.puts_count, 2);
    assert_int_equal(ops.get(harness->io, LOG_HARNESS_NAME "/00000000000000000000.index", 1 << 20,
                             &content, &length),
                     BASE_ERR_OK);
    logstore_index_init(&index);
    assert_int_equal(
        logstore_footer_decode(base_slice_of(content->data, length), &footer, &index, &snapshot),
        BASE_ERR_OK);
    logstore_index_fini(&index);
    base_buffer_release(&content);
    assert_true(footer.covered_bytes >= 2 * CHECKPOINT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appended_batches_become_durable_and_are_read_back,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(what_arrives_during_a_sync_joins_the_next_one, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(high_throughput_mode_syncs_after_its_interval, setup_sim,
                                        teardown),
        cmocka_unit_test_setup_teardown(high_throughput_mode_syncs_when_enough_is_written,
                                        setup_sim, teardown),
        cmocka_unit_test_setup_teardown(flush_makes_everything_durable_in_high_throughput_mode,
                                        setup_sim, teardown),
        cmocka_unit_test_setup_teardown(batches_that_come_during_a_roll_keep_their_order,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(pending_appends_go_out_together, setup_pending, teardown),
        cmocka_unit_test_setup_teardown(too_many_waiting_bytes_are_refused, setup_pending,
                                        teardown),
        cmocka_unit_test_setup_teardown(duplicate_gets_the_offset_of_its_original, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(producers_survive_a_kill_after_their_segments_are_gone,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(producers_survive_a_good_close, setup_files, teardown),
        cmocka_unit_test_setup_teardown(epochs_are_answered_as_kafka_does, setup_files, teardown),
        cmocka_unit_test_setup_teardown(old_segment_is_rolled_at_the_next_append, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(idle_log_closes_its_file_and_opens_it_again, setup_files,
                                        teardown),
        cmocka_unit_test_setup_teardown(progress_is_told, setup_files, teardown),
        cmocka_unit_test_setup_teardown(checkpoint_asked_for_while_one_is_written_comes_next,
                                        setup_sim, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
