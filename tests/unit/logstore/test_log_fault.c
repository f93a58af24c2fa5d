/* Memory and space that run out: nothing is lost, half done or leaked. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/crc32c.h"
#include "core/base/endian.h"
#include "core/base/log.h"
#include "tests/unit/logstore/fixture.h"

enum { FAULTS_MAX = 2000 };

static int teardown_alloc(void **state)
{
    base_alloc_fail_after(-1, 0);
    return teardown(state);
}

static struct log_harness_batch batch_of(int64_t producer_id, int32_t base_sequence)
{
    return (struct log_harness_batch){.records_count = 1,
                                      .value_bytes = 300,
                                      .producer_id = producer_id,
                                      .producer_epoch = 0,
                                      .base_sequence = base_sequence};
}

static void full_disk_refuses_and_resumes(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch first = batch_of(1, 0);
    struct log_harness_batch second = batch_of(1, 1);
    struct logstore_appended appended;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_append(harness, &first, &appended), BASE_ERR_OK);
    io_sim_set_full(harness->sim, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_harness_append(harness, &second, &appended), BASE_ERR_NO_SPACE);
        assert_int_equal(log_harness_end(harness), 1);
    }
    assert_null(log_harness_reason(harness));
    io_sim_set_full(harness->sim, false);
    assert_int_equal(log_harness_append(harness, &second, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict,
                     LOGSTORE_VERDICT_APPEND); /* the refused ones left no trace */
    assert_int_equal(appended.base_offset, 1);
    assert_true(log_harness_wait_durable(harness, 2));
}

static void file_size_limit_refuses_and_resumes(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = batch_of(-1, -1);
    struct logstore_appended appended;
    struct rlimit before;
    int64_t accepted = 0;

    harness->config.segment_bytes = 1 << 20;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit tight = {.rlim_cur = 5000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum base_err err = BASE_ERR_OK;
    while (err == BASE_ERR_OK && accepted < 100) {
        err = log_harness_append(harness, &spec, &appended);
        accepted += err == BASE_ERR_OK;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, BASE_ERR_NO_SPACE);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    assert_int_equal(appended.base_offset, accepted);
    assert_true(log_harness_wait_durable(harness, accepted + 1));
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_end(harness), accepted + 1);
    assert_int_equal(log_harness_verify(harness, 0, accepted + 1, NULL), accepted + 1);
}

/* Lines that are logged between begin and end. */
struct capture {
    int pipe_fds[2];
    int saved_fd;
    char text[4096];
};

static void capture_begin(struct capture *capture)
{
    fflush(stderr);
    capture->saved_fd = dup(STDERR_FILENO);
    assert_int_equal(pipe(capture->pipe_fds), 0);
    assert_true(dup2(capture->pipe_fds[1], STDERR_FILENO) >= 0);
    base_log_configure(BASE_LOG_WARN, BASE_LOG_LOGFMT);
}

static void capture_end(struct capture *capture)
{
    base_log(BASE_LOG_WARN, "END", "nothing=more"); /* so that there is something to read */
    base_log_configure(BASE_LOG_ERROR + 1, BASE_LOG_LOGFMT);
    fflush(stderr);
    assert_true(dup2(capture->saved_fd, STDERR_FILENO) >= 0);
    ssize_t length = read(capture->pipe_fds[0], capture->text, sizeof capture->text - 1);
    assert_true(length > 0);
    capture->text[length] = '\0';
    (void)close(capture->pipe_fds[0]);
    (void)close(capture->pipe_fds[1]);
    (void)close(capture->saved_fd);
}

