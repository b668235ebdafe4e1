// goal-rules "Weights and roll-up", the weights: fixed and free shares, what is shown, what is refused.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#define MAX  6
#define FREE GS_WEIGHT_FREE

/* Letters say what is special: '-' nothing, 'p' postponed, 'b' baseline, 'n' does not contribute, 'c' closed, 'j'
 * project. */
struct row {
    const char *rule;
    int32_t weights[MAX];
    const char *marks;
    int32_t shown[MAX];
};

static const struct row rows[] = {
    {"2.5 equal by default: 3 children, ties to the earlier", {FREE, FREE, FREE}, "---", {3334, 3333, 3333}},
    {"2.5 50 fixed + two others", {5000, FREE, FREE}, "---", {5000, 2500, 2500}},
    {"2.5 a fourth child: 16.67 x 3", {5000, FREE, FREE, FREE}, "----", {5000, 1667, 1667, 1666}},
    {"one child", {FREE}, "-", {10000}},
    {"a fixed share is the same with more children", {3333, FREE, FREE}, "---", {3333, 3334, 3333}},
    {"fixed make 100: free ones get 0", {4000, 6000, FREE}, "---", {4000, 6000, 0}},
    {"only fixed, sum 80: divided by their sum", {3000, 5000}, "--", {3750, 6250}},
    {"only fixed, sum 3: largest remainder", {100, 100, 100}, "---", {3334, 3333, 3333}},
    {"only fixed: larger remainders first", {100, 200, 400}, "---", {1429, 2857, 5714}},
    {"fixed 0 beside free ones", {0, FREE, FREE}, "---", {0, 5000, 5000}},
    {"only one fixed: all of it", {1}, "-", {10000}},
    {"nothing counts: all 0", {0, 0}, "--", {0, 0}},
    {"nothing counts: all postponed", {FREE, 5000}, "pp", {0, 0}},
    {"postponed leave, free shares dealt again", {FREE, FREE, FREE}, "-p-", {5000, 0, 5000}},
    {"fixed postponed leaves, its share is dealt again", {5000, FREE, FREE}, "p--", {0, 5000, 5000}},
    {"last free postponed: only fixed are left", {3000, 5000, FREE}, "--p", {3750, 6250, 0}},
    {"closed children stay", {FREE, FREE}, "c-", {5000, 5000}},
    {"baselines are outside", {FREE, 5000, FREE}, "-b-", {5000, 0, 5000}},
    {"what does not contribute is outside", {FREE, 5000, FREE}, "-n-", {5000, 0, 5000}},
    {"a project that contributes counts", {FREE, FREE}, "j-", {5000, 5000}},
    {"six sixths", {FREE, FREE, FREE, FREE, FREE, FREE}, "------", {1667, 1667, 1667, 1667, 1666, 1666}},
};

static void mark(struct gs_goal *goal, struct gs_goal_child *child, char mark)
{
    if (mark == 'p')
        (void)gs_goal_close(goal, GS_POSTPONED);
    if (mark == 'c')
        (void)gs_goal_close(goal, GS_CLOSED);
    if (mark == 'b')
        goal->metric = GS_BASELINE;
    if (mark == 'j')
        goal->kind = GS_PROJECT;
    child->contributes = mark != 'n';
}

static void shown_shares(void **state)
{
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct gs_goal goals[MAX];
        struct gs_goal_child children[MAX];
        int32_t shown[MAX];
        size_t n = strlen(rows[r].marks);
        for (size_t i = 0; i < n; i++) {
            goals[i] = percent_goal("10");
            children[i] = child_of(&goals[i], rows[r].weights[i], (int32_t)i);
            mark(&goals[i], &children[i], rows[r].marks[i]);
        }
        gs_shares_show(children, n, shown);
        for (size_t i = 0; i < n; i++)
            expect_int(rows[r].rule, shown[i], rows[r].shown[i]);
    }
}

static void earlier_is_by_position_then_id(void **state)
{
    struct gs_goal goals[3] = {percent_goal("1"), percent_goal("1"), percent_goal("1")};
    struct gs_goal_child children[3];
    int32_t shown[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        goals[i].id = 10 - i;
        children[i] = child_of(&goals[i], FREE, i == 0 ? 5 : 4);
    }
    gs_shares_show(children, 3, shown);
    expect_int("position 4, id 8 comes first", shown[2], 3334);
    children[0].position = 3;
    gs_shares_show(children, 3, shown);
    expect_int("position 3 comes first", shown[0], 3334);
}

