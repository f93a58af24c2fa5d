/* Joining: who is let in, how long a rebalance waits, who leads (kafka-behaviours §9). */
#include "tests/unit/group/support.h"

static void new_dynamic_member_must_join_twice(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_MEMBER_ID_REQUIRED);
    assert_int_equal(strncmp(a.member_id, "app-", 4), 0);
    assert_int_equal(strlen(a.member_id), 4 + 36);
    assert_int_equal(client_join(fixture, &a), GROUP_PENDING);
    advance(fixture, 3000);
    client_joined(&a, 1);
    assert_true(base_slice_is(a.join.leader_id, a.member_id));
    client_fini(&a);
}

static void old_version_joins_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    a.join.requires_member_id = false;
    assert_int_equal(client_join(fixture, &a), GROUP_PENDING);
    advance(fixture, 3000);
    client_joined(&a, 1);
    client_fini(&a);
}

static void static_member_joins_at_once_with_its_instance_in_the_id(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, "i1");
    assert_int_equal(client_join(fixture, &a), GROUP_PENDING);
    advance(fixture, 3000);
    client_joined(&a, 1);
    assert_int_equal(strncmp(a.member_id, "i1-", 3), 0);
    client_fini(&a);
}

static void reserved_member_id_expires_at_session_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    (void)client_join(fixture, &a);
    advance(fixture, 10001);
    assert_int_equal(state_of(fixture, "g"), GROUP_DEAD); /* nothing of it is left */
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_UNKNOWN_MEMBER);
    client_fini(&a);
}

static void session_timeout_outside_its_range_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const int32_t rows[] = {0, 5999, 1800001};
    struct client a;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_init(fixture, &a, NULL);
        a.join.session_timeout_ms = rows[i];
        assert_int_equal(client_join(fixture, &a), GROUP_DONE);
        assert_int_equal(a.join.verdict, GROUP_INVALID_SESSION_TIMEOUT);
        client_fini(&a);
    }
}

static void empty_group_id_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    a.join.group_id = text("");
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_INVALID_GROUP_ID);
    client_fini(&a);
}

static void member_id_of_an_unknown_group_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    (void)snprintf(a.member_id, sizeof a.member_id, "ghost");
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_UNKNOWN_MEMBER);
    assert_null(a.join.joined_member_id.data);
    client_fini(&a);
}

static void protocols_must_fit_the_group(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client b;

    client_init(fixture, &a, NULL);
    a.join.protocols_count = 0; /* nobody's first member without a protocol */
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_INCONSISTENT_PROTOCOL);
    a.join.protocols_count = 1;
    client_enter(fixture, &a);

    client_init(fixture, &b, NULL);
    b.join.protocol_type = text("connect");
    assert_int_equal(client_join(fixture, &b), GROUP_DONE);
    assert_int_equal(b.join.verdict, GROUP_INCONSISTENT_PROTOCOL);
    b.join.protocol_type = text("consumer");
    b.protocols[0].name = text("other");
    assert_int_equal(client_join(fixture, &b), GROUP_DONE);
    assert_int_equal(b.join.verdict, GROUP_INCONSISTENT_PROTOCOL);
    client_fini(&a);
    client_fini(&b);
}

static void first_rebalance_waits_for_the_initial_delay(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    client_enter(fixture, &a);
    advance(fixture, 2999);
    assert_int_equal(a.joins_posted, 0);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    advance(fixture, 1);
    client_joined(&a, 1);
    assert_int_equal(state_of(fixture, "g"), GROUP_COMPLETING_REBALANCE);
    client_fini(&a);
}

static void initial_delay_is_extended_while_members_join(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client b;

    client_init(fixture, &a, NULL);
    client_init(fixture, &b, NULL);
    client_enter(fixture, &a);
    advance(fixture, 2000);
    client_enter(fixture, &b);
    advance(fixture, 1000);
    assert_int_equal(a.joins_posted, 0); /* put off: b came */
    advance(fixture, 2999);
    assert_int_equal(a.joins_posted, 0);
    advance(fixture, 1);
    client_joined(&a, 1);
    client_joined(&b, 1);
    client_fini(&a);
    client_fini(&b);
}

