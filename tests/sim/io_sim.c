/* Simulated disk: each object has the bytes that readers see, and those on the platter.
 *
 * Syncs come often, and logs only grow: a sync takes note of what is behind the bytes that
 * are the same in both, not of all. */
#include "tests/sim/io_sim.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/buffer.h"
#include "core/base/list.h"

enum { SECTOR_BYTES = 512, SPARE_BYTES_MAX = 10000 };

/* Growing bytes. */
struct bytes {
    uint8_t *data; /* owned */
    size_t length;
    size_t capacity;
};

struct file {
    struct base_list link;
    char name[LOGSTORE_NAME_SIZE];
    struct bytes now;    /* what readers see */
    struct bytes stable; /* what a power cut certainly leaves */
    size_t same;         /* so many first bytes of both are equal */
    bool exists;
    bool is_lazy;     /* written by put_lazy since it was stable */
    bool sync_failed; /* the cache is not to be believed */
    size_t used;      /* behind the last append; zeros follow */
    size_t promised;  /* end of the room told of since the last append: a full disk has it */
    uint64_t syncs_begun;
    uint64_t stable_sync;   /* the one of them that `stable` comes from */
    struct base_list syncs; /* in flight */
    uint32_t opened;
};

struct handle {
    struct logstore_object object;
    struct file *file; /* borrowed */
};

/* What a sync makes stable: the bytes as they were when it was called. */
struct image {
    struct base_list link; /* in file->syncs */
    struct bytes tail;     /* behind `from` */
    size_t from;           /* before it, `stable` had them already */
    size_t same;           /* so many first bytes of all of it are what readers see now */
    uint64_t sync;         /* of file->syncs_begun */
};

/* A pending hot call. */
struct pending {
    struct base_timer timer;
    struct base_list link;
    struct io_sim *sim;
    struct logstore_io_op *op;
    struct file *file;
    enum { PENDING_APPEND, PENDING_SYNC, PENDING_READ } kind;
    enum base_err err;
    uint64_t position;
    struct bytes data;  /* append: not written yet */
    void *target;       /* read */
    size_t length;      /* read */
    struct image image; /* sync */
};

struct io_sim {
    struct logstore_io io;
    struct io_sim_options options;
    struct base_list files;
    struct base_list pending;
    uint64_t calls_count;
    uint64_t crash_call; /* UINT64_MAX never */
    uint64_t syncs_count;
    uint64_t fail_sync; /* UINT64_MAX never */
    int64_t sync_us;
    bool crashed;
    bool full;
};

static struct io_sim *sim_of(struct logstore_io *io)
{
    return BASE_CONTAINER_OF(io, struct io_sim, io);
}

static struct handle *handle_of(struct logstore_object *object)
{
    return BASE_CONTAINER_OF(object, struct handle, object);
}

static uint64_t random_below(struct io_sim *sim, uint64_t bound)
{
    return sim_random(sim->options.scheduler, bound);
}

static void bytes_resize(struct bytes *bytes, size_t length)
{
    if (length > bytes->capacity) {
        size_t capacity = bytes->capacity * 2 < length ? length : bytes->capacity * 2;
        bytes->data = base_realloc_array(bytes->data, capacity, 1);
        BASE_ASSERT(bytes->data != NULL);
        bytes->capacity = capacity;
    }
    if (length > bytes->length) {
        memset(bytes->data + bytes->length, 0, length - bytes->length);
    }
    bytes->length = length;
}

static void bytes_write(struct bytes *bytes, size_t position, const void *data, size_t length)
{
    if (position + length > bytes->length) {
        bytes_resize(bytes, position + length);
    }
    if (length > 0) {
        memcpy(bytes->data + position, data, length);
    }
}

static void bytes_append_tail(struct bytes *target, const struct bytes *source, size_t from)
{
    if (source->length > from) {
        bytes_write(target, target->length, source->data + from, source->length - from);
    }
}

