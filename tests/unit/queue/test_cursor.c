/* Rules of the bookkeeping, without any I/O. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/alloc.h"
#include "core/queue/cursor.h"

struct fixture {
    struct base_timer_heap deadlines;
    struct queue_cursor cursor;
    uint64_t next_lease;
};

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    base_timer_heap_init(&fixture->deadlines);
    queue_cursor_init(&fixture->cursor, &fixture->deadlines, 10);
    fixture->next_lease = 1;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    queue_cursor_fini(&fixture->cursor);
    assert_int_equal(fixture->deadlines.count, 0);
    base_timer_heap_fini(&fixture->deadlines);
    base_free(fixture);
    return 0;
}

/* Leases the next `count` candidates below end until deadline_us; returns the number. */
static uint64_t deliver(struct fixture *fixture, unsigned count, int64_t end, int64_t deadline_us)
{
    struct queue_lease *lease = queue_lease_create(&fixture->cursor, fixture->next_lease);
    assert_non_null(lease);
    for (unsigned i = 0; i < count; i++) {
        int64_t candidate = queue_cursor_candidate(&fixture->cursor, end);
        assert_true(candidate >= 0);
        assert_int_equal(queue_cursor_take(&fixture->cursor, lease, candidate), BASE_ERR_OK);
    }
    queue_lease_start(lease, deadline_us);
    return fixture->next_lease++;
}

static void settle(struct queue_cursor *cursor, int64_t offset, enum queue_slot_state state)
{
    queue_cursor_hold(cursor, offset, state);
    queue_cursor_settle(cursor, offset);
}

static struct queue_lease *first_lease(struct fixture *fixture)
{
    assert_true(fixture->deadlines.count > 0);
    return BASE_CONTAINER_OF(fixture->deadlines.timers[1], struct queue_lease, timer);
}

static void starts_at_its_floor_and_delivers_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    assert_int_equal(queue_cursor_candidate(cursor, 10), -1);
    assert_int_equal(queue_cursor_candidate(cursor, 13), 10);
    uint64_t number = deliver(fixture, 3, 13, 100);
    assert_int_equal(queue_cursor_candidate(cursor, 13), -1);
    for (int64_t offset = 10; offset < 13; offset++) {
        assert_true(queue_cursor_is_leased(cursor, offset, number));
        assert_false(queue_cursor_is_leased(cursor, offset, number + 1));
    }
    assert_false(queue_cursor_is_leased(cursor, 9, number));
    assert_false(queue_cursor_is_leased(cursor, 13, number));
}

static void acked_out_of_order_moves_the_floor_when_the_gap_closes(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    (void)deliver(fixture, 3, 13, 100);
    settle(cursor, 11, QUEUE_SLOT_ACKING);
    settle(cursor, 12, QUEUE_SLOT_ACKING);
    assert_int_equal(cursor->floor, 10);
    assert_int_equal(cursor->consumed, 2);
    assert_int_equal(queue_cursor_available(cursor, 0, 13), 1);
    settle(cursor, 10, QUEUE_SLOT_ACKING);
    assert_int_equal(cursor->floor, 13);
    assert_int_equal(cursor->consumed, 3);
    assert_int_equal(cursor->done_count, 0);
    assert_int_equal(queue_cursor_available(cursor, 0, 13), 0);
    assert_int_equal(fixture->deadlines.count, 0);
}

static void failed_is_ready_at_once_in_front_of_new_ones(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    (void)deliver(fixture, 2, 20, 100);
    settle(cursor, 11, QUEUE_SLOT_FAILING);
    assert_int_equal(queue_cursor_candidate(cursor, 20), 11);
    assert_int_equal(queue_cursor_slot(cursor, 11)->failures, 1);
    uint64_t again = deliver(fixture, 2, 20, 100);
    assert_true(queue_cursor_is_leased(cursor, 11, again));
    assert_true(queue_cursor_is_leased(cursor, 12, again));
}

static void returned_is_ready_without_a_failure(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    (void)deliver(fixture, 2, 20, 100);
    queue_cursor_return(cursor, 10);
    assert_int_equal(queue_cursor_slot(cursor, 10)->failures, 0);
    assert_int_equal(queue_cursor_candidate(cursor, 20), 10);
}

static void handler_of_an_ended_lease_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    uint64_t first = deliver(fixture, 1, 20, 100);
    queue_lease_expire(first_lease(fixture), NULL, NULL);
    assert_false(queue_cursor_is_leased(cursor, 10, first));
    uint64_t second = deliver(fixture, 1, 20, 100);
    assert_false(queue_cursor_is_leased(cursor, 10, first));
    assert_true(queue_cursor_is_leased(cursor, 10, second));
}

