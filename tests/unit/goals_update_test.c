// goal-rules "Automatic, manual, override" and closing and reopening by hand, as sequences of steps.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#define STEPS 8

/* One step: what happens, then what the goal must be like. Each goal is plain percent, expected at 50 %. LEFT is the
 * check-in that is the latest after one was edited or removed. */
enum what { END, AUTO, NO_VALUE, CHECK_IN, STICKY, RESUME, CLOSE, POSTPONE, REOPEN, LEFT, LEFT_STICKY, NONE_LEFT };

#define NONE    ""
#define DERIVED (-1)

struct step {
    enum what what;
    const char *value;               /* null or NONE: without one */
    int status;                      /* of a check-in; DERIVED: without one */
    const char *applied, *automatic; /* afterwards; NONE: none */
    enum gs_goal_override override;
    enum gs_goal_status shown;
};

struct story {
    const char *rule;
    enum gs_goal_mode mode;
    struct step steps[STEPS];
};

#define ON    GS_ON_TRACK
#define BE    GS_BEHIND
#define RI    GS_AT_RISK
#define NS    GS_NOT_STARTED
#define FREE_ GS_NOT_OVERRIDDEN
#define D     DERIVED

static const struct story stories[] = {
    {"status 6a: a check-in without a status on a manual goal",
     GS_MANUAL,
     {{CHECK_IN, "60", D, "60", NONE, FREE_, ON}, {CHECK_IN, "40", D, "40", NONE, FREE_, BE}}},
    {"status 6a: a status by hand holds until the next check-in",
     GS_MANUAL,
     {{CHECK_IN, "60", RI, "60", NONE, FREE_, RI}, {CHECK_IN, "61", D, "61", NONE, FREE_, ON}}},
    {"sticky says nothing on a manual goal", GS_MANUAL, {{STICKY, "60", D, "60", NONE, FREE_, ON}}},
    {"automatic 1a: a value that comes late to a manual goal",
     GS_MANUAL,
     {{CHECK_IN, "60", D, "60", NONE, FREE_, ON}, {AUTO, "10", D, "60", "10", FREE_, ON}}},
    {"resuming says nothing on a manual goal",
     GS_MANUAL,
     {{CHECK_IN, "60", RI, "60", NONE, FREE_, RI}, {RESUME, NULL, D, "60", NONE, FREE_, RI}}},
    {"automatic 1b: the applied value follows",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE}, {AUTO, "140", D, "140", "140", FREE_, ON}}},
    {"status 2a, numbers 4a: no value is not 0",
     GS_DATA_SOURCE,
     {{AUTO, "0", D, "0", "0", FREE_, RI},
      {NO_VALUE, NULL, D, NONE, NONE, FREE_, NS},
      {AUTO, "0", D, "0", "0", FREE_, RI}}},
    {"automatic 1c, automatic 1b, 2.6#2: one-off, the same, another",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "70", D, "70", "40", GS_ONE_OFF, ON},
      {AUTO, "40", D, "70", "40", GS_ONE_OFF, ON},
      {AUTO, "41", D, "41", "41", FREE_, BE}}},
    {"automatic 1c: differs from the automatic value, not from the override",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "70", D, "70", "40", GS_ONE_OFF, ON},
      {AUTO, "70", D, "70", "70", FREE_, ON}}},
    {"automatic 1c: no value differs, too",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "70", D, "70", "40", GS_ONE_OFF, ON},
      {NO_VALUE, NULL, D, NONE, NONE, FREE_, NS}}},
    {"automatic 1c: before the first automatic value",
     GS_DATA_SOURCE,
     {{CHECK_IN, "70", D, "70", NONE, GS_ONE_OFF, ON}, {AUTO, "40", D, "40", "40", FREE_, BE}}},
    {"automatic 1c, 2.6#5: a one-off with a status, both go together",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "70", RI, "70", "40", GS_ONE_OFF, RI},
      {AUTO, "40", D, "70", "40", GS_ONE_OFF, RI},
      {AUTO, "41", D, "41", "41", FREE_, BE}}},
    {"2.6#5: nothing but a status",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, NULL, RI, "40", "40", FREE_, RI},
      {AUTO, "40", D, "40", "40", FREE_, RI},
      {AUTO, "60", D, "60", "60", FREE_, ON}}},
    {"automatic 1d, automatic 1a, 2.6#2: sticky until resumed",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {STICKY, "70", RI, "70", "40", GS_STICKY, RI},
      {AUTO, "41", D, "70", "41", GS_STICKY, RI},
      {NO_VALUE, NULL, D, "70", NONE, GS_STICKY, RI},
      {AUTO, "90", D, "70", "90", GS_STICKY, RI},
      {CHECK_IN, "30", D, "30", "90", GS_STICKY, BE},
      {RESUME, NULL, D, "90", "90", FREE_, ON}}},
    {"automatic 1d: sticky without a value holds what there is",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {STICKY, NULL, D, "40", "40", GS_STICKY, BE},
      {AUTO, "60", D, "40", "60", GS_STICKY, BE}}},
    {"automatic 1d, 2.6#3: resumed before there is an automatic value",
     GS_DATA_SOURCE,
     {{CHECK_IN, "70", D, "70", NONE, GS_ONE_OFF, ON}, {RESUME, NULL, D, NONE, NONE, FREE_, NS}}},
    {"scoring 2d: closed by hand",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CLOSE, NULL, D, "40", "40", FREE_, GS_CLOSED},
      {AUTO, "60", D, "40", "60", FREE_, GS_CLOSED},
      {RESUME, NULL, D, "40", "60", FREE_, GS_CLOSED}}},
    {"status 6b: reopened, the same, another",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CLOSE, NULL, D, "40", "40", FREE_, GS_CLOSED},
      {REOPEN, NULL, D, "40", "40", FREE_, GS_REOPENED},
      {AUTO, "40", D, "40", "40", FREE_, GS_REOPENED},
      {AUTO, "41", D, "41", "41", FREE_, BE}}},
    {"status 6b: reopened until the next check-in",
     GS_MANUAL,
     {{CHECK_IN, "40", D, "40", NONE, FREE_, BE},
      {CLOSE, NULL, D, "40", NONE, FREE_, GS_CLOSED},
      {REOPEN, NULL, D, "40", NONE, FREE_, GS_REOPENED},
      {CHECK_IN, NULL, D, "40", NONE, FREE_, BE}}},
    {"scoring 3a, scoring 3b, status 6b: postponed and reopened under an override",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {STICKY, "70", D, "70", "40", GS_STICKY, ON},
      {POSTPONE, NULL, D, "70", "40", GS_STICKY, GS_POSTPONED},
      {REOPEN, NULL, D, "70", "40", GS_STICKY, GS_REOPENED},
      {AUTO, "40", D, "70", "40", GS_STICKY, GS_REOPENED},
      {AUTO, "41", D, "70", "41", GS_STICKY, ON}}},
    {"automatic 2a: a sticky one is removed, a one-off is left",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {STICKY, "20", ON, "20", "40", GS_STICKY, ON},
      {LEFT, "70", D, "70", "40", GS_ONE_OFF, ON}}},
    {"automatic 2a: a one-off is removed, a sticky one is left",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "20", D, "20", "40", GS_ONE_OFF, RI},
      {LEFT_STICKY, "70", RI, "70", "40", GS_STICKY, RI},
      {AUTO, "90", D, "70", "90", GS_STICKY, RI}}},
    {"automatic 2a, automatic 1e: one is edited, then its status",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "70", D, "70", "40", GS_ONE_OFF, ON},
      {LEFT, "30", D, "30", "40", GS_ONE_OFF, BE},
      {LEFT, "30", RI, "30", "40", GS_ONE_OFF, RI}}},
    {"automatic 2a: none is left of an automatic goal",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {STICKY, "70", RI, "70", "40", GS_STICKY, RI},
      {NONE_LEFT, NULL, D, "40", "40", FREE_, BE}}},
    {"automatic 2a: one, then none is left of a manual goal",
     GS_MANUAL,
     {{CHECK_IN, "20", RI, "20", NONE, FREE_, RI},
      {LEFT, "70", D, "70", NONE, FREE_, ON},
      {NONE_LEFT, NULL, D, NONE, NONE, FREE_, NS}}},
    {"status 6b, automatic 2a: an older check-in is edited after the goal was reopened",
     GS_MANUAL,
     {{CHECK_IN, "20", D, "20", NONE, FREE_, RI},
      {CLOSE, NULL, D, "20", NONE, FREE_, GS_CLOSED},
      {REOPEN, NULL, D, "20", NONE, FREE_, GS_REOPENED},
      {LEFT, "30", BE, "30", NONE, FREE_, GS_REOPENED},
      {NONE_LEFT, NULL, D, NONE, NONE, FREE_, GS_REOPENED},
      {CHECK_IN, "20", D, "20", NONE, FREE_, RI}}},
    {"scoring 2d: closed in a check-in",
     GS_DATA_SOURCE,
     {{AUTO, "40", D, "40", "40", FREE_, BE},
      {CHECK_IN, "99", GS_CLOSED, "99", "40", GS_ONE_OFF, GS_CLOSED},
      {AUTO, "60", D, "99", "60", GS_ONE_OFF, GS_CLOSED}}},
};

