// goal-rules "Scoring": suggested scores, an objective's own score, colours, the hint.
// links: goalsync_goals
#include "common/goals/score.h"
#include "tests/unit/goals_helpers.h"

static void suggested(void **state)
{
    static const struct {
        const char *rule, *value, *score;
    } rows[] = {
        {"2.4#14 completion / 100", "70", "0.7"},
        {"what is shown: above", "140", "1"},
        {"what is shown: below", "-5", "0"},
        {"no value", NULL, "0"},
        {"unrounded", "33.333333333333333333", "0.333333333333333333"},
        {"halves away from zero", "0.00000000000000005", "0.000000000000000001"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal = percent_goal(rows[i].value);
        expect_dec(rows[i].rule, gs_score_suggested(&goal), rows[i].score);
    }
}

static void objective_scores_itself(void **state)
{
    struct gs_goal goals[5] = {percent_goal("100"), percent_goal("50"), percent_goal("0"), percent_goal("77"),
                               with_value(metric_goal(GS_BASELINE, NULL, NULL, NULL), "9", 0)};
    struct gs_score_child children[5];
    struct gs_dec score;

    (void)state;
    for (int i = 0; i < 5; i++)
        children[i] = (struct gs_score_child){&goals[i], i < 3};
    (void)gs_goal_close(&goals[3], GS_POSTPONED);
    assert_true(gs_score_objective(children, 5, &score));
    expect_dec("the plain mean of completion; postponed and baselines aside", score, "0.5");
    children[1].scored = false;
    assert_false(gs_score_objective(children, 5, &score)); /* one is not scored yet */
    goals[1].kind = GS_PROJECT;
    assert_true(gs_score_objective(children, 5, &score));
    expect_dec("key results only", score, "0.5");
    goals[0] = percent_goal("100");
    goals[1] = percent_goal("0");
    goals[2] = percent_goal("0");
    children[1].scored = true;
    assert_true(gs_score_objective(children, 3, &score));
    expect_dec("a third", score, "0.333333333333333333");
    assert_false(gs_score_objective(children + 3, 2, &score)); /* nothing to score */
    assert_false(gs_score_objective(NULL, 0, &score));
}

static void colours(void **state)
{
    static const struct {
        const char *score;
        enum gs_score_colour colour;
    } rows[] = {
        {"1", GS_GREEN},   {"0.7", GS_GREEN}, {"0.699999999999999999", GS_AMBER},
        {"0.4", GS_AMBER}, {"0.39", GS_RED},  {"0", GS_RED},
    };
    struct gs_score_ranges ranges = gs_score_ranges_default();

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_text(rows[i].score, gs_score_colour_name(gs_score_colour(dec(rows[i].score), &ranges)),
                    gs_score_colour_name(rows[i].colour));
    ranges.green_from = dec("0.9");
    expect_int("ranges are configurable", gs_score_colour(dec("0.8"), &ranges), GS_AMBER);
    assert_int_equal(gs_score_ranges_validate(&ranges, NULL), GS_OK);
    ranges.amber_from = dec("0.9");
    assert_int_equal(gs_score_ranges_validate(&ranges, NULL), GS_REJECT);
    ranges.amber_from = dec("0");
    assert_int_equal(gs_score_ranges_validate(&ranges, NULL), GS_REJECT);
    ranges = gs_score_ranges_default();
    ranges.green_from = dec("1");
    assert_int_equal(gs_score_ranges_validate(&ranges, NULL), GS_OK);
    ranges.green_from = dec("1.01");
    assert_int_equal(gs_score_ranges_validate(&ranges, NULL), GS_REJECT);
}

static void too_easy(void **state)
{
    (void)state;
    assert_true(gs_score_too_easy(dec("1"), true));
    assert_false(gs_score_too_easy(dec("0.999999999999999999"), true));
    assert_false(gs_score_too_easy(dec("1"), false)); /* committed: green and well */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggested),
        cmocka_unit_test(objective_scores_itself),
        cmocka_unit_test(colours),
        cmocka_unit_test(too_easy),
    };

    return run_seeded(tests);
}
