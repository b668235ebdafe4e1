// links: fetch_worker fetch_core
/* services/fetch/wire_postgres.h against a real server (tests/unit/with-servers); skipped without one. */
#include "services/fetch/wire_postgres_conn.h"
#include "tests/unit/wire_postgres_helpers.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS      20
#define MEMORY_MAX (96 * 1024) /* KiB that a bounded answer may cost, sanitizers included */

static void need_server(const struct fixture *f)
{
    if (!f->url)
        skip();
}

/* A connection of the test itself; returns the first cell. */
static char *admin(const char *sql)
{
    static char cell[64];
    PGconn *conn = PQconnectdb(getenv("GOALSYNC_TEST_PG_URL"));
    PGresult *result = PQexec(conn, sql);

    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    copy(cell, sizeof(cell), PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(conn);
    return cell;
}

/* ---- answers ---- */

static void gives_one_number(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    ask(f, "SELECT count(*) + 41 FROM (VALUES (1)) v;");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->rows, 1);
    assert_int_equal(f->cols, 1);
    assert_string_equal(f->types[0], "int8");
    assert_string_equal(f->values[0], "42");
}

static void names_types_and_nulls(void **state)
{
    static const struct {
        const char *sql, *type, *value;
    } answers[] = {
        {"SELECT 1.50::numeric", "numeric", "1.50"},     {"SELECT NULL::float8", "float8", "NULL"},
        {"SELECT 1e-7::float8", "float8", "1e-07"},      {"SELECT 0.1::float4", "float4", "0.1"},
        {"SELECT 4.9e-324::float8", "float8", "5e-324"}, {"SELECT 'NaN'::numeric", "numeric", "NaN"},
        {"SELECT 2::money", "money", "$2.00"},           {"SELECT true", "bool", "t"},
    };
    struct fixture *f = *state;

    need_server(f);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        ask(f, answers[i].sql);
        assert_int_equal(f->rows, 1);
        assert_string_equal(f->types[0], answers[i].type);
        assert_string_equal(f->values[0], answers[i].value);
    }
    admin("DROP TYPE IF EXISTS colour; CREATE TYPE colour AS ENUM ('red')");
    ask(f, "SELECT 'red'::colour, 'a'::text, 1");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->cols, 3);
    assert_memory_equal(f->types[0], "oid ", 4);
    assert_string_equal(f->types[1], "text");
    assert_string_equal(f->types[2], "int4");
}

static void shapes_of_results(void **state)
{
    static const struct {
        const char *sql;
        int rows, cols;
    } shapes[] = {
        {"SELECT 1 WHERE false", 0, 1},
        {"SELECT", 0, 0},
        {"", 0, 0},
        {"SET work_mem = '1MB'", 0, 0},
        {"COMMIT", 0, 0},
        {"SELECT generate_series(1, 2)", 2, 1},
        {"SELECT generate_series(1, 3)", 2, 1},
        {"SELECT generate_series(1, 3), pg_sleep(300)", 0, 2}, /* from here on: not carried out */
        {"SELECT repeat('x', 10) FROM pg_sleep(300)", 0, 1},
        {"EXPLAIN SELECT 1", 0, 1},
        {"COPY (SELECT pg_sleep(300)) TO STDOUT", 0, 0},
    };
    struct fixture *f = *state;

    need_server(f);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        ask(f, shapes[i].sql);
        if (f->rc != GS_OK || f->rows != shapes[i].rows || f->cols != shapes[i].cols)
            fail_msg("%s: %s %d rows %d columns", shapes[i].sql, f->error, f->rows, f->cols);
    }
}

/* ---- refusals by the server ---- */

