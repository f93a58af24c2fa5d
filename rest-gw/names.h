/* The rules for names and texts that users choose. Each gives NONE or what is wrong. */
#ifndef RESTGW_NAMES_H
#define RESTGW_NAMES_H

#include "core/base/slice.h"
#include "rest-gw/error.h"

/* 1 to 64, 1 to 32 of [A-Za-z0-9_-]; the null slice has length 0. */
enum restgw_error restgw_queue_name_check(struct base_slice name);
enum restgw_error restgw_group_name_check(struct base_slice name);

/* At most 160 characters without '<', '>' and NUL. The null slice is fine. */
enum restgw_error restgw_description_check(struct base_slice text);

/* Resource tags: keys of 1 and more, values of 0 and more characters, at most length_max; no
 * control characters and none of = * < > \ , | / in either. The null slice has length 0. */
enum restgw_error restgw_tag_key_check(struct base_slice key, size_t length_max);
enum restgw_error restgw_tag_value_check(struct base_slice value, size_t length_max);

#endif
