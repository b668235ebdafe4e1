/* The bare write: key results updated and history inserted from sorted binary arrays, then the touched objectives
 * recomputed (four key results each), in one transaction; nothing else. The first tenth is not counted, as of the
 * writer: plans, and whole pages in the log of what follows a checkpoint.
 *
 *     reference-write CONNINFO ROWS BATCH */
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ITEM          12 /* a length and eight bytes */
#define HEAD          20
#define SCATTER       48271 /* a prime */
#define EPOCH_2000_US INT64_C(946684800000000)

static const char *const make[] = {
    "SET client_min_messages = error",
    "DROP TABLE IF EXISTS reference_goal, reference_result, reference_history",
    "CREATE TABLE reference_goal (id bigint PRIMARY KEY, org_id int NOT NULL, progress float8 NOT NULL DEFAULT 0,"
    " updated_at timestamptz NOT NULL DEFAULT now()) WITH (fillfactor = 80)",
    "CREATE TABLE reference_result (id bigint PRIMARY KEY, goal_id bigint NOT NULL, start_value float8 NOT NULL,"
    " target_value float8 NOT NULL, current_value float8, progress float8, weight float8 NOT NULL DEFAULT 1,"
    " observed_at timestamptz, seq bigint NOT NULL DEFAULT 0) WITH (fillfactor = 70)",
    "CREATE TABLE reference_history (kr_id bigint NOT NULL, observed_at timestamptz NOT NULL, value float8 NOT NULL,"
    " source int NOT NULL, PRIMARY KEY (kr_id, observed_at))",
};

static const char apply[] =
    "WITH i AS (SELECT * FROM unnest($1::int8[], $2::timestamptz[], $3::float8[]) AS t(kr_id, observed_at, value)),"
    " h AS (INSERT INTO reference_history SELECT kr_id, observed_at, value, 1 FROM i ON CONFLICT DO NOTHING)"
    " UPDATE reference_result k SET current_value = i.value, progress = (i.value - k.start_value) /"
    " nullif(k.target_value - k.start_value, 0), observed_at = i.observed_at, seq = k.seq + 1"
    " FROM i WHERE k.id = i.kr_id AND k.observed_at < i.observed_at";
static const char roll_up[] =
    "UPDATE reference_goal g SET progress = s.p, updated_at = now() FROM (SELECT goal_id, sum(weight * progress) / "
    "sum(weight) p"
    " FROM reference_result WHERE goal_id = ANY($1::int8[]) GROUP BY goal_id) s WHERE g.id = s.goal_id";

static void make_tables(PGconn *db, long rows)
{
    char fill[400];

    for (size_t i = 0; i < sizeof make / sizeof *make; i++)
        ref_run(db, make[i]);
    snprintf(fill, sizeof fill, "INSERT INTO reference_goal SELECT i, i / 500, 0 FROM generate_series(1, %ld) i",
             (rows + 3) / 4);
    ref_run(db, fill);
    snprintf(fill, sizeof fill,
             "INSERT INTO reference_result SELECT i, (i - 1) / 4 + 1, 0, 1000, 0, 0, 1, 'epoch' FROM "
             "generate_series(1, %ld) i",
             rows);
    ref_run(db, fill);
    ref_run(db, "CREATE INDEX ON reference_result (goal_id)");
    ref_run(db, "VACUUM ANALYZE");
    ref_run(db, "CHECKPOINT");
}

struct arrays {
    unsigned char *ids, *times, *values, *goals;
    int n;
};

static void head(unsigned char *a, uint32_t type, int n)
{
    ref_put32(a, 1); /* dimensions */
    ref_put32(a + 4, 0);
    ref_put32(a + 8, type);
    ref_put32(a + 12, (uint32_t)n);
    ref_put32(a + 16, 1);
}

static void item(unsigned char *a, int i, uint64_t v)
{
    ref_put32(a + HEAD + i * ITEM, 8);
    ref_put64(a + HEAD + i * ITEM + 4, v);
}

