// links: goalsync_writer goalsync_goals goalsync_proto
/* What the writer makes of bytes from outside, and that the outbox reads back what was put there. */
#include "common/event.h"
#include "common/mem.h"
#include "proto/goalsync/v1/fetch.pb-c.h"
#include "proto/goalsync/v1/goal.pb-c.h"
#include "services/progress_writer/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000000)

struct message {
    Goalsync__V1__FetchCompleted m;
    Goalsync__V1__Observation o, *all[1];
};

static void init(struct message *t)
{
    goalsync__v1__fetch_completed__init(&t->m);
    goalsync__v1__observation__init(&t->o);
    t->all[0] = &t->o;
    t->m.observations = t->all;
    t->m.n_observations = 1;
    t->m.batch_id = 7;
    t->m.org_id = 3;
    t->m.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_SCHEDULED;
    t->m.slot_us = NOW - 1000;
    t->m.fetched_at_us = NOW;
    t->m.attempt = 2;
    t->m.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;
    t->o.link_id = 11;
    t->o.revision = 5;
    t->o.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_OK;
    t->o.value = (char *)(uintptr_t) "-12.50";
}

static enum gs_rc read_message(const struct message *t, struct writer_results *ret, struct gs_err *err)
{
    uint8_t bytes[4096];
    size_t len = goalsync__v1__fetch_completed__pack(&t->m, bytes);
    return writer_wire_read(bytes, len, NULL, NOW, ret, err);
}

static void a_good_message_is_read(void **state)
{
    (void)state;
    struct message t;
    struct writer_results r = {0};
    struct gs_err err = {0};
    char text[GS_DEC_TEXT];
    init(&t);
    assert_int_equal(read_message(&t, &r, &err), GS_OK);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.items[0].link_id, 11);
    assert_int_equal(r.items[0].batch_id, 7);
    assert_int_equal(r.items[0].attempt, 2);
    assert_int_equal(r.items[0].outcome, WRITER_OK);
    gs_dec_format(r.items[0].value, text);
    assert_string_equal(text, "-12.5");
    writer_results_done(&r);
}

static void a_whole_requests_outcome_holds_for_its_targets(void **state)
{
    (void)state;
    struct message t;
    struct writer_results r = {0};
    struct gs_err err = {0};
    init(&t);
    t.m.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_DENIED;
    t.m.error = (char *)(uintptr_t) "the password\nwas refused";
    assert_int_equal(read_message(&t, &r, &err), GS_OK);
    assert_int_equal(r.items[0].outcome, WRITER_DENIED);
    assert_string_equal(r.items[0].error, "the password?was refused");
    writer_results_done(&r);
}

static void a_pushed_value_keeps_its_note(void **state)
{
    (void)state;
    struct message t;
    struct writer_results r = {0};
    struct gs_err err = {0};
    init(&t);
    t.m.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PUSHED;
    t.o.note = (char *)(uintptr_t) "counted by hand";
    assert_int_equal(read_message(&t, &r, &err), GS_OK);
    assert_string_equal(r.items[0].note, "counted by hand");
    t.o.note = (char *)(uintptr_t) "";
    assert_int_equal(read_message(&t, &r, &err), GS_OK);
    assert_null(r.items[1].note);
    writer_results_done(&r);
}

static void a_note_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct message t;
    struct writer_results r = {0};
    struct gs_err err = {0};
    init(&t);
    char *note = gs_alloc(WRITER_NOTE_MAX + 2);
    memset(note, 'x', WRITER_NOTE_MAX + 1);
    t.o.note = note;
    size_t len = goalsync__v1__fetch_completed__get_packed_size(&t.m);
    uint8_t *bytes = gs_alloc(len);
    goalsync__v1__fetch_completed__pack(&t.m, bytes);
    assert_int_equal(writer_wire_read(bytes, len, NULL, NOW, &r, &err), GS_REJECT);
    assert_int_equal(r.n, 0);
    free(bytes);
    free(note);
}

enum { KIND, BATCH, SLOT, FUTURE, OUTCOME, TARGET_OUTCOME, LINK, REVISION, VALUE, INSTANT, BREAKS };

