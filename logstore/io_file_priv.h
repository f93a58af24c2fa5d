/* The inside of io_file, shared by the io_file*.c files.
 *
 *   io_file.c          the directory of all objects, names, errors
 *   io_file_segment.c  open segment objects: append, sync, read
 *   io_file_small.c    small objects, which are replaced whole, and directories */
#ifndef LOGSTORE_IO_FILE_PRIV_H
#define LOGSTORE_IO_FILE_PRIV_H

#include <sys/uio.h>

#include "logstore/io.h"

enum { LOGSTORE__FILE_MODE = 0640 };

struct logstore__file_io {
    struct logstore_io io;
    struct base_executor *worker; /* borrowed */
    int root_fd;                  /* owned */
    int lock_fd;                  /* owned; flock'ed */
};

static inline struct logstore__file_io *logstore__file_io_of(struct logstore_io *io)
{
    return BASE_CONTAINER_OF(io, struct logstore__file_io, io);
}

/* io_file.c */

/* The one place where errno becomes a code, and where an unexpected one is logged. */
enum base_err logstore__file_failed(const char *call, const char *name);

/* "<log>/<object>" taken apart. */
struct logstore__path {
    char log_name[LOGSTORE_NAME_SIZE];
    const char *object_name; /* points into the full name */
};

/* Asserts that name is a good one. */
struct logstore__path logstore__file_path(const char *name);
bool logstore__file_is_name(const char *name, size_t length);

/* Opens a directory; -1 and errno on an error. */
int logstore__file_directory(int parent_fd, const char *name);

/* Opens the directory of a log, making it if it is missing. */
enum base_err logstore__file_enter(const struct logstore__file_io *io, const char *log_name,
                                   bool make, int *fd);

/* Closes *fd unless it is -1, which it is then. */
void logstore__file_close_fd(int *fd);

/* Writes vectors whole, and spoils them; false, and errno is set. */
bool logstore__file_write(int fd, struct iovec *vectors, int count, uint64_t position);

/* The calls of struct logstore_io_ops: io_file_segment.c. */
enum base_err logstore__file_create(struct logstore_io *base, const char *name,
                                    struct logstore_object **out);
enum base_err logstore__file_open(struct logstore_io *base, const char *name,
                                  struct logstore_object **out, uint64_t *size_bytes);
void logstore__file_close(struct logstore_io *base, struct logstore_object **object);
enum logstore_io_state logstore__file_append(struct logstore_io *base,
                                             struct logstore_object *object, uint64_t position,
                                             const struct base_chunk *chunks, size_t chunks_count,
                                             struct logstore_io_op *op);
uint64_t logstore__file_room(struct logstore_io *base, struct logstore_object *object);
enum logstore_io_state logstore__file_sync(struct logstore_io *base, struct logstore_object *object,
                                           struct logstore_io_op *op);
enum base_err logstore__file_sync_wait(struct logstore_io *base, struct logstore_object *object);
enum logstore_io_state logstore__file_read(struct logstore_io *base, struct logstore_object *object,
                                           uint64_t position, void *data, size_t length,
                                           struct logstore_io_op *op);
enum base_err logstore__file_read_wait(struct logstore_io *base, struct logstore_object *object,
                                       uint64_t position, void *data, size_t length,
                                       size_t *length_read);
bool logstore__file_range(struct logstore_io *base, struct logstore_object *object,
                          uint64_t position, size_t length, struct base_chunk *out);
enum base_err logstore__file_warm(struct logstore_io *base, struct logstore_object *object,
                                  uint64_t position, size_t length);
enum base_err logstore__file_settle(struct logstore_io *base, struct logstore_object *object,
                                    uint64_t position);
enum base_err logstore__file_truncate(struct logstore_io *base, struct logstore_object *object,
                                      uint64_t size_bytes);

/* io_file_small.c */
enum base_err logstore__file_put(struct logstore_io *base, const char *name,
                                 struct base_slice content);
enum base_err logstore__file_put_lazy(struct logstore_io *base, const char *name,
                                      struct base_slice content);
enum base_err logstore__file_get(struct logstore_io *base, const char *name, size_t size_bytes_max,
                                 struct base_buffer **out, size_t *length);
enum base_err logstore__file_remove(struct logstore_io *base, const char *name);
enum base_err logstore__file_list(struct logstore_io *base, const char *log_name,
                                  logstore_io_visit *visit, void *context);
enum base_err logstore__file_list_logs(struct logstore_io *base, logstore_io_visit *visit,
                                       void *context);
enum base_err logstore__file_remove_all(struct logstore_io *base, const char *log_name);

#endif
