/* Counters, gauges and histograms in Prometheus text. Registered on the loop thread, once, never freed; counted in from
 * any thread. */
#ifndef GS_METRICS_H
#define GS_METRICS_H

#include "common/buf.h"

#include <stdint.h>

struct gs_metric;

/* name: "goalsync_fetch_total"; labels: "connector=\"github\",outcome=\"ok\"" or null (the caller escapes).
 * The same name and labels give the same metric back. help of the first registration of a name counts.
 * At most GS_METRICS_MAX series; beyond that a shared overflow series is returned. */
#define GS_METRICS_MAX 4096
struct gs_metric *gs_counter(const char *name, const char *labels, const char *help);
struct gs_metric *gs_gauge(const char *name, const char *labels, const char *help);
/* Buckets in seconds, fixed: 1 ms to 60 s in steps of about 2.5. */
struct gs_metric *gs_histogram(const char *name, const char *labels, const char *help);

void gs_metric_add(struct gs_metric *m, double v);           /* counter or gauge */
void gs_metric_set(struct gs_metric *m, double v);           /* gauge */
void gs_metric_observe(struct gs_metric *m, double seconds); /* histogram */
double gs_metric_value(const struct gs_metric *m);           /* for tests and readiness; a histogram's count */

/* Writes all series; process_* (CPU, memory, open files, start) included. */
void gs_metrics_print(struct gs_buf *b);

#endif
