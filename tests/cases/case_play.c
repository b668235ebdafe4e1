/* Plays a case to a task, and compares how it ends. */
#include "tests/cases/case.h"

#include "common/clock.h"
#include "common/mem.h"
#include "services/fetch/catalogue.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- settings ---- */

struct fetch_settings *case_settings_pairs(const struct fetch_field *fields, const struct case_pairs *pairs,
                                           struct gs_err *err)
{
    struct fetch_settings *s;
    struct gs_buf json;

    gs_buf_init(&json, FETCH_SETTINGS_MAX);
    gs_buf_putc(&json, '{');
    for (size_t i = 0; i < pairs->n; i++) {
        if (i)
            gs_buf_putc(&json, ',');
        gs_buf_put_json(&json, pairs->at[i].name, strlen(pairs->at[i].name));
        gs_buf_putc(&json, ':');
        gs_buf_put_json(&json, pairs->at[i].value, strlen(pairs->at[i].value));
    }
    gs_buf_putc(&json, '}');
    s = fetch_settings_parse(fields, gs_buf_str(&json), json.len, err);
    gs_buf_done(&json);
    return s;
}

enum gs_rc case_settings_read(const struct test_case *c, const struct fetch_connector *connector,
                              struct case_settings *ret, struct gs_err *err)
{
    *ret = (struct case_settings){0};
    ret->connection = case_settings_pairs(connector->connection_fields, &c->connection, err);
    if (!ret->connection)
        return err->rc;
    for (; ret->n < c->n_links; ret->n++) {
        ret->links[ret->n] = case_settings_pairs(connector->link_fields, &c->links[ret->n], err);
        if (!ret->links[ret->n])
            return err->rc;
        if (fetch_settings_check(connector, ret->connection, ret->links[ret->n], err) != GS_OK) {
            ret->n++;
            return err->rc;
        }
    }
    return GS_OK;
}

void case_settings_done(struct case_settings *s)
{
    fetch_settings_free(s->connection);
    for (size_t i = 0; i < s->n; i++)
        fetch_settings_free(s->links[i]);
}

/* ---- playing ---- */

static const char *reply_header(const struct fetch_reply *r, const char *name)
{
    const struct case_pairs *headers = r->data;

    for (size_t i = headers->n; i-- > 0;) {
        if (strcasecmp(headers->at[i].name, name) == 0)
            return headers->at[i].value;
    }
    return NULL;
}

static bool answer(struct fetch_task *t, const struct case_exchange *x)
{
    struct fetch_reply r = {
        .status = x->status,
        .body = x->body,
        .len = x->body_len,
        .header = reply_header,
        .data = &x->reply_headers,
        .rows = x->rows,
        .cols = x->cols,
        .types = x->types,
        .values = x->values,
    };

    if (x->failure == GS_OK)
        return fetch_task_reply(t, &r);
    fetch_task_fail(t, x->failure, x->failure_text);
    return false;
}

struct fetch_task *case_play(const struct test_case *c, const struct fetch_connector *connector,
                             const struct case_settings *s, case_watch_fn watch, void *arg)
{
    const struct fetch_task_spec spec = {
        .connector = connector,
        .connection = s->connection,
        .targets = (const struct fetch_settings *const *)s->links,
        .n_targets = s->n,
        .now_us = c->now_us,
    };
    struct fetch_task *t = fetch_task_new(&spec);
    bool more = fetch_task_start(t);

    for (size_t i = 0; more; i++) {
        if (watch && !watch(arg, fetch_task_exchange(t), i))
            return fetch_task_free(t);
        if (i == c->n_exchanges)
            return fetch_task_free(t);
        more = answer(t, &c->exchanges[i]);
    }
    return t;
}

/* ---- comparing ---- */

static void print_difference(const struct test_case *c, size_t i, const struct case_outcome *want,
                             const struct fetch_result *got, int64_t until_us)
{
    char w[GS_DEC_TEXT], g[GS_DEC_TEXT], at[GS_TIME_TEXT];

    gs_dec_format(want->value, w);
    gs_dec_format(got->value, g);
    fprintf(stderr, "%s: link %zu\n  wanted %s %s%s \"%s\" rows %lld\n  got    %s %s%s \"%s\" rows %lld until %s\n",
            c->path, i + 1, fetch_outcome_name(want->outcome), w, want->percent ? " %" : "", want->text,
            (long long)want->seen, fetch_outcome_name(got->outcome), g, got->percent ? " %" : "", got->error,
            (long long)got->rows_seen, gs_time_format(until_us, at));
}

bool case_outcome_matches(const struct test_case *c, const struct fetch_task *t, size_t i)
{
    const struct case_outcome *want = &c->outcomes[c->n_outcomes == 1 ? 0 : i];
    int64_t until_us = fetch_task_retry_at_us(t);
    struct fetch_result got = {.outcome = fetch_task_outcome(t), .error = fetch_task_error(t)};
    bool same;

    if (got.outcome == FETCH_OUTCOME_OK)
        fetch_task_result(t, i, &got);
    same = got.outcome == want->outcome && strstr(got.error, want->text);
    if (want->outcome == FETCH_OUTCOME_OK)
        same = same && gs_dec_cmp(got.value, want->value) == 0 && got.percent == want->percent;
    if (want->seen >= 0)
        same = same && got.rows_seen == want->seen;
    if (want->until_us)
        same = same && until_us == want->until_us;
    if (!same)
        print_difference(c, i, want, &got, until_us);
    return same;
}
