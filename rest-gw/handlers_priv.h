/* The handlers behind the routes; the table is in gateway.c. */
#ifndef RESTGW_HANDLERS_PRIV_H
#define RESTGW_HANDLERS_PRIV_H

#include "rest-gw/router.h"

/* queues.c */
restgw_handler restgw__queue_create;
restgw_handler restgw__queue_list;
restgw_handler restgw__queue_get;
restgw_handler restgw__queue_delete;

/* policies.c */
restgw_handler restgw__policies_list;
restgw_handler restgw__policies_replace;
restgw_handler restgw__policies_delete;
restgw_handler restgw__policy_create;
restgw_handler restgw__policy_get;
restgw_handler restgw__policy_replace;
restgw_handler restgw__policy_delete;

/* quotas.c */
restgw_handler restgw__quota_get;
restgw_handler restgw__quota_set;

/* groups.c */
restgw_handler restgw__group_create;
restgw_handler restgw__group_list;
restgw_handler restgw__group_delete;

/* tags.c, tag_search.c: resource tags of queues */
restgw_handler restgw__tags_get;
restgw_handler restgw__tags_add;
restgw_handler restgw__tags_change;
restgw_handler restgw__tags_remove;
restgw_handler restgw__tags_of_project;
restgw_handler restgw__tags_search;

/* browse.c, reset.c */
restgw_handler restgw__messages_browse;
restgw_handler restgw__group_reset;

/* messages.c, consume.c, ack.c */
restgw_handler restgw__messages_produce;
restgw_handler restgw__messages_consume;
restgw_handler restgw__messages_ack;
restgw_handler restgw__letters_consume;
restgw_handler restgw__letters_ack;

/* metric_data.c */
restgw_handler restgw__metric_list;
restgw_handler restgw__metric_data_get;

/* traces.c */
restgw_handler restgw__traces_list;

/* health.c, metrics.c */
restgw_handler restgw__health_live;
restgw_handler restgw__health_ready;
restgw_handler restgw__metrics_get;

/* openapi.c */
restgw_handler restgw__openapi_get;

#endif
