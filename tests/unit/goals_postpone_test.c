// goal-rules "Postpone copies": who goes along, what the copies start with, who refuses.
// links: goalsync_goals
#include "common/goals/postpone.h"
#include "tests/unit/goals_helpers.h"

#define NEW_START 200
#define NEW_END   290

static enum gs_rc plan_one(struct gs_goal *goal, const char *new_target, bool keep, struct gs_postpone_goal *ret)
{
    struct gs_goal_rules rules = gs_goal_rules_default(100);
    struct gs_postpone plan = {.goals = ret, .n_goals = 1, .start_day = NEW_START, .end_day = NEW_END};

    memset(ret, 0, sizeof *ret);
    goal->id = 7;
    ret->goal = goal;
    ret->new_target = maybe_dec(new_target, &ret->has_new_target);
    plan.keep_progress = keep;
    return gs_postpone_plan(&plan, &rules, NULL);
}

static void copies_of_one_goal(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        const char *start, *target, *value, *new_target;
        bool keep;
        enum gs_goal_metric copy; /* refused when start_out is null */
        const char *start_out, *value_out;
    } rows[] = {
        {"scoring 5a, scoring 5b, 2.9#3: 5 of 10", GS_REACH, NULL, "10", "5", NULL, false, GS_INCREASE, "5", NULL},
        {"scoring 5b: a reach below 0", GS_REACH, NULL, "-10", "-4", NULL, false, GS_DECREASE, "-4", NULL},
        {"scoring 5d: a reach at 0", GS_REACH, NULL, "10", "0", NULL, false, GS_REACH, "0", NULL},
        {"scoring 5d: a reach without a value", GS_REACH, NULL, "10", NULL, NULL, false, GS_REACH, "0", NULL},
        {"scoring 5b: a reach that went the wrong way", GS_REACH, NULL, "10", "-3", NULL, false, GS_INCREASE, "-3",
         NULL},
        {"scoring 5c: a reach at its target", GS_REACH, NULL, "10", "10", NULL, false, GS_REACH, NULL, NULL},
        {"scoring 5c: a reach past its target", GS_REACH, NULL, "10", "11", NULL, false, GS_REACH, NULL, NULL},
        {"scoring 5c: a reach below 0 past its target", GS_REACH, NULL, "-10", "-11", NULL, false, GS_REACH, NULL,
         NULL},
        {"scoring 5c: with a new target", GS_REACH, NULL, "10", "11", "20", false, GS_INCREASE, "11", NULL},
        {"scoring 5c: with a new target that is passed, too", GS_REACH, NULL, "10", "11", "11", false, GS_INCREASE,
         NULL, NULL},
        {"scoring 5a: an increase", GS_INCREASE, "1", "9", "4", NULL, false, GS_INCREASE, "4", NULL},
        {"scoring 5a: an increase without a value", GS_INCREASE, "1", "9", NULL, NULL, false, GS_INCREASE, "1", NULL},
        {"scoring 5c: an increase at its target", GS_INCREASE, "1", "9", "9", NULL, false, GS_INCREASE, NULL, NULL},
        {"scoring 5c: an increase past its target, with a new one", GS_INCREASE, "1", "9", "12", "13", false,
         GS_INCREASE, "12", NULL},
        {"scoring 5a: a decrease", GS_DECREASE, "9", "1", "4", NULL, false, GS_DECREASE, "4", NULL},
        {"scoring 5c: a decrease past its target", GS_DECREASE, "9", "1", "0.5", NULL, false, GS_DECREASE, NULL, NULL},
        {"scoring 5e: a control metric that is met", GS_STAY_BELOW, NULL, "5", "4", NULL, false, GS_STAY_BELOW, "0",
         NULL},
        {"scoring 5e: a control metric that is missed", GS_STAY_BELOW, NULL, "5", "9", NULL, false, GS_STAY_BELOW, "0",
         NULL},
        {"baseline copies have no value yet", GS_BASELINE, NULL, NULL, "4", NULL, false, GS_BASELINE, "0", NULL},
        {"scoring 5f, 2.9#3: 60 %", GS_PERCENT, NULL, NULL, "60", NULL, false, GS_PERCENT, "0", NULL},
        {"scoring 5f: 100 %", GS_PERCENT, NULL, NULL, "100", NULL, false, GS_PERCENT, "0", NULL},
        {"scoring 5a: an increase that went the wrong way", GS_INCREASE, "1", "9", "-4", NULL, false, GS_INCREASE, "-4",
         NULL},
        {"scoring 5c: a decrease at its target", GS_DECREASE, "9", "1", "1", NULL, false, GS_DECREASE, NULL, NULL},
        {"scoring 5c: a new target on the other side", GS_REACH, NULL, "10", "5", "-10", false, GS_REACH, NULL, NULL},
        {"scoring 5c: a reach at 0 with a new target of 0", GS_REACH, NULL, "10", "0", "0", false, GS_REACH, NULL,
         NULL},
        {"scoring 5g, scoring 5c: a new target besides", GS_INCREASE, "1", "9", "12", "20", true, GS_INCREASE, "1",
         "12"},
        {"scoring 5g: a control metric", GS_STAY_BELOW, NULL, "5", "4", NULL, true, GS_STAY_BELOW, "0", "4"},
        {"scoring 5g: a reach", GS_REACH, NULL, "10", "5", NULL, true, GS_REACH, "0", "5"},
        {"scoring 5g: an increase", GS_INCREASE, "1", "9", "4", NULL, true, GS_INCREASE, "1", "4"},
        {"scoring 5g: past its target", GS_INCREASE, "1", "9", "12", NULL, true, GS_INCREASE, "1", "12"},
        {"scoring 5g: 60 %", GS_PERCENT, NULL, NULL, "60", NULL, true, GS_PERCENT, "0", "60"},
        {"scoring 5g: nothing to keep", GS_PERCENT, NULL, NULL, NULL, NULL, true, GS_PERCENT, "0", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal =
            with_value(metric_goal(rows[i].metric, rows[i].start, rows[i].target, NULL), rows[i].value, 50);
        struct gs_postpone_goal planned;
        enum gs_rc rc = plan_one(&goal, rows[i].new_target, rows[i].keep, &planned);
        expect_int(rows[i].rule, rc, rows[i].start_out ? GS_OK : GS_REJECT);
        expect_int(rows[i].rule, planned.fate, rows[i].start_out ? GS_COPIED : GS_REFUSED);
        if (!rows[i].start_out)
            continue;
        expect_text(rows[i].rule, gs_goal_metric_name(planned.copy.metric), gs_goal_metric_name(rows[i].copy));
        expect_dec(rows[i].rule, gs_goal_start(&planned.copy), rows[i].start_out);
        expect_int(rows[i].rule, planned.copy.has_value, rows[i].value_out != NULL);
        if (rows[i].value_out)
            expect_dec(rows[i].rule, planned.copy.applied_value, rows[i].value_out);
        else
            expect_status(rows[i].rule, planned.copy.status, GS_NOT_STARTED);
        if (!rows[i].keep)
            expect_dec(rows[i].rule, planned.copy.progress, "0");
        else if (!rows[i].new_target)
            assert_true(planned.copy.progress.u == goal.progress.u);
        assert_int_equal(gs_goal_validate(&planned.copy, NULL), GS_OK);
    }
}

