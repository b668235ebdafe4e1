/* Slots are stable, on their grid, and even over the hour. */
#include "common/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

static void offsets_are_exact(void **state)
{
    (void)state;
    assert_int_equal(gs_slot_offset(0, HOUR), 0);
    assert_int_equal(gs_slot_offset(1 << 30, HOUR), HOUR / 2);
    assert_int_equal(gs_slot_offset(INT32_MAX, HOUR), HOUR - 2); /* HOUR / 2^31 is 1.68 us */
    assert_int_equal(gs_slot_offset(INT32_MAX, SECOND), SECOND - 1);
    assert_int_equal(gs_slot_offset(1 << 30, 24 * 365 * HOUR), 12 * 365 * HOUR);
}

static void latest_is_on_the_grid(void **state)
{
    const int64_t now = INT64_C(1763916600123456);

    (void)state;
    for (int64_t h = 0; h < GS_SLOT_HASHES; h += 7777777) {
        int32_t hash = (int32_t)h;
        int64_t slot = gs_slot_latest(hash, HOUR, now);
        assert_true(slot <= now && now - slot < HOUR);
        assert_int_equal((slot - gs_slot_offset(hash, HOUR)) % HOUR, 0);
        assert_int_equal(gs_slot_latest(hash, HOUR, slot), slot);
        assert_int_equal(gs_slot_latest(hash, HOUR, slot - 1), slot - HOUR);
        assert_int_equal(gs_slot_latest(hash, HOUR, slot + HOUR), slot + HOUR);
    }
    assert_int_equal(gs_slot_latest(1 << 30, HOUR, 0), -HOUR / 2);
}

/* A different hash would move every batch of every installation. */
static void hash_never_changes(void **state)
{
    (void)state;
    assert_int_equal(gs_slot_hash(1, ""), 1095385852);
    assert_int_equal(gs_slot_hash(42, "acme/app"), 1565989685);
    assert_int_not_equal(gs_slot_hash(1, "2"), gs_slot_hash(12, ""));
}

static void no_second_is_crowded(void **state)
{
    enum { BATCHES = 1000000, SECONDS = 3600 };
    static int per_second[SECONDS];
    int max = 0;

    (void)state;
    for (int i = 0; i < BATCHES; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 10);
        per_second[gs_slot_offset(gs_slot_hash(1 + i / 10, key), HOUR) / SECOND]++;
    }
    for (int s = 0; s < SECONDS; s++)
        max = per_second[s] > max ? per_second[s] : max;
    assert_true((int64_t)max * SECONDS < BATCHES * INT64_C(13) / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_exact),
        cmocka_unit_test(latest_is_on_the_grid),
        cmocka_unit_test(hash_never_changes),
        cmocka_unit_test(no_second_is_crowded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
