/* The OpenAPI document and the table of routes say the same, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "rest-gw/error.h"
#include "rest-gw/gateway.h"
#include "rest-gw/openapi.h"

enum { METHOD_SIZE = 16, NAME_SIZE = 64 };

static json_t *document;

static int load(void **state)
{
    json_error_t error;
    (void)state;
    document = json_loadb((const char *)restgw_openapi_json, restgw_openapi_json_size,
                          JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        print_error("line %d: %s\n", error.line, error.text);
    }
    return document == NULL;
}

static int unload(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

static void method_of(const struct restgw_route *route, char method[METHOD_SIZE])
{
    const char *text = restgw_http_method_text(route->method);
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < METHOD_SIZE; i++) {
        method[i] = (char)tolower((unsigned char)text[i]);
    }
    method[i] = '\0';
}

static bool is_method(const char *key)
{
    static const char *const methods[] = {"get", "put", "post", "delete", "head", "patch"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(key, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* NULL when the document has no such operation. */
static const json_t *operation_of(const struct restgw_route *route)
{
    char method[METHOD_SIZE];
    method_of(route, method);
    const json_t *path = json_object_get(json_object_get(document, "paths"), route->pattern);
    return json_object_get(path, method);
}

static void every_route_is_described(void **state)
{
    size_t count = 0;
    size_t missing = 0;
    const struct restgw_route *routes = restgw_gateway_routes(&count);

    (void)state;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        if (operation_of(&routes[i]) == NULL) {
            print_error("rest-gw/openapi/ does not describe %s %s\n",
                        restgw_http_method_text(routes[i].method), routes[i].pattern);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

static bool is_route(const char *pattern, const char *method)
{
    size_t count = 0;
    const struct restgw_route *routes = restgw_gateway_routes(&count);

    for (size_t i = 0; i < count; i++) {
        char own[METHOD_SIZE];
        method_of(&routes[i], own);
        if (strcmp(routes[i].pattern, pattern) == 0 && strcmp(own, method) == 0) {
            return true;
        }
    }
    return false;
}

static void everything_described_is_a_route(void **state)
{
    const char *pattern;
    json_t *path;
    const char *method;
    json_t *operation;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), pattern, path)
    {
        json_object_foreach(path, method, operation)
        {
            if (is_method(method) && !is_route(pattern, method)) {
                fail_msg("%s %s is described, but there is no such route", method, pattern);
            }
        }
    }
}

/* Who may call without credentials, and what /v2 does not have. */
static void flags_are_told(void **state)
{
    size_t count = 0;
    const struct restgw_route *routes = restgw_gateway_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const json_t *operation = operation_of(&routes[i]);
        const json_t *security = json_object_get(operation, "security");
        bool is_public = json_is_array(security) && json_array_size(security) == 0;
        if (is_public != ((routes[i].flags & RESTGW_ROUTE_PUBLIC) != 0)) {
            fail_msg("%s: \"security\": [] is for routes without credentials", routes[i].pattern);
        }
        bool is_one_version = json_is_true(json_object_get(operation, "x-one-version"));
        if (is_one_version != ((routes[i].flags & RESTGW_ROUTE_ONE_VERSION) != 0)) {
            fail_msg("%s: x-one-version is for RESTGW_ROUTE_ONE_VERSION", routes[i].pattern);
        }
    }
}

/* API §1.14: operations are audited; messages that come and go, and questions, are not. */
static void what_changes_something_is_traced(void **state)
{
    static const char *const untraced[] = {"produceMessages", "ackMessages", "ackDeadLetters",
                                           "searchQueues"};
    size_t count = 0;
    const struct restgw_route *routes = restgw_gateway_routes(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool is_traced = routes[i].flags >> RESTGW_ROUTE_TRACED_SHIFT != 0;
        bool is_exempt =
            routes[i].method == RESTGW_HTTP_GET || routes[i].method == RESTGW_HTTP_HEAD;
        for (size_t j = 0; j < sizeof untraced / sizeof untraced[0]; j++) {
            is_exempt = is_exempt || strcmp(routes[i].action, untraced[j]) == 0;
        }
        if (!is_traced && !is_exempt) {
            fail_msg("%s %s lacks RESTGW_ROUTE_TRACED", restgw_http_method_text(routes[i].method),
                     routes[i].pattern);
        }
    }
}

