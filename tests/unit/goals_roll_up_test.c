// goal-rules "Weights and roll-up": averages, sums, baselines, projects; the order of children and of arrival.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#define MAX  8
#define FREE GS_WEIGHT_FREE

/* ---- Averages */

static void averages(void **state)
{
    static const struct {
        const char *rule;
        const char *values[MAX]; /* "-" is none */
        int32_t weights[MAX];
        const char *mean; /* null: no value */
    } rows[] = {
        {"2.4#2 equal shares 0, 25, 20", {"0", "25", "20"}, {FREE, FREE, FREE}, "15"},
        {"2.4#3 weighted", {"10", "90"}, {7500, 2500}, "30"},
        {"exact thirds, not 33.33", {"100", "0", "0"}, {FREE, FREE, FREE}, "33.333333333333333333"},
        {"a whole of thirds", {"100", "100", "100"}, {FREE, FREE, FREE}, "100"},
        {"half fixed, halves free", {"100", "50", "0"}, {5000, FREE, FREE}, "62.5"},
        {"fixed make 100, the free one has 0", {"10", "20", "100"}, {5000, 5000, FREE}, "15"},
        {"only fixed, sum 80", {"10", "90"}, {2000, 6000}, "70"},
        {"rolls up what it shows: 140 is 100", {"140", "0"}, {FREE, FREE}, "50"},
        {"rolls up what it shows: -5 is 0", {"-5", "50"}, {FREE, FREE}, "25"},
        {"without a value counts 0", {"-", "50"}, {FREE, FREE}, "25"},
        {"nobody has a value", {"-", "-"}, {FREE, FREE}, NULL},
        {"all weights 0", {"50", "50"}, {0, 0}, NULL},
        {"only a child of weight 0 has a value", {"50", "-"}, {0, FREE}, NULL},
        {"no child", {0}, {0}, NULL},
        {"2.4#8 a guard at weight 0 leaves the average alone", {"0", "60"}, {0, FREE}, "60"},
    };

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct gs_goal goals[MAX], parent = roll_up_goal();
        struct gs_goal_child children[MAX];
        struct gs_goal_rules rules = gs_goal_rules_default(0);
        size_t n = 0;
        for (; n < MAX && rows[r].values[n]; n++) {
            goals[n] = percent_goal(rows[r].values[n][0] == '-' && !rows[r].values[n][1] ? NULL : rows[r].values[n]);
            children[n] = child_of(&goals[n], rows[r].weights[n], (int32_t)n);
        }
        (void)gs_goal_roll_up(&parent, children, n, &rules);
        expect_int(rows[r].rule, parent.has_value, rows[r].mean != NULL);
        expect_dec(rows[r].rule, parent.progress, rows[r].mean ? rows[r].mean : "0");
        expect_int(rows[r].rule, gs_goal_roll_up(&parent, children, n, &rules), 0);
    }
}

static void members_of_an_average(void **state)
{
    struct gs_goal a = percent_goal("30"), b = percent_goal("90"), parent = roll_up_goal();
    struct gs_goal_child children[2] = {child_of(&a, FREE, 0), child_of(&b, FREE, 1)};
    struct gs_goal_rules rules = gs_goal_rules_default(0);

    (void)state;
    (void)gs_goal_close(&b, GS_CLOSED);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("closed children count with their final value", parent.progress, "60");
    (void)gs_goal_close(&b, GS_POSTPONED);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("postponed ones leave", parent.progress, "30");
    b.status_by_hand = false;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("also by derived status", parent.progress, "30");
    b = with_value(metric_goal(GS_BASELINE, NULL, NULL, NULL), "1000", 0);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("baseline children are outside an average", parent.progress, "30");
    b = with_value(metric_goal(GS_STAY_BELOW, NULL, "5", NULL), "4", 0);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("2.4#8 control contributes its 100", parent.progress, "65");
    b = with_value(b, "5", 0);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("2.4#8 control contributes its 0", parent.progress, "15");
    children[1].contributes = false;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("what does not contribute leaves", parent.progress, "30");
    (void)gs_goal_close(&a, GS_POSTPONED);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    assert_false(parent.has_value);
    expect_dec("all postponed: progress 0, no value", parent.progress, "0");
    a.status = GS_ON_TRACK;
    parent.metric = GS_STAY_BELOW; /* refused when defined */
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    assert_false(parent.has_value);
    parent.mode = GS_MANUAL;
    expect_int("other modes are left alone", gs_goal_roll_up(&parent, children, 2, &rules), 0);
}

