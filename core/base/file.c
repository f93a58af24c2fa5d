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
        base_refs_init(&file->refs);
        file->fd = fd;
    }
    return file;
}

struct base_file *base_file_hold(struct base_file *file)
{
    base_refs_take(&file->refs);
    return file;
}

void base_file_release(struct base_file **file)
{
    if (*file == NULL) {
        return;
    }
    if (base_refs_drop(&(*file)->refs)) {
        (void)close((*file)->fd);
        base_free(*file);
    }
    *file = NULL;
}
