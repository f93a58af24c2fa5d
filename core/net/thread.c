/* Thread start with signals blocked, thread names. */
#include "core/net/thread_priv.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "core/base/assert.h"
#include "core/base/log.h"

enum { THREAD_NAME_SIZE = 16 }; /* the kernel's limit, with the terminator */

enum base_err net__thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t blocked;
    sigset_t before;

    sigfillset(&blocked);
    /* A fault of this thread itself must reach its handler. */
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGABRT);

    int failed = pthread_sigmask(SIG_SETMASK, &blocked, &before);
    BASE_ASSERT(!failed);
    int error = pthread_create(thread, NULL, run, argument);
    failed = pthread_sigmask(SIG_SETMASK, &before, NULL);
    BASE_ASSERT(!failed);

    if (error != 0) {
        base_log(BASE_LOG_ERROR, "THREAD_START_FAILED", "errno=%d", error);
        return BASE_ERR_IO;
    }
    return BASE_ERR_OK;
}

void net__thread_name(const char *kind, unsigned index)
{
    char name[THREAD_NAME_SIZE];

    (void)snprintf(name, sizeof name, "%s-%u", kind, index);
    (void)prctl(PR_SET_NAME, name);
}
