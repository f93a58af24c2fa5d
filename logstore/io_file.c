/* Objects as files. Appends go to the page cache in place, in pieces small enough to stay
 * in the processor's cache; everything that may wait runs on the worker. */
#define _GNU_SOURCE /* preadv2, pwritev, flock, strerror_r */
#include "logstore/io_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/file.h"
#include "core/base/list.h"
#include "core/base/log.h"

enum {
    PIECE_BYTES_MAX = 256 << 10, /* larger writes cost more per byte; a power of two */
    PIECE_CHUNKS_MAX = 64,
    RESIDENT_STEP_BYTES = 64 << 10, /* one byte is probed every so many */
    WARM_BYTES = 64 << 10,
    LAZY_BYTES_MAX = 512,
    DIRECTORY_MODE = 0750,
    FILE_MODE = 0640,
};

#define TEMPORARY_SUFFIX ".tmp" /* content of a put() that is not complete */

struct io_file {
    struct logstore_io io;
    struct base_executor *worker; /* borrowed */
    int root_fd;                  /* owned */
    int lock_fd;                  /* owned; flock'ed */
};

struct file_object {
    struct logstore_object object;
    struct base_file *file; /* counted */
    atomic_bool poisoned;   /* a sync failed: what the cache says is not to be believed */
    char name[LOGSTORE_NAME_SIZE];
};

static struct io_file *io_of(struct logstore_io *io)
{
    return BASE_CONTAINER_OF(io, struct io_file, io);
}

static struct file_object *object_of(struct logstore_object *object)
{
    return BASE_CONTAINER_OF(object, struct file_object, object);
}

/* The one place where errno becomes a code, and where an unexpected one is logged. */
static enum base_err failed(const char *call, const char *name)
{
    int cause = errno;
    char text[64];

