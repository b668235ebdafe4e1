/* Operations for tests of the gateway's machinery: those that fail, wait, are answered later, come in pages. */
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/call.h"
#include "services/gateway/ops.h"
#include "services/gateway/private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX 8

static int answer_text(struct gw_call *c, const char *text)
{
    return gw_answer_text(c, 200, "application/json", text, strlen(text));
}

static int echo(struct gw_call *c)
{
    size_t len;
    const char *body = gw_body_text(c, &len);

    return gw_answer_text(c, 200, "application/json", body, len);
}

/* ---- effects ---- */

static const char add_sql[] =
    "INSERT INTO tenant_creator (email) VALUES (lower($1)) RETURNING json_build_object('email', email)";

static int add(struct gw_call *c)
{
    gw_header_set(c, "Location", "/probe/somewhere");
    return gw_answer(c, 201, gw_query(c, add_sql, GS_WITH(gw_text(c, "/email"))));
}

static int refuse(struct gw_call *c)
{
    PGresult *r = gw_query(c, add_sql, GS_WITH(gw_text(c, "/email")));

    PQclear(r);
    return gw_fail(c, 409, "refused", "Not that one");
}

static int break_it(struct gw_call *c)
{
    return gw_answer(c, 200, gw_query(c, "SELECT nothing FROM nowhere", GS_NO_PARAMS));
}

/* Loses as many races as it is told to, then says how often it was tried. */
static int clash(struct gw_call *c)
{
    static atomic_int tried;
    bool lost = strcmp(gw_param(c, "how"), "lost") == 0;
    int64_t times = 0;
    int now = atomic_fetch_add(&tried, 1);
    char text[40];

    (void)gs_parse_int(gw_param(c, "times"), 0, INT64_MAX, &times);
    if (now < times)
        return gw_answer(c, 200,
                         gw_query(c,
                                  lost ? "SELECT pg_terminate_backend(pg_backend_pid())"
                                       : "DO $$ BEGIN RAISE serialization_failure; END $$",
                                  GS_NO_PARAMS));
    atomic_store(&tried, 0);
    snprintf(text, sizeof(text), "{\"tried\":%d}", now + 1);
    return answer_text(c, text);
}

/* Until whoever holds the lock lets it go. */
static int wait_for_lock(struct gw_call *c)
{
    return gw_answer(c, 200,
                     gw_query(c, "SELECT json_build_object('got', pg_advisory_xact_lock(4711)::text)", GS_NO_PARAMS));
}

/* ---- answers that come later ---- */

static struct {
    pthread_mutex_t mutex;
    struct gw_call *calls[HELD_MAX];
    int n;
} held = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void finish(struct gw_call *c)
{
    gs_buf_clear(gw_out(c));
    gs_buf_puts(gw_out(c), "{\"later\":true}");
    gw_finish(c, gw_answer_out(c, 200));
}

static void *finish_on_thread(void *arg)
{
    finish(arg);
    return NULL;
}

static void start_later(void *arg, struct gw_call *c)
{
    const char *how = arg;
    pthread_t thread;

    if (strcmp(how, "loop") == 0) {
        finish(c);
    } else if (strcmp(how, "thread") == 0) {
        if (pthread_create(&thread, NULL, finish_on_thread, c) != 0)
            abort();
        pthread_detach(thread);
    } else {
        pthread_mutex_lock(&held.mutex);
        if (held.n == HELD_MAX)
            abort();
        held.calls[held.n++] = c;
        pthread_mutex_unlock(&held.mutex);
    }
}

static int later(struct gw_call *c)
{
    return gw_later(c, start_later, gs_strdup(gw_text(c, "/how")), free);
}

static int release(struct gw_call *c)
{
    char text[40];
    int n;

    pthread_mutex_lock(&held.mutex);
    n = held.n;
    for (held.n = 0; held.n < n; held.n++)
        finish(held.calls[held.n]);
    held.n = 0;
    pthread_mutex_unlock(&held.mutex);
    snprintf(text, sizeof(text), "{\"released\":%d}", n);
    return answer_text(c, text);
}

/* ---- pages and revisions ---- */

static int page(struct gw_call *c)
{
    static const char sql[] =
        "SELECT json_build_object('n', n), n FROM generate_series(coalesce($1::int + 1, 1), $2::int) n "
        "ORDER BY n LIMIT $3::int";

    return gw_answer_page(c, gw_query(c, sql, GS_WITH(gw_page_cursor(c), gw_param(c, "upto"), gw_page_rows(c))));
}

static const char tenant_sql[] =
    "SELECT json_build_object('org_creation', org_creation), revision FROM tenant FOR UPDATE";

static int tenant(struct gw_call *c)
{
    PGresult *r = gw_query(c, tenant_sql, GS_NO_PARAMS);

    if (r)
        gw_etag(c, PQgetvalue(r, 0, 1));
    return gw_answer(c, 200, r);
}

static int tenant_edit(struct gw_call *c)
{
    static const char sql[] = "UPDATE tenant SET org_creation = $1::org_creation";
    GS_AUTO_RESULT r = gw_query(c, tenant_sql, GS_NO_PARAMS);
    int status = r ? gw_match(c, PQgetvalue(r, 0, 1)) : gw_status(c);

    if (status)
        return status;
    return gw_exec(c, sql, GS_WITH(gw_text(c, "/org_creation"))) ? gw_no_content(c) : gw_status(c);
}

/* ---- who and what ---- */

static int params(struct gw_call *c)
{
    static const char *const names[] = {"n", "flag", "day", "words", "text"};
    struct gs_buf *b = gw_out(c);

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = gw_param(c, names[i]);
        gs_buf_printf(b, "%s\"%s\":", i ? "," : "{", names[i]);
        if (value)
            gs_buf_put_json(b, value, strlen(value));
        else
            gs_buf_puts(b, "null");
    }
    gs_buf_putc(b, '}');
    return gw_answer_out(c, 200);
}

static int who(struct gw_call *c)
{
    return answer_text(c, "{\"allowed\":true}");
}

static int import(struct gw_call *c)
{
    char text[60];
    size_t len;

    gw_body_text(c, &len);
    snprintf(text, sizeof(text), "{\"bytes\":%zu}", len);
    return answer_text(c, text);
}

static int csv(struct gw_call *c)
{
    return gw_answer_text(c, 200, "text/csv; charset=utf-8", "a,b\r\n", 5);
}

static int big(struct gw_call *c)
{
    int64_t n = 0;

    (void)gs_parse_int(gw_param(c, "bytes"), 0, INT64_MAX, &n);

    for (int64_t i = 0; i < n; i += 10)
        gs_buf_puts(gw_out(c), "0123456789");
    return gw_answer_out(c, 200);
}

static const struct gw_op probe_ops[] = {
    {"probe_echo", echo},     {"probe_add", add},
    {"probe_refuse", refuse}, {"probe_break", break_it},
    {"probe_clash", clash},   {"probe_wait", wait_for_lock},
    {"probe_later", later},   {"probe_release", release},
    {"probe_page", page},     {"probe_other_page", page},
    {"probe_tenant", tenant}, {"probe_tenant_edit", tenant_edit},
    {"probe_params", params}, {"probe_goal", who},
    {"probe_member", who},    {"probe_admin", who},
    {"probe_owner", who},     {"probe_tenant_only", who},
    {"probe_import", import}, {"probe_csv", csv},
    {"probe_big", big},       {0},
};
const struct gw_op *const gw_ops[] = {probe_ops, NULL};
