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

/* The name under which the coordinator knows a group: ids are each project's own, so that of the
 * default project is as it is and any other is "<project>/<id>". Groups of queues are known to
 * everybody by their id. In the request's arena; the null slice, which is no group, when that is
 * full. */
struct base_slice khandler_group_key(struct khandler_request *request, struct base_slice group_id);

/* The other way round: false for a group that is another project's. */
bool khandler_group_id(const struct khandler_request *request, struct base_slice key,
                       struct base_slice *group_id);

/* Whether the principal may do action to the group of that id (not key). */
bool khandler_group_allows(const struct khandler_request *request, enum security_action action,
                           struct base_slice group_id);

#endif