static unsigned act(const char *rule, struct gs_goal *goal, const struct step *step, const struct gs_goal_rules *rules)
{
    struct gs_check_in check_in = {.has_status = step->status != DERIVED,
                                   .sticky = step->what == STICKY || step->what == LEFT_STICKY};
    struct gs_err err = {0};
    unsigned changes = 0;

    check_in.value = maybe_dec(step->value, &check_in.has_value);
    check_in.status = check_in.has_status ? (enum gs_goal_status)step->status : GS_NOT_STARTED;
    switch (step->what) {
    case AUTO:
        return gs_goal_apply_auto(goal, &check_in.value, rules);
    case NO_VALUE:
        return gs_goal_apply_auto(goal, NULL, rules);
    case RESUME:
        return gs_goal_resume(goal, rules);
    case CLOSE:
        return gs_goal_close(goal, GS_CLOSED);
    case POSTPONE:
        return gs_goal_close(goal, GS_POSTPONED);
    case REOPEN:
        if (gs_goal_reopen(goal, rules, &changes, &err) != GS_OK)
            fail_msg("%s: %s", rule, err.text);
        return changes;
    case LEFT:
    case LEFT_STICKY:
    case NONE_LEFT:
        if (gs_goal_replace_check_in(goal, step->what == NONE_LEFT ? NULL : &check_in, rules, &changes, &err) != GS_OK)
            fail_msg("%s: %s", rule, err.text);
        return changes;
    default:
        if (gs_goal_check_in(goal, &check_in, rules, &changes, &err) != GS_OK)
            fail_msg("%s: %s", rule, err.text);
        return changes;
    }
}

