/* One group of one queue: a monitor with a cursor for each partition.
 *
 * Whatever changes something ends with queue__group_run, which ends leases that are over,
 * serves those who wait, and sets the alarm for what comes next. Groups are counted: each
 * request, read and watch under way holds one. */
#ifndef QUEUE_GROUP_PRIV_H
#define QUEUE_GROUP_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/alarm.h"
#include "core/base/list.h"
#include "core/base/mutex.h"
#include "core/base/refs.h"
#include "core/base/timer_heap.h"
#include "core/queue/consume.h"
#include "core/queue/cursor.h"
#include "core/queue/journal_priv.h"
#include "core/queue/reader_priv.h"

struct queue_move;
struct queue_redrive_task;

/* A reader of a place and what its completion needs. */
struct queue_window {
    struct queue_reader reader;
    struct queue_group *group; /* borrowed; counted while a read is pending */
    struct queue_place *place; /* borrowed */
};

/* A partition as the group sees it. */
struct queue_place {
    struct partition *partition; /* counted; NULL until it is first needed */
    int32_t index;
    struct queue_cursor cursor;
    bool is_known;              /* the cursor has a start: from the journal, or the log's */
    bool is_unwritten;          /* the journal does not know that start yet */
    bool is_uncut;              /* the log could not be opened, and may have lost what is known */
    bool is_full;               /* and the log was told so */
    int64_t committed;          /* over Kafka, as of the last consume that asked */
    struct queue_window *ahead; /* owned; from cursor.next on; NULL while idle */
    struct queue_window *again; /* owned; what is delivered again; NULL while idle */
    struct partition_watch watch;
    bool is_watched;

    /* Of the log, as of the last look. */
    int64_t start;
    int64_t end;       /* -1 unreadable */
    enum base_err err; /* why nothing comes from here, or OK */

    /* A read that failed is not tried again before this time. */
    int64_t retry_us;
    enum base_err read_err;
};

/* A group has one tag rule, which its first consume fixes: nothing is delivered before that
 * is on disk. Only a reset makes it NONE again. */
enum queue_rule_state { QUEUE_RULE_NONE, QUEUE_RULE_WRITING, QUEUE_RULE_FIXED };

struct queue_group {
    struct base_refs refs;
    struct queue_manager *manager; /* borrowed; outlives its groups */
    struct queue_journal *journal; /* borrowed */
    struct base_uuid topic_id;
    char *id; /* owned */
    uint64_t scope;
    uint64_t scope_sibling;     /* of its dead letters; of dead letters: of their group; else 0 */
    struct base_executor *home; /* borrowed */
    struct base_alarm alarm;
    struct base_task alarm_closed;
    struct base_task close_task;
    struct base_list closing; /* of a list of groups on their way out */

    struct base_mutex lock;      /* guards what follows */
    struct catalog_topic *topic; /* counted; the newest seen */
    struct queue_place **places; /* owned array of owned */
    int32_t places_count;
    int32_t rotation; /* index of the place to look at first */
    uint64_t next_lease;
    struct base_timer_heap leases; /* deadlines of leases */
    struct base_timer_heap waits;  /* deadlines of consumes */
    struct base_list waiters;      /* consumes, in the order they came */
    struct base_list resets;       /* in the order they came; nobody is served meanwhile */
    uint64_t resets_begun;         /* so far */
    uint64_t resets_released;      /* of them */
    uint32_t waiters_count;
    uint32_t due_count;   /* of the waiters */
    uint32_t reads_count; /* reads under way */
    int64_t used_us;      /* last consume, for dropping windows */
    int64_t retry_us;     /* latest of the places' */
    struct queue_tag_rule rule;
    enum queue_rule_state rule_state;
    struct partition_waiter rule_waiter; /* while WRITING; holds a reference */
    int64_t filtered_us;                 /* when to tell the journal what was filtered; 0 never */
    struct queue_move *move;             /* owned; NULL while nothing is to be moved */
    int64_t move_retry_us;               /* there was no memory for one; 0 never */
    struct queue_redrive_task *redrive;  /* owned; of dead letters; NULL before the first */
    struct partition_watcher watcher;
    bool is_watching; /* the watcher is armed or fired; holds a reference */
    bool has_windows;
    bool has_unwritten; /* a place is */
    bool is_closed;
    bool is_deleted; /* the journal must forget it */
};

/* One reference. NULL when memory is out. */
struct queue_group *queue__group_create(struct queue_manager *manager,
                                        const struct catalog_topic *topic,
                                        struct base_slice group_id, struct queue_journal *journal,
                                        struct base_executor *home);

