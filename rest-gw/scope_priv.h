/* What a request is about: the project, queue and group that its path names, and whether
 * whoever asks may do that. Each of these answers the request itself when the answer is no,
 * unless it says otherwise. The answer is the end of the request and of its arena. */
#ifndef RESTGW_SCOPE_PRIV_H
#define RESTGW_SCOPE_PRIV_H

#include "core/catalog/topic.h"
#include "core/queue/queue.h"
#include "core/security/security.h"
#include "rest-gw/error.h"
#include "rest-gw/request.h"

const struct security_principal *restgw__principal(const struct restgw_request *request);

/* False, with the request answered, unless {project_id} is one. */
bool restgw__scope_project(struct restgw_request *request, struct base_slice *project_id);

/* Whether who asks may do action to resource; false, with the request answered, when not. */
bool restgw__scope_allows(struct restgw_request *request, enum security_action action,
                          struct security_resource resource);

/* The queue {queue_id}, of {project_id} or shared with who asks, to which action is allowed; NULL
 * when the request was answered. Borrowed until this loop asks for a view again: hold it across a
 * wait. */
const struct catalog_topic *restgw__scope_queue(struct restgw_request *request,
                                                enum security_action action);

/* The same without an answer, for who has something to let go of first: NONE, or why not. */
enum restgw_error restgw__scope_check_queue(const struct restgw_request *request,
                                            enum security_action action);

/* The queues of {project_id} that whoever asks may see, oldest first; NULL when the request was
 * answered. Borrowed from the view, as above. */
const struct catalog_topic **restgw__scope_queues(struct restgw_request *request, size_t *count);

/* {group_id} of the queue; the null slice when the request was answered. Lives as long as the
 * request. */
struct base_slice restgw__scope_group(struct restgw_request *request,
                                      const struct catalog_topic *topic,
                                      enum security_action action);

/* A group's id as it is kept: digits of either case name the same, as in a queue's id. The null
 * slice when text is none. Lives as long as the request. */
struct base_slice restgw__group_id(struct restgw_request *request, struct base_slice text);

/* The dead letters of a group: a queue of their own, and the group that consumes it. */
struct restgw__letters {
    const struct catalog_topic *topic; /* borrowed, like that of restgw__scope_queue */
    struct base_slice group_id;        /* lives as long as the request */
};

/* Those of {group_id} of {queue_id}. False, with the request answered, when there are none: on
 * Kafka queues, and without a redrive policy. queue: may be NULL; what they belong to. */
bool restgw__scope_letters(struct restgw_request *request, enum security_action action,
                           const struct catalog_topic **queue, struct restgw__letters *out);

/* What the queue engine refused, in the API's words; ends the request. err belongs to
 * STORAGE_FAILED. Not for OK. */
void restgw__answer_verdict(struct restgw_request *request, enum queue_verdict verdict,
                            enum base_err err);

/* What stands for trouble with the storage. */
enum restgw_error restgw__error_of_storage(enum base_err err);

/* The same about the queue of the path: QUEUE_NOT_FOUND when it was deleted meanwhile. */
enum restgw_error restgw__error_of_queue(struct restgw_request *request, enum base_err err);

/* Whether the topic counts as a queue of the project. */
bool restgw__is_queue_of(const struct catalog_topic *topic, struct base_slice project_id);

#endif
