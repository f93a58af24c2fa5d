/* The REST door as a whole: its routes, what each loop keeps, its end. */
#include "rest-gw/gateway.h"

#include "core/base/alloc.h"
#include "core/base/assert.h"
#include "core/net/loop.h"
#include "core/telemetry/counters.h"
#include "rest-gw/audit_priv.h"
#include "rest-gw/gate_priv.h"
#include "rest-gw/gateway_priv.h"
#include "rest-gw/handlers_priv.h"
#include "rest-gw/http_conn.h"
#include "rest-gw/request_priv.h"
#include "rest-gw/text.h"

#define PROJECT "/v1.0/{project_id}"
#define QUEUES PROJECT "/queues"
#define QUEUE QUEUES "/{queue_id}"
#define GROUPS QUEUE "/groups"
#define POLICIES QUEUE "/policies"
#define POLICY POLICIES "/{policy_id}"
#define TAGS PROJECT "/queue/{queue_id}/tags" /* "queue": the reference has it so */
#define GROUP GROUPS "/{group_id}"
#define LETTERS GROUP "/deadletters"

#define TOKENS "/v3/auth/tokens"
#define CREDENTIALS "/v3.0/OS-CREDENTIAL"
#define KEYS CREDENTIALS "/credentials"

enum {
    NO_FLAGS = 0,
    IAM_PUBLIC = RESTGW_ROUTE_IAM | RESTGW_ROUTE_PUBLIC,
    IAM_ADMIN = RESTGW_ROUTE_IAM | RESTGW_ROUTE_ADMIN,
};

/* clang-format off: rows of a table */

