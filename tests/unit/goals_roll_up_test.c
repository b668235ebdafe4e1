// goal-rules "Weights and roll-up": averages, sums, baselines, projects; the order of children and of arrival.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#define MAX  8
#define FREE GS_WEIGHT_FREE

/* ---- Averages */

/* Marks: '-' nothing, 'c' closed, 'p' postponed, 'd' postponed by what stands below, 'b' a baseline, 's' a number that
 * is to stay below 5, 'n' does not contribute. */
static void cast(struct gs_goal *goal, struct gs_goal_child *child, const char *value, char mark)
{
    struct gs_goal like = mark == 's' ? metric_goal(GS_STAY_BELOW, NULL, "5", NULL)
                                      : metric_goal(mark == 'b' ? GS_BASELINE : GS_PERCENT, NULL, NULL, NULL);

    *goal = with_value(like, value, 0);
    if (mark == 'c' || mark == 'p')
        (void)gs_goal_close(goal, mark == 'c' ? GS_CLOSED : GS_POSTPONED);
    if (mark == 'd')
        goal->status = GS_POSTPONED;
    child->contributes = mark != 'n';
}

static void averages(void **state)
{
    static const struct {
        const char *rule;
        const char *values[MAX]; /* "-" is none */
        int32_t weights[MAX];
        const char *marks; /* null: nothing special */
        const char *mean;  /* null: no value */
    } rows[] = {
        {"weights 2c, 2.4#2: 0, 25, 20 alike", {"0", "25", "20"}, {FREE, FREE, FREE}, NULL, "15"},
        {"2.4#3, data 1.4#6: three quarters and one", {"10", "90"}, {7500, 2500}, NULL, "30"},
        {"weights 2e: thirds, not 33.33", {"100", "0", "0"}, {FREE, FREE, FREE}, NULL, "33.333333333333333333"},
        {"weights 2e: three thirds are all", {"100", "100", "100"}, {FREE, FREE, FREE}, NULL, "100"},
        {"weights 2c, 2.5#3: one fixed half, two free quarters", {"100", "50", "0"}, {5000, FREE, FREE}, NULL, "62.5"},
        {"weights 2a: hundredths of a percent", {"100", "0"}, {1, FREE}, NULL, "0.01"},
        {"weights 2c: where fixed ones make 100 a free one has nothing",
         {"10", "20", "100"},
         {5000, 5000, FREE},
         NULL,
         "15"},
        {"weights 3a: fixed ones that make 80", {"10", "90"}, {2000, 6000}, NULL, "70"},
        {"weights 3a, weights 2e: fixed ones that make 0.03",
         {"100", "0", "0"},
         {1, 1, 1},
         NULL,
         "33.333333333333333333"},
        {"numbers 3b, progress 1a: 140 rolls up as 100", {"140", "0"}, {FREE, FREE}, NULL, "50"},
        {"numbers 3b, progress 1a: -5 rolls up as 0", {"-5", "50"}, {FREE, FREE}, NULL, "25"},
        {"without a value counts 0", {"-", "50"}, {FREE, FREE}, NULL, "25"},
        {"status 2b: nobody has a value", {"-", "-"}, {FREE, FREE}, NULL, NULL},
        {"weights 3b: all weights 0", {"50", "50"}, {0, 0}, NULL, NULL},
        {"weights 3b: nothing but a child of weight 0 has a value", {"50", "-"}, {0, FREE}, NULL, NULL},
        {"weights 3b: no child", {0}, {0}, NULL, NULL},
        {"weights 3b: all postponed", {"50", "50"}, {FREE, 5000}, "pp", NULL},
        {"2.4#8: a guard at weight 0 leaves the average alone", {"0", "60"}, {0, FREE}, NULL, "60"},
        {"progress 2a, 2.4#8: a control metric that is met", {"30", "4"}, {FREE, FREE}, "-s", "65"},
        {"progress 2a, 2.4#8: a control metric that is missed", {"30", "5"}, {FREE, FREE}, "-s", "15"},
        {"weights 4a: one is closed", {"30", "90"}, {FREE, FREE}, "-c", "60"},
        {"weights 4b: one is postponed", {"30", "90"}, {FREE, FREE}, "-p", "30"},
        {"weights 4b: one is postponed by what stands below it", {"30", "90"}, {FREE, FREE}, "-d", "30"},
        {"weights 4b: the fixed one is postponed", {"0", "30", "60"}, {5000, FREE, FREE}, "p--", "45"},
        {"weights 4b, weights 3a: the only free one is postponed", {"10", "90", "50"}, {2000, 6000, FREE}, "--p", "70"},
        {"weights 5a: one is a baseline", {"30", "1000"}, {FREE, FREE}, "-b", "30"},
        {"weights 5a: one is a baseline of a fixed weight", {"30", "1000"}, {FREE, 9000}, "-b", "30"},
        {"weights 1c: one does not contribute", {"30", "90"}, {FREE, FREE}, "-n", "30"},
    };

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct gs_goal goals[MAX], parent = roll_up_goal();
        struct gs_goal_child children[MAX];
        struct gs_goal_rules rules = gs_goal_rules_default(0);
        size_t n = 0;
        for (; n < MAX && rows[r].values[n]; n++) {
            children[n] = child_of(&goals[n], rows[r].weights[n], (int32_t)n);
            cast(&goals[n], &children[n], strcmp(rows[r].values[n], "-") ? rows[r].values[n] : NULL,
                 rows[r].marks ? rows[r].marks[n] : '-');
        }
        (void)gs_goal_roll_up(&parent, children, n, &rules);
        expect_int(rows[r].rule, parent.has_value, rows[r].mean != NULL);
        expect_dec(rows[r].rule, parent.progress, rows[r].mean ? rows[r].mean : "0");
        expect_int(rows[r].rule, gs_goal_roll_up(&parent, children, n, &rules), 0);
    }
}

