/* A loop's cached view: one atomic load per request while nothing changes.
 *
 * Threads: one reader per thread. */
#ifndef CATALOG_READER_H
#define CATALOG_READER_H

#include "core/catalog/catalog.h"

struct catalog_reader {
    struct catalog *catalog;       /* borrowed */
    struct catalog_view *view;     /* owned */
    struct catalog_view **retired; /* owned array of owned: what somebody may still look at */
    size_t retired_count;
    size_t retired_capacity;
    uint64_t version;
};

void catalog_reader_init(struct catalog_reader *reader, struct catalog *catalog);
void catalog_reader_fini(struct catalog_reader *reader);

/* The newest view; borrowed until the next catalog_reader_settle(), however often this is
 * called before. Hold it to keep it across a wait. */
struct catalog_view *catalog_reader_view(struct catalog_reader *reader);

/* Nobody looks at a borrowed view any more: a door says so in front of each request. */
void catalog_reader_settle(struct catalog_reader *reader);

#endif
