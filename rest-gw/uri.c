/* Splitting and percent-decoding (RFC 3986 §2.1, §3.3, §3.4). */
#include "rest-gw/uri.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/assert.h"
#include "rest-gw/utf8.h"

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Undoes percent-encoding, and '+' where plus_is_space. Copies only when there is
 * something to undo. */
static enum base_err decode(struct base_arena *arena, struct base_slice raw, bool plus_is_space,
                            struct base_slice *out)
{
    *out = raw;
    bool is_plain = memchr(raw.data, '%', raw.length) == NULL &&
                    !(plus_is_space && memchr(raw.data, '+', raw.length) != NULL);
    if (is_plain) {
        return restgw_utf8_is_valid(raw) ? BASE_ERR_OK : BASE_ERR_MALFORMED;
    }

    uint8_t *text = base_arena_alloc(arena, raw.length);
    if (text == NULL) {
        return BASE_ERR_NOMEM;
    }
    size_t length = 0;
    for (size_t index = 0; index < raw.length; index++) {
        uint8_t byte = raw.data[index];
        if (byte == '%') {
            if (raw.length - index < 3) {
                return BASE_ERR_MALFORMED;
            }
            int high = hex_value(raw.data[index + 1]);
            int low = hex_value(raw.data[index + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                return BASE_ERR_MALFORMED; /* NUL would end a C string early */
            }
            byte = (uint8_t)(high << 4 | low);
            index += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        text[length++] = byte;
    }
    *out = base_slice_of(text, length);
    return restgw_utf8_is_valid(*out) ? BASE_ERR_OK : BASE_ERR_MALFORMED;
}

/* Cuts *rest at the first separator and moves it behind that; *rest has NULL data
 * after the last piece. */
static struct base_slice take_piece(struct base_slice *rest, uint8_t separator)
{
    const uint8_t *end = memchr(rest->data, separator, rest->length);
    struct base_slice piece = *rest;
    if (end == NULL) {
        *rest = base_slice_of(NULL, 0);
        return piece;
    }
    piece.length = (size_t)(end - piece.data);
    *rest = base_slice_of(end + 1, rest->length - piece.length - 1);
    return piece;
}

enum base_err restgw_uri_split_path(struct base_arena *arena, struct base_slice path,
                                    struct base_slice segments[RESTGW_PATH_SEGMENTS_MAX],
                                    size_t *count)
{
    BASE_ASSERT(path.length > 0);
    BASE_ASSERT(path.data[0] == '/');

    *count = 0;
    struct base_slice rest = base_slice_of(path.data + 1, path.length - 1);
    while (rest.data != NULL) {
        if (*count == RESTGW_PATH_SEGMENTS_MAX) {
            return BASE_ERR_NOT_FOUND;
        }
        struct base_slice piece = take_piece(&rest, '/');
        enum base_err err = decode(arena, piece, false, &segments[*count]);
        if (err != BASE_ERR_OK) {
            return err;
        }
        (*count)++;
    }
    return BASE_ERR_OK;
}

/* Most pieces the query can have; more than enough to allocate by. */
static size_t count_pieces(struct base_slice query)
{
    size_t count = 1;
    for (size_t index = 0; index < query.length; index++) {
        count += query.data[index] == '&';
    }
    return count < RESTGW_QUERY_PARAMETERS_MAX ? count : RESTGW_QUERY_PARAMETERS_MAX;
}

enum base_err restgw_uri_split_query(struct base_arena *arena, struct base_slice query,
                                     struct restgw_parameter **parameters, size_t *count)
{
    *parameters = NULL;
    *count = 0;
    if (query.length == 0) {
        return BASE_ERR_OK;
    }
    struct restgw_parameter *array = base_arena_array(arena, count_pieces(query), sizeof *array);
    if (array == NULL) {
        return BASE_ERR_NOMEM;
    }
    size_t used = 0;
    struct base_slice rest = query;
    while (rest.data != NULL) {
        struct base_slice value = take_piece(&rest, '&');
        if (value.length == 0) {
            continue;
        }
        if (used == RESTGW_QUERY_PARAMETERS_MAX) {
            return BASE_ERR_MALFORMED;
        }
        struct base_slice name = take_piece(&value, '=');
        if (value.data == NULL) {
            value = base_slice_of("", 0);
        }
        enum base_err err = decode(arena, name, true, &array[used].name);
        if (err == BASE_ERR_OK) {
            err = decode(arena, value, true, &array[used].value);
        }
        if (err != BASE_ERR_OK) {
            return err;
        }
        used++;
    }
    *parameters = array;
    *count = used;
    return BASE_ERR_OK;
}
