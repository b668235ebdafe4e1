// goal-rules "Scoring": suggested scores, an objective's own score, colours, the hint.
// links: goalsync_goals
#include "common/goals/score.h"
#include "tests/unit/goals_helpers.h"

static void suggested(void **state)
{
    static const struct {
        const char *rule, *value, *score;
    } rows[] = {
        {"scoring 1a, 2.4#14: 70 %", "70", "0.7"},
        {"scoring 1a: 140 is shown as 100", "140", "1"},
        {"scoring 1a: -5 is shown as 0", "-5", "0"},
        {"scoring 1a: no value", NULL, "0"},
        {"scoring 1a: a third", "33.333333333333333333", "0.333333333333333333"},
        {"scoring 1a, numbers 2e: half of the last decimal", "0.00000000000000005", "0.000000000000000001"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal = percent_goal(rows[i].value);
        expect_dec(rows[i].rule, gs_score_suggested(&goal), rows[i].score);
    }
}

/* Marks: '-' nothing, 'p' postponed, 'b' a baseline, 'o' an objective, 'j' a project. */
static void objective_scores_itself(void **state)
{
    static const struct {
        const char *rule;
        struct {
            const char *value;
            char mark;
            bool scored;
        } children[5];
        const char *score; /* null: not yet */
    } rows[] = {
        {"scoring 1b, 2.4#14: all are scored", {{"100", '-', true}, {"50", '-', true}, {"0", '-', true}}, "0.5"},
        {"scoring 1b: one is not scored yet", {{"100", '-', true}, {"50", '-', false}}, NULL},
        {"scoring 1b: one that is not scored is postponed", {{"100", '-', true}, {"77", 'p', false}}, "1"},
        {"scoring 1b: one that is scored is postponed", {{"100", '-', true}, {"77", 'p', true}}, "1"},
        {"scoring 1b: one that is not scored is a baseline", {{"60", '-', true}, {"9", 'b', false}}, "0.6"},
        {"scoring 1b: one that is scored is a baseline", {{"60", '-', true}, {"9", 'b', true}}, "0.6"},
        {"scoring 1b: an objective is not scored", {{"60", '-', true}, {"10", 'o', false}}, "0.6"},
        {"scoring 1b: a project is not scored", {{"60", '-', true}, {"10", 'j', false}}, "0.6"},
        {"scoring 1b: without a value it completed nothing", {{"60", '-', true}, {NULL, '-', true}}, "0.3"},
        {"scoring 1b, numbers 3b: 140 completed 100", {{"140", '-', true}, {"0", '-', true}}, "0.5"},
        {"scoring 1b, numbers 2a: a third",
         {{"100", '-', true}, {"0", '-', true}, {"0", '-', true}},
         "0.333333333333333333"},
        {"scoring 1b: nothing but postponed ones and baselines", {{"77", 'p', true}, {"9", 'b', true}}, NULL},
        {"scoring 1b: no key result", {{NULL, '\0', false}}, NULL},
    };

    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct gs_goal goals[5];
        struct gs_score_child children[5];
        struct gs_dec score = {0};
        size_t n = 0;
        for (; rows[r].children[n].mark; n++) {
            char mark = rows[r].children[n].mark;
            goals[n] = with_value(metric_goal(mark == 'b' ? GS_BASELINE : GS_PERCENT, NULL, NULL, NULL),
                                  rows[r].children[n].value, 0);
            if (mark == 'o' || mark == 'j')
                goals[n].kind = mark == 'o' ? GS_OBJECTIVE : GS_PROJECT;
            if (mark == 'p')
                (void)gs_goal_close(&goals[n], GS_POSTPONED);
            children[n] = (struct gs_score_child){&goals[n], rows[r].children[n].scored};
        }
        expect_int(rows[r].rule, gs_score_objective(children, n, &score), rows[r].score != NULL);
        expect_dec(rows[r].rule, score, rows[r].score ? rows[r].score : "0");
    }
}

static void colours(void **state)
{
    static const struct {
        const char *rule, *score, *green, *amber; /* null: as they are at first */
        enum gs_score_colour colour;
    } rows[] = {
        {"scoring 1c, 2.4#14: all", "1", NULL, NULL, GS_GREEN},
        {"scoring 1c: on 0.7", "0.7", NULL, NULL, GS_GREEN},
        {"scoring 1c, numbers 2b: below 0.7 by the last decimal", "0.699999999999999999", NULL, NULL, GS_AMBER},
        {"scoring 1c: on 0.4", "0.4", NULL, NULL, GS_AMBER},
        {"scoring 1c, numbers 2b: below 0.4 by the last decimal", "0.399999999999999999", NULL, NULL, GS_RED},
        {"scoring 1c: nothing", "0", NULL, NULL, GS_RED},
        {"scoring 1e: below another green", "0.8", "0.9", "0.4", GS_AMBER},
        {"scoring 1e: on another green", "0.9", "0.9", "0.4", GS_GREEN},
        {"scoring 1e: below another amber", "0.5", "0.9", "0.6", GS_RED},
        {"scoring 1e: green for nothing less than all", "0.999", "1", "0.4", GS_AMBER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_score_ranges ranges = gs_score_ranges_default();
        if (rows[i].green)
            ranges = (struct gs_score_ranges){dec(rows[i].green), dec(rows[i].amber)};
        expect_text(rows[i].rule, gs_score_colour_name(gs_score_colour(dec(rows[i].score), &ranges)),
                    gs_score_colour_name(rows[i].colour));
    }
}

static void ranges(void **state)
{
    static const struct {
        const char *rule, *green, *amber;
        enum gs_rc rc;
    } rows[] = {
        {"scoring 1e: 0.7 and 0.4", "0.7", "0.4", GS_OK},
        {"scoring 1e: green for all", "1", "0.4", GS_OK},
        {"scoring 1e: the same", "0.9", "0.9", GS_REJECT},
        {"scoring 1e: the wrong way round", "0.4", "0.7", GS_REJECT},
        {"scoring 1e: amber for nothing", "0.7", "0", GS_REJECT},
        {"scoring 1e: above 1", "1.01", "0.4", GS_REJECT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_score_ranges given = {.green_from = dec(rows[i].green), .amber_from = dec(rows[i].amber)};
        expect_int(rows[i].rule, gs_score_ranges_validate(&given, NULL), rows[i].rc);
    }
}

static void too_easy(void **state)
{
    static const struct {
        const char *rule, *score;
        bool aspirational, easy;
    } rows[] = {
        {"scoring 1d, 2.4#14: aspirational, all", "1", true, true},
        {"scoring 1d, numbers 2b: aspirational, but for the last decimal", "0.999999999999999999", true, false},
        {"scoring 1d: committed, all", "1", false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_int(rows[i].rule, gs_score_too_easy(dec(rows[i].score), rows[i].aspirational), rows[i].easy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggested), cmocka_unit_test(objective_scores_itself),
        cmocka_unit_test(colours),   cmocka_unit_test(ranges),
        cmocka_unit_test(too_easy),
    };

    return run_seeded(tests);
}
