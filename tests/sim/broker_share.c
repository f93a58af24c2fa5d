/* Subscriptions and assignments: a range assignor, and the check that nobody is given what
 * another has. */
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/base/endian.h"
#include "core/base/writer.h"
#include "tests/sim/broker_group.h"

size_t broker_share_subscribe(unsigned subscription, uint8_t bytes[256])
{
    struct base_writer writer;
    int32_t count = 0;

    for (uint32_t i = 0; i < MODEL_NAMES; i++) {
        count += (subscription >> i & 1) != 0;
    }
    base_writer_init(&writer, 256);
    base_writer_int16(&writer, 0); /* version */
    base_writer_int32(&writer, count);
    for (uint32_t i = 0; i < MODEL_NAMES; i++) {
        if ((subscription >> i & 1) != 0) {
            const char *name = broker_model_name(i);
            base_writer_int16(&writer, (int16_t)strlen(name));
            base_writer_bytes(&writer, name, strlen(name));
        }
    }
    base_writer_int32(&writer, -1); /* no user data */
    BASE_ASSERT(writer.err == BASE_ERR_OK);
    size_t length = writer.length;
    memcpy(bytes, writer.buffer->data, length);
    base_writer_fini(&writer);
    return length;
}

static bool wants(struct base_slice metadata, uint32_t name)
{
    uint8_t bytes[256];
    for (unsigned subscription = 1; subscription < 1u << MODEL_NAMES; subscription++) {
        size_t length = broker_share_subscribe(subscription, bytes);
        if (base_slice_equal(base_slice_of(bytes, length), metadata)) {
            return (subscription >> name & 1) != 0;
        }
    }
    MODEL_CHECK(!"a member's metadata is not what it sent");
    return false;
}

/* The topic as the broker's view has it; its index and partitions. */
static int32_t count_partitions(struct broker_world *world, uint32_t name, uint32_t *index)
{
    struct catalog_view *view = catalog_view(world->harness.catalog);
    const struct catalog_topic *topic =
        catalog_view_topic(view, base_slice_text(broker_model_name(name)));
    int32_t count = 0;

    for (uint32_t i = 0; topic != NULL && i < world->model.topics_count; i++) {
        if (base_uuid_equal(world->model.topics[i].id, topic->id)) {
            *index = i;
            count = topic->partitions_count;
        }
    }
    MODEL_CHECK(topic == NULL || count > 0);
    catalog_view_release(&view);
    return count;
}

unsigned broker_share_topics(struct broker_world *world, unsigned subscription)
{
    unsigned seen = 0;
    for (uint32_t i = 0; i < MODEL_NAMES; i++) {
        uint32_t index = 0;
        int32_t count = (subscription >> i & 1) != 0 ? count_partitions(world, i, &index) : 0;
        seen = seen * 251 + index * 8 + (unsigned)count;
    }
    return seen;
}

static void give_range(const struct group_join *join, uint32_t name, uint32_t topic,
                       int32_t partitions_count, struct broker_proposal *proposal)
{
    int32_t wanting = 0;
    int32_t place = 0;

    for (uint32_t i = 0; i < join->members_count; i++) {
        wanting += wants(join->members[i].metadata, name);
    }
    for (uint32_t i = 0; i < join->members_count; i++) {
        if (!wants(join->members[i].metadata, name)) {
            continue;
        }
        struct broker_share *share = &proposal->shares[i];
        int32_t from = place * partitions_count / wanting;
        int32_t to = (place + 1) * partitions_count / wanting;
        place++;
        for (int32_t p = from; p < to; p++) {
            BASE_ASSERT(share->count < GROUP_SHARE_MAX);
            share->partitions[share->count].topic = topic;
            share->partitions[share->count].partition = p;
            share->count++;
        }
    }
}

static void copy_text(char *text, size_t size, struct base_slice slice)
{
    (void)snprintf(text, size, "%.*s", (int)slice.length, (const char *)slice.data);
}

