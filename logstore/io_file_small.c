/* Small objects as files, which are replaced whole, and what directories hold. */
#define _GNU_SOURCE /* renameat */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/list.h"
#include "logstore/io_file_priv.h"

enum { LAZY_BYTES_MAX = 512 };

#define TEMPORARY_SUFFIX ".tmp" /* content of a put() that is not complete */

/* Writes content at the start of fd, which is then cut behind it. */
static bool write_content(int fd, struct base_slice content)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)content.data, .iov_len = content.length};
    return logstore__file_write(fd, &vector, content.length > 0 ? 1 : 0, 0) &&
           ftruncate(fd, (off_t)content.length) == 0;
}

static enum base_err put_temporary(int directory_fd, const char *temporary, const char *name,
                                   struct base_slice content)
{
    enum base_err err = BASE_ERR_OK;
    int fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    LOGSTORE__FILE_MODE);
    if (fd < 0) {
        return logstore__file_failed("create", name);
    }
    if (!write_content(fd, content)) {
        err = logstore__file_failed("write", name);
    } else if (fdatasync(fd) != 0) {
        (void)logstore__file_failed("fdatasync", name);
        err = BASE_ERR_IO;
    }
    (void)close(fd);
    return err;
}

enum base_err logstore__file_put(struct logstore_io *base, const char *name,
                                 struct base_slice content)
{
    struct logstore__path path = logstore__file_path(name);
    char temporary[LOGSTORE_NAME_SIZE + sizeof TEMPORARY_SUFFIX];
    int directory_fd = -1;

    enum base_err err =
        logstore__file_enter(logstore__file_io_of(base), path.log_name, true, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err;
    }
    (void)snprintf(temporary, sizeof temporary, "%s" TEMPORARY_SUFFIX, path.object_name);
    err = put_temporary(directory_fd, temporary, name, content);
    if (err == BASE_ERR_OK &&
        renameat(directory_fd, temporary, directory_fd, path.object_name) != 0) {
        err = logstore__file_failed("rename", name);
    }
    if (err != BASE_ERR_OK) {
        (void)unlinkat(directory_fd, temporary, 0);
    } else if (fsync(directory_fd) != 0) {
        (void)logstore__file_failed("fsync", name);
        err = BASE_ERR_IO;
    }
    logstore__file_close_fd(&directory_fd);
    return err;
}

enum base_err logstore__file_put_lazy(struct logstore_io *base, const char *name,
                                      struct base_slice content)
{
    BASE_ASSERT(content.length <= LAZY_BYTES_MAX);
    (void)logstore__file_path(name); /* checks it */
    int fd = openat(logstore__file_io_of(base)->root_fd, name,
                    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, LOGSTORE__FILE_MODE);
    if (fd < 0) {
        return logstore__file_failed("open", name);
    }
    struct iovec vector = {.iov_base = (void *)(uintptr_t)content.data, .iov_len = content.length};
    enum base_err err = logstore__file_write(fd, &vector, 1, 0)
                            ? BASE_ERR_OK
                            : logstore__file_failed("write", name);
    (void)close(fd);
    return err;
}

enum base_err logstore__file_get(struct logstore_io *base, const char *name, size_t size_bytes_max,
                                 struct base_buffer **out, size_t *length)
{
    struct logstore_object *object = NULL;
    struct base_buffer *buffer = NULL;
    uint64_t size_bytes = 0;

    *out = NULL;
    *length = 0;
    enum base_err err = logstore__file_open(base, name, &object, &size_bytes);
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (size_bytes > size_bytes_max) {
        err = BASE_ERR_TOO_LARGE;
        goto exit;
    }
    buffer = base_buffer_create((size_t)size_bytes);
    if (buffer == NULL) {
        err = BASE_ERR_NOMEM;
        goto exit;
    }
    err = logstore__file_read_wait(base, object, 0, buffer->data, (size_t)size_bytes, length);
    if (err == BASE_ERR_OK) {
        *out = buffer;
        buffer = NULL;
    }

exit:
    base_buffer_release(&buffer);
    logstore__file_close(base, &object);
    return err;
}

enum base_err logstore__file_remove(struct logstore_io *base, const char *name)
{
    struct logstore__path path = logstore__file_path(name);
    int directory_fd = -1;

