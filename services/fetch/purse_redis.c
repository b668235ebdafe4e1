/* The books of budgets in Redis: one command for all purses that want something in a turn of the loop. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/purse_private.h"

#define KEY_MAX  160
#define ARGS_MAX (FETCH_ASKS_MAX * (4 + 2 * FETCH_RULES_MAX))
#define KEYS_MAX (FETCH_ASKS_MAX * FETCH_RULES_MAX)
#define TEXT_MAX (4096 + KEYS_MAX * KEY_MAX + ARGS_MAX * 24) /* the script, too */

/* fetch_class_take() for many purses, with Redis's clock. ARGV for each: rules, want, within, owed; then interval and
 * ahead of each rule. Answers for each: how many, and for each rule the time until the first, which may be passed. A
 * rule whose next token is due says nothing: its key goes. */
static const char script[] =
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] local out, k, a = {}, 0, 1 "
    "while a <= #ARGV do "
    "local n, got, within, owed = tonumber(ARGV[a]), tonumber(ARGV[a+1]), tonumber(ARGV[a+2]), tonumber(ARGV[a+3]) "
    "local nexts, from = {}, {} a = a + 4 "
    "for i = 1, n do "
    "local interval, ahead = tonumber(ARGV[a+2*i-2]), tonumber(ARGV[a+2*i-1]) "
    "local due = tonumber(redis.call('GET', KEYS[k+i]) or 0) "
    "if owed > 0 then due = math.max(due, now) end "
    "due = due + owed * interval nexts[i] = due from[i] = math.max(due, now) - ahead "
    "local left = now + within - from[i] "
    "local room = left < 0 and 0 or math.floor(left / interval) + 1 "
    "if room < got then got = room end "
    "end "
    "out[#out+1] = got "
    "for i = 1, n do "
    "if got > 0 then nexts[i] = math.max(nexts[i], now) + got * tonumber(ARGV[a+2*i-2]) end "
    "if got > 0 or owed ~= 0 then "
    "if nexts[i] > now then redis.call('SET', KEYS[k+i], string.format('%.0f', nexts[i]), "
    "'PX', string.format('%.0f', math.ceil((nexts[i] - now) / 1000))) "
    "else redis.call('DEL', KEYS[k+i]) end "
    "end "
    "out[#out+1] = from[i] - now "
    "end "
    "a = a + 2 * n k = k + n "
    "end return out";

_Static_assert(sizeof script < 4096, "TEXT_MAX has room for it");

struct question {
    struct fetch_purses *ps;
    int64_t sent_us;
    size_t n;
    struct fetch_purse *purses[FETCH_ASKS_MAX];
};

/* The command being put together: texts in one buffer, which does not move while it is in use. */
struct command {
    size_t argc;
    const char *argv[3 + KEYS_MAX + ARGS_MAX];
    size_t lens[3 + KEYS_MAX + ARGS_MAX], used;
    char text[TEXT_MAX];
};

static const struct gs_log_ctx log_ctx = {.topic = "fetch"};

void fetch_purses_script(struct fetch_purses *ps)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_Digest(script, strlen(script), digest, NULL, EVP_sha1(), NULL);
    gs_hex_encode(digest, 20, ps->script);
}

/* ---- alone ---- */

static void set_alone(struct fetch_purses *ps, bool alone, const char *why)
{
    if (ps->alone == alone)
        return;
    ps->alone = alone;
    gs_metric_set(ps->alone_now, alone);
    if (alone)
        gs_log_warn(&log_ctx, "budgets cannot be shared", "percent=%d error=\"%s\"", ps->spec.alone_percent, why);
    else
        gs_log_info(&log_ctx, "budgets are shared again", "percent=100");
}

static void take_alone(struct fetch_purse *p)
{
    int64_t now = gs_mono_us(), from[FETCH_RULES_MAX];
    int percent = p->owner->spec.alone_percent;
    size_t got = fetch_class_take(&p->class, percent, p->alone_next_us, now, p->class.keep_us, p->want, from);

    p->owed += (int64_t)got;
    fetch_purse_answered(p, got, from, percent);
}

/* ---- answers ---- */

static void answer(struct fetch_purse *p, const redisReply *r, size_t *at, int64_t sent_us, int64_t now_us)
{
    int64_t from[FETCH_RULES_MAX];
    size_t got = (size_t)r->element[(*at)++]->integer;

    for (size_t i = 0; i < p->class.n; i++)
        from[i] = now_us + r->element[(*at)++]->integer;
    p->owed -= p->owed_asked;
    p->owed_asked = 0;
    /* So late that they may be older than allowed when they are used. */
    if (got && now_us - sent_us > p->class.keep_us) {
        p->owed -= (int64_t)got;
        fetch_purse_unanswered(p);
        return;
    }
    fetch_purse_answered(p, got, from, 100);
}

