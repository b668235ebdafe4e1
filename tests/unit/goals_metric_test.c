// goal-rules "Numbers" and "Progress of one goal": what is refused, what progress a value means, how it is written.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#include <gmp.h>

static void definitions(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        enum gs_goal_mode mode;
        const char *start, *target, *risk;
        const char *says; /* null: accepted */
    } rows[] = {
        {"plain percent takes nothing", GS_PERCENT, GS_MANUAL, NULL, NULL, NULL, NULL},
        {"plain percent has no target", GS_PERCENT, GS_MANUAL, NULL, "5", NULL, "neither start nor target"},
        {"reach takes a target", GS_REACH, GS_MANUAL, NULL, "10", NULL, NULL},
        {"progress 1c: a reach below 0", GS_REACH, GS_MANUAL, NULL, "-10", NULL, NULL},
        {"progress 1b: a reach to 0", GS_REACH, GS_MANUAL, NULL, "0", NULL, "the same"},
        {"reach starts at 0", GS_REACH, GS_MANUAL, "0", "10", NULL, NULL},
        {"reach starts at nothing else", GS_REACH, GS_MANUAL, "1", "10", NULL, "starts at 0"},
        {"reach without target", GS_REACH, GS_MANUAL, NULL, NULL, NULL, "no target"},
        {"reach has no risk threshold", GS_REACH, GS_MANUAL, NULL, "10", "12", "risk"},
        {"increase: target > start", GS_INCREASE, GS_MANUAL, "15", "35", NULL, NULL},
        {"progress 1b: an increase to its start", GS_INCREASE, GS_MANUAL, "15", "15.0", NULL, "the same"},
        {"increase downwards", GS_INCREASE, GS_MANUAL, "35", "15", NULL, "above the start"},
        {"increase without start", GS_INCREASE, GS_MANUAL, NULL, "15", NULL, "no start"},
        {"increase without target", GS_INCREASE, GS_MANUAL, "15", NULL, NULL, "no target"},
        {"decrease: target < start", GS_DECREASE, GS_MANUAL, "3", "0", NULL, NULL},
        {"progress 1b: a decrease to its start", GS_DECREASE, GS_MANUAL, "3", "3", NULL, "the same"},
        {"decrease upwards", GS_DECREASE, GS_MANUAL, "0", "3", NULL, "below the start"},
        {"stay below: threshold only", GS_STAY_BELOW, GS_MANUAL, NULL, "5", NULL, NULL},
        {"stay below: R above T", GS_STAY_BELOW, GS_DATA_SOURCE, NULL, "5", "8", NULL},
        {"2.4#7: stay below, R is the target", GS_STAY_BELOW, GS_MANUAL, NULL, "5", "5", "above the target"},
        {"2.4#7: stay below, R below the target", GS_STAY_BELOW, GS_MANUAL, NULL, "5", "4", "above the target"},
        {"stay above: R below T", GS_STAY_ABOVE, GS_MANUAL, NULL, "5", "4", NULL},
        {"2.4#7: stay above, R is the target", GS_STAY_ABOVE, GS_MANUAL, NULL, "5", "5", "below the target"},
        {"2.4#7: stay above, R above the target", GS_STAY_ABOVE, GS_MANUAL, NULL, "5", "6", "below the target"},
        {"stay above without threshold", GS_STAY_ABOVE, GS_MANUAL, NULL, NULL, NULL, "no threshold"},
        {"control has no start", GS_STAY_BELOW, GS_MANUAL, "1", "5", NULL, "no start"},
        {"progress 2e: a control metric in roll-up mode", GS_STAY_BELOW, GS_ROLL_UP, NULL, "5", NULL,
         "cannot be rolled up"},
        {"progress 2e: a control metric in roll-up mode", GS_STAY_ABOVE, GS_ROLL_UP, NULL, "5", NULL,
         "cannot be rolled up"},
        {"roll-up with a metric is allowed when the owner picks it", GS_REACH, GS_ROLL_UP, NULL, "5", NULL, NULL},
        {"baseline has no inputs", GS_BASELINE, GS_MANUAL, NULL, NULL, NULL, NULL},
        {"baseline rolls up", GS_BASELINE, GS_ROLL_UP, NULL, NULL, NULL, NULL},
        {"baseline with a target", GS_BASELINE, GS_MANUAL, NULL, "5", NULL, "neither start nor target"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal = metric_goal(rows[i].metric, rows[i].start, rows[i].target, rows[i].risk);
        struct gs_err err = {0};
        goal.mode = rows[i].mode;
        enum gs_rc rc = gs_goal_validate(&goal, &err);
        if (rc != (rows[i].says ? GS_REJECT : GS_OK) || (rows[i].says && !strstr(err.text, rows[i].says)))
            fail_msg("%s: %s '%s'", rows[i].rule, gs_rc_name(rc), err.text);
    }
}

