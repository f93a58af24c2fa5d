#include "tests/sim/lease_model.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/queue/dead_letter.h"
#include "core/queue/redrive.h"
#include "tests/sim/lease_world.h"

struct lease_group *lease_group_create(struct lease_queue *queue, const char *id)
{
    struct lease_group *group = base_alloc_object(struct lease_group);

    BASE_ASSERT(group != NULL);
    group->queue = queue;
    (void)snprintf(group->id, sizeof group->id, "%s", id);
    group->views = base_alloc_array(LEASE_MESSAGES_MAX, sizeof group->views[0]);
    BASE_ASSERT(group->views != NULL);
    return group;
}

struct lease_queue *lease_queue_create(struct lease_world *world)
{
    struct lease_queue *queue = base_alloc_object(struct lease_queue);

    BASE_ASSERT(queue != NULL);
    queue->world = world;
    queue->serial = world->serials++;
    queue->messages = base_alloc_array(LEASE_MESSAGES_MAX, sizeof queue->messages[0]);
    BASE_ASSERT(queue->messages != NULL);
    for (unsigned i = 0; i < LEASE_PARTITIONS_MAX; i++) {
        queue->at[i] = base_alloc_array(LEASE_MESSAGES_MAX, sizeof queue->at[i][0]);
        BASE_ASSERT(queue->at[i] != NULL);
    }
    return queue;
}

static void free_group(struct lease_group *group)
{
    if (group != NULL) {
        lease_queue_free(&group->letters);
        base_free(group->views);
        base_free(group);
    }
}

void lease_queue_free(struct lease_queue **queue_pointer)
{
    struct lease_queue *queue = *queue_pointer;

    *queue_pointer = NULL;
    if (queue == NULL) {
        return;
    }
    for (unsigned i = 0; i < LEASE_GROUPS; i++) {
        free_group(queue->groups[i]);
    }
    while (queue->groups_gone != NULL) {
        struct lease_group *group = queue->groups_gone;
        queue->groups_gone = group->next_gone;
        free_group(group);
    }
    for (unsigned i = 0; i < LEASE_PARTITIONS_MAX; i++) {
        base_free(queue->at[i]);
    }
    catalog_topic_release(&queue->topic);
    base_free(queue->messages);
    base_free(queue);
}

uint32_t lease_model_add(struct lease_queue *queue, const struct lease_message *message)
{
    LEASE_CHECK(queue->messages_count < LEASE_MESSAGES_MAX);
    queue->messages[queue->messages_count] = *message;
    return queue->messages_count++;
}

void lease_model_bind(struct lease_queue *queue, uint32_t number, int32_t partition, int64_t offset)
{
    struct lease_message *message = &queue->messages[number];

    LEASE_CHECK(partition < queue->topic->partitions_count);
    LEASE_CHECK(offset < LEASE_MESSAGES_MAX);
    if (message->offset >= 0) {
        LEASE_CHECK(message->partition == partition);
        LEASE_CHECK(message->offset == offset);
        return;
    }
    LEASE_CHECK(queue->at[partition][offset] == 0); /* an offset never changes its meaning */
    queue->at[partition][offset] = number + 1;
    message->partition = partition;
    message->offset = offset;
    for (unsigned i = 0; i < LEASE_GROUPS; i++) {
        struct lease_group *group = queue->groups[i];
        if (group != NULL && offset < group->reset_to[partition] &&
            group->views[number].progress == PROGRESS_OPEN) {
            group->views[number].progress = PROGRESS_DONE; /* a reset went past it */
        }
    }
}

bool lease_model_may_have_timed_out(const struct lease_world *world, const struct lease_view *view)
{
    return view->is_leased &&
           lease_world_now_us(world) >= view->lease_us + LEASE_ACK_WAIT_MS * 1000;
}

bool lease_model_may_be_dead(const struct lease_group *group, const struct lease_view *view)
{
    uint32_t most = group->queue->failures_max;
    uint32_t failures = view->failures_max;

    failures += lease_model_may_have_timed_out(group->queue->world, view) ? 1 : 0;
    failures += view->acks_open > 0 ? 1 : 0; /* one that fails, and is not answered yet */
    return most > 0 && (failures >= most || view->is_blurred);
}

/* A letter says that the group's message has failed for good. */
static void note_death(struct lease_group *group, uint32_t number,
                       const struct queue_dead_letter *letter)
{
    struct lease_view *view = &group->views[number];

    LEASE_CHECK(letter->attempts == group->queue->failures_max);
    if (view->is_blurred) {
        return; /* from before or after a reset: who knows */
    }
    LEASE_CHECK(view->progress != PROGRESS_DONE);
    LEASE_CHECK(view->progress != PROGRESS_DEAD);
    LEASE_CHECK(view->progress != PROGRESS_ACKING);
    LEASE_CHECK(lease_model_may_be_dead(group, view));
    view->progress = PROGRESS_DEAD;
    view->is_leased = false;
}

