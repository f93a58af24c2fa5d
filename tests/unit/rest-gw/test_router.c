/* Routes, paths and queries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/alloc.h"
#include "rest-gw/query.h"
#include "rest-gw/router.h"
#include "rest-gw/uri.h"

static void handle_nothing(struct restgw_request *request)
{
    (void)request;
}

static const struct restgw_route routes[] = {
    {RESTGW_HTTP_GET, "/v1.0/{project_id}/queues", handle_nothing, 0, "list"},
    {RESTGW_HTTP_POST, "/v1.0/{project_id}/queues", handle_nothing, 0, "create"},
    {RESTGW_HTTP_GET, "/v1.0/{project_id}/queues/{queue_id}", handle_nothing, 0, "get"},
    {RESTGW_HTTP_GET, "/v1.0/{project_id}/quotas/dms", handle_nothing, RESTGW_ROUTE_ONE_VERSION,
     "quotas"},
    {RESTGW_HTTP_GET, "/v2/{project_id}/quotas", handle_nothing, 0, "quotas 2"},
    {RESTGW_HTTP_GET, "/v1.0/{project_id}/queue/tags", handle_nothing, 0, "project tags"},
    {RESTGW_HTTP_DELETE, "/v1.0/{project_id}/queue/{queue_id}/tags/{key}", handle_nothing, 0,
     "delete tag"},
    {RESTGW_HTTP_GET, "/livez", handle_nothing, RESTGW_ROUTE_PUBLIC, "live"},
};
enum { ROUTES_COUNT = sizeof routes / sizeof routes[0] };

struct fixture {
    struct base_arena arena;
    struct restgw_router *router;
    struct base_slice segments[RESTGW_PATH_SEGMENTS_MAX];
    size_t segments_count;
    struct restgw_match match;
};

static int set_up(void **state)
{
    struct fixture *fixture = base_alloc_object(struct fixture);
    base_arena_init(&fixture->arena, 1024 * 1024);
    *state = fixture;
    return restgw_router_create(routes, ROUTES_COUNT, &fixture->router) != BASE_ERR_OK;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    restgw_router_close(&fixture->router);
    assert_null(fixture->router);
    base_arena_fini(&fixture->arena);
    base_free(fixture);
    return 0;
}

static enum restgw_router_verdict find(struct fixture *fixture, enum restgw_http_method method,
                                       const char *path)
{
    assert_int_equal(restgw_uri_split_path(&fixture->arena, base_slice_text(path),
                                           fixture->segments, &fixture->segments_count),
                     BASE_ERR_OK);
    return restgw_router_find(fixture->router, method, fixture->segments, fixture->segments_count,
                              &fixture->match);
}

static void assert_action(struct fixture *fixture, enum restgw_http_method method, const char *path,
                          const char *action)
{
    assert_int_equal(find(fixture, method, path), RESTGW_ROUTER_FOUND);
    assert_string_equal(fixture->match.route->action, action);
}

static void rows_match_by_method_and_segments(void **state)
{
    struct fixture *fixture = *state;
    assert_action(fixture, RESTGW_HTTP_GET, "/v1.0/p/queues", "list");
    assert_action(fixture, RESTGW_HTTP_POST, "/v1.0/p/queues", "create");
    assert_action(fixture, RESTGW_HTTP_GET, "/v1.0/p/queues/q", "get");
    assert_action(fixture, RESTGW_HTTP_GET, "/v1.0/p/queues/", "get"); /* an empty id */
    assert_action(fixture, RESTGW_HTTP_GET, "/v1.0/p/queue/tags", "project tags");
    assert_action(fixture, RESTGW_HTTP_DELETE, "/v1.0/p/queue/q/tags/a%2Fb", "delete tag");
    assert_action(fixture, RESTGW_HTTP_GET, "/livez", "live");
}

static void v2_has_the_same_rows(void **state)
{
    struct fixture *fixture = *state;
    assert_action(fixture, RESTGW_HTTP_GET, "/v2/p/queues", "list");
    assert_action(fixture, RESTGW_HTTP_GET, "/v2/p/quotas", "quotas 2");
    assert_action(fixture, RESTGW_HTTP_GET, "/v1.0/p/quotas/dms", "quotas");
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/v2/p/quotas/dms"), RESTGW_ROUTER_NO_URL);
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/v1.0/p/quotas"), RESTGW_ROUTER_NO_URL);
}

