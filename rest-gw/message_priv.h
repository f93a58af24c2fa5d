/* Messages of queues in JSON, and how requests choose among them. */
#ifndef RESTGW_MESSAGE_PRIV_H
#define RESTGW_MESSAGE_PRIV_H

#include <stdbool.h>

#include "core/base/writer.h"
#include "core/queue/tags.h"
#include "logstore/records.h"
#include "rest-gw/query.h"
#include "rest-gw/request.h"

/* In base64; the null slice is null. */
void restgw__message_put_bytes(struct base_writer *body, struct base_slice bytes);

/* What was produced over REST is the JSON it was; of a Kafka queue, base64. */
void restgw__message_put_body(struct base_writer *body, const struct logstore_record *record,
                              bool is_kafka);

/* {"name":value,...}, and ["tag",...]; nothing in them for a Kafka queue. */
void restgw__message_put_attributes(struct base_writer *body, const struct logstore_record *record,
                                    bool is_kafka);
void restgw__message_put_tags(struct base_writer *body, const struct logstore_record *record,
                              bool is_kafka);

/* The parameters tag (up to three times) and tag_type. False, with the request answered, when
 * one is wrong; a Kafka queue has no tags. */
bool restgw__tag_rule_read(struct restgw_request *request, const struct restgw_query *query,
                           bool is_kafka, struct queue_tag_rule *rule);

#endif
