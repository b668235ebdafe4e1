/* common/db.h against a real server (tests/unit/with-servers); without one only what needs none.
 * links: */
#include "common/db.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMEOUT_MS 10000

static struct gs_db *make(void **state)
{
    const char *url = getenv("GOALSYNC_TEST_PG_URL");

    if (!url) {
        print_message("SKIPPED: GOALSYNC_TEST_PG_URL is not set; run tests/unit/with-servers\n");
        skip();
    }
    *state = gs_db_new(url, "db_test", TIMEOUT_MS);
    return *state;
}

static int tear_down(void **state)
{
    gs_db_free(*state);
    *state = NULL;
    return 0;
}

static void must(struct gs_db *db, const char *sql)
{
    if (!gs_db_exec(db, sql, GS_NO_PARAMS))
        fail_msg("%s: %s", sql, gs_db_error(db)->text);
}

static int64_t number(struct gs_db *db, const char *sql)
{
    GS_AUTO_RESULT r = gs_db_query(db, sql, GS_NO_PARAMS);

    if (!r)
        fail_msg("%s: %s", sql, gs_db_error(db)->text);
    return gs_db_get_int(r, 0, "n");
}

static void test_parameters_and_results(void **state)
{
    struct gs_db *db = make(state);
    GS_AUTO_RESULT r = gs_db_query(db, "SELECT $1::text AS a, $2::int + 1 AS b, $3::bool AS c, $4::text AS d",
                                   GS_WITH("x'; --", "41", "true", NULL));

    assert_non_null(r);
    assert_string_equal(gs_db_get(r, 0, "a"), "x'; --");
    assert_int_equal(gs_db_get_int(r, 0, "b"), 42);
    assert_true(gs_db_get_bool(r, 0, "c"));
    assert_true(gs_db_is_null(r, 0, "d"));
    assert_string_equal(gs_db_get(r, 0, "d"), "");
}

static void test_bytes_are_the_last_parameter(void **state)
{
    struct gs_db *db = make(state);
    GS_AUTO_RESULT r = gs_db_query_bytes(db, "SELECT encode($2, 'hex') || $1 AS hex", GS_WITH("!"), "\0\xff\"", 3);

    assert_non_null(r);
    assert_string_equal(gs_db_get(r, 0, "hex"), "00ff22!");
}

static void test_equal_statements_are_prepared_once(void **state)
{
    struct gs_db *db = make(state);

    for (int i = 0; i < 3; i++)
        must(db, "SELECT 1");
    assert_int_equal(number(db, "SELECT count(*) AS n FROM pg_prepared_statements WHERE statement = 'SELECT 1'"), 1);
}

static void test_more_statements_than_are_prepared(void **state)
{
    struct gs_db *db = make(state);

    for (int i = 0; i < GS_DB_STATEMENTS_MAX + 10; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "SELECT %d AS n", i);
        assert_int_equal(number(db, sql), i);
    }
    assert_int_equal(number(db, "SELECT count(*) AS n FROM pg_prepared_statements"), GS_DB_STATEMENTS_MAX);
}

