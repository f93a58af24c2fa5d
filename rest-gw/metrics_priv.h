/* The part of /metrics that is about queues and groups. */
#ifndef RESTGW_METRICS_PRIV_H
#define RESTGW_METRICS_PRIV_H

#include "core/base/writer.h"
#include "rest-gw/request.h"

/* The eight metrics of guide table 1-2, as of now, for at most options.sampled_topics_max queues
 * and topics. What a series has per interval is a counter here. */
void restgw__put_queue_metrics(struct base_writer *writer, struct restgw_request *request);

#endif
