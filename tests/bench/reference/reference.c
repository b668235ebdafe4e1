/* Shared parts of the bare loops. */
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double ref_now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double ref_cpu(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

double ref_cpu_of(int pid)
{
    char path[64];
    double ns = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    f = fopen(path, "r");
    if (!f || fscanf(f, "%lf", &ns) != 1)
        ref_die(path, "cannot be read");
    fclose(f);
    return ns * 1e-9;
}

void ref_die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

PGconn *ref_connect(const char *conninfo)
{
    PGconn *db = PQconnectdb(conninfo);

    if (PQstatus(db) != CONNECTION_OK)
        ref_die("connecting", PQerrorMessage(db));
    return db;
}

PGresult *ref_ok(PGconn *db, PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);

    if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK)
        ref_die("statement", PQerrorMessage(db));
    return r;
}

void ref_run(PGconn *db, const char *sql)
{
    PQclear(ref_ok(db, PQexec(db, sql)));
}

void ref_put32(unsigned char *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (unsigned char)v;
}

void ref_put64(unsigned char *p, uint64_t v)
{
    ref_put32(p, (uint32_t)(v >> 32));
    ref_put32(p + 4, (uint32_t)v);
}

void ref_report(long n, double seconds, double cpu, double server_cpu)
{
    double each = n ? 1e6 / (double)n : 0;
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    printf("{\"n\":%ld,\"seconds\":%.3f,\"rate\":%.0f,\"cpu_us\":%.2f,\"server_cpu_us\":%.2f,\"peak_rss_mb\":%.1f}\n",
           n, seconds, seconds > 0 ? (double)n / seconds : 0, cpu * each, server_cpu * each,
           (double)u.ru_maxrss / 1024);
}
