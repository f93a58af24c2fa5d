/* Text that a peer chose cannot forge a log line, nor break its encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"

static void escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *quoted;
    } rows[] = {
        {"", 0, "\"\""},
        {"plain text", 10, "\"plain text\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"line\n\x1b[31m", 10, "\"line\\u000a\\u001b[31m\""},
        {"nul\0nul", 7, "\"nul\\u0000nul\""},
        {"\x7f", 1, "\"\\u007f\""},
        {"caf\xc3\xa9 \xe6\xb5\x8b \xf0\x9f\x98\x80", 14,
         "\"caf\xc3\xa9 \xe6\xb5\x8b \xf0\x9f\x98\x80\""},
        {"\xff\xfe", 2, "\"\\u00ff\\u00fe\""},
        {"\xc3", 1, "\"\\u00c3\""},                       /* cut short */
        {"\xc0\xaf", 2, "\"\\u00c0\\u00af\""},            /* overlong slash */
        {"\xe0\x80\xaf", 3, "\"\\u00e0\\u0080\\u00af\""}, /* overlong */
        {"\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\""}, /* surrogate */
        {"\xc2\x9b", 2, "\"\\u00c2\\u009b\""},            /* C1 control: CSI */
        {"\xf4\x90\x80\x80", 4, "\"\\u00f4\\u0090\\u0080\\u0080\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[BASE_LOG_TEXT_SIZE];
        const char *text = base_log_text(out, base_slice_of(rows[i].text, rows[i].length));
        assert_ptr_equal(text, out);
        assert_string_equal(text, rows[i].quoted);
    }
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    char text[400];
    for (size_t i = 0; i + 1 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    for (size_t length = 0; length <= sizeof text; length++) {
        char out[BASE_LOG_TEXT_SIZE];
        memset(out, 'x', sizeof out);
        (void)base_log_text(out, base_slice_of(text, length));
        size_t size = strlen(out);
        assert_true(size < sizeof out);
        assert_int_equal(out[0], '"');
        assert_int_equal(out[size - 1], '"');
        assert_true(length < 100 || (size - 2) % 2 == 0);
    }
    memset(text, '\n', sizeof text);
    char out[BASE_LOG_TEXT_SIZE];
    (void)base_log_text(out, base_slice_of(text, sizeof text));
    assert_int_equal((strlen(out) - 2) % 6, 0);
}

/* What base_log() writes to standard error. */
static void capture(char *line, size_t size, const char *text)
{
    char out[BASE_LOG_TEXT_SIZE];
    int pipe_fds[2];
    fflush(stderr);
    int saved_fd = dup(STDERR_FILENO);
    assert_true(saved_fd >= 0);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
    base_log(BASE_LOG_DEBUG, "DROPPED", "below=level");
    base_log(BASE_LOG_WARN, "SOMETHING", "text=%s n=%d", base_log_text(out, base_slice_text(text)),
             7);
    fflush(stderr);
    assert_true(dup2(saved_fd, STDERR_FILENO) >= 0);
    ssize_t length = read(pipe_fds[0], line, size - 1);
    assert_true(length > 0);
    line[length] = '\0';
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close(saved_fd);
}

static void lines_are_one_event_each(void **state)
{
    (void)state;
    char line[1000];

    base_log_configure(BASE_LOG_INFO, BASE_LOG_LOGFMT);
    capture(line, sizeof line, "a\nb");
    assert_non_null(strstr(line, "Z level=warn event=SOMETHING text=\"a\\u000ab\" n=7\n"));
    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);

    base_log_configure(BASE_LOG_INFO, BASE_LOG_JSON);
    capture(line, sizeof line, "a\nb");
    assert_non_null(strstr(line, "\"level\":\"warn\",\"event\":\"SOMETHING\","
                                 "\"fields\":\"text=\\\"a\\\\u000ab\\\" n=7\"}\n"));
    base_log_configure(BASE_LOG_INFO, BASE_LOG_LOGFMT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(lines_are_one_event_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
