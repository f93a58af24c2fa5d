/* The reference: plain arrays. */
#include "tests/sim/broker_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"

void broker_model_init(struct broker_model *model)
{
    *model = (struct broker_model){.values_count = 1, .commits_count = 1};
    model->digest = UINT64_C(0xcbf29ce484222325);
}

void broker_model_fini(struct broker_model *model)
{
    for (uint32_t i = 0; i < model->topics_count; i++) {
        for (int32_t j = 0; j < MODEL_PARTITIONS_MAX; j++) {
            base_free(model->topics[i].partitions[j].numbers);
        }
    }
    base_free(model->values);
    base_free(model->commits);
}

void broker_model_note(struct broker_model *model, uint64_t what)
{
    for (unsigned i = 0; i < 8; i++) { /* FNV-1a */
        model->digest = (model->digest ^ (what >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
    }
}

const char *broker_model_name(uint32_t name)
{
    static const char *const names[MODEL_NAMES] = {"t0", "t1", "t2", "kept"};
    BASE_ASSERT(name < MODEL_NAMES);
    return names[name];
}

struct model_topic *broker_model_topic(struct broker_model *model, uint32_t name)
{
    for (uint32_t i = 0; i < model->topics_count; i++) {
        struct model_topic *topic = &model->topics[i];
        if (topic->name == name && topic->state != MODEL_TOPIC_GONE) {
            return topic;
        }
    }
    return NULL;
}

/* Room for one more; the elements are zero. */
static void *grow(void *array, uint32_t count, uint32_t *capacity, size_t element_size)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 256 : *capacity * 2;
    array = base_realloc_array(array, *capacity, element_size);
    BASE_ASSERT(array != NULL);
    return array;
}

uint32_t broker_model_add_value(struct broker_model *model, const struct model_value *value)
{
    model->values =
        grow(model->values, model->values_count, &model->values_capacity, sizeof *model->values);
    BASE_ASSERT(value->size_bytes >= MODEL_VALUE_SIZE_MIN);
    model->values[model->values_count] = *value;
    model->values[model->values_count].offset = -1;
    return model->values_count++;
}

void broker_model_fill(const struct broker_model *model, uint32_t number, uint8_t *bytes)
{
    char head[MODEL_VALUE_SIZE_MIN + 1];
    uint32_t size = model->values[number].size_bytes;

    (void)snprintf(head, sizeof head, "v%011" PRIu32, number);
    memcpy(bytes, head, MODEL_VALUE_SIZE_MIN);
    for (uint32_t i = MODEL_VALUE_SIZE_MIN; i < size; i++) {
        bytes[i] = (uint8_t)('a' + (number + i) % 26);
    }
}

static bool parse(struct base_slice bytes, uint32_t *number)
{
    *number = 0;
    if (bytes.length < MODEL_VALUE_SIZE_MIN || bytes.data[0] != 'v') {
        return false;
    }
    for (size_t i = 1; i < MODEL_VALUE_SIZE_MIN; i++) {
        *number = *number * 10 + (uint32_t)(bytes.data[i] - '0');
    }
    return true;
}

uint32_t broker_model_at(const struct model_partition *partition, int64_t offset)
{
    return offset < partition->numbers_capacity ? partition->numbers[offset] : 0;
}

static void make_room(struct model_partition *partition, int64_t offset)
{
    if (offset < partition->numbers_capacity) {
        return;
    }
    int64_t capacity = partition->numbers_capacity == 0 ? 256 : partition->numbers_capacity;
    while (capacity <= offset) {
        capacity *= 2;
    }
    partition->numbers =
        base_realloc_array(partition->numbers, (size_t)capacity, sizeof *partition->numbers);
    BASE_ASSERT(partition->numbers != NULL);
    memset(partition->numbers + partition->numbers_capacity, 0,
           (size_t)(capacity - partition->numbers_capacity) * sizeof *partition->numbers);
    partition->numbers_capacity = capacity;
}

/* The nearest record of the same idempotent producer in front of offset is an older one. */
static void check_order(const struct broker_model *model, const struct model_partition *partition,
                        int64_t offset, uint32_t number)
{
    const struct model_value *value = &model->values[number];

    for (int64_t i = offset - 1; i >= 0 && i >= offset - 20; i--) {
        uint32_t before = broker_model_at(partition, i);
        if (before != 0 && model->values[before].producer == value->producer) {
            MODEL_CHECK(before < number); /* a producer's records keep their order */
            return;
        }
    }
}

void broker_model_put(struct broker_model *model, uint32_t topic, int32_t partition, int64_t offset,
                      uint32_t number)
{
    struct model_partition *place = &model->topics[topic].partitions[partition];
    struct model_value *value = &model->values[number];

    MODEL_CHECK(offset >= 0);
    make_room(place, offset);
    uint32_t known = place->numbers[offset];
    MODEL_CHECK(known == 0 || known == number); /* an offset never changes its meaning */
    if (known == number) {
        return;
    }
    if (value->is_unique) {
        MODEL_CHECK(value->offset < 0 || value->offset == offset); /* no duplicates */
        check_order(model, place, offset, number);
    }
    place->numbers[offset] = number;
    value->offset = offset;
    broker_model_note(model, (uint64_t)offset << 32 | number);
}

void broker_model_seen(struct broker_model *model, uint32_t topic, int32_t partition,
                       int64_t offset, struct base_slice bytes, int64_t timestamp_ms)
{
    uint32_t number = 0;
    uint8_t expected[4096];

    MODEL_CHECK(parse(bytes, &number));
    MODEL_CHECK(number > 0 && number < model->values_count);
    const struct model_value *value = &model->values[number];
    MODEL_CHECK(value->topic == topic && value->partition == partition);
    MODEL_CHECK(value->size_bytes == bytes.length);
    MODEL_CHECK(value->timestamp_ms == timestamp_ms);
    BASE_ASSERT(bytes.length <= sizeof expected);
    broker_model_fill(model, number, expected);
    MODEL_CHECK(memcmp(bytes.data, expected, bytes.length) == 0);
    broker_model_put(model, topic, partition, offset, number);
}

static void raise_to(int64_t *bound, int64_t value)
{
    *bound = value > *bound ? value : *bound;
}

void broker_model_promise(struct model_partition *partition, int64_t end, bool is_durable)
{
    raise_to(&partition->survives_kill, end);
    if (is_durable) {
        raise_to(&partition->survives_power, end);
    }
}

void broker_model_look(struct model_topic *topic, int32_t partition,
                       const struct partition_offsets *offsets)
{
    struct model_partition *place = &topic->partitions[partition];

    MODEL_CHECK(offsets->start <= offsets->last_stable);
    MODEL_CHECK(offsets->last_stable <= offsets->high_watermark);
    MODEL_CHECK(offsets->high_watermark <= offsets->end);
    MODEL_CHECK(offsets->start >= place->start_last);
    MODEL_CHECK(offsets->start >= place->start_acked);
    MODEL_CHECK(offsets->start <= place->start_asked || topic->has_retention);
    MODEL_CHECK(offsets->high_watermark >= place->high_last);
    /* A log that stopped forgets what it had not written yet. */
    MODEL_CHECK(offsets->end == place->end_given ||
                (offsets->err != BASE_ERR_OK && offsets->end < place->end_given));
    place->start_last = offsets->start;
    place->high_last = offsets->high_watermark;
    broker_model_promise(place, offsets->high_watermark, topic->is_ha);
}

/* Records at and behind end are gone. True if there was one. */
static bool forget_behind(struct broker_model *model, struct model_partition *place, int64_t end)
{
    bool any = false;

    for (int64_t i = end; i < place->numbers_capacity; i++) {
        if (place->numbers[i] != 0) {
            struct model_value *value = &model->values[place->numbers[i]];
            value->offset = value->offset == i ? -1 : value->offset;
            place->numbers[i] = 0;
            any = true;
        }
    }
    return any;
}

void broker_model_restarted(struct broker_model *model, uint32_t topic, int32_t partition,
                            const struct partition_offsets *offsets, bool is_power_cut)
{
    struct model_topic *owner = &model->topics[topic];
    struct model_partition *place = &owner->partitions[partition];

    MODEL_CHECK(offsets->err == BASE_ERR_OK);
    MODEL_CHECK(offsets->end >= (is_power_cut ? place->survives_power : place->survives_kill));
    MODEL_CHECK(offsets->end <= place->end_given || offsets->end <= place->end_maybe);
    MODEL_CHECK(offsets->high_watermark == offsets->end);
    if (forget_behind(model, place, offsets->end)) {
        place->losses_count++;
    }
    place->end_given = offsets->end;
    place->end_maybe = 0;
    place->survives_kill = offsets->end;
    /* What a restart has found, it has made durable. */
    place->survives_power = offsets->end;
    place->start_last = 0;
    place->high_last = 0;
    broker_model_look(owner, partition, offsets);
    broker_model_note(model, (uint64_t)offsets->end);
}

uint32_t broker_model_add_commit(struct broker_model *model, const struct model_commit *commit)
{
    model->commits = grow(model->commits, model->commits_count, &model->commits_capacity,
                          sizeof *model->commits);
    model->commits[model->commits_count] = *commit;
    return model->commits_count++;
}

void broker_model_commit_over(struct broker_model *model, uint32_t number,
                              enum model_commit_state state)
{
    struct model_commit *commit = &model->commits[number];
    uint32_t *newest = &model->committed[commit->group][commit->topic][commit->partition];

    commit->state = state;
    if (state == MODEL_COMMIT_OK && number > *newest) {
        *newest = number;
    }
    broker_model_note(model, number);
}

void broker_model_committed(struct broker_model *model, uint32_t group, uint32_t topic,
                            int32_t partition, uint32_t number, int64_t offset)
{
    uint32_t *newest = &model->committed[group][topic][partition];

    MODEL_CHECK(number >= *newest); /* what was acknowledged, or seen, never goes back */
    if (number == 0) {
        return;
    }
    MODEL_CHECK(number < model->commits_count);
    const struct model_commit *commit = &model->commits[number];
    MODEL_CHECK(commit->group == group);
    MODEL_CHECK(commit->topic == topic); /* not of a topic of that name which was deleted */
    MODEL_CHECK(commit->partition == partition);
    MODEL_CHECK(commit->offset == offset);
    MODEL_CHECK(commit->state != MODEL_COMMIT_REFUSED);
    *newest = number;
}