    switch (cause) {
    case ENOENT:
        return BASE_ERR_NOT_FOUND;
    case EEXIST:
        return BASE_ERR_EXISTS;
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

/* "<log>/<object>" taken apart. */
struct path {
    char log_name[LOGSTORE_NAME_SIZE];
    const char *object_name; /* points into the full name */
};

static bool is_good_name(const char *name, size_t length)
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

static struct path split(const char *name)
{
    struct path path = {0};
    const char *slash = strchr(name, '/');

    BASE_ASSERT(slash != NULL);
    size_t length = (size_t)(slash - name);
    BASE_ASSERT(is_good_name(name, length));
    BASE_ASSERT(is_good_name(slash + 1, strlen(slash + 1)));
    memcpy(path.log_name, name, length);
    path.object_name = slash + 1;
    return path;
}

static int open_directory(int parent_fd, const char *name)
{
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* Opens the directory of a log, making it if it is missing. */
static enum base_err enter(const struct io_file *io, const char *log_name, bool make, int *fd)
{
    *fd = open_directory(io->root_fd, log_name);
    if (*fd >= 0) {
        return BASE_ERR_OK;
    }
    if (errno != ENOENT || !make) {
        return failed("opendir", log_name);
    }
    if (mkdirat(io->root_fd, log_name, DIRECTORY_MODE) != 0 && errno != EEXIST) {
        return failed("mkdir", log_name);
    }
    if (fsync(io->root_fd) != 0) {
        return failed("fsync", log_name);
    }
    *fd = open_directory(io->root_fd, log_name);
    return *fd >= 0 ? BASE_ERR_OK : failed("opendir", log_name);
}

/* Takes fd over, also on an error. */
static enum base_err make_object(struct io_file *io, const char *name, int fd,
                                 struct logstore_object **out)
{
    struct file_object *object = base_alloc_object(struct file_object);
    if (object != NULL) {
        object->file = base_file_create(fd);
    }
    if (object == NULL || object->file == NULL) {
        (void)close(fd);
        base_free(object);
        return BASE_ERR_NOMEM;
    }
    object->object.io = &io->io;
    atomic_init(&object->poisoned, false);
    (void)snprintf(object->name, sizeof object->name, "%s", name);
    *out = &object->object;
    return BASE_ERR_OK;
}

static enum base_err file_create(struct logstore_io *base, const char *name,
                                 struct logstore_object **out)
{
    struct io_file *io = io_of(base);
    struct path path = split(name);
    int directory_fd = -1;

    *out = NULL;
    enum base_err err = enter(io, path.log_name, true, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err;
    }
    int fd = openat(directory_fd, path.object_name,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        err = failed("create", name);
    } else if (fsync(directory_fd) != 0) {
        err = failed("fsync", name);
        (void)close(fd);
    } else {
        err = make_object(io, name, fd, out);
    }
    if (err != BASE_ERR_OK && fd >= 0) {
        (void)unlinkat(directory_fd, path.object_name, 0);
    }
    close_fd(&directory_fd);
    return err;
}

static enum base_err file_open(struct logstore_io *base, const char *name,
                               struct logstore_object **out, uint64_t *size_bytes)
{
    struct io_file *io = io_of(base);
    struct path path = split(name);
    struct stat status;
    int directory_fd = -1;

    *out = NULL;
    *size_bytes = 0;
    enum base_err err = enter(io, path.log_name, false, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err;
    }
    int fd = openat(directory_fd, path.object_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    close_fd(&directory_fd);
    if (fd < 0) {
        return failed("open", name);
    }
    if (fstat(fd, &status) != 0) {
        err = failed("stat", name);
        (void)close(fd);
        return err;
    }
    *size_bytes = (uint64_t)status.st_size;
    return make_object(io, name, fd, out);
}

static void file_close(struct logstore_io *base, struct logstore_object **object)
{
    (void)base;
    if (*object == NULL) {
        return;
    }
    struct file_object *file = object_of(*object);
    base_file_release(&file->file);
    base_free(file);
    *object = NULL;
}

/* Next piece of the chunks, up to bytes_max bytes as vectors. Moves the cursor. */
struct cursor {
    const struct base_chunk *chunks;
    size_t chunks_count;
    size_t index;  /* of the chunk that comes next */
    size_t offset; /* bytes of it that were taken */
};

static size_t next_piece(struct cursor *cursor, size_t bytes_max,
                         struct iovec vectors[PIECE_CHUNKS_MAX], int *count)
{
    size_t bytes = 0;

    *count = 0;
    while (cursor->index < cursor->chunks_count && *count < PIECE_CHUNKS_MAX && bytes < bytes_max) {
        const struct base_chunk *chunk = &cursor->chunks[cursor->index];
        size_t length = chunk->length - cursor->offset;
        if (length > bytes_max - bytes) {
            length = bytes_max - bytes;
        }
        BASE_ASSERT(chunk->buffer != NULL);
        vectors[*count] = (struct iovec){
            .iov_base = chunk->buffer->data + chunk->position + cursor->offset,
            .iov_len = length,
        };
        *count += 1;
        bytes += length;
        cursor->offset += length;
        if (cursor->offset == chunk->length) {
            cursor->index++;
            cursor->offset = 0;
        }
    }
    return bytes;
}

/* Writes vectors whole; OK, or errno is set. */
static bool write_whole(int fd, struct iovec *vectors, int count, uint64_t position)
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

/* A piece that ends where a page cache folio of its size would: the kernel takes as large
 * folios as the position allows, and what it does for each costs more than the bytes. */
static size_t piece_bytes_max(uint64_t position)
{
    return PIECE_BYTES_MAX - (size_t)(position % PIECE_BYTES_MAX);
}

static enum logstore_io_state file_append(struct logstore_io *base, struct logstore_object *object,
                                          uint64_t position, const struct base_chunk *chunks,
                                          size_t chunks_count, struct logstore_io_op *op)
{
    struct file_object *file = object_of(object);
    struct cursor cursor = {.chunks = chunks, .chunks_count = chunks_count};
    struct iovec vectors[PIECE_CHUNKS_MAX];
    uint64_t start = position;
    int count = 0;

    (void)base;
    op->err = BASE_ERR_OK;
    if (atomic_load_explicit(&file->poisoned, memory_order_relaxed)) {
        op->err = BASE_ERR_IO;
        return LOGSTORE_IO_DONE;
    }
    for (size_t bytes = next_piece(&cursor, piece_bytes_max(position), vectors, &count); bytes > 0;
         bytes = next_piece(&cursor, piece_bytes_max(position), vectors, &count)) {
        if (!write_whole(file->file->fd, vectors, count, position)) {
            op->err = failed("write", file->name);
            /* Half a batch must not stay: the next append starts where this one did. */
            if (ftruncate(file->file->fd, (off_t)start) != 0) {
                op->err = failed("truncate", file->name);
                op->err = op->err == BASE_ERR_NO_SPACE ? BASE_ERR_IO : op->err;
            }
            break;
        }
        position += bytes;
    }
    return LOGSTORE_IO_DONE;
}

static enum base_err file_sync_wait(struct logstore_io *base, struct logstore_object *object)
{
    struct file_object *file = object_of(object);

    (void)base;
    if (atomic_load(&file->poisoned)) {
        return BASE_ERR_IO;
    }
    if (fdatasync(file->file->fd) != 0) {
        /* Never again: the kernel marks the pages clean, a second try would succeed. */
        atomic_store(&file->poisoned, true);
        (void)failed("fdatasync", file->name);
        return BASE_ERR_IO;
    }
    return BASE_ERR_OK;
}

static void end_op(struct logstore_io_op *op)
{
    base_executor_post(op->executor, &op->task);
}

static void sync_on_worker(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, work);

    op->err = file_sync_wait(op->object->io, op->object);
    if (op->err == BASE_ERR_OK && op->on_synced != NULL) {
        op->on_synced(op);
    }
    end_op(op);
}

static enum logstore_io_state file_sync(struct logstore_io *base, struct logstore_object *object,
                                        struct logstore_io_op *op)
{
    op->object = object;
    op->work.run = sync_on_worker;
    base_executor_post(io_of(base)->worker, &op->work);
    return LOGSTORE_IO_PENDING;
}

static enum base_err file_read_wait(struct logstore_io *base, struct logstore_object *object,
                                    uint64_t position, void *data, size_t length,
                                    size_t *length_read)
{
    struct file_object *file = object_of(object);

    (void)base;
    *length_read = 0;
    while (*length_read < length) {
        ssize_t got = pread(file->file->fd, (uint8_t *)data + *length_read, length - *length_read,
                            (off_t)(position + *length_read));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return failed("read", file->name);
        }
        if (got == 0) {
            break;
        }
        *length_read += (size_t)got;
    }
    return BASE_ERR_OK;
}

static void read_on_worker(struct base_task *task)
{
    struct logstore_io_op *op = BASE_CONTAINER_OF(task, struct logstore_io_op, work);

    op->err = file_read_wait(op->object->io, op->object, op->position, op->data, op->data_length,
                             &op->length);
    end_op(op);
}

static enum logstore_io_state file_read(struct logstore_io *base, struct logstore_object *object,
                                        uint64_t position, void *data, size_t length,
                                        struct logstore_io_op *op)
{
    struct file_object *file = object_of(object);
    struct iovec vector = {.iov_base = data, .iov_len = length};

    op->err = BASE_ERR_OK;
    op->length = 0;
    ssize_t got = preadv2(file->file->fd, &vector, 1, (off_t)position, RWF_NOWAIT);
    if (got >= 0 && (size_t)got == length) {
        op->length = length;
        return LOGSTORE_IO_DONE;
    }
    /* Not in memory, the end of the file, or a file system without RWF_NOWAIT. */
    op->object = object;
    op->position = position;
    op->data = data;
    op->data_length = length;
    op->work.run = read_on_worker;
    base_executor_post(io_of(base)->worker, &op->work);
    return LOGSTORE_IO_PENDING;
}

static bool is_resident(int fd, uint64_t position, size_t length)
{
    uint8_t byte = 0;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    uint64_t last = position + length - 1;

    for (uint64_t at = position; at < last; at += RESIDENT_STEP_BYTES) {
        if (preadv2(fd, &vector, 1, (off_t)at, RWF_NOWAIT) != 1) {
            return false;
        }
    }
    return preadv2(fd, &vector, 1, (off_t)last, RWF_NOWAIT) == 1;
}

static bool file_range(struct logstore_io *base, struct logstore_object *object, uint64_t position,
                       size_t length, struct base_chunk *out)
{
    struct file_object *file = object_of(object);

    (void)base;
    BASE_ASSERT(length > 0);
    if (!is_resident(file->file->fd, position, length)) {
        return false;
    }
    *out = (struct base_chunk){
        .file = base_file_hold(file->file), .position = position, .length = length};
    return true;
}

static enum base_err file_warm(struct logstore_io *base, struct logstore_object *object,
                               uint64_t position, size_t length)
{
    struct file_object *file = object_of(object);
    uint8_t *scratch = base_alloc(WARM_BYTES);
    enum base_err err = BASE_ERR_OK;

    if (scratch == NULL) {
        return BASE_ERR_NOMEM;
    }
    (void)posix_fadvise(file->file->fd, (off_t)position, (off_t)length, POSIX_FADV_WILLNEED);
    while (err == BASE_ERR_OK && length > 0) {
        size_t step = length < WARM_BYTES ? length : WARM_BYTES;
        size_t got = 0;
        err = file_read_wait(base, object, position, scratch, step, &got);
        position += step;
        length -= step;
    }
    base_free(scratch);
    return err;
}

static enum base_err file_settle(struct logstore_io *base, struct logstore_object *object,
                                 uint64_t position)
{
    struct file_object *file = object_of(object);
    enum base_err err = file_sync_wait(base, object);

    if (err == BASE_ERR_OK) {
        (void)posix_fadvise(file->file->fd, (off_t)position, 0, POSIX_FADV_DONTNEED);
    }
    return err;
}

static enum base_err file_truncate(struct logstore_io *base, struct logstore_object *object,
                                   uint64_t size_bytes)
{
    struct file_object *file = object_of(object);

    if (ftruncate(file->file->fd, (off_t)size_bytes) != 0) {
        (void)failed("truncate", file->name);
        return BASE_ERR_IO;
    }
    return file_sync_wait(base, object);
}

/* Writes content at the start of fd, which is then cut behind it. */
static bool write_content(int fd, struct base_slice content)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)content.data, .iov_len = content.length};
    return write_whole(fd, &vector, content.length > 0 ? 1 : 0, 0) &&
           ftruncate(fd, (off_t)content.length) == 0;
}

