/* What somebody has to do now and then: partitions for the coming months, slots after the period was shortened. */
#ifndef SCHED_UPKEEP_H
#define SCHED_UPKEEP_H

#include "common/pg.h"

/* The slot after now as SQL; hash: an expression. $1, $2: the period divided by 2^31 and the rest; $3: the period. */
#define SCHED_NEXT_SLOT(hash)                                                                                          \
    "now() + ($3 - ((SELECT (extract(epoch FROM now()) * 1000000)::int8) - (" hash " * $1 + ((" hash                   \
    " * $2) >> 31))) %% $3) * interval '1 microsecond' "

struct sched_upkeep;

/* period: the three parameters above; borrowed. */
struct sched_upkeep *sched_upkeep_new(struct gs_pg *pg, const struct gs_pg_params *period);
/* Sends what is to be done now, if anything; call it between transactions. */
void sched_upkeep_run(struct sched_upkeep *u);
struct sched_upkeep *sched_upkeep_free(struct sched_upkeep *u);

#endif
