/* Tags of messages against the rule of a group. */
#include "core/queue/tags.h"

#include <string.h>

#include "core/base/assert.h"

bool queue_tag_is_valid(struct base_slice tag)
{
    if (tag.length == 0 || tag.length > QUEUE_TAG_LENGTH_MAX) {
        return false;
    }
    for (size_t i = 0; i < tag.length; i++) {
        uint8_t byte = tag.data[i];
        uint8_t lower = byte | 0x20;
        bool is_fine = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') ||
                       byte == '-' || byte == '_';
        if (!is_fine) {
            return false;
        }
    }
    return true;
}

/* Puts the tag where it belongs in the order, unless it is there already. */
static void insert(struct queue_tag_rule *rule, struct base_slice tag)
{
    char text[QUEUE_TAG_LENGTH_MAX + 1] = {0};
    uint32_t place = 0;

    memcpy(text, tag.data, tag.length);
    while (place < rule->count && strcmp(rule->tags[place], text) < 0) {
        place++;
    }
    if (place < rule->count && strcmp(rule->tags[place], text) == 0) {
        return;
    }
    memmove(rule->tags[place + 1], rule->tags[place], (rule->count - place) * sizeof rule->tags[0]);
    memcpy(rule->tags[place], text, sizeof text);
    rule->count++;
}

void queue_tag_rule_init(struct queue_tag_rule *rule, const struct base_slice *tags, uint32_t count,
                         bool all)
{
    BASE_ASSERT(count <= QUEUE_TAGS_MAX);

    *rule = (struct queue_tag_rule){0};
    for (uint32_t i = 0; i < count; i++) {
        BASE_ASSERT(queue_tag_is_valid(tags[i]));
        insert(rule, tags[i]);
    }
    rule->all = all && rule->count > 1;
}

bool queue_tag_rule_equal(const struct queue_tag_rule *a, const struct queue_tag_rule *b)
{
    if (a->count != b->count || a->all != b->all) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (strcmp(a->tags[i], b->tags[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool queue_tag_rule_matches(const struct queue_tag_rule *rule, const struct logstore_record *record)
{
    struct logstore_headers headers;
    struct logstore_header header;
    bool found[QUEUE_TAGS_MAX] = {false};
    uint32_t found_count = 0;

    if (rule->count == 0) {
        return true;
    }
    uint32_t wanted = rule->all ? rule->count : 1;
    logstore_headers_init(&headers, record);
    while (found_count < wanted && logstore_headers_next(&headers, &header)) {
        if (!base_slice_is(header.key, QUEUE_TAG_HEADER)) {
            continue;
        }
        for (uint32_t i = 0; i < rule->count; i++) {
            if (!found[i] && base_slice_is(header.value, rule->tags[i])) {
                found[i] = true;
                found_count++;
            }
        }
    }
    return found_count == wanted;
}
