/* Files of secrets: written beside their place, synced, and moved there. */
#define _GNU_SOURCE /* renameat */
#include "core/main/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/log.h"

enum { NAME_SIZE = 64, SECRET_MODE = 0600 };

#define TEMPORARY_SUFFIX ".tmp" /* content that is not complete */

enum base_err main_secret_file_refuse(const char *path, const char *cause)
{
    base_log(BASE_LOG_ERROR, "SECRET_FILE_REFUSED", "file=%s cause=\"%s\"", path, cause);
    return BASE_ERR_INVALID;
}

static int open_directory(const char *directory)
{
    return openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void name_temporary(const char *name, char out[NAME_SIZE])
{
    int length = snprintf(out, NAME_SIZE, "%s" TEMPORARY_SUFFIX, name);
    BASE_ASSERT(length > 0 && length < NAME_SIZE);
}

/* The cause of the failure; NULL when it is written. */
static const char *write_temporary(int directory_fd, const char *temporary, const void *data,
                                   size_t size)
{
    const char *cause = NULL;

    int fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                    SECRET_MODE);
    if (fd < 0) {
        return strerror(errno);
    }
    ssize_t written = pwrite(fd, data, size, 0);
    if (written < 0 || (written == (ssize_t)size && fsync(fd) != 0)) {
        cause = strerror(errno);
    } else if (written != (ssize_t)size) {
        cause = strerror(ENOSPC); /* the only way for so few bytes to be cut */
    }
    (void)close(fd);
    return cause;
}

enum base_err main_secret_file_write(const char *directory, const char *name, const void *data,
                                     size_t size)
{
    char temporary[NAME_SIZE];

    name_temporary(name, temporary);
    int directory_fd = open_directory(directory);
    if (directory_fd < 0) {
        return main_secret_file_refuse(directory, strerror(errno));
    }
    (void)unlinkat(directory_fd, temporary, 0);
    const char *cause = write_temporary(directory_fd, temporary, data, size);
    if (cause == NULL && renameat(directory_fd, temporary, directory_fd, name) != 0) {
        cause = strerror(errno);
    }
    if (cause != NULL) {
        (void)unlinkat(directory_fd, temporary, 0);
    } else if (fsync(directory_fd) != 0) {
        cause = strerror(errno);
    }
    (void)close(directory_fd);
    return cause == NULL ? BASE_ERR_OK : main_secret_file_refuse(name, cause);
}

void main_secret_file_tidy(const char *directory, const char *name)
{
    char temporary[NAME_SIZE];

    name_temporary(name, temporary);
    int directory_fd = open_directory(directory);
    if (directory_fd >= 0) {
        (void)unlinkat(directory_fd, temporary, 0);
        (void)close(directory_fd);
    }
}

enum base_err main_secret_file_sync(const char *directory)
{
    int directory_fd = open_directory(directory);
    const char *cause = directory_fd >= 0 && fsync(directory_fd) == 0 ? NULL : strerror(errno);

    if (directory_fd >= 0) {
        (void)close(directory_fd);
    }
    return cause == NULL ? BASE_ERR_OK : main_secret_file_refuse(directory, cause);
}

enum base_err main_secret_file_read(const char *path, void *data, size_t size, size_t *length)
{
    struct stat facts;
    enum base_err err = BASE_ERR_OK;

    *length = 0;
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? BASE_ERR_NOT_FOUND
                               : main_secret_file_refuse(path, strerror(errno));
    }
    ssize_t got = read(fd, data, size);
    if (got < 0 || fstat(fd, &facts) != 0) {
        err = main_secret_file_refuse(path, strerror(errno));
    } else if ((facts.st_mode & 077) != 0) {
        err =
            main_secret_file_refuse(path, "others than its owner may read it; expected mode 0600");
    } else if (facts.st_size != got) {
        err = main_secret_file_refuse(path, "it is too long");
    } else {
        *length = (size_t)got;
    }
    (void)close(fd);
    return err;
}