static void spoil(struct message *t, int what)
{
    switch (what) {
    case KIND:
        t->m.kind = GOALSYNC__V1__FETCH_KIND__FETCH_KIND_PREVIEW;
        break;
    case BATCH:
        t->m.batch_id = 0;
        break;
    case SLOT:
        t->m.slot_us = 0;
        break;
    case FUTURE:
        t->m.slot_us = NOW + WRITER_CLOCK_SKEW_US + 1;
        break;
    case OUTCOME:
        t->m.outcome = (Goalsync__V1__FetchOutcome)77;
        break;
    case TARGET_OUTCOME:
        t->o.outcome = GOALSYNC__V1__FETCH_OUTCOME__FETCH_OUTCOME_UNSPECIFIED;
        break;
    case LINK:
        t->o.link_id = -1;
        break;
    case REVISION:
        t->o.revision = 0;
        break;
    case VALUE:
        t->o.value = (char *)(uintptr_t) "NaN";
        break;
    default:
        t->m.fetched_at_us = -1;
    }
}

static void each_mistake_is_refused_with_a_sentence(void **state)
{
    (void)state;
    for (int what = KIND; what < BREAKS; what++) {
        struct message t;
        struct writer_results r = {0};
        struct gs_err err = {0};
        init(&t);
        spoil(&t, what);
        assert_int_equal(read_message(&t, &r, &err), GS_REJECT);
        assert_true(strlen(err.text) > 10);
        assert_int_equal(r.n, 0);
        writer_results_done(&r);
    }
}

static void nothing_of_a_half_good_message_is_kept(void **state)
{
    (void)state;
    struct message t;
    Goalsync__V1__Observation bad, *two[2];
    struct writer_results r = {0};
    struct gs_err err = {0};
    init(&t);
    bad = t.o;
    bad.link_id = 0;
    two[0] = &t.o;
    two[1] = &bad;
    t.m.observations = two;
    t.m.n_observations = 2;
    assert_int_equal(read_message(&t, &r, &err), GS_REJECT);
    assert_int_equal(r.n, 0);
    writer_results_done(&r);
}

static void random_bytes_never_hurt(void **state)
{
    (void)state;
    struct message t;
    uint8_t good[512], bytes[512];
    init(&t);
    size_t len = goalsync__v1__fetch_completed__pack(&t.m, good);
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        struct writer_results r = {0};
        struct gs_err err = {0};
        memcpy(bytes, good, len);
        for (int k = 0; k <= i % 4; k++)
            bytes[(size_t)random() % len] = (uint8_t)random();
        (void)!writer_wire_read(bytes, (size_t)random() % (len + 1), NULL, NOW, &r, &err);
        writer_results_done(&r);
    }
}

static void the_outbox_reads_back_what_was_put(void **state)
{
    (void)state;
    struct gs_buf b;
    gs_buf_init(&b, WRITER_OUTBOX_MAX);
    struct writer_event ev = {.org_id = 1,
                              .goal_id = 42,
                              .version = 7,
                              .changed_at_us = NOW,
                              .cause = WRITER_ROLLED_UP,
                              .before = {.status = "behind"},
                              .after = {.status = "on_track", .has_value = true, .has_progress = true},
                              .traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"};
    ev.after.value = gs_dec_int(9);
    writer_wire_put_event(&b, &ev);
    ev.version = 8;
    writer_wire_put_event(&b, &ev);
    struct writer_outbox *o = writer_outbox_read(b.data, b.len);
    assert_non_null(o);
    assert_int_equal(writer_outbox_count(o), 2);
    struct writer_outbox_event e = writer_outbox_get(o, 1);
    assert_string_equal(e.id, "g42.v8");
    assert_string_equal(e.key, "42");
    assert_string_equal(e.topic, "goal.changed");
    assert_memory_equal(e.traceparent, ev.traceparent, 35); /* the same trace */
    Goalsync__V1__GoalChanged *m = goalsync__v1__goal_changed__unpack(NULL, e.len, e.payload);
    assert_non_null(m);
    assert_string_equal(m->before->value, "");
    assert_string_equal(m->after->value, "9");
    assert_string_equal(m->after->progress, "0");
    assert_int_equal(m->cause, GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_ROLLED_UP);
    goalsync__v1__goal_changed__free_unpacked(m, NULL);
    writer_outbox_free(o);
    assert_null(writer_outbox_read("\xff\xff", 2));
    gs_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_message_is_read),
        cmocka_unit_test(a_whole_requests_outcome_holds_for_its_targets),
        cmocka_unit_test(a_pushed_value_keeps_its_note),
        cmocka_unit_test(a_note_beyond_the_limit_is_refused),
        cmocka_unit_test(each_mistake_is_refused_with_a_sentence),
        cmocka_unit_test(nothing_of_a_half_good_message_is_kept),
        cmocka_unit_test(random_bytes_never_hurt),
        cmocka_unit_test(the_outbox_reads_back_what_was_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