static void shown_shares_sum_to_100(void **state)
{
    static struct gs_goal goals[60];
    struct gs_goal_child children[60];
    int32_t shown[60];

    (void)state;
    for (int round = 0; round < 3000; round++) {
        size_t n = (size_t)random_in(0, 60);
        int32_t sum = 0, room = GS_WEIGHT_FULL;
        for (size_t i = 0; i < n; i++) {
            goals[i] = percent_goal("10");
            int32_t weight = random_in(0, 1) ? FREE : (int32_t)random_in(0, room / 3);
            room -= weight == FREE ? 0 : weight;
            children[i] = child_of(&goals[i], weight, (int32_t)random_in(0, 5));
            mark(&goals[i], &children[i], "----pbncj"[random_in(0, 8)]);
        }
        assert_int_equal(gs_weights_validate(children, n, NULL), GS_OK);
        gs_shares_show(children, n, shown);
        struct gs_shares shares = gs_shares_of(children, n);
        int64_t parts = 0;
        for (size_t i = 0; i < n; i++) {
            int64_t part = gs_share_part(&shares, &children[i]);
            parts += part;
            sum += shown[i];
            /* Never more than a hundredth away from the exact share. */
            int64_t off = shares.whole ? part * GS_WEIGHT_FULL - shown[i] * shares.whole : 0;
            assert_true(off < shares.whole || shares.whole == 0);
            assert_true(-off < shares.whole || shares.whole == 0);
        }
        expect_int("exact parts make the whole", parts, shares.whole);
        expect_int("shown shares make exactly 100.00", sum, shares.whole ? GS_WEIGHT_FULL : 0);
    }
}

static void weights_from_people(void **state)
{
    static const struct {
        const char *text;
        int32_t weight; /* -1: refused */
    } weights[] = {
        {"0", 0},       {"100", 10000}, {"12.5", 1250}, {"33.33", 3333}, {"33.330", 3333},
        {"33.333", -1}, {"100.01", -1}, {"-0.01", -1},  {"x", -1},       {"", -1},
        {"1e1", 1000},  {"0.01", 1},    {"0.001", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(weights); i++) {
        int32_t weight = -1;
        enum gs_rc rc = gs_weight_parse(weights[i].text, strlen(weights[i].text), &weight, NULL);
        expect_int(weights[i].text, rc, weights[i].weight < 0 ? GS_REJECT : GS_OK);
        expect_int(weights[i].text, weight, weights[i].weight);
    }
}

static void sums_above_100_are_refused(void **state)
{
    struct gs_goal goal = percent_goal("10");
    struct gs_goal_child children[3] = {child_of(&goal, 5000, 0), child_of(&goal, 5000, 1), child_of(&goal, FREE, 2)};
    struct gs_err err;

    (void)state;
    assert_int_equal(gs_weights_validate(children, 3, &err), GS_OK);
    children[1].weight = 5001;
    assert_int_equal(gs_weights_validate(children, 3, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "100.01 percent"));
    children[1].contributes = false;
    assert_int_equal(gs_weights_validate(children, 3, &err), GS_OK);
    children[1].weight = 10001;
    assert_int_equal(gs_weights_validate(children, 3, &err), GS_REJECT);
    assert_int_equal(gs_weights_validate(NULL, GS_GOAL_CHILDREN_MAX + 1, &err), GS_REJECT);
    children[0].contributes = false;
    children[1].weight = 10000;
    assert_int_equal(gs_weights_validate(children, 3, &err), GS_OK);
    children[1].weight = -2;
    assert_int_equal(gs_weights_validate(children, 3, &err), GS_REJECT);
    gs_weights_reset(children, 3); /* 2.5 "reset to default" clears all */
    for (int i = 0; i < 3; i++)
        expect_int("reset", children[i].weight, FREE);
}

static void adding_and_removing_never_moves_a_fixed_weight(void **state)
{
    struct gs_goal goals[20];
    struct gs_goal_child children[20];
    int32_t shown[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        goals[i] = percent_goal("10");
        children[i] = child_of(&goals[i], i == 0 ? 4200 : FREE, i);
    }
    for (size_t n = 2; n <= 20; n++) {
        gs_shares_show(children, n, shown);
        expect_int("fixed 42", shown[0], 4200);
    }
}

static void newly_aligned(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_kind kind;
        struct gs_align_rules rules;
        bool contributes;
    } aligned[] = {
        {"2.5 contributes by default", GS_KEY_RESULT, {true, false, false}, true},
        {"2.5 toggle off", GS_KEY_RESULT, {false, false, false}, false},
        {"objective by default", GS_OBJECTIVE, {true, false, false}, true},
        {"2.2 objectives blocked", GS_OBJECTIVE, {true, true, true}, false},
        {"2.2 blocking objectives leaves key results", GS_KEY_RESULT, {true, true, true}, true},
        {"2.7 projects do not by default", GS_PROJECT, {true, false, false}, false},
        {"2.7 projects: the organisation's default", GS_PROJECT, {true, true, false}, true},
        {"projects with the toggle off", GS_PROJECT, {false, true, false}, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(aligned); i++)
        expect_int(aligned[i].rule, gs_align_contributes(aligned[i].kind, &aligned[i].rules), aligned[i].contributes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shown_shares),
        cmocka_unit_test(earlier_is_by_position_then_id),
        cmocka_unit_test(shown_shares_sum_to_100),
        cmocka_unit_test(weights_from_people),
        cmocka_unit_test(sums_above_100_are_refused),
        cmocka_unit_test(adding_and_removing_never_moves_a_fixed_weight),
        cmocka_unit_test(newly_aligned),
    };

    return run_seeded(tests);
}
