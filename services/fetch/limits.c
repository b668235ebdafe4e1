/* A table of limits by (connector, account, budget), and the stream in Redis that keeps the workers' tables alike. */
#include "services/fetch/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/task.h"

#define BUCKETS       4096
#define POLL_US       INT64_C(1000000)
#define READ_MOST     512     /* entries at once; more are read at once after them */
#define STREAM_MOST   "16384" /* entries kept, about */
#define STREAM_SECOND "90000" /* it goes when nothing was added for so long: longer than any limit */
#define WHY_MAX       400
#define TEXT_MAX      64
#define ID_MAX        48
#define KEY_MAX       64

struct limit {
    struct limit *next;
    const struct fetch_entry *entry;
    char account[TEXT_MAX], budget[TEXT_MAX]; /* budget "": all of the account's */
    int64_t until_us;
    char why[WHY_MAX];
};

struct fetch_limits {
    struct gs_redis *redis;
    struct limit *buckets[BUCKETS];
    size_t n;
    struct gs_timer *timer;
    bool reading;
    char key[KEY_MAX], last_id[ID_MAX];
    int64_t swept_us;
    struct gs_metric *known;
};

static void read_more(struct fetch_limits *ls);

/* ---- the table ---- */

static struct limit **bucket(struct fetch_limits *ls, const struct fetch_entry *e, const char *account)
{
    return &ls->buckets[gs_hash64(account, strlen(account), (uint64_t)(uintptr_t)e->name) % BUCKETS];
}

static struct limit **find(struct fetch_limits *ls, const struct fetch_entry *e, const char *account,
                           const char *budget)
{
    struct limit **at = bucket(ls, e, account);

    while (*at && ((*at)->entry != e || strcmp((*at)->account, account) != 0 || strcmp((*at)->budget, budget) != 0))
        at = &(*at)->next;
    return at;
}

static void drop(struct fetch_limits *ls, struct limit **at)
{
    struct limit *l = *at;

    *at = l->next;
    gs_freep(&l);
    gs_metric_set(ls->known, (double)--ls->n);
}

static int64_t until(struct fetch_limits *ls, const struct fetch_entry *e, const char *account, const char *budget,
                     const char **ret_why)
{
    struct limit **at = find(ls, e, account, budget);

    if (!*at)
        return 0;
    if ((*at)->until_us <= gs_now_us()) {
        drop(ls, at);
        return 0;
    }
    *ret_why = (*at)->why;
    return (*at)->until_us;
}

int64_t fetch_limits_until(struct fetch_limits *ls, const struct fetch_entry *e, const char *account,
                           const char *budget, const char **ret_why)
{
    const char *why = "";

    if (!ls->n)
        return 0;
    int64_t of_account = until(ls, e, account, "", ret_why),
            of_budget = budget ? until(ls, e, account, budget, &why) : 0;

    if (of_budget <= of_account)
        return of_account;
    *ret_why = why;
    return of_budget;
}

static void sweep(struct fetch_limits *ls, int64_t now_us)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct limit **at = &ls->buckets[i]; *at;) {
            if ((*at)->until_us <= now_us)
                drop(ls, at);
            else
                at = &(*at)->next;
        }
    }
    ls->swept_us = now_us;
}

static void keep(struct fetch_limits *ls, const struct fetch_entry *e, const char *account, const char *budget,
                 int64_t until_us, const char *why)
{
    struct limit **at = find(ls, e, account, budget), *l = *at;

    if (l && l->until_us >= until_us)
        return;
    if (!l) {
        if (ls->n == FETCH_LIMITS_MAX)
            return; /* the source says it again to whoever asks */
        l = *at = gs_alloc(sizeof *l);
        l->entry = e;
        snprintf(l->account, sizeof l->account, "%s", account);
        snprintf(l->budget, sizeof l->budget, "%s", budget);
        gs_metric_set(ls->known, (double)++ls->n);
    }
    l->until_us = until_us;
    gs_str_clean(l->why, sizeof l->why, why, strlen(why));
}

/* ---- telling the others ---- */

static void tell(struct fetch_limits *ls, const struct fetch_entry *e, const char *account, const char *budget,
                 int64_t until_us, const char *why)
{
    char at[24];
    const char *add[] = {"XADD", ls->key, "MAXLEN", "~",    STREAM_MOST, "*", "c", e->name,
                         "a",    account, "b",      budget, "u",         at,  "w", why};
    const char *expire[] = {"EXPIRE", ls->key, STREAM_SECOND};
    size_t lens[sizeof add / sizeof *add], n = sizeof add / sizeof *add;

    snprintf(at, sizeof at, "%lld", (long long)until_us);
    for (size_t i = 0; i < n; i++)
        lens[i] = strlen(add[i]);
    gs_redis_command(ls->redis, NULL, NULL, (int)n, add, lens);
    for (size_t i = 0; i < 3; i++)
        lens[i] = strlen(expire[i]);
    gs_redis_command(ls->redis, NULL, NULL, 3, expire, lens);
}

