/* The bare claim: one prepared UPDATE ... SKIP LOCKED ... RETURNING over a table of due rows, read in binary, nothing
 * else.
 *
 *     reference-claim CONNINFO ROWS BATCH
 *
 * The table `reference_due` is made anew; it has the width of a row that the scheduler claims. */
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const make[] = {
    "DROP TABLE IF EXISTS reference_due",
    "CREATE TABLE reference_due (id bigint PRIMARY KEY, org_id int NOT NULL, vendor smallint NOT NULL,"
    " next_due_at timestamptz NOT NULL, lease_until timestamptz, spec text NOT NULL) WITH (fillfactor = 80)",
    "CREATE INDEX ON reference_due (next_due_at)",
    "VACUUM ANALYZE reference_due",
    "CHECKPOINT",
};

static void make_table(PGconn *db, long rows)
{
    char fill[400];

    snprintf(
        fill, sizeof fill,
        "INSERT INTO reference_due SELECT i, i / 100, i %% 20, now() - interval '1 hour' + (i * 7919 %% %ld) * interval"
        " '1 millisecond', NULL, '{\"item\": \"' || i || '\"}' FROM generate_series(1, %ld) i",
        rows, rows);
    ref_run(db, "SET client_min_messages = error");
    ref_run(db, make[0]);
    ref_run(db, make[1]);
    ref_run(db, fill);
    for (size_t i = 2; i < sizeof make / sizeof *make; i++)
        ref_run(db, make[i]);
}

int main(int argc, char **argv)
{
    char sql[600];
    long rows, n = 0;
    PGconn *db;
    double cpu, server, began;

    if (argc != 4)
        ref_die("usage", "reference-claim CONNINFO ROWS BATCH");
    rows = strtol(argv[2], NULL, 10);
    db = ref_connect(argv[1]);
    make_table(db, rows);
    snprintf(sql, sizeof sql,
             "UPDATE reference_due c SET next_due_at = c.next_due_at + interval '1 day', lease_until = now() + "
             "interval '1 minute'"
             " FROM (SELECT id FROM reference_due WHERE next_due_at <= now() ORDER BY next_due_at LIMIT %ld FOR UPDATE "
             "SKIP LOCKED) d"
             " WHERE c.id = d.id RETURNING c.id, c.org_id, c.vendor, c.spec",
             strtol(argv[3], NULL, 10));
    PQclear(ref_ok(db, PQprepare(db, "claim", sql, 0, NULL)));
    cpu = ref_cpu();
    server = ref_cpu_of(PQbackendPID(db));
    began = ref_now();
    for (int got = 1; got; n += got) {
        PGresult *r = ref_ok(db, PQexecPrepared(db, "claim", 0, NULL, NULL, NULL, 1));

        got = PQntuples(r);
        PQclear(r);
    }
    ref_report(n, ref_now() - began, ref_cpu() - cpu, ref_cpu_of(PQbackendPID(db)) - server);
    ref_run(db, "DROP TABLE reference_due");
    PQfinish(db);
    return n == rows ? 0 : 1;
}
