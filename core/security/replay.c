/* Signatures that were used, remembered as long as they could be used again.
 *
 * Entries hang in a hash table, and in a list of the second that they were signed in. When there
 * is no room the oldest seconds are forgotten and the window ends there: a signature of that time
 * is refused from then on whether it was used or not. So the memory is bounded, a replay is never
 * accepted, and a client whose clock is right does not notice. The window never ends later than a
 * margin before now, whatever dates signatures have; and those dated ahead, which stay longest,
 * take a share of the room only: whose clock is right cannot be crowded out by them. What was used
 * before a start is not known: signature_verify.c refuses those made before it.
 *
 * Where the wall clock was set back to before the window, everybody would be refused until it is
 * there again. As after a start, everything is forgotten then and the window begins now. So what
 * was used before, and is dated in time that comes again, could be used again. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/mutex.h"
#include "core/security/identity_priv.h"
#include "core/security/signature.h"

enum {
    SECONDS_COUNT = 2048, /* more than two windows and the second between them */
    NONE = 0,             /* index of no entry; the first entry is not used */
    AHEAD_SHARE = 4,      /* one in so many entries may be dated ahead */
};

static_assert(SECONDS_COUNT > 2 * SECURITY_SIGNATURE_WINDOW_S + 1, "each second has its own list");

struct entry {
    uint8_t signature[16]; /* half of it tells them apart well enough */
    int64_t first_ms;      /* monotonic */
    uint32_t hash_next;
    uint32_t second_next;
};

struct security__replay {
    struct base_clock *clock; /* borrowed */
    struct base_mutex lock;
    int64_t repeat_ms;
    int64_t floor_s; /* seconds before it are forgotten */
    int64_t near_s;  /* seconds after it are ahead */
    uint32_t ahead_count;
    uint32_t ahead_max;
    uint32_t entries_count;
    uint32_t heads_mask;
    uint32_t free_entry;
    uint32_t fresh_entry; /* from here on never used */
    uint32_t seconds[SECONDS_COUNT];
    uint32_t aheads[SECONDS_COUNT]; /* how many of ahead_count are of this second */
    uint32_t *heads;                /* owned */
    struct entry *entries;          /* owned */
};

enum base_err security__replay_create(struct base_clock *clock, size_t entries_max,
                                      int64_t repeat_ms, struct security__replay **out)
{
    BASE_ASSERT(entries_max > 0 && entries_max < UINT32_MAX / 4);

    struct security__replay *replay = base_alloc_object(struct security__replay);
    *out = replay;
    if (replay == NULL) {
        return BASE_ERR_NOMEM;
    }
    replay->clock = clock;
    base_mutex_init(&replay->lock);
    uint32_t heads_count = 1;
    while (heads_count < entries_max) {
        heads_count *= 2;
    }
    replay->repeat_ms = repeat_ms;
    replay->floor_s = INT64_MIN; /* nothing was ever signed */
    replay->near_s = INT64_MIN;
    replay->ahead_max = (uint32_t)((entries_max + AHEAD_SHARE - 1) / AHEAD_SHARE);
    replay->entries_count = (uint32_t)entries_max + 1;
    replay->heads_mask = heads_count - 1;
    replay->fresh_entry = 1;
    replay->heads = base_alloc_array(heads_count, sizeof replay->heads[0]);
    replay->entries = base_alloc_array(replay->entries_count, sizeof replay->entries[0]);
    if (replay->heads == NULL || replay->entries == NULL) {
        security__replay_close(out);
        return BASE_ERR_NOMEM;
    }
    return BASE_ERR_OK;
}

void security__replay_close(struct security__replay **replay)
{
    if (*replay != NULL) {
        base_mutex_fini(&(*replay)->lock);
        base_free((*replay)->heads);
        base_free((*replay)->entries);
    }
    base_free(*replay);
    *replay = NULL;
}

/* A signature is random already. */
static uint32_t *head_of(struct security__replay *replay, const uint8_t *signature)
{
    uint32_t hash = 0;
    memcpy(&hash, signature, sizeof hash);
    return &replay->heads[hash & replay->heads_mask];
}

static uint32_t *second_of(struct security__replay *replay, int64_t second)
{
    return &replay->seconds[(uint64_t)second % SECONDS_COUNT];
}

static void forget_entry(struct security__replay *replay, uint32_t index)
{
    uint32_t *link = head_of(replay, replay->entries[index].signature);
    while (*link != index) {
        BASE_ASSERT(*link != NONE);
        link = &replay->entries[*link].hash_next;
    }
    *link = replay->entries[index].hash_next;
    replay->entries[index].hash_next = replay->free_entry;
    replay->free_entry = index;
}

