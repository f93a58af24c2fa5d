/* Base64, against RFC 4648 §10, and what no encoder writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/base/base64.h"

static void standard_form_is_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"}, /* RFC 4648 §10 */
        {"/+/+", "\xff\xef\xfe"},
        {"Zg=", NULL},
        {"Zg", NULL},
        {"Zh==", NULL},
        {"Zm9=", NULL},
        {"====", NULL},
        {"Z===", NULL},
        {"Zg==Zg==", NULL},
        {"Zm 9", NULL},
        {"Zm9-", NULL},
        {"Zm9vYmFyYmFy", NULL}, /* too long for the room */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[6];
        size_t size = 0;
        bool is_fine =
            base_base64_decode(base_slice_text(rows[i].text), bytes, sizeof bytes, &size);
        if (is_fine != (rows[i].bytes != NULL) ||
            (is_fine && !base_slice_is(base_slice_of(bytes, size), rows[i].bytes))) {
            fail_msg("\"%s\"", rows[i].text);
        }
        if (is_fine) {
            char text[BASE_BASE64_LENGTH(sizeof bytes) + 1] = "";
            base_base64_encode(base_slice_of(bytes, size), text);
            assert_string_equal(text, rows[i].text);
        }
    }
}

static void url_safe_form_has_one_text_for_each_bytes(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
    } rows[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xff\xfe\xfd", "__79"}};
    uint8_t bytes[8];
    char text[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].bytes);
        base_base64url_encode(base_slice_text(rows[i].bytes), text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(BASE_BASE64URL_SIZE(size), strlen(text) + 1);
        assert_true(base_base64url_decode(base_slice_text(text), bytes, size));
        assert_memory_equal(bytes, rows[i].bytes, size);
    }
    assert_false(base_base64url_decode(base_slice_text("Zh"), bytes, 1)); /* unused bits set */
    assert_false(base_base64url_decode(base_slice_text("Zg=="), bytes, 1));
    assert_false(base_base64url_decode(base_slice_text("Z+"), bytes, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_form_is_strict),
        cmocka_unit_test(url_safe_form_has_one_text_for_each_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