/* The alarm rings; a watched partition has news. In group_run.c. */
void queue__group_on_alarm(struct base_alarm *alarm);
void queue__group_on_news(struct base_task *task);

/* A window of the place; NULL when memory is out. In deliver.c. */
struct queue_window *queue__window_create(struct queue_group *group, struct queue_place *place);

/* Drops the window, on which no read is under way; *window may be NULL. */
void queue__window_free(struct queue_window **window);

struct queue_group *queue__group_hold(struct queue_group *group);
void queue__group_release(struct queue_group **group);

/* Ends everything; takes over the manager's reference. is_deleted: also in the journal. Not
 * locked. */
void queue__group_close(struct queue_group *group, bool is_deleted);

/* Offsets committed over Kafka, by partition of the topic, -1 where there is none, in a new array;
 * NULL when there is nobody to ask. Hooks are called without locks: not locked. NOMEM. */
BASE_MUST_USE enum base_err
queue__group_committed(struct queue_group *group, const struct catalog_topic *topic, int64_t **out);

/* The following: locked. */

/* Takes note of the newest topic and of partitions it has more. */
BASE_MUST_USE enum base_err queue__group_update(struct queue_group *group,
                                                const struct catalog_topic *topic);

/* NULL when there is no such partition. */
struct queue_place *queue__group_place(struct queue_group *group, int32_t index);

/* The log lies open, and ended at `end` before anything was added: what is known of more goes,
 * and is still to be written. */
void queue__place_cut(struct queue_group *group, struct queue_place *place, int64_t end);

/* Looks at the partition's offsets; gives a new cursor its start, cuts one whose log was opened
 * late, and trims the others. The cursor of a Kafka queue is left alone until it is consumed from
 * over REST: before that, the group's position is elsewhere. */
void queue__place_look(struct queue_group *group, struct queue_place *place, bool consumes);

/* See above. current: the executor of the calling thread. */
void queue__group_run(struct queue_group *group, struct base_executor *current);

/* The first part of it: ends leases that are over, and counts their failures. */
void queue__group_expire(struct queue_group *group, struct base_executor *current);

/* The second: serves those who wait as far as it goes. False: there is more to do at once. */
bool queue__group_serve(struct queue_group *group);

/* Takes the consume off the group and posts its answer. */
void queue__group_answer(struct queue_group *group, struct queue_consume *consume,
                         enum queue_verdict verdict, enum base_err err);

/* Whether the consume may be served by the group's rule, which it fixes if it is the first. OK,
 * TAG_RULE_DIFFERS, or STORAGE_FAILED with *err. */
enum queue_verdict queue__group_fix_rule(struct queue_group *group,
                                         const struct queue_consume *consume, enum base_err *err);

/* Goes on with the first of the resets; a new one starts when nothing is leased or settles. */
void queue__group_advance_resets(struct queue_group *group, struct base_executor *current);

/* The group closes: answers those that have not begun. */
void queue__group_drop_resets(struct queue_group *group);

/* Tells the journal what was filtered, if it is time to. */
void queue__group_write_filtered(struct queue_group *group, struct base_executor *current,
                                 bool is_closing);

/* Whether the group has a time after which messages of its queue are gone; -1 if not. */
int64_t queue__group_oldest_ms(const struct queue_group *group);

/* Unregisters all watches. */
void queue__group_unwatch(struct queue_group *group);

/* Writes the cursors whose start the journal does not know, whole. waiter (may be NULL) as
 * for queue__journal_append. On an error the last of them stay unwritten. */
BASE_MUST_USE enum base_err queue__group_write_starts(struct queue_group *group,
                                                      struct base_executor *current,
                                                      struct partition_waiter *waiter,
                                                      bool *pending);

/* The same for those that passed more than so many offsets of which the journal does not know; it
 * is not waited for. With QUEUE_UNWRITTEN_MAX it goes before every record that is not of the whole
 * cursor: recovery refuses one that leaves out more. */
BASE_MUST_USE enum base_err queue__group_write_passed(struct queue_group *group,
                                                      struct base_executor *current,
                                                      int64_t passed_max);

/* Tombstones for all cursors and the rule, so that a snapshot later need not come. Lost ones do no
 * harm: recovery passes over cursors of groups that the catalog does not know. */
void queue__group_write_tombstones(struct queue_group *group);

/* Writes all cursors, whole, without waiting. */
BASE_MUST_USE enum base_err queue__group_write_all(struct queue_group *group,
                                                   struct base_executor *current);

#endif