struct failed {
    int64_t offsets[QUEUE_MESSAGES_MAX];
    uint32_t failures[QUEUE_MESSAGES_MAX];
    unsigned count;
};

static void on_failed(void *context, int64_t offset, uint32_t failures)
{
    struct failed *failed = context;
    failed->offsets[failed->count] = offset;
    failed->failures[failed->count++] = failures;
}

static void time_out_fails_only_what_is_still_leased(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    struct failed failed = {.count = 0};

    (void)deliver(fixture, 4, 20, 100);
    settle(cursor, 10, QUEUE_SLOT_ACKING);
    queue_cursor_hold(cursor, 11, QUEUE_SLOT_ACKING);
    queue_lease_expire(first_lease(fixture), on_failed, &failed);
    assert_int_equal(failed.count, 2);
    assert_int_equal(failed.offsets[0], 12);
    assert_int_equal(failed.offsets[1], 13);
    assert_int_equal(failed.failures[0], 1);
    assert_int_equal(cursor->open_count, 1);
    queue_cursor_settle(cursor, 11); /* its ack was written meanwhile */
    assert_int_equal(cursor->floor, 12);
    assert_int_equal(cursor->consumed, 2);
    assert_int_equal(queue_cursor_candidate(cursor, 20), 12);
}

static void ack_that_was_not_written_leaves_the_lease(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    uint64_t number = deliver(fixture, 2, 20, 100);
    queue_cursor_hold(cursor, 10, QUEUE_SLOT_ACKING);
    queue_cursor_hold(cursor, 11, QUEUE_SLOT_FAILING);
    assert_int_equal(fixture->deadlines.count, 0); /* what settles does not expire */
    assert_int_equal(cursor->acking_count, 1);
    assert_false(queue_cursor_is_leased(cursor, 10, number));
    queue_cursor_unhold(cursor, 10);
    queue_cursor_unhold(cursor, 11);
    assert_int_equal(cursor->acking_count, 0);
    assert_true(queue_cursor_is_leased(cursor, 10, number));
    assert_true(queue_cursor_is_leased(cursor, 11, number));
    assert_int_equal(fixture->deadlines.count, 1);
    assert_int_equal(base_timer_heap_next_us(&fixture->deadlines), 100);
    assert_int_equal(cursor->consumed, 0);
    assert_int_equal(queue_cursor_slot(cursor, 11)->failures, 0);
}

static void leased_behind_names_the_rest_of_the_lease(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    int64_t behind[QUEUE_MESSAGES_MAX];

    (void)deliver(fixture, 4, 20, 100);
    (void)deliver(fixture, 1, 20, 100);
    settle(cursor, 12, QUEUE_SLOT_ACKING);
    assert_int_equal(queue_cursor_leased_behind(cursor, 11, behind), 1);
    assert_int_equal(behind[0], 13);
}

static void gap_is_done_and_not_counted(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    assert_int_equal(queue_cursor_pass_gap(cursor, 10, 1000000), BASE_ERR_OK);
    assert_int_equal(cursor->floor, 1000000);
    (void)deliver(fixture, 1, 2000000, 100);
    assert_int_equal(queue_cursor_pass_gap(cursor, 1000001, 1000004), BASE_ERR_OK);
    (void)deliver(fixture, 1, 2000000, 100);
    assert_true(queue_cursor_is_leased(cursor, 1000004, 2));
    settle(cursor, 1000000, QUEUE_SLOT_ACKING);
    settle(cursor, 1000004, QUEUE_SLOT_ACKING);
    assert_int_equal(cursor->floor, 1000005);
    assert_int_equal(cursor->consumed, 2);
    assert_int_equal(cursor->skipped, 0);
}

static void gap_of_any_length_is_passed_behind_a_leased_message(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    int64_t to = 10 + 30 * (int64_t)QUEUE_UNDONE_MAX;

    (void)deliver(fixture, 1, to, 100);
    assert_int_equal(queue_cursor_pass_gap(cursor, 11, to), BASE_ERR_OK);
    assert_int_equal(cursor->floor, 10);
    assert_int_equal(cursor->next, to);
    assert_int_equal(queue_cursor_available(cursor, 0, to + 1), 2);
    assert_int_equal(queue_cursor_available(cursor, 1000, to + 1), 1);
    assert_int_equal(queue_cursor_candidate(cursor, to + 1), to);
    settle(cursor, 10, QUEUE_SLOT_ACKING);
    assert_int_equal(cursor->floor, to);
    assert_int_equal(cursor->slots_capacity, 0);
    assert_null(cursor->stragglers.entries);
}