static void percent_metric_follows_the_average(void **state)
{
    struct gs_goal goals[3] = {percent_goal("0"), percent_goal("25"), percent_goal("20")};
    struct gs_goal_child children[3];
    struct gs_goal_rules rules = gs_goal_rules_default(0);
    struct gs_goal parent = metric_goal(GS_INCREASE, "30", "60", NULL);

    (void)state;
    for (int i = 0; i < 3; i++)
        children[i] = child_of(&goals[i], FREE, i);
    parent.mode = GS_ROLL_UP;
    parent.unit = "%";
    (void)gs_goal_roll_up(&parent, children, 3, &rules);
    expect_dec("2.4#4 15 % from 30 to 60", parent.applied_value, "34.5");
    expect_dec("2.4#4 progress is the mean", parent.progress, "15");
    parent.metric = GS_DECREASE;
    parent.start = dec("60");
    parent.target = dec("30");
    (void)gs_goal_roll_up(&parent, children, 3, &rules);
    expect_dec("2.4#4 downwards", parent.applied_value, "55.5");
    goals[1] = percent_goal("100");
    goals[2] = percent_goal("0");
    parent.target = dec("53");
    rules.today = 1;
    parent.end_day = 3;
    (void)gs_goal_roll_up(&parent, children, 3, &rules);
    expect_dec("2.4#4 not computed back from a rounded value", parent.progress, "33.333333333333333333");
    expect_status("a third after a third of the time", parent.status, GS_ON_TRACK);
    expect_int("deriving keeps it", gs_goal_derive(&parent, &rules), 0);
    parent.override = GS_STICKY;
    parent.applied_value = dec("56.5");
    (void)gs_goal_derive(&parent, &rules);
    expect_dec("an override counts by its own value", parent.progress, "50");
}

/* ---- Sums */

static struct gs_goal number(enum gs_goal_metric metric, const char *start, const char *target, const char *value)
{
    struct gs_goal goal = with_value(metric_goal(metric, start, target, NULL), value, 0);

    goal.unit = "EUR";
    return goal;
}

static void numeric_sums(void **state)
{
    struct gs_goal goals[7] = {
        number(GS_REACH, NULL, "100", "10"),      number(GS_INCREASE, "5", "50", "7.5"),
        number(GS_DECREASE, "30", "20", "25"),    number(GS_INCREASE, "1000", "2000", NULL),
        number(GS_REACH, NULL, "100", NULL),      number(GS_REACH, NULL, "100", "1"),
        number(GS_STAY_BELOW, NULL, "100", "50"),
    };
    struct gs_goal_child children[7];
    struct gs_goal_rules rules = gs_goal_rules_default(0);
    struct gs_goal parent = metric_goal(GS_REACH, NULL, "2085", NULL);

    (void)state;
    for (int i = 0; i < 7; i++)
        children[i] = child_of(&goals[i], i < 3 ? 5000 : FREE, i);
    parent.mode = GS_ROLL_UP;
    parent.unit = "EUR";
    goals[5].unit = "$";
    (void)gs_goal_roll_up(&parent, children, 7, &rules);
    expect_dec("2.4#5 sum, one without a value adds its start, others' units and kinds do not", parent.applied_value,
               "1042.5");
    expect_dec("progress of the sum", parent.progress, "50");
    children[0].weight = 0;
    children[1].weight = 10000;
    children[2].weight = FREE;
    expect_int("weights do not scale sums, a share of 0 still adds", gs_goal_roll_up(&parent, children, 7, &rules), 0);
    children[3].contributes = false;
    (void)gs_goal_roll_up(&parent, children, 7, &rules);
    expect_dec("only 'does not contribute' takes a child out", parent.applied_value, "42.5");
    (void)gs_goal_close(&goals[2], GS_POSTPONED);
    (void)gs_goal_roll_up(&parent, children, 7, &rules);
    expect_dec("postponed ones leave", parent.applied_value, "17.5");
    (void)gs_goal_close(&goals[0], GS_CLOSED);
    expect_int("closed ones stay", gs_goal_roll_up(&parent, children, 7, &rules), 0);
    goals[0].has_value = goals[1].has_value = false;
    (void)gs_goal_roll_up(&parent, children, 7, &rules);
    assert_false(parent.has_value);
    expect_status("no child that counts has a value", parent.status, GS_NOT_STARTED);
}

