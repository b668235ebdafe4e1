// The words of the rules, exactly as the labels of the database's enums.
#include "common/goals/goal.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const kinds[] = {"objective", "key_result", "project"};
static const char *const metrics[] = {"percent",    "reach",      "increase", "decrease",
                                      "stay_below", "stay_above", "baseline"};
static const char *const modes[] = {"manual", "roll_up", "data_source"};
static const char *const overrides[] = {"none", "one_off", "sticky"};
static const char *const statuses[] = {"not_started", "on_track", "behind",    "at_risk",
                                       "in_progress", "closed",   "postponed", "reopened"};
static const char *const status_modes[] = {"progress", "key_results"};

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
    assert(value < n);
    return names[value];
}

static bool find(const char *const *names, size_t n, const char *label, unsigned *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], label) == 0) {
            *ret = (unsigned)i;
            return true;
        }
    }
    return false;
}

/* One pair of functions for each enum. */
#define WORDS(prefix, type, names)                                                                                     \
    const char *prefix##_name(enum type value)                                                                         \
    {                                                                                                                  \
        return name_of(names, COUNT(names), (unsigned)value);                                                          \
    }                                                                                                                  \
    bool prefix##_parse(const char *label, enum type *ret)                                                             \
    {                                                                                                                  \
        unsigned value;                                                                                                \
        if (!find(names, COUNT(names), label, &value))                                                                 \
            return false;                                                                                              \
        *ret = (enum type)value;                                                                                       \
        return true;                                                                                                   \
    }

WORDS(gs_goal_kind, gs_goal_kind, kinds)
WORDS(gs_goal_metric, gs_goal_metric, metrics)
WORDS(gs_goal_mode, gs_goal_mode, modes)
WORDS(gs_goal_override, gs_goal_override, overrides)
WORDS(gs_goal_status, gs_goal_status, statuses)
WORDS(gs_status_mode, gs_status_mode, status_modes)