    enum base_err err =
        logstore__file_enter(logstore__file_io_of(base), path.log_name, false, &directory_fd);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (unlinkat(directory_fd, path.object_name, 0) != 0) {
        err = logstore__file_failed("unlink", name);
        err = err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
    } else if (fsync(directory_fd) != 0) {
        (void)logstore__file_failed("fsync", name);
        err = BASE_ERR_IO;
    }
    logstore__file_close_fd(&directory_fd);
    return err;
}

static bool is_temporary(const char *name)
{
    size_t length = strlen(name);
    size_t suffix_length = sizeof TEMPORARY_SUFFIX - 1;
    return length > suffix_length && strcmp(name + length - suffix_length, TEMPORARY_SUFFIX) == 0;
}

/* Calls visit for what is in directory_fd, which it takes over: all plain files, or all
 * directories. */
static enum base_err visit_directory(int directory_fd, mode_t type, logstore_io_visit *visit,
                                     void *context)
{
    DIR *directory = fdopendir(directory_fd);
    if (directory == NULL) {
        enum base_err err = logstore__file_failed("fdopendir", "");
        (void)close(directory_fd);
        return err;
    }
    enum base_err err = BASE_ERR_OK;
    for (;;) {
        struct stat status;
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            err = errno == 0 ? BASE_ERR_OK : logstore__file_failed("readdir", "");
            break;
        }
        if (!logstore__file_is_name(entry->d_name, strlen(entry->d_name)) ||
            is_temporary(entry->d_name)) {
            continue;
        }
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) {
                continue; /* removed since */
            }
            err = logstore__file_failed("stat", entry->d_name);
            break;
        }
        uint64_t size_bytes = type == S_IFREG ? (uint64_t)status.st_size : 0;
        if ((status.st_mode & S_IFMT) == type && !visit(context, entry->d_name, size_bytes)) {
            break;
        }
    }
    (void)closedir(directory);
    return err;
}

enum base_err logstore__file_list(struct logstore_io *base, const char *log_name,
                                  logstore_io_visit *visit, void *context)
{
    int directory_fd = -1;

    BASE_ASSERT(logstore__file_is_name(log_name, strlen(log_name)));
    enum base_err err =
        logstore__file_enter(logstore__file_io_of(base), log_name, false, &directory_fd);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    return err == BASE_ERR_OK ? visit_directory(directory_fd, S_IFREG, visit, context) : err;
}

enum base_err logstore__file_list_logs(struct logstore_io *base, logstore_io_visit *visit,
                                       void *context)
{
    int directory_fd = logstore__file_directory(logstore__file_io_of(base)->root_fd, ".");
    if (directory_fd < 0) {
        return logstore__file_failed("opendir", ".");
    }
    return visit_directory(directory_fd, S_IFDIR, visit, context);
}

static enum base_err remove_files(int directory_fd, const char *log_name)
{
    /* A descriptor of its own: fdopendir takes it over and moves its position. */
    int list_fd = logstore__file_directory(directory_fd, ".");
    if (list_fd < 0) {
        return logstore__file_failed("opendir", log_name);
    }
    DIR *directory = fdopendir(list_fd);
    if (directory == NULL) {
        enum base_err err = logstore__file_failed("fdopendir", log_name);
        (void)close(list_fd);
        return err;
    }
    enum base_err err = BASE_ERR_OK;
    for (struct dirent *entry = readdir(directory); entry != NULL && err == BASE_ERR_OK;
         entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(directory_fd, entry->d_name, 0) != 0 && errno != ENOENT) {
            err = logstore__file_failed("unlink", log_name);
        }
    }
    (void)closedir(directory);
    return err;
}

enum base_err logstore__file_remove_all(struct logstore_io *base, const char *log_name)
{
    struct logstore__file_io *io = logstore__file_io_of(base);
    int directory_fd = -1;

    BASE_ASSERT(logstore__file_is_name(log_name, strlen(log_name)));
    enum base_err err = logstore__file_enter(io, log_name, false, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
    }
    err = remove_files(directory_fd, log_name);
    logstore__file_close_fd(&directory_fd);
    if (err == BASE_ERR_OK && unlinkat(io->root_fd, log_name, AT_REMOVEDIR) != 0) {
        err = logstore__file_failed("rmdir", log_name);
    }
    if (err == BASE_ERR_OK && fsync(io->root_fd) != 0) {
        (void)logstore__file_failed("fsync", log_name);
        err = BASE_ERR_IO;
    }
    return err;
}