/* The first `same` bytes of both are known to be equal. */
static void bytes_copy(struct bytes *target, const struct bytes *source, size_t same)
{
    bytes_resize(target, same);
    bytes_append_tail(target, source, same);
}

static void bytes_fini(struct bytes *bytes)
{
    base_free(bytes->data);
    *bytes = (struct bytes){0};
}

/* What readers see is about to change from `position` on. */
static void touch(struct file *file, size_t position)
{
    if (position < file->same) {
        file->same = position;
    }
    for (struct base_list *node = file->syncs.next; node != &file->syncs; node = node->next) {
        struct image *image = BASE_CONTAINER_OF(node, struct image, link);
        if (position < image->same) {
            image->same = position;
        }
    }
}

static void file_resize(struct file *file, size_t length)
{
    touch(file, length);
    bytes_resize(&file->now, length);
}

static void file_write(struct file *file, size_t position, const void *data, size_t length)
{
    touch(file, position);
    bytes_write(&file->now, position, data, length);
}

/* Not while a sync is in flight, whose image builds on what is stable. */
static void make_all_stable(struct file *file)
{
    BASE_ASSERT(base_list_is_empty(&file->syncs));
    bytes_copy(&file->stable, &file->now, file->same);
    file->same = file->now.length;
}

static struct file *find(const struct io_sim *sim, const char *name)
{
    for (struct base_list *node = sim->files.next; node != &sim->files; node = node->next) {
        struct file *file = BASE_CONTAINER_OF(node, struct file, link);
        if (strcmp(file->name, name) == 0) {
            return file;
        }
    }
    return NULL;
}

static struct file *find_existing(const struct io_sim *sim, const char *name)
{
    struct file *file = find(sim, name);
    return file != NULL && file->exists ? file : NULL;
}

static struct file *find_or_add(struct io_sim *sim, const char *name)
{
    struct file *file = find(sim, name);
    if (file == NULL) {
        file = base_alloc_object(struct file);
        BASE_ASSERT(file != NULL);
        int length = snprintf(file->name, sizeof file->name, "%s", name);
        BASE_ASSERT(length > 0 && length < LOGSTORE_NAME_SIZE);
        base_list_init(&file->syncs);
        base_list_push_back(&sim->files, &file->link);
    }
    return file;
}

/* Counts a call. True when it is the one that crashes, or comes after it. */
static bool is_cut_off(struct io_sim *sim)
{
    if (sim->crashed) {
        return true;
    }
    sim->calls_count++;
    return sim->calls_count > sim->crash_call;
}

static void image_take(struct image *image, struct file *file)
{
    file->syncs_begun++;
    image->sync = file->syncs_begun;
    image->from = file->same;
    image->same = file->now.length;
    bytes_append_tail(&image->tail, &file->now, image->from);
    base_list_push_back(&file->syncs, &image->link);
}

static void image_fini(struct image *image)
{
    base_list_remove(&image->link);
    bytes_fini(&image->tail);
}

/* Other syncs that have come between changed nothing before `from`: what they took is equal
 * there too. */
static void image_make_stable(const struct image *image, struct file *file)
{
    if (image->sync > file->stable_sync) { /* else a younger sync was faster */
        bytes_resize(&file->stable, image->from);
        bytes_append_tail(&file->stable, &image->tail, 0);
        file->same = image->same;
        file->stable_sync = image->sync;
    }
    file->is_lazy = false;
}

static void make_stable_now(struct file *file)
{
    struct image image = {0};

    image_take(&image, file);
    image_make_stable(&image, file);
    image_fini(&image);
}

static void end_pending(struct pending *pending, enum base_err err)
{
    pending->op->err = err;
    base_list_remove(&pending->link);
    base_executor_post(pending->op->executor, &pending->op->task);
    bytes_fini(&pending->data);
    if (pending->kind == PENDING_SYNC) {
        image_fini(&pending->image);
    }
    base_free(pending);
}