static void a_copy_is_fresh(void **state)
{
    struct gs_goal goal = with_value(metric_goal(GS_REACH, NULL, "10", NULL), "5", 50);
    struct gs_postpone_goal planned;

    (void)state;
    goal.mode = GS_DATA_SOURCE;
    goal.override = GS_STICKY;
    goal.status = GS_AT_RISK;
    goal.status_by_hand = true;
    goal.unit = "EUR";
    assert_int_equal(plan_one(&goal, NULL, true, &planned), GS_OK);
    expect_int("scoring 4c: overrides go", planned.copy.override, GS_NOT_OVERRIDDEN);
    assert_false(planned.copy.status_by_hand);
    expect_int("scoring 4c: the new period's days", planned.copy.start_day, NEW_START);
    expect_int("scoring 4c: the new period's days", planned.copy.end_day, NEW_END);
    expect_status("derived anew", planned.copy.status, GS_ON_TRACK);
    expect_int("a copy is not stored yet", planned.copy.id, 0);
    expect_int("the way of progress stays", planned.copy.mode, GS_DATA_SOURCE);
    expect_text("the unit stays", planned.copy.unit, "EUR");
    assert_true(planned.copy.has_auto);
    expect_dec("the kept value is the automatic one of an automatic goal", planned.copy.auto_value, "5");
    goal.mode = GS_MANUAL;
    assert_int_equal(plan_one(&goal, NULL, true, &planned), GS_OK);
    assert_false(planned.copy.has_auto);
    goal.mode = GS_DATA_SOURCE;
    goal.kind = GS_PROJECT;
    assert_int_equal(plan_one(&goal, NULL, true, &planned), GS_OK);
    expect_dec("a project that is not its tasks keeps progress too", planned.copy.applied_value, "5");
    assert_int_equal(plan_one(&goal, NULL, false, &planned), GS_OK);
    assert_false(planned.copy.has_auto);
}