/* Connections that took all descriptors there are give them back one day. */
static void roll_without_a_descriptor_waits_and_goes_on(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = batch_of(-1, -1);
    struct logstore_appended appended;
    struct rlimit before;
    struct capture capture;

    harness->config.segment_bytes = 1000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    assert_true(log_harness_wait_durable(harness, 2));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    capture_begin(&capture);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum base_err err = log_harness_append(harness, &spec, &appended);
    sim_scheduler_advance(harness->scheduler, 3000000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    capture_end(&capture);
    assert_int_equal(err, BASE_ERR_OK);
    const char *line = strstr(capture.text, "event=DESCRIPTORS_RAN_OUT");
    assert_non_null(line);
    assert_null(strstr(line + 1, "event=DESCRIPTORS_RAN_OUT")); /* it fails again and again */
    assert_null(strstr(capture.text, "event=LOG_NO_SPACE"));
    assert_null(log_harness_reason(harness));
    assert_true(log_harness_wait_durable(harness, 3));
    assert_int_equal(log_harness_verify(harness, 0, 3, NULL), 3);
}

/* As large as a client may say. */
static enum base_err append_many_offsets(struct log_harness *harness)
{
    struct log_harness_batch spec = batch_of(-1, -1);
    struct logstore_appended appended;
    struct base_chunk chunk = log_harness_make(harness, &spec);
    uint8_t *bytes = chunk.buffer->data + chunk.position;

    base_put_i32(bytes + LOGSTORE_BATCH_AT_LAST_OFFSET_DELTA, INT32_MAX - 1);
    base_put_i32(bytes + LOGSTORE_BATCH_AT_RECORDS_COUNT, INT32_MAX);
    base_put_u32(bytes + LOGSTORE_BATCH_AT_CRC,
                 base_crc32c(0, bytes + LOGSTORE_BATCH_AT_ATTRIBUTES,
                             chunk.length - LOGSTORE_BATCH_AT_ATTRIBUTES));
    enum base_err err = log_harness_append_chunk(harness, &chunk, &appended);
    base_chunk_release(&chunk);
    return err;
}

/* The size of a segment is no limit then, its offsets are: nothing is tried without a pause. */
static void roll_at_a_limit_without_a_descriptor_waits_and_goes_on(void **state)
{
    struct log_harness *harness = *state;
    int64_t end = 3 * (int64_t)INT32_MAX;
    struct rlimit before;

    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append_many_offsets(harness), BASE_ERR_OK);
    }
    assert_true(log_harness_wait_durable(harness, end));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum base_err err = append_many_offsets(harness);
    sim_scheduler_advance(harness->scheduler, 3000000);
    int64_t written = log_harness_written(harness);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, BASE_ERR_OK);
    assert_int_equal(written, end);
    assert_int_equal(log_harness_segments(harness), 1);
    assert_null(log_harness_reason(harness));
    assert_true(log_harness_wait_durable(harness, end + INT32_MAX));
    assert_int_equal(log_harness_segments(harness), 2);
}

static void roll_on_a_full_disk_waits_and_goes_on(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = batch_of(-1, -1);
    struct logstore_appended appended;

    harness->config.segment_bytes = 1000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    io_sim_set_full(harness->sim, true);
    /* Accepted, since a roll is no append; then there is no room for either. */
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, 3000000);
    assert_int_equal(log_harness_written(harness), 2);
    assert_int_equal(log_harness_durable(harness), 2);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_NO_SPACE);
    assert_null(log_harness_reason(harness));
    io_sim_set_full(harness->sim, false);
    sim_scheduler_advance(harness->scheduler, 3000000);
    assert_int_equal(log_harness_durable(harness), 3);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    assert_true(log_harness_wait_durable(harness, 4));
}

static void who_waits_for_space_is_told_when_the_broker_stops(void **state)
{
    struct log_harness *harness = *state;
    struct log_harness_batch spec = batch_of(-1, -1);
    struct logstore_appended appended;

    harness->config.segment_bytes = 300;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    io_sim_set_full(harness->sim, true);
    assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, 3000000);
    assert_null(log_harness_reason(harness));
    logstore_store_stop_waiting(harness->store);
    sim_scheduler_advance(harness->scheduler, 3000000);
    assert_non_null(log_harness_reason(harness));
    assert_int_equal(log_harness_durable(harness), 1);
}

static void close_on_a_full_disk_keeps_producers_right(void **state)
{
    struct log_harness *harness = *state;
    struct logstore_appended appended;

    harness->config.segment_bytes = 1000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int32_t i = 0; i < 2; i++) {
        struct log_harness_batch spec = batch_of(4, i);
        assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
    }
    io_sim_set_full(harness->sim, true);
    struct log_harness_batch third = batch_of(4, 2);
    assert_int_equal(log_harness_append(harness, &third, &appended), BASE_ERR_OK);
    sim_scheduler_advance(harness->scheduler, 3000000);
    log_harness_close(harness, true);
    io_sim_set_full(harness->sim, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_end(harness), 2);
    assert_int_equal(log_harness_append(harness, &third, &appended), BASE_ERR_OK);
    assert_int_equal(appended.verdict, LOGSTORE_VERDICT_APPEND);
}

static void failed_allocation_in_open_leaves_nothing(void **state)
{
    struct log_harness *harness = *state;
    long count = 0;

    harness->config.segment_bytes = 3000;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int32_t i = 0; i < 30; i++) {
        struct log_harness_batch spec = batch_of(i % 3, i / 3);
        struct logstore_appended appended;
        assert_int_equal(log_harness_append(harness, &spec, &appended), BASE_ERR_OK);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_wait_durable(harness, 30));
    log_harness_close(harness, false);
    for (count = 0; count < FAULTS_MAX; count++) {
        base_alloc_fail_after(count, 1);
        enum base_err err = log_harness_open(harness);
        int fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        assert_true(err == BASE_ERR_OK || err == BASE_ERR_NOMEM);
        if (err == BASE_ERR_OK) {
            assert_int_equal(log_harness_end(harness), 30);
            assert_int_equal(log_harness_verify(harness, 0, 30, NULL), 30);
            log_harness_close(harness, false);
        }
        if (!fired) {
            break;
        }
    }
    assert_in_range(count, 5, FAULTS_MAX - 1);
}

