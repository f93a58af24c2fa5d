/* Patterns cut into segments once, compared in order of the table. */
#include "rest-gw/router.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

enum { PATTERN_SEGMENTS_MAX = 8 };

static const char version_1[] = "v1.0";
static const char version_2[] = "v2";

struct pattern {
    const struct restgw_route *route; /* borrowed */
    size_t count;
    struct base_slice segments[PATTERN_SEGMENTS_MAX]; /* null slice: matches anything */
    bool any_version;                                 /* the first one also as version_2 */
};

struct restgw_router {
    size_t count;
    struct pattern patterns[];
};

static bool is_parameter(struct base_slice segment)
{
    return segment.length > 2 && segment.data[0] == '{' && segment.data[segment.length - 1] == '}';
}

/* Next segment of *text, which starts with '/', and moves *text behind it. */
static struct base_slice take_segment(const char **text)
{
    BASE_ASSERT(**text == '/');
    const char *start = *text + 1;
    *text = start + strcspn(start, "/");
    return base_slice_of(start, (size_t)(*text - start));
}

static void compile(const struct restgw_route *route, struct pattern *pattern)
{
    BASE_ASSERT(route->handler != NULL);
    pattern->route = route;
    for (const char *rest = route->pattern; *rest != '\0';) {
        struct base_slice segment = take_segment(&rest);
        BASE_ASSERT(pattern->count < PATTERN_SEGMENTS_MAX);
        pattern->segments[pattern->count++] =
            is_parameter(segment) ? base_slice_of(NULL, 0) : segment;
    }
    BASE_ASSERT(pattern->count > 0);
    pattern->any_version = base_slice_is(pattern->segments[0], version_1) &&
                           (route->flags & RESTGW_ROUTE_ONE_VERSION) == 0;
}

static bool is_match(const struct pattern *pattern, const struct base_slice *segments, size_t count)
{
    if (pattern->count != count) {
        return false;
    }
    for (size_t index = 0; index < count; index++) {
        struct base_slice expected = pattern->segments[index];
        bool is_same = expected.data == NULL || base_slice_equal(expected, segments[index]);
        if (!is_same &&
            !(index == 0 && pattern->any_version && base_slice_is(segments[index], version_2))) {
            return false;
        }
    }
    return true;
}

enum base_err restgw_router_create(const struct restgw_route *routes, size_t count,
                                   struct restgw_router **out)
{
    *out = NULL;
    BASE_ASSERT(count < SIZE_MAX / sizeof(struct pattern) / 2);
    struct restgw_router *router =
        base_alloc_array(1, sizeof *router + count * sizeof router->patterns[0]);
    if (router == NULL) {
        return BASE_ERR_NOMEM;
    }
    router->count = count;
    for (size_t index = 0; index < count; index++) {
        struct pattern *pattern = &router->patterns[index];
        compile(&routes[index], pattern);
        for (size_t other = 0; other < index; other++) {
            BASE_ASSERT(routes[other].method != routes[index].method ||
                        strcmp(routes[other].pattern, routes[index].pattern) != 0);
        }
    }
    *out = router;
    return BASE_ERR_OK;
}

void restgw_router_close(struct restgw_router **router)
{
    base_free(*router);
    *router = NULL;
}

static bool takes_method(const struct restgw_route *route, enum restgw_http_method method)
{
    return route->method == method ||
           (method == RESTGW_HTTP_HEAD && route->method == RESTGW_HTTP_GET &&
            (route->flags & RESTGW_ROUTE_PUBLIC) != 0);
}

enum restgw_router_verdict restgw_router_find(const struct restgw_router *router,
                                              enum restgw_http_method method,
                                              const struct base_slice *segments, size_t count,
                                              struct restgw_match *match)
{
    *match = (struct restgw_match){0};
    for (size_t index = 0; index < router->count; index++) {
        const struct pattern *pattern = &router->patterns[index];
        if (!is_match(pattern, segments, count)) {
            continue;
        }
        if (takes_method(pattern->route, method)) {
            match->route = pattern->route;
            return RESTGW_ROUTER_FOUND;
        }
        match->methods |= 1u << pattern->route->method;
    }
    return match->methods == 0 ? RESTGW_ROUTER_NO_URL : RESTGW_ROUTER_NO_METHOD;
}

/* False when the pattern has no such parameter. */
static bool find_parameter(const struct restgw_route *route, const char *name, size_t *out)
{
    size_t index = 0;
    for (const char *rest = route->pattern; *rest != '\0'; index++) {
        struct base_slice segment = take_segment(&rest);
        if (is_parameter(segment) &&
            base_slice_is(base_slice_of(segment.data + 1, segment.length - 2), name)) {
            *out = index;
            return true;
        }
    }
    return false;
}

bool restgw_router_has_parameter(const struct restgw_route *route, const char *name)
{
    size_t index = 0;
    return find_parameter(route, name, &index);
}

size_t restgw_router_parameter(const struct restgw_route *route, const char *name)
{
    size_t index = 0;
    bool found = find_parameter(route, name, &index);
    BASE_ASSERT(found); /* a handler asks only for what its pattern has */
    return index;
}
