/* Feedback for a host's window, after the idea of Postfix's destination scheduler. */
#include "services/fetch/pace.h"

#define FAILURES_LEAST 3 /* a window that has shrunk to one does not end a host by one failure */
#define PROBE_US       INT64_C(5000000)
#define PROBE_MOST_US  INT64_C(300000000)
#define SPREAD_PART    4 /* up to a quarter sooner */

void fetch_pace_init(struct fetch_pace *p, int most)
{
    *p = (struct fetch_pace){.most = most, .window = most < FETCH_PACE_START ? most : FETCH_PACE_START};
}

static void revive(struct fetch_pace *p)
{
    fetch_pace_init(p, p->most);
    p->careful = true;
}

static void grow(struct fetch_pace *p, double by)
{
    p->good += by;
    while (p->good >= 1 && p->window < p->most) {
        p->good -= 1;
        p->window++;
        p->bad = 0;
    }
    if (p->window == p->most)
        p->good = 0;
}

void fetch_pace_good(struct fetch_pace *p, int busy)
{
    p->failed = 0;
    p->failures = 0;
    if (!p->window)
        revive(p);
    else if (busy * 2 > p->window) /* a window that is not used teaches nothing */
        grow(p, p->careful ? 1.0 / p->window : 1);
}

/* After 5 s, and twice as long after each that failed; 5 min at most. */
static void next_probe(struct fetch_pace *p, int64_t now_us, double spread)
{
    int64_t pause = PROBE_US;

    for (unsigned i = 0; i < p->probes && pause < PROBE_MOST_US; i++)
        pause *= 2;
    if (pause > PROBE_MOST_US)
        pause = PROBE_MOST_US;
    p->probe_at_us = now_us + pause - (int64_t)(spread * (double)(pause / SPREAD_PART));
}

static void shrink(struct fetch_pace *p)
{
    p->bad -= 1.0 / p->window;
    if (p->bad >= 0)
        return;
    p->bad += 1;
    p->good = 0;
    if (p->window > 1)
        p->window--;
}

void fetch_pace_bad(struct fetch_pace *p, bool probe, int64_t now_us, double spread)
{
    if (!p->window && !probe)
        return; /* it was under way when the host was given up */
    if (!p->window) {
        p->probes++;
        next_probe(p, now_us, spread);
        return;
    }
    p->careful = true;
    p->failures++;
    p->failed += 1.0 / p->window;
    if (p->failed < 1 || p->failures < FAILURES_LEAST) {
        shrink(p);
        return;
    }
    p->window = 0;
    p->probes = 0;
    p->since_us = now_us;
    next_probe(p, now_us, spread);
}
