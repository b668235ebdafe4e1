/* Offsets are committed only when everything before them is done, whatever the order, the gaps and the reassignments.
 */
#include "common/offsets.h"

#include "common/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

static void in_and_out_of_order(void **state)
{
    struct gs_offsets *o = gs_offsets_new();
    int64_t next = -1;
    (void)state;
    uint32_t g = gs_offsets_begin(o, "a", 0, 10);
    assert_int_equal(gs_offsets_begin(o, "a", 0, 11), g);
    assert_int_equal(gs_offsets_begin(o, "a", 0, 15), g); /* a gap: 12 to 14 were transaction markers */
    assert_int_equal(gs_offsets_open(o), 3);
    assert_false(gs_offsets_end(o, "a", 0, 11, g, &next));
    assert_false(gs_offsets_end(o, "a", 0, 11, g, &next)); /* twice changes nothing */
    assert_int_equal(gs_offsets_open(o), 2);
    assert_true(gs_offsets_end(o, "a", 0, 10, g, &next));
    assert_int_equal(next, 12);
    assert_true(gs_offsets_end(o, "a", 0, 15, g, &next));
    assert_int_equal(next, 16);
    assert_int_equal(gs_offsets_open(o), 0);
    gs_offsets_free(o);
}

static void unknown_ones_are_ignored(void **state)
{
    struct gs_offsets *o = gs_offsets_new();
    int64_t next = -1;
    (void)state;
    assert_false(gs_offsets_end(o, "a", 0, 10, 1, &next));
    uint32_t g = gs_offsets_begin(o, "a", 0, 10);
    gs_offsets_begin(o, "a", 0, 20);
    assert_false(gs_offsets_end(o, "a", 0, 9, g, &next));
    assert_false(gs_offsets_end(o, "a", 0, 15, g, &next));
    assert_false(gs_offsets_end(o, "a", 0, 21, g, &next));
    assert_false(gs_offsets_end(o, "a", 1, 10, g, &next));
    assert_false(gs_offsets_end(o, "b", 0, 10, g, &next));
    assert_int_equal(gs_offsets_open(o), 2);
    gs_offsets_forget(o, "b", 0);
    gs_offsets_free(o);
    assert_null(gs_offsets_free(NULL));
}

static void old_generations_do_not_count(void **state)
{
    struct gs_offsets *o = gs_offsets_new();
    int64_t next = -1;
    (void)state;
    uint32_t before = gs_offsets_begin(o, "a", 0, 10);
    gs_offsets_forget(o, "a", 0);
    assert_int_equal(gs_offsets_open(o), 0);
    assert_false(gs_offsets_end(o, "a", 0, 10, before, &next));
    uint32_t after = gs_offsets_begin(o, "a", 0, 10);
    assert_int_not_equal(before, after);
    assert_false(gs_offsets_end(o, "a", 0, 10, before, &next));
    assert_int_equal(next, -1);
    assert_true(gs_offsets_end(o, "a", 0, 10, after, &next));
    assert_int_equal(next, 11);
    gs_offsets_free(o);
}

static void going_back_starts_again(void **state)
{
    struct gs_offsets *o = gs_offsets_new();
    int64_t next = -1;
    (void)state;
    uint32_t before = gs_offsets_begin(o, "a", 0, 10);
    uint32_t after = gs_offsets_begin(o, "a", 0, 5);
    assert_int_not_equal(before, after);
    assert_int_equal(gs_offsets_open(o), 1);
    assert_false(gs_offsets_end(o, "a", 0, 10, before, &next));
    assert_true(gs_offsets_end(o, "a", 0, 5, after, &next));
    assert_int_equal(next, 6);
    gs_offsets_free(o);
}

static void many_partitions(void **state)
{
    struct gs_offsets *o = gs_offsets_new();
    uint32_t generations[500];
    char topic[32];
    int64_t next;
    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(topic, sizeof(topic), "topic-%d", i / 10);
        generations[i] = gs_offsets_begin(o, topic, i % 10, i);
    }
    assert_int_equal(gs_offsets_open(o), 500);
    for (int i = 0; i < 500; i++) {
        snprintf(topic, sizeof(topic), "topic-%d", i / 10);
        assert_true(gs_offsets_end(o, topic, i % 10, i, generations[i], &next));
        assert_int_equal(next, i + 1);
    }
    gs_offsets_free(o);
}

/* Against the plainest model: an array of what is done. */
static void random_orders(void **state)
{
    enum { N = 2000, WINDOW = 300 };
    static int64_t offsets[N];
    static bool done[N];
    struct gs_offsets *o = gs_offsets_new();
    int begun = 0, low = 0, open = 0;
    uint32_t g = 0;
    int64_t offset = 1000;
    (void)state;
    while (low < N) {
        if (begun < N && begun - low < WINDOW && (open == 0 || gs_random64() % 2)) {
            offset += 1 + (gs_random64() % 4 == 0 ? (int64_t)(gs_random64() % 50) : 0);
            offsets[begun++] = offset;
            g = gs_offsets_begin(o, "t", 3, offset);
            open++;
            continue;
        }
        int i = low + (int)(gs_random64() % (uint64_t)(begun - low));
        int64_t next = -1;
        bool moved = gs_offsets_end(o, "t", 3, offsets[i], g, &next);
        open -= !done[i];
        done[i] = true;
        int before = low;
        while (low < begun && done[low])
            low++;
        assert_int_equal(moved, low > before);
        assert_int_equal(next, moved ? offsets[low - 1] + 1 : -1);
        assert_int_equal(gs_offsets_open(o), open);
    }
    gs_offsets_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_and_out_of_order),
        cmocka_unit_test(unknown_ones_are_ignored),
        cmocka_unit_test(old_generations_do_not_count),
        cmocka_unit_test(going_back_starts_again),
        cmocka_unit_test(many_partitions),
        cmocka_unit_test(random_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
