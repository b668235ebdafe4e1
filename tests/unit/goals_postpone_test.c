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
        {"2.9 reach 5 of 10: start 5", GS_REACH, NULL, "10", "5", NULL, false, GS_INCREASE, "5", NULL},
        {"a reach with a negative target becomes a decrease", GS_REACH, NULL, "-10", "-4", NULL, false, GS_DECREASE,
         "-4", NULL},
        {"a reach at 0 stays a reach", GS_REACH, NULL, "10", "0", NULL, false, GS_REACH, "0", NULL},
        {"a reach without a value stays a reach", GS_REACH, NULL, "10", NULL, NULL, false, GS_REACH, "0", NULL},
        {"a reach below 0", GS_REACH, NULL, "10", "-3", NULL, false, GS_INCREASE, "-3", NULL},
        {"a reach at its target is refused", GS_REACH, NULL, "10", "10", NULL, false, GS_REACH, NULL, NULL},
        {"a reach past its target is refused", GS_REACH, NULL, "10", "11", NULL, false, GS_REACH, NULL, NULL},
        {"a negative reach past its target", GS_REACH, NULL, "-10", "-11", NULL, false, GS_REACH, NULL, NULL},
        {"unless a new target comes with it", GS_REACH, NULL, "10", "11", "20", false, GS_INCREASE, "11", NULL},
        {"a new target that is passed too", GS_REACH, NULL, "10", "11", "11", false, GS_INCREASE, NULL, NULL},
        {"increase starts at the current value", GS_INCREASE, "1", "9", "4", NULL, false, GS_INCREASE, "4", NULL},
        {"increase without a value keeps its start", GS_INCREASE, "1", "9", NULL, NULL, false, GS_INCREASE, "1", NULL},
        {"increase at its target", GS_INCREASE, "1", "9", "9", NULL, false, GS_INCREASE, NULL, NULL},
        {"increase past its target, new target", GS_INCREASE, "1", "9", "12", "13", false, GS_INCREASE, "12", NULL},
        {"decrease starts at the current value", GS_DECREASE, "9", "1", "4", NULL, false, GS_DECREASE, "4", NULL},
        {"decrease past its target", GS_DECREASE, "9", "1", "0.5", NULL, false, GS_DECREASE, NULL, NULL},
        {"control copies have no value yet", GS_STAY_BELOW, NULL, "5", "4", NULL, false, GS_STAY_BELOW, "0", NULL},
        {"control past its threshold is no matter", GS_STAY_BELOW, NULL, "5", "9", NULL, false, GS_STAY_BELOW, "0",
         NULL},
        {"baseline copies have no value yet", GS_BASELINE, NULL, NULL, "4", NULL, false, GS_BASELINE, "0", NULL},
        {"percent copies start at 0", GS_PERCENT, NULL, NULL, "60", NULL, false, GS_PERCENT, "0", NULL},
        {"percent at 100 starts at 0", GS_PERCENT, NULL, NULL, "100", NULL, false, GS_PERCENT, "0", NULL},
        {"keep progress keeps value and start: reach", GS_REACH, NULL, "10", "5", NULL, true, GS_REACH, "0", "5"},
        {"keep progress: increase", GS_INCREASE, "1", "9", "4", NULL, true, GS_INCREASE, "1", "4"},
        {"keep progress: past the target", GS_INCREASE, "1", "9", "12", NULL, true, GS_INCREASE, "1", "12"},
        {"keep progress: percent", GS_PERCENT, NULL, NULL, "60", NULL, true, GS_PERCENT, "0", "60"},
        {"keep progress: nothing to keep", GS_PERCENT, NULL, NULL, NULL, NULL, true, GS_PERCENT, "0", NULL},
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
        else
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
    expect_int("overrides go", planned.copy.override, GS_NOT_OVERRIDDEN);
    assert_false(planned.copy.status_by_hand);
    expect_int("dates are the new period's", planned.copy.start_day, NEW_START);
    expect_int("dates are the new period's", planned.copy.end_day, NEW_END);
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
    static const bool copied[GOALS] = {true, true, true, false, false, true, true, true};
    static const bool edges[] = {false, false, true, true, true, false, true, true};
    struct tree tree;

    (void)state;
    grow(&tree);
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    for (int i = 0; i < GOALS; i++)
        expect_int("closed descendants are skipped", tree.planned[i].fate, copied[i] ? GS_COPIED : GS_LEFT);
    for (size_t i = 0; i < tree.plan.n_edges; i++)
        expect_int("alignments among copies", tree.edges[i].copied, edges[i]);
    expect_int("weights stay", tree.edges[3].weight, 4200);
    assert_true(tree.planned[SHARED].named); /* the dialog names a child that also has other parents */
    assert_false(tree.planned[UNDER_DONE].named);
    assert_false(tree.planned[MONEY].named);
    expect_int("a project takes only its unfinished tasks", tree.planned[PROJECT].copy.tasks_all, 2);
    expect_int("none of them done", tree.planned[PROJECT].copy.tasks_done, 0);
    expect_dec("a numeric roll-up starts at its copied children's starts", tree.planned[ROOT].copy.start, "15");
    expect_int("so it is no reach any more", tree.planned[ROOT].copy.metric, GS_INCREASE);
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
    expect_dec("0 where there is none", gs_goal_start(&tree.planned[ROOT].copy), "0");
    expect_int("and it stays a reach", tree.planned[ROOT].copy.metric, GS_REACH);
    grow(&tree); /* a numeric roll-up in the middle is made before its parent */
    tree.goals[MONEY].mode = GS_ROLL_UP;
    align(&tree, MONEY, DOLLARS, GS_WEIGHT_FREE);
    tree.goals[DOLLARS].unit = "EUR";
    tree.edges[7].contributes = false;
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    expect_dec("starts of starts", tree.planned[MONEY].copy.start, "70");
    expect_dec("starts of starts", tree.planned[ROOT].copy.start, "75");
    grow(&tree);
    tree.plan.keep_progress = true;
    assert_int_equal(plan_tree(&tree, NULL), GS_OK);
    expect_int("keep progress keeps the start", tree.planned[ROOT].copy.metric, GS_REACH);
    expect_dec("keep progress keeps values", tree.planned[MONEY].copy.applied_value, "10");
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
    expect_int("named", tree.planned[MONEY].fate, GS_REFUSED);
    expect_int("named", tree.planned[DOLLARS].fate, GS_REFUSED);
    expect_int("not this one", tree.planned[LATER].fate, GS_COPIED);
    tree.planned[MONEY].has_new_target = tree.planned[DOLLARS].has_new_target = true;
    tree.planned[MONEY].new_target = tree.planned[DOLLARS].new_target = dec("200");
    assert_int_equal(plan_tree(&tree, &err), GS_OK);
    expect_dec("unless new targets come with it", tree.planned[MONEY].copy.target, "200");
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
        cmocka_unit_test(sums_of_starts),
        cmocka_unit_test(the_whole_postponement_is_refused),
        cmocka_unit_test(only_the_first_refused_are_named),
        cmocka_unit_test(bad_plans),
    };

    return run_seeded(tests);
}
