/* Small files with secrets that only their owner may read, replaced whole.
 *
 * Whenever the process or the machine stops, a file is there as it was before, or as it was to be.
 * Whatever is wrong is logged. Main thread. */
#ifndef MAIN_SECRET_FILE_H
#define MAIN_SECRET_FILE_H

#include <stddef.h>

#include "core/base/err.h"

/* Logs why the file is of no use; INVALID. */
enum base_err main_secret_file_refuse(const char *path, const char *cause);

/* Puts a file of mode 0600 with these bytes into directory, durably. INVALID when it cannot be
 * done. */
BASE_MUST_USE enum base_err main_secret_file_write(const char *directory, const char *name,
                                                   const void *data, size_t size);

/* Removes what a write that was cut off left beside name. */
void main_secret_file_tidy(const char *directory, const char *name);

/* Makes the names in directory durable: of files that a process wrote which was killed before it
 * could do so. INVALID when it cannot be done. */
BASE_MUST_USE enum base_err main_secret_file_sync(const char *directory);

/* Reads at most size bytes of a file that only its owner may read. NOT_FOUND when absent, INVALID
 * when it is not as it should be. */
BASE_MUST_USE enum base_err main_secret_file_read(const char *path, void *data, size_t size,
                                                  size_t *length);

#endif
