// goal-rules "Status" for one goal: expected progress, limits, control metrics, baselines, the day pass.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

static void expected_progress(void **state)
{
    static const struct {
        const char *rule;
        int32_t start, end, today;
        const char *expected;
    } rows[] = {
        {"2.4#11: the day before the first", 10, 20, 9, "0"},
        {"2.4#11: the first day", 10, 20, 10, "0"},
        {"progress 5a, data 1.4#4: the fourth of eleven days", 10, 20, 13, "30"},
        {"progress 5a, numbers 2a: a third", 0, 3, 1, "33.333333333333333333"},
        {"progress 5a: the day before the last", 10, 20, 19, "90"},
        {"progress 5a, 2.4#11: the last day", 10, 20, 20, "100"},
        {"2.4#11: the day after the last", 10, 20, 21, "100"},
        {"progress 5b: of one day, the day before", 10, 10, 9, "0"},
        {"progress 5b: of one day, that day", 10, 10, 10, "100"},
        {"progress 5b: of one day, the day after", 10, 10, 11, "100"},
        {"days before 1970", -20, -10, -15, "50"},
        {"the longest period", INT32_MIN, INT32_MAX, 0, "50.000000011641532185"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal = {.start_day = rows[i].start, .end_day = rows[i].end};
        expect_dec(rows[i].rule, gs_goal_expected(&goal, rows[i].today), rows[i].expected);
    }
}

static void status_from_lag(void **state)
{
    static const struct {
        const char *rule, *first, *second, *expected, *shown;
        enum gs_goal_status status;
    } rows[] = {
        {"status 1a: ahead", "0", "25", "40", "60", GS_ON_TRACK},
        {"status 1a, data 1.4#5: where it is expected", "0", "25", "40", "40", GS_ON_TRACK},
        {"status 1a, numbers 2b: behind by the last decimal", "0", "25", "40", "39.999999999999999999", GS_BEHIND},
        {"2.4#12: 52 expected, 47 shown", "0", "25", "52", "47", GS_BEHIND},
        {"status 1a, data 1.4#5: 25 behind", "0", "25", "50", "25", GS_BEHIND},
        {"status 1a, numbers 2b: 25 and the last decimal behind", "0", "25", "50", "24.999999999999999999", GS_AT_RISK},
        {"2.4#12: 82 expected, 56 shown, by the rule and not as the page labels it", "0", "25", "82", "56", GS_AT_RISK},
        {"status 1c: on a first limit of 10", "10", "30", "50", "40", GS_ON_TRACK},
        {"status 1c: above a first limit of 10", "10", "30", "50", "39.99", GS_BEHIND},
        {"status 1c: on a second limit of 30", "10", "30", "50", "20", GS_BEHIND},
        {"status 1c: above a second limit of 30", "10", "30", "50", "19.99", GS_AT_RISK},
        {"status 1b: a second limit of 100 puts nothing at risk", "0", "100", "100", "0", GS_BEHIND},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal_rules rules = {.behind_above = dec(rows[i].first), .at_risk_above = dec(rows[i].second)};
        expect_status(rows[i].rule, gs_status_of_lag(dec(rows[i].expected), dec(rows[i].shown), &rules),
                      rows[i].status);
    }
}

/* Progress that equals the expected fraction is on track although neither has an end as a decimal. */
static void equal_fractions_are_on_track(void **state)
{
    struct gs_goal_rules rules = gs_goal_rules_default(0);
    struct gs_goal goal;

    (void)state;
    for (int32_t days = 1; days <= 400; days++) {
        goal = metric_goal(GS_INCREASE, "0", "1", NULL);
        goal.target = gs_dec_int(days);
        goal.end_day = days;
        for (rules.today = 0; rules.today <= days; rules.today++) {
            struct gs_dec value = gs_dec_int(rules.today);
            goal.mode = GS_DATA_SOURCE;
            (void)gs_goal_apply_auto(&goal, &value, &rules);
            if (goal.status != GS_ON_TRACK)
                fail_msg("day %d of %d is not on track", rules.today, days);
        }
    }
}

static void limits(void **state)
{
    static const struct {
        const char *rule, *first, *second;
        enum gs_rc rc;
    } rows[] = {
        {"status 1b: 0 and 25", "0", "25", GS_OK},
        {"status 1b: as wide as can be", "0", "100", GS_OK},
        {"status 1b: close together", "10.5", "10.51", GS_OK},
        {"status 1b: the same", "25", "25", GS_REJECT},
        {"status 1b: the wrong way round", "30", "25", GS_REJECT},
        {"status 1b: below 0", "-1", "25", GS_REJECT},
        {"status 1b: above 100", "0", "100.01", GS_REJECT},
        {"status 1b: both 0", "0", "0", GS_REJECT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal_rules rules = {.behind_above = dec(rows[i].first), .at_risk_above = dec(rows[i].second)};
        expect_int(rows[i].rule, gs_goal_rules_validate(&rules, NULL), rows[i].rc);
    }
    struct gs_goal_rules standard = gs_goal_rules_default(7);
    assert_int_equal(gs_goal_rules_validate(&standard, NULL), GS_OK);
    expect_dec("status 1b: the first limit, where nobody says otherwise", standard.behind_above, "0");
    expect_dec("status 1b: the second limit, where nobody says otherwise", standard.at_risk_above, "25");
}

static void own_status(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        const char *target, *risk, *value;
        int32_t today;
        enum gs_goal_status status;
    } rows[] = {
        {"status 2a: no value yet", GS_PERCENT, NULL, NULL, NULL, 90, GS_NOT_STARTED},
        {"status 2a: 0 is a value", GS_PERCENT, NULL, NULL, "0", 0, GS_ON_TRACK},
        {"by d", GS_PERCENT, NULL, NULL, "47", 52, GS_BEHIND},
        {"status 1a, numbers 3b: 140 is shown as 100", GS_PERCENT, NULL, NULL, "140", 100, GS_ON_TRACK},
        {"status 1a, numbers 3b: -5 is shown as 0", GS_PERCENT, NULL, NULL, "-5", 25, GS_BEHIND},
        {"reach by d", GS_REACH, "10", NULL, "1", 36, GS_AT_RISK},
        {"2.4#6: stay below, inside", GS_STAY_BELOW, "5", NULL, "4", 100, GS_ON_TRACK},
        {"2.4#6: stay below, on the target, no risk threshold", GS_STAY_BELOW, "5", NULL, "5", 0, GS_AT_RISK},
        {"progress 2b, 2.4#7: stay below, on the target", GS_STAY_BELOW, "5", "8", "5", 0, GS_BEHIND},
        {"progress 2b, 2.4#7: stay below, just inside the risk", GS_STAY_BELOW, "5", "8", "7.99", 0, GS_BEHIND},
        {"progress 2b, 2.4#7: stay below, on the risk", GS_STAY_BELOW, "5", "8", "8", 0, GS_AT_RISK},
        {"progress 2b, 2.4#7: stay below, past the risk", GS_STAY_BELOW, "5", "8", "9", 0, GS_AT_RISK},
        {"2.4#6: stay above, inside", GS_STAY_ABOVE, "5", NULL, "6", 100, GS_ON_TRACK},
        {"2.4#6: stay above, on the target, no risk threshold", GS_STAY_ABOVE, "5", NULL, "5", 0, GS_AT_RISK},
        {"progress 2c, 2.4#7: stay above, on the target", GS_STAY_ABOVE, "5", "2", "5", 0, GS_BEHIND},
        {"progress 2c, 2.4#7: stay above, just inside the risk", GS_STAY_ABOVE, "5", "2", "2.01", 0, GS_BEHIND},
        {"progress 2c, 2.4#7: stay above, on the risk", GS_STAY_ABOVE, "5", "2", "2", 0, GS_AT_RISK},
        {"progress 2c, 2.4#7: stay above, past the risk", GS_STAY_ABOVE, "5", "2", "1", 0, GS_AT_RISK},
        {"status 2a: a control metric without a value", GS_STAY_BELOW, "5", "8", NULL, 90, GS_NOT_STARTED},
        {"progress 3b, 2.4#9: a baseline without a value", GS_BASELINE, NULL, NULL, NULL, 90, GS_NOT_STARTED},
        {"progress 3b, 2.4#9: a baseline with its first value", GS_BASELINE, NULL, NULL, "3", 90, GS_IN_PROGRESS},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal_rules rules = gs_goal_rules_default(rows[i].today);
        struct gs_goal goal =
            with_value(metric_goal(rows[i].metric, NULL, rows[i].target, rows[i].risk), rows[i].value, rows[i].today);
        expect_status(rows[i].rule, goal.status, rows[i].status);
        expect_status(rows[i].rule, gs_goal_own_status(&goal, &rules), rows[i].status);
    }
}

static void day_pass(void **state)
{
    struct gs_goal_rules rules = gs_goal_rules_default(20);
    struct gs_goal goal = with_value(metric_goal(GS_PERCENT, NULL, NULL, NULL), "20", 20);

    (void)state;
    expect_status("status 5a: on its line", goal.status, GS_ON_TRACK);
    expect_int("status 5a: the same day changes nothing", gs_goal_derive(&goal, &rules), 0);
    rules.today = 21;
    expect_int("status 5a: a day on", gs_goal_derive(&goal, &rules), GS_CHANGED_STATUS);
    expect_status("status 5a: a day on", goal.status, GS_BEHIND);
    rules.today = 46;
    (void)gs_goal_derive(&goal, &rules);
    expect_status("status 5a: 26 points behind", goal.status, GS_AT_RISK);
    goal.status = GS_ON_TRACK;
    goal.status_by_hand = true;
    expect_int("status 5a: what a hand set is not derived", gs_goal_derive(&goal, &rules), 0);
}

static void day_pass_in_the_second_mode(void **state)
{
    struct gs_goal_rules rules = gs_goal_rules_default(50);
    struct gs_goal goal = with_value(metric_goal(GS_PERCENT, NULL, NULL, NULL), "20", 20), project = goal,
                   parent = goal;

    (void)state;
    rules.status_mode = GS_STATUS_FROM_KEY_RESULTS;
    (void)gs_goal_derive(&goal, &rules);
    expect_status("a goal without roll-up goes by d in either mode", goal.status, GS_AT_RISK);
    project.kind = GS_PROJECT;
    project.mode = GS_ROLL_UP;
    (void)gs_goal_derive(&project, &rules);
    expect_status("a project has no key results", project.status, GS_AT_RISK);
    parent.mode = GS_ROLL_UP;
    expect_int("a parent waits for its children", gs_goal_derive(&parent, &rules), 0);
    rules.status_mode = GS_STATUS_FROM_PROGRESS;
    (void)gs_goal_derive(&parent, &rules);
    expect_status("by d in the first mode", parent.status, GS_AT_RISK);
}

static void changes_of_the_definition_rederive_at_once(void **state)
{
    struct gs_goal_rules rules = gs_goal_rules_default(50);
    struct gs_goal goal = with_value(metric_goal(GS_REACH, NULL, "10", NULL), "5", 50);

    (void)state;
    expect_status("at first", goal.status, GS_ON_TRACK);
    goal.target = dec("20");
    expect_int("status 5b, automatic 3a: another target", gs_goal_derive(&goal, &rules),
               GS_CHANGED_PROGRESS | GS_CHANGED_STATUS);
    expect_dec("status 5b, automatic 3a: another target", goal.progress, "25");
    expect_status("status 5b, automatic 3a: another target", goal.status, GS_BEHIND);
    rules.behind_above = dec("25");
    rules.at_risk_above = dec("50");
    expect_int("status 5b: other limits", gs_goal_derive(&goal, &rules), GS_CHANGED_STATUS);
    expect_status("status 5b: other limits", goal.status, GS_ON_TRACK);
    goal.end_day = 60;
    (void)gs_goal_derive(&goal, &rules);
    expect_status("status 5b, automatic 3a: another last day", goal.status, GS_AT_RISK);
    goal.metric = GS_STAY_BELOW;
    goal.target = dec("5");
    (void)gs_goal_derive(&goal, &rules);
    expect_status("status 5b, automatic 3a: another kind", goal.status, GS_AT_RISK);
    goal.has_risk = true;
    goal.risk = dec("6");
    (void)gs_goal_derive(&goal, &rules);
    expect_status("status 5b, automatic 3a, 2.4#7: a threshold more, without waiting for a check-in", goal.status,
                  GS_BEHIND);
    goal.status_by_hand = true;
    goal.metric = GS_BASELINE;
    goal.has_risk = goal.has_target = false;
    (void)gs_goal_derive(&goal, &rules);
    expect_status("progress 3b: a hand's status that a baseline cannot have goes", goal.status, GS_IN_PROGRESS);
    assert_false(goal.status_by_hand);
}

static void alerts(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        const char *target, *risk, *value, *limit;
        int32_t today;
        enum gs_goal_status status; /* as it stands; by hand where it is not what the value gives */
        bool lags;
    } rows[] = {
        {"status 1d: on the limit", GS_PERCENT, NULL, NULL, "25", "25", 50, GS_BEHIND, false},
        {"status 1d: above the limit", GS_PERCENT, NULL, NULL, "25", "25", 51, GS_AT_RISK, true},
        {"status 1d: on another limit", GS_PERCENT, NULL, NULL, "25", "40", 65, GS_BEHIND, false},
        {"status 1d: above another limit", GS_PERCENT, NULL, NULL, "25", "40", 66, GS_AT_RISK, true},
        {"status 1d: whatever a hand says", GS_PERCENT, NULL, NULL, "25", "25", 51, GS_ON_TRACK, true},
        {"status 1d: without a value", GS_PERCENT, NULL, NULL, NULL, "25", 26, GS_NOT_STARTED, true},
        {"status 1d: closed", GS_PERCENT, NULL, NULL, "25", "25", 100, GS_CLOSED, false},
        {"status 1d: postponed", GS_PERCENT, NULL, NULL, "25", "25", 100, GS_POSTPONED, false},
        {"status 1d: a baseline", GS_BASELINE, NULL, NULL, "25", "25", 100, GS_IN_PROGRESS, false},
        {"status 1d: a control metric behind", GS_STAY_BELOW, "5", "8", "6", "25", 100, GS_BEHIND, false},
        {"status 1d: a control metric at risk", GS_STAY_BELOW, "5", "8", "8", "25", 0, GS_AT_RISK, true},
        {"status 1d: a control metric without a value", GS_STAY_BELOW, "5", "8", NULL, "25", 100, GS_NOT_STARTED,
         false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal_rules rules = gs_goal_rules_default(rows[i].today);
        struct gs_goal goal =
            with_value(metric_goal(rows[i].metric, NULL, rows[i].target, rows[i].risk), rows[i].value, rows[i].today);
        rules.at_risk_above = dec(rows[i].limit);
        goal.status = rows[i].status;
        expect_int(rows[i].rule, gs_goal_lags(&goal, &rules), rows[i].lags);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expected_progress),
        cmocka_unit_test(status_from_lag),
        cmocka_unit_test(equal_fractions_are_on_track),
        cmocka_unit_test(limits),
        cmocka_unit_test(own_status),
        cmocka_unit_test(day_pass),
        cmocka_unit_test(day_pass_in_the_second_mode),
        cmocka_unit_test(changes_of_the_definition_rederive_at_once),
        cmocka_unit_test(alerts),
    };

    return run_seeded(tests);
}