static void initial_delay_ends_with_the_rebalance_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[4];

    for (uint32_t i = 0; i < 4; i++) {
        client_init(fixture, &clients[i], NULL);
        clients[i].join.rebalance_timeout_ms = 7000;
    }
    client_enter(fixture, &clients[0]); /* 3 s, then 3 s, then 1 s */
    advance(fixture, 2500);
    client_enter(fixture, &clients[1]);
    advance(fixture, 2500);
    client_enter(fixture, &clients[2]);
    advance(fixture, 1500);
    client_enter(fixture, &clients[3]);
    advance(fixture, 499);
    assert_int_equal(clients[0].joins_posted, 0);
    advance(fixture, 1);
    for (uint32_t i = 0; i < 4; i++) {
        client_joined(&clients[i], 1);
        client_fini(&clients[i]);
    }
}

static void only_the_leader_gets_the_member_list(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client b;

    client_init(fixture, &a, NULL);
    client_init(fixture, &b, "static-b");
    client_enter(fixture, &a);
    assert_int_equal(client_join(fixture, &b), GROUP_PENDING);
    advance(fixture, 10000);
    client_joined(&a, 1);
    client_joined(&b, 1);
    assert_true(base_slice_is(a.join.leader_id, a.member_id)); /* the first who came */
    assert_true(base_slice_is(b.join.leader_id, a.member_id));
    assert_int_equal(a.join.members_count, 2);
    assert_true(base_slice_is(a.join.members[0].member_id, a.member_id));
    assert_null(a.join.members[0].group_instance_id.data);
    assert_true(base_slice_is(a.join.members[0].metadata, "meta"));
    assert_true(base_slice_is(a.join.members[1].group_instance_id, "static-b"));
    assert_int_equal(b.join.members_count, 0);
    client_fini(&a);
    client_fini(&b);
}

static void protocol_with_most_votes_among_the_common_wins(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[3];

    for (uint32_t i = 0; i < 3; i++) {
        client_init(fixture, &clients[i], NULL);
        clients[i].join.protocols_count = 2;
        if (i > 0) { /* two of three prefer the second */
            clients[i].protocols[0].name = text("sticky");
            clients[i].protocols[1].name = text("range");
        }
        client_enter(fixture, &clients[i]);
    }
    advance(fixture, 6000);
    for (uint32_t i = 0; i < 3; i++) {
        client_joined(&clients[i], 1);
        assert_true(base_slice_is(clients[i].join.chosen_protocol, "sticky"));
        assert_true(base_slice_is(clients[i].join.chosen_protocol_type, "consumer"));
        client_fini(&clients[i]);
    }
}

static void protocol_not_known_to_all_is_not_chosen(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client b;

    client_init(fixture, &a, NULL);
    a.protocols[0].name = text("mine");
    a.protocols[1].name = text("range");
    a.join.protocols_count = 2;
    client_init(fixture, &b, NULL);
    client_enter(fixture, &a);
    client_enter(fixture, &b);
    advance(fixture, 6000);
    assert_true(base_slice_is(a.join.chosen_protocol, "range"));
    client_fini(&a);
    client_fini(&b);
}

static void new_member_starts_a_rebalance_that_waits_for_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 1);
    client_enter(fixture, &clients[1]);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    assert_int_equal(client_heartbeat(fixture, &clients[0]), GROUP_REBALANCE_IN_PROGRESS);
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_DONE); /* the last one missing */
    assert_int_equal(clients[0].join.verdict, GROUP_OK);
    assert_int_equal(clients[0].join.generation, 2);
    run(fixture);
    client_joined(&clients[1], 2);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
}

static void absent_dynamic_member_is_dropped_at_the_rebalance_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client late;

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    client_init(fixture, &late, NULL);
    make_stable(fixture, clients, 2);
    client_enter(fixture, &late);
    assert_int_equal(client_join(fixture, &clients[1]), GROUP_PENDING);
    for (int i = 0; i < 12; i++) { /* it beats, but does not join */
        (void)client_heartbeat(fixture, &clients[0]);
        advance(fixture, 5000);
    }
    client_joined(&late, 2);
    client_joined(&clients[1], 2);
    assert_int_equal(members_of(fixture, "g"), 2);
    assert_true(base_slice_is(late.join.leader_id, clients[1].member_id)); /* a new leader */
    assert_int_equal(client_heartbeat(fixture, &clients[0]), GROUP_UNKNOWN_MEMBER);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
    client_fini(&late);
}

static void absent_static_member_is_kept_until_its_session_ends(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client late;

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], "i1");
    clients[1].join.session_timeout_ms = 100000;
    client_init(fixture, &late, NULL);
    make_stable(fixture, clients, 2);
    client_enter(fixture, &late);
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_PENDING);
    advance(fixture, 60000);
    client_joined(&late, 2);
    assert_int_equal(members_of(fixture, "g"), 3);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
    client_fini(&late);
}

