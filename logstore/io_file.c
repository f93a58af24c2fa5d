/* Objects as files: the directory of all of them, their names, and errors. */
#define _GNU_SOURCE /* pwritev, flock, strerror_r */
#include "logstore/io_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "logstore/io_file_priv.h"

enum {
    DIRECTORY_MODE = 0750,
    STARVED_WARNING_US = 60 * 1000 * 1000, /* between two of them */
};

/* Descriptors are the process's, and whatever is opened fails while there are none. */
static void warn_starved(const char *call, const char *name, int cause)
{
    static atomic_int_fast64_t due_us;
    int64_t now_us = base_clock_monotonic_us(base_clock_system());
    int_fast64_t seen_us = atomic_load(&due_us);

    if (now_us >= seen_us &&
        atomic_compare_exchange_strong(&due_us, &seen_us, now_us + STARVED_WARNING_US)) {
        base_log(BASE_LOG_WARN, "DESCRIPTORS_RAN_OUT", "call=%s file=%s errno=%d", call, name,
                 cause);
    }
}

enum base_err logstore__file_failed(const char *call, const char *name)
{
    int cause = errno;
    char text[64];

    switch (cause) {
    case ENOENT:
        return BASE_ERR_NOT_FOUND;
    case EEXIST:
        return BASE_ERR_EXISTS;
    case EMFILE: /* connections may have taken them, and will give them back */
    case ENFILE:
        warn_starved(call, name, cause);
        return BASE_ERR_NOMEM;
    case ENOMEM:
        return BASE_ERR_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BASE_ERR_NO_SPACE;
    default:
        base_log(BASE_LOG_ERROR, "FILE_FAILED", "call=%s file=%s errno=%d cause=\"%s\"", call, name,
                 cause, strerror_r(cause, text, sizeof text));
        return BASE_ERR_IO;
    }
}

bool logstore__file_is_name(const char *name, size_t length)
{
    if (length == 0 || length >= LOGSTORE_NAME_SIZE || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

struct logstore__path logstore__file_path(const char *name)
{
    struct logstore__path path = {0};
    const char *slash = strchr(name, '/');

    BASE_ASSERT(slash != NULL);
    size_t length = (size_t)(slash - name);
    BASE_ASSERT(logstore__file_is_name(name, length));
    BASE_ASSERT(logstore__file_is_name(slash + 1, strlen(slash + 1)));
    memcpy(path.log_name, name, length);
    path.object_name = slash + 1;
    return path;
}

int logstore__file_directory(int parent_fd, const char *name)
{
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void logstore__file_close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

enum base_err logstore__file_enter(const struct logstore__file_io *io, const char *log_name,
                                   bool make, int *fd)
{
    *fd = logstore__file_directory(io->root_fd, log_name);
    if (*fd >= 0) {
        return BASE_ERR_OK;
    }
    if (errno != ENOENT || !make) {
        return logstore__file_failed("opendir", log_name);
    }
    if (mkdirat(io->root_fd, log_name, DIRECTORY_MODE) != 0 && errno != EEXIST) {
        return logstore__file_failed("mkdir", log_name);
    }
    if (fsync(io->root_fd) != 0) {
        return logstore__file_failed("fsync", log_name);
    }
    *fd = logstore__file_directory(io->root_fd, log_name);
    return *fd >= 0 ? BASE_ERR_OK : logstore__file_failed("opendir", log_name);
}

bool logstore__file_write(int fd, struct iovec *vectors, int count, uint64_t position)
{
    while (count > 0) {
        ssize_t written = pwritev(fd, vectors, count, (off_t)position);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            errno = written == 0 ? ENOSPC : errno;
            return false;
        }
        position += (uint64_t)written;
        size_t left = (size_t)written;
        while (count > 0 && left >= vectors->iov_len) {
            left -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (count > 0) {
            vectors->iov_base = (uint8_t *)vectors->iov_base + left;
            vectors->iov_len -= left;
        }
    }
    return true;
}

static const struct logstore_io_ops file_ops = {
    .append = logstore__file_append,
    .room = logstore__file_room,
    .sync = logstore__file_sync,
    .read = logstore__file_read,
    .file_range = logstore__file_range,
    .create = logstore__file_create,
    .open = logstore__file_open,
    .settle = logstore__file_settle,
    .close = logstore__file_close,
    .read_wait = logstore__file_read_wait,
    .sync_wait = logstore__file_sync_wait,
    .truncate = logstore__file_truncate,
    .warm = logstore__file_warm,
    .put = logstore__file_put,
    .put_lazy = logstore__file_put_lazy,
    .get = logstore__file_get,
    .remove = logstore__file_remove,
    .list = logstore__file_list,
    .list_logs = logstore__file_list_logs,
    .remove_all = logstore__file_remove_all,
};

static enum base_err open_root(struct logstore__file_io *io, const char *root)
{
    bool made = mkdirat(AT_FDCWD, root, DIRECTORY_MODE) == 0;
    if (!made && errno != EEXIST) {
        return logstore__file_failed("mkdir", root);
    }
    io->root_fd = openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (io->root_fd < 0) {
        return logstore__file_failed("opendir", root);
    }
    if (made) {
        int parent_fd = openat(io->root_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0 || fsync(parent_fd) != 0) {
            logstore__file_close_fd(&parent_fd);
            return logstore__file_failed("fsync", root);
        }
        logstore__file_close_fd(&parent_fd);
    }
    io->lock_fd = openat(io->root_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                         LOGSTORE__FILE_MODE);
    if (io->lock_fd < 0) {
        return logstore__file_failed("open", ".lock");
    }
    if (flock(io->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? BASE_ERR_BUSY : logstore__file_failed("flock", ".lock");
    }
    return BASE_ERR_OK;
}

enum base_err logstore_io_file_create(const struct logstore_io_file_options *options,
                                      struct logstore_io **out)
{
    BASE_ASSERT(options->root != NULL);
    BASE_ASSERT(options->worker != NULL);

    *out = NULL;
    struct logstore__file_io *io = base_alloc_object(struct logstore__file_io);
    if (io == NULL) {
        return BASE_ERR_NOMEM;
    }
    io->io = (struct logstore_io){.ops = &file_ops, .append_is_durable = false};
    io->worker = options->worker;
    io->root_fd = -1;
    io->lock_fd = -1;
    enum base_err err = open_root(io, options->root);
    struct logstore_io *created = &io->io;
    if (err != BASE_ERR_OK) {
        logstore_io_file_close(&created);
        return err == BASE_ERR_BUSY || err == BASE_ERR_NOMEM ? err : BASE_ERR_IO;
    }
    *out = created;
    return BASE_ERR_OK;
}

void logstore_io_file_close(struct logstore_io **io)
{
    if (*io == NULL) {
        return;
    }
    struct logstore__file_io *file = logstore__file_io_of(*io);
    logstore__file_close_fd(&file->lock_fd);
    logstore__file_close_fd(&file->root_fd);
    base_free(file);
    *io = NULL;
}
