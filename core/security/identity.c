/* The identity service: its life, and the removal of what has expired. */
#include "core/security/identity.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/security/identity_priv.h"
#include "core/security/keystone.h"

static void arm(struct security_identity *identity)
{
    int64_t pause_ms =
        identity->has_more_to_sweep ? SECURITY_SWEEP_AGAIN_MS : SECURITY_SWEEP_INTERVAL_MS;
    base_alarm_set(&identity->sweep,
                   base_clock_monotonic_us(identity->options.clock) + pause_ms * 1000);
}

struct expired {
    int64_t before_ms;
    size_t count;
    struct catalog_object_edit edits[CATALOG_OBJECT_EDITS_MAX];
};

static bool collect_expired(void *context, const struct catalog_object *object)
{
    struct expired *expired = context;
    int64_t expires_ms = catalog_object_integer(object, "expires_ms");

    if (expires_ms > 0 && expires_ms <= expired->before_ms) {
        expired->edits[expired->count++] = (struct catalog_object_edit){.before = object};
    }
    return expired->count < CATALOG_OBJECT_EDITS_MAX;
}

static void sweep_is_over(struct base_task *task)
{
    struct security_identity *identity =
        BASE_CONTAINER_OF(task, struct security_identity, sweep_change.task);
    identity->is_sweeping = false;
    if (identity->closed_task != NULL) {
        base_alarm_close(&identity->sweep, &identity->sweep_closed);
    } else {
        arm(identity);
    }
}

/* What is missed now, because there is too much or it changed meanwhile, is removed next time:
 * it has expired all the same. */
static void sweep(struct base_alarm *alarm)
{
    struct security_identity *identity = BASE_CONTAINER_OF(alarm, struct security_identity, sweep);
    if (identity->is_sweeping || identity->closed_task != NULL) {
        return;
    }
    struct expired *expired = base_alloc_object(struct expired);
    if (expired == NULL) {
        arm(identity);
        return;
    }
    struct catalog_view *view = catalog_view(identity->options.catalog);
    expired->before_ms = security__now_ms(identity) - SECURITY_EXPIRED_KEPT_MS;
    catalog_view_each_object(view, CATALOG_OBJECT_TOKEN, collect_expired, expired);
    if (expired->count < CATALOG_OBJECT_EDITS_MAX) {
        catalog_view_each_object(view, CATALOG_OBJECT_ACCESS_KEY, collect_expired, expired);
    }
    identity->has_more_to_sweep = expired->count == CATALOG_OBJECT_EDITS_MAX;
    if (expired->count > 0) {
        identity->is_sweeping = true;
        identity->sweep_change = (struct catalog_change){.executor = identity->options.home,
                                                         .task = {.run = sweep_is_over}};
        catalog_change_objects(identity->options.catalog, expired->edits, expired->count,
                               &identity->sweep_change);
    } else {
        arm(identity);
    }
    catalog_view_release(&view);
    base_free(expired);
}

static void free_identity(struct security_identity *identity)
{
    security__throttle_close(&identity->throttle);
    security__replay_close(&identity->replay);
    security_keystone_close(&identity->options.keystone);
    base_mutex_fini(&identity->keys_lock);
    security__wipe(identity->options.key, sizeof identity->options.key);
    base_free(identity);
}

enum base_err security_identity_create(const struct security_identity_options *options,
                                       struct security_identity **out)
{
    BASE_ASSERT(options->token_lifetime_ms > 0);

    *out = NULL;
    struct security_identity *identity = base_alloc_object(struct security_identity);
    if (identity == NULL) {
        return BASE_ERR_NOMEM;
    }
    identity->options = *options;
    base_mutex_init(&identity->keys_lock);
    base_list_init(&identity->being_made);
    identity->started_us = base_clock_monotonic_us(options->clock);
    enum base_err err = security__throttle_create(&identity->throttle);
    if (err == BASE_ERR_OK) {
        err = security__replay_create(options->clock, options->signatures_max,
                                      options->signature_repeat_ms, &identity->replay);
    }
    if (err != BASE_ERR_OK) {
        identity->options.keystone = NULL; /* stays the caller's */
        free_identity(identity);
        return err;
    }
    base_alarm_init(&identity->sweep, options->home, sweep);
    arm(identity);
    *out = identity;
    return BASE_ERR_OK;
}

static void sweep_closed(struct base_task *task)
{
    struct security_identity *identity =
        BASE_CONTAINER_OF(task, struct security_identity, sweep_closed);
    struct base_executor *home = identity->options.home;
    struct base_task *closed = identity->closed_task;

    BASE_ASSERT(atomic_load(&identity->waiting) == 0);
    free_identity(identity);
    base_executor_post(home, closed);
}

void security_identity_close(struct security_identity *identity, struct base_task *closed)
{
    BASE_ASSERT(base_executor_is_current(identity->options.home));
    identity->closed_task = closed;
    identity->sweep_closed.run = sweep_closed;
    if (!identity->is_sweeping) {
        base_alarm_close(&identity->sweep, &identity->sweep_closed);
    }
}

bool security_identity_is_builtin(const struct security_identity *identity)
{
    return identity->options.keystone == NULL;
}

struct catalog *security_identity_catalog(struct security_identity *identity)
{
    return identity->options.catalog;
}
