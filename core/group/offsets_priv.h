/* Committed offsets of one group in memory. All locked. */
#ifndef GROUP_OFFSETS_PRIV_H
#define GROUP_OFFSETS_PRIV_H

#include <stdint.h>

#include "core/catalog/view.h"
#include "core/group/group_priv.h"
#include "core/group/offsets.h"

struct group_topic_offsets {
    struct base_slice name;              /* owned */
    struct group_offset_entry **entries; /* owned; by partition */
    uint32_t entries_count;
    uint32_t entries_capacity;
    bool is_subscribed; /* the sweep's: some member reads it */
};

struct group_offset_entry {
    struct group_topic_offsets *topic; /* borrowed */
    int32_t partition;
    uint32_t ops_count;            /* changes on their way to the log */
    uint32_t snapshot;             /* number of the newest one that has it; 0: none */
    struct group_offset *visible;  /* counted; durable; NULL: none */
    struct group_offset *appended; /* counted; newest in the log, durable or not; NULL: none */
};

/* NULL when memory is out. */
struct group_offset *group__offset_make(const struct group_commit_item *item, int64_t commit_ms);

/* True when a topic of that name exists in view and offset was committed for another, which
 * was deleted. view may be NULL: never. */
bool group__offset_is_stale(const struct catalog_view *view, struct base_slice topic,
                            const struct group_offset *offset);

struct group_offset_entry *group__entry_find(struct group *group, struct base_slice topic,
                                             int32_t partition);
/* Made if need be; NULL when memory is out. */
struct group_offset_entry *group__entry_take(struct group *group, struct base_slice topic,
                                             int32_t partition);
/* Frees an entry that holds nothing any more. */
void group__entry_drop_if_unused(struct group *group, struct group_offset_entry *entry);

/* What a change that reached the log leaves as the newest; value NULL: deleted. */
void group__entry_set_appended(struct group_offset_entry *entry, struct group_offset *value);
void group__entry_set_visible(struct group_offset_entry *entry, struct group_offset *value);

void group__offsets_clear(struct group *group);

/* Entries of a group, by topic. visit may drop the entry it gets, and no other. */
typedef bool group_entry_visit(void *context, struct group *group,
                               struct group_offset_entry *entry);
void group__entries_each(struct group *group, group_entry_visit *visit, void *context);

/* commit.c */
enum group_answer group__commit(struct group *group, struct group_commit *commit);
enum group_answer group__delete_offsets(struct group *group, struct group_delete_offsets *request);
/* DONE or PENDING with GROUP_OK: the group is dead, forget it once unlocked. */
enum group_answer group__delete(struct group *group, struct group_delete *request);

/* Deletes entries for the broker itself; those that cannot be are left for the next time. */
void group__remove_entries(struct group *group, struct group_offset_entry **entries,
                           uint32_t count);
/* Writes the end of an empty group without offsets and kills it. True: forget it. */
bool group__bury(struct group *group);

/* expire.c: entries whose time has come, and the group itself if nothing is left. True:
 * it died, forget it once unlocked. */
bool group__expire(struct group *group, int64_t now_ms);

#endif
