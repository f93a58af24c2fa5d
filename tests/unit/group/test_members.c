/* Sync, heartbeat, leave, static members (kafka-behaviours §9). */
#include <time.h>

#include "tests/unit/group/support.h"

/* Two members that know generation 1 and have not synced. */
static void make_joined(struct fixture *fixture, struct client clients[2])
{
    for (uint32_t i = 0; i < 2; i++) {
        client_init(fixture, &clients[i], NULL);
        client_enter(fixture, &clients[i]);
    }
    advance(fixture, 6000);
    client_joined(&clients[0], 1);
    client_joined(&clients[1], 1);
}

static void fini(struct client *clients, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        client_fini(&clients[i]);
    }
}

static void sync_is_parked_until_the_assignment_is_stored(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    make_joined(fixture, clients);
    struct group_assignment share = {text(clients[0].member_id), text("all of it")};
    fixture->log->held = true;
    assert_int_equal(client_sync(fixture, &clients[1], NULL, 0), GROUP_PENDING);
    assert_int_equal(client_sync(fixture, &clients[0], &share, 1), GROUP_PENDING);
    run(fixture);
    assert_int_equal(clients[0].syncs_posted + clients[1].syncs_posted, 0);
    assert_int_equal(state_of(fixture, "g"), GROUP_COMPLETING_REBALANCE);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(clients[i].syncs_posted, 1);
        assert_int_equal(clients[i].sync.verdict, GROUP_OK);
        assert_true(base_slice_is(clients[i].sync.chosen_protocol, "range"));
        assert_true(base_slice_is(clients[i].sync.chosen_protocol_type, "consumer"));
    }
    assert_true(base_slice_is(clients[0].sync.assignment, "all of it"));
    assert_int_equal(clients[1].sync.assignment.length, 0); /* left out: empty, not null */
    assert_non_null(clients[1].sync.assignment.data);
    fini(clients, 2);
}

static void only_the_leader_assigns(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    make_joined(fixture, clients);
    struct group_assignment share = {text(clients[1].member_id), text("mine")};
    assert_int_equal(client_sync(fixture, &clients[1], &share, 1), GROUP_PENDING);
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_DONE);
    run(fixture);
    assert_int_equal(clients[1].sync.assignment.length, 0);
    fini(clients, 2);
}

static void failed_store_refuses_all_syncs_and_rebalances(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    make_joined(fixture, clients);
    fixture->log->held = true;
    assert_int_equal(client_sync(fixture, &clients[1], NULL, 0), GROUP_PENDING);
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_PENDING);
    memory_release(fixture->log, BASE_ERR_OFFLINE);
    run(fixture);
    assert_int_equal(clients[0].sync.verdict, GROUP_STORAGE_FAILED);
    assert_int_equal(clients[1].sync.verdict, GROUP_STORAGE_FAILED);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    fini(clients, 2);
}

static void refused_append_refuses_the_leaders_sync(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    make_joined(fixture, clients);
    fixture->log->append_err = BASE_ERR_NO_SPACE;
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_DONE);
    assert_int_equal(clients[0].sync.verdict, GROUP_STORAGE_FAILED);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    fini(clients, 2);
}

static void rebalance_ends_parked_syncs(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client late;

    make_joined(fixture, clients);
    assert_int_equal(client_sync(fixture, &clients[1], NULL, 0), GROUP_PENDING);
    client_init(fixture, &late, NULL);
    client_enter(fixture, &late);
    run(fixture);
    assert_int_equal(clients[1].syncs_posted, 1);
    assert_int_equal(clients[1].sync.verdict, GROUP_REBALANCE_IN_PROGRESS);
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_DONE);
    assert_int_equal(clients[0].sync.verdict, GROUP_REBALANCE_IN_PROGRESS);
    client_fini(&late);
    fini(clients, 2);
}

static void assignment_stored_too_late_is_not_given_out(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client late;

    make_joined(fixture, clients);
    fixture->log->held = true;
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_PENDING);
    client_init(fixture, &late, NULL);
    client_enter(fixture, &late);
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    assert_int_equal(clients[0].sync.verdict, GROUP_REBALANCE_IN_PROGRESS);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    client_fini(&late);
    fini(clients, 2);
}