static void expect_number(const char *rule, bool has, struct gs_dec value, const char *expected)
{
    expect_int(rule, has, *expected != '\0');
    if (has)
        expect_dec(rule, value, expected);
}

static void tell(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(stories); i++) {
        struct gs_goal goal = {.mode = stories[i].mode, .end_day = 100};
        struct gs_goal_rules rules = gs_goal_rules_default(50);
        for (const struct step *step = stories[i].steps; step < stories[i].steps + STEPS && step->what != END; step++) {
            char rule[200];
            struct gs_goal before = goal;
            snprintf(rule, sizeof rule, "%s, step %d", stories[i].rule, (int)(step - stories[i].steps) + 1);
            unsigned changes = act(rule, &goal, step, &rules);
            expect_number(rule, goal.has_applied, goal.applied_value, step->applied);
            expect_number(rule, goal.has_auto, goal.auto_value, step->automatic);
            expect_text(rule, gs_goal_override_name(goal.override), gs_goal_override_name(step->override));
            expect_status(rule, goal.status, step->shown);
            expect_int(rule, goal.has_value, goal.has_applied);
            expect_int(rule, !!(changes & GS_CHANGED_STATUS), before.status != goal.status);
            expect_int(rule, !!(changes & GS_CHANGED_OVERRIDE), before.override != goal.override);
            expect_int(rule, !!(changes & GS_CHANGED_PROGRESS), before.raw_progress.u != goal.raw_progress.u);
            expect_int(rule, !!(changes & GS_CHANGED_BY_HAND), before.status_by_hand != goal.status_by_hand);
            if (step->what == AUTO && before.has_auto && before.auto_value.u == goal.auto_value.u)
                expect_int("automatic 1c: an unchanged poll changes nothing", changes, 0);
        }
    }
}

