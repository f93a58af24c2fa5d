/* Tags of messages, and the rule by which a group chooses among them. */
#ifndef QUEUE_TAGS_H
#define QUEUE_TAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "logstore/records.h"

#define QUEUE_TAG_HEADER "dms.tag" /* of a record, once for each tag */

enum {
    QUEUE_TAGS_MAX = 3, /* of a message, and of a rule */
    QUEUE_TAG_LENGTH_MAX = 64,
};

/* 1 to 64 of a-z, A-Z, 0-9, - and _ (guide table 2-2). */
bool queue_tag_is_valid(struct base_slice tag);

/* Which messages a group wants. A plain value; {0} wants all of them. Two rules that mean the
 * same are the same bytes: tags are sorted, each is there once, and `all` needs two of them. */
struct queue_tag_rule {
    char tags[QUEUE_TAGS_MAX][QUEUE_TAG_LENGTH_MAX + 1];
    uint32_t count;
    bool all; /* a message must carry all of the tags; otherwise any of them */
};

/* Makes the rule of `count` (at most QUEUE_TAGS_MAX) valid tags in any order. */
void queue_tag_rule_init(struct queue_tag_rule *rule, const struct base_slice *tags, uint32_t count,
                         bool all);

bool queue_tag_rule_equal(const struct queue_tag_rule *a, const struct queue_tag_rule *b);

/* Whether the rule wants the record. */
bool queue_tag_rule_matches(const struct queue_tag_rule *rule,
                            const struct logstore_record *record);

#endif