static uint32_t add_letter(struct lease_queue *letters, const struct logstore_record *record,
                           uint32_t source)
{
    struct lease_group *group = letters->letters_of;
    struct lease_world *world = letters->world;
    struct queue_dead_letter letter;

    queue_dead_letter_read(record, &letter);
    LEASE_CHECK(letter.partition >= 0);
    LEASE_CHECK(letter.partition < group->queue->topic->partitions_count);
    LEASE_CHECK(letter.offset >= 0);
    LEASE_CHECK(letter.offset < LEASE_MESSAGES_MAX);
    uint32_t number = group->queue->at[letter.partition][letter.offset];
    LEASE_CHECK(number > 0); /* who failed was delivered before */
    number--;
    LEASE_CHECK(group->queue->messages[number].source == source);
    world->letters_count++;
    if (!lease_world_plants(world, LEASE_PLANT_LETTER_LOST)) {
        note_death(group, number, &letter);
    }
    if (lease_world_plants(world, LEASE_PLANT_LETTER_TWICE)) {
        note_death(group, number, &letter);
    }
    const struct lease_message message = {
        .fate = FATE_STORED, .offset = -1, .time_ms = record->timestamp_ms, .source = source};
    return lease_model_add(letters, &message);
}

static struct lease_group *group_of(struct lease_queue *queue, struct base_slice id)
{
    for (unsigned i = 0; i < LEASE_GROUPS; i++) {
        if (queue->groups[i] != NULL && base_slice_is(id, queue->groups[i]->id)) {
            return queue->groups[i];
        }
    }
    struct lease_group *gone = queue->groups_gone;
    while (gone != NULL && !base_slice_is(id, gone->id)) {
        gone = gone->next_gone;
    }
    LEASE_CHECK(gone != NULL);
    return gone;
}

static uint32_t add_redriven(struct lease_queue *queue, const struct logstore_record *record,
                             uint32_t source, struct base_slice group_id)
{
    const struct lease_message message = {
        .fate = FATE_STORED,
        .offset = -1,
        .time_ms = record->timestamp_ms,
        .tags = queue->messages[source].tags,
        .source = source,
        .only_for = group_of(queue, group_id),
    };
    queue->world->redriven_count++;
    return lease_model_add(queue, &message);
}

/* A delayed message once more: only a log that a failed sync left behind may bring that, or a
 * disk so full that the first copy expired before it could be marked as moved. */
static uint32_t add_repetition(struct lease_queue *queue, uint32_t source)
{
    struct lease_message message = queue->messages[source];

    LEASE_CHECK(message.is_delayed);
    LEASE_CHECK(!queue->is_fifo);
    LEASE_CHECK(queue->world->sync_failed || queue->expires);
    message.offset = -1;
    message.is_delayed = false;
    return lease_model_add(queue, &message);
}

static uint32_t parse_value(const struct lease_queue *queue, const struct logstore_record *record)
{
    char text[LEASE_VALUE_SIZE];
    unsigned serial;
    unsigned number;

    LEASE_CHECK(record->value.length < LEASE_VALUE_SIZE);
    memcpy(text, record->value.data, record->value.length);
    text[record->value.length] = '\0';
    LEASE_CHECK(sscanf(text, "%u:%u", &serial, &number) == 2);
    LEASE_CHECK(serial == queue->serial);
    LEASE_CHECK(number < queue->messages_count);
    return number;
}

static uint32_t add_or_find(struct lease_queue *queue, const struct logstore_record *record,
                            uint32_t source)
{
    struct base_slice group_id;

    if (queue->letters_of != NULL) {
        return add_letter(queue, record, source);
    }
    if (logstore_record_header(record, QUEUE_REDRIVE_GROUP, &group_id)) {
        return add_redriven(queue, record, source, group_id);
    }
    return queue->messages[source].offset < 0 ? source : add_repetition(queue, source);
}

