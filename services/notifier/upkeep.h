/* What has to be done now and then: the hourly record of credentials used, old deliveries, expired secrets. */
#ifndef NOTIFIER_UPKEEP_H
#define NOTIFIER_UPKEEP_H

#include "common/pg.h"

struct notifier_upkeep;

struct notifier_upkeep *notifier_upkeep_new(uv_loop_t *loop, struct gs_pg *pg);
void notifier_upkeep_stop(struct notifier_upkeep *u);                    /* before its connection */
struct notifier_upkeep *notifier_upkeep_free(struct notifier_upkeep *u); /* after it */

#endif
