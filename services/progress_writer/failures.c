/* Results without a number: what the link shows, who is told, when the batch is asked again. A goal's value is never
 * touched here: empty is not zero. */
#include "services/progress_writer/work.h"

#include "common/backoff.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MIN_US        INT64_C(30000000)
#define RETRY_DOUBLINGS_MAX 20

/* 30 s, doubled with each failed try, at most half a period, and up to a quarter less so that neighbours spread. */
static int64_t pause_before(int32_t attempt, int64_t period_us)
{
    int doublings = attempt - 1 < RETRY_DOUBLINGS_MAX ? attempt - 1 : RETRY_DOUBLINGS_MAX;
    int64_t pause = RETRY_MIN_US << doublings;
    if (pause > period_us / 2)
        pause = period_us / 2;
    return pause - (int64_t)(gs_random64() % (uint64_t)(pause / 4 + 1));
}

static void say(struct writer_work *w, const struct writer_link *l, const char *kind, const struct writer_result *r)
{
    struct gs_buf b;
    gs_buf_init(&b, 8 * WRITER_ERROR_MAX);
    gs_buf_puts(&b, "{\"outcome\": ");
    gs_buf_put_json(&b, writer_outcome_name(r->outcome), strlen(writer_outcome_name(r->outcome)));
    if (r->error) {
        gs_buf_puts(&b, ", \"error\": ");
        gs_buf_put_json(&b, r->error, strlen(r->error));
    }
    gs_buf_putc(&b, '}');
    struct writer_activity *a = writer_list_add(&w->activities);
    *a = (struct writer_activity){l->g.org_id, l->g.goal.id, kind, gs_buf_steal(&b)};
}

void writer_note(struct writer_work *w, const struct writer_link *l, const struct writer_result *r)
{
    char value[GS_DEC_TEXT];
    struct gs_buf b;
    gs_buf_init(&b, 8 * WRITER_NOTE_MAX);
    gs_buf_puts(&b, "{\"value\": ");
    gs_buf_put_json(&b, value, gs_dec_format(r->value, value));
    gs_buf_puts(&b, ", \"note\": ");
    gs_buf_put_json(&b, r->note, strlen(r->note));
    gs_buf_putc(&b, '}');
    struct writer_activity *a = writer_list_add(&w->activities);
    *a = (struct writer_activity){l->g.org_id, l->g.goal.id, "value_pushed", gs_buf_steal(&b)};
}

static void ask_again(struct writer_work *w, const struct writer_result *r)
{
    struct writer_again *a = writer_list_add(&w->again);
    a->batch_id = r->batch_id;
    a->attempt = r->attempt;
    a->delay_us = pause_before(r->attempt, w->period_us);
    a->retry_at_us = r->retry_at_us;
}

void writer_fail(struct writer_work *w, struct writer_link *l, const struct writer_result *r, int64_t now_us)
{
    if (r->slot_us < l->failed_slot || (r->slot_us == l->failed_slot && r->attempt <= l->failed_attempt)) {
        w->counts[WRITER_N_DUPLICATE]++; /* a replay */
        return;
    }
    w->counts[WRITER_N_FAILED]++;
    w->outcomes[r->outcome]++;
    if (r->outcome == WRITER_EXPIRED) /* our own delay; it says nothing about the source */
        return;
    l->link_changed = true;
    l->failed_slot = r->slot_us;
    l->failed_attempt = r->attempt;
    l->outcome = r->outcome;
    l->error = r->error;
    l->waiting_until = r->outcome == WRITER_WAITING ? r->retry_at_us : 0;
    if (r->outcome != WRITER_WAITING) { /* the source's limit is a state, not a failure */
        if (l->failures++ == 0) {
            l->failing_since = r->fetched_at_us ? r->fetched_at_us : now_us;
            say(w, l, "source_failed", r);
        }
    }
    if (r->outcome == WRITER_RETRY || r->outcome == WRITER_WAITING)
        ask_again(w, r);
}

void writer_recover(struct writer_work *w, struct writer_link *l, const struct writer_result *r)
{
    if (r->attempt > 1)
        writer_list_add(&w->again)->batch_id = r->batch_id;
    if (l->answered && !l->link_changed)
        return;
    if (l->failures > 0)
        say(w, l, "source_recovered", r);
    l->link_changed = true;
    l->outcome = WRITER_OK;
    l->error = NULL;
    l->failures = 0;
    l->failing_since = l->waiting_until = 0;
    l->answered = false; /* as stored before: a later failure in this batch must still be stored */
}

/* Of several targets of one batch a failed one wins, with the later retry_at; its number of the try is the same. */
static int compare_again(const void *x, const void *y)
{
    const struct writer_again *a = x, *b = y;
    if (a->batch_id != b->batch_id)
        return a->batch_id < b->batch_id ? -1 : 1;
    if (a->attempt != b->attempt)
        return a->attempt > b->attempt ? -1 : 1;
    return (a->retry_at_us < b->retry_at_us) - (a->retry_at_us > b->retry_at_us);
}

void writer_again_sort(struct writer_work *w)
{
    if (!w->again.n)
        return;
    qsort(w->again.items, w->again.n, sizeof *w->again.items, compare_again);
    size_t kept = 1;
    for (size_t i = 1; i < w->again.n; i++)
        if (w->again.items[i].batch_id != w->again.items[kept - 1].batch_id)
            w->again.items[kept++] = w->again.items[i];
    w->again.n = kept;
}