static void unchanged_follower_gets_the_same_generation_in_a_stable_group(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 2);
    assert_int_equal(client_join(fixture, &clients[1]), GROUP_DONE);
    assert_int_equal(clients[1].join.verdict, GROUP_OK);
    assert_int_equal(clients[1].join.generation, 1);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
}

static void changed_follower_and_any_leader_start_a_rebalance(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    make_stable(fixture, clients, 2);
    clients[1].protocols[0].metadata = text("other");
    assert_int_equal(client_join(fixture, &clients[1]), GROUP_PENDING);
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_DONE);
    assert_int_equal(clients[0].join.generation, 2);
    assert_true(base_slice_is(clients[0].join.members[1].metadata, "other"));
    run(fixture);
    client_joined(&clients[1], 2);

    assert_int_equal(client_sync(fixture, &clients[0], NULL, 0), GROUP_DONE);
    assert_int_equal(state_of(fixture, "g"), GROUP_STABLE);
    client_learn(&clients[0]);
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_PENDING); /* unchanged leader */
    assert_int_equal(state_of(fixture, "g"), GROUP_PREPARING_REBALANCE);
    client_fini(&clients[0]);
    client_fini(&clients[1]);
}

static void lost_join_answer_is_given_again_before_the_assignment(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];

    for (uint32_t i = 0; i < 2; i++) {
        client_init(fixture, &clients[i], NULL);
        client_enter(fixture, &clients[i]);
    }
    advance(fixture, 6000);
    client_joined(&clients[0], 1);
    client_joined(&clients[1], 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(client_join(fixture, &clients[i]), GROUP_DONE);
        assert_int_equal(clients[i].join.generation, 1);
        assert_int_equal(clients[i].join.members_count, i == 0 ? 2 : 0);
    }
    client_fini(&clients[0]);
    client_fini(&clients[1]);
}

static void group_that_is_full_refuses_and_early_joiners_have_the_places(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[3];

    stop(fixture);
    fixture->options.max_size = 2;
    start(fixture);
    for (uint32_t i = 0; i < 3; i++) {
        client_init(fixture, &clients[i], NULL);
        (void)client_join(fixture, &clients[i]); /* three ids, two places */
    }
    assert_int_equal(client_join(fixture, &clients[0]), GROUP_PENDING);
    assert_int_equal(client_join(fixture, &clients[1]), GROUP_PENDING);
    assert_int_equal(client_join(fixture, &clients[2]), GROUP_DONE);
    assert_int_equal(clients[2].join.verdict, GROUP_MAX_SIZE);
    advance(fixture, 6000);
    client_joined(&clients[1], 1);
    for (uint32_t i = 0; i < 3; i++) {
        client_fini(&clients[i]);
    }
}

static void member_with_too_much_metadata_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t big[GROUP_MEMBER_SIZE_MAX];
    struct client a;

    client_init(fixture, &a, NULL);
    a.protocols[0].metadata = base_slice_of(big, sizeof big);
    assert_int_equal(client_join(fixture, &a), GROUP_DONE);
    assert_int_equal(a.join.verdict, GROUP_MEMBER_TOO_LARGE);
    client_fini(&a);
}

static void second_join_supersedes_the_parked_one(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client again;

    client_init(fixture, &a, NULL);
    client_init(fixture, &again, NULL);
    client_enter(fixture, &a);
    memcpy(again.member_id, a.member_id, sizeof a.member_id);
    assert_int_equal(client_join(fixture, &again), GROUP_PENDING);
    run(fixture);
    assert_int_equal(a.joins_posted, 1);
    assert_int_equal(a.join.verdict, GROUP_REBALANCE_IN_PROGRESS);
    advance(fixture, 3000);
    client_joined(&again, 1);
    client_fini(&a);
    client_fini(&again);
}

static void cancelled_join_leaves_the_member_until_its_session_ends(void **state)
{
    struct fixture *fixture = *state;
    struct client a;
    struct client b;

    client_init(fixture, &a, NULL);
    client_init(fixture, &b, NULL);
    client_enter(fixture, &a);
    client_enter(fixture, &b);
    assert_true(group_join_cancel(fixture->coordinator, &a.join));
    advance(fixture, 6000);
    assert_int_equal(a.joins_posted, 0);
    assert_int_equal(members_of(fixture, "g"), 2);
    client_joined(&b, 1);
    assert_false(group_join_cancel(fixture->coordinator, &b.join)); /* answered */
    for (int i = 0; i < 3; i++) {
        advance(fixture, 4000);
        (void)client_heartbeat(fixture, &b);
    }
    assert_int_equal(members_of(fixture, "g"), 1);
    client_fini(&a);
    client_fini(&b);
}

