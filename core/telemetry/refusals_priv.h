/* How many traces of refused operations there may be: whoever sends what is refused, without
 * credentials even, must not fill the disk with traces of it, nor push out those of others.
 *
 * Counted by the minute; what is over a limit leaves no trace of its own, but is counted, and the
 * count is traced when the minute is over. Operations that were done are never limited.
 *
 * Threads: none of its own; the caller holds a lock. */
#ifndef TELEMETRY_REFUSALS_PRIV_H
#define TELEMETRY_REFUSALS_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/slice.h"

enum {
    TELEMETRY__REFUSALS_WINDOW_MS = 60 * 1000,
    TELEMETRY__REFUSALS_PROJECT_MAX = 60,  /* of one project, of those who proved who they are */
    TELEMETRY__REFUSALS_MAX = 300,         /* of all projects */
    TELEMETRY__STRANGERS_PROJECT_MAX = 20, /* of one project, of those who did not */
    TELEMETRY__STRANGERS_MAX = 60,         /* of all projects */
    TELEMETRY__REFUSALS_PROJECTS_MAX = TELEMETRY__REFUSALS_MAX + TELEMETRY__STRANGERS_MAX,
    TELEMETRY__REFUSALS_ID_SIZE = 33, /* of a project, with its terminator; what is longer is cut */
};

/* What there was of one project within the minute. */
struct telemetry__refusals_project {
    char id[TELEMETRY__REFUSALS_ID_SIZE];
    uint32_t counts[2]; /* of traces: known callers, strangers */
    uint64_t suppressed_count;
};

/* Public so that it can live inside the trail. Zero is ready. */
struct telemetry__refusals {
    int64_t window_ms; /* beginning of the minute */
    uint32_t counts[2];
    uint64_t suppressed_count; /* of projects that are not in the table */
    uint32_t projects_count;
    struct telemetry__refusals_project projects[TELEMETRY__REFUSALS_PROJECTS_MAX];
};

/* The minute is over: read ->projects and ->suppressed_count, then restart. */
bool telemetry__refusals_is_over(const struct telemetry__refusals *refusals, int64_t now_ms);
void telemetry__refusals_restart(struct telemetry__refusals *refusals, int64_t now_ms);

/* Whether one more may be traced; counts it either way. */
bool telemetry__refusals_admit(struct telemetry__refusals *refusals, struct base_slice project_id,
                               bool is_stranger);

#endif
