/* DescribeCluster (key 60): the cluster's id, its brokers and its controller (KIP-700). */
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/table.h"
#include "kafka-proto/handlers/topic.h"

enum endpoint_type { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

/* This is a listener of brokers. */
static enum kproto_error judge_endpoint(int8_t endpoint_type, const char **why)
{
    if (endpoint_type == ENDPOINT_BROKER) {
        return KPROTO_ERROR_NONE;
    }
    if (endpoint_type == ENDPOINT_CONTROLLER) {
        *why = "this endpoint is a broker's, not a controller's";
        return KPROTO_ERROR_MISMATCHED_ENDPOINT_TYPE;
    }
    *why = "unknown type of endpoint";
    return KPROTO_ERROR_UNSUPPORTED_ENDPOINT_TYPE;
}

void khandler_describe_cluster(struct khandler_request *request)
{
    const struct kproto_describe_cluster_request *message = request->message;
    const struct khandler_options *broker = request->broker;
    struct kproto_describe_cluster_response response;
    const char *why = NULL;

    kproto_init(request->api->response->schema, &response);
    enum kproto_error error = judge_endpoint(message->endpoint_type, &why);
    if (error != KPROTO_ERROR_NONE) {
        response.error_code = (int16_t)error;
        response.error_message = base_slice_text(why);
        khandler_answer(request, &response);
        return;
    }
    response.brokers = khandler_array(request, describe_cluster_response_broker, 1);
    if (response.brokers == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    response.brokers_count = 1;
    response.brokers[0].broker_id = broker->node_id;
    response.brokers[0].host = base_slice_text(broker->advertised_host);
    response.brokers[0].port = broker->advertised_port;
    response.cluster_id = base_slice_text(catalog_cluster_id(broker->catalog));
    response.controller_id = broker->node_id;
    if (message->include_cluster_authorized_operations) {
        response.cluster_authorized_operations = khandler_topic_cluster_operations(request);
    }
    khandler_answer(request, &response);
}
