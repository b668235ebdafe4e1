/* Pauses grow, stay within their bounds, and differ. */
#include "common/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void grows_to_the_maximum(void **state)
{
    (void)state;
    for (int round = 0; round < 1000; round++) {
        struct gs_backoff b = {.min_us = 100, .max_us = 5000};
        int64_t full = 100;
        for (int i = 0; i < 100; i++) {
            assert_in_range(gs_backoff_next(&b), full / 2, full);
            full = full * 2 > 5000 ? 5000 : full * 2;
        }
        gs_backoff_reset(&b);
        assert_in_range(gs_backoff_next(&b), 50, 100);
    }
}

static void survives_extremes(void **state)
{
    struct gs_backoff none = {0}, large = {.min_us = 1, .max_us = INT64_MAX, .attempt = 1000000};
    (void)state;
    assert_int_equal(gs_backoff_next(&none), 0);
    assert_true(gs_backoff_next(&large) >= INT64_MAX / 2);
}

static void random_differs(void **state)
{
    uint64_t all_or = 0, all_and = UINT64_MAX;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t r = gs_random64();
        all_or |= r;
        all_and &= r;
    }
    assert_true(all_or == UINT64_MAX && all_and == 0); /* each bit was seen set and clear */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_the_maximum),
        cmocka_unit_test(survives_extremes),
        cmocka_unit_test(random_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
