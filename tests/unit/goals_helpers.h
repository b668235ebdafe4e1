/* Short ways to write goals and decimals in test tables, a seeded generator, and failures that name the rule they
 * break. */
#ifndef GS_GOALS_HELPERS_H
#define GS_GOALS_HELPERS_H

#include "common/goals/goal.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline struct gs_dec dec(const char *text)
{
    struct gs_dec d = {0};
    struct gs_err err = {0};

    if (gs_dec_parse(text, strlen(text), &d, &err) != GS_OK)
        fail_msg("'%s': %s", text, err.text);
    return d;
}

/* Null stands for "none". */
static inline struct gs_dec maybe_dec(const char *text, bool *ret_has)
{
    *ret_has = text != NULL;
    return text ? dec(text) : gs_dec_int(0);
}

static inline void expect_dec(const char *rule, struct gs_dec actual, const char *expected)
{
    char text[GS_DEC_TEXT];

    gs_dec_format(actual, text);
    if (gs_dec_cmp(actual, dec(expected)) != 0)
        fail_msg("%s: %s instead of %s", rule, text, expected);
}

static inline void expect_text(const char *rule, const char *actual, const char *expected)
{
    if (strcmp(actual, expected) != 0)
        fail_msg("%s: '%s' instead of '%s'", rule, actual, expected);
}

static inline void expect_status(const char *rule, enum gs_goal_status actual, enum gs_goal_status expected)
{
    if (actual != expected)
        fail_msg("%s: %s instead of %s", rule, gs_goal_status_name(actual), gs_goal_status_name(expected));
}

static inline void expect_int(const char *rule, long long actual, long long expected)
{
    if (actual != expected)
        fail_msg("%s: %lld instead of %lld", rule, actual, expected);
}

/* A goal from day 0 to day 100: on day n it is expected at n percent. */
static inline struct gs_goal metric_goal(enum gs_goal_metric metric, const char *start, const char *target,
                                         const char *risk)
{
    struct gs_goal goal = {.kind = GS_KEY_RESULT, .metric = metric, .end_day = 100};

    goal.start = maybe_dec(start, &goal.has_start);
    goal.target = maybe_dec(target, &goal.has_target);
    goal.risk = maybe_dec(risk, &goal.has_risk);
    return goal;
}

/* With the value a check-in would have brought; null: none. */
static inline struct gs_goal with_value(struct gs_goal goal, const char *value, int32_t today)
{
    struct gs_goal_rules rules = gs_goal_rules_default(today);

    goal.applied_value = maybe_dec(value, &goal.has_applied);
    goal.auto_value = goal.applied_value;
    goal.has_auto = goal.has_applied && goal.mode != GS_MANUAL;
    (void)gs_goal_derive(&goal, &rules);
    return goal;
}

static inline struct gs_goal percent_goal(const char *value)
{
    return with_value(metric_goal(GS_PERCENT, NULL, NULL, NULL), value, 0);
}

static inline struct gs_goal_child child_of(const struct gs_goal *goal, int32_t weight, int32_t position)
{
    return (struct gs_goal_child){.goal = goal, .weight = weight, .contributes = true, .position = position};
}

static inline struct gs_goal roll_up_goal(void)
{
    return (struct gs_goal){.kind = GS_OBJECTIVE, .mode = GS_ROLL_UP, .end_day = 100};
}

/* ---- Seeded numbers (xorshift64*) */

static uint64_t test_seed, test_state;

static inline uint64_t random64(void)
{
    test_state ^= test_state >> 12;
    test_state ^= test_state << 25;
    test_state ^= test_state >> 27;
    return test_state * 2685821657736338717u;
}

static inline int64_t random_in(int64_t low, int64_t high) /* both inclusive */
{
    return low + (int64_t)(random64() % (uint64_t)(high - low + 1));
}

/* Up to `digits` significant digits (at most 38), `decimals` of them after the point. */
static inline struct gs_dec random_dec(int digits, int decimals)
{
    struct gs_dec d = {0};

    for (int i = 0; i < digits; i++)
        d.u = d.u * 10 + (gs_i128)random_in(0, 9);
    for (int i = decimals; i < GS_DEC_SCALE && d.u < GS_DEC_MAX_U / 10; i++)
        d.u *= 10;
    if (random64() & 1)
        d.u = -d.u;
    return d;
}

/* Runs a group; a failure says how to repeat it. */
#define run_seeded(tests)                                                                                              \
    __extension__({                                                                                                    \
        const char *given_ = getenv("GOALSYNC_TEST_SEED");                                                             \
        test_seed = given_ ? strtoull(given_, NULL, 10) : (uint64_t)time(NULL) * 1000003u + (uint64_t)clock();         \
        test_state = test_seed ? test_seed : 1;                                                                        \
        int failed_ = cmocka_run_group_tests(tests, NULL, NULL);                                                       \
        if (failed_)                                                                                                   \
            fprintf(stderr, "repeat with GOALSYNC_TEST_SEED=%llu\n", (unsigned long long)test_seed);                   \
        failed_;                                                                                                       \
    })

#endif
