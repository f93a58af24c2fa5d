/* Every error the REST API answers: one row for HTTP status, code and text.
 *
 * Codes and statuses are those of the service's reference. HTTP_* rows are for
 * requests that are refused before they reach a route: the reference has no codes
 * for these, they carry 10540010 ("request format wrong") with HTTP's own status. */
#ifndef RESTGW_ERROR_H
#define RESTGW_ERROR_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/writer.h"

/* Codes of the reference that no request here can lead to are left away: a queue that is still
 * being created (10240032), accounts that are frozen or restricted (10240306, 10240312), queues by
 * name (10540401), and what 10540010 and 10540014 say already (10540202, 10542214).
 *
 * name, HTTP status, code, message. "{}" stands for the detail given with the error. */
#define RESTGW_ERROR_LIST(X)                                                                      \
    X(TOO_MANY_QUEUES, 400, 10240002, "The number of queues exceeds the limit.")                  \
    X(MESSAGE_TAG, 400, 10240004, "Invalid message tag: {}")                                      \
    X(PROJECT_ID, 400, 10240005, "Invalid project ID format.")                                    \
    X(NAME_CHARACTERS, 400, 10240007,                                                             \
      "The name contains invalid characters: only letters, digits, hyphens and underscores are "  \
      "allowed.")                                                                                 \
    X(BODY_NOT_JSON, 400, 10240009, "The request body is not valid JSON: {}")                     \
    X(DESCRIPTION_CHARACTERS, 400, 10240010, "The description contains invalid characters.")      \
    X(QUEUE_NAME_LENGTH, 400, 10240011, "The queue name must have 1 to 64 characters.")           \
    X(GROUP_NAME_LENGTH, 400, 10240012, "The consumer group name must have 1 to 32 characters.")  \
    X(DESCRIPTION_LENGTH, 400, 10240013, "The description must have at most 160 characters.")     \
    X(MAX_MSGS, 400, 10240014, "max_msgs must be an integer from 1 to 10.")                       \
    X(QUEUE_ID, 400, 10240015, "Invalid queue ID format.")                                        \
    X(GROUP_ID, 400, 10240016, "Invalid consumer group ID format.")                               \
    X(QUEUE_EXISTS, 400, 10240017, "The queue already exists.")                                   \
    X(GROUP_EXISTS, 400, 10240018, "The consumer group already exists.")                          \
    X(TOO_MANY_GROUPS, 400, 10240019, "The number of consumer groups exceeds the limit.")         \
    X(QUOTA_EXHAUSTED, 400, 10240020, "The quota is insufficient.")                               \
    X(TOO_MANY_PARTITIONS, 400, 10240020,                                                         \
      "The quota is insufficient: the broker would have more partitions than max.partitions.")    \
    X(TIME_WAIT, 400, 10240021, "time_wait must be an integer from 1 to 60.")                     \
    X(MAX_CONSUME_COUNT, 400, 10240022, "max_consume_count must be an integer from 1 to 100.")    \
    X(RETENTION_HOURS, 400, 10240027, "retention_hours must be an integer from 1 to 72.")         \
    X(RETENTION_NOT_KAFKA, 400, 10240028, "retention_hours can be set for Kafka queues only.")    \
    X(TAG_KEY_LENGTH, 400, 10240035, "The tag key is empty or too long.")                         \
    X(TAG_KEY_CHARACTERS, 400, 10240036, "The tag key contains invalid characters.")              \
    X(TAG_VALUE_LENGTH, 400, 10240038, "The tag value is too long.")                              \
    X(TAG_VALUE_CHARACTERS, 400, 10240039, "The tag value contains invalid characters.")          \
    X(TAG_ACTION, 400, 10240040, "The action must be create or delete.")                          \
    X(TAG_SEARCH_ACTION, 400, 10240041, "The action must be filter or count.")                    \
    X(LIMIT, 400, 10240042, "The limit must be an integer from 1 to 1000.")                       \
    X(OFFSET, 400, 10240043, "The offset must be an integer of at least 0.")                      \
    X(TOO_MANY_TAGS, 400, 10240044, "A queue can have at most 10 tags.")                          \
    X(TAG_KEY_USED, 400, 10240045, "The tag key is already used.")                                \
    X(TOKEN_INVALID, 401, 10240101, "The token is invalid.")                                      \
    X(TOKEN_EXPIRED, 401, 10240102, "The token has expired.")                                     \
    X(TOKEN_MISSING, 401, 10240103, "The request carries no token.")                              \
    X(PROJECT_MISMATCH, 401, 10240104, "The project ID does not match the token.")                \
    X(QUOTA_BELOW_USED, 403, 10240304, "The new quota is below what is used.")                    \
    X(QUOTA_RANGE, 403, 10240308, "A quota must be an integer from 1 to 20.")                     \
    X(DENIED, 403, 10240309, "Access is denied.")                                                 \
    X(READ_ONLY, 403, 10240310, "The account may only read.")                                     \
    X(ROLE_LACKS_PERMISSION, 403, 10240311, "The role does not permit this operation.")           \
    X(QUEUE_NOT_FOUND, 404, 10240401, "The queue ID is incorrect or does not exist.")             \
    X(GROUP_NOT_FOUND, 404, 10240405, "The consumer group ID is incorrect or does not exist.")    \
    X(URL_NOT_FOUND, 404, 10240406, "The URL or endpoint does not exist.")                        \
    X(METHOD_NOT_ALLOWED, 405, 10240406, "The URL does not support this method.")                 \
    X(FLOW_CONTROL, 404, 10240407, "Too many requests. Try again later.")                         \
    X(TAG_NOT_FOUND, 404, 10240426, "The queue has no tag with this key.")                        \
    X(INTERNAL, 500, 10250002, "Internal error.")                                                 \
    X(INTERNAL_STORAGE, 500, 10250003, "Internal error: storage is unavailable.")                 \
    X(INTERNAL_MEMORY, 500, 10250004, "Internal error: out of memory.")                           \
    X(INTERNAL_COMMUNICATION, 500, 10250005, "Internal communication error.")                     \
    X(INTERNAL_STOPPING, 500, 10250006, "Internal error: the service is stopping.")               \
    X(MESSAGE_FIELDS, 400, 10540001, "The message body contains invalid fields: {}")              \
    X(ACK_STATUS, 400, 10540003,                                                                  \
      "Message ack status must be either 'success' or 'fail'. It should not be '{}'.")            \
    X(HANDLER_MISMATCH, 400, 10540004, "The queue or consumer group does not match the handler.") \
    X(REQUEST_FORMAT, 400, 10540010, "Invalid request format: {}")                                \
    X(HTTP_MALFORMED, 400, 10540010, "Invalid request format: {}")                                \
    X(HTTP_BODY_SIZE, 413, 10540010, "Invalid request format: {}")                                \
    X(HTTP_TARGET_SIZE, 414, 10540010, "Invalid request format: {}")                              \
    X(HTTP_EXPECTATION, 417, 10540010, "Invalid request format: {}")                              \
    X(HTTP_FIELDS_SIZE, 431, 10540010, "Invalid request format: {}")                              \
    X(HTTP_CODING, 501, 10540010, "Invalid request format: {}")                                   \
    X(HTTP_VERSION, 505, 10540010, "Invalid request format: {}")                                  \
    X(MESSAGE_SIZE, 400, 10540011, "The message size is {}")                                      \
    X(MESSAGE_NOT_JSON, 400, 10540012, "The message body is not valid JSON: {}")                  \
    X(URL_PARAMETERS, 400, 10540014, "Invalid URL parameter: {}")                                 \
    X(CONSUME_REFUSED, 400, 10542204, "Failed to consume messages because {}")                    \
    X(RESET_REFUSED, 400, 10542204, "Failed to reset the consumer group because {}")              \
    X(GROUP_IN_USE, 400, 10542204, "Failed to delete the consumer group because {}")              \
    X(HANDLER_NOT_HERE, 400, 10542205,                                                            \
      "No consumption instance is found for the handler: it belongs to another one, or it was "   \
      "released, or it is a dead letter's.")                                                      \
    X(ACK_WAIT, 400, 10542206, "ack_wait must be an integer from 15 to 300.")                     \
    X(HANDLER_UNKNOWN, 400, 10542209,                                                             \
      "The handler is unknown: it is malformed, has timed out or was acknowledged before.")

#define RESTGW_ERROR_ROW(name, status, code, text) RESTGW_ERROR_##name,
enum restgw_error {
    RESTGW_ERROR_NONE, /* not an answer: what readers of fields say when all is well */
    RESTGW_ERROR_LIST(RESTGW_ERROR_ROW) RESTGW_ERROR_COUNT
};
#undef RESTGW_ERROR_ROW

/* Not for RESTGW_ERROR_NONE. Static storage. */
int restgw_error_status(enum restgw_error error);
int restgw_error_code(enum restgw_error error);
const char *restgw_error_text(enum restgw_error error);

/* Appends {"code":..,"message":".."}. detail (may be the null slice) replaces "{}"; it
 * may hold anything, it is escaped. */
void restgw_error_write(struct base_writer *writer, enum restgw_error error,
                        struct base_slice detail);

/* The answer for trouble that a core library reports and that no handler gave a
 * meaning of its own. Not for BASE_ERR_OK. */
enum restgw_error restgw_status_from_base(enum base_err err);

#endif