static void sync_checks_member_generation_and_protocol(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client other;

    make_joined(fixture, clients);
    other = clients[1];
    other.join = (struct group_join){.group_id = text("g")};
    other.generation = 2;
    assert_int_equal(client_sync(fixture, &other, NULL, 0), GROUP_DONE);
    assert_int_equal(other.sync.verdict, GROUP_ILLEGAL_GENERATION);
    (void)snprintf(other.member_id, sizeof other.member_id, "ghost");
    assert_int_equal(client_sync(fixture, &other, NULL, 0), GROUP_DONE);
    assert_int_equal(other.sync.verdict, GROUP_UNKNOWN_MEMBER);
    other.join.group_id = text("nowhere");
    assert_int_equal(client_sync(fixture, &other, NULL, 0), GROUP_DONE);
    assert_int_equal(other.sync.verdict, GROUP_UNKNOWN_MEMBER);

    struct group_sync sync = {
        .executor = &fixture->loop.executor,
        .group_id = text("g"),
        .member_id = text(clients[1].member_id),
        .generation = 1,
        .protocol_type = text("consumer"),
        .protocol = text("sticky"),
    };
    assert_int_equal(group_sync(fixture->coordinator, &sync), GROUP_DONE);
    assert_int_equal(sync.verdict, GROUP_INCONSISTENT_PROTOCOL);
    fini(clients, 2);
}

static void sync_in_a_stable_group_gives_the_current_assignment(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 2);
    assert_int_equal(client_sync(fixture, &clients[1], NULL, 0), GROUP_DONE);
    assert_true(base_slice_is(clients[1].sync.assignment, "share"));
    fini(clients, 2);
}

static void member_that_never_syncs_is_dropped_after_the_rebalance_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    make_joined(fixture, clients);
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_DONE);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(members_of(fixture, "g"), 2);
        assert_int_equal(client_heartbeat(fixture, &clients[0]), GROUP_OK);
        assert_int_equal(client_heartbeat(fixture, &clients[1]), GROUP_OK);
        advance(fixture, 5000);
    }
    assert_int_equal(members_of(fixture, "g"), 1);
    assert_int_equal(client_heartbeat(fixture, &clients[0]), GROUP_REBALANCE_IN_PROGRESS);
    assert_int_equal(client_heartbeat(fixture, &clients[1]), GROUP_UNKNOWN_MEMBER);
    fini(clients, 2);
}

static void cancelled_sync_leaves_the_member(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    make_joined(fixture, clients);
    assert_int_equal(client_sync(fixture, &clients[1], NULL, 0), GROUP_PENDING);
    assert_true(group_sync_cancel(fixture->coordinator, &clients[1].sync));
    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_DONE);
    run(fixture);
    assert_int_equal(clients[1].syncs_posted, 0);
    assert_int_equal(members_of(fixture, "g"), 2);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    fini(clients, 2);
}

static void heartbeats_keep_a_member_and_silence_ends_it(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 2);
    for (int i = 0; i < 5; i++) {
        advance(fixture, 9999);
        assert_int_equal(client_heartbeat(fixture, &clients[0]),
                         i == 0 ? GROUP_OK : GROUP_REBALANCE_IN_PROGRESS);
    }
    assert_int_equal(members_of(fixture, "g"), 1);
    fini(clients, 2);
}

static void heartbeat_tells_what_is_wrong(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client other;

    make_joined(fixture, clients);
    assert_int_equal(client_heartbeat(fixture, &clients[0]), GROUP_OK); /* completing */
    other = clients[0];
    other.generation = 0;
    assert_int_equal(client_heartbeat(fixture, &other), GROUP_ILLEGAL_GENERATION);
    (void)snprintf(other.member_id, sizeof other.member_id, "ghost");
    assert_int_equal(client_heartbeat(fixture, &other), GROUP_UNKNOWN_MEMBER);
    other.join.group_id = text("nowhere");
    assert_int_equal(client_heartbeat(fixture, &other), GROUP_UNKNOWN_MEMBER);
    other.join.group_id = text("");
    assert_int_equal(client_heartbeat(fixture, &other), GROUP_INVALID_GROUP_ID);
    fini(clients, 2);
}

static enum group_verdict leave(struct fixture *fixture, const char *member_id,
                                const char *instance)
{
    struct group_leave_member member = {.member_id = text(member_id),
                                        .group_instance_id = text(instance)};
    struct group_leave request = {.executor = &fixture->loop.executor,
                                  .group_id = text("g"),
                                  .members = &member,
                                  .members_count = 1};
    assert_int_equal(group_leave(fixture->coordinator, &request), GROUP_OK);
    return member.verdict;
}

