/* From a group to the log: batches of records, and the order in which they become true. */
#ifndef GROUP_STORE_PRIV_H
#define GROUP_STORE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/group/format_priv.h"
#include "core/group/group_priv.h"

/* What a group record is written for; decides what happens when it is durable. */
enum group_store_kind {
    GROUP_STORE_EMPTY,      /* the last member left: nobody waits */
    GROUP_STORE_ASSIGNMENT, /* the leader's assignment: then all get their share */
    GROUP_STORE_REJOIN,     /* a static member's new id: then its join is answered */
};

/* Appends the group record. member: the one that rejoins, else NULL. On an error nothing
 * was appended. */
BASE_MUST_USE enum base_err group__store(struct group *group, enum group_store_kind kind,
                                         const struct group_member *member);

/* Appends the batch for op, whose apply and finish are set. On OK group__op_begin must
 * follow, when what is in memory is in line with the log again. Finishes the batch. */
BASE_MUST_USE enum base_err group__append(struct group *group, struct group_op *op,
                                          struct group_batch *batch, bool *pending);

/* Not pending: applies op, and all before it, at once; finish is not called then. */
void group__op_begin(struct group *group, struct group_op *op, bool pending);

#endif
