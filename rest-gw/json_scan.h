/* Strict JSON (RFC 8259) read in place: what the hot routes use instead of a tree,
 * and the check of depth and syntax in front of every tree.
 *
 * A message body is any JSON value and is returned as it came: restgw_json_value()
 * gives its text without a detour through numbers and escapes, which would lose
 * large integers and the like.
 *
 * A cursor fails once: after the first error every call reports the end, so a
 * reader is a straight list of calls and one check. Nothing is allocated. */
#ifndef RESTGW_JSON_SCAN_H
#define RESTGW_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/slice.h"

enum {
    RESTGW_JSON_DEPTH_MAX = 32, /* objects and arrays within each other */
    /* Values of a text that becomes a tree, each some hundred bytes there. Messages are never
     * trees. The most that means something are 20 policies of 100 users each. */
    RESTGW_JSON_NODES_MAX = 10000,
};

enum restgw_json_type {
    RESTGW_JSON_NULL,
    RESTGW_JSON_BOOL,
    RESTGW_JSON_NUMBER,
    RESTGW_JSON_STRING,
    RESTGW_JSON_ARRAY,
    RESTGW_JSON_OBJECT,
    RESTGW_JSON_NONE, /* the end, or no value starts here */
};

/* Public so that it can live on the stack. Touch it only through restgw_json_*. */
struct restgw_json_cursor {
    const uint8_t *at; /* borrowed; next unread byte */
    const uint8_t *end;
    const char *problem; /* NULL while all is well; static storage */
    unsigned depth;      /* containers entered and not left */
    bool is_first;       /* no member of the innermost container was read yet */
};

/* Starts in front of the one value that text must be. */
void restgw_json_cursor_init(struct restgw_json_cursor *cursor, struct base_slice text);

/* Type of the next value, by its first byte. */
enum restgw_json_type restgw_json_peek(struct restgw_json_cursor *cursor);

/* Reads the next value whole and returns its text; the null slice after failure. */
struct base_slice restgw_json_value(struct restgw_json_cursor *cursor);

/* Goes into the object or array that comes next; fails the cursor if it is not one. */
void restgw_json_enter_object(struct restgw_json_cursor *cursor);
void restgw_json_enter_array(struct restgw_json_cursor *cursor);

/* Moves to the next member of the innermost object and gives its key as written,
 * between the quotes; its value must be read next. False at the end of the object,
 * which is then left, and after failure. */
bool restgw_json_next_key(struct restgw_json_cursor *cursor, struct base_slice *key);

/* The same for an array. */
bool restgw_json_next_element(struct restgw_json_cursor *cursor);

/* OK if everything was valid and nothing is left over, MALFORMED otherwise:
 * ->problem then says why. */
BASE_MUST_USE enum base_err restgw_json_finish(struct restgw_json_cursor *cursor);

/* Whether a key as written means name. */
bool restgw_json_key_is(struct base_slice key, const char *name);

/* Content of a string as written, with its quotes (a restgw_json_value): unescaped
 * into arena where it has escapes, else in place. NOMEM. */
BASE_MUST_USE enum base_err restgw_json_unescape(struct base_arena *arena, struct base_slice string,
                                                 struct base_slice *text);

/* NULL when text is one valid JSON value no deeper than RESTGW_JSON_DEPTH_MAX and of at most
 * RESTGW_JSON_NODES_MAX values, itself and those within it; else what is wrong; static
 * storage. */
const char *restgw_json_check(struct base_slice text);

#endif