static void leaving_starts_a_rebalance_and_the_last_one_empties_the_group(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 2);
    assert_int_equal(leave(fixture, clients[0].member_id, NULL), GROUP_OK);
    assert_int_equal(leave(fixture, clients[0].member_id, NULL), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    assert_int_equal(client_join(fixture, &clients[1]), GROUP_DONE);
    assert_int_equal(clients[1].join.generation, 2);
    assert_true(base_slice_is(clients[1].join.leader_id, clients[1].member_id));
    uint32_t batches = fixture->log->count;
    assert_int_equal(leave(fixture, clients[1].member_id, NULL), GROUP_OK);
    assert_int_equal(state_of(fixture, "g"), GROUP_EMPTY);
    assert_int_equal(fixture->log->count, batches + 1); /* written: offsets expire from now */
    fini(clients, 2);
}

static void leaving_by_instance_id_is_allowed_and_a_wrong_one_is_fenced(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], "i0");
    client_init(fixture, &clients[1], "i1");
    make_stable(fixture, clients, 2);
    assert_int_equal(leave(fixture, "", NULL), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(leave(fixture, "", "i9"), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(leave(fixture, clients[0].member_id, "i1"), GROUP_FENCED_INSTANCE);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    assert_int_equal(leave(fixture, "", "i1"), GROUP_OK);
    assert_int_equal(members_of(fixture, "g"), 1);
    fini(clients, 2);
}

static void reserved_id_can_leave(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    (void)client_join(fixture, &a);
    assert_int_equal(leave(fixture, a.member_id, NULL), GROUP_OK);
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_UNKNOWN_MEMBER);
    client_fini(&a);
}

static void many_leave_where_many_ids_are_reserved(void **state)
{
    enum { LEAVERS = 400000, SECONDS_MAX = 5 };
    struct fixture *fixture = *state;
    struct group_leave_member *leavers = base_alloc_array(LEAVERS, sizeof *leavers);
    struct client a;

    client_init(fixture, &a, NULL);
    for (uint32_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        a.member_id[0] = '\0';
        assert_int_equal(client_join(fixture, &a), GROUP_DONE);
        assert_int_equal(a.join.verdict, GROUP_MEMBER_ID_REQUIRED);
    }
    for (uint32_t i = 0; i < LEAVERS; i++) {
        leavers[i].member_id = text("nobody");
    }
    leavers[LEAVERS - 1].member_id = text(a.member_id);
    struct group_leave request = {
        .executor = &fixture->loop.executor,
        .group_id = text("g"),
        .members = leavers,
        .members_count = LEAVERS,
    };
    clock_t began = clock();
    assert_int_equal(group_leave(fixture->coordinator, &request), GROUP_OK);
    assert_true((clock() - began) / CLOCKS_PER_SEC < SECONDS_MAX);
    assert_int_equal(leavers[0].verdict, GROUP_UNKNOWN_MEMBER);
    assert_int_equal(leavers[LEAVERS - 1].verdict, GROUP_OK);
    client_fini(&a);
    base_free(leavers);
}

static void leaving_answers_the_parked_join(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    client_enter(fixture, &a);
    assert_int_equal(leave(fixture, a.member_id, NULL), GROUP_OK);
    run(fixture);
    assert_int_equal(a.join.verdict, GROUP_UNKNOWN_MEMBER);
    client_fini(&a);
}

static void static_member_comes_back_without_a_rebalance(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client again;

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], "i1");
    make_stable(fixture, clients, 2);
    client_init(fixture, &again, "i1");
    fixture->log->held = true;
    assert_int_equal(client_join(fixture, &again), GROUP_PENDING);
    assert_int_equal(again.joins_posted, 0); /* its new id must be durable first */
    memory_release(fixture->log, BASE_ERR_OK);
    run(fixture);
    client_joined(&again, 1);
    assert_string_not_equal(again.member_id, clients[1].member_id);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    assert_int_equal(client_heartbeat(fixture, &clients[1]), GROUP_FENCED_INSTANCE);
    assert_int_equal(client_heartbeat(fixture, &again), GROUP_OK);
    assert_int_equal(client_sync(fixture, &again, NULL, 0), GROUP_DONE);
    assert_true(base_slice_is(again.sync.assignment, "share")); /* it keeps its share */
    client_fini(&again);
    fini(clients, 2);
}

