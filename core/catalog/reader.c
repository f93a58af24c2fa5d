/* A loop's cached view. */
#include "core/catalog/reader.h"

#include "core/base/alloc.h"

enum { RETIRED_CAPACITY_FIRST = 4 };

void catalog_reader_init(struct catalog_reader *reader, struct catalog *catalog)
{
    *reader = (struct catalog_reader){.catalog = catalog};
}

void catalog_reader_fini(struct catalog_reader *reader)
{
    catalog_reader_settle(reader);
    catalog_view_release(&reader->view);
    base_free(reader->retired);
    reader->retired = NULL;
    reader->retired_capacity = 0;
}

/* Puts the view aside; false when memory is out. */
static bool retire(struct catalog_reader *reader)
{
    if (reader->view == NULL) {
        return true;
    }
    if (reader->retired_count == reader->retired_capacity) {
        size_t capacity = reader->retired_capacity == 0 ? (size_t)RETIRED_CAPACITY_FIRST
                                                        : reader->retired_capacity * 2;
        struct catalog_view **retired =
            base_realloc_array(reader->retired, capacity, sizeof(struct catalog_view *));
        if (retired == NULL) {
            return false;
        }
        reader->retired = retired;
        reader->retired_capacity = capacity;
    }
    reader->retired[reader->retired_count++] = reader->view;
    reader->view = NULL;
    return true;
}

struct catalog_view *catalog_reader_view(struct catalog_reader *reader)
{
    uint64_t version = catalog_version(reader->catalog);
    if ((reader->view == NULL || version != reader->version) && retire(reader)) {
        reader->view = catalog_view(reader->catalog);
        reader->version = version;
    }
    return reader->view; /* without memory to put it aside, the older one serves on */
}

void catalog_reader_settle(struct catalog_reader *reader)
{
    while (reader->retired_count > 0) {
        catalog_view_release(&reader->retired[--reader->retired_count]);
    }
}