/* One message that always fails holds nothing up and costs one place. */
static void failing_message_does_not_hold_up_those_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    int64_t end = 11 + 3 * (int64_t)QUEUE_UNDONE_MAX;

    (void)deliver(fixture, 1, end, 100);
    for (int64_t offset = 11; offset < end; offset++) {
        (void)deliver(fixture, 1, end, 100);
        settle(cursor, offset, QUEUE_SLOT_ACKING);
        if (offset % 1000 == 0) { /* the poison comes again and fails again */
            settle(cursor, 10, QUEUE_SLOT_FAILING);
            (void)deliver(fixture, 1, end, 100);
            assert_int_equal(queue_cursor_slot(cursor, 10)->state, QUEUE_SLOT_LEASED);
        }
    }
    assert_int_equal(cursor->floor, 10);
    assert_int_equal(cursor->next, end);
    assert_true(cursor->slots_capacity <= 16384);
    assert_true(cursor->stragglers.capacity <= 16);
    settle(cursor, 10, QUEUE_SLOT_ACKING);
    assert_int_equal(cursor->floor, end);
    assert_int_equal(cursor->consumed, end - 10);
}

static void ready_offset_that_does_not_exist_is_done_alone(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    assert_int_equal(queue_cursor_load_done(cursor, 13, 13), BASE_ERR_OK);
    assert_int_equal(queue_cursor_candidate(cursor, 20), 10);
    assert_int_equal(queue_cursor_pass_gap(cursor, 10, 13), BASE_ERR_OK);
    assert_int_equal(queue_cursor_candidate(cursor, 20), 11);
    assert_int_equal(queue_cursor_pass_gap(cursor, 11, 13), BASE_ERR_OK);
    (void)deliver(fixture, 1, 20, 100);
    assert_int_equal(cursor->floor, 12);
}

static void what_is_not_done_is_bounded_and_goes_on_after_acks(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    int64_t end = 10 + 2 * QUEUE_UNDONE_MAX;

    for (int i = 0; i < QUEUE_UNDONE_MAX / QUEUE_MESSAGES_MAX; i++) {
        (void)deliver(fixture, QUEUE_MESSAGES_MAX, end, 100 + i);
    }
    assert_int_equal(cursor->open_count, QUEUE_UNDONE_MAX);
    assert_int_equal(queue_cursor_candidate(cursor, end), -1);
    assert_true(queue_cursor_is_full(cursor));
    settle(cursor, 11, QUEUE_SLOT_ACKING); /* not the oldest */
    assert_int_equal(queue_cursor_candidate(cursor, end), 10 + QUEUE_UNDONE_MAX);
    settle(cursor, 10, QUEUE_SLOT_ACKING);
    for (int64_t offset = 12; offset < 10 + QUEUE_UNDONE_MAX; offset++) {
        settle(cursor, offset, QUEUE_SLOT_ACKING);
    }
    assert_int_equal(cursor->consumed, QUEUE_UNDONE_MAX);
    assert_int_equal(cursor->slots_capacity, 0); /* caught up: the ring is given back */
    assert_null(cursor->stragglers.entries);
}

/* What a cursor should be, one byte an offset. */
enum { PLAIN_OFFSETS = 150000 };

struct plain {
    uint8_t state[PLAIN_OFFSETS]; /* 0 new, 'r' ready, 'l' leased, 'd' done */
    int64_t next;
    uint64_t random;
};

static uint64_t pick(struct plain *plain, uint64_t below)
{
    plain->random = plain->random * 6364136223846793005u + 1442695040888963407u;
    return (plain->random >> 33) % below;
}

static void check_against(const struct plain *plain, const struct queue_cursor *cursor)
{
    int64_t floor = 10;
    int64_t undone = 0;

    while (floor < plain->next && plain->state[floor] == 'd') {
        floor++;
    }
    assert_int_equal(cursor->floor, floor);
    assert_int_equal(cursor->next, plain->next);
    for (int64_t offset = floor; offset < plain->next; offset++) {
        const struct queue_slot *slot = queue_cursor_slot(cursor, offset);
        bool is_done = plain->state[offset] == 'd';
        undone += !is_done;
        assert_int_equal(queue_cursor_next_undone(cursor, offset) == offset, !is_done);
        assert_true(is_done || (plain->state[offset] == 'l') == (slot->state == QUEUE_SLOT_LEASED));
    }
    assert_int_equal(queue_cursor_available(cursor, 0, plain->next), undone);
}

