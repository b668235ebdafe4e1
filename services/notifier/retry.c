/* The schedule of attempts. */
#include "services/notifier/retry.h"

#include "common/backoff.h"
#include "common/str.h"
#include "services/notifier/notifier.h"

#define DAY_S 86400

/* Seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. */
static const int64_t pauses[NOTIFIER_ATTEMPTS - 1] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, DAY_S};
#define PAUSES_S (5 + 300 + 1800 + 7200 + 18000 + 36000 + 50400 + 72000 + DAY_S)

int64_t notifier_retry_pause(int attempt, int64_t give_up_us)
{
    if (attempt < 1 || attempt >= NOTIFIER_ATTEMPTS)
        return 0;
    int64_t pause_us = (int64_t)((double)pauses[attempt - 1] / PAUSES_S * (double)give_up_us);
    return pause_us + 1 + (int64_t)(gs_random64() % (uint64_t)(pause_us / 5 + 1));
}

int64_t notifier_retry_asked(const char *retry_after, int64_t pause_us)
{
    int64_t seconds;

    if (!retry_after || !gs_parse_int(retry_after, 0, INT32_MAX, &seconds))
        return pause_us; /* also for a date: few send one, and the pause grows anyway */
    int64_t asked_us = (seconds < DAY_S ? seconds : DAY_S) * 1000000;
    return asked_us > pause_us ? asked_us : pause_us;
}
