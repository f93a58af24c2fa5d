/* InitProducerId (key 22): a producer id for an idempotent producer (KIP-98).
 *
 * Transactions are not offered. A transactional id is answered with
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED: of all codes that fit, it is the one on which the
 * Java client, librdkafka and franz-go stop at once with a fatal error; they retry others
 * for ever, or until a time-out that names no cause. FindCoordinator, which such clients call
 * first, answers the same and adds the reason in words. */
#include "core/base/assert.h"
#include "kafka-proto/error.h"
#include "kafka-proto/handlers/table.h"

struct init_producer_id {
    struct khandler_request *request;
    struct txn_producer_id_request taking;
};

static void answer(struct khandler_request *request, enum kproto_error error, int64_t producer_id)
{
    struct kproto_init_producer_id_response response;

    kproto_init(request->api->response->schema, &response);
    response.error_code = (int16_t)error;
    response.producer_id = producer_id;
    response.producer_epoch = error == KPROTO_ERROR_NONE ? 0 : -1;
    khandler_answer(request, &response);
}

static enum kproto_error judge(const struct khandler_request *request)
{
    const struct kproto_init_producer_id_request *message = request->message;
    bool transactional = message->transactional_id.data != NULL;

    if (!security_authorize(request->principal, SECURITY_WRITE, security_producer())) {
        return transactional ? KPROTO_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                             : KPROTO_ERROR_CLUSTER_AUTHORIZATION_FAILED;
    }
    if ((message->producer_id == -1) != (message->producer_epoch == -1)) {
        return KPROTO_ERROR_INVALID_REQUEST;
    }
    if (transactional) {
        return message->transactional_id.length == 0
                   ? KPROTO_ERROR_INVALID_REQUEST
                   : KPROTO_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    return KPROTO_ERROR_NONE;
}

static void id_taken(struct base_task *task)
{
    struct init_producer_id *init = BASE_CONTAINER_OF(task, struct init_producer_id, taking.task);

    if (init->taking.err != BASE_ERR_OK) {
        /* What Kafka says when it could not get a block of ids: clients try again. */
        answer(init->request, KPROTO_ERROR_COORDINATOR_LOAD_IN_PROGRESS, -1);
        return;
    }
    BASE_ASSERT(init->taking.producer_id >= 0);
    answer(init->request, KPROTO_ERROR_NONE, init->taking.producer_id);
}

void khandler_init_producer_id(struct khandler_request *request)
{
    enum kproto_error error = judge(request);
    if (error != KPROTO_ERROR_NONE) {
        answer(request, error, -1);
        return;
    }
    struct init_producer_id *init = base_arena_object(&request->arena, struct init_producer_id);
    if (init == NULL) {
        khandler_refuse(request, "no memory");
        return;
    }
    /* Without a transactional id always a new one, also for (id, epoch) given: as Kafka. */
    init->request = request;
    init->taking.executor = request->executor;
    init->taking.task.run = id_taken;
    txn_producer_ids_take(request->broker->producer_ids, &init->taking);
}
