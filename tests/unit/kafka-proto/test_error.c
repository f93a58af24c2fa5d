/* The table of error codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kafka-proto/error.h"

static void codes_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(kproto_error_name(-1), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(kproto_error_name(0), "NONE");
    assert_string_equal(kproto_error_name(35), "UNSUPPORTED_VERSION");
    assert_string_equal(kproto_error_name(79), "MEMBER_ID_REQUIRED");
    assert_string_equal(kproto_error_name(133), "SHARE_SESSION_LIMIT_REACHED");
    assert_string_equal(kproto_error_text(0), "success");
}

static void numbers_outside_the_table_are_unknown(void **state)
{
    static const int16_t codes[] = {-2, INT16_MIN, 134, INT16_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_string_equal(kproto_error_name(codes[i]), "UNKNOWN_SERVER_ERROR");
        assert_false(kproto_error_is_retriable(codes[i]));
    }
}

static void retriable_is_what_clients_take_it_for(void **state)
{
    (void)state;
    assert_true(kproto_error_is_retriable(KPROTO_ERROR_NOT_LEADER_OR_FOLLOWER));
    assert_true(kproto_error_is_retriable(KPROTO_ERROR_REQUEST_TIMED_OUT));
    assert_true(kproto_error_is_retriable(KPROTO_ERROR_UNKNOWN_TOPIC_ID));
    assert_false(kproto_error_is_retriable(KPROTO_ERROR_NONE));
    assert_false(kproto_error_is_retriable(KPROTO_ERROR_MESSAGE_TOO_LARGE));
    assert_false(kproto_error_is_retriable(KPROTO_ERROR_PRODUCER_FENCED));
}

static void only_success_maps_to_none(void **state)
{
    (void)state;
    assert_int_equal(kproto_error_from_base(BASE_ERR_OK), KPROTO_ERROR_NONE);
    for (int err = BASE_ERR_OK + 1; err < BASE_ERR_COUNT; err++) {
        assert_int_not_equal(kproto_error_from_base((enum base_err)err), KPROTO_ERROR_NONE);
    }
    assert_int_equal(kproto_error_from_base(BASE_ERR_OFFLINE), KPROTO_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(kproto_error_from_base(BASE_ERR_OUT_OF_RANGE),
                     KPROTO_ERROR_OFFSET_OUT_OF_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_their_names),
        cmocka_unit_test(numbers_outside_the_table_are_unknown),
        cmocka_unit_test(retriable_is_what_clients_take_it_for),
        cmocka_unit_test(only_success_maps_to_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
