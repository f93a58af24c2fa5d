/* A loop's cached view: one atomic load per request while nothing changes.
 *
 * Threads: one reader per thread. */
#ifndef CATALOG_READER_H
#define CATALOG_READER_H

#include "core/catalog/catalog.h"

struct catalog_reader {
    struct catalog *catalog;   /* borrowed */
    struct catalog_view *view; /* owned */
    uint64_t version;
};

void catalog_reader_init(struct catalog_reader *reader, struct catalog *catalog);
void catalog_reader_fini(struct catalog_reader *reader);

/* The newest view; borrowed until the next call on this reader. Hold it to keep it
 * across a wait. */
struct catalog_view *catalog_reader_view(struct catalog_reader *reader);

#endif
