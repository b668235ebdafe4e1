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
    {"weights 2d, 2.5#2: three alike, the earlier has the odd hundredth",
     {FREE, FREE, FREE},
     "---",
     {3334, 3333, 3333}},
    {"weights 2c, 2.5#3: 50 fixed and two others", {5000, FREE, FREE}, "---", {5000, 2500, 2500}},
    {"weights 2c, 2.5#3: a fourth child", {5000, FREE, FREE, FREE}, "----", {5000, 1667, 1667, 1666}},
    {"one child", {FREE}, "-", {10000}},
    {"2.5#4: a fixed share is the same with more children", {3333, FREE, FREE}, "---", {3333, 3334, 3333}},
    {"weights 2c, 2.5#5: fixed make 100: free ones get 0", {4000, 6000, FREE}, "---", {4000, 6000, 0}},
    {"weights 3a: fixed ones that make 80", {3000, 5000}, "--", {3750, 6250}},
    {"weights 3a, weights 2d: fixed ones that make 3", {100, 100, 100}, "---", {3334, 3333, 3333}},
    {"weights 2d: larger remainders first", {100, 200, 400}, "---", {1429, 2857, 5714}},
    {"fixed 0 beside free ones", {0, FREE, FREE}, "---", {0, 5000, 5000}},
    {"weights 3a: one fixed child alone", {1}, "-", {10000}},
    {"weights 3b: all weights 0", {0, 0}, "--", {0, 0}},
    {"weights 3b: all postponed", {FREE, 5000}, "pp", {0, 0}},
    {"weights 4b: a free one is postponed", {FREE, FREE, FREE}, "-p-", {5000, 0, 5000}},
    {"weights 4b: a fixed one is postponed", {5000, FREE, FREE}, "p--", {0, 5000, 5000}},
    {"weights 4b, weights 3a: the last free one is postponed", {3000, 5000, FREE}, "--p", {3750, 6250, 0}},
    {"weights 4a: one is closed", {FREE, FREE}, "c-", {5000, 5000}},
    {"weights 5a: one is a baseline", {FREE, 5000, FREE}, "-b-", {5000, 0, 5000}},
    {"what does not contribute is outside", {FREE, 5000, FREE}, "-n-", {5000, 0, 5000}},
    {"a project that contributes counts", {FREE, FREE}, "j-", {5000, 5000}},
    {"weights 2d: six sixths", {FREE, FREE, FREE, FREE, FREE, FREE}, "------", {1667, 1667, 1667, 1667, 1666, 1666}},
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
    expect_int("weights 2d: in the same place the older goal comes first", shown[2], 3334);
    children[0].position = 3;
    gs_shares_show(children, 3, shown);
    expect_int("weights 2d: the first place comes first", shown[0], 3334);
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
        expect_int("2.5#5: exact parts make the whole", parts, shares.whole);
        expect_int("weights 2d, 2.5#5: shown shares make 100.00", sum, shares.whole ? GS_WEIGHT_FULL : 0);
    }
}

static void weights_from_people(void **state)
{
    static const struct {
        const char *rule, *text;
        int32_t weight; /* -1: refused */
    } weights[] = {
        {"weights 2a: none of it", "0", 0},
        {"weights 2a: all of it", "100", 10000},
        {"weights 2a: one decimal", "12.5", 1250},
        {"weights 2a: two decimals", "33.33", 3333},
        {"weights 2a: a third decimal that is none", "33.330", 3333},
        {"weights 2a: the least", "0.01", 1},
        {"weights 2a: three decimals", "33.333", -1},
        {"weights 2a: less than the least", "0.001", -1},
        {"weights 2a: more than all", "100.01", -1},
        {"weights 2a: less than nothing", "-0.01", -1},
        {"weights 2a: with an exponent", "1e1", 1000},
        {"weights 2a: no number", "x", -1},
        {"weights 2a: an empty text", "", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(weights); i++) {
        int32_t weight = -1;
        enum gs_rc rc = gs_weight_parse(weights[i].text, strlen(weights[i].text), &weight, NULL);
        expect_int(weights[i].rule, rc, weights[i].weight < 0 ? GS_REJECT : GS_OK);
        expect_int(weights[i].rule, weight, weights[i].weight);
    }
}

static void sums_of_fixed_weights(void **state)
{
    static const struct {
        const char *rule;
        int32_t weights[3];
        const char *marks; /* as above */
        const char *says;  /* null: accepted */
    } sums[] = {
        {"weights 2b: 100", {5000, 5000, FREE}, "---", NULL},
        {"weights 2b: 100.01", {5000, 5001, FREE}, "---", "100.01 percent"},
        {"weights 2b: all alone", {10000, FREE, FREE}, "---", NULL},
        {"weights 2b: more than all alone", {10001, FREE, FREE}, "n--", "not between 0 and 100"},
        {"weights 2b: less than nothing", {-2, FREE, FREE}, "n--", "not between 0 and 100"},
        {"weights 2b: what does not contribute is not in the sum", {5000, 5001, FREE}, "-n-", NULL},
        {"weights 2b: what is postponed is, for it may be reopened", {5000, 5001, FREE}, "-p-", "100.01 percent"},
        {"weights 2b: so is a baseline", {5000, 5001, FREE}, "-b-", "100.01 percent"},
    };
    struct gs_goal_child children[3];
    struct gs_err err;

    (void)state;
    for (size_t r = 0; r < COUNT(sums); r++) {
        struct gs_goal goals[3];
        for (int i = 0; i < 3; i++) {
            goals[i] = percent_goal("10");
            children[i] = child_of(&goals[i], sums[r].weights[i], i);
            mark(&goals[i], &children[i], sums[r].marks[i]);
        }
        expect_int(sums[r].rule, gs_weights_validate(children, 3, &err), sums[r].says ? GS_REJECT : GS_OK);
        if (sums[r].says && !strstr(err.text, sums[r].says))
            fail_msg("%s: '%s'", sums[r].rule, err.text);
    }
    assert_int_equal(gs_weights_validate(NULL, GS_GOAL_CHILDREN_MAX + 1, &err), GS_REJECT);
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
        expect_int("2.5#4: a fixed weight stays when children come and go", shown[0], 4200);
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
        {"weights 1c, 2.5#4: as it is at first", GS_KEY_RESULT, {true, false, false}, true},
        {"weights 1c, 2.5#4: newly aligned goals shall not count", GS_KEY_RESULT, {false, false, false}, false},
        {"objective by default", GS_OBJECTIVE, {true, false, false}, true},
        {"2.2 objectives blocked", GS_OBJECTIVE, {true, true, true}, false},
        {"2.2 blocking objectives leaves key results", GS_KEY_RESULT, {true, true, true}, true},
        {"weights 1c, 2.7#4, data 1.4#6: a project as it is at first", GS_PROJECT, {true, false, false}, false},
        {"weights 1c, 2.7#4: projects shall count", GS_PROJECT, {true, true, false}, true},
        {"weights 1c: projects shall count, but no newly aligned goals", GS_PROJECT, {false, true, false}, false},
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
        cmocka_unit_test(sums_of_fixed_weights),
        cmocka_unit_test(adding_and_removing_never_moves_a_fixed_weight),
        cmocka_unit_test(newly_aligned),
    };

    return run_seeded(tests);
}