/* Forgets everything that was signed before second. */
static void raise_floor(struct security__replay *replay, int64_t second)
{
    if (replay->floor_s < second - SECONDS_COUNT) {
        replay->floor_s = second - SECONDS_COUNT; /* all lists there are */
    }
    for (; replay->floor_s < second; replay->floor_s++) {
        uint32_t *list = second_of(replay, replay->floor_s);
        while (*list != NONE) {
            uint32_t index = *list;
            *list = replay->entries[index].second_next;
            forget_entry(replay, index);
        }
    }
}

/* Seconds up to this one are ahead no more. */
static void raise_near(struct security__replay *replay, int64_t second)
{
    if (replay->near_s < second - SECONDS_COUNT) {
        replay->near_s = second - SECONDS_COUNT; /* all there are */
    }
    while (replay->near_s < second) {
        uint32_t *ahead = &replay->aheads[(uint64_t)++replay->near_s % SECONDS_COUNT];
        BASE_ASSERT(*ahead <= replay->ahead_count);
        replay->ahead_count -= *ahead;
        *ahead = 0;
    }
}

static void forget_all(struct security__replay *replay, int64_t now_s)
{
    memset(replay->heads, 0, (replay->heads_mask + (size_t)1) * sizeof replay->heads[0]);
    memset(replay->seconds, 0, sizeof replay->seconds);
    memset(replay->aheads, 0, sizeof replay->aheads);
    replay->free_entry = NONE;
    replay->fresh_entry = 1;
    replay->ahead_count = 0;
    replay->floor_s = now_s;
    replay->near_s = now_s;
}

/* An entry that is free; NONE when even the seconds up to last_s held none. */
static uint32_t take_entry(struct security__replay *replay, int64_t last_s)
{
    while (replay->free_entry == NONE && replay->fresh_entry == replay->entries_count &&
           replay->floor_s < last_s) {
        raise_floor(replay, replay->floor_s + 1);
    }
    uint32_t index = replay->free_entry;
    if (index != NONE) {
        replay->free_entry = replay->entries[index].hash_next;
    } else if (replay->fresh_entry < replay->entries_count) {
        index = replay->fresh_entry++;
    }
    return index;
}

static enum security_verdict check(struct security__replay *replay, int64_t date_s,
                                   const uint8_t *signature, bool may_repeat)
{
    int64_t now_s = base_clock_wall_ms(replay->clock) / 1000;
    int64_t now_ms = base_clock_monotonic_ms(replay->clock);
    int64_t oldest_s = now_s - SECURITY_SIGNATURE_WINDOW_S;
    int64_t spared_s = now_s - SECURITY_SIGNATURE_MARGIN_S; /* from here on nothing is forgotten */

    if (replay->floor_s > now_s) {
        forget_all(replay, now_s);
    }
    raise_near(replay, now_s + SECURITY_SIGNATURE_MARGIN_S);
    if (oldest_s > replay->floor_s) {
        raise_floor(replay, oldest_s);
    }
    if (date_s < replay->floor_s || date_s > now_s + SECURITY_SIGNATURE_WINDOW_S) {
        return SECURITY_NOT_IN_TIME;
    }
    uint32_t *head = head_of(replay, signature);
    for (uint32_t i = *head; i != NONE; i = replay->entries[i].hash_next) {
        const struct entry *entry = &replay->entries[i];
        if (memcmp(entry->signature, signature, sizeof entry->signature) == 0) {
            return may_repeat && now_ms - entry->first_ms < replay->repeat_ms ? SECURITY_OK
                                                                              : SECURITY_REPLAYED;
        }
    }
    bool is_ahead = date_s > replay->near_s;
    if (is_ahead && replay->ahead_count >= replay->ahead_max) {
        return SECURITY_OVERLOADED;
    }
    uint32_t index = take_entry(replay, date_s < spared_s ? date_s : spared_s);
    if (index == NONE) {
        return SECURITY_OVERLOADED; /* that many within the margin */
    }
    if (is_ahead) {
        replay->ahead_count++;
        replay->aheads[(uint64_t)date_s % SECONDS_COUNT]++;
    }
    struct entry *entry = &replay->entries[index];
    uint32_t *second = second_of(replay, date_s);
    memcpy(entry->signature, signature, sizeof entry->signature);
    entry->first_ms = now_ms;
    entry->hash_next = *head;
    entry->second_next = *second;
    *head = index;
    *second = index;
    return SECURITY_OK;
}

enum security_verdict security__replay_check(struct security__replay *replay, int64_t date_s,
                                             const uint8_t signature[32], bool may_repeat)
{
    base_mutex_lock(&replay->lock);
    enum security_verdict verdict = check(replay, date_s, signature, may_repeat);
    base_mutex_unlock(&replay->lock);
    return verdict;
}
