/* What a change of one topic means for others: the dead letters of a queue's groups come and go
 * with them. */
#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/catalog/catalog_priv.h"
#include "core/catalog/dead_letters.h"

static struct catalog__edit *add(struct catalog__edits *edits)
{
    return &edits->array[edits->count++];
}

static enum base_err add_letters(struct catalog__edits *edits, const struct catalog *catalog,
                                 const struct catalog_topic *queue,
                                 const struct catalog_group *group)
{
    struct catalog_topic *letters =
        catalog_dead_letters_draft(queue, group, &catalog->topic_defaults);
    if (letters == NULL) {
        return BASE_ERR_NOMEM;
    }
    *add(edits) = (struct catalog__edit){.after = letters, .ours = letters};
    return BASE_ERR_OK;
}

static void remove_letters(struct catalog__edits *edits, const struct catalog *catalog,
                           const struct catalog_group *group)
{
    struct base_uuid id;

    if (!catalog_dead_letters_topic_id(base_slice_text(group->id), &id)) {
        return;
    }
    const struct catalog_topic *letters = catalog_view_topic_by_id(catalog->newest, id);
    if (letters != NULL) {
        *add(edits) = (struct catalog__edit){.before = letters};
    }
}

/* Compares the groups: those that stay keep their order, and new ones are last. */
static enum base_err add_groups(struct catalog__edits *edits, const struct catalog *catalog,
                                const struct catalog_topic *before,
                                const struct catalog_topic *after)
{
    uint32_t after_count = after == NULL ? 0 : after->groups_count;
    uint32_t kept = 0;
    enum base_err err = BASE_ERR_OK;

    for (uint32_t i = 0; i < before->groups_count; i++) {
        if (kept < after_count &&
            base_slice_is(base_slice_text(before->groups[i].id), after->groups[kept].id)) {
            kept++;
        } else {
            remove_letters(edits, catalog, &before->groups[i]);
        }
    }
    for (uint32_t i = kept; err == BASE_ERR_OK && i < after_count; i++) {
        err = add_letters(edits, catalog, after, &after->groups[i]);
    }
    return err;
}

enum base_err catalog__edits_init(struct catalog__edits *edits, const struct catalog *catalog,
                                  const struct catalog_topic *before,
                                  const struct catalog_topic *after)
{
    size_t count = 1 + (before == NULL ? 0 : (size_t)before->groups_count) +
                   (after == NULL ? 0 : (size_t)after->groups_count);

    BASE_ASSERT(before != NULL || (after != NULL && after->groups_count == 0));
    *edits = (struct catalog__edits){.array = base_alloc_array(count, sizeof edits->array[0])};
    if (edits->array == NULL) {
        return BASE_ERR_NOMEM;
    }
    *add(edits) = (struct catalog__edit){.before = before, .after = after};
    return before != NULL && before->redrive ? add_groups(edits, catalog, before, after)
                                             : BASE_ERR_OK;
}

void catalog__edits_fini(struct catalog__edits *edits)
{
    for (uint32_t i = 0; i < edits->count; i++) {
        catalog_topic_release(&edits->array[i].ours);
    }
    base_free(edits->array);
}