static void test_refusals_are_decisions(void **state)
{
    static const struct {
        const char *sql, *state, *constraint, *text;
        enum gs_rc rc;
        bool ours;
    } cases[] = {
        {"INSERT INTO db_test VALUES (1, 'secret')", "23505", "db_test_pkey", "there is one with the same id already",
         GS_REJECT, false},
        {"INSERT INTO db_test VALUES (-1, 'secret')", "23514", "db_test_id_check", NULL, GS_REJECT, false},
        {"INSERT INTO db_test_child VALUES (7)", "23503", "db_test_child_parent_fkey",
         "what parent names does not exist, or is still in use", GS_REJECT, false},
        {"SELECT 'secret'::int", "22P02", "", "a value does not fit its type (SQLSTATE 22P02)", GS_REJECT, false},
        {"DO $$ BEGIN RAISE EXCEPTION 'goals must not circle'; END $$", "P0001", "", "goals must not circle", GS_REJECT,
         true},
        {"SELECT nothing FROM nowhere", "42P01", "", NULL, GS_FATAL, false},
        {"DO $$ BEGIN RAISE serialization_failure; END $$", "40001", "", NULL, GS_RETRY, false},
        {"DO $$ BEGIN RAISE deadlock_detected; END $$", "40P01", "", NULL, GS_RETRY, false},
    };
    struct gs_db *db = make(state);

    must(db, "CREATE TEMP TABLE db_test (id int PRIMARY KEY CHECK (id > 0), word text)");
    must(db, "CREATE TEMP TABLE db_test_child (parent int REFERENCES db_test)");
    must(db, "INSERT INTO db_test VALUES (1, 'x')");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct gs_db_error *e;
        assert_null(gs_db_query(db, cases[i].sql, GS_NO_PARAMS));
        e = gs_db_error(db);
        assert_string_equal(e->state, cases[i].state);
        assert_string_equal(e->constraint, cases[i].constraint);
        assert_int_equal(e->rc, cases[i].rc);
        assert_int_equal(e->ours, cases[i].ours);
        assert_null(strstr(e->text, "secret"));
        if (cases[i].text)
            assert_string_equal(e->text, cases[i].text);
    }
}

static void test_transactions(void **state)
{
    struct gs_db *db = make(state);

    must(db, "CREATE TEMP TABLE db_test (id int)");
    assert_true(gs_db_begin(db));
    must(db, "INSERT INTO db_test VALUES (1)");
    gs_db_rollback(db);
    gs_db_rollback(db); /* none: fine */
    assert_int_equal(number(db, "SELECT count(*) AS n FROM db_test"), 0);
    assert_true(gs_db_begin(db));
    must(db, "INSERT INTO db_test VALUES (1)");
    assert_true(gs_db_commit(db));
    assert_int_equal(number(db, "SELECT count(*) AS n FROM db_test"), 1);
}

static void test_a_failed_transaction_is_not_committed(void **state)
{
    struct gs_db *db = make(state);

    assert_true(gs_db_begin(db));
    assert_null(gs_db_query(db, "SELECT 1 / 0", GS_NO_PARAMS));
    assert_false(gs_db_commit(db));
    assert_int_equal(gs_db_error(db)->rc, GS_REJECT);
    must(db, "SELECT 1");
}

static void test_the_error_outlives_the_rollback(void **state)
{
    struct gs_db *db = make(state);

    assert_true(gs_db_begin(db));
    assert_null(gs_db_query(db, "SELECT 1 / 0", GS_NO_PARAMS));
    gs_db_rollback(db);
    assert_string_equal(gs_db_error(db)->state, "22012");
}

/* The other one, seen from a third: how the server loses a connection. */
static void cut(struct gs_db *db)
{
    struct gs_db *other = gs_db_new(getenv("GOALSYNC_TEST_PG_URL"), "db_test killer", TIMEOUT_MS);
    char pid[24];

    snprintf(pid, sizeof(pid), "%d", PQbackendPID(gs_db_conn(db)));
    assert_true(gs_db_exec(other, "SELECT pg_terminate_backend($1::int, 10000)", GS_WITH(pid)));
    gs_db_free(other);
}

static void test_a_lost_connection_is_made_again(void **state)
{
    struct gs_db *db = make(state);

    must(db, "SELECT 1");
    cut(db);
    assert_int_equal(number(db, "SELECT 2 AS n"), 2);
}

static void test_a_connection_lost_in_a_transaction_is_an_error(void **state)
{
    struct gs_db *db = make(state);

    assert_true(gs_db_begin(db));
    must(db, "SELECT 1");
    cut(db);
    assert_null(gs_db_query(db, "SELECT 2", GS_NO_PARAMS));
    assert_int_equal(gs_db_error(db)->rc, GS_RETRY);
    assert_false(gs_db_commit(db));
    gs_db_rollback(db);
    must(db, "SELECT 3");
}

static void test_statements_end_in_time(void **state)
{
    const char *url = getenv("GOALSYNC_TEST_PG_URL");
    struct gs_db *db = make(state);

    gs_db_free(db);
    *state = db = gs_db_new(url, "db_test", 100);
    assert_null(gs_db_query(db, "SELECT pg_sleep(600)", GS_NO_PARAMS));
    assert_string_equal(gs_db_error(db)->state, "57014");
    assert_int_equal(gs_db_error(db)->rc, GS_RETRY);
}

