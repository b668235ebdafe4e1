/* Metrics: values, their Prometheus text, and the limit of series. */
#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The metrics as text; the caller frees. */
static char *print(void)
{
    struct gs_buf b;
    gs_buf_init(&b, 16 * 1024 * 1024);
    gs_metrics_print(&b);
    assert_false(b.overflow);
    return gs_buf_steal(&b);
}

static int occurrences(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void counters_and_gauges(void **state)
{
    (void)state;
    struct gs_metric *ok = gs_counter("t_total", "outcome=\"ok\"", "Things done");
    struct gs_metric *gauge = gs_gauge("t_open", NULL, "Things open");
    struct gs_metric *failed = gs_counter("t_total", "outcome=\"failed\"", "another help");
    assert_ptr_equal(gs_counter("t_total", "outcome=\"ok\"", NULL), ok);
    assert_ptr_not_equal(failed, ok);
    gs_metric_add(ok, 1);
    gs_metric_add(ok, 9007199254740991.0); /* 2^53: the largest exact count */
    gs_metric_add(failed, 1.5);
    gs_metric_set(gauge, 5);
    gs_metric_add(gauge, -7);
    assert_true(gs_metric_value(gauge) == -2);
    char *text = print();
    assert_non_null(strstr(text, "# HELP t_total Things done\n# TYPE t_total counter\n"
                                 "t_total{outcome=\"ok\"} 9007199254740992\nt_total{outcome=\"failed\"} 1.5\n"));
    assert_non_null(strstr(text, "# TYPE t_open gauge\nt_open -2\n"));
    assert_int_equal(occurrences(text, "# TYPE t_total "), 1);
    free(text);
}

static void histograms(void **state)
{
    (void)state;
    struct gs_metric *m = gs_histogram("t_seconds", "a=\"b\"", "How long");
    gs_metric_observe(m, 0.001); /* bounds belong to their bucket */
    gs_metric_observe(m, 0.002);
    gs_metric_observe(m, 3);
    gs_metric_observe(m, 1000);
    assert_true(gs_metric_value(m) == 4);
    char *text = print();
    assert_non_null(strstr(text, "# TYPE t_seconds histogram\nt_seconds_bucket{a=\"b\",le=\"0.001\"} 1\n"
                                 "t_seconds_bucket{a=\"b\",le=\"0.0025\"} 2\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"2.5\"} 2\nt_seconds_bucket{a=\"b\",le=\"5\"} 3\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{a=\"b\",le=\"60\"} 3\nt_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\n"
                                 "t_seconds_sum{a=\"b\"} 1003.003\nt_seconds_count{a=\"b\"} 4\n"));
    free(text);
    m = gs_histogram("t_plain_seconds", NULL, "How long");
    text = print();
    assert_non_null(
        strstr(text, "t_plain_seconds_bucket{le=\"+Inf\"} 0\nt_plain_seconds_sum 0\nt_plain_seconds_count 0\n"));
    free(text);
}

static double value_of(const char *text, const char *name)
{
    char line[128];
    double v;
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(line), "%lf", &v), 1);
    return v;
}

static void process_metrics(void **state)
{
    (void)state;
    char *before = print();
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    char *after = print();
    assert_true(value_of(after, "process_open_fds") - value_of(before, "process_open_fds") == 2);
    assert_true(value_of(after, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(after, "process_cpu_seconds_total") > 0);
    double start = value_of(after, "process_start_time_seconds");
    assert_true(start > 1700000000 && start <= (double)time(NULL) + 1);
    close(fds[0]);
    close(fds[1]);
    free(before);
    free(after);
}

/* Last: it fills the registry. */
static void beyond_the_limit_one_series_is_shared(void **state)
{
    char labels[32];
    struct gs_metric *m = NULL;
    (void)state;
    for (int i = 0; i < GS_METRICS_MAX; i++) {
        snprintf(labels, sizeof(labels), "i=\"%d\"", i);
        m = gs_counter("t_many_total", labels, "Many");
    }
    struct gs_metric *other = gs_counter("t_one_more_total", NULL, "One more");
    assert_ptr_equal(m, other);
    gs_metric_add(other, 2);
    gs_metric_observe(gs_histogram("t_more_seconds", NULL, "More"), 1);
    char *text = print();
    assert_null(strstr(text, "t_one_more_total"));
    assert_non_null(strstr(text, "\ngoalsync_metrics_overflow_total 2\n"));
    assert_non_null(strstr(text, "\ngoalsync_metrics_overflow_seconds_count 1\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),
        cmocka_unit_test(histograms),
        cmocka_unit_test(process_metrics),
        cmocka_unit_test(beyond_the_limit_one_series_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