static void what_does_not_roll_up(void **state)
{
    struct gs_goal child = percent_goal("30"), parent = roll_up_goal();
    struct gs_goal_child edge = child_of(&child, FREE, 0);
    struct gs_goal_rules rules = gs_goal_rules_default(0);

    (void)state;
    parent.metric = GS_STAY_BELOW; /* refused when defined */
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    assert_false(parent.has_value);
    parent.metric = GS_PERCENT;
    parent.mode = GS_MANUAL;
    expect_int("other modes are left alone", gs_goal_roll_up(&parent, &edge, 1, &rules), 0);
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
    expect_dec("2.4#4: 15 % from 30 to 60", parent.applied_value, "34.5");
    expect_dec("2.4#4: progress is the mean", parent.progress, "15");
    parent.metric = GS_DECREASE;
    parent.start = dec("60");
    parent.target = dec("30");
    (void)gs_goal_roll_up(&parent, children, 3, &rules);
    expect_dec("2.4#4: 15 % from 60 to 30", parent.applied_value, "55.5");
    goals[1] = percent_goal("100");
    goals[2] = percent_goal("0");
    parent.target = dec("53");
    rules.today = 1;
    parent.end_day = 3;
    (void)gs_goal_roll_up(&parent, children, 3, &rules);
    expect_dec("2.4#4, numbers 2b: not computed back from a rounded value", parent.progress, "33.333333333333333333");
    expect_status("status 1a, numbers 2b: a third after a third of the time", parent.status, GS_ON_TRACK);
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

#define REACH(value)    GS_REACH, NULL, "100", value
#define INCREASE(value) GS_INCREASE, "5", "50", value
#define DECREASE(value) GS_DECREASE, "30", "20", value

/* Marks as above; '$' is in another unit. */
static void sums(void **state)
{
    static const struct {
        const char *rule;
        struct {
            enum gs_goal_metric metric;
            const char *start, *target, *value;
            int32_t weight;
            char mark;
        } children[MAX];
        const char *sum; /* null: no value */
    } rows[] = {
        {"weights 6a, 2.4#5, data 1.4#6: a reach, an increase and a decrease",
         {{REACH("10"), FREE, '-'}, {INCREASE("7.5"), FREE, '-'}, {DECREASE("25"), FREE, '-'}},
         "42.5"},
        {"weights 6a: below 0, and far apart",
         {{REACH("-0.000000000000000001"), FREE, '-'}, {INCREASE("1e15"), FREE, '-'}},
         "999999999999999.999999999999999999"},
        {"weights 6a: another unit", {{REACH("10"), FREE, '-'}, {REACH("500"), FREE, '$'}}, "10"},
        {"weights 6a: a control metric", {{REACH("10"), FREE, '-'}, {GS_STAY_BELOW, NULL, "9", "5", FREE, '-'}}, "10"},
        {"weights 6a: plain percent", {{REACH("10"), FREE, '-'}, {GS_PERCENT, NULL, NULL, "50", FREE, '-'}}, "10"},
        {"weights 6a: a baseline", {{REACH("10"), FREE, '-'}, {GS_BASELINE, NULL, NULL, "50", FREE, '-'}}, "10"},
        {"weights 6b: an increase without a value", {{REACH("10"), FREE, '-'}, {INCREASE(NULL), FREE, '-'}}, "15"},
        {"weights 6b: a decrease without a value", {{REACH("10"), FREE, '-'}, {DECREASE(NULL), FREE, '-'}}, "40"},
        {"weights 6b: a reach without a value", {{REACH("10"), FREE, '-'}, {REACH(NULL), FREE, '-'}}, "10"},
        {"status 2b, weights 6b: nobody has a value", {{REACH(NULL), FREE, '-'}, {INCREASE(NULL), FREE, '-'}}, NULL},
        {"status 2b: only another unit has a value", {{INCREASE(NULL), FREE, '-'}, {REACH("500"), FREE, '$'}}, NULL},
        {"weights 6c: one is postponed", {{REACH("10"), FREE, '-'}, {DECREASE("25"), FREE, 'p'}}, "10"},
        {"weights 6c: one is postponed by what stands below it",
         {{REACH("10"), FREE, '-'}, {DECREASE("25"), FREE, 'd'}},
         "10"},
        {"weights 6c: one without a value is postponed", {{REACH("10"), FREE, '-'}, {INCREASE(NULL), FREE, 'p'}}, "10"},
        {"weights 4a: one is closed", {{REACH("10"), FREE, '-'}, {DECREASE("25"), FREE, 'c'}}, "35"},
        {"weights 6d: 90 and 10 percent", {{REACH("10"), 9000, '-'}, {DECREASE("25"), 1000, '-'}}, "35"},
        {"weights 6d: fixed weights that make 30", {{REACH("10"), 1000, '-'}, {DECREASE("25"), 2000, '-'}}, "35"},
        {"weights 6e: others make 100", {{REACH("10"), 10000, '-'}, {DECREASE("25"), FREE, '-'}}, "35"},
        {"weights 6e, weights 6f: a weight of 0", {{REACH("10"), 10000, '-'}, {DECREASE("25"), 0, '-'}}, "35"},
        {"weights 6f, 2.4#5: one does not contribute", {{REACH("10"), FREE, '-'}, {DECREASE("25"), FREE, 'n'}}, "10"},
        {"weights 6f: one that does not contribute has a weight",
         {{REACH("10"), FREE, '-'}, {DECREASE("25"), 5000, 'n'}},
         "10"},
    };

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct gs_goal goals[MAX], parent = number(GS_REACH, NULL, "100", NULL);
        struct gs_goal_child children[MAX];
        struct gs_goal_rules rules = gs_goal_rules_default(0);
        size_t n = 0;
        parent.mode = GS_ROLL_UP;
        for (; rows[r].children[n].mark; n++) {
            char mark = rows[r].children[n].mark;
            goals[n] = number(rows[r].children[n].metric, rows[r].children[n].start, rows[r].children[n].target,
                              rows[r].children[n].value);
            children[n] = child_of(&goals[n], rows[r].children[n].weight, (int32_t)n);
            if (mark == '$')
                goals[n].unit = "$";
            if (mark == 'c' || mark == 'p')
                (void)gs_goal_close(&goals[n], mark == 'c' ? GS_CLOSED : GS_POSTPONED);
            if (mark == 'd')
                goals[n].status = GS_POSTPONED;
            children[n].contributes = mark != 'n';
        }
        (void)gs_goal_roll_up(&parent, children, n, &rules);
        expect_int(rows[r].rule, parent.has_value, rows[r].sum != NULL);
        if (rows[r].sum)
            expect_dec(rows[r].rule, parent.applied_value, rows[r].sum);
        else
            expect_status(rows[r].rule, parent.status, GS_NOT_STARTED);
        assert_true(!rows[r].sum || parent.raw_progress.u == parent.applied_value.u); /* of 100 */
    }
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
    expect_int("numbers 1b: a sum of 10^20", gs_goal_roll_up(&parent, children, 3, &rules), GS_CHANGED_REFUSED);
    assert_memory_equal(&parent, &before, sizeof parent);
    expect_int("too many children", gs_goal_roll_up(&parent, children, GS_GOAL_CHILDREN_MAX + 1, &rules),
               GS_CHANGED_REFUSED);
    goals[1].applied_value = dec("-99999999999999999999");
    assert_true(gs_goal_roll_up(&parent, children, 3, &rules) & GS_CHANGED_VALUE);
    goals[1].applied_value = goals[2].applied_value = goals[0].applied_value;
    expect_int("numbers 1b: a sum of 3 * 10^20", gs_goal_roll_up(&parent, children, 3, &rules), GS_CHANGED_REFUSED);
    for (int i = 0; i < 3; i++)
        goals[i].applied_value = dec("-99999999999999999999");
    expect_int("numbers 1b: a sum of -3 * 10^20", gs_goal_roll_up(&parent, children, 3, &rules), GS_CHANGED_REFUSED);
    goals[0].applied_value = dec("99999999999999999999");
    goals[2].applied_value = dec("0.25");
    assert_true(gs_goal_roll_up(&parent, children, 3, &rules) & GS_CHANGED_VALUE);
    expect_dec("numbers 2a: only the result must fit, not the way to it", parent.applied_value, "0.25");
}

