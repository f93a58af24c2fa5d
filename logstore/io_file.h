/* Objects as files below one directory: the embedded default.
 *
 * The directory is <root>/<log name>/<object>. It is locked against a second
 * process. Files are opened relative to directory descriptors without following
 * links. */
#ifndef LOGSTORE_IO_FILE_H
#define LOGSTORE_IO_FILE_H

#include "core/base/err.h"
#include "core/base/executor.h"
#include "logstore/io.h"

struct logstore_io_file_options {
    const char *root;             /* directory; created if missing (its parent must exist) */
    struct base_executor *worker; /* borrowed; runs fdatasync and cold reads */
};

/* BUSY another process has the directory; IO; NOMEM. */
BASE_MUST_USE enum base_err logstore_io_file_create(const struct logstore_io_file_options *options,
                                                    struct logstore_io **out);

/* All objects must be closed. NULL-safe. */
void logstore_io_file_close(struct logstore_io **io);

#endif