static void refused_check_ins(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        enum gs_goal_status now, said;
        const char *says; /* null: accepted */
    } rows[] = {
        {"nobody says Reopened", GS_PERCENT, GS_ON_TRACK, GS_REOPENED, "only a closed or postponed goal"},
        {"progress 3b: another goal in progress", GS_PERCENT, GS_ON_TRACK, GS_IN_PROGRESS,
         "percent goal cannot be in_progress"},
        {"progress 3b: a baseline on track", GS_BASELINE, GS_IN_PROGRESS, GS_ON_TRACK,
         "baseline goal cannot be on_track"},
        {"progress 3b: a baseline at risk", GS_BASELINE, GS_IN_PROGRESS, GS_AT_RISK, "cannot be at_risk"},
        {"a closed goal", GS_PERCENT, GS_CLOSED, GS_ON_TRACK, "reopen it first"},
        {"a postponed goal", GS_PERCENT, GS_POSTPONED, GS_ON_TRACK, "reopen it first"},
        {"progress 3b, 2.4#9: a baseline is closed", GS_BASELINE, GS_IN_PROGRESS, GS_CLOSED, NULL},
        {"progress 3b, 2.4#9: a baseline is postponed", GS_BASELINE, GS_IN_PROGRESS, GS_POSTPONED, NULL},
        {"progress 3b, 2.4#9: a baseline is in progress", GS_BASELINE, GS_NOT_STARTED, GS_IN_PROGRESS, NULL},
        {"any other", GS_PERCENT, GS_NOT_STARTED, GS_AT_RISK, NULL},
    };
    struct gs_goal_rules rules = gs_goal_rules_default(50);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal = {.metric = rows[i].metric, .status = rows[i].now, .status_by_hand = true, .end_day = 100};
        struct gs_goal before = goal;
        struct gs_check_in check_in = {.has_status = true, .status = rows[i].said};
        struct gs_err err = {0};
        unsigned changes = 0;
        enum gs_rc rc = gs_goal_check_in(&goal, &check_in, &rules, &changes, &err);
        expect_int(rows[i].rule, rc, rows[i].says ? GS_REJECT : GS_OK);
        if (rows[i].says && !strstr(err.text, rows[i].says))
            fail_msg("%s: '%s'", rows[i].rule, err.text);
        if (rows[i].says)
            assert_memory_equal(&goal, &before, sizeof goal);
        else
            expect_status(rows[i].rule, goal.status, rows[i].said);
    }
}