static enum base_err put_temporary(int directory_fd, const char *temporary, const char *name,
                                   struct base_slice content)
{
    enum base_err err = BASE_ERR_OK;
    int fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    FILE_MODE);
    if (fd < 0) {
        return failed("create", name);
    }
    if (!write_content(fd, content)) {
        err = failed("write", name);
    } else if (fdatasync(fd) != 0) {
        (void)failed("fdatasync", name);
        err = BASE_ERR_IO;
    }
    (void)close(fd);
    return err;
}

static enum base_err file_put(struct logstore_io *base, const char *name, struct base_slice content)
{
    struct path path = split(name);
    char temporary[LOGSTORE_NAME_SIZE + sizeof TEMPORARY_SUFFIX];
    int directory_fd = -1;

    enum base_err err = enter(io_of(base), path.log_name, true, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err;
    }
    (void)snprintf(temporary, sizeof temporary, "%s" TEMPORARY_SUFFIX, path.object_name);
    err = put_temporary(directory_fd, temporary, name, content);
    if (err == BASE_ERR_OK &&
        renameat(directory_fd, temporary, directory_fd, path.object_name) != 0) {
        err = failed("rename", name);
    }
    if (err != BASE_ERR_OK) {
        (void)unlinkat(directory_fd, temporary, 0);
    } else if (fsync(directory_fd) != 0) {
        (void)failed("fsync", name);
        err = BASE_ERR_IO;
    }
    close_fd(&directory_fd);
    return err;
}

