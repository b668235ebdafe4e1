/* goalsync goal: the table of its commands. */
#include "services/cli/goal.h"

#include "services/cli/groups.h"

#include <stddef.h>

#define ORG                                                                                                            \
    {                                                                                                                  \
        "org", "ORG", "id or name; may be left out when there is only one", 0                                          \
    }
/* What a goal is made of; create adds the kind and the parent. */
#define DEFINITION                                                                                                     \
    {"metric", "METRIC", "percent (default), reach, increase, decrease, stay-below, stay-above or baseline", 0},       \
        {"start", "NUMBER", "where an increase or decrease begins", 0},                                                \
        {"target", "NUMBER", "where it shall be at the end", 0},                                                       \
        {"risk", "NUMBER", "stay-below and stay-above: beyond the target but not beyond this is behind, not at risk",  \
         0},                                                                                                           \
        {"unit", "UNIT", "shown behind the number: %, EUR, ms ...", 0},                                                \
        {"mode", "MODE", "where progress comes from: manual (default), roll-up or data-source", 0},                    \
        {"from", "DATE", "first day, as 2026-10-01; default: this quarter's", 0},                                      \
        {"to", "DATE", "last day; default: this quarter's", 0},                                                        \
    {                                                                                                                  \
        "owner", "EMAIL", "whose goal it is", 0                                                                        \
    }

static const struct cli_option create_options[] = {
    ORG,
    {"title", "TITLE", "what shall be reached", CLI_REQUIRED},
    {"kind", "KIND", "objective, key-result or project", CLI_REQUIRED},
    DEFINITION,
    {"parent", "GOAL", "the goal it counts towards, by id or title", CLI_MANY},
    {"weight", "PERCENT", "its fixed share of the parent; default: a free share", 0},
    {0},
};
static const struct cli_option edit_options[] = {
    ORG,
    {"title", "TITLE", "what shall be reached", 0},
    DEFINITION,
    {0},
};
static const struct cli_option list_options[] = {
    ORG,
    {"watch", NULL, "stay, and redraw when something changes; Ctrl-C ends", 0},
    {"note", "TEXT", "with --watch on a terminal: a line below the goals", 0},
    {0},
};
static const struct cli_option show_options[] = {
    ORG,
    {"feed", "N", "entries of the feed; default 10", 0},
    {0},
};
static const struct cli_option align_options[] = {
    ORG,
    {"parent", "GOAL", "the goal it shall count towards", CLI_REQUIRED},
    {"weight", "PERCENT", "fixed share of the parent, at most 2 decimals; default: a free share", 0},
    {0},
};
static const struct cli_option unalign_options[] = {
    ORG,
    {"parent", "GOAL", "the goal it shall no longer count towards", CLI_REQUIRED},
    {0},
};
static const struct cli_option task_options[] = {
    ORG,
    {"add", "TITLE", "adds a task", 0},
    {"done", "TASK", "marks a task done, by its id", 0},
    {"open", "TASK", "marks a task not done", 0},
    {"remove", "TASK", "removes a task", 0},
    {"due", "DATE", "with --add: the day it is due", 0},
    {0},
};
static const struct cli_option check_in_options[] = {
    ORG,
    {"value", "NUMBER", "the number now", 0},
    {"status", "STATUS", "set by hand; default: derived from the number", 0},
    {"note", "TEXT", "what people read in the feed", 0},
    {"sticky", NULL, "automatic updates are not applied until --resume", 0},
    {"resume", NULL, "end an override: the automatic number of now applies", 0},
    {"by", "EMAIL", "the person whose check-in it is", 0},
    {0},
};

const struct cli_command cli_goal_commands[] = {
    {"create", "", "Makes a goal", create_options,
     "  goalsync goal create --kind objective --mode roll-up --title \"Grow what customers love\"\n"
     "  goalsync goal create --kind key-result --title \"Paying customers\" --metric increase --start 400 --target 600 "
     "\\\n"
     "      --parent \"Grow what customers love\" --owner ada@acme.example\n",
     cli_goal_create},
    {"edit", "GOAL", "Changes what is given, and recomputes the goal and all above it", edit_options,
     "  goalsync goal edit 12 --target 650 --to 2026-12-31\n", cli_goal_edit},
    {"list", "", "Lists the goals as a tree; --watch keeps it live", list_options,
     "  goalsync goal list\n  goalsync goal list --watch\n  goalsync goal list --json\n", cli_goal_list},
    {"show", "GOAL", "Shows a goal: value, status, evidence, age, next slot, children, feed", show_options,
     "  goalsync goal show 12\n  goalsync goal show \"Paying customers\" --json\n", cli_goal_show},
    {"align", "GOAL", "Lets a goal count towards another; again with another --weight changes it", align_options,
     "  goalsync goal align 12 --parent 3 --weight 33.33\n", cli_goal_align},
    {"unalign", "GOAL", "Takes a goal out from below another", unalign_options,
     "  goalsync goal unalign 12 --parent 3\n", cli_goal_unalign},
    {"task", "GOAL", "Lists, adds, ticks off or removes the tasks of a project", task_options,
     "  goalsync goal task 7\n  goalsync goal task 7 --add \"Write the handbook\" --due 2026-12-01\n"
     "  goalsync goal task 7 --done 31\n",
     cli_goal_task},
    {"check-in", "GOAL", "Sets a goal's number or status by hand; all above it follow", check_in_options,
     "  goalsync goal check-in 12 --value 512 --note \"after the fair\"\n  goalsync goal check-in 12 --resume\n",
     cli_goal_check_in},
    {0},
};
