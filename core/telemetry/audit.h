/* The audit trail: who did what to which resource, when, from where, and what came of it.
 *
 * Traces stand in an append-only log of their own, __dms_audit, for seven days, as JSON that
 * has the fields of Cloud Trace Service. An operation's answer does not wait for its trace to be
 * synced, but the trace is in the log before the answer leaves: what was answered is traced also
 * after kill -9; a power cut may take the traces of the last moment.
 *
 * Operations that were refused are traced as far as their limits go (refusals_priv.h); how many
 * were not is traced once their minute is over, with the next trace or search: "refusedOperations".
 *
 * Secrets never get here: a trace has no place for bodies of requests.
 *
 * Threads: a monitor; every function from any thread unless it says otherwise. */
#ifndef TELEMETRY_AUDIT_H
#define TELEMETRY_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/executor.h"
#include "core/base/slice.h"
#include "logstore/store.h"

struct telemetry_audit;

/* Row: enum name, resource type of the trace. */
#define TELEMETRY_RESOURCE_LIST(X) \
    X(NONE, "")                    \
    X(QUEUE, "queue")              \
    X(GROUP, "group")              \
    X(TAG, "tag")                  \
    X(TOPIC, "topic")              \
    X(QUOTA, "quota")              \
    X(DOMAIN, "domain")            \
    X(PROJECT, "project")          \
    X(USER, "user")                \
    X(ROLE, "role")                \
    X(CREDENTIAL, "credential")    \
    X(TOKEN, "token")

#define TELEMETRY_RESOURCE_ENUM(name, text) TELEMETRY_RESOURCE_##name,
enum telemetry_resource {
    TELEMETRY_RESOURCE_LIST(TELEMETRY_RESOURCE_ENUM) TELEMETRY_RESOURCE_COUNT
};
#undef TELEMETRY_RESOURCE_ENUM

const char *telemetry_resource_text(enum telemetry_resource resource);

enum telemetry_rating {
    TELEMETRY_RATING_NORMAL,   /* done */
    TELEMETRY_RATING_WARNING,  /* refused: the caller's doing */
    TELEMETRY_RATING_INCIDENT, /* failed: the broker's doing */
    TELEMETRY_RATING_COUNT
};

/* "normal", "warning", "incident". */
const char *telemetry_rating_text(enum telemetry_rating rating);
bool telemetry_rating_parse(struct base_slice text, enum telemetry_rating *out);

/* One operation. Everything is borrowed for the call; the null slice means not known. Texts
 * may hold anything: what is not UTF-8 is written with '?', so is NUL; longer than 1 KiB is cut,
 * of refused operations longer than 256 bytes. */
struct telemetry_trace {
    struct base_slice name; /* "createQueue" */
    enum telemetry_resource resource;
    enum telemetry_rating rating;
    struct base_slice resource_id;
    struct base_slice resource_name;
    struct base_slice project_id;
    struct base_slice user_id;
    struct base_slice user_name;
    struct base_slice domain_id;
    struct base_slice domain_name;
    struct base_slice source_ip;
    struct base_slice request_id;
    struct base_slice api_version; /* "v1.0", "kafka" */
    struct base_slice code;        /* HTTP status or Kafka error code, as text */
    struct base_slice message;     /* why it was refused */
    bool is_stranger;              /* who asked did not prove who he is */
};

struct telemetry_audit_options {
    struct logstore_store *store; /* borrowed */
    int32_t leader_epoch;
    int64_t scan_max; /* traces that one search looks at; 0: 16,384 */
};

/* Worker only. On an error *out is NULL, or an audit trail that is only to be closed. */
BASE_MUST_USE enum base_err telemetry_audit_open(const struct telemetry_audit_options *options,
                                                 struct telemetry_audit **out);

/* Frees the trail and posts closed to executor. No search may be under way. */
void telemetry_audit_close(struct telemetry_audit *audit, struct base_executor *executor,
                           struct base_task *closed);

/* Appends a trace; executor: see logstore_log_append. A trace that cannot be written is
 * reported in the broker's log with what it was about. audit NULL: nothing happens. */
void telemetry_audit_write(struct telemetry_audit *audit, const struct telemetry_trace *trace,
                           struct base_executor *executor);

enum { TELEMETRY_AUDIT_LIMIT_MAX = 200 }; /* traces of one search */

/* A search, newest first. Embedded in what waits for it; slices are borrowed until then, and a
 * null one takes every trace. */
struct telemetry_audit_search {
    /* in */
    struct base_executor *executor;
    struct base_task task;
    struct base_slice project_id;
    int64_t from_ms; /* from <= time < to */
    int64_t to_ms;
    int64_t before; /* only traces older than the one this marker names; INT64_MAX: all */
    uint32_t limit; /* 1 to TELEMETRY_AUDIT_LIMIT_MAX */
    struct base_slice name;
    struct base_slice resource_type;
    struct base_slice resource_id;
    struct base_slice resource_name;
    struct base_slice user; /* name */
    struct base_slice rating;
    struct base_slice trace_id;

    /* out */
    enum base_err err; /* BUSY: too many searches at once; IO, CORRUPT, NOMEM */
    json_t *traces;    /* owned by the caller; array */
    int64_t marker;    /* `before` of the search that goes on where this one ended, -1 when there
                          was nothing: one search looks at some 16,000 traces, so that traces may
                          be empty although there are older ones */

    /* the trail's own */
    struct telemetry_audit *audit;
};

/* Always answers by posting task. */
void telemetry_audit_find(struct telemetry_audit *audit, struct telemetry_audit_search *search);

#endif
