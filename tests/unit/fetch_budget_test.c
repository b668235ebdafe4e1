/* Budgets as arithmetic: what can be used is simulated, with tokens taken ahead and used late, and then looked at as
 * the source would.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/fetch/budget.h"

#define SECOND INT64_C(1000000)
#define USES   60000

static const struct fetch_budget budgets[] = {{.name = "core", .requests = 5000, .seconds = 3600},
                                              {.name = "search", .requests = 30, .seconds = 60, .burst = 5},
                                              {.of = FETCH_OF_CLIENT, .requests = 900, .seconds = 60},
                                              {0}};
static const struct fetch_connector connector = {.label = "Test", .budgets = budgets};

static struct fetch_class class_of(const struct fetch_connector *c, const char *name)
{
    struct fetch_class class;
    struct gs_err err;

    if (!fetch_class_make(c, name, &class, &err))
        fail_msg("%s", err.text);
    return class;
}

static void test_rows_that_count_an_exchange(void **state)
{
    struct fetch_class core = class_of(&connector, "core"), search = class_of(&connector, "search");

    (void)state;
    assert_int_equal(core.n, 2);
    assert_int_equal(core.rules[0].budget->requests, 5000);
    assert_int_equal(search.n, 2);
    assert_int_equal(search.rules[0].budget->requests, 30);
    assert_int_equal(search.rules[1].budget->requests, 900);
    assert_int_equal(search.of, FETCH_OF_CONNECTION);
    assert_int_equal(search.batch, 2);
    assert_int_equal(class_of(&connector, NULL).n, 1);
}

static void test_rows_that_make_no_sense(void **state)
{
    static const struct {
        struct fetch_budget row;
        const char *words;
    } rows[] = {
        {{.name = "a", .requests = 0, .seconds = 60}, "is none"},
        {{.name = "a", .requests = -1, .seconds = 60}, "is none"},
        {{.name = "a", .requests = 5, .seconds = 0}, "is none"},
        {{.name = "a", .requests = 5, .seconds = 60, .burst = 6}, "is none"},
        {{.name = "a", .requests = 5, .seconds = 4000000}, "is none"},
        {{.name = "a", .of = FETCH_OF_ACCOUNT, .requests = 5, .seconds = 60}, "whose account"},
    };
    struct gs_err err;

    (void)state;
    assert_int_equal(fetch_budgets_check(&connector, &err), GS_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct fetch_budget list[] = {rows[i].row, {0}};
        const struct fetch_connector c = {.label = "Test", .budgets = list};

        assert_int_equal(fetch_budgets_check(&c, &err), GS_REJECT);
        assert_non_null(strstr(err.text, rows[i].words));
    }
}

static void test_first_ones_at_once_then_one_by_one(void **state)
{
    static const struct fetch_budget one[] = {{.requests = 60, .seconds = 60, .burst = 10}, {0}};
    const struct fetch_connector c = {.label = "Test", .budgets = one};
    struct fetch_class class = class_of(&c, NULL);
    int64_t next[FETCH_RULES_MAX] = {0}, from[FETCH_RULES_MAX], now = 1000 * SECOND;

    (void)state;
    assert_int_equal(fetch_class_take(&class, 100, next, now, 0, 50, from), 10);
    assert_true(from[0] + 9 * class.rules[0].interval_us <= now);
    assert_int_equal(fetch_class_take(&class, 100, next, now, 0, 50, from), 0);
    assert_int_equal(from[0], now + class.rules[0].interval_us);
    assert_int_equal(fetch_class_take(&class, 100, next, from[0], 0, 50, from), 1);
    /* Ahead of time: told when. */
    assert_int_equal(fetch_class_take(&class, 100, next, now, 3 * class.rules[0].interval_us, 50, from), 2);
    assert_int_equal(from[0], now + 2 * class.rules[0].interval_us);
}

/* ---- as the source sees it ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t random_state = 88172645463325252u;

static int64_t any(int64_t most)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)(most + 1));
}

/* Hungry workers for `spans` of the budget: each token is used as soon as it can be or as late as it may be, and its
 * answer from Redis came late, too. Returns the most that any span saw; *ret_n: all. */
static int most_in_a_span(const struct fetch_budget *b, int spans, int *ret_n)
{
    const struct fetch_budget list[] = {*b, {0}};
    const struct fetch_connector c = {.label = "Test", .budgets = list};
    struct fetch_class class = class_of(&c, NULL);
    int64_t next[FETCH_RULES_MAX] = {0}, from[FETCH_RULES_MAX], span = b->seconds * SECOND;
    int64_t *used = test_calloc(USES, sizeof *used);
    int n = 0, most = 0;

    for (int64_t now = SECOND; now < SECOND + spans * span && n < USES - FETCH_BATCH_MAX; now += class.keep_us / 3) {
        size_t got = fetch_class_take(&class, 100, next, now, class.keep_us, class.batch, from);
        int64_t late = any(3) ? 0 : class.keep_us;

        for (size_t i = 0; i < got; i++) {
            int64_t at = from[0] + (int64_t)i * class.rules[0].interval_us;

            used[n++] = (at > now ? at : now) + late + any(late);
        }
        if (!any(4 * span / class.keep_us)) /* nobody wants anything for a while: then much may come at once */
            now += any(span);
    }
    qsort(used, (size_t)n, sizeof *used, compare);
    for (int i = 0, first = 0; i < n; i++) {
        while (used[first] <= used[i] - span)
            first++;
        if (i - first + 1 > most)
            most = i - first + 1;
    }
    test_free(used);
    *ret_n = n;
    return most;
}

static void test_no_span_sees_more(void **state)
{
    static const struct fetch_budget rows[] = {
        {.requests = 30, .seconds = 60},
        {.requests = 30, .seconds = 60, .burst = 30},
        {.requests = 900, .seconds = 60},
        {.requests = 5000, .seconds = 3600},
        {.requests = 10, .seconds = 1},
        {.requests = 100, .seconds = 10},
        {.requests = 1, .seconds = 5},
        {.requests = 1000, .seconds = 86400},
        {.requests = 600, .seconds = 600, .burst = 100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int n, most = most_in_a_span(&rows[i], 8, &n);

        if (most > rows[i].requests)
            fail_msg("%d of %d in %d s", most, rows[i].requests, rows[i].seconds);
        /* And it is not kept by hardly asking. */
        if (most < rows[i].requests * 6 / 10)
            fail_msg("only %d of %d in %d s", most, rows[i].requests, rows[i].seconds);
    }
}

static void test_alone_takes_its_share(void **state)
{
    struct fetch_class class = class_of(&connector, NULL);
    int64_t next[FETCH_RULES_MAX] = {0}, from[FETCH_RULES_MAX], now = 1000 * SECOND, end = now + 60 * SECOND;
    size_t n = 0;

    (void)state;
    for (; now < end; now += SECOND / 10)
        n += fetch_class_take(&class, 10, next, now, 0, 100, from);
    assert_in_range(n, 60, 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_that_count_an_exchange),
        cmocka_unit_test(test_rows_that_make_no_sense),
        cmocka_unit_test(test_first_ones_at_once_then_one_by_one),
        cmocka_unit_test(test_no_span_sees_more),
        cmocka_unit_test(test_alone_takes_its_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