/* How much of an append that a crash interrupts has been written. */
static size_t partial(struct io_sim *sim, size_t length)
{
    if (sim->io.append_is_durable) {
        return sim_chance(sim->options.scheduler, 2) ? length : 0;
    }
    return (size_t)random_below(sim, length + 1);
}

/* Everything pending ends; appends may have got a part of their bytes written. */
static void crash(struct io_sim *sim)
{
    sim->crashed = true;
    for (struct base_list *node = sim->pending.next; node != &sim->pending; node = node->next) {
        struct pending *pending = BASE_CONTAINER_OF(node, struct pending, link);
        if (pending->kind == PENDING_APPEND && pending->err == BASE_ERR_OK &&
            pending->data.length > 0) {
            size_t length = partial(sim, pending->data.length);
            file_write(pending->file, (size_t)pending->position, pending->data.data, length);
            bytes_fini(&pending->data);
        }
    }
}

static void read_now(const struct file *file, uint64_t position, void *data, size_t length,
                     size_t *length_read)
{
    *length_read = 0;
    if (position < file->now.length) {
        size_t left = file->now.length - (size_t)position;
        *length_read = length < left ? length : left;
        memcpy(data, file->now.data + position, *length_read);
    }
}

static void pending_fire(struct base_timer *timer)
{
    struct pending *pending = BASE_CONTAINER_OF(timer, struct pending, timer);
    struct io_sim *sim = pending->sim;
    enum base_err err = sim->crashed ? BASE_ERR_CLOSED : pending->err;

    if (err == BASE_ERR_OK) {
        switch (pending->kind) {
        case PENDING_APPEND:
            file_write(pending->file, (size_t)pending->position, pending->data.data,
                       pending->data.length);
            break;
        case PENDING_SYNC:
            image_make_stable(&pending->image, pending->file);
            if (pending->op->on_synced != NULL) {
                pending->op->on_synced(pending->op);
            }
            break;
        case PENDING_READ:
            read_now(pending->file, pending->position, pending->target, pending->length,
                     &pending->op->length);
            break;
        }
    }
    end_pending(pending, err);
}

static struct pending *pend(struct io_sim *sim, struct logstore_io_op *op, struct file *file,
                            int64_t latency_us)
{
    struct pending *pending = base_alloc_object(struct pending);
    BASE_ASSERT(pending != NULL);
    pending->timer.fire = pending_fire;
    pending->sim = sim;
    pending->op = op;
    pending->file = file;
    base_list_push_back(&sim->pending, &pending->link);
    sim_scheduler_timer_arm(sim->options.scheduler, &pending->timer,
                            base_clock_monotonic_us(sim_scheduler_clock(sim->options.scheduler)) +
                                latency_us);
    return pending;
}

static int64_t latency_us(struct io_sim *sim)
{
    return (int64_t)random_below(sim, (uint64_t)sim->options.latency_us_max + 1);
}

static bool ends_later(struct io_sim *sim)
{
    return sim->options.pending_one_in > 0 &&
           sim_chance(sim->options.scheduler, sim->options.pending_one_in);
}

static enum logstore_io_state done(struct logstore_io_op *op, enum base_err err)
{
    op->err = err;
    return LOGSTORE_IO_DONE;
}

static struct bytes gather(const struct base_chunk *chunks, size_t chunks_count)
{
    struct bytes all = {0};
    for (size_t i = 0; i < chunks_count; i++) {
        BASE_ASSERT(chunks[i].buffer != NULL);
        bytes_write(&all, all.length, chunks[i].buffer->data + chunks[i].position,
                    chunks[i].length);
    }
    return all;
}

static bool is_zero_from(const struct bytes *bytes, size_t position)
{
    for (size_t i = position; i < bytes->length; i++) {
        if (bytes->data[i] != 0) {
            return false;
        }
    }
    return true;
}

