/* Metrics: the registry of series and their Prometheus text. */
#include "common/metrics.h"

#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TABLE_SLOTS (GS_METRICS_MAX * 2) /* open addressing; never full */

enum kind { COUNTER, GAUGE, HISTOGRAM, KINDS };

static const char *const kind_names[KINDS] = {"counter", "gauge", "histogram"};
/* What series beyond GS_METRICS_MAX are counted in, so that they are missed by someone. */
static const char *const overflow_names[KINDS] = {"goalsync_metrics_overflow_total", "goalsync_metrics_overflow",
                                                  "goalsync_metrics_overflow_seconds"};

static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60};
#define N_BOUNDS (sizeof(bounds) / sizeof(*bounds))

struct family;

struct gs_metric {
    struct gs_metric *next; /* of the family */
    const struct family *family;
    char *labels;              /* "" when none */
    _Atomic double value;      /* of a histogram: the sum */
    _Atomic uint64_t *buckets; /* of a histogram: N_BOUNDS and one beyond them all; not cumulative */
};

/* All series of a name: Prometheus wants them together. */
struct family {
    struct family *next;
    char *name, *help;
    enum kind kind;
    struct gs_metric *first, **last;
};

static struct {
    struct family *first, **last;
    struct gs_metric *table[TABLE_SLOTS];
    size_t n;
    struct gs_metric *overflow[KINDS];
} registry = {.last = &registry.first};

static struct family *get_family(const char *name, const char *help, enum kind kind)
{
    for (struct family *f = registry.first; f; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            assert(f->kind == kind);
            return f;
        }
    }
    struct family *f = gs_alloc(sizeof(*f));
    f->name = gs_strdup(name);
    f->help = gs_strdup(help ? help : "");
    f->kind = kind;
    f->last = &f->first;
    *registry.last = f;
    registry.last = &f->next;
    return f;
}

static struct gs_metric *new_metric(const char *name, const char *labels, const char *help, enum kind kind)
{
    struct family *f = get_family(name, help, kind);
    struct gs_metric *m = gs_alloc(sizeof(*m));
    m->family = f;
    m->labels = gs_strdup(labels);
    if (kind == HISTOGRAM)
        m->buckets = gs_alloc_n(N_BOUNDS + 1, sizeof(*m->buckets));
    *f->last = m;
    f->last = &m->next;
    return m;
}

static struct gs_metric *get_overflow(enum kind kind)
{
    if (!registry.overflow[kind])
        registry.overflow[kind] =
            new_metric(overflow_names[kind], "", "What was meant for series beyond the limit", kind);
    return registry.overflow[kind];
}

static struct gs_metric *get(const char *name, const char *labels, const char *help, enum kind kind)
{
    if (!labels)
        labels = "";
    size_t i = gs_hash64(labels, strlen(labels), gs_hash64(name, strlen(name), 0)) % TABLE_SLOTS;
    for (; registry.table[i]; i = (i + 1) % TABLE_SLOTS) {
        struct gs_metric *m = registry.table[i];
        if (strcmp(m->family->name, name) == 0 && strcmp(m->labels, labels) == 0) {
            assert(m->family->kind == kind);
            return m;
        }
    }
    if (registry.n == GS_METRICS_MAX)
        return get_overflow(kind);
    registry.n++;
    return registry.table[i] = new_metric(name, labels, help, kind);
}

struct gs_metric *gs_counter(const char *name, const char *labels, const char *help)
{
    return get(name, labels, help, COUNTER);
}

struct gs_metric *gs_gauge(const char *name, const char *labels, const char *help)
{
    return get(name, labels, help, GAUGE);
}

struct gs_metric *gs_histogram(const char *name, const char *labels, const char *help)
{
    return get(name, labels, help, HISTOGRAM);
}