/* ---- A subtree: 0 objective; 1 EUR 10 of 100, 2 EUR from 5 without a value, 3 closed, 4 below 3 only, 5 below 1 and
 * 3, 6 project with tasks, 7 other unit. */

enum { ROOT, MONEY, LATER, DONE, UNDER_DONE, SHARED, PROJECT, DOLLARS, GOALS };

struct tree {
    struct gs_goal goals[GOALS];
    struct gs_postpone_goal planned[GOALS];
    struct gs_postpone_edge edges[16];
    struct gs_postpone plan;
};

static void align(struct tree *tree, size_t parent, size_t child, int32_t weight)
{
    tree->edges[tree->plan.n_edges++] =
        (struct gs_postpone_edge){.parent = parent, .child = child, .weight = weight, .contributes = true};
}

static void grow(struct tree *tree)
{
    memset(tree, 0, sizeof *tree);
    tree->goals[ROOT] = metric_goal(GS_REACH, NULL, "1000", NULL);
    tree->goals[ROOT].mode = GS_ROLL_UP;
    tree->goals[ROOT].kind = GS_OBJECTIVE;
    tree->goals[MONEY] = with_value(metric_goal(GS_REACH, NULL, "100", NULL), "10", 50);
    tree->goals[LATER] = metric_goal(GS_INCREASE, "5", "50", NULL);
    tree->goals[DONE] = with_value(metric_goal(GS_REACH, NULL, "100", NULL), "100", 50);
    (void)gs_goal_close(&tree->goals[DONE], GS_CLOSED);
    tree->goals[UNDER_DONE] = percent_goal("50");
    tree->goals[SHARED] = percent_goal("50");
    tree->goals[PROJECT] = (struct gs_goal){.kind = GS_PROJECT, .mode = GS_ROLL_UP, .tasks_done = 3, .tasks_all = 5};
    tree->goals[DOLLARS] = with_value(metric_goal(GS_REACH, NULL, "100", NULL), "70", 50);
    for (int i = 0; i < GOALS; i++) {
        tree->goals[i].id = 100 + i;
        tree->goals[i].unit = i == DOLLARS ? "$" : "EUR";
        tree->planned[i].goal = &tree->goals[i];
    }
    tree->plan = (struct gs_postpone){
        .goals = tree->planned, .n_goals = GOALS, .edges = tree->edges, .start_day = NEW_START, .end_day = NEW_END};
    /* Deep edges first: their order must not matter. */
    align(tree, DONE, SHARED, GS_WEIGHT_FREE);
    align(tree, DONE, UNDER_DONE, GS_WEIGHT_FREE);
    align(tree, MONEY, SHARED, GS_WEIGHT_FREE);
    align(tree, ROOT, MONEY, 4200);
    align(tree, ROOT, LATER, GS_WEIGHT_FREE);
    align(tree, ROOT, DONE, GS_WEIGHT_FREE);
    align(tree, ROOT, PROJECT, 0);
    align(tree, ROOT, DOLLARS, GS_WEIGHT_FREE);
    tree->planned[SHARED].other_parents = true;
    tree->planned[UNDER_DONE].other_parents = true;
}

static enum gs_rc plan_tree(struct tree *tree, struct gs_err *err)
{
    struct gs_goal_rules rules = gs_goal_rules_default(100);

    return gs_postpone_plan(&tree->plan, &rules, err);
}

