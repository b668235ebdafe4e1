/* What a person did to goals, and what follows for everything above them, in the caller's transaction: the same rules
 * as in the progress writer, for whoever changes goals elsewhere (the gateway, the command line). */
#ifndef GS_GOALS_RECOMPUTE_H
#define GS_GOALS_RECOMPUTE_H

#include "common/db.h"
#include "common/goals/goal.h"

#define GS_RECOMPUTE_MAX 20000 /* goals named in one call */

/* At most one of them; all false: the goals are only derived again, after their definition, tasks or edges changed. */
struct gs_deed {
    bool check_in; /* by this: */
    struct gs_check_in checked_in;
    bool replaced; /* a check-in was edited or removed: `latest` is the latest that remains, null: none does */
    const struct gs_check_in *latest;
    bool resume;
    bool end; /* closed or postponed by hand, as `ending` says */
    enum gs_goal_status ending;
    bool reopen;

    bool edited; /* with any of them: the definition was changed in this transaction. A new version even when nothing
                    looks different, so that a progress writer that read the old definition notices */
};

/* Locks the goals, then everything above them, each in the order of ids; applies the deed to each goal and rolls up,
 * children before parents; stores what changed with its feed entries and its events. Private goals are counted like
 * others, whoever asks. A constant number of statements, whatever the number of goals.
 *
 * goals: distinct, all of organisation org. deed may be null. traceparent may be null: a new trace.
 * GS_REJECT: the rules refuse it, err has the sentence for the person. GS_GONE: a goal is not there (any more).
 * Otherwise the database failed: gs_db_error() says how. After anything but GS_OK roll the transaction back. */
enum gs_rc gs_goals_recompute(struct gs_db *db, int64_t org, const int64_t *goals, size_t n, const struct gs_deed *deed,
                              const char *traceparent, struct gs_err *err) GS_MUST_CHECK;

#endif