static void sums_beyond_20_digits_are_refused(void **state)
{
    struct gs_goal goals[3] = {
        number(GS_REACH, NULL, "1", "99999999999999999999"),
        number(GS_REACH, NULL, "1", "0.5"),
        number(GS_REACH, NULL, "1", "0.5"),
    };
    struct gs_goal_child children[3];
    struct gs_goal_rules rules = gs_goal_rules_default(0);
    struct gs_goal parent = metric_goal(GS_REACH, NULL, "1", NULL), before;

    (void)state;
    for (int i = 0; i < 3; i++)
        children[i] = child_of(&goals[i], FREE, i);
    parent.mode = GS_ROLL_UP;
    parent.unit = "EUR";
    before = parent;
    expect_int("10^20", gs_goal_roll_up(&parent, children, 3, &rules), GS_CHANGED_REFUSED);
    assert_memory_equal(&parent, &before, sizeof parent);
    expect_int("too many children", gs_goal_roll_up(&parent, children, GS_GOAL_CHILDREN_MAX + 1, &rules),
               GS_CHANGED_REFUSED);
    goals[1].applied_value = dec("-99999999999999999999");
    assert_true(gs_goal_roll_up(&parent, children, 3, &rules) & GS_CHANGED_VALUE);
    goals[1].applied_value = goals[2].applied_value = goals[0].applied_value;
    expect_int("3 * 10^20", gs_goal_roll_up(&parent, children, 3, &rules), GS_CHANGED_REFUSED);
    for (int i = 0; i < 3; i++)
        goals[i].applied_value = dec("-99999999999999999999");
    expect_int("-3 * 10^20", gs_goal_roll_up(&parent, children, 3, &rules), GS_CHANGED_REFUSED);
    goals[0].applied_value = dec("99999999999999999999");
    goals[2].applied_value = dec("0.25");
    assert_true(gs_goal_roll_up(&parent, children, 3, &rules) & GS_CHANGED_VALUE);
    expect_dec("only the result must fit, not the way to it", parent.applied_value, "0.25");
}

static void baseline_sums(void **state)
{
    struct gs_goal a = with_value(metric_goal(GS_BASELINE, NULL, NULL, NULL), "3", 0);
    struct gs_goal b = with_value(metric_goal(GS_BASELINE, NULL, NULL, NULL), "4.5", 0);
    struct gs_goal_child children[2] = {child_of(&a, FREE, 0), child_of(&b, FREE, 1)};
    struct gs_goal_rules rules = gs_goal_rules_default(50);
    struct gs_goal parent = metric_goal(GS_BASELINE, NULL, NULL, NULL);

    (void)state;
    parent.mode = GS_ROLL_UP;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("2.4#9 baseline parent: the sum", parent.applied_value, "7.5");
    expect_dec("2.4#9 no progress", parent.progress, "0");
    expect_status("2.4#9 In progress", parent.status, GS_IN_PROGRESS);
    rules.status_mode = GS_STATUS_FROM_KEY_RESULTS;
    expect_int("a baseline keeps its own statuses in the second mode", gs_goal_roll_up(&parent, children, 2, &rules),
               0);
    b.has_value = false;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("one without a value adds nothing", parent.applied_value, "3");
    b.has_value = true;
    b.status = GS_POSTPONED;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("postponed ones leave", parent.applied_value, "3");
    b = percent_goal("50");
    children[1].contributes = false;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_dec("what does not contribute is no hindrance", parent.applied_value, "3");
    children[1].contributes = true;
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    assert_false(parent.has_value);
    expect_status("not all are baselines: no roll-up", parent.status, GS_NOT_STARTED);
    (void)gs_goal_close(&a, GS_CLOSED);
    (void)gs_goal_close(&b, GS_CLOSED);
    (void)gs_goal_roll_up(&parent, children, 2, &rules);
    expect_status("all closed", parent.status, GS_CLOSED);
}

