/* Names and meaning of the writer's metrics, in one place. */
#include "services/progress_writer/count.h"

#include "common/metrics.h"

#include <stdio.h>

static const char *const result_names[WRITER_COUNTS] = {
    [WRITER_N_APPLIED] = "applied",       [WRITER_N_UNCHANGED] = "unchanged", [WRITER_N_DUPLICATE] = "duplicate",
    [WRITER_N_SUPERSEDED] = "superseded", [WRITER_N_PAUSED] = "paused",       [WRITER_N_FAILED] = "failed",
    [WRITER_N_ROLLED_UP] = "rolled_up",
};

static const char *const end_names[] = {
    [WRITER_END_DONE] = "done",     [WRITER_END_AGAIN] = "again",   [WRITER_END_STALE] = "stale",
    [WRITER_END_POISON] = "poison", [WRITER_END_BROKEN] = "broken",
};

static struct {
    struct gs_metric *results[WRITER_COUNTS], *outcomes[WRITER_OUTCOMES], *ends[WRITER_END_BROKEN + 1];
    struct gs_metric *messages, *time, *lag, *backlog, *published;
} m;

static struct gs_metric *labelled(const char *name, const char *label, const char *value, const char *help)
{
    char labels[64];
    snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    return gs_counter(name, labels, help);
}

void writer_count_init(void)
{
    for (int i = 0; i < WRITER_COUNTS; i++)
        m.results[i] = labelled("goalsync_writer_results_total", "decision", result_names[i],
                                "Results of targets by what was decided; rolled_up counts ancestors");
    for (int i = WRITER_RETRY; i < WRITER_OUTCOMES; i++)
        m.outcomes[i] = labelled("goalsync_writer_failed_total", "outcome", writer_outcome_name((enum writer_outcome)i),
                                 "Results without a number by outcome");
    for (int i = 0; i <= WRITER_END_BROKEN; i++)
        m.ends[i] =
            labelled("goalsync_writer_transactions_total", "end", end_names[i], "Transactions by how they ended");
    m.messages = gs_counter("goalsync_writer_messages_total", NULL, "Messages whose transaction was committed");
    m.time = gs_histogram("goalsync_writer_transaction_seconds", NULL, "From BEGIN to the answer of COMMIT");
    m.lag = gs_histogram("goalsync_writer_lag_seconds", NULL,
                         "Age of the oldest number of a transaction when it was applied");
    m.backlog =
        gs_gauge("goalsync_writer_outbox_rows", NULL, "Rows of the outbox the relay read last; 0: all is published");
    m.published = gs_counter("goalsync_writer_published_total", NULL, "Events that Kafka acknowledged");
}

void writer_count_work(const struct writer_work *w, size_t messages, int64_t elapsed_us, int64_t now_us)
{
    for (int i = 0; i < WRITER_COUNTS; i++)
        if (w->counts[i])
            gs_metric_add(m.results[i], (double)w->counts[i]);
    for (int i = WRITER_RETRY; i < WRITER_OUTCOMES; i++)
        if (w->outcomes[i])
            gs_metric_add(m.outcomes[i], (double)w->outcomes[i]);
    gs_metric_add(m.messages, (double)messages);
    gs_metric_observe(m.time, (double)elapsed_us / 1e6);
    if (w->oldest_fetched_us)
        gs_metric_observe(m.lag, (double)(now_us - w->oldest_fetched_us) / 1e6);
}

void writer_count_end(enum writer_end end)
{
    gs_metric_add(m.ends[end], 1);
}

void writer_count_letter(const char *reason)
{
    gs_metric_add(labelled("goalsync_writer_dead_letters_total", "reason", reason, "Messages sent to the dead letters"),
                  1);
}

void writer_count_backlog(int64_t rows)
{
    gs_metric_set(m.backlog, (double)rows);
}

void writer_count_published(size_t events)
{
    gs_metric_add(m.published, (double)events);
}