static void some_step(struct fixture *fixture, struct plain *plain)
{
    struct queue_cursor *cursor = &fixture->cursor;
    uint64_t choice = pick(plain, 100);
    int64_t offset =
        cursor->floor + (int64_t)pick(plain, (uint64_t)(plain->next - cursor->floor) + 1);

    if (choice < 45) {
        int64_t candidate = queue_cursor_candidate(cursor, PLAIN_OFFSETS);
        (void)deliver(fixture, 1, PLAIN_OFFSETS, 100);
        plain->state[candidate] = 'l';
        plain->next += candidate == plain->next;
        return;
    }
    if (choice == 45) {
        int64_t to = plain->next + (int64_t)pick(plain, pick(plain, 20) == 0 ? 9000 : 5) + 1;
        int64_t candidate = queue_cursor_candidate(cursor, PLAIN_OFFSETS);
        if (candidate == plain->next && to < PLAIN_OFFSETS) {
            enum base_err err = pick(plain, 2) == 0 ? queue_cursor_pass_gap(cursor, candidate, to)
                                                    : queue_cursor_drop(cursor, candidate, to);
            assert_int_equal(err, BASE_ERR_OK);
            memset(plain->state + candidate, 'd', (size_t)(to - candidate));
            plain->next = to;
        }
        return;
    }
    if (choice == 46 && pick(plain, 200) == 0) {
        queue_cursor_written(cursor);
    }
    for (int64_t i = offset; i < plain->next && i < offset + 30; i++) {
        if (plain->state[i] == 'l') {
            bool is_acked = pick(plain, 10) < 8;
            settle(cursor, i, is_acked ? QUEUE_SLOT_ACKING : QUEUE_SLOT_FAILING);
            plain->state[i] = is_acked ? 'd' : 'r';
            return;
        }
    }
}

/* Slots go from the ring to the stragglers and back to nobody: against a plain array. */
static void ring_and_stragglers_agree_with_a_plain_array(void **state)
{
    struct fixture *fixture = *state;
    struct plain *plain = base_alloc_object(struct plain);

    assert_non_null(plain);
    plain->next = 10;
    for (unsigned step = 0; plain->next < PLAIN_OFFSETS - 10; step++) {
        some_step(fixture, plain);
        if (step % 20000 == 0) {
            check_against(plain, &fixture->cursor);
        }
    }
    check_against(plain, &fixture->cursor);
    int64_t end = plain->next - 30000; /* behind the ring */
    while (fixture->deadlines.count > 0) {
        queue_lease_expire(first_lease(fixture), NULL, NULL);
    }
    for (int64_t offset = 10; offset < plain->next; offset++) {
        plain->state[offset] = plain->state[offset] == 'l' ? 'r' : plain->state[offset];
    }
    check_against(plain, &fixture->cursor);
    assert_true(queue_cursor_cut(&fixture->cursor, end));
    plain->next = end;
    check_against(plain, &fixture->cursor);
    base_free(plain);
}

static void whole_span_fails_and_comes_again_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    const int count = 5000;
    int64_t end = 10 + count * QUEUE_MESSAGES_MAX;

    for (int i = 0; i < count; i++) {
        (void)deliver(fixture, QUEUE_MESSAGES_MAX, end, (i * 7919) % count);
    }
    while (fixture->deadlines.count > 0) {
        queue_lease_expire(first_lease(fixture), NULL, NULL);
    }
    for (int64_t offset = 10; offset < end; offset++) {
        assert_int_equal(queue_cursor_candidate(cursor, end), offset);
        (void)deliver(fixture, 1, end, 100);
        settle(cursor, offset, QUEUE_SLOT_ACKING);
    }
    assert_int_equal(cursor->floor, end);
}