static void writes_nothing(void **state)
{
    static const struct {
        const char *sql;
        const char *sqlstate;
    } attempts[] = {
        {"INSERT INTO stock VALUES (2)", ""},
        {"WITH w AS (INSERT INTO stock VALUES (2) RETURNING n) SELECT n FROM w", "25006"},
        {"WITH w AS (DELETE FROM stock RETURNING n) SELECT count(*) FROM w", "25006"},
        {"UPDATE stock SET n = 2", ""},
        {"SELECT n FROM stock FOR UPDATE", "25006"},
        {"SELECT nextval('stock_seq')", "25006"},
        {"SELECT setval('stock_seq', 9)", "25006"},
        {"CREATE TABLE more (n int)", ""},
        {"TRUNCATE stock", ""},
        {"DROP TABLE stock", ""},
        {"SELECT 1; INSERT INTO stock VALUES (2)", "42601"},
        {"COMMIT; INSERT INTO stock VALUES (2)", "42601"},
        {"SET TRANSACTION READ WRITE", ""},
        {"SELECT length(set_config('transaction_read_only', 'off', false))", "25001"},
        {"DO $$ BEGIN INSERT INTO stock VALUES (2); END $$", ""},
        {"DO $$ BEGIN COMMIT; INSERT INTO stock VALUES (2); END $$", ""},
        {"SELECT stock_add()", "25006"},
    };
    struct fixture *f = *state;

    need_server(f);
    admin("DROP TABLE IF EXISTS stock; CREATE TABLE stock (n int); INSERT INTO stock VALUES (1);"
          "DROP SEQUENCE IF EXISTS stock_seq; CREATE SEQUENCE stock_seq;"
          "CREATE OR REPLACE FUNCTION stock_add() RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
          " PERFORM set_config('default_transaction_read_only', 'off', false); INSERT INTO stock VALUES (2); RETURN 1; "
          "END $$");
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        bool unasked; /* it gives no columns, so it is not carried out */

        ask(f, attempts[i].sql);
        unasked = f->rc == GS_OK && f->cols == 0 && f->rows == 0;
        if ((attempts[i].sqlstate[0] ? f->rc != GS_REJECT : !unasked) || strcmp(f->sqlstate, attempts[i].sqlstate) != 0)
            fail_msg("%s: %s \"%s\"", attempts[i].sql, gs_rc_name(f->rc), f->error);
    }
    assert_string_equal(
        admin("SELECT count(*) || '/' || sum(n) || '/' || (SELECT is_called FROM stock_seq) FROM stock"), "1/1/false");
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *sql, *sqlstate, *words;
    } mistakes[] = {
        {"SELECT n FROM no_such_table", "42P01", "relation \"no_such_table\" does not exist"},
        {"SELECT colour FROM pg_class", "42703", "column \"colour\" does not exist"},
        {"SELEC 1", "42601", "syntax error"},
        {"SELECT 1/0", "22012", "division by zero"},
        {"SELECT 1/(3-n) FROM generate_series(1,5) n WHERE n > 2", "22012", "division by zero"},
        {"SELECT 'x'::int", "22P02", "invalid input syntax"},
        {"SELECT 'test secret'::int", "22P02", "\"***********\""},
        {"SELECT has_table_privilege('goalsync', 'no_table', 'select')", "42P01", "no_table"},
        {"SELECT goalsync", "42703", "column \"********\" does not exist"},
        {"SELECT $1::int", "08P01", "parameter"}, /* which nobody gives */
    };
    struct fixture *f = *state;

    need_server(f);
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        ask(f, mistakes[i].sql);
        if (f->rc != GS_REJECT || strcmp(f->sqlstate, mistakes[i].sqlstate) != 0 ||
            !strstr(f->error, mistakes[i].words))
            fail_msg("%s: %s \"%s\"", mistakes[i].sql, gs_rc_name(f->rc), f->error);
    }
}

static void permission_is_a_setting(void **state)
{
    struct fixture *f = *state;
    struct fetch_pg_target to = f->to;

    need_server(f);
    admin("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'it''s \\';"
          "CREATE TABLE IF NOT EXISTS hidden (n int)");
    to.user = "reader";
    to.password = "it's \\";
    ask_until(f, &to, "SELECT n FROM hidden", PATIENCE);
    assert_int_equal(f->rc, GS_REJECT);
    assert_string_equal(f->sqlstate, "42501");
    assert_non_null(strstr(f->error, "permission denied for table hidden"));
}

/* ---- signing in ---- */

static void sign_in_is_denied(void **state)
{
    struct fixture *f = *state;
    struct fetch_pg_target to = f->to;

    need_server(f);
    to.password = "wrong pass";
    refused(f, &to, GS_DENIED, "28P01");
    assert_string_equal(f->sqlstate, "28P01");
    assert_null(strstr(f->error, "wrong pass"));
    assert_null(strstr(f->error, "goalsync"));
    to.password = "";
    refused(f, &to, GS_DENIED, "password");
    to.user = "nobody_here";
    to.password = "x";
    refused(f, &to, GS_DENIED, "28");
    assert_null(strstr(f->error, "nobody_here"));
    to.user = "";
    refused(f, &to, GS_DENIED, "user");
}

static void database_is_missing(void **state)
{
    struct fixture *f = *state;
    struct fetch_pg_target to = f->to;

    need_server(f);
    to.database = "no such database";
    refused(f, &to, GS_REJECT, "3D000");
    to.database = "postgres sslmode=disable host=other"; /* a name, not a connection string */
    refused(f, &to, GS_REJECT, "3D000");
    to.database = "";
    refused(f, &to, GS_REJECT, "database");
}

