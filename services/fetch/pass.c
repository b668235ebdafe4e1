/* An exchange on its way to its source: the source's limits, a token of its budget, a place with its host. What has to
 * wait longer than the request's deadline ends at once, and says until when. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "services/fetch/reach.h"
#include "services/fetch/request.h"

#define CROWDED_US INT64_C(30000000) /* until those come back for whom there was no room to wait; up to twice that */
#define KEY_MAX    600

static struct fetch_request *request_of(struct fetch_turn *t)
{
    return (struct fetch_request *)(void *)((char *)t - offsetof(struct fetch_request, turn));
}

/* The source is left a third of the time: with less it would seem not to answer. */
static int64_t latest(const struct fetch_request *q)
{
    return q->deadline_us - fetch_config.deadline_us / 3;
}

int64_t fetch_pass_deadline(const struct fetch_turn *t)
{
    const char *q = (const char *)t - offsetof(struct fetch_request, turn);

    return latest((const struct fetch_request *)(const void *)q);
}

/* ---- ends ---- */

static void end_waiting(struct fetch_request *q, int64_t until_us, const char *why)
{
    char text[512], until[GS_TIME_TEXT];

    snprintf(text, sizeof text, "waiting for %s until %s: %s", q->lane->entry->connector->label,
             gs_time_format(until_us, until), why);
    fetch_request_finish(q, FETCH_OUTCOME_WAITING, text, until_us);
}

static void end_unpaid(struct fetch_request *q, int64_t until_us)
{
    const char *name = fetch_purse_name(q->purse);
    char why[160];

    snprintf(why, sizeof why, "%s%s%s is used up", *name ? "its budget \"" : "its budget", name, *name ? "\"" : "");
    end_waiting(q, until_us, why);
}

static void end_dead(struct fetch_request *q)
{
    char why[480];
    int64_t until = fetch_site_dead_until(q->site, why, sizeof why);

    fetch_request_finish(q, FETCH_OUTCOME_RETRY, why, until);
}

static void end_crowded(struct fetch_request *q)
{
    int64_t pause = CROWDED_US + (int64_t)(gs_random64() % (uint64_t)CROWDED_US);

    end_waiting(q, gs_now_us() + pause, "it is slow, and many requests wait for it already");
}

/* ---- leaving ---- */

void fetch_pass_leave(struct fetch_request *q)
{
    if (q->turn.queue && q->turn.queue == fetch_site_queue(q->site))
        fetch_site_leave(q->site, &q->turn);
    else if (q->turn.queue)
        fetch_purse_leave(q->purse, &q->turn);
    fetch_pass_over(q, FETCH_SITE_UNKNOWN, "");
}

void fetch_pass_over(struct fetch_request *q, enum fetch_site_end end, const char *why)
{
    if (q->inside) {
        q->inside = false;
        fetch_site_left(q->site, end, q->probe, why);
    }
    q->paid = false;
}

static void give_back(struct fetch_request *q)
{
    if (q->paid && q->purse)
        fetch_purse_refund(q->purse);
    q->paid = false;
}

const char *fetch_pass_waits_for(const struct fetch_request *q)
{
    if (!q->turn.queue)
        return NULL;
    return q->turn.queue == fetch_site_queue(q->site) ? "others are asked first" : "its budget is used up";
}

/* ---- the host ---- */

/* A host for HTTP; for databases what the connection's form calls one. */
static size_t put_site_key(const struct fetch_request *q, const struct fetch_exchange *x, char dst[KEY_MAX])
{
    const struct fetch_connector *c = q->lane->entry->connector;
    const char *host = NULL, *port = "";

    for (const struct fetch_field *f = c->connection_fields; f && f->name; f++) {
        if (f->type == FETCH_HOST)
            host = fetch_setting(q->conn->settings, f->name);
        else if (!strcmp(f->name, "port"))
            port = fetch_setting(q->conn->settings, f->name);
    }
    if (x->wire == FETCH_HTTP) {
        const char *name = strstr(x->url, "://");
        size_t len = name ? (size_t)(name + 3 - x->url) + strcspn(name + 3, "/?#") : strlen(x->url);

        if (len >= KEY_MAX)
            len = KEY_MAX - 1;
        memcpy(dst, x->url, len);
        return len;
    }
    int len = snprintf(dst, KEY_MAX, "%s%s%s", host ? host : q->conn->self, *port ? ":" : "", port);

    return (size_t)len < KEY_MAX ? (size_t)len : KEY_MAX - 1;
}

