/* Names and texts that users choose. */
#include "rest-gw/names.h"

#include <stdbool.h>
#include <string.h>

#include "rest-gw/utf8.h"

enum { QUEUE_NAME_LENGTH_MAX = 64, GROUP_NAME_LENGTH_MAX = 32, DESCRIPTION_LENGTH_MAX = 160 };

static bool is_name_byte(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z') || byte == '-' ||
           byte == '_';
}

static enum restgw_error check_name(struct base_slice name, size_t length_max,
                                    enum restgw_error length_error)
{
    size_t length = restgw_utf8_length(name);
    if (length == 0 || length > length_max) {
        return length_error;
    }
    for (size_t index = 0; index < name.length; index++) {
        if (!is_name_byte(name.data[index])) {
            return RESTGW_ERROR_NAME_CHARACTERS;
        }
    }
    return RESTGW_ERROR_NONE;
}

enum restgw_error restgw_queue_name_check(struct base_slice name)
{
    return check_name(name, QUEUE_NAME_LENGTH_MAX, RESTGW_ERROR_QUEUE_NAME_LENGTH);
}

enum restgw_error restgw_group_name_check(struct base_slice name)
{
    return check_name(name, GROUP_NAME_LENGTH_MAX, RESTGW_ERROR_GROUP_NAME_LENGTH);
}

enum restgw_error restgw_description_check(struct base_slice text)
{
    if (text.length == 0) {
        return RESTGW_ERROR_NONE;
    }
    if (restgw_utf8_length(text) > DESCRIPTION_LENGTH_MAX) {
        return RESTGW_ERROR_DESCRIPTION_LENGTH;
    }
    for (size_t index = 0; index < text.length; index++) {
        if (text.data[index] == '\0' || text.data[index] == '<' || text.data[index] == '>') {
            return RESTGW_ERROR_DESCRIPTION_CHARACTERS;
        }
    }
    return RESTGW_ERROR_NONE;
}

static bool is_tag_text(struct base_slice text)
{
    for (size_t index = 0; index < text.length; index++) {
        uint8_t byte = text.data[index];
        if (byte < ' ' || memchr("=*<>\\,|/", byte, sizeof "=*<>\\,|/" - 1) != NULL) {
            return false;
        }
    }
    return true;
}

enum restgw_error restgw_tag_key_check(struct base_slice key, size_t length_max)
{
    size_t length = restgw_utf8_length(key);
    if (length == 0 || length > length_max) {
        return RESTGW_ERROR_TAG_KEY_LENGTH;
    }
    return is_tag_text(key) ? RESTGW_ERROR_NONE : RESTGW_ERROR_TAG_KEY_CHARACTERS;
}

enum restgw_error restgw_tag_value_check(struct base_slice value, size_t length_max)
{
    if (restgw_utf8_length(value) > length_max) {
        return RESTGW_ERROR_TAG_VALUE_LENGTH;
    }
    return is_tag_text(value) ? RESTGW_ERROR_NONE : RESTGW_ERROR_TAG_VALUE_CHARACTERS;
}
