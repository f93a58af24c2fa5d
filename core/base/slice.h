/* Borrowed bytes. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* data is NULL for a protocol's null; length is then 0. An empty value has a
 * non-NULL data. Whoever hands out a slice says how long the bytes live. */
struct base_slice {
    const uint8_t *data;
    size_t length; /* bytes */
};

static inline struct base_slice base_slice_of(const void *data, size_t length)
{
    return (struct base_slice){.data = data, .length = length};
}

/* NULL gives the null slice. */
static inline struct base_slice base_slice_text(const char *text)
{
    return base_slice_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool base_slice_equal(struct base_slice a, struct base_slice b)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): bytes there are have an address */
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool base_slice_is(struct base_slice slice, const char *text)
{
    return base_slice_equal(slice, base_slice_text(text));
}

#endif