/* Proposal's number, then topic and partition of each. */
static size_t encode(uint32_t number, const struct broker_share *share, uint8_t *bytes)
{
    base_put_u32(bytes, number);
    base_put_u32(bytes + 4, share->count);
    for (uint32_t i = 0; i < share->count; i++) {
        base_put_u32(bytes + 8 + 8 * i, share->partitions[i].topic);
        base_put_u32(bytes + 12 + 8 * i, (uint32_t)share->partitions[i].partition);
    }
    return 8 + 8 * (size_t)share->count;
}

uint32_t broker_share_assign(struct broker_member *leader)
{
    struct broker_group *group = leader->group;
    const struct group_join *join = &leader->join;

    uint32_t number = group->proposals_count++;
    if (number % 64 == 0) {
        group->proposals =
            base_realloc_array(group->proposals, number + 64, sizeof *group->proposals);
        BASE_ASSERT(group->proposals != NULL);
    }
    struct broker_proposal *proposal = &group->proposals[number];
    BASE_ASSERT(join->members_count <= GROUP_SHARES_MAX);
    *proposal = (struct broker_proposal){.generation = join->generation,
                                         .shares_count = join->members_count};
    for (uint32_t i = 0; i < join->members_count; i++) {
        const struct group_join_member *member = &join->members[i];
        copy_text(proposal->shares[i].owner, GROUP_MEMBER_ID_SIZE,
                  member->group_instance_id.data != NULL ? member->group_instance_id
                                                         : member->member_id);
    }
    for (uint32_t name = 0; name < MODEL_NAMES; name++) {
        uint32_t topic = 0;
        int32_t count = count_partitions(group->world, name, &topic);
        if (count > 0) {
            give_range(join, name, topic, count, proposal);
        }
    }
    for (uint32_t i = 0; i < join->members_count; i++) {
        size_t length = encode(number, &proposal->shares[i], leader->assignment_bytes[i]);
        leader->assignments[i] = (struct group_assignment){
            join->members[i].member_id, base_slice_of(leader->assignment_bytes[i], length)};
    }
    return join->members_count;
}

static uint32_t *fixed_of(struct broker_group *group, int32_t generation)
{
    MODEL_CHECK(generation >= 0);
    if (generation >= group->fixed_capacity) {
        int32_t capacity = generation * 2 + 64;
        group->fixed = base_realloc_array(group->fixed, (size_t)capacity, sizeof *group->fixed);
        BASE_ASSERT(group->fixed != NULL);
        memset(group->fixed + group->fixed_capacity, 0,
               (size_t)(capacity - group->fixed_capacity) * sizeof *group->fixed);
        group->fixed_capacity = capacity;
    }
    return &group->fixed[generation];
}

void broker_share_check(struct broker_member *member, struct base_slice bytes)
{
    struct broker_group *group = member->group;
    const char *owner = member->instance_id[0] != '\0' ? member->instance_id : member->member_id;
    const struct broker_share *share = NULL;
    uint8_t expected[8 + 8 * GROUP_SHARE_MAX];
    uint32_t *fixed = fixed_of(group, member->generation);

    MODEL_CHECK(bytes.length >= 8); /* every member of a generation was given its share */
    uint32_t number = base_get_u32(bytes.data);
    MODEL_CHECK(number < group->proposals_count);
    const struct broker_proposal *proposal = &group->proposals[number];
    MODEL_CHECK(proposal->generation == member->generation);
    /* All members of one generation live by the same proposal, which is a partition of the
     * partitions: nothing has two owners. */
    MODEL_CHECK(*fixed == 0 || *fixed == number + 1);
    *fixed = number + 1;
    for (uint32_t i = 0; i < proposal->shares_count; i++) {
        if (strcmp(proposal->shares[i].owner, owner) == 0) {
            share = &proposal->shares[i];
        }
    }
    MODEL_CHECK(share != NULL);
    size_t length = encode(number, share, expected);
    MODEL_CHECK(length == bytes.length);
    MODEL_CHECK(memcmp(bytes.data, expected, length) == 0);
    member->share = *share;
}