/* As files do, an append may leave zeros behind it. */
static void make_spare(struct io_sim *sim, struct file *file, size_t used)
{
    file->used = used;
    if (!sim->io.append_is_durable && used > file->now.length &&
        sim_chance(sim->options.scheduler, 2)) {
        file_resize(file, used + (size_t)random_below(sim, SPARE_BYTES_MAX));
    }
}

static uint64_t sim_room(struct logstore_io *io, struct logstore_object *object)
{
    struct file *file = handle_of(object)->file;

    if (sim_of(io)->full) {
        return 0;
    }
    file->promised = file->now.length;
    return file->now.length - file->used;
}

static enum logstore_io_state sim_append(struct logstore_io *io, struct logstore_object *object,
                                         uint64_t position, const struct base_chunk *chunks,
                                         size_t chunks_count, struct logstore_io_op *op)
{
    struct io_sim *sim = sim_of(io);
    struct file *file = handle_of(object)->file;
    bool was_crashed = sim->crashed;
    bool cut_off = is_cut_off(sim);

    if (was_crashed) {
        return done(op, BASE_ERR_CLOSED);
    }
    BASE_ASSERT(file->exists);
    BASE_ASSERT(position <= file->now.length);
    BASE_ASSERT(is_zero_from(&file->now, (size_t)position));
    struct bytes data = gather(chunks, chunks_count);
    if (sim->full &&
        (position + data.length > file->promised || position + data.length > file->now.length)) {
        bytes_fini(&data);
        if (cut_off) {
            crash(sim);
        }
        return done(op, cut_off ? BASE_ERR_CLOSED : BASE_ERR_NO_SPACE);
    }
    make_spare(sim, file, (size_t)position + data.length);
    file->promised = 0;
    if (cut_off) {
        file_write(file, (size_t)position, data.data, partial(sim, data.length));
        bytes_fini(&data);
        crash(sim);
        return done(op, BASE_ERR_CLOSED);
    }
    if (ends_later(sim)) {
        struct pending *pending = pend(sim, op, file, latency_us(sim));
        pending->kind = PENDING_APPEND;
        pending->position = position;
        pending->data = data;
        return LOGSTORE_IO_PENDING;
    }
    file_write(file, (size_t)position, data.data, data.length);
    bytes_fini(&data);
    return done(op, BASE_ERR_OK);
}

static enum base_err next_sync(struct io_sim *sim, struct file *file)
{
    sim->syncs_count++;
    if (sim->syncs_count > sim->fail_sync) {
        file->sync_failed = true;
    }
    return file->sync_failed ? BASE_ERR_IO : BASE_ERR_OK;
}

static enum logstore_io_state sim_sync(struct logstore_io *io, struct logstore_object *object,
                                       struct logstore_io_op *op)
{
    struct io_sim *sim = sim_of(io);
    struct file *file = handle_of(object)->file;
    bool was_crashed = sim->crashed;

    if (is_cut_off(sim)) {
        if (!was_crashed) {
            crash(sim);
        }
        return done(op, BASE_ERR_CLOSED);
    }
    struct pending *pending =
        pend(sim, op, file, sim->sync_us > 0 ? sim->sync_us : latency_us(sim));
    pending->kind = PENDING_SYNC;
    pending->err = next_sync(sim, file);
    image_take(&pending->image, file);
    return LOGSTORE_IO_PENDING;
}

static enum logstore_io_state sim_read(struct logstore_io *io, struct logstore_object *object,
                                       uint64_t position, void *data, size_t length,
                                       struct logstore_io_op *op)
{
    struct io_sim *sim = sim_of(io);
    struct file *file = handle_of(object)->file;
    bool was_crashed = sim->crashed;

    op->length = 0;
    if (is_cut_off(sim)) {
        if (!was_crashed) {
            crash(sim);
        }
        return done(op, BASE_ERR_CLOSED);
    }
    if (ends_later(sim)) {
        struct pending *pending = pend(sim, op, file, latency_us(sim));
        pending->kind = PENDING_READ;
        pending->position = position;
        pending->target = data;
        pending->length = length;
        return LOGSTORE_IO_PENDING;
    }
    read_now(file, position, data, length, &op->length);
    return done(op, BASE_ERR_OK);
}

