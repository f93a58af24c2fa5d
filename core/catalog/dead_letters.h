/* The topic that holds the dead letters of one group of a queue with a redrive policy.
 *
 * It comes and goes with its group, in the same change. Everything about it follows from the
 * group's id "g-<uuid>": the topic's id is that uuid, its name d-<project>-g-<uuid>, and it has
 * one group of its own, "d-<uuid>", which consumes it. It has one partition, the kind of its
 * queue (so the letters of a FIFO queue are FIFO, too), and keeps a letter for 72 hours. */
#ifndef CATALOG_DEAD_LETTERS_H
#define CATALOG_DEAD_LETTERS_H

#include "core/base/slice.h"
#include "core/catalog/topic.h"

enum { CATALOG_DEAD_LETTERS_RETENTION_MS = 72 * 60 * 60 * 1000 };

static inline bool catalog_topic_is_dead_letters(const struct catalog_topic *topic)
{
    return !base_uuid_is_zero(topic->origin_id);
}

/* False when group_id is not "g-<uuid>": such a group has no dead letters. */
bool catalog_dead_letters_topic_id(struct base_slice group_id, struct base_uuid *out);

/* "d-<uuid>" of the group "g-<uuid>". */
void catalog_dead_letters_group_id(const char *group_id, char out[CATALOG_GROUP_ID_SIZE]);

/* A draft with its id, created when its group was. NULL when memory is out. */
struct catalog_topic *catalog_dead_letters_draft(const struct catalog_topic *queue,
                                                 const struct catalog_group *group,
                                                 const struct catalog_topic_config *defaults);

#endif