static int compare_longs(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return (x > y) - (x < y);
}

/* Every row once over all batches, in an order without neighbours, as slots come; ascending within the batch. */
static void pick(long *ids, long first, int n, long rows)
{
    for (int i = 0; i < n; i++)
        ids[i] = (first + i) * SCATTER % rows + 1;
    qsort(ids, (size_t)n, sizeof *ids, compare_longs);
}

static void fill(struct arrays *a, const long *ids, int n)
{
    struct timespec t;
    uint64_t now;

    clock_gettime(CLOCK_REALTIME, &t);
    now = (uint64_t)(t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000 - EPOCH_2000_US);
    for (int i = 0; i < n; i++) {
        long id = ids[i];
        double value = (double)(id * 7919 % 100000) / 100 + 1;
        uint64_t bits;

        memcpy(&bits, &value, sizeof bits);
        item(a->ids, i, (uint64_t)id);
        item(a->times, i, now);
        item(a->values, i, bits);
        item(a->goals, i, (uint64_t)((id - 1) / 4 + 1));
    }
    head(a->ids, 20, n);
    head(a->times, 1184, n);
    head(a->values, 701, n);
    head(a->goals, 20, n);
    a->n = n;
}

static void write_batch(PGconn *db, const struct arrays *a)
{
    const char *values[3] = {(char *)a->ids, (char *)a->times, (char *)a->values};
    const char *goals[1] = {(char *)a->goals};
    int len = HEAD + a->n * ITEM, lens[3] = {len, len, len}, binary[3] = {1, 1, 1};

    ref_run(db, "BEGIN");
    PQclear(ref_ok(db, PQexecPrepared(db, "apply", 3, values, lens, binary, 1)));
    PQclear(ref_ok(db, PQexecPrepared(db, "roll_up", 1, goals, lens, binary, 1)));
    ref_run(db, "COMMIT");
}

/* Batches from the first row on until `last` of them are written; returns how many are. */
static long write_some(PGconn *db, struct arrays *a, long *ids, long first, long last, long rows, long batch)
{
    while (first < last) {
        int some = (int)(last - first < batch ? last - first : batch);

        pick(ids, first, some, rows);
        fill(a, ids, some);
        write_batch(db, a);
        first += some;
    }
    return first;
}

int main(int argc, char **argv)
{
    long rows, batch, warm, n;
    struct arrays a = {0};
    long *ids;
    PGconn *db;
    double cpu, server, began;

    if (argc != 4)
        ref_die("usage", "reference-write CONNINFO ROWS BATCH");
    rows = strtol(argv[2], NULL, 10);
    batch = strtol(argv[3], NULL, 10);
    db = ref_connect(argv[1]);
    make_tables(db, rows);
    PQclear(ref_ok(db, PQprepare(db, "apply", apply, 0, NULL)));
    PQclear(ref_ok(db, PQprepare(db, "roll_up", roll_up, 0, NULL)));
    for (unsigned char **p[4] = {&a.ids, &a.times, &a.values, &a.goals}, ***q = p; q < p + 4; q++) {
        **q = calloc(1, (size_t)(HEAD + batch * ITEM));
        if (!**q)
            ref_die("memory", "is out");
    }
    ids = calloc((size_t)batch, sizeof *ids);
    if (!ids)
        ref_die("memory", "is out");
    warm = write_some(db, &a, ids, 0, rows / 10, rows, batch);
    cpu = ref_cpu();
    server = ref_cpu_of(PQbackendPID(db));
    began = ref_now();
    n = write_some(db, &a, ids, warm, rows, rows, batch) - warm;
    ref_report(n, ref_now() - began, ref_cpu() - cpu, ref_cpu_of(PQbackendPID(db)) - server);
    ref_run(db, "DROP TABLE reference_goal, reference_result, reference_history");
    PQfinish(db);
    return 0;
}
