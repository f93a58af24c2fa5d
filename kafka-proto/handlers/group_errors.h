/* What the handlers of consumer groups share: outcomes of the coordinator as Kafka's error
 * codes, and who may touch a group. */
#ifndef KHANDLER_GROUP_ERRORS_H
#define KHANDLER_GROUP_ERRORS_H

#include <stdbool.h>

#include "core/group/verdict.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/request.h"

/* For answers whose size has nothing to do with that of the request: all groups, all members
 * of a group, all its offsets. They get an arena of their own. */
enum { KHANDLER_GROUP_ANSWER_BYTES_MAX = 256 << 20 };

/* The code for a verdict where an API says nothing else. */
enum kproto_error khandler_group_error(enum group_verdict verdict);

bool khandler_group_allows(const struct khandler_request *request, enum security_action action,
                           struct base_slice group_id);

#endif
