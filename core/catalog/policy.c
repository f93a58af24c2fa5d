/* Policies as a short array of values. */
#include "core/catalog/policy.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

void catalog_policies_fini(struct catalog_policies *policies)
{
    for (uint32_t i = 0; i < policies->count; i++) {
        base_free(policies->array[i].users);
    }
    base_free(policies->array);
    *policies = (struct catalog_policies){0};
}

enum base_err catalog_policies_copy(const struct catalog_policies *policies,
                                    struct catalog_policies *copy)
{
    enum base_err err = BASE_ERR_OK;

    BASE_ASSERT(copy->count == 0);
    for (uint32_t i = 0; err == BASE_ERR_OK && i < policies->count; i++) {
        err = catalog_policies_set(copy, &policies->array[i]);
    }
    return err;
}

static struct catalog_policy *find(const struct catalog_policies *policies, struct base_slice id)
{
    for (uint32_t i = 0; i < policies->count; i++) {
        if (base_slice_is(id, policies->array[i].id)) {
            return &policies->array[i];
        }
    }
    return NULL;
}

const struct catalog_policy *catalog_policies_find(const struct catalog_policies *policies,
                                                   struct base_slice id)
{
    return find(policies, id);
}

enum base_err catalog_policies_set(struct catalog_policies *policies,
                                   const struct catalog_policy *policy)
{
    struct catalog_policy *place = find(policies, base_slice_text(policy->id));
    if (place == NULL && policies->count == CATALOG_POLICIES_MAX) {
        return BASE_ERR_TOO_LARGE;
    }
    char *users = base_strdup(policy->users);
    if (users == NULL) {
        return BASE_ERR_NOMEM;
    }
    if (place == NULL) {
        struct catalog_policy *array =
            base_realloc_array(policies->array, (size_t)policies->count + 1, sizeof array[0]);
        if (array == NULL) {
            base_free(users);
            return BASE_ERR_NOMEM;
        }
        policies->array = array;
        place = &array[policies->count++];
    } else {
        base_free(place->users);
    }
    *place = *policy;
    place->users = users;
    return BASE_ERR_OK;
}

bool catalog_policies_unset(struct catalog_policies *policies, struct base_slice id)
{
    struct catalog_policy *place = find(policies, id);
    if (place == NULL) {
        return false;
    }
    base_free(place->users);
    policies->count--;
    memmove(place, place + 1, (size_t)(&policies->array[policies->count] - place) * sizeof *place);
    return true;
}

bool catalog_policy_next_user(struct base_slice *users, struct base_slice *user)
{
    if (users->length == 0) {
        return false;
    }
    const uint8_t *comma = memchr(users->data, ',', users->length);
    size_t length = comma == NULL ? users->length : (size_t)(comma - users->data);
    size_t taken = comma == NULL ? length : length + 1;
    *user = base_slice_of(users->data, length);
    *users = base_slice_of(users->data + taken, users->length - taken);
    return true;
}

#define WORD(name, word) word,
static const char *const action_names[] = {CATALOG_POLICY_ACTION_LIST(WORD)};
static const char *const service_names[] = {CATALOG_POLICY_SERVICE_LIST(WORD)};
#undef WORD

/* Place of name among names; count when it is not there. */
static unsigned place_of(struct base_slice name, const char *const *names, unsigned count)
{
    unsigned i = 0;
    while (i < count && !base_slice_is(name, names[i])) {
        i++;
    }
    return i;
}

const char *catalog_policy_action_name(enum catalog_policy_action action)
{
    BASE_ASSERT(action < CATALOG_POLICY_ACTION_COUNT);
    return action_names[action];
}

bool catalog_policy_action_parse(struct base_slice name, enum catalog_policy_action *out)
{
    unsigned place = place_of(name, action_names, CATALOG_POLICY_ACTION_COUNT);
    *out = (enum catalog_policy_action)place;
    return place < CATALOG_POLICY_ACTION_COUNT;
}

const char *catalog_policy_service_name(enum catalog_policy_service service)
{
    BASE_ASSERT(service < CATALOG_POLICY_SERVICE_COUNT);
    return service_names[service];
}

bool catalog_policy_service_parse(struct base_slice name, enum catalog_policy_service *out)
{
    unsigned place = place_of(name, service_names, CATALOG_POLICY_SERVICE_COUNT);
    *out = (enum catalog_policy_service)place;
    return place < CATALOG_POLICY_SERVICE_COUNT;
}
