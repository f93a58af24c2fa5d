/* Delayed messages: the internal topic __dms_delayed, and the mover.
 *
 * A message with a delay is written to this topic before its producer is answered; at its
 * time the mover appends it to its queue, where it is a message like any other. All messages
 * of one queue are in one partition, the delay log of the queue. In memory each of them is an
 * entry of 16 bytes in its queue's heap; bodies are read back when they are due.
 *
 * Nothing is lost: an entry is dropped only when its message is durable in the queue. Then a
 * mark is written to the delay log, and nobody waits for it: what a crash leaves unmarked is
 * looked for in the queue's partitions, from its due time on, before it is moved again.
 *
 *     delay.c         the logs: opening, closing, adding, forgetting, counting
 *     delay_mark.c    what is done
 *     delay_open.c    recovery
 *     delay_run.c     what is due; the alarm; trimming
 *     delay_move.c    one move of messages that are due, from one queue
 *     delay_check.c   what a crash left unmarked
 *     delay_rewrite.c far messages that keep a long log from being trimmed
 *
 * Threads: a delay log is a monitor with the place of a group in the lock order. Moves run on
 * its home executor. */
#ifndef QUEUE_DELAY_PRIV_H
#define QUEUE_DELAY_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/alarm.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mutex.h"
#include "core/base/timer_heap.h"
#include "core/partition/partition.h"
#include "core/queue/delay_heap_priv.h"
#include "core/queue/delay_record_priv.h"
#include "core/queue/delay_span_priv.h"
#include "core/queue/reader_priv.h"

#define QUEUE_DELAY_TOPIC "__dms_delayed"

enum {
    QUEUE_DELAY_PARTITIONS = 8,
    QUEUE_DELAY_BATCH_BYTES_MAX = 64 << 20,
    QUEUE_DELAY_MOVES_MAX = 16,            /* at once, of one delay log */
    QUEUE_DELAY_MOVE_MESSAGES_MAX = 1000,  /* of one move */
    QUEUE_DELAY_MOVE_BYTES_MAX = 1 << 20,  /* the same; one message may exceed it alone */
    QUEUE_DELAY_REWRITE_BYTES = 128 << 20, /* two segments: below, there is nothing to win */
    QUEUE_DELAY_QUEUE_ID_SIZE = BASE_UUID_TEXT_SIZE,
};

struct catalog_topic;
struct queue_manager;
struct queue_delay_move;

enum queue_delay_state {
    QUEUE_DELAY_IDLE,      /* nothing waits */
    QUEUE_DELAY_WAITING,   /* in log->due, with the time of its first message */
    QUEUE_DELAY_UNDURABLE, /* in log->undurable: its first message is due, and not on disk yet */
    QUEUE_DELAY_RETRYING,  /* in log->retries: the last move failed */
    QUEUE_DELAY_MOVING,    /* a move has it */
    QUEUE_DELAY_STATE_COUNT
};

/* The delayed messages of one queue. */
struct queue_delay_queue {
    struct queue_delay_log *log; /* borrowed */
    struct base_uuid id;
    char id_text[QUEUE_DELAY_QUEUE_ID_SIZE];
    enum queue_delay_state state;
    struct queue_delay_heap heap;
    struct base_timer timer;       /* in log->due (wall clock) or log->retries (monotonic) */
    struct base_list link;         /* in log->undurable, or of a list on the stack */
    struct queue_delay_move *move; /* while MOVING */
    int64_t *marks;                /* owned; offsets that are done, and not marked yet */
    size_t marks_count;
    size_t marks_capacity;
    uint32_t backoff_ms; /* of the last failure; 0 none */
    bool is_suspect;     /* what is due first may be in the queue already */
    bool is_forgotten;   /* the queue was deleted while MOVING */
    size_t dead_count;   /* during recovery: entries that are done */
};

/* One partition of __dms_delayed. */
struct queue_delay_log {
    struct queue_manager *manager; /* borrowed; outlives its logs */
    int32_t index;
    struct partition *partition; /* counted */
    struct base_executor *home;  /* borrowed */
    struct base_alarm alarm;
    struct base_task alarm_closed;
    struct partition_watcher watcher;
    struct partition_watch watch;

    struct base_mutex lock;  /* guards what follows */
    struct base_map *queues; /* by queue id; owned values */
    struct queue_delay_span span;
    struct base_timer_heap due;     /* wall clock, us */
    struct base_timer_heap retries; /* monotonic */
    struct base_list undurable;
    uint32_t moves_count;
    uint32_t users; /* the alarm, moves, a watch: the last one frees the log once it closes */
    bool is_watching;
    bool is_closing;
    bool is_rewriting;
    int64_t rewrite_us;    /* not before, monotonic */
    int64_t rewritten_end; /* copies below it must be durable before their originals go */
    int64_t pending_count; /* messages that wait */
    int64_t trimmed_to;
    int64_t trim_us; /* not before, monotonic */
};

/* delay.c */

/* Makes the logs of the topic's partitions. OFFLINE, NOMEM. */
BASE_MUST_USE enum base_err queue__delay_create(struct queue_manager *manager,
                                                const struct catalog_topic *topic);

/* Ends the moves; each log releases the manager when it is gone. */
void queue__delay_close(struct queue_manager *manager);

/* Appends those of produce's messages that have a delay, the first ones of them if there is no room
 * for all: the others' results are BUSY. Fills in the results. waiter's task comes if *pending.
 * BUSY: too many wait already. Else as partition_append. */
BASE_MUST_USE enum base_err queue__delay_add(struct queue_manager *manager,
                                             struct queue_produce *produce,
                                             struct partition_waiter *waiter, bool *pending);