/* How often a timer fires within ms; no more than rings_max are let. */
static unsigned rings_within(struct fixture *fixture, int64_t ms, unsigned rings_max)
{
    int64_t target_us = fixture->clock.now_us + ms * 1000;
    unsigned rings = 0;

    for (run(fixture); rings < rings_max; run(fixture)) {
        int64_t next_us = base_timer_heap_next_us(&fixture->loop.timers);
        if (next_us < 0 || next_us > target_us) {
            break;
        }
        fixture->clock.now_us = next_us > fixture->clock.now_us ? next_us : fixture->clock.now_us;
        rings += (unsigned)base_timer_heap_run(&fixture->loop.timers, fixture->clock.now_us, 1);
    }
    return rings;
}

static void static_member_that_gives_no_time_to_join_is_waited_for_calmly(void **state)
{
    enum { SECONDS = 10 };
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], "i0");
    client_init(fixture, &clients[1], NULL);
    clients[0].join.session_timeout_ms = 1800000;
    clients[0].join.rebalance_timeout_ms = 0;
    make_stable(fixture, clients, 2);
    struct group_leave_member member = {.member_id = text(clients[1].member_id)};
    struct group_leave request = {.executor = &fixture->loop.executor,
                                  .group_id = text("g"),
                                  .members = &member,
                                  .members_count = 1};
    assert_int_equal(group_leave(fixture->coordinator, &request), GROUP_OK);
    assert_in_range(rings_within(fixture, SECONDS * 1000, 1000), 1, 2 * SECONDS);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_DONE); /* it is not missed */
    assert_int_equal(clients[0].join.generation, 2);
    fini(clients, 2);
}

static void static_leader_comes_back_and_skips_the_assignment(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client again;

    client_init(fixture, &clients[0], "i0");
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 2);
    client_init(fixture, &again, "i0");
    assert_int_equal(client_join(fixture, &again), GROUP_DONE);
    assert_true(again.join.skip_assignment);
    assert_int_equal(again.join.members_count, 2);
    assert_true(base_slice_is(again.join.leader_id, again.member_id));

    again.member_id[0] = '\0'; /* once more, with an old client: it must not think it leads */
    again.join.supports_skip_assignment = false;
    assert_int_equal(client_join(fixture, &again), GROUP_DONE);
    assert_int_equal(again.join.verdict, GROUP_OK);
    assert_false(again.join.skip_assignment);
    assert_int_equal(again.join.members_count, 0);
    assert_false(base_slice_is(again.join.leader_id, again.member_id));
    client_fini(&again);
    fini(clients, 2);
}

static void static_member_whose_protocols_change_the_choice_rebalances(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client again;

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], "i1");
    clients[0].join.protocols_count = 2;
    clients[1].join.protocols_count = 2;
    make_stable(fixture, clients, 2);
    client_init(fixture, &again, "i1");
    again.protocols[0].name = text("sticky"); /* the other no longer */
    assert_int_equal(client_join(fixture, &again), GROUP_PENDING);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    client_fini(&again);
    fini(clients, 2);
}

static void static_member_in_a_parked_join_is_fenced_by_its_successor(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client again;

    client_init(fixture, &a, "i1");
    client_init(fixture, &again, "i1");
    assert_int_equal(client_join(fixture, &a), GROUP_PENDING);
    assert_int_equal(client_join(fixture, &again), GROUP_PENDING);
    run(fixture);
    assert_int_equal(a.join.verdict, GROUP_FENCED_INSTANCE);
    advance(fixture, 3000);
    client_joined(&again, 1);
    assert_int_equal(members_of(fixture, "g"), 1);
    client_fini(&a);
    client_fini(&again);
}

/* No session runs while a member that was there before waits for the others. */
static void static_member_that_replaced_a_new_one_is_kept_in_its_parked_join(void **state)
{
    struct fixture *fixture = *state;
    struct client other;
    struct client fresh;
    struct client again;

    client_init(fixture, &other, NULL);
    other.join.session_timeout_ms = 1800000;
    other.join.rebalance_timeout_ms = 1200000;
    make_stable(fixture, &other, 1);
    client_init(fixture, &fresh, "i1");
    client_init(fixture, &again, "i1");
    assert_int_equal(client_join(fixture, &fresh), GROUP_PENDING); /* waits for the other one */
    assert_int_equal(client_join(fixture, &again), GROUP_PENDING);
    run(fixture);
    assert_int_equal(fresh.join.verdict, GROUP_FENCED_INSTANCE);
    advance(fixture, 600000);
    assert_int_equal(again.joins_posted, 0);
    assert_int_equal(client_join(fixture, &other), GROUP_DONE); /* nobody is missing any more */
    run(fixture);
    client_joined(&again, 2);
    assert_int_equal(members_of(fixture, "g"), 2);
    client_fini(&fresh);
    client_fini(&again);
    client_fini(&other);
}

