/* The schema: common/migrations/NNNN_name.sql, embedded when built. */
#ifndef CLI_MIGRATE_H
#define CLI_MIGRATE_H

#include "services/cli/cli.h"

#include <stddef.h>

struct cli_migration {
    int version;
    const char *name;
    const char *sql; /* zero-terminated */
    size_t len;      /* without the zero */
};

/* In the order of their versions; ended by a null name. Generated. */
extern const struct cli_migration cli_migrations[];

/* Refuses a database that is older or newer than the program, saying what to do. */
enum cli_exit cli_migrate_check(struct cli *c) GS_MUST_CHECK;

#endif
