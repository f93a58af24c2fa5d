/* Where a log keeps its bytes: local files, Ceph RADOS, or a simulator.
 *
 * An io stores objects by name. A name is "<log>/<object>", made of
 * [A-Za-z0-9._-]; the log part is what list and remove_all work on. Segment
 * objects grow by appends at their end; all others are small and replaced whole.
 *
 * Two families of calls. The hot ones (append, sync, read) never wait: they end at
 * once (DONE) or later (PENDING, then the operation's task is posted to its
 * executor). The cold ones may wait, and are called on the store's worker
 * executor only. Nothing above this header may assume files, or that a hot call
 * ends at once. */
#ifndef LOGSTORE_IO_H
#define LOGSTORE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/chunk.h"
#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/slice.h"

enum { LOGSTORE_NAME_SIZE = 128 }; /* longest object name with its terminator */

struct logstore_io;
struct logstore_object; /* an open segment object; the backend's own struct starts with this */

enum logstore_io_state { LOGSTORE_IO_DONE, LOGSTORE_IO_PENDING };

/* One hot operation, embedded in what waits for it. task.run and executor are set
 * by the caller; err and length are valid on DONE, and in task.run after PENDING. */
struct logstore_io_op {
    struct base_task task;
    struct base_executor *executor;
    enum base_err err;
    size_t length; /* read: bytes read; short only at the end of the object */

    /* sync: called after success, where waiting is allowed, before the operation ends.
     * Spares a second trip for what is to be noted then. May be NULL. */
    void (*on_synced)(struct logstore_io_op *op);

    /* The backend's own, while pending. */
    struct base_task work;
    struct logstore_object *object;
    uint64_t position;
    void *data;
    size_t data_length;
};

typedef bool logstore_io_visit(void *context, const char *object_name, uint64_t size_bytes);

struct logstore_io_ops {
    /* Writes the chunks (memory only) one after the other at position, which is where the
     * last append ended; when there was none since the object was opened, where its bytes
     * end or only zeros follow. Read by others from then on, on disk only after sync. The
     * bytes stay alive until the operation ends, the array of chunks only during the call.
     * On an error nothing counts as written: a later append starts at the same position.
     * Zeros may follow what was appended, at the latest until truncate.
     *   NO_SPACE, NOMEM  at once: the same may be tried again later
     *   others, and any after PENDING: the object must not be used any more */
    enum logstore_io_state (*append)(struct logstore_io *io, struct logstore_object *object,
                                     uint64_t position, const struct base_chunk *chunks,
                                     size_t chunks_count, struct logstore_io_op *op);

    /* Bytes for which storage certainly has room behind the last append. Never waits. NULL: that
     * is never known. */
    uint64_t (*room)(struct logstore_io *io, struct logstore_object *object);

    /* Makes everything whose append ended before this call survive a power cut. An
     * error means that it may not: never to be retried and believed. */
    enum logstore_io_state (*sync)(struct logstore_io *io, struct logstore_object *object,
                                   struct logstore_io_op *op);

    /* Reads up to length bytes into data, which stays alive until the operation ends. */
    enum logstore_io_state (*read)(struct logstore_io *io, struct logstore_object *object,
                                   uint64_t position, void *data, size_t length,
                                   struct logstore_io_op *op);

    /* A chunk that a connection can send without reading it, with its own reference.
     * False when the range is not in memory and sending it would wait: warm it first.
     * Never waits. NULL, as warm is, when objects are no files: only read works then. */
    bool (*file_range)(struct logstore_io *io, struct logstore_object *object, uint64_t position,
                       size_t length, struct base_chunk *out);

    /* Cold calls. */

    /* Creates an empty object whose name survives a power cut. EXISTS if there is one. */
    enum base_err (*create)(struct logstore_io *io, const char *name, struct logstore_object **out);

    /* Opens for reading and appending. NOT_FOUND. *size_bytes: zeros that follow what was
     * appended are counted, as they are by list. */
    enum base_err (*open)(struct logstore_io *io, const char *name, struct logstore_object **out,
                          uint64_t *size_bytes);

    /* Makes the bytes from position on, and maybe those in front of it, those that are on disk,
     * not those of a cache whose write-back failed, and what is read from then on durable. For
     * recovery. */
    enum base_err (*settle)(struct logstore_io *io, struct logstore_object *object,
                            uint64_t position);

    /* Never waits, from any thread. Chunks of file_range stay readable. Sets *object to NULL. */
    void (*close)(struct logstore_io *io, struct logstore_object **object);

    /* Waiting forms of the hot calls. length_read is short only at the end. */
    enum base_err (*read_wait)(struct logstore_io *io, struct logstore_object *object,
                               uint64_t position, void *data, size_t length, size_t *length_read);
    enum base_err (*sync_wait)(struct logstore_io *io, struct logstore_object *object);

    /* Makes the object durable and exactly size_bytes long, which is no more than it has. */
    enum base_err (*truncate)(struct logstore_io *io, struct logstore_object *object,
                              uint64_t size_bytes);

    /* Brings a range of a file into memory, for file_range. */
    enum base_err (*warm)(struct logstore_io *io, struct logstore_object *object, uint64_t position,
                          size_t length);

    /* Replaces a small object atomically and durably: after a crash the old or the new
     * content is there, whole. */
    enum base_err (*put)(struct logstore_io *io, const char *name, struct base_slice content);

    /* Replaces a small object (at most 512 bytes) soon, without waiting for the disk. After
     * a power cut an older content, or a torn one, may be there: it carries its own checksum. */
    enum base_err (*put_lazy)(struct logstore_io *io, const char *name, struct base_slice content);

    /* The whole content in a new buffer owned by the caller, *length bytes. NOT_FOUND;
     * TOO_LARGE over size_bytes_max. */
    enum base_err (*get)(struct logstore_io *io, const char *name, size_t size_bytes_max,
                         struct base_buffer **out, size_t *length);

    /* Removes one object; one that is not there is no error. */
    enum base_err (*remove)(struct logstore_io *io, const char *name);

    /* Calls visit for every object of the log, in no order, until it returns false. The
     * name passed has no log part. A log without objects is no error. */
    enum base_err (*list)(struct logstore_io *io, const char *log_name, logstore_io_visit *visit,
                          void *context);

    /* Calls visit (size 0) for every log there is. */
    enum base_err (*list_logs)(struct logstore_io *io, logstore_io_visit *visit, void *context);

    /* Removes the log with all its objects. One that is not there is no error. */
    enum base_err (*remove_all)(struct logstore_io *io, const char *log_name);
};

struct logstore_io {
    const struct logstore_io_ops *ops;
    /* An append that ended is durable without sync, and one that did not is there whole or
     * not at all (RADOS): there are no torn tails, and no zeros behind what was appended. */
    bool append_is_durable;
};

struct logstore_object {
    struct logstore_io *io; /* borrowed */
};

#endif