static void static_member_that_comes_back_before_the_assignment_rebalances(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client again;

    client_init(fixture, &clients[0], "i0");
    client_init(fixture, &clients[1], "i1");
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_PENDING);
    assert_int_equal(client_join(fixture, &clients[1]), GROUP_PENDING);
    advance(fixture, 6000);
    client_joined(&clients[1], 1);
    client_init(fixture, &again, "i1");
    assert_int_equal(client_join(fixture, &again), GROUP_PENDING);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    client_fini(&again);
    fini(clients, 2);
}

static void description_shows_assignments_only_when_stable(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct base_arena arena;
    struct group_description description;
    struct group_listing *rows;
    uint32_t count;

    base_arena_init(&arena, 1 << 20);
    assert_int_equal(group_describe(fixture->coordinator, text("g"), &arena, &description),
                     GROUP_NOT_FOUND);
    assert_string_equal(group_state_name(description.state), "Dead");
    make_joined(fixture, clients);
    assert_int_equal(group_describe(fixture->coordinator, text("g"), &arena, &description),
                     GROUP_OK);
    assert_string_equal(group_state_name(description.state), "CompletingRebalance");
    assert_int_equal(description.protocol.length, 0);
    assert_int_equal(description.members[0].metadata.length, 0);
    struct group_assignment share = {text(clients[0].member_id), text("all")};
    assert_int_equal(client_sync(fixture, &clients[0], &share, 1), GROUP_DONE);
    (void)group_describe(fixture->coordinator, text("g"), &arena, &description);
    assert_true(base_slice_is(description.protocol, "range"));
    assert_true(base_slice_is(description.members[0].metadata, "meta"));
    assert_true(base_slice_is(description.members[0].assignment, "all"));
    assert_true(base_slice_is(description.members[0].client_id, "app"));
    assert_true(base_slice_is(description.members[0].client_host, "/127.0.0.1"));

    assert_true(group_coordinator_is_active(fixture->coordinator, text("g")));
    assert_int_equal(group_list(fixture->coordinator, 0, &arena, &rows, &count), GROUP_OK);
    assert_int_equal(count, 1);
    assert_true(base_slice_is(rows[0].group_id, "g"));
    (void)group_list(fixture->coordinator, 1u << GROUP_EMPTY, &arena, &rows, &count);
    assert_int_equal(count, 0);
    base_arena_fini(&arena);
    fini(clients, 2);
}

static void state_names_are_read_in_any_case(void **state)
{
    enum group_state parsed;

    (void)state;
    assert_true(group_state_parse(text("preparingREBALANCE"), &parsed));
    assert_int_equal(parsed, GROUP_PREPARING_REBALANCE);
    assert_false(group_state_parse(text("Stab"), &parsed));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(sync_is_parked_until_the_assignment_is_stored),
        T(only_the_leader_assigns),
        T(failed_store_refuses_all_syncs_and_rebalances),
        T(refused_append_refuses_the_leaders_sync),
        T(rebalance_ends_parked_syncs),
        T(assignment_stored_too_late_is_not_given_out),
        T(sync_checks_member_generation_and_protocol),
        T(sync_in_a_stable_group_gives_the_current_assignment),
        T(member_that_never_syncs_is_dropped_after_the_rebalance_timeout),
        T(cancelled_sync_leaves_the_member),
        T(heartbeats_keep_a_member_and_silence_ends_it),
        T(heartbeat_tells_what_is_wrong),
        T(leaving_starts_a_rebalance_and_the_last_one_empties_the_group),
        T(leaving_by_instance_id_is_allowed_and_a_wrong_one_is_fenced),
        T(reserved_id_can_leave),
        T(many_leave_where_many_ids_are_reserved),
        T(leaving_answers_the_parked_join),
        T(static_member_comes_back_without_a_rebalance),
        T(static_member_that_gives_no_time_to_join_is_waited_for_calmly),
        T(static_leader_comes_back_and_skips_the_assignment),
        T(static_member_whose_protocols_change_the_choice_rebalances),
        T(static_member_in_a_parked_join_is_fenced_by_its_successor),
        T(static_member_that_replaced_a_new_one_is_kept_in_its_parked_join),
        T(static_member_that_comes_back_before_the_assignment_rebalances),
        T(description_shows_assignments_only_when_stable),
        T(state_names_are_read_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