static void unknown_paths_are_told_from_unknown_methods(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/"), RESTGW_ROUTER_NO_URL);
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/v1.0/p"), RESTGW_ROUTER_NO_URL);
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/v1.0/p/Queues"), RESTGW_ROUTER_NO_URL);
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/v3/p/queues"), RESTGW_ROUTER_NO_URL);
    assert_int_equal(find(fixture, RESTGW_HTTP_GET, "/v1.0//p/queues"), RESTGW_ROUTER_NO_URL);
    assert_null(fixture->match.route);
    assert_int_equal(find(fixture, RESTGW_HTTP_PUT, "/v1.0/p/queues"), RESTGW_ROUTER_NO_METHOD);
    assert_int_equal(fixture->match.methods, 1u << RESTGW_HTTP_GET | 1u << RESTGW_HTTP_POST);
    assert_null(fixture->match.route);
}

static void head_is_for_public_pages_only(void **state)
{
    struct fixture *fixture = *state;
    assert_action(fixture, RESTGW_HTTP_HEAD, "/livez", "live");
    assert_int_equal(find(fixture, RESTGW_HTTP_HEAD, "/v1.0/p/queues"), RESTGW_ROUTER_NO_METHOD);
}

static void parameters_are_found_by_name(void **state)
{
    struct fixture *fixture = *state;
    assert_action(fixture, RESTGW_HTTP_DELETE, "/v2/p/queue/q/tags/%E9%94%AE", "delete tag");
    const struct restgw_route *route = fixture->match.route;
    assert_int_equal(restgw_router_parameter(route, "project_id"), 1);
    assert_int_equal(restgw_router_parameter(route, "queue_id"), 3);
    size_t key = restgw_router_parameter(route, "key");
    assert_true(base_slice_is(fixture->segments[key], "\xe9\x94\xae"));
}

static void paths_are_decoded_and_opaque(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *path;
        enum base_err err;
        const char *first;
    } rows[] = {
        {"/a", BASE_ERR_OK, "a"},
        {"/%41%2f%2E%2e", BASE_ERR_OK, "A/.."},
        {"/..", BASE_ERR_OK, ".."},
        {"/a+b", BASE_ERR_OK, "a+b"},
        {"/", BASE_ERR_OK, ""},
        {"/%", BASE_ERR_MALFORMED, NULL},
        {"/%4", BASE_ERR_MALFORMED, NULL},
        {"/%4g", BASE_ERR_MALFORMED, NULL},
        {"/%00", BASE_ERR_MALFORMED, NULL},
        {"/%ff", BASE_ERR_MALFORMED, NULL},
        {"/%c0%af", BASE_ERR_MALFORMED, NULL},    /* an overlong slash */
        {"/%ed%a0%80", BASE_ERR_MALFORMED, NULL}, /* a surrogate */
        {"/%f4%90%80%80", BASE_ERR_MALFORMED, NULL},
        {"/%e2%82", BASE_ERR_MALFORMED, NULL},
        {"/%f0%9f%98%80", BASE_ERR_OK, "\xf0\x9f\x98\x80"},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", BASE_ERR_OK, "1"},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/", BASE_ERR_NOT_FOUND, NULL},
    };
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        assert_int_equal(restgw_uri_split_path(&fixture->arena, base_slice_text(rows[index].path),
                                               fixture->segments, &fixture->segments_count),
                         rows[index].err);
        if (rows[index].err == BASE_ERR_OK) {
            assert_true(base_slice_is(fixture->segments[0], rows[index].first));
        }
    }
}

static struct restgw_query read_query(struct fixture *fixture, const char *text)
{
    struct restgw_query query;
    struct restgw_parameter *parameters = NULL;
    size_t count = 0;
    assert_int_equal(
        restgw_uri_split_query(&fixture->arena, base_slice_text(text), &parameters, &count),
        BASE_ERR_OK);
    restgw_query_init(&query, parameters, count);
    return query;
}

