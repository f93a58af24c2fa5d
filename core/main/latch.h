/* How the main thread waits for tasks that run elsewhere: at start-up and shutdown only. */
#ifndef MAIN_LATCH_H
#define MAIN_LATCH_H

#include <pthread.h>
#include <stdbool.h>

#include "core/base/executor.h"

/* A task that opens the latch when it runs. */
struct main_latch {
    struct base_task task;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool open;
};

void main_latch_init(struct main_latch *latch);

/* What its task does. Any thread. */
void main_latch_open(struct main_latch *latch);

/* Waits until the task has run, and closes the latch again for the next use. */
void main_latch_wait(struct main_latch *latch);
void main_latch_fini(struct main_latch *latch);

/* Runs call(context) on executor and waits until it has returned. */
void main_run_on(struct base_executor *executor, void (*call)(void *context), void *context);

/* The same for a call that begins something: also waits until that has opened the latch. */
void main_start_and_wait(struct base_executor *executor, void (*start)(void *context),
                         void *context, struct main_latch *latch);

#endif
