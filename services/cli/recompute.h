/* A goal's definition, edges or tasks changed, or a person checked in: the goal and everything above it follow, in the
 * same transaction, by the same rules as in the progress writer. */
#ifndef CLI_RECOMPUTE_H
#define CLI_RECOMPUTE_H

#include "common/goals/goal.h"
#include "services/cli/cli.h"

/* What happens to the goal itself before its ancestors follow. Null fields: only derived again. */
struct cli_change {
    const struct gs_check_in *check_in;
    bool resume;
    bool edited; /* the goal's definition was changed in this transaction */
};

enum cli_exit cli_recompute(struct cli *c, const char *goal) GS_MUST_CHECK;
enum cli_exit cli_recompute_with(struct cli *c, const char *goal, const struct cli_change *change) GS_MUST_CHECK;

#endif
