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

/* letters.c, redrive.c */
restgw_handler restgw__letters_list;
restgw_handler restgw__letters_export;
restgw_handler restgw__redrive_start;
restgw_handler restgw__redrive_get;
restgw_handler restgw__redrive_cancel;

/* metric_data.c */
restgw_handler restgw__metric_list;
restgw_handler restgw__metric_data_get;

/* traces.c */
restgw_handler restgw__traces_list;

/* iam_tokens.c */
restgw_handler restgw__iam_version_get;
restgw_handler restgw__iam_token_create;
restgw_handler restgw__iam_token_get;
restgw_handler restgw__iam_token_delete;
restgw_handler restgw__iam_temporary_key_create;

/* iam_objects.c */
restgw_handler restgw__iam_user_create;
restgw_handler restgw__iam_user_list;
restgw_handler restgw__iam_user_get;
restgw_handler restgw__iam_user_update;
restgw_handler restgw__iam_user_delete;
restgw_handler restgw__iam_password_set;
restgw_handler restgw__iam_project_create;
restgw_handler restgw__iam_project_list;
restgw_handler restgw__iam_project_get;
restgw_handler restgw__iam_project_update;
restgw_handler restgw__iam_project_delete;
restgw_handler restgw__iam_domain_create;
restgw_handler restgw__iam_domain_list;
restgw_handler restgw__iam_domain_get;
restgw_handler restgw__iam_domain_update;
restgw_handler restgw__iam_domain_delete;

/* iam_roles.c */
restgw_handler restgw__iam_role_list;
restgw_handler restgw__iam_role_get;
restgw_handler restgw__iam_assignment_list;
restgw_handler restgw__iam_assignment_check;
restgw_handler restgw__iam_assignment_add;
restgw_handler restgw__iam_assignment_remove;

/* iam_keys.c */
restgw_handler restgw__iam_key_create;
restgw_handler restgw__iam_key_list;
restgw_handler restgw__iam_key_get;
restgw_handler restgw__iam_key_update;
restgw_handler restgw__iam_key_delete;

/* health.c, metrics.c */
restgw_handler restgw__health_live;
restgw_handler restgw__health_ready;
restgw_handler restgw__metrics_get;

/* openapi.c */
restgw_handler restgw__openapi_get;

#endif