void fetch_limits_add(struct fetch_limits *ls, const struct fetch_entry *e, const char *account, const char *budget,
                      int64_t until_us, const char *why)
{
    char short_why[WHY_MAX];

    snprintf(short_why, sizeof short_why, "%s", why);
    if (until_us <= gs_now_us())
        return;
    struct limit **at = find(ls, e, account, budget ? budget : "");

    /* Many requests under way at once hear the same. */
    if (*at && (*at)->until_us >= until_us)
        return;
    keep(ls, e, account, budget ? budget : "", until_us, short_why);
    tell(ls, e, account, budget ? budget : "", until_us, short_why);
}

/* ---- hearing from the others ---- */

static const char *field(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (fields->element[i]->type == REDIS_REPLY_STRING && fields->element[i + 1]->type == REDIS_REPLY_STRING &&
            !strcmp(fields->element[i]->str, name))
            return fields->element[i + 1]->str;
    }
    return "";
}

static bool hear(struct fetch_limits *ls, const redisReply *entry)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING ||
        entry->element[1]->type != REDIS_REPLY_ARRAY || strlen(entry->element[0]->str) >= sizeof ls->last_id)
        return false;
    const redisReply *fields = entry->element[1];
    const struct fetch_entry *e = fetch_catalogue_find(field(fields, "c"));
    const char *account = field(fields, "a"), *budget = field(fields, "b");
    int64_t at = strtoll(field(fields, "u"), NULL, 10), now = gs_now_us();

    snprintf(ls->last_id, sizeof ls->last_id, "%s", entry->element[0]->str);
    if (e && strlen(account) < TEXT_MAX && strlen(budget) < TEXT_MAX && at > now && at <= now + FETCH_WAIT_MAX_US)
        keep(ls, e, account, budget, at, field(fields, "w"));
    return true;
}

static void on_entries(void *arg, enum gs_rc rc, const redisReply *reply, const char *err)
{
    struct fetch_limits *ls = arg;
    size_t n = 0;

    (void)err;
    ls->reading = false;
    if (rc == GS_OK && reply->type == REDIS_REPLY_ARRAY)
        while (n < reply->elements && hear(ls, reply->element[n]))
            n++;
    if (n == READ_MOST)
        read_more(ls);
}

/* From the one after the last that was read on; XRANGE, because XREAD would answer with a name around it. */
static void read_more(struct fetch_limits *ls)
{
    char from[ID_MAX + 1], most[16];
    const char *argv[] = {"XRANGE", ls->key, from, "+", "COUNT", most};
    size_t lens[6];

    if (ls->reading || !gs_redis_up(ls->redis))
        return;
    snprintf(from, sizeof from, "%s%s", ls->last_id[0] ? "(" : "-", ls->last_id);
    snprintf(most, sizeof most, "%d", READ_MOST);
    for (size_t i = 0; i < 6; i++)
        lens[i] = strlen(argv[i]);
    ls->reading = true;
    gs_redis_command(ls->redis, on_entries, ls, 6, argv, lens);
}

static void on_time(void *arg)
{
    struct fetch_limits *ls = arg;
    int64_t now = gs_now_us();

    if (ls->n && now - ls->swept_us > 60 * POLL_US)
        sweep(ls, now);
    read_more(ls);
}

struct fetch_limits *fetch_limits_new(uv_loop_t *loop, struct gs_redis *redis, enum gs_category category)
{
    struct fetch_limits *ls = gs_alloc(sizeof *ls);

    ls->redis = redis;
    snprintf(ls->key, sizeof ls->key, "gs:limits:%s", gs_category_name(category));
    ls->known = gs_gauge("goalsync_fetch_limits", NULL, "accounts, or budgets of them, whose sources ask to wait");
    ls->timer = gs_timer_new(loop, on_time, ls);
    gs_timer_start(ls->timer, POLL_US / 10, POLL_US);
    return ls;
}

struct fetch_limits *fetch_limits_free(struct fetch_limits *ls)
{
    if (!ls)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (ls->buckets[i])
            drop(ls, &ls->buckets[i]);
    }
    ls->timer = gs_timer_free(ls->timer);
    gs_freep(&ls);
    return NULL;
}
