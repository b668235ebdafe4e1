/* What the goal commands share. */
#ifndef CLI_GOAL_H
#define CLI_GOAL_H

#include "services/cli/cli.h"

enum { CLI_GOALS_MAX = 10000 /* goals of one organisation that a list shows */ };

/* Handlers of goal_define.c, goal_show.c, goal_list.c, goal_align.c and goal_task.c. */
enum cli_exit cli_goal_create(struct cli *c);
enum cli_exit cli_goal_edit(struct cli *c);
enum cli_exit cli_goal_show(struct cli *c);
enum cli_exit cli_goal_list(struct cli *c);
enum cli_exit cli_goal_align(struct cli *c);
enum cli_exit cli_goal_unalign(struct cli *c);
enum cli_exit cli_goal_task(struct cli *c);
enum cli_exit cli_goal_check_in(struct cli *c);

/* The goal as create and edit show it, without its surroundings. */
enum cli_exit cli_goal_print(struct cli *c, const char *id) GS_MUST_CHECK;
/* Adds child below parent with --weight's value (null: a free share). Inside the caller's transaction. */
enum cli_exit cli_goal_put_edge(struct cli *c, const char *parent, const char *child, const char *weight) GS_MUST_CHECK;

#endif
