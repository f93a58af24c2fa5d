/* See fault.h. */
#define _GNU_SOURCE
#include "tests/crash/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct fault_control nothing;
static struct fault_control *control = &nothing;

/* System calls by hand: the functions of these names are ours. */
void fault_open(const char *variable)
{
    const char *path = getenv(variable);
    if (path == NULL) {
        return;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        abort();
    }
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        abort();
    }
    (void)syscall(SYS_close, fd);
    control = mapped;
}

enum fault_kind fault_count(void)
{
    uint64_t call = atomic_fetch_add(&control->calls, 1);
    enum fault_kind kind = (enum fault_kind)atomic_load(&control->kind);
    uint64_t fail_at = atomic_load(&control->fail_at);

    if (kind == FAULT_NONE || call < fail_at || call - fail_at >= atomic_load(&control->times)) {
        return FAULT_NONE;
    }
    bool is_first = atomic_fetch_add(&control->hits, 1) == 0;
    if (kind == FAULT_KILL) {
        (void)kill(getpid(), SIGKILL);
        for (;;) {
            (void)pause();
        }
    }
    return kind == FAULT_SHORT && !is_first ? FAULT_ERROR : kind;
}

int fault_error(void)
{
    return (int)atomic_load(&control->error);
}
