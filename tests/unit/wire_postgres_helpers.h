/* What the tests of the PostgreSQL wire share: a loop, a wire, a target, and the last answer. */
#ifndef TESTS_UNIT_WIRE_POSTGRES_HELPERS_H
#define TESTS_UNIT_WIRE_POSTGRES_HELPERS_H

#include "common/clock.h"
#include "common/mem.h"
#include "services/fetch/wire_postgres.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND    INT64_C(1000000)
#define PATIENCE  (20 * SECOND)
#define CELLS_MAX 8

struct fixture {
    uv_loop_t loop;
    struct fetch_pg *pg;
    struct fetch_pg_target to;
    PQconninfoOption *url;
    char *ca_pem;
    /* of the last answer */
    enum gs_rc rc;
    char error[400], sqlstate[6], types[CELLS_MAX][32], values[CELLS_MAX][64];
    int rows, cols, answers;
    size_t most_open;
};

/* ---- the fixture ---- */

static inline const char *option(const struct fixture *f, const char *name)
{
    for (const PQconninfoOption *o = f->url; o->keyword; o++) {
        if (strcmp(o->keyword, name) == 0)
            return o->val;
    }
    return NULL;
}

static inline char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = gs_alloc(65536);

    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static inline int set_up(void **state)
{
    struct fixture *f = gs_alloc(sizeof(*f));
    const char *url = getenv("GOALSYNC_TEST_PG_URL");

    uv_loop_init(&f->loop);
    f->pg = fetch_pg_new(&f->loop);
    if (url) {
        f->url = PQconninfoParse(url, NULL);
        f->ca_pem = read_file(getenv("GOALSYNC_TEST_CA_FILE"));
        f->to = (struct fetch_pg_target){.host = option(f, "host"),
                                         .port = (int)strtol(option(f, "port"), NULL, 10),
                                         .database = option(f, "dbname"),
                                         .sslmode = "verify-full",
                                         .ca_pem = f->ca_pem,
                                         .user = option(f, "user"),
                                         .password = option(f, "password")};
    }
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    fetch_pg_free(f->pg);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0); /* nothing may be left on the loop */
    PQconninfoFree(f->url);
    free(f->ca_pem);
    free(f);
    return 0;
}

static inline void copy(char *dst, size_t size, const char *src)
{
    snprintf(dst, size, "%s", src ? src : "NULL");
}

static inline void on_answer(void *arg, const struct fetch_pg_answer *a)
{
    struct fixture *f = arg;

    f->answers++;
    f->rc = a->rc;
    copy(f->error, sizeof(f->error), a->error);
    copy(f->sqlstate, sizeof(f->sqlstate), a->sqlstate);
    f->rows = a->reply.rows;
    f->cols = a->reply.cols;
    for (int i = 0; i < f->cols && i < CELLS_MAX; i++)
        copy(f->types[i], sizeof(f->types[i]), a->reply.types[i]);
    for (int i = 0; i < f->rows * f->cols && i < CELLS_MAX; i++)
        copy(f->values[i], sizeof(f->values[i]), a->reply.values[i]);
}

static inline void run_until(struct fixture *f, int answers)
{
    int64_t end = gs_mono_us() + PATIENCE + PATIENCE;

    while (f->answers < answers) {
        assert_true(gs_mono_us() < end);
        uv_run(&f->loop, UV_RUN_ONCE);
        if (fetch_pg_open(f->pg) > f->most_open)
            f->most_open = fetch_pg_open(f->pg);
    }
}

static inline void ask_until(struct fixture *f, const struct fetch_pg_target *to, const char *statement,
                             int64_t time_us)
{
    f->answers = 0;
    fetch_pg_ask(f->pg, to, statement, gs_mono_us() + time_us, on_answer, f);
    assert_int_equal(f->answers, 0); /* never from inside the call */
    run_until(f, 1);
    if (f->rc != GS_OK)
        assert_true(strlen(f->error) > 10);
}

static inline void ask(struct fixture *f, const char *statement)
{
    ask_until(f, &f->to, statement, PATIENCE);
}

static inline void refused(struct fixture *f, const struct fetch_pg_target *to, enum gs_rc rc, const char *words)
{
    ask_until(f, to, "SELECT 1", PATIENCE);
    if (f->rc != rc || !strstr(f->error, words))
        fail_msg("wanted %s \"%s\", got %s \"%s\"", gs_rc_name(rc), words, gs_rc_name(f->rc), f->error);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif
