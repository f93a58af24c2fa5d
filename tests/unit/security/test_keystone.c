/* What is remembered of another Keystone, and how long. It is played here: its answers come from
 * this file, in place of core/security/http_call.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/security/http_call.h"
#include "core/security/keystone.h"
#include "tests/sim/executor_sim.h"

enum { S_US = 1000000, HOUR_S = 3600 };

#define EXPIRES "2023-11-14T23:13:20.000000Z" /* an hour after the clock's start */

/* What it says next. */
static bool is_answering;
static int status;       /* to a question about a token */
static unsigned answers; /* to such questions */

enum base_err security_http_init(void)
{
    return BASE_ERR_OK;
}

enum base_err security_http_call(struct security_http_call *call)
{
    call->status = 0;
    call->answer = NULL;
    call->subject[0] = '\0';
    call->cause = "test";
    if (!is_answering) {
        return BASE_ERR_IO;
    }
    if (call->body != NULL) { /* the service user logs in */
        call->status = 201;
        (void)snprintf(call->subject, sizeof call->subject, "ours");
        call->answer = json_pack("{s:{s:s}}", "token", "expires_at", "2033-11-14T23:13:20.000000Z");
        return BASE_ERR_OK;
    }
    call->status = status;
    call->answer =
        json_pack("{s:{s:s, s:{s:s, s:s, s:{s:s, s:s}}}}", "token", "expires_at", EXPIRES, "user",
                  "id", "u", "name", "ann", "domain", "id", "default", "name", "Default");
    answers++;
    return BASE_ERR_OK;
}

void security_http_call_release(struct security_http_call *call)
{
    json_decref(call->answer);
}

struct fixture {
    struct sim_scheduler *scheduler;
    struct base_executor *loop;
    struct security_keystone *keystone;
};

static struct fixture fixture;

static int setup(void **state)
{
    (void)state;
    is_answering = true;
    status = 200;
    answers = 0;
    fixture.scheduler = sim_scheduler_create(1);
    fixture.loop = sim_scheduler_add(fixture.scheduler, SIM_LOOP);
    struct security_keystone_options options = {.url = "http://127.0.0.1:1/v3",
                                                .user_name = "dms",
                                                .user_domain = "Default",
                                                .password = "secret",
                                                .project_name = "service",
                                                .project_domain = "Default",
                                                .clock = sim_scheduler_clock(fixture.scheduler),
                                                .worker =
                                                    sim_scheduler_add(fixture.scheduler, SIM_POOL)};
    return security_keystone_create(&options, &fixture.keystone) == BASE_ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    security_keystone_close(&fixture.keystone);
    sim_scheduler_close(&fixture.scheduler);
    return 0;
}

static void do_nothing(struct base_task *task)
{
    (void)task;
}

static enum security_verdict check(void)
{
    struct security_token_check check = {
        .executor = fixture.loop, .task.run = do_nothing, .token = base_slice_text("theirs")};
    (void)security_keystone_check(fixture.keystone, &check);
    sim_scheduler_run(fixture.scheduler);
    return check.verdict;
}

static void good_token_is_asked_about_once_a_minute_wherever_the_clock_is_set(void **state)
{
    (void)state;
    assert_int_equal(check(), SECURITY_OK);
    assert_int_equal(check(), SECURITY_OK);
    assert_int_equal(answers, 1);

    sim_scheduler_set_wall(fixture.scheduler, -(int64_t)HOUR_S * S_US);
    status = 404; /* it is revoked meanwhile */
    sim_scheduler_advance(fixture.scheduler, (int64_t)59 * S_US);
    assert_int_equal(check(), SECURITY_OK);
    sim_scheduler_advance(fixture.scheduler, (int64_t)2 * S_US);
    assert_int_equal(check(), SECURITY_REFUSED);
    assert_int_equal(answers, 2);

    sim_scheduler_advance(fixture.scheduler, (int64_t)11 * S_US);
    status = 200;
    assert_int_equal(check(), SECURITY_OK);
}

static void remembered_token_ends_by_the_wall_clock(void **state)
{
    (void)state;
    assert_int_equal(check(), SECURITY_OK);
    sim_scheduler_set_wall(fixture.scheduler, (int64_t)HOUR_S * S_US);
    assert_int_equal(check(), SECURITY_EXPIRED);
    assert_int_equal(answers, 2);
}

static void clock_set_back_does_not_keep_it_from_being_asked(void **state)
{
    (void)state;
    is_answering = false;
    assert_int_equal(check(), SECURITY_UNAVAILABLE);
    is_answering = true;
    assert_int_equal(check(), SECURITY_UNAVAILABLE);
    assert_int_equal(answers, 0);
    sim_scheduler_set_wall(fixture.scheduler, -(int64_t)HOUR_S * S_US);
    sim_scheduler_advance(fixture.scheduler, (int64_t)SECURITY_KEYSTONE_DOWN_MS * 1000);
    assert_int_equal(check(), SECURITY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            good_token_is_asked_about_once_a_minute_wherever_the_clock_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(remembered_token_ends_by_the_wall_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_set_back_does_not_keep_it_from_being_asked, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
