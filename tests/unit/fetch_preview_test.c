// links: fetch_asking goalsync_proto
/* Questions as the workers read them, and answers as whoever asked reads them. */
#include "common/mem.h"
#include "common/str.h"
#include "proto/goalsync/v1/fetch.pb-c.h"
#include "services/fetch/preview.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000000)

static void a_question_is_a_request_for_one_target(void **state)
{
    (void)state;
    const struct fetch_question q = {.id = "abc",
                                     .org_id = 1,
                                     .connection_id = 2,
                                     .connection_version = 3,
                                     .settings = "{\"query\":\"SELECT 1\"}",
                                     .now_us = NOW,
                                     .wait_us = 30000000};
    size_t len;
    void *bytes = fetch_question_pack(&q, &len);
    Goalsync__V1__FetchRequested *m = goalsync__v1__fetch_requested__unpack(NULL, len, bytes);
    assert_non_null(m);
    assert_string_equal(m->request_id, "abc");
    assert_int_equal(m->kind, GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PREVIEW);
    assert_int_equal(m->connection_version, 3);
    assert_int_equal(m->expires_at_us, NOW + 30000000);
    assert_int_equal(m->n_targets, 1);
    assert_int_equal(m->targets[0]->link_id, 0);
    assert_string_equal(m->targets[0]->settings, q.settings);
    goalsync__v1__fetch_requested__free_unpacked(m, NULL);
    free(bytes);
}

struct message {
    Goalsync__V1__FetchCompleted m;
    Goalsync__V1__Observation o, *all[1];
    uint8_t bytes[1024];
    size_t len;
};

static void pack(struct message *t, Goalsync__V1__FetchOutcome whole, Goalsync__V1__FetchOutcome own, const char *value,
                 const char *error)
{
    goalsync__v1__fetch_completed__init(&t->m);
    goalsync__v1__observation__init(&t->o);
    t->all[0] = &t->o;
    t->m.observations = t->all;
    t->m.n_observations = 1;
    t->m.request_id = (char *)(uintptr_t) "abc";
    t->m.outcome = whole;
    t->m.error = (char *)(uintptr_t)(own ? "" : error);
    t->m.fetched_at_us = NOW;
    t->m.requests_used = 2;
    t->o.outcome = own;
    t->o.value = (char *)(uintptr_t)value;
    t->o.error = (char *)(uintptr_t)(own ? error : "");
    t->o.rows_seen = 7;
    t->len = goalsync__v1__fetch_completed__pack(&t->m, t->bytes);
}

#define OUTCOME(x) GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_##x

static void answers_become_outcomes(void **state)
{
    static const struct {
        Goalsync__V1__FetchOutcome whole, own;
        const char *value, *error, *outcome, *shown;
        bool ok;
    } rows[] = {
        {OUTCOME(OK), OUTCOME(OK), "12.5", "", "ok", "", true},
        {OUTCOME(OK), OUTCOME(REJECTED), "", "two rows", "rejected", "two rows", false},
        {OUTCOME(DENIED), OUTCOME(UNSPECIFIED), "", "wrong password", "denied", "wrong password", false},
        /* the request's outcome holds, whatever a target says */
        {OUTCOME(RETRY), OUTCOME(OK), "12.5", "", "retry", "no reason was told", false},
        {OUTCOME(OK), (Goalsync__V1__FetchOutcome)77, "12.5", "", "unknown", "no reason was told", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message t;
        struct fetch_answer a;
        pack(&t, rows[i].whole, rows[i].own, rows[i].value, rows[i].error);
        struct fetch_answer_message *m = fetch_answer_read(t.bytes, t.len, "abc", &a);
        assert_non_null(m);
        assert_int_equal(a.ok, rows[i].ok);
        assert_string_equal(a.outcome, rows[i].outcome);
        assert_string_equal(a.error, rows[i].shown);
        assert_string_equal(a.value, rows[i].ok ? rows[i].value : "");
        assert_int_equal(a.rows_seen, 7);
        fetch_answer_free(m);
    }
}

static void somebody_elses_answer_is_none(void **state)
{
    struct message t;
    struct fetch_answer a;

    (void)state;
    pack(&t, OUTCOME(OK), OUTCOME(OK), "1", "");
    assert_null(fetch_answer_read(t.bytes, t.len, "abd", &a));
    struct fetch_answer_message *m = fetch_answer_read(t.bytes, t.len, NULL, &a);
    assert_non_null(m);
    fetch_answer_free(m);
    assert_null(fetch_answer_read("\xff\xff", 2, "abc", &a));
    /* Without any target there is nothing to show. */
    t.m.n_observations = 0;
    t.len = goalsync__v1__fetch_completed__pack(&t.m, t.bytes);
    m = fetch_answer_read(t.bytes, t.len, "abc", &a);
    assert_non_null(m);
    assert_false(a.ok);
    fetch_answer_free(m);
}

static void random_bytes_never_hurt(void **state)
{
    struct message t;
    uint8_t bytes[1024];

    (void)state;
    pack(&t, OUTCOME(OK), OUTCOME(OK), "-12.50", "");
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        struct fetch_answer a;
        struct gs_buf b;
        memcpy(bytes, t.bytes, t.len);
        for (int k = 0; k <= i % 4; k++)
            bytes[(size_t)random() % t.len] = (uint8_t)random();
        struct fetch_answer_message *m = fetch_answer_read(bytes, (size_t)random() % (t.len + 1), NULL, &a);
        if (!m)
            continue;
        gs_buf_init(&b, 65536);
        fetch_answer_put_json(&a, &b);
        assert_false(b.overflow);
        gs_buf_done(&b);
        fetch_answer_free(m);
    }
}

static void an_answer_as_json(void **state)
{
    struct message t;
    struct fetch_answer a;
    struct gs_buf b;

    (void)state;
    pack(&t, OUTCOME(OK), OUTCOME(REJECTED), "", "says \"no\"");
    struct fetch_answer_message *m = fetch_answer_read(t.bytes, t.len, "abc", &a);
    gs_buf_init(&b, 4096);
    fetch_answer_put_json(&a, &b);
    assert_string_equal(gs_buf_str(&b),
                        "\"outcome\":\"rejected\",\"value\":null,\"unit\":\"\",\"rows_seen\":7,\"source_at\":null,"
                        "\"fetched_at\":\"2027-01-15T08:00:00.000000Z\",\"retry_at\":null,\"requests_used\":2,"
                        "\"elapsed_ms\":0,\"error\":\"says \\\"no\\\"\"");
    gs_buf_done(&b);
    fetch_answer_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_a_request_for_one_target),
        cmocka_unit_test(answers_become_outcomes),
        cmocka_unit_test(somebody_elses_answer_is_none),
        cmocka_unit_test(random_bytes_never_hurt),
        cmocka_unit_test(an_answer_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
