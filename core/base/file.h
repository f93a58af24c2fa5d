/* Counted file descriptor: a segment that is being sent stays readable after it
 * was removed. hold and release from any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "core/base/refs.h"

/* Fields are read freely, written only by file.c. */
struct base_file {
    struct base_refs refs;
    int fd; /* owned */
};

/* Takes fd over with one reference; on NULL (memory is out) fd stays the caller's. */
struct base_file *base_file_create(int fd);

struct base_file *base_file_hold(struct base_file *file);

/* Drops one reference, closes with the last, sets *file to NULL. NULL-safe. */
void base_file_release(struct base_file **file);

#endif
