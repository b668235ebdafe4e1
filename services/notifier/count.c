/* Registers and keeps the notifier's figures. */
#include "services/notifier/count.h"

#include "common/metrics.h"

#include <stdio.h>

static struct gs_metric *messages_total, *deliveries_total, *in_flight, *seconds, *outcomes[NOTIFIER_OUTCOMES];

void notifier_count_init(void)
{
    static const char *const names[NOTIFIER_OUTCOMES] = {
        [NOTIFIER_DELIVERED] = "outcome=\"delivered\"",
        [NOTIFIER_AGAIN] = "outcome=\"again\"",
        [NOTIFIER_FAILED] = "outcome=\"failed\"",
        [NOTIFIER_STOPPED] = "outcome=\"stopped\"",
    };

    messages_total = gs_counter("goalsync_notifier_messages_total", NULL, "messages about goals that were taken up");
    deliveries_total = gs_counter("goalsync_notifier_deliveries_total", NULL, "deliveries to webhooks that were made");
    for (int i = 0; i < NOTIFIER_OUTCOMES; i++)
        outcomes[i] =
            gs_counter("goalsync_notifier_attempts_total", names[i], "attempts to deliver, by how they ended");
    in_flight = gs_gauge("goalsync_notifier_in_flight", NULL, "deliveries under way");
    seconds = gs_histogram("goalsync_notifier_attempt_seconds", NULL, "time until the receiver had answered");
}

void notifier_count_events(size_t messages, int64_t deliveries)
{
    gs_metric_add(messages_total, (double)messages);
    gs_metric_add(deliveries_total, (double)deliveries);
}

void notifier_count_letter(const char *reason)
{
    char labels[80];

    snprintf(labels, sizeof labels, "reason=\"%s\"", reason);
    gs_metric_add(gs_counter("goalsync_notifier_dead_letters_total", labels, "messages put aside"), 1);
}

void notifier_count_delivery(enum notifier_outcome outcome, int64_t elapsed_us)
{
    gs_metric_add(outcomes[outcome], 1);
    gs_metric_observe(seconds, (double)elapsed_us / 1e6);
}

void notifier_count_in_flight(size_t n)
{
    gs_metric_set(in_flight, (double)n);
}