static void control(const char *verb)
{
    const char *program = getenv("GOALSYNC_TEST_SERVERS");
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl(program, program, "pg", verb, (char *)NULL);
        _exit(127);
    }
    assert_true(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A server that neither answers nor ends the connection. */
static void test_a_silent_server_is_given_up(void **state)
{
    const char *url = getenv("GOALSYNC_TEST_PG_URL");
    struct gs_db *db = make(state);
    PGresult *r;

    gs_db_free(db);
    *state = db = gs_db_new(url, "db_test", 100);
    assert_true(gs_db_begin(db));
    control("freeze");
    r = gs_db_query(db, "SELECT 1", GS_NO_PARAMS);
    control("thaw");
    assert_null(r);
    assert_int_equal(gs_db_error(db)->rc, GS_RETRY);
    assert_string_equal(gs_db_error(db)->text, "the connection to PostgreSQL was lost: it does not answer");
    must(db, "SELECT 1");
}

static void test_prepared_statements_outlive_a_changed_table(void **state)
{
    struct gs_db *db = make(state);

    must(db, "CREATE TEMP TABLE db_test (id int)");
    must(db, "SELECT * FROM db_test");
    must(db, "ALTER TABLE db_test ADD word text");
    /* The temporary table goes with the connection, so what is asked is only the decision. */
    assert_null(gs_db_query(db, "SELECT * FROM db_test", GS_NO_PARAMS));
    assert_int_equal(gs_db_error(db)->rc, GS_FATAL); /* prepared anew elsewhere, where the table is not */
    assert_string_equal(gs_db_error(db)->state, "42P01");
}

static void test_where_no_server_is(void **state)
{
    struct gs_db *db = *state = gs_db_new("postgresql://u:hunter2@127.0.0.1:1/d", "db_test", TIMEOUT_MS);

    assert_null(gs_db_query(db, "SELECT 1", GS_NO_PARAMS));
    assert_int_equal(gs_db_error(db)->rc, GS_RETRY);
    assert_null(strstr(gs_db_error(db)->text, "hunter2"));
    assert_string_equal(gs_db_error(db)->state, "");
}

static void test_an_address_that_is_none_keeps_its_password(void **state)
{
    struct gs_db *db = *state = gs_db_new("postgresql://u:hunter2@[host/d", "db_test", TIMEOUT_MS);

    assert_null(gs_db_query(db, "SELECT 1", GS_NO_PARAMS));
    assert_int_equal(gs_db_error(db)->rc, GS_FATAL);
    assert_null(strstr(gs_db_error(db)->text, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_parameters_and_results, tear_down),
        cmocka_unit_test_teardown(test_bytes_are_the_last_parameter, tear_down),
        cmocka_unit_test_teardown(test_equal_statements_are_prepared_once, tear_down),
        cmocka_unit_test_teardown(test_more_statements_than_are_prepared, tear_down),
        cmocka_unit_test_teardown(test_refusals_are_decisions, tear_down),
        cmocka_unit_test_teardown(test_transactions, tear_down),
        cmocka_unit_test_teardown(test_a_failed_transaction_is_not_committed, tear_down),
        cmocka_unit_test_teardown(test_the_error_outlives_the_rollback, tear_down),
        cmocka_unit_test_teardown(test_a_lost_connection_is_made_again, tear_down),
        cmocka_unit_test_teardown(test_a_connection_lost_in_a_transaction_is_an_error, tear_down),
        cmocka_unit_test_teardown(test_statements_end_in_time, tear_down),
        cmocka_unit_test_teardown(test_a_silent_server_is_given_up, tear_down),
        cmocka_unit_test_teardown(test_prepared_statements_outlive_a_changed_table, tear_down),
        cmocka_unit_test_teardown(test_where_no_server_is, tear_down),
        cmocka_unit_test_teardown(test_an_address_that_is_none_keeps_its_password, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