static void projects(void **state)
{
    static const struct {
        const char *rule;
        int32_t done, all;
        const char *progress;
        enum gs_goal_status status;
    } rows[] = {
        {"no task: 0 %, Not started", 0, 0, "0", GS_NOT_STARTED},
        {"tasks but none begun: Not started", 0, 4, "0", GS_NOT_STARTED},
        {"2.4#10 done / all", 1, 4, "25", GS_BEHIND},
        {"a third", 1, 3, "33.333333333333333333", GS_BEHIND},
        {"all done", 4, 4, "100", GS_ON_TRACK},
    };
    struct gs_goal_rules rules = gs_goal_rules_default(50);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal project = {.kind = GS_PROJECT, .mode = GS_ROLL_UP, .end_day = 100};
        project.tasks_done = rows[i].done;
        project.tasks_all = rows[i].all;
        (void)gs_goal_roll_up(&project, NULL, 0, &rules);
        expect_dec(rows[i].rule, project.progress, rows[i].progress);
        expect_status(rows[i].rule, project.status, rows[i].status);
        expect_int(rows[i].rule, project.has_value, rows[i].done > 0);
    }
    struct gs_goal project = {.kind = GS_PROJECT, .mode = GS_ROLL_UP, .end_day = 100, .tasks_done = 1, .tasks_all = 2};
    struct gs_goal closed = {.kind = GS_KEY_RESULT, .status = GS_CLOSED};
    struct gs_goal_child below = child_of(&closed, FREE, 0);
    (void)gs_goal_roll_up(&project, &below, 1, &rules);
    expect_dec("a project goes by its tasks alone", project.progress, "50");
    expect_status("a project goes by its tasks alone", project.status, GS_ON_TRACK);
    struct gs_goal measured = metric_goal(GS_REACH, NULL, "10", NULL);
    measured.kind = GS_PROJECT;
    measured.tasks_done = measured.tasks_all = 3;
    measured = with_value(measured, "1", 50);
    expect_int("a project with a metric ignores its tasks", gs_goal_roll_up(&measured, NULL, 0, &rules), 0);
    expect_dec("a project with a metric ignores its tasks", measured.progress, "10");
    struct gs_goal imported = {.kind = GS_PROJECT, .mode = GS_DATA_SOURCE, .end_day = 100, .tasks_all = 3};
    struct gs_dec half = dec("50");
    (void)gs_goal_apply_auto(&imported, &half, &rules);
    expect_dec("imported tasks follow the source's own mapping", imported.progress, "50");
}

/* ---- Properties */

static void shuffle(struct gs_goal_child *children, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)random_in(0, (int64_t)i - 1);
        struct gs_goal_child swap = children[i - 1];
        children[i - 1] = children[k];
        children[k] = swap;
    }
}

static void random_child(struct gs_goal *goal, struct gs_goal_child *child, int32_t position)
{
    static const char *const units[] = {"", "EUR", "%"};

    *goal = metric_goal((enum gs_goal_metric)random_in(GS_PERCENT, GS_BASELINE), NULL, NULL, NULL);
    goal->kind = (enum gs_goal_kind)random_in(GS_OBJECTIVE, GS_PROJECT);
    goal->id = position;
    goal->unit = units[random_in(0, 2)];
    goal->start = random_dec(6, 2);
    goal->target = random_dec(6, 2);
    goal->has_applied = random_in(0, 4) > 0;
    goal->applied_value = random_dec(7, 2);
    struct gs_goal_rules rules = gs_goal_rules_default((int32_t)random_in(0, 100));
    (void)gs_goal_derive(goal, &rules);
    if (random_in(0, 5) == 0)
        (void)gs_goal_close(goal, random_in(0, 1) ? GS_CLOSED : GS_POSTPONED);
    *child = child_of(goal, random_in(0, 1) ? FREE : (int32_t)random_in(0, 1000), position);
    child->contributes = random_in(0, 4) > 0;
}

static struct gs_goal random_parent(void)
{
    static const char *const units[] = {"", "EUR", "%"};
    struct gs_goal parent = roll_up_goal();