/* Marks as above; '-' are baselines, '%' is plain percent. */
static void baselines(void **state)
{
    static const struct {
        const char *rule;
        const char *values[MAX]; /* "-" is none */
        const char *marks;
        const char *sum; /* null: no value */
        enum gs_goal_status status;
    } rows[] = {
        {"weights 5b, 2.4#9: two baselines", {"3", "4.5"}, "--", "7.5", GS_IN_PROGRESS},
        {"weights 5b: one without a value adds nothing", {"3", "-"}, "--", "3", GS_IN_PROGRESS},
        {"status 2b: none has a value", {"-", "-"}, "--", NULL, GS_NOT_STARTED},
        {"weights 5b, weights 4b: one is postponed", {"3", "4.5"}, "-p", "3", GS_IN_PROGRESS},
        {"weights 5b, weights 4a: one is closed", {"3", "4.5"}, "-c", "7.5", GS_IN_PROGRESS},
        {"weights 5c: one is in percent", {"3", "50"}, "-%", NULL, GS_NOT_STARTED},
        {"weights 5c: one in percent without a value", {"3", "-"}, "-%", NULL, GS_NOT_STARTED},
        {"weights 5c: one in percent does not contribute", {"3", "50"}, "-n", "3", GS_IN_PROGRESS},
        {"status 3b: all closed", {"3", "4.5"}, "cc", "7.5", GS_CLOSED},
        {"status 3a: all postponed", {"3", "4.5"}, "pp", NULL, GS_POSTPONED},
        {"no child", {0}, "", NULL, GS_NOT_STARTED},
    };

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct gs_goal goals[MAX], parent = metric_goal(GS_BASELINE, NULL, NULL, NULL);
        struct gs_goal_child children[MAX];
        struct gs_goal_rules rules = gs_goal_rules_default(50);
        size_t n = strlen(rows[r].marks);
        parent.mode = GS_ROLL_UP;
        for (size_t i = 0; i < n; i++) {
            char mark = rows[r].marks[i];
            struct gs_goal like = metric_goal(strchr("%n", mark) ? GS_PERCENT : GS_BASELINE, NULL, NULL, NULL);
            goals[i] = with_value(like, strcmp(rows[r].values[i], "-") ? rows[r].values[i] : NULL, 0);
            children[i] = child_of(&goals[i], FREE, (int32_t)i);
            if (mark == 'c' || mark == 'p')
                (void)gs_goal_close(&goals[i], mark == 'c' ? GS_CLOSED : GS_POSTPONED);
            children[i].contributes = mark != 'n';
        }
        (void)gs_goal_roll_up(&parent, children, n, &rules);
        expect_int(rows[r].rule, parent.has_value, rows[r].sum != NULL);
        if (rows[r].sum)
            expect_dec(rows[r].rule, parent.applied_value, rows[r].sum);
        expect_dec(rows[r].rule, parent.progress, "0");
        expect_status(rows[r].rule, parent.status, rows[r].status);
        rules.status_mode = GS_STATUS_FROM_KEY_RESULTS; /* a baseline keeps its own statuses there */
        expect_int(rows[r].rule, gs_goal_roll_up(&parent, children, n, &rules), 0);
    }
}