/* Cold calls: false when the call must fail with CLOSED. half: the crash came, but this
 * call was done before it. */
static bool enter(struct io_sim *sim, bool *half)
{
    bool was_crashed = sim->crashed;

    *half = false;
    if (!is_cut_off(sim)) {
        return true;
    }
    if (!was_crashed) {
        crash(sim);
        *half = sim_chance(sim->options.scheduler, 2);
    }
    return false;
}

static enum base_err open_file(struct io_sim *sim, struct file *file, struct logstore_object **out)
{
    struct handle *handle = base_alloc_object(struct handle);
    if (handle == NULL) {
        return BASE_ERR_NOMEM;
    }
    handle->object.io = &sim->io;
    handle->file = file;
    file->opened++;
    file->used = file->now.length;
    *out = &handle->object;
    return BASE_ERR_OK;
}

static enum base_err sim_create(struct logstore_io *io, const char *name,
                                struct logstore_object **out)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;
    bool goes_on = enter(sim, &half);

    *out = NULL;
    if (!goes_on && !half) {
        return BASE_ERR_CLOSED;
    }
    if (sim->full) {
        return goes_on ? BASE_ERR_NO_SPACE : BASE_ERR_CLOSED;
    }
    struct file *file = find_or_add(sim, name);
    if (file->exists) {
        return goes_on ? BASE_ERR_EXISTS : BASE_ERR_CLOSED;
    }
    BASE_ASSERT(file->opened == 0);
    file->exists = true;
    file->sync_failed = false;
    file_resize(file, 0);
    make_all_stable(file);
    return goes_on ? open_file(sim, file, out) : BASE_ERR_CLOSED;
}

static enum base_err sim_open(struct logstore_io *io, const char *name,
                              struct logstore_object **out, uint64_t *size_bytes)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;

    *out = NULL;
    *size_bytes = 0;
    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    struct file *file = find_existing(sim, name);
    if (file == NULL) {
        return BASE_ERR_NOT_FOUND;
    }
    *size_bytes = file->now.length;
    return open_file(sim, file, out);
}

static void sim_close(struct logstore_io *io, struct logstore_object **object)
{
    if (*object == NULL) {
        return;
    }
    struct io_sim *sim = sim_of(io);
    struct handle *handle = handle_of(*object);
    struct file *file = handle->file;
    BASE_ASSERT(file->opened > 0);
    file->opened--;
    if (!sim->crashed && file->exists && file->used < file->now.length) {
        file_resize(file, file->used); /* not durably */
    }
    base_free(handle);
    *object = NULL;
}

/* The bytes of each sector are those seen, or those on the platter. */
static void mix(struct io_sim *sim, struct file *file)
{
    size_t low = file->stable.length < file->now.length ? file->stable.length : file->now.length;
    size_t high = file->stable.length > file->now.length ? file->stable.length : file->now.length;
    size_t unit = file->is_lazy ? 1 : SECTOR_BYTES;
    struct bytes kept = {0};

    bytes_resize(&kept, low + (size_t)random_below(sim, high - low + 1));
    if (sim_chance(sim->options.scheduler, 4)) {
        bytes_resize(&kept, file->now.length);
    }
    uint64_t bias = 1 + random_below(sim, 8); /* some power cuts keep most, some little */
    for (size_t at = 0; at < kept.length; at += unit) {
        const struct bytes *source = random_below(sim, 9) < bias ? &file->now : &file->stable;
        size_t length = kept.length - at < unit ? kept.length - at : unit;
        if (at < source->length) {
            size_t left = source->length - at;
            memcpy(kept.data + at, source->data + at, length < left ? length : left);
        }
    }
    file_resize(file, 0);
    file_write(file, 0, kept.data, kept.length);
    make_all_stable(file);
    file->is_lazy = false;
    file->sync_failed = false;
    bytes_fini(&kept);
}