static void trimmed_messages_are_skipped_once(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    (void)deliver(fixture, 4, 30, 100);    /* 10..13 */
    settle(cursor, 11, QUEUE_SLOT_ACKING); /* done */
    settle(cursor, 12, QUEUE_SLOT_FAILING);
    assert_int_equal(queue_cursor_trim(cursor, 20), BASE_ERR_OK);
    assert_int_equal(cursor->skipped, 7); /* 12, and 14..19 never looked at */
    assert_int_equal(cursor->floor, 10);  /* 10 is leased */
    assert_int_equal(cursor->unwritten_count, 7);
    assert_int_equal(queue_cursor_candidate(cursor, 30), 20);
    assert_int_equal(queue_cursor_available(cursor, 20, 30), 10);
    settle(cursor, 10, QUEUE_SLOT_ACKING); /* an ack of a trimmed message is fine */
    assert_int_equal(cursor->consumed, 2);
    settle(cursor, 13, QUEUE_SLOT_FAILING); /* a failure has nothing left to come again */
    assert_int_equal(cursor->skipped, 8);
    assert_int_equal(cursor->floor, 20);
    assert_int_equal(queue_cursor_trim(cursor, 20), BASE_ERR_OK);
    assert_int_equal(cursor->skipped, 8);
    assert_int_equal(queue_cursor_trim(cursor, 25), BASE_ERR_OK);
    assert_int_equal(cursor->skipped, 13);
    assert_int_equal(cursor->floor, 25);
}

static void trim_without_memory_is_not_over(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    (void)deliver(fixture, 1, 30, 100);
    base_alloc_fail_after(0, 1);
    assert_int_equal(queue_cursor_trim(cursor, 200), BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    assert_true(cursor->next < 200);
    assert_true(cursor->trimmed_to <= cursor->next); /* whoever looks at the log trims again */
    assert_int_equal(queue_cursor_trim(cursor, 200), BASE_ERR_OK);
    assert_int_equal(cursor->trimmed_to, 200);
    assert_int_equal(cursor->skipped, 189); /* 10 is leased */
    assert_int_equal(queue_cursor_candidate(cursor, 300), 200);
}

static void trimmed_and_timed_out_is_skipped(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;
    struct failed failed = {.count = 0};

    (void)deliver(fixture, 2, 30, 100);
    assert_int_equal(queue_cursor_trim(cursor, 11), BASE_ERR_OK);
    queue_lease_expire(first_lease(fixture), on_failed, &failed);
    assert_int_equal(failed.count, 1);
    assert_int_equal(failed.offsets[0], 11);
    assert_int_equal(cursor->skipped, 1);
    assert_int_equal(queue_cursor_candidate(cursor, 30), 11);
}

static void expired_candidate_is_skipped(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    assert_int_equal(queue_cursor_drop(cursor, 10, 11), BASE_ERR_OK);
    assert_int_equal(cursor->skipped, 1);
    assert_int_equal(cursor->consumed, 0);
    assert_int_equal(queue_cursor_candidate(cursor, 30), 11);
    assert_int_equal(cursor->unwritten_count, 0); /* the floor says it */
    (void)deliver(fixture, 2, 30, 100);           /* 11, 12 */
    settle(cursor, 12, QUEUE_SLOT_FAILING);
    assert_int_equal(queue_cursor_drop(cursor, 12, 13), BASE_ERR_OK);
    assert_int_equal(cursor->skipped, 2);
    assert_int_equal(cursor->unwritten_count, 1);
}

static void failures_stay_at_255(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 300; i++) {
        (void)deliver(fixture, 1, 11, 100);
        settle(&fixture->cursor, 10, QUEUE_SLOT_FAILING);
    }
    assert_int_equal(queue_cursor_slot(&fixture->cursor, 10)->failures, 255);
}

/* As when there is no room for what a redrive appends, for days. */
static void moves_that_come_back_take_no_more_memory(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(queue_cursor_move(cursor, 12 + i % 3), BASE_ERR_OK);
        queue_cursor_move_undo(cursor, 12 + i % 3);
    }
    assert_true(cursor->ready_capacity < 100);
    (void)deliver(fixture, 5, 15, 100);
    assert_int_equal(queue_cursor_candidate(cursor, 15), -1);
}

static void adopted_position_counts_as_consumed(void **state)
{
    struct fixture *fixture = *state;

    queue_cursor_adopt(&fixture->cursor, 15);
    assert_int_equal(fixture->cursor.consumed, 5);
    assert_int_equal(queue_cursor_candidate(&fixture->cursor, 30), 15);
}

