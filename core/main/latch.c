/* Waiting of the main thread. */
#include "core/main/latch.h"

#include "core/base/list.h"

static void run_latch(struct base_task *task)
{
    main_latch_open(BASE_CONTAINER_OF(task, struct main_latch, task));
}

void main_latch_init(struct main_latch *latch)
{
    *latch = (struct main_latch){.task = {.run = run_latch}};
    (void)pthread_mutex_init(&latch->mutex, NULL);
    (void)pthread_cond_init(&latch->condition, NULL);
}

void main_latch_open(struct main_latch *latch)
{
    (void)pthread_mutex_lock(&latch->mutex);
    latch->open = true;
    (void)pthread_cond_signal(&latch->condition);
    (void)pthread_mutex_unlock(&latch->mutex);
}

void main_latch_wait(struct main_latch *latch)
{
    (void)pthread_mutex_lock(&latch->mutex);
    while (!latch->open) {
        (void)pthread_cond_wait(&latch->condition, &latch->mutex);
    }
    latch->open = false;
    (void)pthread_mutex_unlock(&latch->mutex);
}

void main_latch_fini(struct main_latch *latch)
{
    (void)pthread_cond_destroy(&latch->condition);
    (void)pthread_mutex_destroy(&latch->mutex);
}

struct call_task {
    struct main_latch latch; /* its task is posted once the call has returned */
    struct base_task task;
    struct base_executor *executor;
    void (*call)(void *context);
    void *context;
};

static void run_call(struct base_task *task)
{
    struct call_task *wrapped = BASE_CONTAINER_OF(task, struct call_task, task);
    wrapped->call(wrapped->context);
    base_executor_post(wrapped->executor, &wrapped->latch.task);
}

void main_run_on(struct base_executor *executor, void (*call)(void *context), void *context)
{
    struct call_task wrapped = {
        .task = {.run = run_call}, .executor = executor, .call = call, .context = context};
    main_latch_init(&wrapped.latch);
    base_executor_post(executor, &wrapped.task);
    main_latch_wait(&wrapped.latch);
    main_latch_fini(&wrapped.latch);
}

void main_start_and_wait(struct base_executor *executor, void (*start)(void *context),
                         void *context, struct main_latch *latch)
{
    main_run_on(executor, start, context);
    main_latch_wait(latch);
}
