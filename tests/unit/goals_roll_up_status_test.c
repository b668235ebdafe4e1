// goal-rules "Status" of a goal in roll-up mode: derived from progress or from key results, and under an override.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#define MAX  8
#define FREE GS_WEIGHT_FREE

/* One letter a child: n/t/b/r Not started, On track, Behind, at Risk; i In progress; c/p/o Closed, Postponed, reOpened.
 * Each but n has the value 40 (i: 7). '!' follows a child whose status was set by hand without a value; '0'
 * one of weight 0; 'j' one that is a project; 'x' one that does not contribute. */
struct cast {
    struct gs_goal goals[MAX];
    struct gs_goal_child children[MAX];
    size_t n;
};

static enum gs_goal_status status_of(char letter)
{
    const char *letters = "ntbricpo";

    return (enum gs_goal_status)(strchr(letters, letter) - letters);
}

static void cast_children(struct cast *cast, const char *letters)
{
    cast->n = 0;
    for (const char *at = letters; *at; at++) {
        struct gs_goal_child *last = cast->n ? &cast->children[cast->n - 1] : NULL;
        struct gs_goal *goal = &cast->goals[cast->n];
        if (*at == '!') {
            cast->goals[cast->n - 1].has_value = cast->goals[cast->n - 1].has_applied = false;
            cast->goals[cast->n - 1].progress = dec("0");
        } else if (*at == '0') {
            last->weight = 0;
        } else if (*at == 'j') {
            cast->goals[cast->n - 1].kind = GS_PROJECT;
        } else if (*at == 'x') {
            last->contributes = false;
        } else {
            *goal = *at == 'i' ? with_value(metric_goal(GS_BASELINE, NULL, NULL, NULL), "7", 0)
                               : percent_goal(*at == 'n' ? NULL : "40");
            goal->status = status_of(*at);
            cast->children[cast->n] = child_of(goal, FREE, (int32_t)cast->n);
            cast->n++;
        }
    }
}

struct status_row {
    const char *rule, *children;
    int32_t today; /* children have 40 % */
    enum gs_goal_status status;
};

static void check_statuses(const struct status_row *rows, size_t n, enum gs_status_mode mode)
{
    for (size_t i = 0; i < n; i++) {
        struct cast cast;
        struct gs_goal parent = roll_up_goal();
        struct gs_goal_rules rules = gs_goal_rules_default(rows[i].today);
        rules.status_mode = mode;
        cast_children(&cast, rows[i].children);
        (void)gs_goal_roll_up(&parent, cast.children, cast.n, &rules);
        expect_status(rows[i].rule, parent.status, rows[i].status);
    }
}

static void status_in_roll_up_mode(void **state)
{
    static const struct status_row rows[] = {
        {"no child", "", 50, GS_NOT_STARTED},
        {"status 3d: on its line, whatever the children say", "rr", 40, GS_ON_TRACK},
        {"status 3d: 25 behind", "tt", 65, GS_BEHIND},
        {"status 3d: 26 behind", "tt", 66, GS_AT_RISK},
        {"status 3a, 2.4#12: all postponed", "pp", 50, GS_POSTPONED},
        {"status 3b, 2.4#12: all closed, whatever the percentage", "cc", 100, GS_CLOSED},
        {"status 3b, 2.7#3: the only one is closed", "c", 100, GS_CLOSED},
        {"status 3c: closed and postponed", "cp", 50, GS_CLOSED},
        {"status 3d: closed and on track", "ct", 50, GS_BEHIND},
        {"status 3d: postponed and on track", "pt", 50, GS_BEHIND},
        {"status 2b: none has a value", "nn", 90, GS_NOT_STARTED},
        {"status 2c: statuses set by hand", "t!r!", 90, GS_NOT_STARTED},
        {"status 2c: one closed without a value", "c!n", 90, GS_NOT_STARTED},
        {"status 3b: all closed, none with a value", "c!c!", 90, GS_CLOSED},
        {"status 2b: one value is enough", "tn", 20, GS_ON_TRACK},
        {"status 2b: a value that weighs nothing", "t0n", 90, GS_NOT_STARTED},
        {"status 3e: one that weighs nothing is open", "cct0", 50, GS_BEHIND},
        {"status 3e: one that does not contribute is open", "cctx", 50, GS_BEHIND},
        {"status 2b: a value that does not contribute", "txn", 90, GS_NOT_STARTED},
        {"status 2c: an unbegun project", "njn", 90, GS_NOT_STARTED},
        {"status 2b: a begun project", "tjn", 20, GS_ON_TRACK},
        {"status 3e: a project is open", "ctj", 50, GS_CLOSED},
        {"status 3e, status 3d: nothing but projects", "cjcj", 50, GS_BEHIND},
        {"status 2b: nothing but a baseline has a value, which averages leave out", "i", 50, GS_NOT_STARTED},
    };

    (void)state;
    check_statuses(rows, COUNT(rows), GS_STATUS_FROM_PROGRESS);
}

