/* Budgets as arithmetic. */
#include "services/fetch/budget.h"

#include <string.h>

#define SECOND       INT64_C(1000000)
#define KEEP_PART    20 /* of the shortest span */
#define KEEP_LEAST   (SECOND / 10)
#define KEEP_MOST    SECOND
#define LATE(keep)   ((keep)*5 / 2) /* taken, answered and used as late as can be: twice `keep`, and a bit */
#define BURST_PART   10
#define SECONDS_MOST (31 * 24 * 3600)

static bool counts(const struct fetch_budget *b, const char *name)
{
    return !b->name || (name && !strcmp(b->name, name));
}

static int burst_of(const struct fetch_budget *b)
{
    int burst = b->burst ? b->burst : b->requests / BURST_PART;

    return burst < 1 ? 1 : burst;
}

static enum gs_rc check(const struct fetch_connector *c, const struct fetch_budget *b, size_t place, struct gs_err *err)
{
    const char *name = b->name ? b->name : "all";

    if (place >= FETCH_BUDGETS_MAX)
        return gs_fail(err, GS_REJECT, "%s has more than %d budgets", c->label, FETCH_BUDGETS_MAX);
    if (b->requests < 1 || b->seconds < 1 || b->seconds > SECONDS_MOST || b->burst < 0 || b->burst > b->requests)
        return gs_fail(err, GS_REJECT, "%s, budget %s: %d requests in %d seconds, %d at once, is none", c->label, name,
                       b->requests, b->seconds, b->burst);
    if (b->of == FETCH_OF_ACCOUNT && !c->account)
        return gs_fail(err, GS_REJECT, "%s, budget %s: the connector does not say whose account it is", c->label, name);
    return GS_OK;
}

static int64_t keep_of(const struct fetch_class *class)
{
    int64_t keep = KEEP_MOST;

    for (size_t i = 0; i < class->n; i++) {
        int64_t part = class->rules[i].budget->seconds * SECOND / KEEP_PART;

        if (part < keep)
            keep = part;
    }
    return keep < KEEP_LEAST ? KEEP_LEAST : keep;
}

/* A span sees what may come ahead, and one more after each interval that fits into it: `requests` in all. */
static void set_rule(struct fetch_rule *r, int64_t keep_us)
{
    const struct fetch_budget *b = r->budget;
    int burst = burst_of(b);

    r->interval_us = (b->seconds * SECOND + LATE(keep_us)) / (b->requests - burst + 1) + 1;
    r->ahead_us = r->interval_us * (burst - 1);
}

static size_t batch_of(const struct fetch_class *class)
{
    int64_t most = FETCH_BATCH_MAX;

    for (size_t i = 0; i < class->n; i++) {
        const struct fetch_rule *r = &class->rules[i];
        int64_t half_burst = burst_of(r->budget) / 2, kept = class->keep_us / r->interval_us;
        int64_t n = half_burst > kept ? half_burst : kept;

        if (n < most)
            most = n;
    }
    return most < 1 ? 1 : (size_t)most;
}

bool fetch_class_make(const struct fetch_connector *c, const char *name, struct fetch_class *ret, struct gs_err *err)
{
    size_t place = 0;

    *ret = (struct fetch_class){.name = name, .of = FETCH_OF_CLIENT};
    for (const struct fetch_budget *b = c->budgets; b && (b->requests || b->name); b++, place++) {
        if (check(c, b, place, err) != GS_OK)
            return false;
        if (!counts(b, name))
            continue;
        if (ret->n == FETCH_RULES_MAX) {
            gs_fail(err, GS_REJECT, "%s: more than %d budgets count one exchange", c->label, FETCH_RULES_MAX);
            return false;
        }
        ret->rules[ret->n++].budget = b;
        if (b->of < ret->of)
            ret->of = b->of;
    }
    ret->keep_us = keep_of(ret);
    for (size_t i = 0; i < ret->n; i++)
        set_rule(&ret->rules[i], ret->keep_us);
    ret->batch = batch_of(ret);
    return true;
}

enum gs_rc fetch_budgets_check(const struct fetch_connector *c, struct gs_err *err)
{
    struct fetch_class class;

    for (const struct fetch_budget *b = c->budgets; b && (b->requests || b->name); b++) {
        if (!fetch_class_make(c, b->name, &class, err))
            return GS_REJECT;
    }
    return GS_OK;
}

int64_t fetch_class_interval(const struct fetch_class *class)
{
    int64_t slowest = 1;

    for (size_t i = 0; i < class->n; i++) {
        if (class->rules[i].interval_us > slowest)
            slowest = class->rules[i].interval_us;
    }
    return slowest;
}

/* ---- taking ---- */

static int64_t interval(const struct fetch_rule *r, int percent)
{
    return r->interval_us * 100 / percent;
}

/* When the rule's next token can be used. Alone nothing comes ahead: others do the same meanwhile. */
static int64_t usable_from(const struct fetch_rule *r, int percent, int64_t next_us, int64_t now_us)
{
    return (next_us > now_us ? next_us : now_us) - (percent == 100 ? r->ahead_us : 0);
}

size_t fetch_class_take(const struct fetch_class *class, int percent, int64_t next_us[FETCH_RULES_MAX], int64_t now_us,
                        int64_t within_us, size_t want, int64_t ret_from_us[FETCH_RULES_MAX])
{
    size_t got = want;

    for (size_t i = 0; i < class->n; i++) {
        const struct fetch_rule *r = &class->rules[i];
        int64_t left = now_us + within_us - usable_from(r, percent, next_us[i], now_us);
        size_t n = left < 0 ? 0 : (size_t)(left / interval(r, percent)) + 1;

        ret_from_us[i] = usable_from(r, percent, next_us[i], now_us);
        if (n < got)
            got = n;
    }
    for (size_t i = 0; i < class->n && got; i++) {
        int64_t from = next_us[i] > now_us ? next_us[i] : now_us;

        next_us[i] = from + (int64_t)got * interval(&class->rules[i], percent);
    }
    return got;
}