static void projects(void **state)
{
    static const struct {
        const char *rule;
        int32_t done, all;
        const char *progress;
        enum gs_goal_status status;
    } rows[] = {
        {"progress 4b: no task", 0, 0, "0", GS_NOT_STARTED},
        {"progress 4c: four tasks, none done", 0, 4, "0", GS_NOT_STARTED},
        {"progress 4a, 2.4#10: one of four tasks", 1, 4, "25", GS_BEHIND},
        {"progress 4a: one of three tasks", 1, 3, "33.333333333333333333", GS_BEHIND},
        {"progress 4a: four of four tasks", 4, 4, "100", GS_ON_TRACK},
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
    expect_dec("2.4#10: a project goes by its tasks alone", project.progress, "50");
    expect_status("2.4#10: a project goes by its tasks alone", project.status, GS_ON_TRACK);
    struct gs_goal measured = metric_goal(GS_REACH, NULL, "10", NULL);
    measured.kind = GS_PROJECT;
    measured.tasks_done = measured.tasks_all = 3;
    measured = with_value(measured, "1", 50);
    expect_int("progress 4e, 2.4#10: three of three tasks, 1 of 10 by the metric",
               gs_goal_roll_up(&measured, NULL, 0, &rules), 0);
    expect_dec("progress 4e, 2.4#10: three of three tasks, 1 of 10 by the metric", measured.progress, "10");
    struct gs_goal imported = {.kind = GS_PROJECT, .mode = GS_DATA_SOURCE, .end_day = 100, .tasks_all = 3};
    struct gs_dec half = dec("50");
    (void)gs_goal_apply_auto(&imported, &half, &rules);
    expect_dec("progress 4d: tasks that were imported go by the source's number", imported.progress, "50");
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
        cmocka_unit_test(what_does_not_roll_up),
        cmocka_unit_test(percent_metric_follows_the_average),
        cmocka_unit_test(sums),
        cmocka_unit_test(sums_beyond_20_digits_are_refused),
        cmocka_unit_test(baselines),
        cmocka_unit_test(projects),
        cmocka_unit_test(order_of_children_changes_nothing),
        cmocka_unit_test(order_of_arrival_changes_nothing),
        cmocka_unit_test(equal_children_give_their_own_progress),
    };

    return run_seeded(tests);
}
