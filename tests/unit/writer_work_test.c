// links: goalsync_writer goalsync_goals goalsync_proto
/* The rules of one transaction on loaded rows: what is applied, skipped, counted, rolled up. No I/O. */
#include "common/mem.h"
#include "services/progress_writer/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR INT64_C(3600000000)
#define NOW  (1000 * HOUR)

struct fixture {
    struct writer_work w;
    struct writer_result results[8];
    size_t n;
};

static int setup(void **state)
{
    struct fixture *f = gs_alloc(sizeof *f);
    writer_work_init(&f->w);
    f->w.results = gs_alloc_n(8, sizeof *f->w.results);
    f->w.period_us = HOUR;
    struct writer_org *o = writer_list_add(&f->w.orgs);
    o->id = 1;
    o->rules = gs_goal_rules_default(50);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    writer_work_done(&f->w);
    free(f);
    return 0;
}

static struct gs_goal reach(int64_t id)
{
    return (struct gs_goal){.id = id,
                            .kind = GS_KEY_RESULT,
                            .metric = GS_REACH,
                            .mode = GS_DATA_SOURCE,
                            .has_target = true,
                            .target = gs_dec_int(100),
                            .start_day = 0,
                            .end_day = 100};
}

static struct writer_link *add_link(struct fixture *f, int64_t id)
{
    struct writer_link *l = writer_list_add(&f->w.links);
    l->id = id;
    l->revision = 1;
    l->active = l->open = l->answered = true;
    l->g.goal = reach(100 + id);
    l->g.org_id = 1;
    writer_goal_mark(&l->g);
    return l;
}

static struct writer_result *add_result(struct fixture *f, int64_t link_id, int64_t slot, int64_t value)
{
    struct writer_result *r = &f->results[f->n];
    *r = (struct writer_result){.link_id = link_id,
                                .batch_id = link_id,
                                .org_id = 1,
                                .slot_us = slot * HOUR,
                                .fetched_at_us = slot * HOUR,
                                .revision = 1,
                                .attempt = 1,
                                .value = gs_dec_int(value)};
    f->w.results[f->n++] = r;
    f->w.n_results = f->n;
    return r;
}

static void several_results_apply_in_order_with_one_event(void **state)
{
    struct fixture *f = *state;
    struct writer_link *l = add_link(f, 1);
    add_result(f, 1, 1, 10);
    add_result(f, 1, 2, 20);
    add_result(f, 1, 2, 30); /* the same slot again: not applied */
    add_result(f, 1, 3, 20); /* unchanged */
    writer_apply(&f->w, NOW);
    assert_int_equal(f->w.counts[WRITER_N_APPLIED], 2);
    assert_int_equal(f->w.counts[WRITER_N_DUPLICATE], 1);
    assert_int_equal(f->w.counts[WRITER_N_UNCHANGED], 1);
    assert_int_equal(f->w.observations.n, 2);
    assert_int_equal(gs_dec_cmp(l->g.goal.applied_value, gs_dec_int(20)), 0);
    assert_int_equal(l->g.version, 1);
    assert_int_equal(l->last_slot, 3 * HOUR);
    assert_int_equal(f->w.seeds.n, 1);
    struct writer_outbox *o = writer_outbox_read(f->w.events.data, f->w.events.len);
    assert_int_equal(writer_outbox_count(o), 1);
    writer_outbox_free(o);
}

static void a_note_is_said_once_with_its_value(void **state)
{
    struct fixture *f = *state;
    add_link(f, 1);
    struct writer_result *first = add_result(f, 1, 1, 10), *again = add_result(f, 1, 1, 10),
                         *same = add_result(f, 1, 2, 10);
    first->note = again->note = (char *)(uintptr_t) "by \"hand\"";
    same->note = (char *)(uintptr_t) "still";
    writer_apply(&f->w, NOW);
    assert_int_equal(f->w.counts[WRITER_N_DUPLICATE], 1);
    assert_int_equal(f->w.counts[WRITER_N_UNCHANGED], 1);
    size_t notes = 0;
    for (size_t i = 0; i < f->w.activities.n; i++)
        notes += strcmp(f->w.activities.items[i].kind, "value_pushed") == 0;
    assert_int_equal(notes, 2);
    assert_string_equal(f->w.activities.items[0].data, "{\"value\": \"10\", \"note\": \"by \\\"hand\\\"\"}");
}

static void gates_and_revisions_skip(void **state)
{
    struct fixture *f = *state;
    add_link(f, 1)->open = false;
    add_link(f, 2)->active = false;
    add_link(f, 3)->revision = 2;
    struct writer_link *closed = add_link(f, 4);
    closed->g.goal.status = GS_CLOSED;
    closed->g.goal.status_by_hand = true;
    for (int64_t id = 1; id <= 5; id++) /* there is no link 5 */
        add_result(f, id, 1, 10);
    writer_apply(&f->w, NOW);
    assert_int_equal(f->w.counts[WRITER_N_PAUSED], 3);
    assert_int_equal(f->w.counts[WRITER_N_SUPERSEDED], 2);
    assert_int_equal(f->w.events.len, 0);
    for (size_t i = 0; i < f->w.links.n; i++)
        assert_false(f->w.links.items[i].touched);
}