static void a_subtree_goes_along(void **state)
{
    static const struct {
        const char *rule;
        int goal;
        enum gs_goal_status before; /* by hand, but not NOT_STARTED, which changes nothing; closed ones are anyway */
        enum gs_postpone_fate fate;
        bool named;
    } rows[] = {
        {"scoring 4b: the goal itself", ROOT, GS_NOT_STARTED, GS_COPIED, false},
        {"scoring 4a: an open one", MONEY, GS_NOT_STARTED, GS_COPIED, false},
        {"scoring 4a: one that was reopened", MONEY, GS_REOPENED, GS_COPIED, false},
        {"scoring 4a: one that was postponed by itself before goes along again", MONEY, GS_POSTPONED, GS_COPIED, false},
        {"scoring 4a: one that was closed is skipped", MONEY, GS_CLOSED, GS_LEFT, false},
        {"scoring 4a: one without a value", LATER, GS_NOT_STARTED, GS_COPIED, false},
        {"scoring 4a: a closed one is skipped", DONE, GS_NOT_STARTED, GS_LEFT, false},
        {"scoring 4a: what stands below a closed one alone is skipped, and not named", UNDER_DONE, GS_NOT_STARTED,
         GS_LEFT, false},
        {"scoring 4a: what has other parents, too, goes along by name", SHARED, GS_NOT_STARTED, GS_COPIED, true},
        {"scoring 4a: a closed one that has other parents is skipped, and not named", SHARED, GS_CLOSED, GS_LEFT,
         false},
        {"scoring 4a: a project", PROJECT, GS_NOT_STARTED, GS_COPIED, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct tree tree;
        grow(&tree);
        if (rows[i].before != GS_NOT_STARTED) {
            tree.goals[rows[i].goal].status = rows[i].before;
            tree.goals[rows[i].goal].status_by_hand = true;
        }
        assert_int_equal(plan_tree(&tree, NULL), GS_OK);
        expect_int(rows[i].rule, tree.planned[rows[i].goal].fate, rows[i].fate);
        expect_int(rows[i].rule, tree.planned[rows[i].goal].named, rows[i].named);
    }
}

static void alignments_go_along(void **state)
{
    static const struct {
        const char *rule;
        size_t edge; /* as grow() made them */
        bool copied;
    } rows[] = {
        {"scoring 4a: from a closed goal", 0, false},
        {"scoring 4a: from a closed goal to what stands nowhere else", 1, false},
        {"scoring 4a: between two that go along", 2, true},
        {"scoring 4c: from the goal itself", 3, true},
        {"scoring 4a: to a closed goal", 5, false},
        {"scoring 4c: to a project", 6, true},
    };
    struct tree tree, before;

    (void)state;
    grow(&tree);
    before = tree;
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct gs_postpone_edge *edge = &tree.edges[rows[i].edge], *was = &before.edges[rows[i].edge];
        expect_int(rows[i].rule, edge->copied, rows[i].copied);
        expect_int("scoring 4c: weights stay", edge->weight, was->weight);
        expect_int("scoring 4c: who counts stays", edge->contributes, was->contributes);
    }
    expect_int("scoring 4a: a project takes what is left to do", tree.planned[PROJECT].copy.tasks_all, 2);
    expect_int("scoring 4a: none of it is done", tree.planned[PROJECT].copy.tasks_done, 0);
    expect_dec("scoring 5h: 10 and 5 of the same unit", tree.planned[ROOT].copy.start, "15");
    expect_int("scoring 5h, scoring 5b: it is no reach any more", tree.planned[ROOT].copy.metric, GS_INCREASE);
    assert_int_equal(plan_tree(&tree, NULL), GS_OK); /* planning again gives the same */
    expect_dec("again", tree.planned[ROOT].copy.start, "15");
}