static void definitions_of_projects_and_dates(void **state)
{
    struct gs_goal goal = metric_goal(GS_REACH, NULL, "10", NULL);

    (void)state;
    goal.kind = GS_PROJECT;
    assert_int_equal(gs_goal_validate(&goal, NULL), GS_OK);
    goal.mode = GS_ROLL_UP; /* a project with a metric ignores its tasks: manual or data source only */
    assert_int_equal(gs_goal_validate(&goal, NULL), GS_REJECT);
    goal = metric_goal(GS_REACH, "5", "10", NULL);
    expect_dec("a reach starts at 0 whatever is stored", gs_goal_start(&goal), "0");
    goal = metric_goal(GS_PERCENT, NULL, NULL, NULL);
    goal.start_day = goal.end_day;
    assert_int_equal(gs_goal_validate(&goal, NULL), GS_OK);
    goal.start_day++;
    assert_int_equal(gs_goal_validate(&goal, NULL), GS_REJECT);
    goal = metric_goal(GS_PERCENT, NULL, NULL, NULL);
    goal.tasks_all = 2;
    goal.tasks_done = 3;
    assert_int_equal(gs_goal_validate(&goal, NULL), GS_REJECT);
}

static void progress(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        const char *start, *target, *risk, *value;
        const char *raw, *shown;
    } rows[] = {
        {"progress 1a, 2.4#1, data 1.4#2: from 15 to 35, now 20", GS_INCREASE, "15", "35", NULL, "20", "25", "25"},
        {"progress 1a, 2.4#1, data 1.4#2: from 3 to 0, now 2", GS_DECREASE, "3", "0", NULL, "2",
         "33.333333333333333333", "33.333333333333333333"},
        {"2.4#1: from 3 to 0, now 1", GS_DECREASE, "3", "0", NULL, "1", "66.666666666666666667",
         "66.666666666666666667"},
        {"2.4#1: from 3 to 0, now 0", GS_DECREASE, "3", "0", NULL, "0", "100", "100"},
        {"progress 1a: a reach scales from 0", GS_REACH, NULL, "8", NULL, "2", "25", "25"},
        {"progress 1c: a reach to -8, now -2", GS_REACH, NULL, "-8", NULL, "-2", "25", "25"},
        {"progress 1c: a reach to -8, now 2", GS_REACH, NULL, "-8", NULL, "2", "-25", "0"},
        {"progress 1a, numbers 3b: 14 of 10 stays 140, shown as 100", GS_REACH, NULL, "10", NULL, "14", "140", "100"},
        {"progress 1a, numbers 3b: below its start stays -10, shown as 0", GS_INCREASE, "10", "20", NULL, "9", "-10",
         "0"},
        {"negative numbers throughout", GS_INCREASE, "-20", "-10", NULL, "-15", "50", "50"},
        {"numbers 2a: 18 decimals are right", GS_REACH, NULL, "7", NULL, "1", "14.285714285714285714",
         "14.285714285714285714"},
        {"numbers 1a: from the lowest to the highest number", GS_INCREASE, "-99999999999999999999",
         "99999999999999999999", NULL, "0", "50", "50"},
        {"beyond 20 digits only raw suffers", GS_REACH, NULL, "0.000000000000000001", NULL, "99999999999999999999",
         "99999999999999999999.999999999999999999", "100"},
        {"beyond 20 digits downwards", GS_REACH, NULL, "-0.000000000000000001", NULL, "99999999999999999999",
         "-99999999999999999999.999999999999999999", "0"},
        {"data 6.2#2: all 25 that were aimed at, whatever there is besides", GS_REACH, NULL, "25", NULL, "25", "100",
         "100"},
        {"numbers 3a, data 1.4#3: 140", GS_PERCENT, NULL, NULL, NULL, "140", "140", "100"},
        {"numbers 3a: -5", GS_PERCENT, NULL, NULL, NULL, "-5", "-5", "0"},
        {"numbers 3a: 33.3", GS_PERCENT, NULL, NULL, NULL, "33.3", "33.3", "33.3"},
        {"progress 2a, 2.4#6: stay below 5, now 4.9", GS_STAY_BELOW, NULL, "5", NULL, "4.9", "100", "100"},
        {"progress 2a, 2.4#6: stay below 5, now 5: touching is a miss", GS_STAY_BELOW, NULL, "5", NULL, "5", "0", "0"},
        {"progress 2a, 2.4#6: stay above 5, now 5.1", GS_STAY_ABOVE, NULL, "5", NULL, "5.1", "100", "100"},
        {"progress 2a, 2.4#6: stay above 5, now 5: touching is a miss", GS_STAY_ABOVE, NULL, "5", NULL, "5", "0", "0"},
        {"progress 2d: stay below, between target and risk", GS_STAY_BELOW, NULL, "5", "8", "6", "0", "0"},
        {"progress 2d: stay below, past the risk", GS_STAY_BELOW, NULL, "5", "8", "9", "0", "0"},
        {"progress 2d: stay above, between target and risk", GS_STAY_ABOVE, NULL, "5", "2", "4", "0", "0"},
        {"progress 2d: stay above, past the risk", GS_STAY_ABOVE, NULL, "5", "2", "1", "0", "0"},
        {"progress 3a, 2.4#9: a baseline", GS_BASELINE, NULL, NULL, NULL, "1234", "0", "0"},
        {"no value: no progress", GS_DECREASE, "3", "0", NULL, NULL, "0", "0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal =
            with_value(metric_goal(rows[i].metric, rows[i].start, rows[i].target, rows[i].risk), rows[i].value, 0);
        assert_int_equal(gs_goal_validate(&goal, NULL), GS_OK);
        expect_dec(rows[i].rule, goal.raw_progress, rows[i].raw);
        expect_dec(rows[i].rule, goal.progress, rows[i].shown);
        expect_int(rows[i].rule, goal.has_value, rows[i].value != NULL);
    }
}