/* The queue was deleted: so are its delayed messages. */
void queue__delay_forget(struct queue_manager *manager, struct base_uuid queue_id);

int64_t queue__delay_count(struct queue_manager *manager, struct base_uuid queue_id);

/* The following: locked. */

/* The queue of that id, made if it is not there; NULL when memory is out. */
struct queue_delay_queue *queue__delay_queue(struct queue_delay_log *log, struct base_uuid id);

/* Puts a queue that is in no list or heap where it belongs; takes it out of it. */
void queue__delay_place(struct queue_delay_queue *queue);
void queue__delay_unplace(struct queue_delay_queue *queue);

/* The next try after a failure. */
void queue__delay_retry(struct queue_delay_queue *queue, uint32_t messages_count,
                        enum base_err err);

/* Messages of the queue, taken out of its heap, are done: their marks are to be written. */
void queue__delay_done(struct queue_delay_queue *queue, const int64_t *offsets, size_t count);

/* Drops all that waits for a queue that is gone, and frees it. Not while MOVING. */
void queue__delay_discard(struct queue_delay_queue *queue);

/* The user is gone; unlocks, and frees the log if that was the last of one that closes. */
void queue__delay_unuse(struct queue_delay_log *log);

/* delay_open.c */

/* Reads the logs. Worker only. */
BASE_MUST_USE enum base_err queue__delay_recover(struct queue_manager *manager);

/* delay_run.c */

/* Starts what is due and sets the alarm. Home executor, not locked. */
void queue__delay_run(struct queue_delay_log *log);

/* Sets the alarm. Locked, any thread. */
void queue__delay_set_alarm(struct queue_delay_log *log);

/* The alarm rings; there is news of the delay log's durability. */
void queue__delay_on_alarm(struct base_alarm *alarm);
void queue__delay_on_news(struct base_task *task);

/* delay_move.c */

enum queue_delay_stage {
    QUEUE_DELAY_CHECKING,  /* looking for copies of what is due, in the queue's partitions */
    QUEUE_DELAY_READING,   /* the messages, out of the delay log */
    QUEUE_DELAY_APPENDING, /* to the queue, until durable */
};

/* Copies that a check has found. */
struct queue_delay_check {
    struct logstore_lookup lookup;
    struct partition *partition; /* counted; the one being looked at */
    int32_t index;               /* of it */
    int64_t due_ms;              /* copies are not older */
    int64_t position;            /* next offset to look at; -1 not known yet */
    int64_t *found;              /* owned; offsets in the delay log */
    size_t found_count;
    size_t found_capacity;
};

struct queue_delay_move {
    struct queue_delay_log *log;     /* borrowed; the move is one of its users */
    struct queue_delay_queue *queue; /* borrowed; MOVING */
    struct base_list link;           /* of a list of moves to be started */
    bool is_rewrite;                 /* to the end of the delay log, not to the queue */
    int64_t rewrite_end;             /* of what lies below this offset */
    enum queue_delay_stage stage;
    struct catalog_topic *topic; /* counted */
    int64_t now_ms;              /* when the entries were taken: they were due */
    struct queue_delay_entry entries[QUEUE_DELAY_MOVE_MESSAGES_MAX];
    bool
        is_unreadable[QUEUE_DELAY_MOVE_MESSAGES_MAX]; /* of those read: its message was not there */
    uint32_t entries_count;
    uint32_t read_count; /* of the entries: read, and in the writer */
    uint32_t turn_count; /* reads since others had the thread */
    struct base_task turn;
    struct queue_reader reader;
    struct queue_delay_writer writer;
    struct partition *partition; /* counted; of the queue, while appending */
    struct partition_waiter waiter;
    struct queue_delay_check check;
};

/* Begins a move of a queue that has something due and durable. Locked. NOMEM. */
BASE_MUST_USE enum base_err queue__delay_move_begin(struct queue_delay_queue *queue,
                                                    const struct catalog_topic *topic,
                                                    struct queue_delay_move **out);

/* Goes on with it as far as it goes now. Home executor, not locked. */
void queue__delay_move_run(struct queue_delay_move *move);

/* To be asked before each read: true, with the rest posted, when the thread was held long enough.
 */
bool queue__delay_move_yields(struct queue_delay_move *move);

/* Ends the move: entries [0, done_count) are done, the others go back. An error is tried again,
 * later. */
void queue__delay_move_end(struct queue_delay_move *move, uint32_t done_count, enum base_err err);

/* delay_rewrite.c */

/* Begins to write far messages again, further on, when most of the log in front of them is done:
 * a move into the list. Locked. */
void queue__delay_rewrite_maybe(struct queue_delay_log *log,
                                const struct partition_offsets *offsets,
                                const struct catalog_view *view, struct base_list *moves);

/* After nothing was found, or a failure: not for a while. Locked. */
void queue__delay_rewrite_pause(struct queue_delay_log *log);

/* The two ends of such a move. Home executor, not locked. */
void queue__delay_rewrite_take(struct queue_delay_move *move);
void queue__delay_rewrite_append(struct queue_delay_move *move);

/* delay_check.c */

/* The same for its first stage. True: it is over, with *err. */
bool queue__delay_check_run(struct queue_delay_move *move, enum base_err *err);
void queue__delay_check_fini(struct queue_delay_check *check);

/* Goes on with the next partition: what cannot be read cannot be compared, and duplicates are the
 * lesser evil. */
void queue__delay_check_skip(struct queue_delay_move *move, enum base_err err);

#endif
