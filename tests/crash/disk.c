/* The disk layer: preloaded into dmsd, it writes a journal of everything that changes files below
 * a directory, so that powercut.py can tell what a power cut might leave of it; and it lets a
 * chosen one of these calls fail, or be the last.
 *
 *   CRASH_DISK_ROOT     absolute path of the data directory
 *   CRASH_DISK_JOURNAL  the journal, appended to; none if not set
 *   CRASH_DISK_FAULT    see fault.h; the calls counted are those that change or sync files
 *
 * A change is in the journal when its call has returned, and a sync names the place in the journal
 * where it began: it covers what stands before that place. The journal is written by one write
 * each, so that SIGKILL leaves all of it, and at most half an entry that counts for nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/fault.h"

enum kind { WRITE = 1, TRUNCATE, SYNC, CREATE, MKDIR, RENAME, REMOVE };

/* An entry: this header, then length bytes (WRITE: the data; else names from the root on, RENAME
 * two of them with a NUL between). powercut.py has the layout too. */
struct entry {
    uint32_t kind;
    uint32_t length;
    uint64_t inode;
    uint64_t position; /* WRITE: in the file; TRUNCATE: size; SYNC: entries before it began */
    int64_t error;     /* SYNC: errno, 0 when it succeeded */
    double time;       /* CLOCK_MONOTONIC, seconds */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the journal's order, and names */
static int journal_fd = -1;
static uint64_t entries;
static char root[PATH_MAX];
static size_t root_length;

__attribute__((constructor)) static void start(void)
{
    const char *directory = getenv("CRASH_DISK_ROOT");
    const char *journal = getenv("CRASH_DISK_JOURNAL");

    fault_open("CRASH_DISK_FAULT");
    if (directory != NULL) {
        root_length = (size_t)snprintf(root, sizeof root, "%s", directory);
    }
    if (journal != NULL) {
        journal_fd = (int)syscall(SYS_openat, AT_FDCWD, journal,
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (journal_fd < 0 || root_length == 0) {
            abort();
        }
    }
}

/* Appends an entry; the lock is held. errno stays. */
static void note(struct entry entry, const struct iovec *vectors, int count)
{
    struct iovec all[IOV_MAX];
    struct timespec now;
    int saved = errno;

    if (journal_fd >= 0) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        entry.time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
        all[0] = (struct iovec){.iov_base = &entry, .iov_len = sizeof entry};
        for (int i = 0; i < count; i++) {
            all[i + 1] = vectors[i];
        }
        if (syscall(SYS_writev, journal_fd, all, count + 1) !=
            (long)(sizeof entry + entry.length)) {
            abort();
        }
        entries++;
    }
    errno = saved;
}

static void note_name(enum kind kind, uint64_t inode, const char *name)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)name, .iov_len = strlen(name)};
    struct entry entry = {.kind = kind, .length = (uint32_t)vector.iov_len, .inode = inode};
    note(entry, &vector, 1);
}

static uint64_t inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

/* The name below the root; false for what lies elsewhere. */
static bool name_below(int directory_fd, const char *path, char out[PATH_MAX])
{
    char link[64];
    char full[PATH_MAX];
    ssize_t length = 0;

    if (root_length == 0) {
        return false;
    }
    if (path[0] != '/' && directory_fd != AT_FDCWD) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", directory_fd);
        length = readlink(link, full, sizeof full - 1);
        if (length < 0) {
            return false;
        }
        full[length++] = '/';
    }
    if ((size_t)length + strlen(path) >= sizeof full) {
        abort();
    }
    (void)snprintf(full + length, sizeof full - (size_t)length, "%s", path);
    if (strncmp(full, root, root_length) != 0 || full[root_length] != '/') {
        return false;
    }
    (void)snprintf(out, PATH_MAX, "%s", full + root_length + 1);
    return true;
}

/* Counts the call; true if it fails, with errno. */
static bool fails(void)
{
    if (fault_count() == FAULT_NONE) {
        return false;
    }
    errno = fault_error();
    return true;
}

static int open_below(int directory_fd, const char *path, int flags, mode_t mode, const char *name)
{
    struct stat status;

    (void)pthread_mutex_lock(&lock);
    bool is_new = fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = -1;
    if (!is_new || !fails()) {
        fd = (int)syscall(SYS_openat, directory_fd, path, flags, mode);
    }
    if (fd >= 0 && is_new) {
        note_name(CREATE, inode_of(fd), name);
    } else if (fd >= 0 && (flags & O_TRUNC) != 0) {
        note((struct entry){.kind = TRUNCATE, .inode = inode_of(fd)}, NULL, 0);
    }
    (void)pthread_mutex_unlock(&lock);
    return fd;
}