static enum base_err sim_settle(struct logstore_io *io, struct logstore_object *object,
                                uint64_t position)
{
    struct io_sim *sim = sim_of(io);
    struct file *file = handle_of(object)->file;
    bool half = false;

    (void)position;
    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    if (file->sync_failed) {
        mix(sim, file);
    } else {
        make_stable_now(file);
    }
    return BASE_ERR_OK;
}

static enum base_err sim_read_wait(struct logstore_io *io, struct logstore_object *object,
                                   uint64_t position, void *data, size_t length,
                                   size_t *length_read)
{
    bool half = false;

    *length_read = 0;
    if (!enter(sim_of(io), &half)) {
        return BASE_ERR_CLOSED;
    }
    read_now(handle_of(object)->file, position, data, length, length_read);
    return BASE_ERR_OK;
}

static enum base_err sim_sync_wait(struct logstore_io *io, struct logstore_object *object)
{
    struct io_sim *sim = sim_of(io);
    struct file *file = handle_of(object)->file;
    bool half = false;
    bool goes_on = enter(sim, &half);

    if (!goes_on && !half) {
        return BASE_ERR_CLOSED;
    }
    enum base_err err = next_sync(sim, file);
    if (err == BASE_ERR_OK) {
        make_stable_now(file);
    }
    return goes_on ? err : BASE_ERR_CLOSED;
}

static enum base_err sim_truncate(struct logstore_io *io, struct logstore_object *object,
                                  uint64_t size_bytes)
{
    struct io_sim *sim = sim_of(io);
    struct file *file = handle_of(object)->file;
    bool half = false;
    bool goes_on = enter(sim, &half);

    if (!goes_on && !half) {
        return BASE_ERR_CLOSED;
    }
    BASE_ASSERT(size_bytes <= file->now.length);
    file_resize(file, (size_t)size_bytes);
    file->used = (size_t)size_bytes;
    enum base_err err = next_sync(sim, file);
    if (err == BASE_ERR_OK) {
        make_stable_now(file);
    }
    return goes_on ? err : BASE_ERR_CLOSED;
}

static enum base_err sim_put(struct logstore_io *io, const char *name, struct base_slice content)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;
    bool goes_on = enter(sim, &half);

    if (!goes_on && !half) {
        return BASE_ERR_CLOSED;
    }
    if (sim->full) {
        return goes_on ? BASE_ERR_NO_SPACE : BASE_ERR_CLOSED;
    }
    struct file *file = find_or_add(sim, name);
    file->exists = true;
    file_resize(file, 0);
    file_write(file, 0, content.data, content.length);
    make_all_stable(file);
    file->is_lazy = false;
    return goes_on ? BASE_ERR_OK : BASE_ERR_CLOSED;
}

static enum base_err sim_put_lazy(struct logstore_io *io, const char *name,
                                  struct base_slice content)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;

    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    struct file *file = find_or_add(sim, name);
    if (file->exists && sim_chance(sim->options.scheduler, 4)) {
        make_all_stable(file); /* written back by now */
    }
    file->exists = true;
    file->is_lazy = true;
    file_resize(file, 0);
    file_write(file, 0, content.data, content.length);
    return BASE_ERR_OK;
}

static enum base_err sim_get(struct logstore_io *io, const char *name, size_t size_bytes_max,
                             struct base_buffer **out, size_t *length)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;

    *out = NULL;
    *length = 0;
    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    struct file *file = find_existing(sim, name);
    if (file == NULL) {
        return BASE_ERR_NOT_FOUND;
    }
    if (file->now.length > size_bytes_max) {
        return BASE_ERR_TOO_LARGE;
    }
    struct base_buffer *buffer = base_buffer_create(file->now.length);
    if (buffer == NULL) {
        return BASE_ERR_NOMEM;
    }
    read_now(file, 0, buffer->data, file->now.length, length);
    *out = buffer;
    return BASE_ERR_OK;
}