static void a_failure_counts_once_and_never_touches_the_value(void **state)
{
    struct fixture *f = *state;
    struct writer_link *l = add_link(f, 1);
    l->last_slot = HOUR;
    l->g.goal.has_value = l->g.goal.has_applied = l->g.goal.has_auto = true;
    l->g.goal.applied_value = l->g.goal.auto_value = gs_dec_int(40);
    struct writer_result *r[3] = {add_result(f, 1, 1, 0), add_result(f, 1, 2, 0), add_result(f, 1, 2, 0)};
    for (int i = 0; i < 3; i++) {
        r[i]->outcome = WRITER_RETRY;
        r[i]->error = gs_strdup("no answer");
    }
    writer_apply(&f->w, NOW);
    assert_int_equal(f->w.counts[WRITER_N_DUPLICATE], 2); /* older than the last applied; counted already */
    assert_int_equal(f->w.counts[WRITER_N_FAILED], 1);
    assert_int_equal(l->failures, 1);
    assert_int_equal(l->g.changes, 0);
    assert_false(l->touched);
    assert_int_equal(f->w.again.n, 1);
    assert_int_equal(f->w.again.items[0].attempt, 1);
    assert_in_range(f->w.again.items[0].delay_us, 22000000, 30000000);
    for (int i = 0; i < 3; i++)
        free(r[i]->error);
}

static void pauses_grow_to_half_a_period(void **state)
{
    struct fixture *f = *state;
    struct writer_link *l = add_link(f, 1);
    for (int32_t attempt = 1; attempt <= 40; attempt++) {
        struct writer_result r = {.link_id = 1, .slot_us = HOUR, .attempt = attempt, .outcome = WRITER_RETRY};
        f->w.again.n = 0;
        writer_fail(&f->w, l, &r, NOW);
        assert_int_equal(f->w.again.n, 1);
        int64_t ceiling = attempt < 7 ? INT64_C(30000000) << (attempt - 1) : HOUR / 2;
        assert_in_range(f->w.again.items[0].delay_us, ceiling - ceiling / 4 - 1, ceiling);
    }
    assert_int_equal(l->failures, 40);
}

static struct writer_goal *add_ancestor(struct fixture *f, int64_t id)
{
    struct writer_goal *g = writer_list_add(&f->w.ancestors);
    g->goal = (struct gs_goal){.id = id, .mode = GS_ROLL_UP, .start_day = 0, .end_day = 100};
    g->org_id = 1;
    writer_goal_mark(g);
    return g;
}

static void add_edge(struct fixture *f, int64_t parent, int64_t child, int64_t progress)
{
    struct writer_edge *e = writer_list_add(&f->w.edges);
    e->parent_id = parent;
    e->child_id = child;
    e->child.weight = GS_WEIGHT_FREE;
    e->child.contributes = true;
    e->goal = reach(child);
    e->goal.has_value = e->goal.has_applied = progress >= 0;
    if (progress >= 0)
        e->goal.progress = e->goal.applied_value = gs_dec_int(progress);
}

/* 1 stands above 2 and 3, which both stand above 4; and ids say nothing about height. */
static void a_diamond_is_computed_bottom_up(void **state)
{
    struct fixture *f = *state;
    for (int64_t id = 1; id <= 4; id++)
        add_ancestor(f, id);
    add_edge(f, 1, 2, -1);
    add_edge(f, 1, 3, -1);
    add_edge(f, 2, 4, -1);
    add_edge(f, 2, 50, 100);
    add_edge(f, 3, 4, -1);
    add_edge(f, 4, 51, 20);
    add_edge(f, 4, 52, 40);
    writer_roll_up(&f->w, NOW);
    const int64_t expected[4] = {0, 65, 30, 30};
    for (int i = 1; i < 4; i++)
        assert_int_equal(gs_dec_cmp(f->w.ancestors.items[i].goal.progress, gs_dec_int(expected[i])), 0);
    struct gs_dec top;
    assert_int_equal(gs_dec_parse("47.5", 4, &top, NULL), GS_OK);
    assert_int_equal(gs_dec_cmp(f->w.ancestors.items[0].goal.progress, top), 0);
    assert_int_equal(f->w.counts[WRITER_N_ROLLED_UP], 4);
}

static void a_circle_ends(void **state)
{
    struct fixture *f = *state;
    add_ancestor(f, 1);
    add_ancestor(f, 2);
    add_edge(f, 1, 2, -1);
    add_edge(f, 2, 1, -1);
    writer_roll_up(&f->w, NOW);
    assert_int_equal(f->w.counts[WRITER_N_ROLLED_UP], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_results_apply_in_order_with_one_event, setup, teardown),
        cmocka_unit_test_setup_teardown(a_note_is_said_once_with_its_value, setup, teardown),
        cmocka_unit_test_setup_teardown(gates_and_revisions_skip, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_counts_once_and_never_touches_the_value, setup, teardown),
        cmocka_unit_test_setup_teardown(pauses_grow_to_half_a_period, setup, teardown),
        cmocka_unit_test_setup_teardown(a_diamond_is_computed_bottom_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circle_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