static void parked_join_of_a_new_member_ends_after_five_minutes(void **state)
{
    struct fixture *fixture = *state;
    struct client clients[2];
    struct client late;

    client_init(fixture, &clients[0], NULL);
    client_init(fixture, &clients[1], NULL);
    clients[0].join.rebalance_timeout_ms = 1000000;
    clients[0].join.session_timeout_ms = 1000000;
    clients[1].join.rebalance_timeout_ms = 1000000;
    client_init(fixture, &late, NULL);
    client_enter(fixture, &clients[0]);
    advance(fixture, 3000);
    client_joined(&clients[0], 1);
    client_enter(fixture, &late); /* waits for the first, which only beats */
    advance(fixture, 299999);
    assert_int_equal(late.joins_posted, 0);
    advance(fixture, 1);
    assert_int_equal(late.joins_posted, 1);
    assert_int_equal(late.join.verdict, GROUP_UNKNOWN_MEMBER);
    client_fini(&clients[0]);
    client_fini(&late);
}

static void closing_answers_parked_joins(void **state)
{
    struct fixture *fixture = *state;
    struct client a;

    client_init(fixture, &a, NULL);
    client_enter(fixture, &a);
    fixture->closed.run = note_closed;
    group_coordinator_close(fixture->coordinator, &fixture->loop.executor, &fixture->closed);
    run(fixture);
    assert_int_equal(a.joins_posted, 1);
    assert_int_equal(a.join.verdict, GROUP_CLOSING);
    assert_false(fixture->is_closed); /* the request still holds the group */
    client_fini(&a);
    run(fixture);
    assert_true(fixture->is_closed);
    start(fixture);
}

static void failed_allocations_leave_no_half_member(void **state)
{
    struct fixture *fixture = *state;
    bool fired = true;

    for (long n = 0; fired; n++) {
        struct client a;
        client_init(fixture, &a, NULL);
        a.join.requires_member_id = false;
        base_alloc_fail_after(n, 1);
        enum group_answer answer = client_join(fixture, &a);
        fired = base_alloc_fault_fired();
        base_alloc_fail_after(-1, 0);
        if (fired) {
            assert_int_equal(answer, GROUP_DONE);
            assert_int_equal(a.join.verdict, GROUP_OUT_OF_MEMORY);
            assert_int_equal(members_of(fixture, "g"), 0);
        } else {
            assert_int_equal(answer, GROUP_PENDING);
            advance(fixture, 3000);
            client_joined(&a, 1);
        }
        client_fini(&a);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(new_dynamic_member_must_join_twice),
        T(old_version_joins_at_once),
        T(static_member_joins_at_once_with_its_instance_in_the_id),
        T(reserved_member_id_expires_at_session_timeout),
        T(session_timeout_outside_its_range_is_refused),
        T(empty_group_id_is_refused),
        T(member_id_of_an_unknown_group_is_unknown),
        T(protocols_must_fit_the_group),
        T(first_rebalance_waits_for_the_initial_delay),
        T(initial_delay_is_extended_while_members_join),
        T(initial_delay_ends_with_the_rebalance_timeout),
        T(only_the_leader_gets_the_member_list),
        T(protocol_with_most_votes_among_the_common_wins),
        T(protocol_not_known_to_all_is_not_chosen),
        T(new_member_starts_a_rebalance_that_waits_for_the_others),
        T(absent_dynamic_member_is_dropped_at_the_rebalance_timeout),
        T(absent_static_member_is_kept_until_its_session_ends),
        T(unchanged_follower_gets_the_same_generation_in_a_stable_group),
        T(changed_follower_and_any_leader_start_a_rebalance),
        T(lost_join_answer_is_given_again_before_the_assignment),
        T(group_that_is_full_refuses_and_early_joiners_have_the_places),
        T(member_with_too_much_metadata_is_refused),
        T(second_join_supersedes_the_parked_one),
        T(cancelled_join_leaves_the_member_until_its_session_ends),
        T(parked_join_of_a_new_member_ends_after_five_minutes),
        T(closing_answers_parked_joins),
        T(failed_allocations_leave_no_half_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