static void queries_are_typed(void **state)
{
    struct fixture *fixture = *state;
    struct restgw_query query = read_query(
        fixture, "max_msgs=7&&tag=a&tag=b%26c&tag=&tag=c&flag=True&empty=&plus=a+b&=x&bare");
    struct restgw_range range = {.min = 1, .max = 10, .fallback = 3};
    struct base_slice tags[2];

    assert_int_equal(query.count, 10);
    assert_int_equal(restgw_query_integer(&query, "max_msgs", range, RESTGW_ERROR_MAX_MSGS), 7);
    assert_int_equal(restgw_query_integer(&query, "empty", range, RESTGW_ERROR_MAX_MSGS), 3);
    assert_int_equal(restgw_query_integer(&query, "absent", range, RESTGW_ERROR_MAX_MSGS), 3);
    assert_int_equal(restgw_query_texts(&query, "tag", tags, 2), 3);
    assert_true(base_slice_is(tags[0], "a"));
    assert_true(base_slice_is(tags[1], "b&c"));
    assert_true(restgw_query_bool(&query, "flag", false, RESTGW_ERROR_URL_PARAMETERS));
    assert_true(base_slice_is(restgw_query_text(&query, "plus"), "a b"));
    assert_null(restgw_query_text(&query, "bare").data);
    assert_int_equal(query.error, RESTGW_ERROR_NONE);
}

static void bad_parameters_fail_once(void **state)
{
    struct fixture *fixture = *state;
    struct restgw_range range = {.min = 1, .max = 10, .fallback = 3};
    static const char *const bad[] = {"n=0",
                                      "n=11",
                                      "n=-1",
                                      "n=1.0",
                                      "n=+1",
                                      "n=%201",
                                      "n=0x1",
                                      "n=9223372036854775808",
                                      "n=2147483648",
                                      "n=4294967297",
                                      "n=18446744073709551617",
                                      "n=a",
                                      "n=-9223372036854775809",
                                      "n=-",
                                      "n=1%00"};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0] - 1; index++) {
        struct restgw_query query = read_query(fixture, bad[index]);
        assert_int_equal(restgw_query_integer(&query, "n", range, RESTGW_ERROR_MAX_MSGS), 3);
        (void)restgw_query_integer(&query, "n", range, RESTGW_ERROR_TIME_WAIT);
        assert_int_equal(query.error, RESTGW_ERROR_MAX_MSGS);
        assert_string_equal(query.name, "n");
    }
    struct restgw_query query = read_query(fixture, "n=-9223372036854775808&m=9223372036854775807");
    struct restgw_range all = {.min = INT64_MIN, .max = INT64_MAX};
    assert_true(restgw_query_integer(&query, "n", all, RESTGW_ERROR_LIMIT) == INT64_MIN);
    assert_true(restgw_query_integer(&query, "m", all, RESTGW_ERROR_LIMIT) == INT64_MAX);
    query = read_query(fixture, "b=yes");
    assert_true(restgw_query_bool(&query, "b", true, RESTGW_ERROR_LIMIT));
    assert_int_equal(query.error, RESTGW_ERROR_LIMIT);
}

static void queries_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct restgw_parameter *parameters = NULL;
    size_t count = 0;
    char text[2 * (RESTGW_QUERY_PARAMETERS_MAX + 1)];
    for (size_t index = 0; index < sizeof text; index += 2) {
        memcpy(text + index, "a&", 2);
    }
    assert_int_equal(restgw_uri_split_query(&fixture->arena, base_slice_of(text, sizeof text - 2),
                                            &parameters, &count),
                     BASE_ERR_OK);
    assert_int_equal(count, RESTGW_QUERY_PARAMETERS_MAX);
    assert_int_equal(restgw_uri_split_query(&fixture->arena, base_slice_of(text, sizeof text),
                                            &parameters, &count),
                     BASE_ERR_MALFORMED);
    assert_int_equal(count, 0);
    assert_int_equal(
        restgw_uri_split_query(&fixture->arena, base_slice_text("a=%zz"), &parameters, &count),
        BASE_ERR_MALFORMED);
}

static void creation_survives_no_memory(void **state)
{
    (void)state;
    struct restgw_router *router = (void *)1;
    base_alloc_fail_after(0, 1);
    assert_int_equal(restgw_router_create(routes, ROUTES_COUNT, &router), BASE_ERR_NOMEM);
    base_alloc_fail_after(-1, 0);
    assert_null(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_match_by_method_and_segments),
        cmocka_unit_test(v2_has_the_same_rows),
        cmocka_unit_test(unknown_paths_are_told_from_unknown_methods),
        cmocka_unit_test(head_is_for_public_pages_only),
        cmocka_unit_test(parameters_are_found_by_name),
        cmocka_unit_test(paths_are_decoded_and_opaque),
        cmocka_unit_test(queries_are_typed),
        cmocka_unit_test(bad_parameters_fail_once),
        cmocka_unit_test(queries_are_bounded),
        cmocka_unit_test(creation_survives_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
