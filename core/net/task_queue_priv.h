/* FIFO of tasks, linked through the tasks themselves. No lock of its own. */
#ifndef NET_TASK_QUEUE_PRIV_H
#define NET_TASK_QUEUE_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/executor.h"

/* Zeroed is empty. */
struct net__task_queue {
    struct base_task *first; /* borrowed until run */
    struct base_task *last;
};

static inline bool net__task_queue_is_empty(const struct net__task_queue *queue)
{
    return queue->first == NULL;
}

static inline void net__task_queue_push(struct net__task_queue *queue, struct base_task *task)
{
    task->next = NULL;
    if (queue->first == NULL) {
        queue->first = task;
    } else {
        queue->last->next = task;
    }
    queue->last = task;
}

/* NULL when empty. */
static inline struct base_task *net__task_queue_pop(struct net__task_queue *queue)
{
    struct base_task *task = queue->first;
    if (task != NULL) {
        queue->first = task->next;
        task->next = NULL;
    }
    return task;
}

/* Moves all of tail behind what is in queue. */
static inline void net__task_queue_append(struct net__task_queue *queue,
                                          struct net__task_queue *tail)
{
    if (queue->first == NULL) {
        *queue = *tail;
    } else if (tail->first != NULL) {
        queue->last->next = tail->first;
        queue->last = tail->last;
    }
    *tail = (struct net__task_queue){0};
}

#endif
