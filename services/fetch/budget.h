/* What budgets allow, as arithmetic on times: pure. Each row of a connector is a generic cell rate algorithm: requests
 * go one `interval` after the other, and may be ahead of that by `ahead`.
 *
 * Workers take tokens ahead of their use, and a token may be `keep` old when it is used. So rates are a little lower
 * than the source's, by as much as makes sure that no span of its length ever sees more than it allows. */
#ifndef FETCH_BUDGET_H
#define FETCH_BUDGET_H

#include "services/fetch/connector.h"

#define FETCH_BATCH_MAX  256 /* tokens that a worker takes at once */
#define FETCH_SCOPE_TEXT 40  /* whose budget: "c17.3", "a" and a digest, "*" */

struct fetch_rule {
    const struct fetch_budget *budget;
    int64_t interval_us, ahead_us;
};

/* All rules that count one kind of exchanges. */
struct fetch_class {
    const char *name;        /* null: the connector's budgets have no names */
    enum fetch_budget_of of; /* the narrowest of its rules */
    size_t n;                /* rules; 0: nothing is counted */
    struct fetch_rule rules[FETCH_RULES_MAX];
    int64_t keep_us; /* how long a token can be kept */
    size_t batch;    /* the most that one worker takes at once */
};

/* False, and err says why, when the connector's rows make no sense. name: as in fetch_exchange. */
bool fetch_class_make(const struct fetch_connector *c, const char *name, struct fetch_class *ret, struct gs_err *err);

/* Of all its budgets; the worker does not start with a connector that fails. */
enum gs_rc fetch_budgets_check(const struct fetch_connector *c, struct gs_err *err) GS_MUST_CHECK;

/* Takes up to `want` tokens that can be used until now + within; returns how many. next_us: of each rule, when its next
 * token is due if none came before (0: never was one); it is moved on. The i-th token (from 0) can be used from
 * ret_from_us[r] + i * interval of rule r on, whichever rule comes last. When there are none that tells when there
 * will be. percent: of the rules' rates, for a worker that is on its own. */
size_t fetch_class_take(const struct fetch_class *class, int percent, int64_t next_us[FETCH_RULES_MAX], int64_t now_us,
                        int64_t within_us, size_t want, int64_t ret_from_us[FETCH_RULES_MAX]);
/* The interval of the slowest rule. */
int64_t fetch_class_interval(const struct fetch_class *class);

#endif