/* The five routes of users, projects and domains. */
#define IAM_OBJECT(path, singular, resource, title)                                             \
    {RESTGW_HTTP_GET, path, restgw__iam_##singular##_list, IAM_ADMIN, "list" title "s"},        \
        {RESTGW_HTTP_POST, path, restgw__iam_##singular##_create,                               \
         (IAM_ADMIN | (unsigned)TELEMETRY_RESOURCE_##resource << RESTGW_ROUTE_TRACED_SHIFT),    \
         "create" title},                                                                       \
        {RESTGW_HTTP_GET, path "/{id}", restgw__iam_##singular##_get, IAM_ADMIN, "get" title},  \
        {RESTGW_HTTP_PATCH, path "/{id}", restgw__iam_##singular##_update,                      \
         (IAM_ADMIN | (unsigned)TELEMETRY_RESOURCE_##resource << RESTGW_ROUTE_TRACED_SHIFT),    \
         "update" title},                                                                       \
    {                                                                                           \
        RESTGW_HTTP_DELETE, path "/{id}", restgw__iam_##singular##_delete,                      \
            (IAM_ADMIN | (unsigned)TELEMETRY_RESOURCE_##resource << RESTGW_ROUTE_TRACED_SHIFT), \
            "delete" title                                                                      \
    }

/* The four of roles that a user has in a project or domain. */
#define IAM_ASSIGNMENT(path)                                                           \
    {RESTGW_HTTP_GET, path, restgw__iam_assignment_list, IAM_ADMIN, "listUserRoles"},  \
        {RESTGW_HTTP_HEAD, path "/{role_id}", restgw__iam_assignment_check, IAM_ADMIN, \
         "checkUserRole"},                                                             \
        {RESTGW_HTTP_PUT, path "/{role_id}", restgw__iam_assignment_add,               \
         IAM_ADMIN | RESTGW_ROUTE_TRACED(ROLE), "addUserRole"},                        \
    {                                                                                  \
        RESTGW_HTTP_DELETE, path "/{role_id}", restgw__iam_assignment_remove,          \
            IAM_ADMIN | RESTGW_ROUTE_TRACED(ROLE), "removeUserRole"                    \
    }

/* clang-format on */

/* Looked through from the top: what is called most stands first. */
static const struct restgw_route routes[] = {
    {RESTGW_HTTP_POST, QUEUE "/messages", restgw__messages_produce,
     RESTGW_ROUTE_MESSAGES | RESTGW_ROUTE_LONG_BODY, "produceMessages"},
    {RESTGW_HTTP_GET, GROUP "/messages", restgw__messages_consume, NO_FLAGS, "consumeMessages"},
    {RESTGW_HTTP_POST, GROUP "/ack", restgw__messages_ack, RESTGW_ROUTE_MESSAGES, "ackMessages"},
    {RESTGW_HTTP_GET, LETTERS, restgw__letters_consume, NO_FLAGS, "consumeDeadLetters"},
    {RESTGW_HTTP_POST, LETTERS "/ack", restgw__letters_ack, RESTGW_ROUTE_MESSAGES,
     "ackDeadLetters"},
    {RESTGW_HTTP_GET, LETTERS "/list", restgw__letters_list, NO_FLAGS, "listDeadLetters"},
    {RESTGW_HTTP_GET, LETTERS "/export", restgw__letters_export, NO_FLAGS, "exportDeadLetters"},
    {RESTGW_HTTP_POST, LETTERS "/redrive", restgw__redrive_start, RESTGW_ROUTE_TRACED(GROUP),
     "startDeadLetterRedrive"},
    {RESTGW_HTTP_GET, LETTERS "/redrive", restgw__redrive_get, NO_FLAGS, "getDeadLetterRedrive"},
    {RESTGW_HTTP_DELETE, LETTERS "/redrive", restgw__redrive_cancel, RESTGW_ROUTE_TRACED(GROUP),
     "cancelDeadLetterRedrive"},
    {RESTGW_HTTP_GET, QUEUES, restgw__queue_list, NO_FLAGS, "listQueues"},
    {RESTGW_HTTP_POST, QUEUES, restgw__queue_create, RESTGW_ROUTE_TRACED(QUEUE), "createQueue"},
    {RESTGW_HTTP_GET, QUEUE, restgw__queue_get, NO_FLAGS, "getQueue"},
    {RESTGW_HTTP_DELETE, QUEUE, restgw__queue_delete, RESTGW_ROUTE_TRACED(QUEUE), "deleteQueue"},
    {RESTGW_HTTP_GET, GROUPS, restgw__group_list, NO_FLAGS, "listGroups"},
    {RESTGW_HTTP_POST, GROUPS, restgw__group_create, RESTGW_ROUTE_TRACED(GROUP), "createGroup"},
    {RESTGW_HTTP_DELETE, GROUP, restgw__group_delete, RESTGW_ROUTE_TRACED(GROUP), "deleteGroup"},
    {RESTGW_HTTP_GET, POLICIES, restgw__policies_list, NO_FLAGS, "getQueuePolicies"},
    {RESTGW_HTTP_POST, POLICIES, restgw__policy_create, RESTGW_ROUTE_TRACED(QUEUE),
     "create resource access policy"},
    {RESTGW_HTTP_PUT, POLICIES, restgw__policies_replace, RESTGW_ROUTE_TRACED(QUEUE),
     "update resource access policy"},
    {RESTGW_HTTP_DELETE, POLICIES, restgw__policies_delete, RESTGW_ROUTE_TRACED(QUEUE),
     "delete resource access policy"},
    {RESTGW_HTTP_GET, POLICY, restgw__policy_get, NO_FLAGS, "getQueuePolicy"},
    {RESTGW_HTTP_PUT, POLICY, restgw__policy_replace, RESTGW_ROUTE_TRACED(QUEUE),
     "update resource access policy"},
    {RESTGW_HTTP_DELETE, POLICY, restgw__policy_delete, RESTGW_ROUTE_TRACED(QUEUE),
     "delete resource access policy"},

    {RESTGW_HTTP_GET, QUEUE "/messages", restgw__messages_browse, NO_FLAGS, "browseMessages"},
    {RESTGW_HTTP_POST, GROUP "/reset", restgw__group_reset, RESTGW_ROUTE_TRACED(GROUP),
     "resetGroup"},
    {RESTGW_HTTP_GET, TAGS, restgw__tags_get, NO_FLAGS, "getQueueTags"},
    {RESTGW_HTTP_POST, TAGS, restgw__tags_add, RESTGW_ROUTE_TRACED(TAG), "createQueueTag"},
    {RESTGW_HTTP_POST, TAGS "/action", restgw__tags_change, RESTGW_ROUTE_TRACED(TAG),
     "changeQueueTags"},
    {RESTGW_HTTP_DELETE, TAGS "/{key}", restgw__tags_remove, RESTGW_ROUTE_TRACED(TAG),
     "deleteQueueTag"},
    {RESTGW_HTTP_GET, PROJECT "/queue/tags", restgw__tags_of_project, NO_FLAGS, "getProjectTags"},
    {RESTGW_HTTP_POST, PROJECT "/queue/resource_instances/action", restgw__tags_search, NO_FLAGS,
     "searchQueues"},
    {RESTGW_HTTP_GET, PROJECT "/quotas/dms", restgw__quota_get, RESTGW_ROUTE_ONE_VERSION,
     "getQuotas"},
    {RESTGW_HTTP_GET, "/v2/{project_id}/quotas", restgw__quota_get, NO_FLAGS, "getQuotas"},
    {RESTGW_HTTP_PUT, PROJECT "/quotas/dms", restgw__quota_set,
     RESTGW_ROUTE_ONE_VERSION | RESTGW_ROUTE_ADMIN | RESTGW_ROUTE_TRACED(QUOTA), "setQuotas"},
    {RESTGW_HTTP_PUT, "/v2/{project_id}/quotas", restgw__quota_set,
     RESTGW_ROUTE_ADMIN | RESTGW_ROUTE_TRACED(QUOTA), "setQuotas"},
    {RESTGW_HTTP_GET, "/V1.0/{project_id}/metrics", restgw__metric_list, NO_FLAGS, "listMetrics"},
    {RESTGW_HTTP_GET, "/V1.0/{project_id}/metric-data", restgw__metric_data_get, NO_FLAGS,
     "getMetricData"},
    {RESTGW_HTTP_GET, "/v3/{project_id}/traces", restgw__traces_list, NO_FLAGS, "listTraces"},
    {RESTGW_HTTP_GET, PROJECT "/system/trace", restgw__traces_list, RESTGW_ROUTE_ONE_VERSION,
     "listTraces"},
    {RESTGW_HTTP_GET, "/v3", restgw__iam_version_get, IAM_PUBLIC, NULL},
    {RESTGW_HTTP_GET, "/v3/", restgw__iam_version_get, IAM_PUBLIC, NULL},
    {RESTGW_HTTP_POST, TOKENS, restgw__iam_token_create, IAM_PUBLIC | RESTGW_ROUTE_TRACED(TOKEN),
     "createToken"},
    {RESTGW_HTTP_GET, TOKENS, restgw__iam_token_get, RESTGW_ROUTE_IAM, "getToken"},
    {RESTGW_HTTP_HEAD, TOKENS, restgw__iam_token_get, RESTGW_ROUTE_IAM, "getToken"},
    {RESTGW_HTTP_DELETE, TOKENS, restgw__iam_token_delete,
     RESTGW_ROUTE_IAM | RESTGW_ROUTE_TRACED(TOKEN), "deleteToken"},
    {RESTGW_HTTP_POST, CREDENTIALS "/securitytokens", restgw__iam_temporary_key_create,
     IAM_PUBLIC | RESTGW_ROUTE_TRACED(CREDENTIAL), "createTemporaryAccessKey"},
    {RESTGW_HTTP_POST, KEYS, restgw__iam_key_create,
     RESTGW_ROUTE_IAM | RESTGW_ROUTE_TRACED(CREDENTIAL), "createAccessKey"},
    {RESTGW_HTTP_GET, KEYS, restgw__iam_key_list, RESTGW_ROUTE_IAM, "listAccessKeys"},
    {RESTGW_HTTP_GET, KEYS "/{access_key}", restgw__iam_key_get, RESTGW_ROUTE_IAM, "getAccessKey"},
    {RESTGW_HTTP_PUT, KEYS "/{access_key}", restgw__iam_key_update,
     RESTGW_ROUTE_IAM | RESTGW_ROUTE_TRACED(CREDENTIAL), "updateAccessKey"},
    {RESTGW_HTTP_DELETE, KEYS "/{access_key}", restgw__iam_key_delete,
     RESTGW_ROUTE_IAM | RESTGW_ROUTE_TRACED(CREDENTIAL), "deleteAccessKey"},
    IAM_OBJECT("/v3/users", user, USER, "User"),
    {RESTGW_HTTP_POST, "/v3/users/{id}/password", restgw__iam_password_set,
     RESTGW_ROUTE_IAM | RESTGW_ROUTE_TRACED(USER), "changePassword"},
    IAM_OBJECT("/v3/projects", project, PROJECT, "Project"),
    IAM_OBJECT("/v3/domains", domain, DOMAIN, "Domain"),
    {RESTGW_HTTP_GET, "/v3/roles", restgw__iam_role_list, IAM_ADMIN, "listRoles"},
    {RESTGW_HTTP_GET, "/v3/roles/{role_id}", restgw__iam_role_get, IAM_ADMIN, "getRole"},
    IAM_ASSIGNMENT("/v3/projects/{id}/users/{user_id}/roles"),
    IAM_ASSIGNMENT("/v3/domains/{id}/users/{user_id}/roles"),
    {RESTGW_HTTP_GET, "/livez", restgw__health_live, RESTGW_ROUTE_PUBLIC, NULL},
    {RESTGW_HTTP_GET, "/readyz", restgw__health_ready, RESTGW_ROUTE_PUBLIC, NULL},
    {RESTGW_HTTP_GET, "/metrics", restgw__metrics_get, RESTGW_ROUTE_METRICS | RESTGW_ROUTE_ADMIN,
     NULL},
    {RESTGW_HTTP_GET, "/openapi.json", restgw__openapi_get, RESTGW_ROUTE_PUBLIC, NULL},
};

const struct restgw_route *restgw_gateway_routes(size_t *count)
{
    *count = sizeof routes / sizeof routes[0];
    return routes;
}

static struct catalog_reader *reader_of(const struct restgw_request *request)
{
    struct restgw_gateway *gateway = restgw__gateway(request);
    struct base_executor *executor = restgw_request_executor(request);
    unsigned index = 0;

    while (gateway->loops[index].executor != executor) {
        index++;
        BASE_ASSERT(index < gateway->options.loops_count);
    }
    return &gateway->loops[index].reader;
}

struct catalog_view *restgw__view(const struct restgw_request *request)
{
    return catalog_reader_view(reader_of(request));
}

/* Lines of the header are one list, whose end is the nearest proxy's. */
static void find_client(struct restgw_request *request)
{
    const struct restgw_proxies *proxies = &restgw__gateway(request)->options.proxies;
    bool goes_on = proxies->count > 0;

    for (size_t i = restgw_request_headers_count(request); goes_on && i > 0; i--) {
        struct base_slice name;
        struct base_slice value;
        restgw_request_header_at(request, i - 1, &name, &value);
        if (restgw_text_is(name, "X-Forwarded-For")) {
            goes_on = restgw_proxies_apply(proxies, value, request->peer);
        }
    }
}

/* Every request begins here. */
static void begin(struct restgw_request *request)
{
    find_client(request);
    catalog_reader_settle(reader_of(request));
    if (restgw__gateway(request)->options.identity != NULL) {
        restgw__gate(request);
    } else {
        restgw_request_run(request);
    }
}

static void count_answer(void *context, const struct restgw_http_report *report)
{
    struct restgw_gateway *gateway = context;

    restgw__audit_end(report->request, gateway->options.audit);
    telemetry_add(TELEMETRY_HTTP_REQUESTS, 1);
    if (report->status >= 500) {
        telemetry_add(TELEMETRY_HTTP_SERVER_ERRORS, 1);
    } else if (report->status >= 400) {
        telemetry_add(TELEMETRY_HTTP_CLIENT_ERRORS, 1);
    }
}

static void free_gateway(struct restgw_gateway *gateway)
{
    for (unsigned i = 0; gateway->loops != NULL && i < gateway->options.loops_count; i++) {
        catalog_reader_fini(&gateway->loops[i].reader);
    }
    restgw_http_server_close(&gateway->server);
    restgw_router_close(&gateway->router);
    base_free(gateway->loops);
    base_free(gateway);
}

static enum base_err prepare(struct restgw_gateway *gateway)
{
    const struct restgw_options *options = &gateway->options;

    gateway->loops = base_alloc_array(options->loops_count, sizeof gateway->loops[0]);
    if (gateway->loops == NULL) {
        return BASE_ERR_NOMEM;
    }
    for (unsigned i = 0; i < options->loops_count; i++) {
        gateway->loops[i].executor = net_loop_executor(options->loops[i]);
        catalog_reader_init(&gateway->loops[i].reader, options->catalog);
    }
    enum base_err err =
        restgw_router_create(routes, sizeof routes / sizeof routes[0], &gateway->router);
    if (err != BASE_ERR_OK) {
        return err;
    }
    struct restgw_http_options http = {
        .router = gateway->router,
        .context = gateway,
        .gate = begin,
        .on_answered = count_answer,
    };
    if (options->identity != NULL) {
        http.admit = restgw__gate_admit;
        http.is_current = restgw__gate_is_current;
    }
    return restgw_http_server_create(&http, &gateway->server);
}

enum base_err restgw_gateway_create(const struct restgw_options *options,
                                    struct restgw_gateway **out)
{
    BASE_ASSERT(options->loops_count > 0);
    BASE_ASSERT(options->is_ready != NULL);

    *out = NULL;
    struct restgw_gateway *gateway = base_alloc_object(struct restgw_gateway);
    if (gateway == NULL) {
        return BASE_ERR_NOMEM;
    }
    gateway->options = *options;
    gateway->started_ms = base_clock_wall_ms(options->clock);
    enum base_err err = prepare(gateway);
    if (err != BASE_ERR_OK) {
        free_gateway(gateway);
        return err;
    }
    *out = gateway;
    return BASE_ERR_OK;
}

static void on_finished(struct base_task *task)
{
    struct restgw_gateway *gateway = BASE_CONTAINER_OF(task, struct restgw_gateway, finished);
    struct base_executor *executor = gateway->closed_executor;
    struct base_task *closed = gateway->closed_task;

    free_gateway(gateway);
    base_executor_post(executor, closed);
}

void restgw_gateway_close(struct restgw_gateway *gateway, struct base_executor *executor,
                          struct base_task *closed)
{
    gateway->closed_executor = executor;
    gateway->closed_task = closed;
    gateway->finished.run = on_finished;
    restgw_http_server_finish(gateway->server, executor, &gateway->finished);
}

void restgw_gateway_listen_options(struct restgw_gateway *gateway,
                                   struct net_listener_options *options)
{
    options->loops = gateway->options.loops;
    options->loops_count = gateway->options.loops_count;
    options->conn = restgw_http_conn_options();
    options->conn.idle_timeout_ms = gateway->options.idle_timeout_ms;
    options->on_accept = restgw_http_conn_accept;
    options->context = gateway->server;
}
