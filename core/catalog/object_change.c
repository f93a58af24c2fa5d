/* Changes of objects: several at once, all or none. */
#include "core/catalog/catalog_priv.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/writer.h"
#include "core/catalog/object_priv.h"
#include "core/catalog/view_priv.h"

/* Whether the edit fits what there is now. */
static enum catalog_verdict judge(const struct catalog__objects *objects,
                                  const struct catalog_object_edit *edit)
{
    const struct catalog_object *known = edit->after != NULL ? edit->after : edit->before;
    const struct catalog_object *current =
        catalog__objects_find(objects, known->type, base_slice_text(known->id));

    if (current != edit->before) {
        return edit->before == NULL ? CATALOG_EXISTS
               : current == NULL    ? CATALOG_NOT_FOUND
                                    : CATALOG_CONFLICT;
    }
    if (edit->after == NULL || edit->after->name == NULL) {
        return CATALOG_DONE;
    }
    const struct catalog_object *namesake =
        catalog__objects_named(objects, edit->after->type, base_slice_text(edit->after->name));
    return namesake == NULL || namesake == edit->before ? CATALOG_DONE : CATALOG_EXISTS;
}

static enum base_err add_record(struct catalog *catalog, struct logstore_records_builder *builder,
                                const struct catalog_object_edit *edit)
{
    char key[CATALOG__OBJECT_KEY_SIZE];

    catalog__object_format_key(key, edit->after != NULL ? edit->after : edit->before);
    char *json = NULL;
    if (edit->after != NULL) {
        json = catalog__object_to_json(edit->after);
        if (json == NULL) {
            return BASE_ERR_NOMEM;
        }
    }
    catalog__add_record(builder, catalog__now_ms(catalog), key, json);
    base_free(json);
    return BASE_ERR_OK;
}

/* Judges and applies the edits in order, and writes their records. */
static enum catalog_verdict apply_all(struct catalog *catalog, struct catalog__objects *objects,
                                      const struct catalog_object_edit *edits, size_t count,
                                      struct logstore_records_builder *builder)
{
    for (size_t i = 0; i < count; i++) {
        enum catalog_verdict verdict = judge(objects, &edits[i]);
        if (verdict != CATALOG_DONE) {
            return verdict;
        }
        if (catalog__objects_replace(objects, edits[i].before, edits[i].after) != BASE_ERR_OK ||
            add_record(catalog, builder, &edits[i]) != BASE_ERR_OK) {
            return CATALOG_STORAGE_FAILED;
        }
    }
    return CATALOG_DONE;
}

void catalog_change_objects(struct catalog *catalog, struct catalog_object_edit *edits,
                            size_t count, struct catalog_change *change)
{
    struct base_executor *executor = change->executor;
    struct base_writer writer;
    struct logstore_records_builder builder;
    struct catalog_view *view = NULL;
    enum catalog_verdict verdict = CATALOG_STORAGE_FAILED;

    BASE_ASSERT(count > 0);
    BASE_ASSERT(count <= CATALOG_OBJECT_EDITS_MAX);
    catalog__begin_change(catalog, change);
    base_writer_init(&writer, CATALOG__CHANGE_BYTES_MAX);
    logstore_records_builder_begin(&builder, &writer);
    struct catalog__objects *objects =
        catalog__objects_copy(catalog__view_objects(catalog->newest));
    if (objects != NULL) {
        verdict = apply_all(catalog, objects, edits, count, &builder);
    }
    if (verdict == CATALOG_DONE) {
        view = catalog__view_with_objects(catalog->newest, objects);
    }
    if (view != NULL) {
        catalog__commit(catalog, &builder, view, change);
    } else {
        catalog__refuse(catalog, change, verdict == CATALOG_DONE ? CATALOG_STORAGE_FAILED : verdict,
                        BASE_ERR_NOMEM);
    }
    catalog__objects_release(&objects);
    base_writer_fini(&writer);
    catalog__end_change(catalog, executor);
    for (size_t i = 0; i < count; i++) {
        catalog_object_release(&edits[i].after);
    }
}
