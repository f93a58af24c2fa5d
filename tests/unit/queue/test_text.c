/* Texts that name leases and messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "core/queue/handler_priv.h"
#include "core/queue/message_id.h"

static void handler_comes_back_whole(void **state)
{
    struct queue_handler_key key;
    struct queue_handler out;
    char text[QUEUE_HANDLER_SIZE];
    const struct queue_handler handler = {
        .scope = 0x1122334455667788u, .partition = 7, .offset = 1234567890123, .lease_number = 42};

    (void)state;
    queue__handler_key_init(&key);
    queue__handler_format(&key, &handler, text);
    assert_int_equal(strlen(text), QUEUE_HANDLER_SIZE - 1);
    assert_true(queue__handler_parse(&key, base_slice_text(text), &out));
    assert_true(out.scope == handler.scope);
    assert_int_equal(out.partition, handler.partition);
    assert_int_equal(out.offset, handler.offset);
    assert_int_equal(out.lease_number, handler.lease_number);
}

static void handler_with_any_character_changed_is_refused(void **state)
{
    struct queue_handler_key key;
    struct queue_handler out;
    char text[QUEUE_HANDLER_SIZE];
    const struct queue_handler handler = {.scope = 1, .partition = 2, .offset = 3};

    (void)state;
    queue__handler_key_init(&key);
    queue__handler_format(&key, &handler, text);
    for (size_t i = 0; i < QUEUE_HANDLER_SIZE - 1; i++) {
        char saved = text[i];
        text[i] = saved == 'A' ? 'B' : 'A';
        assert_false(queue__handler_parse(&key, base_slice_text(text), &out));
        text[i] = saved;
    }
    assert_false(queue__handler_parse(&key, base_slice_of(text, QUEUE_HANDLER_SIZE - 2), &out));
    assert_false(queue__handler_parse(&key, base_slice_of(NULL, 0), &out));
}

static void handler_of_another_start_is_refused(void **state)
{
    struct queue_handler_key before;
    struct queue_handler_key after;
    struct queue_handler out;
    char text[QUEUE_HANDLER_SIZE];

    (void)state;
    queue__handler_key_init(&before);
    queue__handler_key_init(&after);
    queue__handler_format(&before, &(struct queue_handler){.offset = 3}, text);
    assert_false(queue__handler_parse(&after, base_slice_text(text), &out));
}

static void scope_differs_by_queue_and_by_group(void **state)
{
    struct queue_handler_key key;
    struct base_uuid a = base_uuid_random();
    struct base_uuid b = base_uuid_random();
    struct base_slice one = base_slice_text("g-1");
    struct base_slice two = base_slice_text("g-2");

    (void)state;
    queue__handler_key_init(&key);
    assert_true(queue__handler_scope(&key, a, one) == queue__handler_scope(&key, a, one));
    assert_true(queue__handler_scope(&key, a, one) != queue__handler_scope(&key, a, two));
    assert_true(queue__handler_scope(&key, a, one) != queue__handler_scope(&key, b, one));
}

static void message_id_leads_back_to_the_message(void **state)
{
    static const int64_t offsets[] = {0, 1, 255, 65536, 1LL << 40, INT64_MAX};
    struct base_uuid topic_id = base_uuid_random();
    char text[QUEUE_MESSAGE_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct base_uuid found;
        int32_t partition;
        int64_t offset;
        queue_message_id_format(topic_id, (int32_t)i * 1000, offsets[i], text);
        assert_int_equal(strlen(text), QUEUE_MESSAGE_ID_SIZE - 1);
        assert_true(queue_message_id_parse(base_slice_text(text), &found, &partition, &offset));
        assert_true(base_uuid_equal(found, topic_id));
        assert_int_equal(partition, i * 1000);
        assert_int_equal(offset, offsets[i]);
    }
    assert_false(
        queue_message_id_parse(base_slice_text("no id"), &topic_id, &(int32_t){0}, &(int64_t){0}));
}

/* Stored by users: this value must never change. */
static void message_id_is_stable(void **state)
{
    struct base_uuid topic_id;
    char text[QUEUE_MESSAGE_ID_SIZE];

    (void)state;
    assert_true(base_uuid_parse("01234567-89ab-cdef-0123-456789abcdef", 36, &topic_id));
    queue_message_id_format(topic_id, 2, 4711, text);
    assert_string_equal(text, "ASNFZ4mrze8BI0VniavN76HrxbAUFz036EQrdQ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handler_comes_back_whole),
        cmocka_unit_test(handler_with_any_character_changed_is_refused),
        cmocka_unit_test(handler_of_another_start_is_refused),
        cmocka_unit_test(scope_differs_by_queue_and_by_group),
        cmocka_unit_test(message_id_leads_back_to_the_message),
        cmocka_unit_test(message_id_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
