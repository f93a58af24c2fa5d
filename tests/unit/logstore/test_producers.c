/* Producer state: the table of kafka-behaviours.md, section 3, row by row; snapshots;
 * memory; and a model that remembers everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/endian.h"
#include "logstore/producers.h"

enum { NOW_MS = 1000000 };

struct fixture {
    struct logstore_producers producers;
    int64_t next_offset;
};

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    fixture = (struct fixture){.next_offset = 100};
    logstore_producers_init(&fixture.producers);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    logstore_producers_fini(&fixture.producers);
    return 0;
}

static struct logstore_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t count)
{
    return (struct logstore_batch){.producer_id = id,
                                   .producer_epoch = epoch,
                                   .base_sequence = sequence,
                                   .last_offset_delta = count - 1,
                                   .records_count = count,
                                   .max_timestamp = (int64_t)5000 + sequence};
}

static enum logstore_verdict judge(const struct logstore_batch *batch)
{
    struct logstore_duplicate duplicate;
    return logstore_producers_check(&fixture.producers, batch, &duplicate);
}

/* What a log does with a batch; returns its offset, or the verdict below zero. */
static int64_t append(struct logstore_batch batch)
{
    enum logstore_verdict verdict = judge(&batch);
    if (verdict != LOGSTORE_VERDICT_APPEND) {
        return -(int64_t)verdict;
    }
    assert_int_equal(logstore_producers_reserve(&fixture.producers, &batch), BASE_ERR_OK);
    batch.base_offset = fixture.next_offset;
    fixture.next_offset += batch.last_offset_delta + 1;
    logstore_producers_update(&fixture.producers, &batch, NOW_MS);
    return batch.base_offset;
}

static void assert_verdict(struct logstore_batch batch, enum logstore_verdict verdict)
{
    assert_int_equal(judge(&batch), verdict);
}

static void batches_without_a_producer_leave_no_trace(void **state)
{
    (void)state;
    assert_true(append(batch_of(-1, -1, -1, 3)) == 100);
    assert_true(append(batch_of(-1, -1, -1, 3)) == 103);
    assert_int_equal(logstore_producers_count(&fixture.producers), 0);
    assert_null(fixture.producers.buckets);
    assert_null(fixture.producers.spare);
}

