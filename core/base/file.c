/* Counted file descriptor. */
#include "core/base/file.h"

#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

struct base_file *base_file_create(int fd)
{
    BASE_ASSERT(fd >= 0);
    struct base_file *file = base_alloc_object(struct base_file);
    if (file != NULL) {
        atomic_init(&file->references, 1);
        file->fd = fd;
    }
    return file;
}

struct base_file *base_file_hold(struct base_file *file)
{
    unsigned before = atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    BASE_ASSERT(before > 0);
    return file;
}

void base_file_release(struct base_file **file)
{
    if (*file == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&(*file)->references, 1, memory_order_acq_rel);
    BASE_ASSERT(before > 0);
    if (before == 1) {
        (void)close((*file)->fd);
        base_free(*file);
    }
    *file = NULL;
}