static void offers(void **state)
{
    static const struct {
        const char *rule;
        enum gs_goal_metric metric;
        const char *target, *value;
        enum gs_goal_status offer;
    } rows[] = {
        {"scoring 2a, 2.9#2: the least above 0", GS_PERCENT, NULL, "0.000000000000000001", GS_CLOSED},
        {"scoring 2a, 2.9#2: 0", GS_PERCENT, NULL, "0", GS_POSTPONED},
        {"scoring 2a: below 0", GS_PERCENT, NULL, "-5", GS_POSTPONED},
        {"scoring 2a: more than all", GS_PERCENT, NULL, "140", GS_CLOSED},
        {"scoring 2a: without a value", GS_PERCENT, NULL, NULL, GS_POSTPONED},
        {"scoring 2a: a number", GS_REACH, "1e10", "1", GS_CLOSED},
        {"scoring 2a: a number going the wrong way", GS_REACH, "10", "-1", GS_POSTPONED},
        {"scoring 2a: a control metric that is met", GS_STAY_BELOW, "5", "4", GS_CLOSED},
        {"scoring 2a: a control metric that is missed", GS_STAY_BELOW, "5", "5", GS_POSTPONED},
        {"scoring 2a: a baseline has no progress", GS_BASELINE, NULL, "5", GS_POSTPONED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gs_goal goal = with_value(metric_goal(rows[i].metric, NULL, rows[i].target, NULL), rows[i].value, 0);
        expect_status(rows[i].rule, gs_goal_close_offer(&goal), rows[i].offer);
    }
}

static void closing(void **state)
{
    struct gs_goal_rules rules = gs_goal_rules_default(50);
    struct gs_goal goal = percent_goal(NULL);
    unsigned changes = 0;

    (void)state;
    assert_int_equal(gs_goal_reopen(&goal, &rules, &changes, NULL), GS_REJECT);
    expect_int("close", gs_goal_close(&goal, GS_CLOSED), GS_CHANGED_STATUS | GS_CHANGED_BY_HAND);
    expect_int("closing twice changes nothing", gs_goal_close(&goal, GS_CLOSED), 0);
    assert_true(gs_goal_is_frozen(&goal));
    expect_int("scoring 2d: the day pass leaves it", gs_goal_derive(&goal, &rules), 0);
    expect_int("scoring 2d: check-ins of before are not changed",
               gs_goal_replace_check_in(&goal, NULL, &rules, &changes, NULL), GS_REJECT);

    goal = with_value(metric_goal(GS_BASELINE, NULL, NULL, NULL), "3", 50);
    (void)gs_goal_close(&goal, GS_CLOSED);
    assert_int_equal(gs_goal_reopen(&goal, &rules, &changes, NULL), GS_OK);
    expect_status("progress 3b: a reopened baseline is in progress", goal.status, GS_IN_PROGRESS);
    goal = with_value(goal, NULL, 50);
    (void)gs_goal_close(&goal, GS_POSTPONED);
    assert_int_equal(gs_goal_reopen(&goal, &rules, &changes, NULL), GS_OK);
    expect_status("progress 3b: a reopened baseline without a value is not started", goal.status, GS_NOT_STARTED);
}

/* Polls of the same value, however often they are repeated, and whatever came between, end like one. */
static void repeated_polls_change_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct gs_goal_rules rules = gs_goal_rules_default((int32_t)random_in(0, 100));
        struct gs_goal once = metric_goal(GS_REACH, NULL, "100", NULL), often;
        once.mode = GS_DATA_SOURCE;
        often = once;
        for (int i = 0; i < 10; i++) {
            struct gs_dec value = gs_dec_int(random_in(0, 3));
            struct gs_check_in check_in = {.has_value = random_in(0, 1), .value = gs_dec_int(random_in(0, 90))};
            unsigned changes;
            check_in.sticky = random_in(0, 9) == 0;
            check_in.has_status = random_in(0, 3) == 0;
            check_in.status = (enum gs_goal_status)random_in(GS_NOT_STARTED, GS_AT_RISK);
            (void)gs_goal_apply_auto(&once, &value, &rules);
            (void)gs_goal_apply_auto(&often, &value, &rules);
            expect_int("automatic 1c: a second poll", gs_goal_apply_auto(&often, &value, &rules), 0);
            if (random_in(0, 2) == 0) {
                assert_int_equal(gs_goal_check_in(&once, &check_in, &rules, &changes, NULL), GS_OK);
                assert_int_equal(gs_goal_check_in(&often, &check_in, &rules, &changes, NULL), GS_OK);
                expect_int("automatic 1c: a poll after a check-in", gs_goal_apply_auto(&often, &value, &rules), 0);
            }
            assert_memory_equal(&once, &often, sizeof once);
            assert_true(once.override != GS_NOT_OVERRIDDEN || once.applied_value.u == once.auto_value.u);
        }
        (void)gs_goal_resume(&once, &rules);
        assert_true(once.applied_value.u == once.auto_value.u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tell),
        cmocka_unit_test(refused_check_ins),
        cmocka_unit_test(offers),
        cmocka_unit_test(closing),
        cmocka_unit_test(repeated_polls_change_nothing),
    };

    return run_seeded(tests);
}
