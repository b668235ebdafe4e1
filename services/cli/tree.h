/* The goals of an organisation as a tree of lines. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include "services/cli/cli.h"

#include <stddef.h>

struct cli_tree {
    PGresult *goals;    /* by id */
    PGresult *edges;    /* parent, child; in the order of showing */
    PGresult *troubles; /* links that need a person */
    PGresult *org;
};

enum cli_exit cli_tree_load(struct cli *c, struct cli_tree *t) GS_MUST_CHECK;
void cli_tree_done(struct cli_tree *t);
/* Appends the view: at most `rows` lines of at most `columns` columns. rows 0: all. Returns the lines appended. */
int cli_tree_put(const struct cli_tree *t, int columns, int rows, struct gs_buf *b);
/* Equal while nothing changed but the clock. */
uint64_t cli_tree_fingerprint(const struct cli_tree *t);

#endif