static enum base_err sim_remove(struct logstore_io *io, const char *name)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;
    bool goes_on = enter(sim, &half);

    if (!goes_on && !half) {
        return BASE_ERR_CLOSED;
    }
    struct file *file = find_existing(sim, name);
    if (file != NULL) {
        file->exists = false;
    }
    return goes_on ? BASE_ERR_OK : BASE_ERR_CLOSED;
}

static enum base_err sim_list(struct logstore_io *io, const char *log_name,
                              logstore_io_visit *visit, void *context)
{
    struct io_sim *sim = sim_of(io);
    size_t length = strlen(log_name);
    bool half = false;

    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    for (struct base_list *node = sim->files.next; node != &sim->files; node = node->next) {
        struct file *file = BASE_CONTAINER_OF(node, struct file, link);
        if (file->exists && strncmp(file->name, log_name, length) == 0 &&
            file->name[length] == '/' &&
            !visit(context, file->name + length + 1, file->now.length)) {
            break;
        }
    }
    return BASE_ERR_OK;
}

static bool is_first_of_log(const struct io_sim *sim, const struct file *file, size_t length)
{
    for (struct base_list *node = sim->files.next; node != &file->link; node = node->next) {
        struct file *other = BASE_CONTAINER_OF(node, struct file, link);
        if (other->exists && strncmp(other->name, file->name, length + 1) == 0) {
            return false;
        }
    }
    return true;
}

static enum base_err sim_list_logs(struct logstore_io *io, logstore_io_visit *visit, void *context)
{
    struct io_sim *sim = sim_of(io);
    bool half = false;

    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    for (struct base_list *node = sim->files.next; node != &sim->files; node = node->next) {
        struct file *file = BASE_CONTAINER_OF(node, struct file, link);
        char name[LOGSTORE_NAME_SIZE];
        size_t length = strcspn(file->name, "/");
        if (!file->exists || !is_first_of_log(sim, file, length)) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)length, file->name);
        if (!visit(context, name, 0)) {
            break;
        }
    }
    return BASE_ERR_OK;
}

static enum base_err sim_remove_all(struct logstore_io *io, const char *log_name)
{
    struct io_sim *sim = sim_of(io);
    size_t length = strlen(log_name);
    bool half = false;

    if (!enter(sim, &half)) {
        return BASE_ERR_CLOSED;
    }
    for (struct base_list *node = sim->files.next; node != &sim->files; node = node->next) {
        struct file *file = BASE_CONTAINER_OF(node, struct file, link);
        if (strncmp(file->name, log_name, length) == 0 && file->name[length] == '/') {
            file->exists = false;
        }
    }
    return BASE_ERR_OK;
}

static const struct logstore_io_ops sim_ops = {
    .append = sim_append,
    .room = sim_room,
    .sync = sim_sync,
    .read = sim_read,
    .file_range = NULL,
    .create = sim_create,
    .open = sim_open,
    .settle = sim_settle,
    .close = sim_close,
    .read_wait = sim_read_wait,
    .sync_wait = sim_sync_wait,
    .truncate = sim_truncate,
    .warm = NULL,
    .put = sim_put,
    .put_lazy = sim_put_lazy,
    .get = sim_get,
    .remove = sim_remove,
    .list = sim_list,
    .list_logs = sim_list_logs,
    .remove_all = sim_remove_all,
};

struct io_sim *io_sim_create(const struct io_sim_options *options)
{
    struct io_sim *sim = base_alloc_object(struct io_sim);

    BASE_ASSERT(sim != NULL);
    sim->io =
        (struct logstore_io){.ops = &sim_ops, .append_is_durable = options->append_is_durable};
    sim->options = *options;
    sim->crash_call = UINT64_MAX;
    sim->fail_sync = UINT64_MAX;
    base_list_init(&sim->files);
    base_list_init(&sim->pending);
    return sim;
}

