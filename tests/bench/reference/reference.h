/* What the bare loops share: clocks, a look at another process's CPU time, and one line of JSON as result. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <libpq-fe.h>
#include <stdint.h>

double ref_now(void);       /* seconds, monotonic */
double ref_cpu(void);       /* seconds of this process, all threads */
double ref_cpu_of(int pid); /* seconds of another process, from its schedstat */
void ref_die(const char *what, const char *why) __attribute__((noreturn));

/* Connects to the given conninfo; ends the process when that fails. */
PGconn *ref_connect(const char *conninfo);
/* Ends the process when the result is an error; returns it. */
PGresult *ref_ok(PGconn *db, PGresult *r);
void ref_run(PGconn *db, const char *sql);

/* Big-endian, as PostgreSQL's binary formats are. */
void ref_put32(unsigned char *p, uint32_t v);
void ref_put64(unsigned char *p, uint64_t v);

/* {"n":..,"seconds":..,"rate":..,"cpu_us":..,"server_cpu_us":..,"peak_rss_mb":..} */
void ref_report(long n, double seconds, double cpu, double server_cpu);

#endif
