/* Failed logins: how many of a user from an address, and of all from it, within a window.
 *
 * A small table of counts, found by a hash of both, or of the address alone. What falls together
 * shares a count: with 64 bits that is an accident, and the worst of it is a login that has to
 * wait. Few counts of one address can be full: it cannot leave others without room. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/mutex.h"
#include "core/base/uuid.h"
#include "core/security/identity_priv.h"

enum {
    SLOTS_COUNT = 32768, /* to fill them takes some 300 addresses within the window */
    PROBES_MAX = 8,
};

struct slot {
    uint64_t key;     /* 0: never used */
    int64_t since_ms; /* monotonic */
    uint32_t count;
};

struct security__throttle {
    struct base_mutex lock;
    uint8_t secret[32]; /* nobody may choose where a user falls */
    struct slot slots[SLOTS_COUNT];
};

enum base_err security__throttle_create(struct security__throttle **out)
{
    *out = base_alloc_object(struct security__throttle);
    if (*out == NULL) {
        return BASE_ERR_NOMEM;
    }
    base_mutex_init(&(*out)->lock);
    base_random_bytes((*out)->secret, sizeof(*out)->secret);
    return BASE_ERR_OK;
}

void security__throttle_close(struct security__throttle **throttle)
{
    if (*throttle != NULL) {
        base_mutex_fini(&(*throttle)->lock);
    }
    base_free(*throttle);
    *throttle = NULL;
}

static uint64_t key_of(const struct security__throttle *throttle, struct base_slice bytes)
{
    uint8_t hash[SECURITY__SHA256_SIZE];
    uint64_t key = 0;

    security__hmac(SECURITY__SHA256, base_slice_of(throttle->secret, sizeof throttle->secret),
                   bytes, hash);
    memcpy(&key, hash, sizeof key);
    return key == 0 ? 1 : key;
}

static struct security_attempt attempt_of(const struct security__throttle *throttle,
                                          struct security__login_name user, const char *address)
{
    uint8_t all[3][SECURITY__SHA256_SIZE];

    security__hash(SECURITY__SHA256, user.domain, all[0]);
    security__hash(SECURITY__SHA256, user.name, all[1]);
    security__hash(SECURITY__SHA256, base_slice_text(address), all[2]);
    return (struct security_attempt){.user_key = key_of(throttle, base_slice_of(all, sizeof all)),
                                     .address_key =
                                         key_of(throttle, base_slice_of(all[2], sizeof all[2]))};
}

static struct slot *find_slot(struct security__throttle *throttle, uint64_t key)
{
    for (unsigned i = 0; i < PROBES_MAX; i++) {
        struct slot *slot = &throttle->slots[(key + i) % SLOTS_COUNT];
        if (slot->key == key) {
            return slot;
        }
    }
    return NULL;
}

static bool is_over(const struct slot *slot, int64_t now_ms)
{
    return slot->key == 0 || now_ms - slot->since_ms >= SECURITY_FAILED_LOGINS_WINDOW_MS;
}

/* The slot to take for key: one that is over, or the one near by with the fewest failures. NULL
 * when all are full: nobody gets more attempts by having others fail. */
static struct slot *find_room(struct security__throttle *throttle, int64_t now_ms, uint64_t key)
{
    struct slot *best = NULL;
    uint32_t best_count = SECURITY_FAILED_LOGINS_MAX;

    for (unsigned i = 0; i < PROBES_MAX; i++) {
        struct slot *slot = &throttle->slots[(key + i) % SLOTS_COUNT];
        uint32_t count = is_over(slot, now_ms) ? 0 : slot->count;
        if (count < best_count) {
            best = slot;
            best_count = count;
        }
    }
    return best;
}

static bool is_full(struct security__throttle *throttle, int64_t now_ms, uint64_t key,
                    uint32_t count_max)
{
    const struct slot *slot = find_slot(throttle, key);
    return slot != NULL && !is_over(slot, now_ms) && slot->count >= count_max;
}

/* False when there is no room for it. */
static bool count(struct security__throttle *throttle, int64_t now_ms, uint64_t key)
{
    struct slot *slot = find_slot(throttle, key);
    if (slot == NULL) {
        slot = find_room(throttle, now_ms, key);
    }
    if (slot == NULL) {
        return false;
    }
    if (slot->key != key || is_over(slot, now_ms)) {
        *slot = (struct slot){.key = key, .since_ms = now_ms};
    }
    slot->count++;
    return true;
}

static void take_back(struct security__throttle *throttle, uint64_t key)
{
    struct slot *slot = find_slot(throttle, key);
    if (slot != NULL && slot->count > 0) {
        slot->count--;
    }
}

bool security__throttle_enter(struct security__throttle *throttle, int64_t now_ms,
                              struct security__login_name user, const char *address,
                              struct security_attempt *attempt)
{
    *attempt = attempt_of(throttle, user, address);
    base_mutex_lock(&throttle->lock);
    /* Before the outcome is known: many at once count too. */
    bool is_allowed =
        !is_full(throttle, now_ms, attempt->address_key, SECURITY_FAILED_LOGINS_ADDRESS_MAX) &&
        !is_full(throttle, now_ms, attempt->user_key, SECURITY_FAILED_LOGINS_MAX) &&
        count(throttle, now_ms, attempt->address_key) && count(throttle, now_ms, attempt->user_key);
    base_mutex_unlock(&throttle->lock);
    return is_allowed;
}

void security__throttle_succeeded(struct security__throttle *throttle,
                                  const struct security_attempt *attempt)
{
    base_mutex_lock(&throttle->lock);
    take_back(throttle, attempt->user_key);
    take_back(throttle, attempt->address_key);
    base_mutex_unlock(&throttle->lock);
}