static void certificates_are_verified(void **state)
{
    struct fixture *f = *state;
    struct fetch_pg_target to = f->to;

    need_server(f);
    char *wrong = read_file(getenv("GOALSYNC_TEST_WRONG_CA_FILE"));
    to.ca_pem = wrong;
    refused(f, &to, GS_REJECT, "not signed by a trusted authority");
    to.sslmode = "verify-ca";
    refused(f, &to, GS_REJECT, "not signed by a trusted authority");
    to.sslmode = "require"; /* asks for no proof, whatever CA is there */
    ask_until(f, &to, "SELECT 1", PATIENCE);
    assert_int_equal(f->rc, GS_OK);
    to = f->to;
    to.host = "127.0.0.1"; /* the certificate is for localhost */
    refused(f, &to, GS_REJECT, "another host name");
    to.sslmode = "verify-ca";
    ask_until(f, &to, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()", PATIENCE);
    assert_string_equal(f->values[0], "1");
    to = f->to;
    to.ca_pem = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
    refused(f, &to, GS_REJECT, "ca_pem");
    to.ca_pem = NULL;
    to.ca_file = getenv("GOALSYNC_TEST_CA_FILE");
    ask_until(f, &to, "SELECT 1", PATIENCE);
    assert_int_equal(f->rc, GS_OK);
    to.ca_file = NULL; /* the machine's authorities did not sign it */
    refused(f, &to, GS_REJECT, "certificate");
    free(wrong);
}

static void plain_text_needs_the_operator(void **state)
{
    struct fixture *f = *state;
    struct fetch_pg_target to = f->to;

    need_server(f);
    to.sslmode = "disable";
    refused(f, &to, GS_REJECT, "not allowed here");
    to.allow_plain = true;
    ask_until(f, &to, "SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()", PATIENCE);
    assert_int_equal(f->rc, GS_OK);
    assert_string_equal(f->values[0], "0");
    to.sslmode = "prefer";
    refused(f, &to, GS_REJECT, "sslmode");
}

/* ---- time and size ---- */

static void slow_query_is_stopped(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    ask_until(f, &f->to, "SELECT pg_sleep(60)", SECOND);
    assert_int_equal(f->rc, GS_RETRY);
    assert_string_equal(f->sqlstate, "57014"); /* by the server, which has stopped working on it */
    assert_non_null(strstr(f->error, "took too long"));
}

static long peak_memory(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void huge_results_cost_nothing(void **state)
{
    struct fixture *f = *state;
    long before;

    need_server(f);
    ask(f, "SELECT 1");
    before = peak_memory();
    ask(f, "SELECT n FROM generate_series(1, 10000000) n");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->rows, 2);
    ask(f, "SELECT repeat('x', 200000000)");
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->rows, 0);
    ask(f, "SELECT repeat('1', 5000)::numeric");
    assert_int_equal(f->rc, GS_REJECT);
    assert_non_null(strstr(f->error, "type numeric with 5000 bytes"));
    assert_true(peak_memory() - before < MEMORY_MAX);
}

/* What stops a server whose rows are not of the size it promised. */
static void tls_connections_break_at_their_limit(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    PGconn *conn = PQconnectdb(getenv("GOALSYNC_TEST_PG_URL"));
    fetch_pg_limit(conn, 1024 * 1024);
    PGresult *small = PQexec(conn, "SELECT repeat('x', 500000)");
    assert_int_equal(PQresultStatus(small), PGRES_TUPLES_OK);
    long before = peak_memory();
    PGresult *large = PQexec(conn, "SELECT repeat('x', 50000000)");
    assert_int_equal(PQresultStatus(large), PGRES_FATAL_ERROR);
    assert_int_equal(PQstatus(conn), CONNECTION_BAD);
    assert_true(peak_memory() - before < 16 * 1024);
    PQclear(small);
    PQclear(large);
    PQfinish(conn);
}

static void notices_are_not_an_answer(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    admin("CREATE OR REPLACE FUNCTION chatter() RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
          " FOR i IN 1..1000000 LOOP RAISE NOTICE '%', repeat('x', 1000); END LOOP; RETURN 1; END $$");
    ask(f, "SELECT chatter()");
    assert_int_equal(f->rc, GS_REJECT);
    assert_non_null(strstr(f->error, "more than 1048576 bytes"));
}

