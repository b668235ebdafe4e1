// goal-rules "Status" of a goal in roll-up mode: derived from progress or from key results, and under an override.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#define MAX  8
#define FREE GS_WEIGHT_FREE

/* One letter a child: n/t/b/r Not started, On track, Behind, at Risk; i In progress; c/p/o Closed, Postponed, reOpened.
 * Each but n has the value 40 (i: 7). '!' follows a child whose status was set by hand without a value; '0'
 * one of weight 0; 'j' one that is a project. */
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
        {"by d, whatever the children say", "rr", 40, GS_ON_TRACK},
        {"by d: Behind", "tt", 65, GS_BEHIND},
        {"by d: At risk", "tt", 66, GS_AT_RISK},
        {"2.4#12 all Postponed", "pp", 50, GS_POSTPONED},
        {"2.4#12 all Closed, whatever the percentage", "cc", 100, GS_CLOSED},
        {"2.7 all complete: marked complete by itself", "c", 100, GS_CLOSED},
        {"Closed and Postponed mixed", "cp", 50, GS_CLOSED},
        {"Closed and another: by d", "ct", 50, GS_BEHIND},
        {"Postponed and another: by d", "pt", 50, GS_BEHIND},
        {"until a child that counts has a value", "nn", 90, GS_NOT_STARTED},
        {"a status set by hand is none", "t!r!", 90, GS_NOT_STARTED},
        {"a child closed without a value is none", "c!n", 90, GS_NOT_STARTED},
        {"all closed, none with a value", "c!c!", 90, GS_CLOSED},
        {"one value is enough", "tn", 20, GS_ON_TRACK},
        {"a child of weight 0 is none", "t0n", 90, GS_NOT_STARTED},
        {"a guard at weight 0 counts for Closed", "cct0", 50, GS_BEHIND},
        {"an unbegun project is none", "njn", 90, GS_NOT_STARTED},
        {"a begun project is one", "tjn", 20, GS_ON_TRACK},
        {"projects do not count for status", "ctj", 50, GS_CLOSED},
        {"only projects: by d", "cjcj", 50, GS_BEHIND},
        {"a baseline is outside the average", "i", 50, GS_NOT_STARTED},
    };

    (void)state;
    check_statuses(rows, COUNT(rows), GS_STATUS_FROM_PROGRESS);
}

static void status_from_key_results(void **state)
{
    static const struct status_row rows[] = {
        {"2.4#13 worst wins: At risk", "tbrnco", 0, GS_AT_RISK},
        {"2.4#13 then Behind", "tbncp", 0, GS_BEHIND},
        {"2.4#13 then On track", "tncpo", 90, GS_ON_TRACK},
        {"all alike: On track", "tt", 90, GS_ON_TRACK},
        {"all alike: Behind", "bb", 0, GS_BEHIND},
        {"all alike: At risk", "rr", 0, GS_AT_RISK},
        {"all alike: Not started", "nn", 90, GS_NOT_STARTED},
        {"all alike: Closed", "cc", 90, GS_CLOSED},
        {"all alike: Postponed", "pp", 90, GS_POSTPONED},
        {"[Ally] all Reopened", "oo", 90, GS_REOPENED},
        {"[Ally] Done + Postponed", "cp", 90, GS_CLOSED},
        {"[Ally] Postponed + Reopened", "po", 90, GS_REOPENED},
        {"[Ally] Postponed + Not started", "pn", 90, GS_NOT_STARTED},
        {"Closed and Not started: by d", "cn", 20, GS_ON_TRACK},
        {"Closed and Not started: by d", "cn", 21, GS_BEHIND},
        {"Closed, Not started, Postponed", "cnp", 90, GS_NOT_STARTED},
        {"Reopened, Not started", "on", 0, GS_NOT_STARTED},
        {"Reopened, Not started, Closed", "onc", 0, GS_NOT_STARTED},
        {"Reopened, Not started, Postponed, Closed", "onpc", 0, GS_NOT_STARTED},
        {"Reopened, Closed", "oc", 90, GS_REOPENED},
        {"Reopened, Closed, Postponed", "ocp", 90, GS_REOPENED},
        {"In progress has no rank: others decide", "ib", 0, GS_BEHIND},
        {"In progress has no rank: Not started", "inon", 0, GS_NOT_STARTED},
        {"In progress, Closed, Not started: by d", "icn", 21, GS_BEHIND},
        {"only In progress: by d, no value", "ii", 90, GS_NOT_STARTED},
        {"In progress with Closed: by d", "ic", 50, GS_BEHIND},
        {"In progress with Closed and Postponed: by d", "icp", 50, GS_BEHIND},
        {"In progress with Postponed: by d, no value", "ip", 50, GS_NOT_STARTED},
        {"In progress and Reopened", "io", 0, GS_REOPENED},
        {"a guard at weight 0 still warns", "tr0", 0, GS_AT_RISK},
        {"a guard at weight 0 warns alone", "nr0", 0, GS_AT_RISK},
        {"projects do not count", "trj", 0, GS_ON_TRACK},
        {"statuses set by hand without any value", "t!r!", 50, GS_NOT_STARTED},
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
    expect_status("derived", parent.status, GS_CLOSED);
    assert_false(parent.status_by_hand);
    expect_int("the day pass keeps what only children can tell", gs_goal_derive(&parent, &rules), 0);
    unsigned changes = 0;
    assert_int_equal(gs_goal_reopen(&cast.goals[0], &rules, &changes, NULL), GS_OK);
    expect_int("one child is reopened", gs_goal_roll_up(&parent, cast.children, cast.n, &rules), GS_CHANGED_STATUS);
    expect_status("by d again", parent.status, GS_BEHIND);
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
    expect_dec("2.6 the check-in dialog still shows", parent.auto_value, "41");
    expect_dec("sticky: applied stays", parent.progress, "80");
    expect_status("an override without a status derives it", parent.status, GS_ON_TRACK);
    (void)gs_goal_resume(&parent, &rules);
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_dec("resume", parent.progress, "41");
    expect_status("resume", parent.status, GS_BEHIND);
    check_in.sticky = false;
    assert_int_equal(gs_goal_check_in(&parent, &check_in, &rules, &changes, NULL), GS_OK);
    expect_int("one-off: an unchanged roll-up", gs_goal_roll_up(&parent, &edge, 1, &rules), 0);
    child = percent_goal("42");
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_dec("one-off: a changed roll-up", parent.progress, "42");
    (void)gs_goal_close(&parent, GS_CLOSED);
    child = percent_goal("43");
    expect_int("closed by hand", gs_goal_roll_up(&parent, &edge, 1, &rules), GS_CHANGED_AUTO);
    expect_dec("closed by hand freezes the value", parent.progress, "42");
    assert_int_equal(gs_goal_reopen(&parent, &rules, &changes, NULL), GS_OK);
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_dec("reopened: it catches up", parent.progress, "43");
    expect_status("reopened lasts while the automatic value stays", parent.status, GS_REOPENED);
    child = percent_goal("44");
    (void)gs_goal_roll_up(&parent, &edge, 1, &rules);
    expect_status("until a changed automatic value", parent.status, GS_BEHIND);
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
