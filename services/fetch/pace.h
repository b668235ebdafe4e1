/* How many requests a host is given at once, as arithmetic: pure. It begins with a few, has one more with each that is
 * answered until the first fails, and from then on one more for each whole window answered; it has one less with the
 * first failure of a window. When a window's worth of requests has failed in a row, none answered between, the host
 * counts as dead: then it is asked by one probe at a time, ever more rarely. */
#ifndef FETCH_PACE_H
#define FETCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define FETCH_PACE_START 5

struct fetch_pace {
    int most, window;              /* window 0: dead */
    bool careful;                  /* something has failed before */
    double good, bad, failed;      /* parts of windows; failed: in a row */
    int failures;                  /* in a row */
    unsigned probes;               /* that failed */
    int64_t since_us, probe_at_us; /* dead since; the next probe */
};

void fetch_pace_init(struct fetch_pace *p, int most);
/* One was answered, while `busy` were under way, it included. */
void fetch_pace_good(struct fetch_pace *p, int busy);
/* One was not. probe: it was a dead host's; spread: 0 to 1, so that workers do not probe in step. */
void fetch_pace_bad(struct fetch_pace *p, bool probe, int64_t now_us, double spread);

#endif