static bool is_whole(const struct question *q, const redisReply *r)
{
    size_t want = 0;

    for (size_t i = 0; i < q->n; i++)
        want += 1 + q->purses[i]->class.n;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != want)
        return false;
    for (size_t i = 0; i < want; i++) {
        if (r->element[i]->type != REDIS_REPLY_INTEGER)
            return false;
    }
    return true;
}

/* Whether the command was carried out is not known: what is owed is told again, what was given back is not. */
static void lost(struct fetch_purse *p)
{
    if (p->owed_asked < 0)
        p->owed -= p->owed_asked;
    p->owed_asked = 0;
    take_alone(p);
}

static void on_answer(void *arg, enum gs_rc rc, const redisReply *reply, const char *err)
{
    struct question *q = arg;
    struct fetch_purses *ps = q->ps;
    int64_t now = gs_mono_us();
    size_t at = 0;

    if (rc == GS_OK && is_whole(q, reply)) {
        set_alone(ps, false, "");
        for (size_t i = 0; i < q->n; i++)
            answer(q->purses[i], reply, &at, q->sent_us, now);
    } else if (rc == GS_REJECT && gs_str_starts(err, "NOSCRIPT")) {
        ps->whole = true;
        for (size_t i = 0; i < q->n; i++) {
            q->purses[i]->asking = false;
            fetch_purse_ask(q->purses[i], q->purses[i]->want);
        }
    } else {
        set_alone(ps, true, rc == GS_OK ? "an answer that is none" : err);
        for (size_t i = 0; i < q->n; i++)
            lost(q->purses[i]);
    }
    gs_freep(&q);
}

/* ---- questions ---- */

static void add(struct command *c, const char *text, size_t len)
{
    c->argv[c->argc] = memcpy(c->text + c->used, text, len);
    c->lens[c->argc++] = len;
    c->used += len;
}

static void add_number(struct command *c, int64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)n);

    add(c, text, (size_t)len);
}

static void add_keys(struct command *c, const struct fetch_purse *p)
{
    char key[KEY_MAX];

    for (size_t i = 0; i < p->class.n; i++) {
        const struct fetch_budget *b = p->class.rules[i].budget;
        int len = snprintf(key, sizeof key, "gs:budget:%s:%.40s:%d:%s", p->entry->name, b->name ? b->name : "",
                           b->seconds, p->scopes[i]);

        add(c, key, (size_t)len < sizeof key ? (size_t)len : sizeof key - 1);
    }
}

static void add_arguments(struct command *c, struct fetch_purse *p)
{
    add_number(c, (int64_t)p->class.n);
    add_number(c, (int64_t)p->want);
    add_number(c, p->class.keep_us);
    add_number(c, p->owed);
    for (size_t i = 0; i < p->class.n; i++) {
        add_number(c, p->class.rules[i].interval_us);
        add_number(c, p->class.rules[i].ahead_us);
    }
    p->owed_asked = p->owed;
}

static void put(struct question *q)
{
    static struct command c;
    size_t keys = 0;

    c.argc = c.used = 0;
    for (size_t i = 0; i < q->n; i++)
        keys += q->purses[i]->class.n;
    if (q->ps->whole) {
        add(&c, "EVAL", 4);
        add(&c, script, sizeof script - 1);
    } else {
        add(&c, "EVALSHA", 7);
        add(&c, q->ps->script, 40);
    }
    q->ps->whole = false;
    add_number(&c, (int64_t)keys);
    for (size_t i = 0; i < q->n; i++)
        add_keys(&c, q->purses[i]);
    for (size_t i = 0; i < q->n; i++)
        add_arguments(&c, q->purses[i]);
    q->sent_us = gs_mono_us();
    gs_metric_add(q->ps->asked, 1);
    gs_redis_command(q->ps->spec.redis, on_answer, q, (int)c.argc, c.argv, c.lens);
}

static void flush(void *arg)
{
    struct fetch_purses *ps = arg;
    struct fetch_purse *p = ps->to_ask;

    ps->flushing = false;
    ps->to_ask = NULL;
    if (ps->closed) {
        fetch_purses_destroy(ps);
        return;
    }
    while (p) {
        struct question *q = gs_alloc(sizeof *q);

        q->ps = ps;
        for (; p && q->n < FETCH_ASKS_MAX; p = p->next_to_ask) {
            p->wants = false;
            p->asking = true;
            q->purses[q->n++] = p;
        }
        put(q);
    }
}

void fetch_purse_ask(struct fetch_purse *p, size_t want)
{
    struct fetch_purses *ps = p->owner;

    p->want = want;
    if (ps->closed)
        return;
    p->wants = true;
    p->next_to_ask = ps->to_ask;
    ps->to_ask = p;
    if (ps->flushing)
        return;
    ps->flushing = true;
    gs_defer(ps->spec.loop, flush, ps);
}
