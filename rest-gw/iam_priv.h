/* What the routes of the identity service share. They are shaped like Keystone's third version,
 * errors included, so that its clients work. */
#ifndef RESTGW_IAM_PRIV_H
#define RESTGW_IAM_PRIV_H

#include <jansson.h>

#include "core/catalog/catalog.h"
#include "core/security/identity.h"
#include "rest-gw/error.h"
#include "rest-gw/request.h"

/* Says, with status 401, what credentials are wanted. Before the answer begins. */
void restgw__iam_challenge(struct restgw_request *request);

/* {"error":{"code":…,"message":…,"title":…}}; ends the request. */
void restgw__iam_error(struct restgw_request *request, int status, const char *message);

/* The same for what the gate refuses. */
void restgw__iam_refuse(struct restgw_request *request, enum restgw_error error);

/* The same for what the catalog refused. */
void restgw__iam_refuse_change(struct restgw_request *request, const struct catalog_change *change);

/* What a login, or an issue, ended with; not for OK. */
void restgw__iam_refuse_verdict(struct restgw_request *request, enum security_verdict verdict);

/* The identity service; NULL, with the request answered, when this broker has none of its own. */
struct security_identity *restgw__iam(struct restgw_request *request);

/* The member `name` of the body, an object whose strings hold no NUL; NULL with the request
 * answered when there is none. Borrowed from the request. */
const json_t *restgw__iam_body(struct restgw_request *request, const char *name);

/* Text of a member; NULL when it is absent or no string. */
const char *restgw__iam_text(const json_t *object, const char *name);

/* The same; false when it is neither a string nor absent nor null. */
bool restgw__iam_take_text(const json_t *object, const char *name, const char **out);

/* The same as a slice; the null slice. */
struct base_slice restgw__iam_slice(const json_t *object, const char *name);

/* "2015-11-09T01:42:57.527000Z"; "null" times (INT64_MAX) are "". */
enum { RESTGW__IAM_TIME_SIZE = 32 };
const char *restgw__iam_time(int64_t time_ms, char text[RESTGW__IAM_TIME_SIZE]);

/* Where clients reach this door, without a slash at the end; from the arena. */
const char *restgw__iam_public_url(struct restgw_request *request);

/* The client's address without its port; from the arena. */
const char *restgw__iam_address(struct restgw_request *request);

/* 1 to 64 characters, none of them a control character. */
bool restgw__iam_name_is_valid(const char *name);

/* An answer with secrets in it is not to be kept by anybody. */
void restgw__iam_no_store(struct restgw_request *request);

#endif