static enum base_err file_put_lazy(struct logstore_io *base, const char *name,
                                   struct base_slice content)
{
    BASE_ASSERT(content.length <= LAZY_BYTES_MAX);
    (void)split(name); /* checks it */
    int fd =
        openat(io_of(base)->root_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return failed("open", name);
    }
    struct iovec vector = {.iov_base = (void *)(uintptr_t)content.data, .iov_len = content.length};
    enum base_err err = write_whole(fd, &vector, 1, 0) ? BASE_ERR_OK : failed("write", name);
    (void)close(fd);
    return err;
}

static enum base_err file_get(struct logstore_io *base, const char *name, size_t size_bytes_max,
                              struct base_buffer **out, size_t *length)
{
    struct logstore_object *object = NULL;
    struct base_buffer *buffer = NULL;
    uint64_t size_bytes = 0;

    *out = NULL;
    *length = 0;
    enum base_err err = file_open(base, name, &object, &size_bytes);
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
    err = file_read_wait(base, object, 0, buffer->data, (size_t)size_bytes, length);
    if (err == BASE_ERR_OK) {
        *out = buffer;
        buffer = NULL;
    }

exit:
    base_buffer_release(&buffer);
    file_close(base, &object);
    return err;
}

static enum base_err file_remove(struct logstore_io *base, const char *name)
{
    struct path path = split(name);
    int directory_fd = -1;

    enum base_err err = enter(io_of(base), path.log_name, false, &directory_fd);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    if (err != BASE_ERR_OK) {
        return err;
    }
    if (unlinkat(directory_fd, path.object_name, 0) != 0) {
        err = failed("unlink", name);
        err = err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
    } else if (fsync(directory_fd) != 0) {
        (void)failed("fsync", name);
        err = BASE_ERR_IO;
    }
    close_fd(&directory_fd);
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
        enum base_err err = failed("fdopendir", "");
        (void)close(directory_fd);
        return err;
    }
    enum base_err err = BASE_ERR_OK;
    for (;;) {
        struct stat status;
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            err = errno == 0 ? BASE_ERR_OK : failed("readdir", "");
            break;
        }
        if (!is_good_name(entry->d_name, strlen(entry->d_name)) || is_temporary(entry->d_name)) {
            continue;
        }
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) {
                continue; /* removed since */
            }
            err = failed("stat", entry->d_name);
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

