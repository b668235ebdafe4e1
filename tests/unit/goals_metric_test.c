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
        {"reach may have a negative target", GS_REACH, GS_MANUAL, NULL, "-10", NULL, NULL},
        {"T = S is refused: reach 0", GS_REACH, GS_MANUAL, NULL, "0", NULL, "the same"},
        {"reach starts at 0", GS_REACH, GS_MANUAL, "0", "10", NULL, NULL},
        {"reach starts at nothing else", GS_REACH, GS_MANUAL, "1", "10", NULL, "starts at 0"},
        {"reach without target", GS_REACH, GS_MANUAL, NULL, NULL, NULL, "no target"},
        {"reach has no risk threshold", GS_REACH, GS_MANUAL, NULL, "10", "12", "risk"},
        {"increase: target > start", GS_INCREASE, GS_MANUAL, "15", "35", NULL, NULL},
        {"T = S is refused: increase", GS_INCREASE, GS_MANUAL, "15", "15.0", NULL, "the same"},
        {"increase downwards", GS_INCREASE, GS_MANUAL, "35", "15", NULL, "above the start"},
        {"increase without start", GS_INCREASE, GS_MANUAL, NULL, "15", NULL, "no start"},
        {"increase without target", GS_INCREASE, GS_MANUAL, "15", NULL, NULL, "no target"},
        {"decrease: target < start", GS_DECREASE, GS_MANUAL, "3", "0", NULL, NULL},
        {"T = S is refused: decrease", GS_DECREASE, GS_MANUAL, "3", "3", NULL, "the same"},
        {"decrease upwards", GS_DECREASE, GS_MANUAL, "0", "3", NULL, "below the start"},
        {"stay below: threshold only", GS_STAY_BELOW, GS_MANUAL, NULL, "5", NULL, NULL},
        {"stay below: R above T", GS_STAY_BELOW, GS_DATA_SOURCE, NULL, "5", "8", NULL},
        {"stay below: R = T", GS_STAY_BELOW, GS_MANUAL, NULL, "5", "5", "above the target"},
        {"stay below: R below T", GS_STAY_BELOW, GS_MANUAL, NULL, "5", "4", "above the target"},
        {"stay above: R below T", GS_STAY_ABOVE, GS_MANUAL, NULL, "5", "4", NULL},
        {"stay above: R = T", GS_STAY_ABOVE, GS_MANUAL, NULL, "5", "5", "below the target"},
        {"stay above: R above T", GS_STAY_ABOVE, GS_MANUAL, NULL, "5", "6", "below the target"},
        {"stay above without threshold", GS_STAY_ABOVE, GS_MANUAL, NULL, NULL, NULL, "no threshold"},
        {"control has no start", GS_STAY_BELOW, GS_MANUAL, "1", "5", NULL, "no start"},
        {"a control metric cannot be in roll-up mode", GS_STAY_BELOW, GS_ROLL_UP, NULL, "5", NULL,
         "cannot be rolled up"},
        {"a control metric cannot be in roll-up mode", GS_STAY_ABOVE, GS_ROLL_UP, NULL, "5", NULL,
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
        {"2.4#1 S=15 T=35 P=20", GS_INCREASE, "15", "35", NULL, "20", "25", "25"},
        {"2.4#1 decrease 3 to 0 at 2", GS_DECREASE, "3", "0", NULL, "2", "33.333333333333333333",
         "33.333333333333333333"},
        {"2.4#1 decrease 3 to 0 at 1", GS_DECREASE, "3", "0", NULL, "1", "66.666666666666666667",
         "66.666666666666666667"},
        {"2.4#1 decrease 3 to 0 at 0", GS_DECREASE, "3", "0", NULL, "0", "100", "100"},
        {"reach scales from 0", GS_REACH, NULL, "8", NULL, "2", "25", "25"},
        {"reach with a negative target", GS_REACH, NULL, "-8", NULL, "-2", "25", "25"},
        {"reach with a negative target, wrong way", GS_REACH, NULL, "-8", NULL, "2", "-25", "0"},
        {"kept raw, shown clamped: above", GS_REACH, NULL, "10", NULL, "14", "140", "100"},
        {"kept raw, shown clamped: below", GS_INCREASE, "10", "20", NULL, "9", "-10", "0"},
        {"negative numbers throughout", GS_INCREASE, "-20", "-10", NULL, "-15", "50", "50"},
        {"exact to 18 decimals", GS_REACH, NULL, "7", NULL, "1", "14.285714285714285714", "14.285714285714285714"},
        {"greatest distances", GS_INCREASE, "-99999999999999999999", "99999999999999999999", NULL, "0", "50", "50"},
        {"beyond 20 digits only raw suffers", GS_REACH, NULL, "0.000000000000000001", NULL, "99999999999999999999",
         "99999999999999999999.999999999999999999", "100"},
        {"beyond 20 digits downwards", GS_REACH, NULL, "-0.000000000000000001", NULL, "99999999999999999999",
         "-99999999999999999999.999999999999999999", "0"},
        {"plain percent keeps 140", GS_PERCENT, NULL, NULL, NULL, "140", "140", "100"},
        {"plain percent keeps -5", GS_PERCENT, NULL, NULL, NULL, "-5", "-5", "0"},
        {"plain percent", GS_PERCENT, NULL, NULL, NULL, "33.3", "33.3", "33.3"},
        {"2.4#6 stay below", GS_STAY_BELOW, NULL, "5", NULL, "4.9", "100", "100"},
        {"2.4#6 touching the line is a miss: below", GS_STAY_BELOW, NULL, "5", NULL, "5", "0", "0"},
        {"2.4#6 stay above", GS_STAY_ABOVE, NULL, "5", NULL, "5.1", "100", "100"},
        {"2.4#6 touching the line is a miss: above", GS_STAY_ABOVE, NULL, "5", NULL, "5", "0", "0"},
        {"stay below, T <= P < R: progress 0", GS_STAY_BELOW, NULL, "5", "8", "6", "0", "0"},
        {"stay below, P >= R: progress 0", GS_STAY_BELOW, NULL, "5", "8", "9", "0", "0"},
        {"stay above, band: progress 0", GS_STAY_ABOVE, NULL, "5", "2", "4", "0", "0"},
        {"baseline: no progress", GS_BASELINE, NULL, NULL, NULL, "1234", "0", "0"},
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

static void percentages(void **state)
{
    struct gs_dec d;

    (void)state;
    assert_true(gs_percent_of(dec("1"), dec("3"), &d));
    expect_dec("1 of 3", d, "33.333333333333333333");
    assert_false(gs_percent_of(dec("0"), dec("0"), &d)); /* a percentage of nothing is no value */
    assert_true(gs_percent_of(dec("0"), dec("4"), &d));
    expect_dec("0 of 4 is a value", d, "0");
    assert_true(gs_percent_cell(dec("0.4"), &d));
    expect_dec("a cell formatted as a percentage counts times 100", d, "40");
    assert_false(gs_percent_cell(dec("1e19"), &d));
    expect_dec("clamp", gs_percent_clamp(dec("100.000000000000000001")), "100");
    expect_dec("clamp", gs_percent_clamp(dec("-0.000000000000000001")), "0");
    expect_dec("clamp", gs_percent_clamp(dec("99.9")), "99.9");
}

static void numbers_for_people(void **state)
{
    static const struct {
        const char *percent, *api, *people;
    } rows[] = {
        {"33.333333333333333333", "33.3333", "33"},
        {"66.666666666666666667", "66.6667", "67"},
        {"0.5", "0.5000", "1"},
        {"-0.5", "-0.5000", "-1"},
        {"49.49995", "49.5000", "49"},
        {"99.99995", "100.0000", "100"},
        {"12.00005", "12.0001", "12"},
        {"-0.00004", "0.0000", "0"},
        {"100", "100.0000", "100"},
        {"0", "0.0000", "0"},
    };
    char text[GS_DEC_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gs_percent_for_api(dec(rows[i].percent), text);
        expect_text("4 decimals in the API, halves away from zero", text, rows[i].api);
        gs_percent_for_people(dec(rows[i].percent), text);
        expect_text("whole percents for people, halves away from zero", text, rows[i].people);
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
        cmocka_unit_test(percentages),
        cmocka_unit_test(numbers_for_people),
    };

    return run_seeded(tests);
}
