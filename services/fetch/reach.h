/* Which hosts this worker may ask at all: an in-boundary worker those of its connectors (as the operator has them) and
 * those that the operator lists, the others all unless there is a list. */
#ifndef FETCH_REACH_H
#define FETCH_REACH_H

#include "common/vault.h"
#include "services/fetch/catalogue.h"

#define FETCH_REACH_MAX 256 /* hosts */

/* list: "graph.example.com,*.example.org", a star for any number of labels. After fetch_hosts_start(). */
enum gs_rc fetch_reach_start(enum gs_category category, const struct fetch_entry *catalogue, const char *list,
                             struct gs_err *err) GS_MUST_CHECK;
void fetch_reach_clear(void); /* everything may be asked */
/* Of "https://host:port/path", or of "host" and "host:port". */
bool fetch_reach_allowed(const char *address);

#endif
