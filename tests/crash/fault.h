/* The countdown fault of the preloaded layers, in a file that the test maps as well: it counts,
 * and the test arms it before the start or while the process runs. */
#ifndef CRASH_FAULT_H
#define CRASH_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What happens when the countdown ends. */
enum fault_kind {
    FAULT_NONE,
    FAULT_ERROR, /* the call fails with `error`, and so do the `times - 1` that follow */
    FAULT_SHORT, /* a write takes half of its bytes; those that follow fail as above */
    FAULT_KILL,  /* SIGKILL in front of the call */
};

/* The layout of the file: crash.py has it too. All in the machine's byte order. */
struct fault_control {
    _Atomic uint64_t calls;   /* so far, of the kind that the layer counts */
    _Atomic uint64_t fail_at; /* the first call that fails; counted from 0 */
    _Atomic uint64_t times;
    _Atomic uint64_t hits;  /* calls that failed */
    _Atomic uint32_t error; /* errno */
    _Atomic uint32_t kind;  /* enum fault_kind; written last when arming */
};

/* Maps the file that the environment variable names. Without one, nothing ever fails. */
void fault_open(const char *variable);

/* Counts one call; what is to happen to it. FAULT_KILL does not return. */
enum fault_kind fault_count(void);

/* errno of the fault. */
int fault_error(void);

#endif