static void log_that_lost_its_end_cuts_the_cursor(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    assert_int_equal(queue_cursor_load_done(cursor, 12, 13), BASE_ERR_OK);
    assert_int_equal(queue_cursor_load_done(cursor, 15, 18), BASE_ERR_OK);
    assert_false(queue_cursor_cut(cursor, 19));
    assert_true(queue_cursor_cut(cursor, 16));
    assert_int_equal(queue_cursor_available(cursor, 0, 16), 3); /* 10, 11, 14 */
    (void)deliver(fixture, 3, 16, 100);
    assert_int_equal(queue_cursor_candidate(cursor, 16), -1);
    assert_int_equal(queue_cursor_candidate(cursor, 17), 16);
    for (int64_t offset = 10; offset < 15; offset += offset == 11 ? 3 : 1) {
        settle(cursor, offset, QUEUE_SLOT_ACKING);
    }
    assert_int_equal(cursor->floor, 16);
    assert_true(queue_cursor_cut(cursor, 12));
    assert_int_equal(queue_cursor_candidate(cursor, 17), 12);
}

static void corrupt_state_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    assert_int_equal(queue_cursor_load_done(cursor, 13, 12), BASE_ERR_CORRUPT);
    assert_int_equal(queue_cursor_load_done(cursor, -1, 12), BASE_ERR_CORRUPT);
    assert_int_equal(queue_cursor_load_done(cursor, 11, INT64_MAX), BASE_ERR_CORRUPT);
    assert_int_equal(queue_cursor_load_done(cursor, 20000000, 20000000), BASE_ERR_CORRUPT);
    assert_int_equal(queue_cursor_load_failures(cursor, INT64_MAX, 1, false), BASE_ERR_CORRUPT);
    assert_int_equal(queue_cursor_load_floor(cursor, -1, 0, 0, false), BASE_ERR_CORRUPT);
    assert_int_equal(queue_cursor_load_done(cursor, 0, 9), BASE_ERR_OK); /* known long since */
}

/* Every allocation fails in turn; nothing is lost or leaked, and the next try works. */
static void survives_every_failed_allocation(void **state)
{
    struct fixture *fixture = *state;
    struct queue_cursor *cursor = &fixture->cursor;

    for (int64_t offset = 10; offset < 400; offset++) {
        struct queue_lease *lease = queue_lease_create(cursor, 1);
        base_alloc_fail_after(0, 1);
        enum base_err err = queue_cursor_take(cursor, lease, offset);
        base_alloc_fail_after(-1, 0);
        if (err != BASE_ERR_OK) {
            assert_int_equal(err, BASE_ERR_NOMEM);
            assert_int_equal(queue_cursor_candidate(cursor, 1000), offset);
            base_alloc_fail_after(1, 1);
            err = queue_cursor_take(cursor, lease, offset);
            base_alloc_fail_after(-1, 0);
            if (err != BASE_ERR_OK) {
                assert_int_equal(queue_cursor_take(cursor, lease, offset), BASE_ERR_OK);
            }
        }
        queue_lease_start(lease, 100);
    }
    while (fixture->deadlines.count > 0) { /* leases end without needing memory */
        base_alloc_fail_after(0, 1000);
        queue_lease_expire(first_lease(fixture), NULL, NULL);
        base_alloc_fail_after(-1, 0);
    }
    assert_int_equal(queue_cursor_candidate(cursor, 1000), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(starts_at_its_floor_and_delivers_in_order),
        TEST(acked_out_of_order_moves_the_floor_when_the_gap_closes),
        TEST(failed_is_ready_at_once_in_front_of_new_ones),
        TEST(returned_is_ready_without_a_failure),
        TEST(handler_of_an_ended_lease_is_refused),
        TEST(time_out_fails_only_what_is_still_leased),
        TEST(ack_that_was_not_written_leaves_the_lease),
        TEST(leased_behind_names_the_rest_of_the_lease),
        TEST(gap_is_done_and_not_counted),
        TEST(gap_of_any_length_is_passed_behind_a_leased_message),
        TEST(failing_message_does_not_hold_up_those_behind_it),
        TEST(ready_offset_that_does_not_exist_is_done_alone),
        TEST(what_is_not_done_is_bounded_and_goes_on_after_acks),
        TEST(ring_and_stragglers_agree_with_a_plain_array),
        TEST(whole_span_fails_and_comes_again_in_order),
        TEST(trimmed_messages_are_skipped_once),
        TEST(trim_without_memory_is_not_over),
        TEST(trimmed_and_timed_out_is_skipped),
        TEST(expired_candidate_is_skipped),
        TEST(failures_stay_at_255),
        TEST(moves_that_come_back_take_no_more_memory),
        TEST(adopted_position_counts_as_consumed),
        TEST(log_that_lost_its_end_cuts_the_cursor),
        TEST(corrupt_state_is_refused),
        TEST(survives_every_failed_allocation),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