static void hosts_have_a_ceiling(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    f->answers = 0;
    f->most_open = 0;
    for (int i = 0; i < CALLS; i++)
        fetch_pg_ask(f->pg, &f->to, "SELECT 1 FROM pg_sleep(0.02)", gs_mono_us() + PATIENCE, on_answer, f);
    run_until(f, CALLS);
    assert_int_equal(f->rc, GS_OK);
    assert_int_equal(f->most_open, FETCH_PG_HOST_CONNECTIONS_MAX);
    assert_int_equal(fetch_pg_open(f->pg), 0);
}

/* ---- ends ---- */

static void servers(const char *what, const char *how)
{
    const char *program = getenv("GOALSYNC_TEST_SERVERS");
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl(program, program, what, how, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void server_stops_in_the_middle(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    f->answers = 0;
    fetch_pg_ask(f->pg, &f->to, "SELECT pg_sleep(300)", gs_mono_us() + 2 * PATIENCE, on_answer, f);
    while (strcmp(admin("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(300)'"), "1") != 0)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    servers("pg", "stop");
    run_until(f, 1);
    assert_int_equal(f->rc, GS_RETRY);
    refused(f, &f->to, GS_RETRY, "no connection to");
    servers("pg", "start");
    ask(f, "SELECT 1");
    assert_int_equal(f->rc, GS_OK);
}

static void cancelled_calls_are_silent(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    for (int turns = 0; turns < 30; turns++) {
        struct fetch_pg_call *c =
            fetch_pg_ask(f->pg, &f->to, "SELECT pg_sleep(300)", gs_mono_us() + PATIENCE, on_answer, f);

        f->answers = 0;
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, i < 8 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        fetch_pg_cancel(c);
        assert_int_equal(f->answers, 0);
        assert_int_equal(fetch_pg_open(f->pg), 0);
    }
    ask(f, "SELECT 1");
    assert_int_equal(f->rc, GS_OK);
}

static void waiting_calls_move_up_when_one_is_cancelled(void **state)
{
    struct fetch_pg_call *first[FETCH_PG_HOST_CONNECTIONS_MAX];
    struct fixture *f = *state;

    need_server(f);
    for (int i = 0; i < FETCH_PG_HOST_CONNECTIONS_MAX; i++)
        first[i] = fetch_pg_ask(f->pg, &f->to, "SELECT pg_sleep(300)", gs_mono_us() + PATIENCE, on_answer, f);
    while (fetch_pg_open(f->pg) < FETCH_PG_HOST_CONNECTIONS_MAX)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->answers = 0;
    struct fetch_pg_call *gone = fetch_pg_ask(f->pg, &f->to, "SELECT 1", gs_mono_us() + PATIENCE, on_answer, f);
    fetch_pg_ask(f->pg, &f->to, "SELECT 2", gs_mono_us() + PATIENCE, on_answer, f);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    fetch_pg_cancel(gone);
    fetch_pg_cancel(first[3]);
    run_until(f, 1);
    assert_string_equal(f->values[0], "2");
    for (int i = 0; i < FETCH_PG_HOST_CONNECTIONS_MAX; i++) {
        if (i != 3)
            fetch_pg_cancel(first[i]);
    }
}

static void freeing_ends_all(void **state)
{
    struct fixture *f = *state;

    need_server(f);
    f->answers = 0;
    for (int i = 0; i < CALLS; i++)
        fetch_pg_ask(f->pg, &f->to, "SELECT pg_sleep(300)", gs_mono_us() + PATIENCE, on_answer, f);
    for (int i = 0; i < 5; i++)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->pg = fetch_pg_free(f->pg);
    assert_int_equal(f->answers, CALLS);
    assert_int_equal(f->rc, GS_RETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_one_number),
        TEST(names_types_and_nulls),
        TEST(shapes_of_results),
        TEST(writes_nothing),
        TEST(says_what_is_wrong),
        TEST(permission_is_a_setting),
        TEST(sign_in_is_denied),
        TEST(database_is_missing),
        TEST(certificates_are_verified),
        TEST(plain_text_needs_the_operator),
        TEST(slow_query_is_stopped),
        TEST(huge_results_cost_nothing),
        TEST(tls_connections_break_at_their_limit),
        TEST(notices_are_not_an_answer),
        TEST(hosts_have_a_ceiling),
        TEST(server_stops_in_the_middle),
        TEST(cancelled_calls_are_silent),
        TEST(waiting_calls_move_up_when_one_is_cancelled),
        TEST(freeing_ends_all),
    };

    signal(SIGPIPE, SIG_IGN); /* as services do */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
