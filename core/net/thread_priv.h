/* Threads of this library: named, and deaf to signals, which belong to main. */
#ifndef NET_THREAD_PRIV_H
#define NET_THREAD_PRIV_H

#include <pthread.h>

#include "core/base/err.h"

/* Starts run(argument) with every asynchronous signal blocked. SIGPIPE is among
 * them: sendfile has no MSG_NOSIGNAL. IO when the system refuses a thread. */
BASE_MUST_USE enum base_err net__thread_start(pthread_t *thread, void *(*run)(void *),
                                              void *argument);

/* Names the calling thread "<kind>-<index>". */
void net__thread_name(const char *kind, unsigned index);

#endif