void io_sim_close(struct io_sim **sim)
{
    if (*sim == NULL) {
        return;
    }
    BASE_ASSERT(base_list_is_empty(&(*sim)->pending));
    for (struct base_list *node = base_list_pop_front(&(*sim)->files); node != NULL;
         node = base_list_pop_front(&(*sim)->files)) {
        struct file *file = BASE_CONTAINER_OF(node, struct file, link);
        BASE_ASSERT(file->opened == 0);
        bytes_fini(&file->now);
        bytes_fini(&file->stable);
        base_free(file);
    }
    base_free(*sim);
    *sim = NULL;
}

struct logstore_io *io_sim_io(struct io_sim *sim)
{
    return &sim->io;
}

uint64_t io_sim_calls_count(const struct io_sim *sim)
{
    return sim->calls_count;
}

uint64_t io_sim_syncs_count(const struct io_sim *sim)
{
    return sim->syncs_count;
}

void io_sim_crash_at(struct io_sim *sim, uint64_t calls)
{
    sim->crash_call = sim->calls_count + calls;
}

void io_sim_crash(struct io_sim *sim)
{
    if (!sim->crashed) {
        crash(sim);
    }
}

bool io_sim_has_crashed(const struct io_sim *sim)
{
    return sim->crashed;
}

void io_sim_restart(struct io_sim *sim, bool power_cut)
{
    BASE_ASSERT(base_list_is_empty(&sim->pending));
    for (struct base_list *node = sim->files.next; node != &sim->files; node = node->next) {
        struct file *file = BASE_CONTAINER_OF(node, struct file, link);
        BASE_ASSERT(file->opened == 0);
        /* What a failed sync left in the cache is gone by the time somebody opens it again. */
        if (file->exists && (file->sync_failed || (power_cut && !sim->io.append_is_durable))) {
            mix(sim, file);
        }
    }
    sim->crashed = false;
    sim->crash_call = UINT64_MAX;
    sim->fail_sync = UINT64_MAX;
    sim->full = false;
    sim->sync_us = 0;
}

void io_sim_fail_sync_at(struct io_sim *sim, uint64_t syncs)
{
    sim->fail_sync = sim->syncs_count + syncs;
}

void io_sim_set_full(struct io_sim *sim, bool full)
{
    sim->full = full;
}

void io_sim_set_sync_us(struct io_sim *sim, int64_t sync_us)
{
    sim->sync_us = sync_us;
}

int64_t io_sim_size(const struct io_sim *sim, const char *name)
{
    const struct file *file = find_existing(sim, name);
    return file == NULL ? -1 : (int64_t)file->now.length;
}

void io_sim_flip(struct io_sim *sim, const char *name, uint64_t position, unsigned bit)
{
    struct file *file = find_existing(sim, name);
    BASE_ASSERT(file != NULL);
    BASE_ASSERT(position < file->now.length);
    BASE_ASSERT(bit < 8);
    BASE_ASSERT(base_list_is_empty(&file->syncs));
    file->now.data[position] ^= (uint8_t)(1u << bit);
    if (position < file->stable.length) {
        file->stable.data[position] ^= (uint8_t)(1u << bit);
    }
}

void io_sim_cut(struct io_sim *sim, const char *name, uint64_t size_bytes)
{
    struct file *file = find_existing(sim, name);
    BASE_ASSERT(file != NULL);
    BASE_ASSERT(size_bytes <= file->now.length);
    BASE_ASSERT(base_list_is_empty(&file->syncs));
    file_resize(file, (size_t)size_bytes);
    if (file->stable.length > size_bytes) {
        bytes_resize(&file->stable, (size_t)size_bytes);
    }
}

void io_sim_drop(struct io_sim *sim, const char *name)
{
    struct file *file = find_existing(sim, name);
    BASE_ASSERT(file != NULL);
    file->exists = false;
}