static void status_from_key_results(void **state)
{
    static const struct status_row rows[] = {
        {"status 4a, 2.4#13: at risk is the worst", "tbrnco", 0, GS_AT_RISK},
        {"status 4a, 2.4#13: then behind", "tbncp", 0, GS_BEHIND},
        {"status 4a, 2.4#13: then on track", "tncpo", 90, GS_ON_TRACK},
        {"status 4b: all on track", "tt", 90, GS_ON_TRACK},
        {"status 4b: all behind", "bb", 0, GS_BEHIND},
        {"status 4b: all at risk", "rr", 0, GS_AT_RISK},
        {"status 4b, 2.4#13: all not started", "nn", 90, GS_NOT_STARTED},
        {"status 4b, 2.4#13: all closed", "cc", 90, GS_CLOSED},
        {"status 4b, 2.4#13: all postponed", "pp", 90, GS_POSTPONED},
        {"status 4b, 2.4#13: all reopened", "oo", 90, GS_REOPENED},
        {"status 3c, 2.4#13: closed and postponed", "cp", 90, GS_CLOSED},
        {"status 4f, 2.4#13: postponed and reopened", "po", 90, GS_REOPENED},
        {"status 4a, 2.4#13: postponed and not started", "pn", 90, GS_NOT_STARTED},
        {"status 4c, 2.4#13: closed and not started, on its line", "cn", 20, GS_ON_TRACK},
        {"status 4c, 2.4#13: closed and not started, behind it", "cn", 21, GS_BEHIND},
        {"status 4d: closed, not started, postponed", "cnp", 90, GS_NOT_STARTED},
        {"status 4e: reopened and not started", "on", 0, GS_NOT_STARTED},
        {"status 4e: reopened, not started, closed", "onc", 0, GS_NOT_STARTED},
        {"status 4e: reopened, not started, postponed, closed", "onpc", 0, GS_NOT_STARTED},
        {"status 4f: reopened and closed", "oc", 90, GS_REOPENED},
        {"status 4f: reopened, closed, postponed", "ocp", 90, GS_REOPENED},
        {"status 4g: a baseline in progress and one behind", "ib", 0, GS_BEHIND},
        {"status 4g, status 4e: a baseline in progress, not started, reopened", "inon", 0, GS_NOT_STARTED},
        {"status 4g, status 4c: a baseline in progress, closed, not started", "icn", 21, GS_BEHIND},
        {"status 4g: nothing but baselines in progress, which give no value", "ii", 90, GS_NOT_STARTED},
        {"status 4g: a baseline in progress, and closed", "ic", 50, GS_BEHIND},
        {"status 4g: a baseline in progress, closed, postponed", "icp", 50, GS_BEHIND},
        {"status 4g: a baseline in progress, and postponed, without a value", "ip", 50, GS_NOT_STARTED},
        {"status 4g: a baseline in progress, and reopened", "io", 0, GS_REOPENED},
        {"status 3e: a guard that weighs nothing warns", "tr0", 0, GS_AT_RISK},
        {"status 3e: a guard that weighs nothing warns alone", "nr0", 0, GS_AT_RISK},
        {"status 3e: one that does not contribute warns", "trx", 0, GS_AT_RISK},
        {"status 3e: a project at risk", "trj", 0, GS_ON_TRACK},
        {"status 2c: statuses set by hand, none with a value", "t!r!", 50, GS_NOT_STARTED},
        {"no child", "", 50, GS_NOT_STARTED},
    };

    (void)state;
    check_statuses(rows, COUNT(rows), GS_STATUS_FROM_KEY_RESULTS);
}

