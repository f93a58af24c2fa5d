/* A loop's cached view. */
#include "core/catalog/reader.h"

void catalog_reader_init(struct catalog_reader *reader, struct catalog *catalog)
{
    *reader = (struct catalog_reader){.catalog = catalog};
}

void catalog_reader_fini(struct catalog_reader *reader)
{
    catalog_view_release(&reader->view);
}

struct catalog_view *catalog_reader_view(struct catalog_reader *reader)
{
    uint64_t version = catalog_version(reader->catalog);
    if (reader->view == NULL || version != reader->version) {
        catalog_view_release(&reader->view);
        reader->view = catalog_view(reader->catalog);
        reader->version = version;
    }
    return reader->view;
}