/* What {"$ref": "#/a/b"} points at, or value itself. */
static const json_t *resolve(const json_t *value)
{
    const char *reference = json_string_value(json_object_get(value, "$ref"));
    char key[NAME_SIZE];
    const json_t *at = document;

    if (reference == NULL) {
        return value;
    }
    assert_int_equal(strncmp(reference, "#/", 2), 0);
    for (const char *rest = reference + 2; *rest != '\0';) {
        size_t length = strcspn(rest, "/");
        assert_true(length < sizeof key);
        memcpy(key, rest, length);
        key[length] = '\0';
        at = json_object_get(at, key);
        rest += length + (rest[length] == '/');
    }
    if (at == NULL) {
        fail_msg("%s does not exist", reference);
    }
    return at;
}

static void check_references(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;

    (void)resolve(value);
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            check_references(member);
        }
    }
    json_array_foreach(value, i, member)
    {
        check_references(member);
    }
}

static void references_lead_somewhere(void **state)
{
    (void)state;
    check_references(document);
}

static bool has_parameter(const json_t *list, const char *name, size_t length)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *parameter = resolve(json_array_get(list, i));
        const char *own = json_string_value(json_object_get(parameter, "name"));
        const char *in = json_string_value(json_object_get(parameter, "in"));
        if (strlen(own) == length && memcmp(own, name, length) == 0 && strcmp(in, "path") == 0) {
            return json_is_true(json_object_get(parameter, "required"));
        }
    }
    return false;
}

static void parameters_of_paths_are_described(void **state)
{
    const char *pattern;
    json_t *path;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), pattern, path)
    {
        for (const char *open = strchr(pattern, '{'); open != NULL; open = strchr(open + 1, '{')) {
            size_t length = strcspn(open + 1, "}");
            if (!has_parameter(json_object_get(path, "parameters"), open + 1, length)) {
                fail_msg("%s: \"parameters\" of the path lacks {%.*s}", pattern, (int)length,
                         open + 1);
            }
        }
    }
}

static void operations_have_names_of_their_own(void **state)
{
    json_t *seen = json_object();
    const char *pattern;
    json_t *path;
    const char *method;
    json_t *operation;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), pattern, path)
    {
        json_object_foreach(path, method, operation)
        {
            if (is_method(method)) {
                const char *id = json_string_value(json_object_get(operation, "operationId"));
                assert_non_null(id);
                if (json_object_get(seen, id) != NULL) {
                    fail_msg("operationId %s is there twice", id);
                }
                json_object_set_new(seen, id, json_true());
                assert_non_null(json_object_get(operation, "summary"));
                assert_true(json_object_size(json_object_get(operation, "responses")) > 0);
            }
        }
    }
    json_decref(seen);
}

static bool holds(const json_t *array, int code)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_integer_value(json_array_get(array, i)) == code) {
            return true;
        }
    }
    return false;
}

static bool is_error_code(json_int_t code)
{
    for (unsigned i = RESTGW_ERROR_NONE + 1; i < RESTGW_ERROR_COUNT; i++) {
        if (restgw_error_code((enum restgw_error)i) == code) {
            return true;
        }
    }
    return false;
}

/* Schema Error lists the table of errors, and operations name nothing else. */
static void error_codes_are_those_of_the_table(void **state)
{
    const json_t *reference = json_pack("{s:s}", "$ref", "#/components/schemas/Error");
    const json_t *schema = resolve(reference);
    const json_t *code = json_object_get(json_object_get(schema, "properties"), "code");
    const json_t *codes = json_object_get(code, "enum");
    size_t count = 0;
    const struct restgw_route *routes = restgw_gateway_routes(&count);

    (void)state;
    json_decref((json_t *)(uintptr_t)reference);
    for (unsigned i = RESTGW_ERROR_NONE + 1; i < RESTGW_ERROR_COUNT; i++) {
        int own = restgw_error_code((enum restgw_error)i);
        if (!holds(codes, own)) {
            fail_msg("schema Error in rest-gw/openapi/document.json lacks %d", own);
        }
    }
    for (size_t i = 0; i < json_array_size(codes); i++) {
        assert_true(is_error_code(json_integer_value(json_array_get(codes, i))));
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *own = json_object_get(operation_of(&routes[i]), "x-error-codes");
        for (size_t j = 0; j < json_array_size(own); j++) {
            if (!is_error_code(json_integer_value(json_array_get(own, j)))) {
                fail_msg("%s: no error has the code %lld", routes[i].pattern,
                         (long long)json_integer_value(json_array_get(own, j)));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(everything_described_is_a_route),
        cmocka_unit_test(flags_are_told),
        cmocka_unit_test(what_changes_something_is_traced),
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(parameters_of_paths_are_described),
        cmocka_unit_test(operations_have_names_of_their_own),
        cmocka_unit_test(error_codes_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