static void sequences_must_follow(void **state)
{
    (void)state;
    assert_true(append(batch_of(1, 0, 0, 3)) == 100);
    assert_verdict(batch_of(1, 0, 4, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 0, 2, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 0, -1, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_true(append(batch_of(1, 0, 3, 2)) == 103);
    assert_true(append(batch_of(1, 0, 5, 1)) == 105);
    assert_true(append(batch_of(2, 0, 0, 1)) == 106); /* others do not matter */
    assert_true(append(batch_of(1, 0, 6, 1)) == 107);
}

static void rejected_batch_advances_nothing(void **state)
{
    (void)state;
    (void)append(batch_of(1, 0, 0, 1));
    assert_true(append(batch_of(1, 0, 2, 1)) == -LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_true(append(batch_of(1, 0, 3, 1)) == -LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_true(append(batch_of(1, 0, 1, 1)) == 101);
}

static void five_batches_are_remembered_with_their_offsets(void **state)
{
    (void)state;
    for (int32_t i = 0; i < 7; i++) {
        assert_true(append(batch_of(9, 2, i * 10, 10)) == 100 + i * 10);
    }
    for (int32_t i = 0; i < 7; i++) {
        struct logstore_batch again = batch_of(9, 2, i * 10, 10);
        struct logstore_duplicate duplicate;
        enum logstore_verdict verdict =
            logstore_producers_check(&fixture.producers, &again, &duplicate);
        if (i < 2) { /* too old to be recognised */
            assert_int_equal(verdict, LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
            assert_true(duplicate.base_offset == -1);
        } else {
            assert_int_equal(verdict, LOGSTORE_VERDICT_DUPLICATE);
            assert_true(duplicate.base_offset == 100 + i * 10);
            assert_true(duplicate.last_offset == 109 + i * 10);
            assert_true(duplicate.timestamp_ms == 5000 + i * 10);
        }
    }
    assert_true(append(batch_of(9, 2, 70, 1)) == 170);
}

static void duplicate_is_exact_or_it_is_none(void **state)
{
    (void)state;
    (void)append(batch_of(1, 0, 0, 5));
    (void)append(batch_of(1, 0, 5, 5));
    assert_verdict(batch_of(1, 0, 0, 5), LOGSTORE_VERDICT_DUPLICATE);
    assert_verdict(batch_of(1, 0, 0, 4), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 0, 1, 4), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 0, 0, 10), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 1, 5, 5), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE); /* epoch */
}

static void sequence_wraps_from_the_largest_to_zero(void **state)
{
    (void)state;
    (void)append(batch_of(1, 0, INT32_MAX - 3, 3)); /* no state: any sequence begins */
    assert_verdict(batch_of(1, 0, 0, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_true(append(batch_of(1, 0, INT32_MAX, 1)) == 103);
    assert_verdict(batch_of(1, 0, INT32_MIN, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 0, 1, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_true(append(batch_of(1, 0, 0, 2)) == 104);
    assert_true(append(batch_of(1, 0, 2, 1)) == 106);
    assert_verdict(batch_of(1, 0, INT32_MAX, 1), LOGSTORE_VERDICT_DUPLICATE);
}

static void batch_may_wrap_inside(void **state)
{
    (void)state;
    (void)append(batch_of(1, 0, INT32_MAX - 1, 5)); /* ...646, ...647, 0, 1, 2 */
    assert_verdict(batch_of(1, 0, INT32_MAX - 1, 5), LOGSTORE_VERDICT_DUPLICATE);
    assert_true(append(batch_of(1, 0, 3, 1)) == 105);
}

static void unknown_producer_may_begin_anywhere(void **state)
{
    (void)state;
    assert_true(append(batch_of(1, 7, 12345, 1)) == 100);
    assert_true(append(batch_of(1, 7, 12346, 1)) == 101);
}

static void epochs(void **state)
{
    (void)state;
    (void)append(batch_of(1, 3, 0, 1));
    (void)append(batch_of(1, 3, 1, 1));
    assert_verdict(batch_of(1, 2, 2, 1), LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH);
    assert_verdict(batch_of(1, 2, 0, 1), LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH);
    assert_verdict(batch_of(1, 4, 2, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_true(append(batch_of(1, 4, 0, 1)) == 102);
    /* The new epoch forgot the batches of the old one, which is fenced now. */
    assert_verdict(batch_of(1, 3, 1, 1), LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH);
    assert_verdict(batch_of(1, 4, 0, 1), LOGSTORE_VERDICT_DUPLICATE);
    assert_true(append(batch_of(1, 4, 1, 1)) == 103);
}

static struct logstore_batch txn_batch(int64_t id, int16_t epoch, int32_t sequence)
{
    struct logstore_batch batch = batch_of(id, epoch, sequence, 1);
    batch.attributes = LOGSTORE_BATCH_TRANSACTIONAL;
    return batch;
}

static struct logstore_batch marker(int64_t id, int16_t epoch)
{
    struct logstore_batch batch = batch_of(id, epoch, -1, 1);
    batch.attributes = LOGSTORE_BATCH_TRANSACTIONAL | LOGSTORE_BATCH_CONTROL;
    return batch;
}

static void markers_end_transactions(void **state)
{
    (void)state;
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == -1);
    (void)append(txn_batch(1, 0, 0)); /* 100 */
    (void)append(txn_batch(2, 0, 0)); /* 101 */
    (void)append(txn_batch(1, 0, 1)); /* 102 */
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == 100);
    (void)append(marker(1, 0));
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == 101);
    (void)append(txn_batch(1, 0, 2)); /* 104: its next one */
    (void)append(marker(2, 0));
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == 104);
    (void)append(marker(1, 0));
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == -1);
    (void)append(marker(1, 0)); /* nothing open: changes nothing */
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == -1);
}

static void marker_with_a_new_epoch_starts_sequences_afresh(void **state)
{
    (void)state;
    (void)append(txn_batch(1, 0, 0));
    assert_verdict(marker(1, -1), LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH);
    (void)append(marker(1, 1));
    assert_verdict(txn_batch(1, 0, 1), LOGSTORE_VERDICT_INVALID_PRODUCER_EPOCH);
    assert_verdict(txn_batch(1, 1, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(txn_batch(1, 1, 0), LOGSTORE_VERDICT_APPEND);
}

static void idle_producers_expire(void **state)
{
    (void)state;
    (void)append(batch_of(1, 0, 0, 1));
    (void)append(batch_of(2, 0, 0, 1));
    (void)append(txn_batch(3, 0, 0));
    struct logstore_batch later = batch_of(1, 0, 1, 1);
    logstore_producers_update(&fixture.producers, &later, NOW_MS + 50);

    assert_int_equal(logstore_producers_expire(&fixture.producers, NOW_MS + 99, 100), 0);
    assert_int_equal(logstore_producers_expire(&fixture.producers, NOW_MS + 100, 100), 1);
    assert_int_equal(logstore_producers_count(&fixture.producers), 2);
    assert_verdict(batch_of(2, 0, 77, 1), LOGSTORE_VERDICT_APPEND); /* forgotten */
    assert_int_equal(logstore_producers_expire(&fixture.producers, NOW_MS + 150, 100), 1);
    assert_int_equal(logstore_producers_expire(&fixture.producers, INT64_MAX, 100), 0);
    assert_int_equal(logstore_producers_count(&fixture.producers), 1); /* open transaction */
    assert_int_equal(logstore_producers_expire(&fixture.producers, 5, INT64_MAX), 0);
}

static void clear_forgets_everyone(void **state)
{
    (void)state;
    (void)append(batch_of(1, 5, 0, 1));
    (void)append(txn_batch(2, 0, 0));
    logstore_producers_clear(&fixture.producers);
    assert_int_equal(logstore_producers_count(&fixture.producers), 0);
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == -1);
    assert_verdict(batch_of(1, 0, 9, 1), LOGSTORE_VERDICT_APPEND);
    (void)append(batch_of(1, 0, 9, 1));
    assert_int_equal(logstore_producers_count(&fixture.producers), 1);
}

static bool collect(void *context, const struct logstore_producer_info *info)
{
    int64_t **next = context;
    *(*next)++ = info->producer_id;
    *(*next)++ = info->last_sequence;
    *(*next)++ = info->txn_first_offset;
    return info->producer_id != 3;
}

static void tools_see_the_longest_idle_first(void **state)
{
    (void)state;
    int64_t seen[12] = {0};
    int64_t *next = seen;
    (void)append(batch_of(1, 0, 0, 4));
    (void)append(txn_batch(2, 0, 8));
    (void)append(batch_of(3, 0, 0, 1));
    (void)append(batch_of(4, 0, 0, 1));
    (void)append(batch_of(1, 0, 4, 2));
    logstore_producers_each(&fixture.producers, collect, &next);
    assert_int_equal(next - seen, 6); /* stopped at 3 */
    assert_memory_equal(seen, ((const int64_t[]){2, 8, 104, 3, 0, -1}), 6 * sizeof seen[0]);
}

static void snapshot_keeps_everything(void **state)
{
    (void)state;
    struct base_writer writer;
    struct base_writer again;
    struct base_reader reader;

    for (int64_t id = 0; id < 200; id++) {
        for (int32_t i = 0; i <= id % 7; i++) {
            (void)append(id % 5 == 0 ? txn_batch(id, (int16_t)(id % 3), i)
                                     : batch_of(id, (int16_t)(id % 3), i, 1));
        }
    }
    (void)append(marker(0, 0));
    int64_t first_txn_offset = logstore_producers_first_txn_offset(&fixture.producers);
    base_writer_init(&writer, 1 << 20);
    base_writer_init(&again, 1 << 20);
    logstore_producers_encode(&fixture.producers, &writer);
    base_writer_int8(&writer, 42); /* whatever the caller puts behind it */
    assert_int_equal(writer.err, BASE_ERR_OK);

    base_reader_init(&reader, writer.buffer->data, writer.length);
    assert_int_equal(logstore_producers_decode(&fixture.producers, &reader), BASE_ERR_OK);
    assert_int_equal(base_reader_int8(&reader), 42);
    assert_int_equal(base_reader_finish(&reader), BASE_ERR_OK);
    assert_int_equal(logstore_producers_count(&fixture.producers), 200);
    assert_true(logstore_producers_first_txn_offset(&fixture.producers) == first_txn_offset);
    assert_verdict(batch_of(6, 0, 6, 1), LOGSTORE_VERDICT_DUPLICATE);
    assert_verdict(batch_of(6, 0, 1, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(6, 0, 7, 1), LOGSTORE_VERDICT_APPEND);

    logstore_producers_encode(&fixture.producers, &again);
    assert_int_equal(again.length, writer.length - 1);
    assert_memory_equal(again.buffer->data, writer.buffer->data, again.length);
    base_writer_fini(&writer);
    base_writer_fini(&again);
}

static void damaged_snapshot_leaves_nobody(void **state)
{
    (void)state;
    struct base_writer writer;
    struct base_reader reader;

    (void)append(txn_batch(1, 0, 0));
    (void)append(batch_of(2, 0, 0, 1));
    (void)append(txn_batch(3, 0, 0));
    base_writer_init(&writer, 1 << 20);
    logstore_producers_encode(&fixture.producers, &writer);

    for (size_t size = 0; size < writer.length; size++) {
        base_reader_init(&reader, writer.buffer->data, size);
        assert_int_equal(logstore_producers_decode(&fixture.producers, &reader),
                         BASE_ERR_MALFORMED);
        assert_int_equal(logstore_producers_count(&fixture.producers), 0);
        assert_true(logstore_producers_first_txn_offset(&fixture.producers) == -1);
    }
    for (size_t at = 0; at < writer.length; at++) { /* any byte, any value: no crash */
        uint8_t good = writer.buffer->data[at];
        for (unsigned value = 0; value < 256; value++) {
            writer.buffer->data[at] = (uint8_t)value;
            base_reader_init(&reader, writer.buffer->data, writer.length);
            enum base_err err = logstore_producers_decode(&fixture.producers, &reader);
            assert_int_equal(logstore_producers_count(&fixture.producers) > 0,
                             err == BASE_ERR_OK && value + at != 4);
        }
        writer.buffer->data[at] = good;
    }
    base_writer_fini(&writer);
}

static void hostile_snapshots(void **state)
{
    (void)state;
    static const uint8_t later_version[] = {2, 0, 0, 0, 0};
    static const uint8_t huge_count[] = {1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    struct base_writer writer;
    struct base_reader reader;

    base_reader_init(&reader, later_version, sizeof later_version);
    assert_int_equal(logstore_producers_decode(&fixture.producers, &reader), BASE_ERR_UNSUPPORTED);
    base_reader_init(&reader, huge_count, sizeof huge_count);
    assert_int_equal(logstore_producers_decode(&fixture.producers, &reader), BASE_ERR_MALFORMED);
    assert_null(fixture.producers.buckets);

    /* The same producer twice. */
    (void)append(batch_of(1, 0, 0, 1));
    (void)append(batch_of(2, 0, 0, 1));
    base_writer_init(&writer, 1000);
    logstore_producers_encode(&fixture.producers, &writer);
    size_t half = (writer.length - 5) / 2;
    memcpy(writer.buffer->data + 5 + half, writer.buffer->data + 5, half);
    base_reader_init(&reader, writer.buffer->data, writer.length);
    assert_int_equal(logstore_producers_decode(&fixture.producers, &reader), BASE_ERR_MALFORMED);
    assert_int_equal(logstore_producers_count(&fixture.producers), 0);
    base_writer_fini(&writer);
}

/* At the limit the longest idle one goes, unless it is in a transaction. */
static void count_is_bounded(void **state)
{
    (void)state;
    (void)append(txn_batch(0, 0, 0));
    for (int64_t id = 1; id < LOGSTORE_PRODUCERS_COUNT_MAX; id++) {
        (void)append(batch_of(id, 0, 0, 1));
    }
    assert_int_equal(logstore_producers_count(&fixture.producers), LOGSTORE_PRODUCERS_COUNT_MAX);
    (void)append(batch_of(1, 0, 1, 1)); /* no longer the longest idle */
    (void)append(batch_of(LOGSTORE_PRODUCERS_COUNT_MAX, 0, 0, 1));
    assert_int_equal(logstore_producers_count(&fixture.producers), LOGSTORE_PRODUCERS_COUNT_MAX);
    assert_verdict(batch_of(0, 0, 5, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(1, 0, 5, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
    assert_verdict(batch_of(2, 0, 5, 1), LOGSTORE_VERDICT_APPEND); /* forgotten */
    assert_verdict(batch_of(3, 0, 5, 1), LOGSTORE_VERDICT_OUT_OF_ORDER_SEQUENCE);
}

static void all_in_transactions_is_too_large(void **state)
{
    (void)state;
    for (int64_t id = 0; id < LOGSTORE_PRODUCERS_COUNT_MAX; id++) {
        (void)append(txn_batch(id, 0, 0));
    }
    struct logstore_batch one_more = batch_of(LOGSTORE_PRODUCERS_COUNT_MAX, 0, 0, 1);
    assert_int_equal(logstore_producers_reserve(&fixture.producers, &one_more), BASE_ERR_TOO_LARGE);
    struct logstore_batch known = txn_batch(5, 0, 1);
    assert_int_equal(logstore_producers_reserve(&fixture.producers, &known), BASE_ERR_OK);
}

static void every_failed_allocation_is_reported_by_reserve(void **state)
{
    (void)state;
    long failures = 0;
    for (long n = 0; n < 120; n++) {
        base_alloc_fail_after(n, 1);
        for (int64_t id = 0; id < 50; id++) {
            struct logstore_batch batch = batch_of(id, 0, 0, 1);
            if (logstore_producers_reserve(&fixture.producers, &batch) != BASE_ERR_OK) {
                failures++;
                assert_int_equal(logstore_producers_count(&fixture.producers), id);
                assert_int_equal(logstore_producers_reserve(&fixture.producers, &batch),
                                 BASE_ERR_OK);
            }
            base_alloc_fail_after(-1, 0); /* update never allocates */
            base_alloc_fail_after(0, 1);
            logstore_producers_update(&fixture.producers, &batch, NOW_MS);
            assert_false(base_alloc_fault_fired());
            base_alloc_fail_after(n - 2 * id, 1);
        }
        base_alloc_fail_after(-1, 0);
        logstore_producers_clear(&fixture.producers);
    }
    assert_true(failures > 20);
}

static void failed_growth_only_makes_chains_longer(void **state)
{
    (void)state;
    for (int64_t id = 0; id < 300; id++) {
        struct logstore_batch batch = batch_of(id, 0, 0, 1);
        assert_int_equal(logstore_producers_reserve(&fixture.producers, &batch), BASE_ERR_OK);
        logstore_producers_update(&fixture.producers, &batch, NOW_MS);
        struct logstore_batch next = batch_of(id + 1, 0, 0, 1);
        if (fixture.producers.count >= fixture.producers.buckets_count) {
            base_alloc_fail_after(0, 1); /* the table */
            assert_int_equal(logstore_producers_reserve(&fixture.producers, &next), BASE_ERR_OK);
            assert_true(base_alloc_fault_fired());
            base_alloc_fail_after(-1, 0);
        }
    }
    for (int64_t id = 0; id < 300; id++) {
        assert_verdict(batch_of(id, 0, 0, 1), LOGSTORE_VERDICT_DUPLICATE);
    }
}

/* A producer with up to five batches in flight whose answers get lost at random: every
 * batch must be stored once, in order, whatever is sent again. */
static void lost_answers_store_nothing_twice(void **state)
{
    (void)state;
    enum { BATCHES_COUNT = 20000, IN_FLIGHT_MAX = 5 };
    uint64_t random = 3;
    int32_t acked = 0;
    int32_t stored = 0;
    const int32_t first_sequence = INT32_MAX - BATCHES_COUNT / 2;
    int64_t offsets[BATCHES_COUNT];

    while (acked < BATCHES_COUNT) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        int32_t sent = acked + 1 + (int32_t)(random >> 33) % IN_FLIGHT_MAX;
        bool lost = false;
        for (int32_t i = acked; i < sent && i < BATCHES_COUNT; i++) {
            int32_t sequence =
                (int32_t)(((uint32_t)first_sequence + (uint32_t)i) & (uint32_t)INT32_MAX);
            struct logstore_batch batch = batch_of(1, 0, sequence, 1);
            struct logstore_duplicate duplicate;
            if (logstore_producers_check(&fixture.producers, &batch, &duplicate) ==
                LOGSTORE_VERDICT_DUPLICATE) {
                assert_true(i < stored);
                assert_true(duplicate.base_offset == offsets[i]);
            } else {
                assert_int_equal(i, stored);
                offsets[stored++] = append(batch);
                assert_true(offsets[i] == 100 + i);
            }
            random = random * 6364136223846793005U + 1442695040888963407U;
            lost = lost || (random >> 60) < 4;
            acked += !lost;
        }
    }
    assert_int_equal(stored, BATCHES_COUNT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_without_a_producer_leave_no_trace),
        TEST(sequences_must_follow),
        TEST(rejected_batch_advances_nothing),
        TEST(five_batches_are_remembered_with_their_offsets),
        TEST(duplicate_is_exact_or_it_is_none),
        TEST(sequence_wraps_from_the_largest_to_zero),
        TEST(batch_may_wrap_inside),
        TEST(unknown_producer_may_begin_anywhere),
        TEST(epochs),
        TEST(markers_end_transactions),
        TEST(marker_with_a_new_epoch_starts_sequences_afresh),
        TEST(idle_producers_expire),
        TEST(clear_forgets_everyone),
        TEST(tools_see_the_longest_idle_first),
        TEST(snapshot_keeps_everything),
        TEST(damaged_snapshot_leaves_nobody),
        TEST(hostile_snapshots),
        TEST(count_is_bounded),
        TEST(all_in_transactions_is_too_large),
        TEST(every_failed_allocation_is_reported_by_reserve),
        TEST(failed_growth_only_makes_chains_longer),
        TEST(lost_answers_store_nothing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