    parent.metric = (enum gs_goal_metric)random_in(GS_PERCENT, GS_DECREASE);
    if (random_in(0, 9) == 0)
        parent.metric = GS_BASELINE;
    parent.unit = units[random_in(0, 2)];
    parent.has_start = parent.has_target = true;
    parent.start = random_dec(5, 1);
    parent.target = random_dec(5, 1);
    return parent;
}

static void order_of_children_changes_nothing(void **state)
{
    struct gs_goal goals[12];
    struct gs_goal_child children[12];

    (void)state;
    for (int round = 0; round < 5000; round++) {
        size_t n = (size_t)random_in(0, 10);
        struct gs_goal_rules rules = gs_goal_rules_default((int32_t)random_in(0, 100));
        rules.status_mode = (enum gs_status_mode)random_in(0, 1);
        struct gs_goal parent = random_parent(), other = parent;
        for (size_t i = 0; i < n; i++)
            random_child(&goals[i], &children[i], (int32_t)i);
        (void)gs_goal_roll_up(&parent, children, n, &rules);
        shuffle(children, n);
        (void)gs_goal_roll_up(&other, children, n, &rules);
        assert_memory_equal(&parent, &other, sizeof parent);
        expect_int("a second roll-up changes nothing", gs_goal_roll_up(&other, children, n, &rules), 0);
        assert_true(parent.progress.u >= 0 && parent.progress.u <= gs_dec_int(100).u);
    }
}

/* The same values, arriving one by one in any order with a roll-up after each, end in the same place. */
static void order_of_arrival_changes_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct gs_goal_rules rules = gs_goal_rules_default((int32_t)random_in(0, 100));
        struct gs_goal ends[2];
        struct gs_dec values[5];
        for (int i = 0; i < 5; i++)
            values[i] = random_dec(4, 1);
        rules.status_mode = (enum gs_status_mode)random_in(0, 1);
        for (int way = 0; way < 2; way++) {
            struct gs_goal goals[5];
            struct gs_goal_child children[5];
            struct gs_goal_child arrivals[5];
            ends[way] = roll_up_goal();
            for (int i = 0; i < 5; i++) {
                goals[i] = metric_goal(GS_REACH, NULL, "777", NULL);
                goals[i].mode = GS_DATA_SOURCE;
                goals[i].id = i;
                children[i] = arrivals[i] = child_of(&goals[i], i % 2 ? FREE : 1111, i);
            }
            shuffle(arrivals, 5);
            for (int i = 0; i < 5; i++) {
                int64_t which = arrivals[i].goal->id;
                (void)gs_goal_apply_auto(&goals[which], &values[which], &rules);
                (void)gs_goal_roll_up(&ends[way], children, 5, &rules);
            }
        }
        assert_memory_equal(&ends[0], &ends[1], sizeof ends[0]);
    }
}

static void equal_children_give_their_own_progress(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct gs_goal child = metric_goal(GS_REACH, NULL, "7", NULL), parent = roll_up_goal();
        struct gs_goal_child children[9];
        struct gs_goal_rules rules = gs_goal_rules_default(0);
        size_t n = (size_t)random_in(1, 9);
        child.target = gs_dec_int(random_in(1, 1000));
        child.has_applied = true;
        child.applied_value = gs_dec_int(random_in(0, 1000));
        (void)gs_goal_derive(&child, &rules);
        for (size_t i = 0; i < n; i++)
            children[i] = child_of(&child, random_in(0, 1) ? FREE : (int32_t)random_in(1, 1000), (int32_t)i);
        (void)gs_goal_roll_up(&parent, children, n, &rules);
        assert_true(parent.progress.u == child.progress.u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages),
        cmocka_unit_test(members_of_an_average),
        cmocka_unit_test(percent_metric_follows_the_average),
        cmocka_unit_test(numeric_sums),
        cmocka_unit_test(sums_beyond_20_digits_are_refused),
        cmocka_unit_test(baseline_sums),
        cmocka_unit_test(projects),
        cmocka_unit_test(order_of_children_changes_nothing),
        cmocka_unit_test(order_of_arrival_changes_nothing),
        cmocka_unit_test(equal_children_give_their_own_progress),
    };

    return run_seeded(tests);
}
