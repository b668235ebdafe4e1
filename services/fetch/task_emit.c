/* Results of a task: what a connector says about each target. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/mem.h"
#include "services/fetch/task.h"
#include "services/fetch/task_state.h"

static void put_failure(struct target *g, enum gs_rc rc, const char *text)
{
    gs_freep(&g->error);
    g->error = gs_strdup(text);
    g->outcome = fetch_outcome_of(rc);
    if (g->outcome == FETCH_OUTCOME_OK)
        g->outcome = FETCH_OUTCOME_REJECTED;
}

/* Two values for one target are a mistake of the connector: neither is to be trusted. */
static struct target *target_without_result(struct fetch_task *t, size_t i)
{
    assert(i < t->n_targets);
    if (t->targets[i].outcome == FETCH_OUTCOME_NONE)
        return &t->targets[i];
    put_failure(&t->targets[i], GS_REJECT, "the connector gave more than one value for this link");
    return NULL;
}

void fetch_emit(struct fetch_task *t, size_t target, struct gs_dec value)
{
    struct target *g = target_without_result(t, target);

    if (!g)
        return;
    g->outcome = FETCH_OUTCOME_OK;
    g->value = value;
}

void fetch_emit_ratio(struct fetch_task *t, size_t target, int64_t done, int64_t total)
{
    struct target *g = target_without_result(t, target);

    if (!g)
        return;
    if (total == 0) {
        put_failure(g, GS_REJECT, "nothing matched, so there is no percentage; check the link's filters");
        return;
    }
    if (done < 0 || total < 0 || done > total ||
        !gs_dec_mul_div(gs_dec_int(done), gs_dec_int(100), gs_dec_int(total), &g->value)) {
        put_failure(g, GS_REJECT, "the source's counts make no percentage");
        return;
    }
    g->outcome = FETCH_OUTCOME_OK;
    g->percent = true;
}

void fetch_emit_failure(struct fetch_task *t, size_t target, enum gs_rc rc, const char *fmt, ...)
{
    struct target *g = target_without_result(t, target);
    char text[sizeof t->err.text];
    va_list ap;

    if (!g)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put_failure(g, rc, text);
}

void fetch_source_time(struct fetch_task *t, size_t target, int64_t us)
{
    assert(target < t->n_targets);
    t->targets[target].source_at_us = us;
}

void fetch_rows_seen(struct fetch_task *t, size_t target, int64_t rows)
{
    assert(target < t->n_targets);
    t->targets[target].rows_seen = rows;
}

enum gs_rc fetch_wait_until(struct fetch_task *t, int64_t us, const char *why)
{
    char until[GS_TIME_TEXT];

    if (us < t->now_us)
        us = t->now_us;
    if (us > t->now_us + FETCH_WAIT_MAX_US)
        us = t->now_us + FETCH_WAIT_MAX_US;
    t->waiting = true;
    t->used_up = NULL;
    t->retry_at_us = us;
    return gs_fail(&t->err, GS_RETRY, "waiting for %s until %s: %s", t->connector->label, gs_time_format(us, until),
                   why);
}