/* (P - S) / (T - S) as a fraction of GMP's, in units of 10^-18 percent, to the nearest, halves away from zero. */
static void check_against_fractions(struct gs_dec s, struct gs_dec t, struct gs_dec p)
{
    struct gs_goal goal = {.metric = s.u < t.u ? GS_INCREASE : GS_DECREASE, .has_start = true, .start = s, .target = t};
    char text[GS_DEC_TEXT], expected[200];
    mpz_t a[3], num, den;
    const struct gs_dec in[3] = {s, t, p};

    mpz_inits(num, den, NULL);
    for (int i = 0; i < 3; i++) {
        gs_dec_format_fixed(in[i], GS_DEC_SCALE, text);
        char *point = strchr(text, '.');
        memmove(point, point + 1, strlen(point));
        mpz_init_set_str(a[i], text, 10);
    }
    mpz_sub(num, a[2], a[0]);
    mpz_sub(den, a[1], a[0]);
    mpz_ui_pow_ui(a[0], 10, 20);
    mpz_mul(num, num, a[0]);
    bool negative = mpz_sgn(num) * mpz_sgn(den) < 0;
    mpz_abs(num, num);
    mpz_abs(den, den);
    mpz_mul_2exp(num, num, 1);
    mpz_add(num, num, den);
    mpz_mul_2exp(den, den, 1);
    mpz_fdiv_q(num, num, den);
    if (mpz_sizeinbase(num, 10) <= 38) {
        struct gs_dec got = gs_goal_progress_of(&goal, p);
        gs_u128 m = got.u < 0 ? -(gs_u128)got.u : (gs_u128)got.u;
        mpz_set_ui(den, (unsigned long)(m >> 64));
        mpz_mul_2exp(den, den, 64);
        mpz_add_ui(den, den, (unsigned long)m);
        gs_dec_format(got, text);
        gmp_snprintf(expected, sizeof expected, "%s%Zd", negative ? "-" : "", num);
        if (mpz_cmp(den, num) != 0 || (m != 0 && (got.u < 0) != negative))
            fail_msg("progress %s instead of %s units", text, expected);
    }
    mpz_clears(num, den, a[0], a[1], a[2], NULL);
}

