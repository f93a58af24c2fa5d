/* What the delay logs are made of: the heap, the span, the records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/alloc.h"
#include "core/queue/delay_heap_priv.h"
#include "core/queue/delay_record_priv.h"
#include "core/queue/delay_span_priv.h"
#include "core/queue/message_id.h"

static const struct queue_delay_entry unsorted[] = {{30, 1}, {10, 5}, {20, 3}, {10, 4},
                                                    {40, 0}, {20, 2}, {10, 6}};
enum { ENTRIES_COUNT = sizeof unsorted / sizeof unsorted[0] };

static void fill(struct queue_delay_heap *heap)
{
    queue__delay_heap_init(heap);
    assert_int_equal(queue__delay_heap_reserve(heap, ENTRIES_COUNT), BASE_ERR_OK);
    for (size_t i = 0; i < ENTRIES_COUNT; i++) {
        queue__delay_heap_push(heap, unsorted[i]);
    }
}

static void assert_taken(struct queue_delay_heap *heap, const int64_t *offsets, size_t count)
{
    assert_int_equal(heap->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(queue__delay_heap_take(heap).offset, offsets[i]);
    }
    queue__delay_heap_settle(heap, count);
    assert_int_equal(heap->out_count, 0);
    queue__delay_heap_fini(heap);
}

static void heap_gives_them_by_time_and_then_by_offset(void **state)
{
    (void)state;
    struct queue_delay_heap heap;

    fill(&heap);
    assert_taken(&heap, (const int64_t[]){4, 5, 6, 2, 3, 1, 0}, ENTRIES_COUNT);
}

/* Room for what was taken stays, whatever is put in meanwhile and however short memory is. */
static void what_was_taken_can_always_go_back(void **state)
{
    (void)state;
    struct queue_delay_heap heap;

    fill(&heap);
    struct queue_delay_entry first = queue__delay_heap_take(&heap);
    while (heap.count + heap.out_count < heap.capacity) {
        queue__delay_heap_push(&heap, (struct queue_delay_entry){1000, (int64_t)heap.count});
    }
    base_alloc_fail_after(0, 1);
    assert_int_equal(queue__delay_heap_reserve(&heap, 1), BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    queue__delay_heap_give_back(&heap, first);
    assert_int_equal(queue__delay_heap_first(&heap).offset, first.offset);
    queue__delay_heap_fini(&heap);
}

static bool is_due_at_10(void *context, const struct queue_delay_entry *entry)
{
    (void)context;
    return entry->due_ms == 10;
}

static void filter_removes_and_take_where_takes_out(void **state)
{
    (void)state;
    struct queue_delay_heap heap;

    fill(&heap);
    assert_int_equal(queue__delay_heap_filter(&heap, is_due_at_10, NULL), 3);
    assert_taken(&heap, (const int64_t[]){2, 3, 1, 0}, 4);
    fill(&heap);
    assert_int_equal(queue__delay_heap_take_where(&heap, 2, is_due_at_10, NULL), 2);
    assert_int_equal(heap.out_count, 2);
    assert_int_equal(heap.count, ENTRIES_COUNT - 2);
    assert_int_equal(queue__delay_heap_first(&heap).due_ms, 10);
    queue__delay_heap_fini(&heap);
}

/* What a visitor took, by offset, and how often it was asked. */
struct choosing {
    bool is_taken[1000];
    size_t visits_count;
};

static bool choose_every_fifth(void *context, const struct queue_delay_entry *entry)
{
    struct choosing *choosing = context;

    choosing->visits_count++;
    if (entry->offset % 5 != 0) {
        return false;
    }
    assert_false(choosing->is_taken[entry->offset]);
    choosing->is_taken[entry->offset] = true;
    return true;
}

static void take_where_leaves_a_heap_and_looks_no_further_than_it_must(void **state)
{
    (void)state;
    enum { COUNT = 1000, STEP = 20 };
    struct choosing choosing = {.visits_count = 0};
    struct queue_delay_heap heap;
    struct queue_delay_entry last = {INT64_MIN, 0};
    size_t taken = 0;

    queue__delay_heap_init(&heap);
    assert_int_equal(queue__delay_heap_reserve(&heap, COUNT), BASE_ERR_OK);
    for (int64_t i = 0; i < COUNT; i++) {
        queue__delay_heap_push(&heap, (struct queue_delay_entry){i * 7919 % 211, i});
    }
    for (size_t i = 0; i < COUNT / 5 / STEP; i++) {
        taken += queue__delay_heap_take_where(&heap, STEP, choose_every_fifth, &choosing);
        assert_true(i > 0 || choosing.visits_count < COUNT / 2);
    }
    assert_int_equal(taken, COUNT / 5);
    assert_int_equal(queue__delay_heap_take_where(&heap, STEP, choose_every_fifth, &choosing), 0);
    queue__delay_heap_settle(&heap, taken);
    assert_int_equal(heap.count, COUNT - taken);
    while (heap.count > 0) {
        struct queue_delay_entry entry = queue__delay_heap_take(&heap);
        assert_false(choosing.is_taken[entry.offset]);
        assert_true(last.due_ms < entry.due_ms ||
                    (last.due_ms == entry.due_ms && last.offset < entry.offset));
        last = entry;
    }
    queue__delay_heap_fini(&heap);
}

static void ordering_makes_a_heap_of_anything(void **state)
{
    (void)state;
    struct queue_delay_heap heap;

    queue__delay_heap_init(&heap);
    for (size_t i = 0; i < ENTRIES_COUNT; i++) {
        assert_int_equal(queue__delay_heap_append(&heap, unsorted[i]), BASE_ERR_OK);
    }
    queue__delay_heap_order(&heap);
    assert_taken(&heap, (const int64_t[]){4, 5, 6, 2, 3, 1, 0}, ENTRIES_COUNT);
}

static void add_at(struct queue_delay_span *span, int64_t offset)
{
    if (offset >= span->end_offset) {
        assert_int_equal(queue__delay_span_reserve(span, offset + 1), BASE_ERR_OK);
        queue__delay_span_extend(span, offset + 1);
    }
    queue__delay_span_add(span, offset);
}

static void span_begins_at_the_block_of_the_oldest(void **state)
{
    (void)state;
    struct queue_delay_span span;

    queue__delay_span_init(&span, 100); /* in the second block of 64 */
    assert_int_equal(queue__delay_span_first(&span), 100);
    add_at(&span, 100);
    add_at(&span, 127);
    add_at(&span, 128);
    add_at(&span, 100000);
    assert_int_equal(queue__delay_span_first(&span), 64);
    queue__delay_span_remove(&span, 100);
    assert_int_equal(queue__delay_span_first(&span), 64);
    queue__delay_span_remove(&span, 127);
    assert_int_equal(queue__delay_span_first(&span), 128);
    queue__delay_span_remove(&span, 128);
    assert_int_equal(queue__delay_span_first(&span), 99968); /* 1562 * 64 */
    queue__delay_span_remove(&span, 100000);
    assert_int_equal(queue__delay_span_first(&span), 100001);
    add_at(&span, 100001);
    assert_int_equal(queue__delay_span_first(&span), 99968);
    queue__delay_span_remove(&span, 100001);
    assert_int_equal(queue__delay_span_first(&span), 100002);
    queue__delay_span_fini(&span);
}

static void span_tells_how_far_the_oldest_reach(void **state)
{
    (void)state;
    struct queue_delay_span span;

    queue__delay_span_init(&span, 0);
    assert_int_equal(queue__delay_span_end_of(&span, 5, 1000), 0);
    for (int64_t offset = 0; offset < 1000; offset += 20) {
        add_at(&span, offset); /* four in the first block, three in the next ones */
    }
    assert_int_equal(queue__delay_span_end_of(&span, 4, 1000), QUEUE_DELAY_BLOCK);
    assert_int_equal(queue__delay_span_end_of(&span, 5, 1000), 2 * QUEUE_DELAY_BLOCK);
    assert_int_equal(queue__delay_span_end_of(&span, 5, 100), 100);
    assert_int_equal(queue__delay_span_end_of(&span, 1000, 1000), 1000);
    queue__delay_span_fini(&span);
}

/* A log that moves on for ever does not need more memory for it. */
static void span_forgets_what_it_has_passed(void **state)
{
    (void)state;
    struct queue_delay_span span;

    queue__delay_span_init(&span, 0);
    for (int64_t offset = 0; offset < 100000; offset++) {
        add_at(&span, offset);
        if (offset >= 1000) {
            queue__delay_span_remove(&span, offset - 1000);
            assert_true(queue__delay_span_first(&span) > offset - 1000 - QUEUE_DELAY_BLOCK);
        }
    }
    assert_true(span.capacity <= 128);
    queue__delay_span_fini(&span);
}

/* The only record in the writer. */
static struct logstore_record read_back(struct queue_delay_writer *writer,
                                        struct logstore_records *records)
{
    struct logstore_record record;

    assert_int_equal(logstore_records_builder_finish(&writer->builder), BASE_ERR_OK);
    assert_int_equal(
        logstore_records_open(records, writer->writer.buffer->data, writer->writer.length, 1 << 20),
        BASE_ERR_OK);
    assert_true(logstore_records_next(records, &record));
    return record;
}

static void assert_header(struct logstore_headers *headers, const char *key, const char *value)
{
    struct logstore_header header;
    assert_true(logstore_headers_next(headers, &header));
    assert_true(base_slice_is(header.key, key));
    assert_true(base_slice_is(header.value, value));
}

#define QUEUE_ID "01234567-89ab-cdef-0123-456789abcdef"

static struct base_uuid queue_id(void)
{
    struct base_uuid id;
    assert_true(base_uuid_parse(QUEUE_ID, strlen(QUEUE_ID), &id));
    return id;
}

static void put_message(struct queue_delay_writer *writer)
{
    const struct logstore_header own = {base_slice_text("dms.attr.a"), base_slice_text("1")};
    const struct queue_produce_message message = {
        .value = base_slice_text("\"x\""), .headers = &own, .headers_count = 1, .delay_ms = 5};

    queue__delay_writer_init(writer, 1 << 20);
    assert_int_equal(queue__delay_put_message(writer, QUEUE_ID, &message, 1005, 1000), BASE_ERR_OK);
}

static void message_carries_its_queue_and_its_time(void **state)
{
    (void)state;
    struct queue_delay_writer writer;
    struct logstore_records records;
    struct logstore_headers headers;
    struct queue_delay_parsed parsed;

    put_message(&writer);
    struct logstore_record record = read_back(&writer, &records);
    assert_true(base_slice_is(record.key, QUEUE_ID));
    assert_true(base_slice_is(record.value, "\"x\""));
    assert_int_equal(record.timestamp_ms, 1000);
    assert_int_equal(record.headers_count, 2);
    logstore_headers_init(&headers, &record);
    assert_header(&headers, "dms.deliver_at", "1005");
    assert_header(&headers, "dms.attr.a", "1");
    assert_int_equal(queue__delay_parse(&record, &parsed), BASE_ERR_OK);
    assert_false(parsed.is_mark);
    assert_int_equal(parsed.deliver_at_ms, 1005);
    assert_true(base_uuid_equal(parsed.queue_id, queue_id()));
    logstore_records_close(&records);
    queue__delay_writer_fini(&writer);
}

static void moved_message_carries_id_time_and_place(void **state)
{
    (void)state;
    struct queue_delay_writer writer;
    struct queue_delay_writer moved;
    struct logstore_records records;
    struct logstore_records moved_records;
    struct logstore_headers headers;
    char id[QUEUE_MESSAGE_ID_SIZE];

    put_message(&writer);
    struct logstore_record record = read_back(&writer, &records);
    record.offset = 77;
    queue__delay_writer_init(&moved, 1 << 20);
    assert_int_equal(queue__delay_put_moved(&moved, &record, queue_id(), 3, 1006), BASE_ERR_OK);
    struct logstore_record copy = read_back(&moved, &moved_records);
    assert_null(copy.key.data);
    assert_true(base_slice_is(copy.value, "\"x\""));
    assert_int_equal(copy.timestamp_ms, 1006);
    queue_message_id_format(queue_id(), QUEUE_MESSAGE_ID_DELAYED | 3, 77, id);
    logstore_headers_init(&headers, &copy);
    assert_header(&headers, "dms.id", id);
    assert_header(&headers, "dms.deliver_at", "1005");
    assert_header(&headers, "dms.delay_offset", "77");
    assert_header(&headers, "dms.attr.a", "1");
    assert_int_equal(queue__delay_offset_of(&copy), 77);
    assert_int_equal(queue__delay_offset_of(&record), -1);
    logstore_records_close(&moved_records);
    logstore_records_close(&records);
    queue__delay_writer_fini(&moved);
    queue__delay_writer_fini(&writer);
}

static void add_range(void *context, int64_t first, int64_t last)
{
    int64_t *sum = context;
    *sum += first * 1000 + last;
}

static void mark_names_ranges(void **state)
{
    (void)state;
    struct queue_delay_writer writer;
    struct logstore_records records;
    struct queue_delay_parsed parsed;
    const int64_t offsets[] = {12, 13, 14, 17, 20, 21};
    int64_t sum = 0;

    queue__delay_writer_init(&writer, 1 << 20);
    queue__delay_put_mark(&writer, QUEUE_ID, offsets, 6, 1000);
    struct logstore_record record = read_back(&writer, &records);
    assert_true(base_slice_is(record.value, "{\"v\":1,\"done\":[[12,14],[17,17],[20,21]]}"));
    assert_int_equal(queue__delay_parse(&record, &parsed), BASE_ERR_OK);
    assert_true(parsed.is_mark);
    assert_int_equal(queue__delay_mark_each(record.value, add_range, &sum), BASE_ERR_OK);
    assert_int_equal(sum, 12014 + 17017 + 20021);
    logstore_records_close(&records);
    queue__delay_writer_fini(&writer);
}

static void broken_marks_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum base_err err;
    } rows[] = {
        {"{\"v\":1,\"done\":[[1,1]]}", BASE_ERR_OK},
        {"{\"v\":2,\"what\":[]}", BASE_ERR_UNSUPPORTED},
        {"", BASE_ERR_CORRUPT},
        {"{\"v\":1}", BASE_ERR_CORRUPT},
        {"{\"v\":1,\"done\":[]}", BASE_ERR_CORRUPT},
        {"{\"v\":1,\"done\":[[2,1]]}", BASE_ERR_CORRUPT},
        {"{\"v\":1,\"done\":[[1]]}", BASE_ERR_CORRUPT},
        {"{\"v\":1,\"done\":[[1,1]]} ", BASE_ERR_CORRUPT},
        {"{\"v\":1,\"done\":[[1,1],]}", BASE_ERR_CORRUPT},
        {"{\"v\":1,\"done\":[[1,99999999999999999999]]}", BASE_ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t sum = 0;
        assert_int_equal(queue__delay_mark_each(base_slice_text(rows[i].text), add_range, &sum),
                         rows[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_gives_them_by_time_and_then_by_offset),
        cmocka_unit_test(what_was_taken_can_always_go_back),
        cmocka_unit_test(filter_removes_and_take_where_takes_out),
        cmocka_unit_test(take_where_leaves_a_heap_and_looks_no_further_than_it_must),
        cmocka_unit_test(ordering_makes_a_heap_of_anything),
        cmocka_unit_test(span_begins_at_the_block_of_the_oldest),
        cmocka_unit_test(span_tells_how_far_the_oldest_reach),
        cmocka_unit_test(span_forgets_what_it_has_passed),
        cmocka_unit_test(message_carries_its_queue_and_its_time),
        cmocka_unit_test(moved_message_carries_id_time_and_place),
        cmocka_unit_test(mark_names_ranges),
        cmocka_unit_test(broken_marks_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