int openat(int directory_fd, const char *path, int flags, ...)
{
    char name[PATH_MAX];
    mode_t mode = 0;

    if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if ((flags & (O_CREAT | O_TRUNC)) != 0 && name_below(directory_fd, path, name)) {
        return open_below(directory_fd, path, flags, mode, name);
    }
    return (int)syscall(SYS_openat, directory_fd, path, flags, mode);
}

int mkdirat(int directory_fd, const char *path, mode_t mode)
{
    char name[PATH_MAX];
    struct stat status;

    if (!name_below(directory_fd, path, name)) {
        return (int)syscall(SYS_mkdirat, directory_fd, path, mode);
    }
    (void)pthread_mutex_lock(&lock);
    int result = fails() ? -1 : (int)syscall(SYS_mkdirat, directory_fd, path, mode);
    if (result == 0 && fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        note_name(MKDIR, (uint64_t)status.st_ino, name);
    }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

int unlinkat(int directory_fd, const char *path, int flags)
{
    char name[PATH_MAX];

    if (!name_below(directory_fd, path, name)) {
        return (int)syscall(SYS_unlinkat, directory_fd, path, flags);
    }
    (void)pthread_mutex_lock(&lock);
    int result = fails() ? -1 : (int)syscall(SYS_unlinkat, directory_fd, path, flags);
    if (result == 0) {
        note_name(REMOVE, 0, name);
    }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    char names[2 * PATH_MAX];
    char target[PATH_MAX];

    if (!name_below(from_fd, from, names) || !name_below(to_fd, to, target)) {
        return (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
    }
    (void)pthread_mutex_lock(&lock);
    int result = fails() ? -1 : (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
    if (result == 0) {
        size_t length = strlen(names) + 1;
        memcpy(names + length, target, strlen(target));
        length += strlen(target);
        struct iovec vector = {.iov_base = names, .iov_len = length};
        note((struct entry){.kind = RENAME, .length = (uint32_t)length}, &vector, 1);
    }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

/* Cuts the vectors behind length bytes; how many are left. */
static int cut(struct iovec *vectors, int count, size_t length)
{
    int used = 0;
    for (; used < count && length > 0; used++) {
        if (vectors[used].iov_len > length) {
            vectors[used].iov_len = length;
        }
        length -= vectors[used].iov_len;
    }
    return used;
}

ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t position)
{
    struct iovec copy[IOV_MAX];
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        copy[i] = vectors[i];
        length += vectors[i].iov_len;
    }
    enum fault_kind fault = fault_count();
    if (fault == FAULT_ERROR) {
        errno = fault_error();
        return -1;
    }
    if (fault == FAULT_SHORT) {
        count = cut(copy, count, length / 2);
    }
    /* Splitting the position as the C library does: the kernel joins its halves again. */
    ssize_t written = syscall(SYS_pwritev, fd, copy, count, (long)position, 0L);
    if (written > 0) {
        count = cut(copy, count, (size_t)written);
        (void)pthread_mutex_lock(&lock);
        note((struct entry){.kind = WRITE,
                            .length = (uint32_t)written,
                            .inode = inode_of(fd),
                            .position = (uint64_t)position},
             copy, count);
        (void)pthread_mutex_unlock(&lock);
    }
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t position)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    return pwritev(fd, &vector, 1, position);
}

int ftruncate(int fd, off_t size)
{
    if (fails()) {
        return -1;
    }
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0) {
        (void)pthread_mutex_lock(&lock);
        note((struct entry){.kind = TRUNCATE, .inode = inode_of(fd), .position = (uint64_t)size},
             NULL, 0);
        (void)pthread_mutex_unlock(&lock);
    }
    return result;
}

static int sync_file(int fd, long call)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t before = entries;
    (void)pthread_mutex_unlock(&lock);
    int result = fails() ? -1 : (int)syscall(call, fd);
    (void)pthread_mutex_lock(&lock);
    note((struct entry){.kind = SYNC,
                        .inode = inode_of(fd),
                        .position = before,
                        .error = result == 0 ? 0 : errno},
         NULL, 0);
    (void)pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}
