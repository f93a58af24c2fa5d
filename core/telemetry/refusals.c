/* Counts of a minute, by project. */
#include "core/telemetry/refusals_priv.h"

#include <stddef.h>
#include <string.h>

static const uint32_t project_limits[2] = {TELEMETRY__REFUSALS_PROJECT_MAX,
                                           TELEMETRY__STRANGERS_PROJECT_MAX};
static const uint32_t limits[2] = {TELEMETRY__REFUSALS_MAX, TELEMETRY__STRANGERS_MAX};

bool telemetry__refusals_is_over(const struct telemetry__refusals *refusals, int64_t now_ms)
{
    /* A clock that was set back begins a new minute, too. */
    bool is_within = now_ms >= refusals->window_ms &&
                     now_ms < refusals->window_ms + TELEMETRY__REFUSALS_WINDOW_MS;
    return !is_within;
}

void telemetry__refusals_restart(struct telemetry__refusals *refusals, int64_t now_ms)
{
    memset(refusals, 0, offsetof(struct telemetry__refusals, projects));
    refusals->window_ms = now_ms;
}

/* NULL when there is none and none may be added. */
static struct telemetry__refusals_project *project_of(struct telemetry__refusals *refusals,
                                                      struct base_slice id, bool may_add)
{
    size_t length = id.length < sizeof refusals->projects[0].id
                        ? id.length
                        : sizeof refusals->projects[0].id - 1;
    char text[TELEMETRY__REFUSALS_ID_SIZE] = "";

    if (length > 0) {
        memcpy(text, id.data, length);
    }
    for (uint32_t i = 0; i < refusals->projects_count; i++) {
        if (memcmp(refusals->projects[i].id, text, sizeof text) == 0) {
            return &refusals->projects[i];
        }
    }
    if (!may_add || refusals->projects_count == TELEMETRY__REFUSALS_PROJECTS_MAX) {
        return NULL;
    }
    struct telemetry__refusals_project *project = &refusals->projects[refusals->projects_count++];
    *project = (struct telemetry__refusals_project){0};
    memcpy(project->id, text, sizeof text);
    return project;
}

bool telemetry__refusals_admit(struct telemetry__refusals *refusals, struct base_slice project_id,
                               bool is_stranger)
{
    unsigned kind = is_stranger ? 1 : 0;
    bool has_room = refusals->counts[kind] < limits[kind];
    /* Once nothing is traced any more no project is added: strangers may make up ids. */
    struct telemetry__refusals_project *project = project_of(refusals, project_id, has_room);

    if (project == NULL) {
        refusals->suppressed_count++;
        return false;
    }
    if (!has_room || project->counts[kind] == project_limits[kind]) {
        project->suppressed_count++;
        return false;
    }
    project->counts[kind]++;
    refusals->counts[kind]++;
    return true;
}