static void sums_of_starts(void **state)
{
    struct tree tree;

    (void)state;
    grow(&tree);
    tree.edges[3].contributes = tree.edges[4].contributes = false;
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    expect_dec("scoring 5h: none of them contributes", gs_goal_start(&tree.planned[ROOT].copy), "0");
    expect_int("scoring 5h, scoring 5d: it stays a reach", tree.planned[ROOT].copy.metric, GS_REACH);
    grow(&tree); /* a numeric roll-up in the middle is made before its parent */
    tree.goals[MONEY].mode = GS_ROLL_UP;
    align(&tree, MONEY, DOLLARS, GS_WEIGHT_FREE);
    tree.goals[DOLLARS].unit = "EUR";
    tree.edges[7].contributes = false;
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    expect_dec("scoring 5h: starts of starts", tree.planned[MONEY].copy.start, "70");
    expect_dec("scoring 5h: starts of starts", tree.planned[ROOT].copy.start, "75");
    grow(&tree);
    tree.plan.keep_progress = true;
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    expect_int("scoring 5g: a number that rolls up keeps its start", tree.planned[ROOT].copy.metric, GS_REACH);
    expect_dec("scoring 5g: keeps values", tree.planned[MONEY].copy.applied_value, "10");
    assert_false(tree.planned[PROJECT].copy.has_value);
}

static void the_whole_postponement_is_refused(void **state)
{
    struct tree tree;
    struct gs_err err = {0};

    (void)state;
    grow(&tree);
    tree.goals[MONEY].applied_value = dec("100");
    tree.goals[DOLLARS].applied_value = dec("101");
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "2 in all"));
    assert_non_null(strstr(err.text, "101, 107"));
    expect_int("scoring 5c: one at its target", tree.planned[MONEY].fate, GS_REFUSED);
    expect_int("scoring 5c: one past its target", tree.planned[DOLLARS].fate, GS_REFUSED);
    expect_int("scoring 5c: but not this one", tree.planned[LATER].fate, GS_COPIED);
    tree.planned[MONEY].has_new_target = tree.planned[DOLLARS].has_new_target = true;
    tree.planned[MONEY].new_target = tree.planned[DOLLARS].new_target = dec("200");
    assert_int_equal(plan_tree(&tree, &err), GS_OK);
    expect_dec("scoring 5c: new targets come with it", tree.planned[MONEY].copy.target, "200");
}

static void only_the_first_refused_are_named(void **state)
{
    struct gs_goal goal = with_value(metric_goal(GS_REACH, NULL, "1", NULL), "1", 0);
    struct gs_postpone_goal planned[30] = {{.goal = &goal}};
    struct gs_postpone_edge edges[29];
    struct gs_postpone plan = {.goals = planned, .n_goals = 30, .edges = edges, .n_edges = 29};
    struct gs_goal_rules rules = gs_goal_rules_default(0);
    struct gs_err err;

    (void)state;
    goal.id = INT64_MIN; /* the longest text */
    for (size_t i = 1; i < 30; i++) {
        planned[i] = planned[0];
        edges[i - 1] = (struct gs_postpone_edge){.parent = 0, .child = i};
    }
    assert_int_equal(gs_postpone_plan(&plan, &rules, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "30 in all"));
    assert_non_null(strstr(err.text, "-9223372036854775808, ..."));
    plan.n_goals = GS_POSTPONE_MAX + 1;
    assert_int_equal(gs_postpone_plan(&plan, &rules, &err), GS_REJECT);
}

static void bad_plans(void **state)
{
    struct tree tree;
    struct gs_err err;

    (void)state;
    grow(&tree);
    (void)gs_goal_close(&tree.goals[ROOT], GS_CLOSED);
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
    grow(&tree);
    (void)gs_goal_close(&tree.goals[ROOT], GS_POSTPONED);
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
    grow(&tree);
    tree.plan.end_day = NEW_START - 1;
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
    grow(&tree);
    align(&tree, SHARED, MONEY, GS_WEIGHT_FREE);
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "circle"));
    grow(&tree);
    align(&tree, ROOT, GOALS, GS_WEIGHT_FREE);
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
    tree.plan.n_goals = 0;
    assert_int_equal(plan_tree(&tree, &err), GS_REJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_one_goal),
        cmocka_unit_test(a_copy_is_fresh),
        cmocka_unit_test(a_subtree_goes_along),
        cmocka_unit_test(alignments_go_along),
        cmocka_unit_test(sums_of_starts),
        cmocka_unit_test(the_whole_postponement_is_refused),
        cmocka_unit_test(only_the_first_refused_are_named),
        cmocka_unit_test(bad_plans),
    };

    return run_seeded(tests);
}