static void derived_closed_goes_away_again(void **state)
{
    struct cast cast;
    struct gs_goal parent = roll_up_goal();
    struct gs_goal_rules rules = gs_goal_rules_default(50);

    (void)state;
    cast_children(&cast, "cc");
    (void)gs_goal_roll_up(&parent, cast.children, cast.n, &rules);
    expect_status("status 3b: both are closed", parent.status, GS_CLOSED);
    assert_false(parent.status_by_hand);
    expect_int("the day pass keeps what only children can tell", gs_goal_derive(&parent, &rules), 0);
    unsigned changes = 0;
    assert_int_equal(gs_goal_reopen(&cast.goals[0], &rules, &changes, NULL), GS_OK);
    expect_int("status 3b: one is reopened", gs_goal_roll_up(&parent, cast.children, cast.n, &rules),
               GS_CHANGED_STATUS);
    expect_status("status 3b, status 3d: one is reopened, so by the lag", parent.status, GS_BEHIND);
}

static void overridden_parents(void **state)
{
    struct gs_goal child = percent_goal("40"), parent = roll_up_goal();
    struct gs_goal_child edge = child_of(&child, FREE, 0);
    struct gs_goal_rules rules = gs_goal_rules_default(50);
    struct gs_check_in check_in = {.has_value = true, .value = dec("80"), .sticky = true};
    unsigned changes = 0;

    (void)state;
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    assert_int_equal(gs_goal_check_in(&parent, &check_in, &rules, &changes, NULL), GS_OK);
    expect_int("the roll-up agrees", gs_goal_roll_up(&parent, &edge, 1, &rules), 0);
    child = percent_goal("41");
    expect_int("sticky", gs_goal_roll_up(&parent, &edge, 1, &rules), GS_CHANGED_AUTO);
    expect_dec("automatic 1a, 2.6#3: the automatic value follows", parent.auto_value, "41");
    expect_dec("automatic 1b, automatic 1d: the applied one stays", parent.progress, "80");
    expect_status("automatic 1e: the status follows the override", parent.status, GS_ON_TRACK);
    (void)gs_goal_resume(&parent, &rules);
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_dec("automatic 1d, 2.6#3: resumed", parent.progress, "41");
    expect_status("automatic 1d, 2.6#3: resumed", parent.status, GS_BEHIND);
    check_in.sticky = false;
    assert_int_equal(gs_goal_check_in(&parent, &check_in, &rules, &changes, NULL), GS_OK);
    expect_int("automatic 1c: rolled up to the same", gs_goal_roll_up(&parent, &edge, 1, &rules), 0);
    child = percent_goal("42");
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_dec("automatic 1c: rolled up to something else", parent.progress, "42");
    (void)gs_goal_close(&parent, GS_CLOSED);
    child = percent_goal("43");
    expect_int("closed by hand", gs_goal_roll_up(&parent, &edge, 1, &rules), GS_CHANGED_AUTO);
    expect_dec("scoring 2d: closed by hand", parent.progress, "42");
    assert_int_equal(gs_goal_reopen(&parent, &rules, &changes, NULL), GS_OK);
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_dec("scoring 3a: reopened, it catches up", parent.progress, "43");
    expect_status("status 6b: while the automatic value stays", parent.status, GS_REOPENED);
    child = percent_goal("44");
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_status("status 6b: until the automatic value is another", parent.status, GS_BEHIND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_in_roll_up_mode),
        cmocka_unit_test(status_from_key_results),
        cmocka_unit_test(derived_closed_goes_away_again),
        cmocka_unit_test(overridden_parents),
    };

    return run_seeded(tests);
}
