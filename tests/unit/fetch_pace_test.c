/* Whose turn it is, and how many requests a host gets at once.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/fetch/pace.h"
#include "services/fetch/queue.h"

#define SECOND INT64_C(1000000)
#define NOW    (1000 * SECOND)

/* ---- turns ---- */

#define TURNS 64

static struct fetch_turn turns[TURNS];

static void serve(struct fetch_queue *q, const char *want)
{
    for (; *want; want++) {
        struct fetch_turn *t = fetch_queue_next(q);

        assert_non_null(t);
        assert_int_equal(t->org_id, *want - 'a');
        fetch_queue_drop(t);
        assert_null(t->queue);
    }
}

static void fill(struct fetch_queue *q, const char *orgs)
{
    memset(turns, 0, sizeof turns);
    *q = (struct fetch_queue){0};
    for (size_t i = 0; orgs[i]; i++)
        fetch_queue_put(q, &turns[i], orgs[i] - 'a');
}

static void test_organisations_take_turns(void **state)
{
    struct fetch_queue q;

    (void)state;
    fill(&q, "aaaaaaaabcb");
    assert_int_equal(q.n, 11);
    assert_int_equal(q.orgs, 3);
    serve(&q, "abcabaaaaaa");
    assert_null(fetch_queue_next(&q));
    assert_int_equal(q.n + q.orgs, 0);
}

static void test_order_within_one(void **state)
{
    struct fetch_queue q;

    (void)state;
    fill(&q, "aaa");
    assert_ptr_equal(fetch_queue_next(&q), &turns[0]);
    fetch_queue_drop(&turns[1]);
    fetch_queue_drop(&turns[0]);
    assert_ptr_equal(fetch_queue_next(&q), &turns[2]);
    fetch_queue_put(&q, &turns[1], 0);
    fetch_queue_drop(&turns[2]);
    assert_ptr_equal(fetch_queue_next(&q), &turns[1]);
    fetch_queue_drop(&turns[1]);
    fetch_queue_drop(&turns[1]); /* harmless */
    assert_int_equal(q.n, 0);
}

static void test_the_last_of_the_many_goes_first(void **state)
{
    struct fetch_queue q;

    (void)state;
    fill(&q, "abbbc");
    assert_ptr_equal(fetch_queue_last(&q), &turns[3]);
    fetch_queue_drop(&turns[3]);
    fetch_queue_drop(&turns[1]); /* the first of its organisation, in the middle */
    serve(&q, "abc");
    assert_null(fetch_queue_last(&q));
}

/* ---- hosts ---- */

static void good(struct fetch_pace *p, int n)
{
    while (n-- > 0)
        fetch_pace_good(p, p->window);
}

static void bad(struct fetch_pace *p, int n)
{
    while (n-- > 0)
        fetch_pace_bad(p, false, NOW, 0);
}

static void test_grows_while_nothing_fails(void **state)
{
    struct fetch_pace p;

    (void)state;
    fetch_pace_init(&p, 20);
    assert_int_equal(p.window, FETCH_PACE_START);
    good(&p, 10);
    assert_int_equal(p.window, 15);
    good(&p, 100);
    assert_int_equal(p.window, 20);
    fetch_pace_init(&p, 20);
    for (int i = 0; i < 1000; i++)
        fetch_pace_good(&p, 1); /* one at a time never fills it */
    assert_int_equal(p.window, FETCH_PACE_START);
    fetch_pace_init(&p, 2);
    assert_int_equal(p.window, 2);
}

static void test_one_less_with_the_first_failure_of_a_window(void **state)
{
    struct fetch_pace p;

    (void)state;
    fetch_pace_init(&p, 20);
    good(&p, 15);
    bad(&p, 1);
    assert_int_equal(p.window, 19);
    bad(&p, 5);
    assert_int_equal(p.window, 19);
    good(&p, 18); /* from now on a whole window for one more */
    assert_int_equal(p.window, 19);
    good(&p, 2);
    assert_int_equal(p.window, 20);
}

static void test_some_failures_do_not_end_it(void **state)
{
    struct fetch_pace p;

    (void)state;
    fetch_pace_init(&p, 20);
    for (int i = 0; i < 10000; i++) {
        bad(&p, 2);
        good(&p, 1);
    }
    assert_in_range(p.window, 1, 2);
}

static void test_dead_after_a_window_of_failures(void **state)
{
    struct fetch_pace p;
    int64_t pause = 5 * SECOND;

    (void)state;
    fetch_pace_init(&p, 20);
    bad(&p, 3);
    assert_true(p.window > 0);
    bad(&p, 2);
    assert_int_equal(p.window, 0);
    assert_int_equal(p.probe_at_us, NOW + pause);
    bad(&p, 100); /* they were under way */
    assert_int_equal(p.probe_at_us, NOW + pause);
    for (int i = 0; i < 20; i++) {
        pause = pause * 2 < 300 * SECOND ? pause * 2 : 300 * SECOND;
        fetch_pace_bad(&p, true, NOW, 0);
        assert_int_equal(p.probe_at_us, NOW + pause);
    }
    fetch_pace_bad(&p, true, NOW, 1);
    assert_int_equal(p.probe_at_us, NOW + 225 * SECOND);
    fetch_pace_good(&p, 1);
    assert_int_equal(p.window, FETCH_PACE_START);
    good(&p, FETCH_PACE_START - 1);
    assert_int_equal(p.window, FETCH_PACE_START);
    good(&p, 1);
    assert_int_equal(p.window, FETCH_PACE_START + 1);
}

static void test_small_window_is_not_dead_at_once(void **state)
{
    struct fetch_pace p;

    (void)state;
    fetch_pace_init(&p, 1);
    bad(&p, 2);
    assert_int_equal(p.window, 1);
    bad(&p, 1);
    assert_int_equal(p.window, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_organisations_take_turns),
        cmocka_unit_test(test_order_within_one),
        cmocka_unit_test(test_the_last_of_the_many_goes_first),
        cmocka_unit_test(test_grows_while_nothing_fails),
        cmocka_unit_test(test_one_less_with_the_first_failure_of_a_window),
        cmocka_unit_test(test_some_failures_do_not_end_it),
        cmocka_unit_test(test_dead_after_a_window_of_failures),
        cmocka_unit_test(test_small_window_is_not_dead_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