uint32_t lease_model_identify(struct lease_queue *queue, int32_t partition,
                              const struct logstore_record *record)
{
    struct lease_queue *root = queue->letters_of == NULL ? queue : queue->letters_of->queue;
    uint32_t source = parse_value(root, record);

    LEASE_CHECK(partition < queue->topic->partitions_count);
    LEASE_CHECK(record->offset < LEASE_MESSAGES_MAX);
    uint32_t known = queue->at[partition][record->offset];
    uint32_t number = known > 0 ? known - 1 : add_or_find(queue, record, source);
    struct lease_message *message = &queue->messages[number];
    LEASE_CHECK(message->source == source);
    LEASE_CHECK(message->fate != FATE_NONE);
    lease_model_bind(queue, number, partition, record->offset);
    if (message->is_delayed) {
        LEASE_CHECK(record->timestamp_ms >= message->time_ms);
        LEASE_CHECK(lease_world_now_ms(queue->world) >= message->time_ms);
    }
    if (message->fate == FATE_MAYBE) {
        message->fate = FATE_STORED; /* what was seen is on the disk */
    }
    message->time_ms = record->timestamp_ms;
    return number;
}

/* Tags of the rules, in bits. Rule 0 wants everything. */
static const struct {
    unsigned tags;
    bool all;
} rules[LEASE_RULES] = {{0, false}, {1, false}, {1 | 2, false}, {2 | 4, true}};

struct queue_tag_rule lease_model_rule(uint32_t rule)
{
    static const char *const names[LEASE_TAGS] = {"red", "green", "blue"};
    struct base_slice tags[LEASE_TAGS];
    struct queue_tag_rule out;
    uint32_t count = 0;

    for (unsigned i = 0; i < LEASE_TAGS; i++) {
        if ((rules[rule].tags >> i & 1) != 0) {
            tags[count++] = base_slice_text(names[i]);
        }
    }
    queue_tag_rule_init(&out, tags, count, rules[rule].all);
    return out;
}

bool lease_model_wants(const struct lease_group *group, uint32_t rule,
                       const struct lease_message *message)
{
    unsigned wanted = rules[rule].tags;
    unsigned common = wanted & message->tags;

    if (message->only_for != NULL && message->only_for != group) {
        return false;
    }
    return wanted == 0 || (rules[rule].all ? common == wanted : common != 0);
}

enum lease_progress lease_model_open_progress(const struct lease_world *world,
                                              const struct lease_view *view)
{
    return view->maybe_life == world->life ? PROGRESS_MAYBE : PROGRESS_OPEN;
}

bool lease_model_has_expired(const struct lease_queue *queue, const struct lease_message *message)
{
    return queue->expires &&
           message->time_ms < lease_world_now_ms(queue->world) - LEASE_RETENTION_MS;
}

void lease_model_blur(const struct lease_world *world, struct lease_view *view)
{
    view->progress = PROGRESS_MAYBE;
    view->maybe_life = world->life;
    view->is_leased = false;
    view->failures_min = 0;
    view->failures_kept = 0;
    view->failures_max = LEASE_FAILURES_ANY;
    view->is_blurred = true;
}

void lease_model_blur_all(struct lease_group *group)
{
    for (uint32_t i = 0; i < LEASE_MESSAGES_MAX; i++) {
        lease_model_blur(group->queue->world, &group->views[i]);
    }
    memset(group->reset_to, 0, sizeof group->reset_to);
    group->rule_knowledge = RULE_UNKNOWN;
}

void lease_model_reset(struct lease_group *group, const int64_t *offsets)
{
    const struct lease_queue *queue = group->queue;

    for (uint32_t i = 0; i < queue->messages_count; i++) {
        const struct lease_message *message = &queue->messages[i];
        bool is_behind = message->offset >= 0 && message->offset < offsets[message->partition];
        LEASE_CHECK(group->views[i].progress != PROGRESS_ACKING);
        group->views[i] =
            (struct lease_view){.progress = is_behind ? PROGRESS_DONE : PROGRESS_OPEN};
    }
    /* What comes later is not blurred any more, either. */
    memset(group->views + queue->messages_count, 0,
           (LEASE_MESSAGES_MAX - queue->messages_count) * sizeof group->views[0]);
    memcpy(group->reset_to, offsets, (size_t)queue->topic->partitions_count * sizeof offsets[0]);
    group->rule_knowledge = RULE_UNKNOWN;
}

static void crash_group(struct lease_group *group)
{
    for (uint32_t i = 0; i < group->queue->messages_count; i++) {
        struct lease_view *view = &group->views[i];
        LEASE_CHECK(view->progress != PROGRESS_ACKING);
        view->failures_max += lease_model_may_have_timed_out(group->queue->world, view) ? 1 : 0;
        view->failures_min = view->failures_kept;
        view->is_leased = false;
    }
    if (group->letters != NULL) {
        lease_model_crash(group->letters);
    }
}

void lease_model_crash(struct lease_queue *queue)
{
    for (unsigned i = 0; i < LEASE_GROUPS; i++) {
        if (queue->groups[i] != NULL) {
            crash_group(queue->groups[i]);
        }
    }
}