static void progress_is_correctly_rounded(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int digits = (int)random_in(1, 38), decimals = (int)random_in(0, 18);
        struct gs_dec s = random_dec(digits, decimals), t = random_dec(digits, decimals),
                      p = random_dec(digits, decimals);
        if (s.u == t.u)
            continue;
        check_against_fractions(s, t, p);
        check_against_fractions(s, t, s);
        check_against_fractions(s, t, t);
    }
}

static void shown_progress_is_clamped_raw_progress(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct gs_goal goal = metric_goal((enum gs_goal_metric)random_in(GS_PERCENT, GS_BASELINE), NULL, NULL, NULL);
        struct gs_goal_rules rules = gs_goal_rules_default((int32_t)random_in(-10, 110));
        goal.start = random_dec(20, 3);
        goal.target = random_dec(20, 3);
        goal.has_start = true;
        goal.applied_value = random_dec(20, 3);
        goal.has_applied = true;
        (void)gs_goal_derive(&goal, &rules);
        assert_true(goal.progress.u >= 0 && goal.progress.u <= gs_dec_int(100).u);
        if (goal.raw_progress.u >= 0 && goal.raw_progress.u <= gs_dec_int(100).u)
            assert_true(goal.progress.u == goal.raw_progress.u);
    }
}

/* part / whole as a percentage; null: no value. */
static void shares_in_percent(void **state)
{
    static const struct {
        const char *rule, *part, *whole, *percent, *people;
    } rows[] = {
        {"data 6.3#6: 3 of 10", "3", "10", "30", "30"},
        {"data 6.3#6, numbers 2d: 3 of 11", "3", "11", "27.272727272727272727", "27"},
        {"data 6.6#3: one of the two subtasks of one of two issues", "1", "4", "25", "25"},
        {"progress 4d, data 6.8#2: of 4 tasks one done, one begun", "1.5", "4", "37.5", "38"},
        {"numbers 2a: 1 of 3", "1", "3", "33.333333333333333333", "33"},
        {"numbers 4a: a share of nothing", "0", "0", NULL, NULL},
        {"numbers 4a: work without an estimate", "5", "0", NULL, NULL},
        {"numbers 4a: nothing of something is 0", "0", "4", "0", "0"},
        {"numbers 1b: a share of more than 20 digits", "99999999999999999999", "0.5", NULL, NULL},
    };
    char text[GS_DEC_TEXT];
    struct gs_dec d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool is_one = gs_percent_of(dec(rows[i].part), dec(rows[i].whole), &d);
        expect_int(rows[i].rule, is_one, rows[i].percent != NULL);
        if (!is_one)
            continue;
        expect_dec(rows[i].rule, d, rows[i].percent);
        gs_percent_for_people(d, text);
        expect_text(rows[i].rule, text, rows[i].people);
    }
}