/* ---- going on ---- */

static void wait_for_token(struct fetch_request *q)
{
    int64_t until;

    fetch_pass_over(q, FETCH_SITE_UNKNOWN, ""); /* nobody waits for a token inside */
    if (!fetch_purse_wait(q->purse, &q->turn, q->order.org_id, &until))
        end_unpaid(q, until);
}

static void enter(struct fetch_request *q)
{
    switch (fetch_site_enter(q->site, &q->probe)) {
    case FETCH_SITE_GO:
        q->inside = true;
        fetch_drive(q, fetch_task_exchange(q->task));
        return;
    case FETCH_SITE_DEAD:
        give_back(q);
        end_dead(q);
        return;
    case FETCH_SITE_FULL:
        give_back(q); /* it would grow too old */
        fetch_site_wait(q->site, &q->turn, q->order.org_id);
        return;
    }
}

static struct fetch_purse *purse_of(struct fetch_request *q)
{
    return fetch_purses_find(q->w->purses, q->lane->entry, fetch_task_exchange(q->task)->budget, q->conn->self,
                             q->conn->account);
}

/* A purse that nobody waits in may be gone by the next time. */
static bool pay(struct fetch_request *q)
{
    q->purse = purse_of(q);
    q->paid = !q->purse || fetch_purse_spend(q->purse);
    return q->paid;
}

/* True when the source has asked everybody to wait; then the request is finished. */
static bool is_limited(struct fetch_request *q)
{
    const char *why = "", *budget = fetch_task_exchange(q->task)->budget;
    int64_t until = fetch_limits_until(q->w->limits, q->lane->entry, q->conn->account, budget, &why);
    char text[sizeof((struct gs_err *)0)->text];

    if (!until)
        return false;
    give_back(q);
    snprintf(text, sizeof text, "%s", why);
    fetch_request_finish(q, FETCH_OUTCOME_WAITING, text, until);
    return true;
}

/* After waiting: much may have changed. */
static bool may_go_on(struct fetch_request *q)
{
    if (is_limited(q))
        return false;
    if (gs_mono_us() <= latest(q))
        return true;
    give_back(q);
    end_crowded(q);
    return false;
}

/* False: this worker may not ask there, and the request is finished. */
static bool may_reach(struct fetch_request *q, const char *key)
{
    char why[256];

    if (fetch_reach_allowed(key))
        return true;
    snprintf(
        why, sizeof why,
        "%.100s is none of the hosts that this worker may ask; operators list them in GOALSYNC_FETCH_HOSTS_ALLOWED",
        key);
    fetch_request_finish(q, FETCH_OUTCOME_REJECTED, why, 0);
    return false;
}

void fetch_pass(struct fetch_request *q)
{
    char key[KEY_MAX];
    size_t len = put_site_key(q, fetch_task_exchange(q->task), key);

    key[len] = '\0';
    if (!may_reach(q, key) || is_limited(q))
        return;
    q->site = fetch_sites_find(q->w->sites, q->lane->entry, key, len);
    if (fetch_site_is_dead(q->site))
        end_dead(q);
    else if (pay(q))
        enter(q);
    else
        wait_for_token(q);
}

void fetch_pass_paid(struct fetch_turn *t, int64_t retry_at_us)
{
    struct fetch_request *q = request_of(t);

    if (q->w->stopping)
        return;
    q->paid = !retry_at_us;
    if (retry_at_us)
        end_unpaid(q, retry_at_us);
    else if (may_go_on(q))
        enter(q);
}

void fetch_pass_called(struct fetch_turn *t, enum fetch_site_call why)
{
    struct fetch_request *q = request_of(t);

    if (q->w->stopping)
        return;
    q->inside = why == FETCH_SITE_ITS_TURN;
    q->probe = false;
    if (why == FETCH_SITE_DIED)
        end_dead(q);
    else if (why == FETCH_SITE_CROWDED)
        end_crowded(q);
    else if (!may_go_on(q))
        return;
    else if (pay(q))
        fetch_drive(q, fetch_task_exchange(q->task));
    else
        wait_for_token(q);
}