/* One failed allocation, at each place in turn, while batches are appended, rolled, read
 * and closed: whatever was accepted is there afterwards. */
static void failed_allocation_in_append_loses_nothing(void **state)
{
    struct log_harness *harness = *state;
    long count = 0;

    harness->config.segment_bytes = 1500;
    harness->config.index_interval_bytes = 100;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (count = 0; count < FAULTS_MAX; count++) {
        struct base_chunk chunks[12];
        struct logstore_appended appended;
        int64_t start = log_harness_end(harness);
        int64_t accepted = 0;
        for (int32_t i = 0; i < 12; i++) {
            struct log_harness_batch spec = batch_of(count * 100 + i, 0);
            chunks[i] = log_harness_make(harness, &spec);
        }
        base_alloc_fail_after(count, 1);
        for (int32_t i = 0; i < 12; i++) {
            enum base_err err = log_harness_append_chunk(harness, &chunks[i], &appended);
            assert_true(err == BASE_ERR_OK || err == BASE_ERR_NOMEM);
            accepted += err == BASE_ERR_OK;
            sim_scheduler_run(harness->scheduler);
        }
        int fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        for (int32_t i = 0; i < 12; i++) {
            base_chunk_release(&chunks[i]);
        }
        assert_int_equal(log_harness_end(harness), start + accepted);
        assert_true(log_harness_wait_durable(harness, start + accepted));
        assert_null(log_harness_reason(harness));
        assert_int_equal(log_harness_verify(harness, start, start + accepted, NULL),
                         start + accepted);
        if (!fired) {
            break;
        }
    }
    assert_in_range(count, 5, FAULTS_MAX - 1);
    int64_t end = log_harness_end(harness);
    log_harness_close(harness, false);
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    assert_int_equal(log_harness_end(harness), end);
    assert_int_equal(log_harness_verify(harness, 0, end, NULL), end);
}

static void failed_allocation_in_a_read_is_only_an_error(void **state)
{
    struct log_harness *harness = *state;
    long count = 0;

    harness->config.segment_bytes = 1500;
    assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
    for (int i = 0; i < 20; i++) {
        (void)log_harness_put(harness, 1, 300);
        sim_scheduler_run(harness->scheduler);
    }
    assert_true(log_harness_wait_durable(harness, 20));
    for (count = 0; count < FAULTS_MAX; count++) {
        log_harness_close(harness, true);
        assert_int_equal(log_harness_open(harness), BASE_ERR_OK);
        struct logstore_read read = {
            .offset = 7, .limit_offset = 20, .bytes_max = 5000, .in_memory = true};
        base_alloc_fail_after(count, 1);
        log_harness_read(harness, &read);
        int fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        assert_true(read.err == BASE_ERR_OK || read.err == BASE_ERR_NOMEM);
        logstore_read_release(&read);
        assert_int_equal(log_harness_verify(harness, 0, 20, NULL), 20);
        if (!fired) {
            break;
        }
    }
    assert_in_range(count, 3, FAULTS_MAX - 1);
}

int main(void)
{
    base_log_configure(BASE_LOG_ERROR + 1, BASE_LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full_disk_refuses_and_resumes, setup_sim, teardown_alloc),
        cmocka_unit_test_setup_teardown(file_size_limit_refuses_and_resumes, setup_files_tail,
                                        teardown_alloc),
        cmocka_unit_test_setup_teardown(roll_without_a_descriptor_waits_and_goes_on, setup_files,
                                        teardown_alloc),
        cmocka_unit_test_setup_teardown(roll_at_a_limit_without_a_descriptor_waits_and_goes_on,
                                        setup_files, teardown),
        cmocka_unit_test_setup_teardown(roll_on_a_full_disk_waits_and_goes_on, setup_sim,
                                        teardown_alloc),
        cmocka_unit_test_setup_teardown(who_waits_for_space_is_told_when_the_broker_stops,
                                        setup_sim, teardown_alloc),
        cmocka_unit_test_setup_teardown(close_on_a_full_disk_keeps_producers_right, setup_sim,
                                        teardown_alloc),
        cmocka_unit_test_setup_teardown(failed_allocation_in_open_leaves_nothing, setup_files_tail,
                                        teardown_alloc),
        cmocka_unit_test_setup_teardown(failed_allocation_in_append_loses_nothing, setup_files_tail,
                                        teardown_alloc),
        cmocka_unit_test_setup_teardown(failed_allocation_in_a_read_is_only_an_error,
                                        setup_files_tail, teardown_alloc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