static void cells_in_percent(void **state)
{
    static const struct {
        const char *rule, *cell, *percent; /* null: refused */
    } rows[] = {
        {"numbers 3c: 0.4", "0.4", "40"},
        {"numbers 3c: 1.4", "1.4", "140"},
        {"numbers 3c: -0.05", "-0.05", "-5"},
        {"numbers 3c: to the last decimal", "0.123456789012345678", "12.3456789012345678"},
        {"numbers 1b: 10^19", "1e19", NULL},
    };
    struct gs_dec d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        expect_int(rows[i].rule, gs_percent_cell(dec(rows[i].cell), &d), rows[i].percent != NULL);
        if (rows[i].percent)
            expect_dec(rows[i].rule, d, rows[i].percent);
    }
    expect_dec("clamp", gs_percent_clamp(dec("100.000000000000000001")), "100");
    expect_dec("clamp", gs_percent_clamp(dec("-0.000000000000000001")), "0");
    expect_dec("clamp", gs_percent_clamp(dec("99.9")), "99.9");
}

static void digits(void **state)
{
    static const struct {
        const char *rule, *text, *says; /* null: taken as it is */
    } rows[] = {
        {"numbers 1a: 20 digits and 18 decimals", "99999999999999999999.999999999999999999", NULL},
        {"numbers 1a: the least", "-99999999999999999999.999999999999999999", NULL},
        {"numbers 1a: the least above 0", "0.000000000000000001", NULL},
        {"numbers 1b: 21 digits", "100000000000000000000", "20 digits"},
        {"numbers 1b: 21 digits below 0", "-100000000000000000000", "20 digits"},
        {"numbers 1b: 19 decimals", "0.1234567890123456789", "18 digits after"},
        {"numbers 1b: 19 decimals by an exponent", "1e-19", "18 digits after"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_dec d = {0};
        struct gs_err err = {0};
        char text[GS_DEC_TEXT];
        enum gs_rc rc = gs_dec_parse(rows[i].text, strlen(rows[i].text), &d, &err);
        expect_int(rows[i].rule, rc, rows[i].says ? GS_REJECT : GS_OK);
        if (rows[i].says && !strstr(err.text, rows[i].says))
            fail_msg("%s: '%s'", rows[i].rule, err.text);
        gs_dec_format(d, text);
        expect_text(rows[i].rule, text, rows[i].says ? "0" : rows[i].text);
    }
}

static void numbers_for_people(void **state)
{
    static const struct {
        const char *rule, *percent, *api, *people;
    } rows[] = {
        {"numbers 2c, numbers 2d: a third", "33.333333333333333333", "33.3333", "33"},
        {"numbers 2c, numbers 2d: two thirds", "66.666666666666666667", "66.6667", "67"},
        {"numbers 2e: a half percent", "0.5", "0.5000", "1"},
        {"numbers 2e: a half percent below 0", "-0.5", "-0.5000", "-1"},
        {"numbers 2e: an even number and a half", "2.5", "2.5000", "3"},
        {"numbers 2e: rounded once, not by way of 4 decimals", "49.49995", "49.5000", "49"},
        {"numbers 2c: up to 100", "99.99995", "100.0000", "100"},
        {"numbers 2e: the fifth decimal is a half", "12.00005", "12.0001", "12"},
        {"numbers 2c: nothing below 0 is left", "-0.00004", "0.0000", "0"},
        {"numbers 2c: all", "100", "100.0000", "100"},
        {"numbers 2c: nothing", "0", "0.0000", "0"},
    };
    char text[GS_DEC_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gs_percent_for_api(dec(rows[i].percent), text);
        expect_text(rows[i].rule, text, rows[i].api);
        gs_percent_for_people(dec(rows[i].percent), text);
        expect_text(rows[i].rule, text, rows[i].people);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions),
        cmocka_unit_test(definitions_of_projects_and_dates),
        cmocka_unit_test(progress),
        cmocka_unit_test(progress_is_correctly_rounded),
        cmocka_unit_test(shown_progress_is_clamped_raw_progress),
        cmocka_unit_test(shares_in_percent),
        cmocka_unit_test(cells_in_percent),
        cmocka_unit_test(digits),
        cmocka_unit_test(numbers_for_people),
    };

    return run_seeded(tests);
}