static enum base_err file_list(struct logstore_io *base, const char *log_name,
                               logstore_io_visit *visit, void *context)
{
    int directory_fd = -1;

    BASE_ASSERT(is_good_name(log_name, strlen(log_name)));
    enum base_err err = enter(io_of(base), log_name, false, &directory_fd);
    if (err == BASE_ERR_NOT_FOUND) {
        return BASE_ERR_OK;
    }
    return err == BASE_ERR_OK ? visit_directory(directory_fd, S_IFREG, visit, context) : err;
}

static enum base_err file_list_logs(struct logstore_io *base, logstore_io_visit *visit,
                                    void *context)
{
    int directory_fd = open_directory(io_of(base)->root_fd, ".");
    if (directory_fd < 0) {
        return failed("opendir", ".");
    }
    return visit_directory(directory_fd, S_IFDIR, visit, context);
}

static enum base_err remove_files(int directory_fd, const char *log_name)
{
    /* A descriptor of its own: fdopendir takes it over and moves its position. */
    int list_fd = open_directory(directory_fd, ".");
    if (list_fd < 0) {
        return failed("opendir", log_name);
    }
    DIR *directory = fdopendir(list_fd);
    if (directory == NULL) {
        enum base_err err = failed("fdopendir", log_name);
        (void)close(list_fd);
        return err;
    }
    enum base_err err = BASE_ERR_OK;
    for (struct dirent *entry = readdir(directory); entry != NULL && err == BASE_ERR_OK;
         entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(directory_fd, entry->d_name, 0) != 0 && errno != ENOENT) {
            err = failed("unlink", log_name);
        }
    }
    (void)closedir(directory);
    return err;
}

static enum base_err file_remove_all(struct logstore_io *base, const char *log_name)
{
    struct io_file *io = io_of(base);
    int directory_fd = -1;

    BASE_ASSERT(is_good_name(log_name, strlen(log_name)));
    enum base_err err = enter(io, log_name, false, &directory_fd);
    if (err != BASE_ERR_OK) {
        return err == BASE_ERR_NOT_FOUND ? BASE_ERR_OK : err;
    }
    err = remove_files(directory_fd, log_name);
    close_fd(&directory_fd);
    if (err == BASE_ERR_OK && unlinkat(io->root_fd, log_name, AT_REMOVEDIR) != 0) {
        err = failed("rmdir", log_name);
    }
    if (err == BASE_ERR_OK && fsync(io->root_fd) != 0) {
        (void)failed("fsync", log_name);
        err = BASE_ERR_IO;
    }
    return err;
}

static const struct logstore_io_ops file_ops = {
    .append = file_append,
    .sync = file_sync,
    .read = file_read,
    .file_range = file_range,
    .create = file_create,
    .open = file_open,
    .settle = file_settle,
    .close = file_close,
    .read_wait = file_read_wait,
    .sync_wait = file_sync_wait,
    .truncate = file_truncate,
    .warm = file_warm,
    .put = file_put,
    .put_lazy = file_put_lazy,
    .get = file_get,
    .remove = file_remove,
    .list = file_list,
    .list_logs = file_list_logs,
    .remove_all = file_remove_all,
};

static enum base_err open_root(struct io_file *io, const char *root)
{
    bool made = mkdir(root, DIRECTORY_MODE) == 0;
    if (!made && errno != EEXIST) {
        return failed("mkdir", root);
    }
    io->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (io->root_fd < 0) {
        return failed("opendir", root);
    }
    if (made) {
        int parent_fd = openat(io->root_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0 || fsync(parent_fd) != 0) {
            close_fd(&parent_fd);
            return failed("fsync", root);
        }
        close_fd(&parent_fd);
    }
    io->lock_fd =
        openat(io->root_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (io->lock_fd < 0) {
        return failed("open", ".lock");
    }
    if (flock(io->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? BASE_ERR_BUSY : failed("flock", ".lock");
    }
    return BASE_ERR_OK;
}

enum base_err logstore_io_file_create(const struct logstore_io_file_options *options,
                                      struct logstore_io **out)
{
    BASE_ASSERT(options->root != NULL);
    BASE_ASSERT(options->worker != NULL);

    *out = NULL;
    struct io_file *io = base_alloc_object(struct io_file);
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
    struct io_file *file = io_of(*io);
    close_fd(&file->lock_fd);
    close_fd(&file->root_fd);
    base_free(file);
    *io = NULL;
}