/* Nothing is ordered by these numbers. */
static void add(struct gs_metric *m, double v)
{
    double before = atomic_load_explicit(&m->value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&m->value, &before, before + v, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void gs_metric_add(struct gs_metric *m, double v)
{
    assert(m->family->kind == GAUGE || (m->family->kind == COUNTER && v >= 0));
    add(m, v);
}

void gs_metric_set(struct gs_metric *m, double v)
{
    assert(m->family->kind == GAUGE);
    atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

void gs_metric_observe(struct gs_metric *m, double seconds)
{
    assert(m->family->kind == HISTOGRAM);
    size_t i = 0;
    while (i < N_BOUNDS && seconds > bounds[i])
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    add(m, seconds);
}

static uint64_t count(const struct gs_metric *m)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= N_BOUNDS; i++)
        n += m->buckets[i];
    return n;
}

double gs_metric_value(const struct gs_metric *m)
{
    return m->family->kind == HISTOGRAM ? (double)count(m) : m->value;
}

static void put_value(struct gs_buf *b, double v)
{
    if (isnan(v))
        gs_buf_puts(b, " NaN\n");
    else if (isinf(v))
        gs_buf_puts(b, v > 0 ? " +Inf\n" : " -Inf\n");
    else
        gs_buf_printf(b, " %.*g\n", fabs(v) < 1e15 ? 15 : 17, v);
}

static void put_series(struct gs_buf *b, const char *name, const char *suffix, const char *labels, double v)
{
    gs_buf_printf(b, *labels ? "%s%s{%s}" : "%s%s%s", name, suffix, labels);
    put_value(b, v);
}

static void print_histogram(struct gs_buf *b, const struct gs_metric *m)
{
    const char *name = m->family->name, *comma = *m->labels ? "," : "";
    uint64_t sum = 0;
    for (size_t i = 0; i < N_BOUNDS; i++) {
        sum += m->buckets[i];
        gs_buf_printf(b, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, m->labels, comma, bounds[i], (unsigned long long)sum);
    }
    sum += m->buckets[N_BOUNDS];
    gs_buf_printf(b, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, m->labels, comma, (unsigned long long)sum);
    put_series(b, name, "_sum", m->labels, m->value);
    put_series(b, name, "_count", m->labels, (double)sum);
}

static void put_head(struct gs_buf *b, const char *name, const char *help, const char *kind)
{
    gs_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_process(struct gs_buf *b, const char *name, const char *help, const char *kind, double v)
{
    put_head(b, name, help, kind);
    put_series(b, name, "", "", v);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = 0;
    if (!dir)
        return 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* the directory itself */
}

/* The kernel counts ticks from the boot; the time of the boot stands in /proc/stat. */
static double start_seconds(void)
{
    char line[1024];
    unsigned long long ticks = 0, boot = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    if (file) {
        /* The second field, the program's name in brackets, may hold anything. */
        const char *rest = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
        if (!rest || sscanf(rest, ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                            &ticks) != 1)
            ticks = 0;
        fclose(file);
    }
    file = fopen("/proc/stat", "re");
    if (file) {
        while (boot == 0 && fgets(line, sizeof(line), file))
            (void)(sscanf(line, "btime %llu", &boot) == 1);
        fclose(file);
    }
    return (double)boot + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void gs_metrics_print(struct gs_buf *b)
{
    for (const struct family *f = registry.first; f; f = f->next) {
        put_head(b, f->name, f->help, kind_names[f->kind]);
        for (const struct gs_metric *m = f->first; m; m = m->next) {
            if (f->kind == HISTOGRAM)
                print_histogram(b, m);
            else
                put_series(b, f->name, "", m->labels, m->value);
        }
    }
    put_process(b, "process_cpu_seconds_total", "CPU time, user and system", "counter", cpu_seconds());
    put_process(b, "process_resident_memory_bytes", "Memory in use", "gauge", resident_bytes());
    put_process(b, "process_open_fds", "Open file descriptors", "gauge", open_fds());
    put_process(b, "process_start_time_seconds", "Start, in seconds since 1970", "gauge", start_seconds());
}
