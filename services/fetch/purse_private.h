/* Shared by purse.c and purse_redis.c. */
#ifndef FETCH_PURSE_PRIVATE_H
#define FETCH_PURSE_PRIVATE_H

#include "common/loop.h"
#include "services/fetch/purse.h"

#define FETCH_LEASES        2 /* one in use, one ahead */
#define FETCH_PURSE_BUCKETS 4096
#define FETCH_ASKS_MAX      64 /* purses in one command */

/* Tokens at hand: the i-th from from_us[r] + i * step_us[r] on, and not before they were taken. Times are monotonic. */
struct fetch_lease {
    int64_t taken_us;
    int64_t from_us[FETCH_RULES_MAX], step_us[FETCH_RULES_MAX];
    size_t n, used;
};

struct fetch_purse {
    struct fetch_purses *owner;
    const struct fetch_entry *entry;
    struct fetch_class class;
    char scopes[FETCH_RULES_MAX][FETCH_SCOPE_TEXT]; /* of each rule, for the key */
    uint64_t hash;
    struct fetch_purse *next_in_bucket, *older, *newer;
    struct fetch_queue queue;
    struct fetch_lease leases[FETCH_LEASES];
    struct gs_timer *timer; /* null until somebody waits for a time */
    int64_t used_us;        /* last; monotonic */
    int64_t empty_until_us; /* as Redis said; monotonic */
    int64_t sent_away_us;   /* when the last one sent away comes back; monotonic */
    int64_t alone_next_us[FETCH_RULES_MAX];
    int64_t owed;               /* tokens used without Redis's knowledge; less than none: to be given back */
    int64_t owed_asked;         /* of them, those that are told with the question under way */
    int64_t span_us;            /* when `spent` began to count */
    size_t spent, spent_before; /* in this span of `keep`, and in the one before */
    size_t want;                /* asked for */
    bool wants, asking;         /* in the list of those to ask; a question is under way */
    struct fetch_purse *next_to_ask;
};

struct fetch_purses {
    struct fetch_purses_spec spec;
    struct fetch_purse *buckets[FETCH_PURSE_BUCKETS], *newest, *oldest, *to_ask;
    struct gs_timer *sweep;
    struct fetch_classes *classes; /* of connectors, as far as used */
    bool alone, flushing, closed;
    bool whole;      /* Redis does not know the script: it is sent as a whole */
    char script[41]; /* its SHA-1, in hex */
    struct gs_metric *purses, *waiting, *alone_now, *asked, *sent_away;
};

/* ---- purse.c ---- */
void fetch_purse_answered(struct fetch_purse *p, size_t got, const int64_t from_us[FETCH_RULES_MAX], int percent);
/* No answer: to be asked again when somebody still wants something. */
void fetch_purse_unanswered(struct fetch_purse *p);
void fetch_purses_destroy(struct fetch_purses *ps);

/* ---- purse_redis.c ---- */
void fetch_purse_ask(struct fetch_purse *p, size_t want); /* with all others of this turn of the loop */
void fetch_purses_script(struct fetch_purses *ps);        /* sets script */

#endif
