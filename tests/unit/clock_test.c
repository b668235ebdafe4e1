/* Clocks can be replaced, and time as text goes both ways. */
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t fake(void)
{
    return 42;
}

static void fakes(void **state)
{
    (void)state;
    assert_true(gs_now_us() > INT64_C(1700000000000000));
    int64_t before = gs_mono_us();
    assert_true(gs_mono_us() >= before);
    gs_clock_fake(fake, NULL);
    assert_int_equal(gs_now_us(), 42);
    gs_clock_fake(NULL, fake);
    assert_int_equal(gs_mono_us(), 42);
    assert_true(gs_now_us() > 42);
    gs_clock_fake(NULL, NULL);
    assert_true(gs_mono_us() >= before);
}

static const struct {
    int64_t us;
    const char *text;
} times[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {-1, "1969-12-31T23:59:59.999999Z"},
    {INT64_C(1795449723123456), "2026-11-23T16:02:03.123456Z"},
    {INT64_C(-61094822400000000), "0033-12-25T00:00:00.000000Z"},
    {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
    {INT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z"},
};

static void formats_and_parses(void **state)
{
    char text[GS_TIME_TEXT];
    int64_t us;
    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        assert_string_equal(gs_time_format(times[i].us, text), times[i].text);
        assert_true(gs_time_parse(text, &us));
        assert_int_equal(us, times[i].us);
    }
    gs_time_format(INT64_MAX, text);
    assert_true(strlen(text) < GS_TIME_TEXT);
    gs_time_format(INT64_MIN, text);
    assert_true(strlen(text) < GS_TIME_TEXT);
}

static void parses_zones_and_fractions(void **state)
{
    int64_t us;
    (void)state;
    assert_true(gs_time_parse("2026-11-23T17:02:03+01:00", &us));
    assert_int_equal(us, INT64_C(1795449723000000));
    assert_true(gs_time_parse("2026-11-23t10:32:03.5-05:30", &us));
    assert_int_equal(us, INT64_C(1795449723500000));
    assert_true(gs_time_parse("2026-11-23 16:02:03.1234569Z", &us));
    assert_int_equal(us, INT64_C(1795449723123456));
}

static void refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "2026-11-23",
        "2026-11-23T16:02:03",
        "2026-11-23T16:02:03.Z",
        "2026-13-23T16:02:03Z",
        "2026-02-29T16:02:03Z",
        "2100-02-29T16:02:03Z",
        "2026-11-00T16:02:03Z",
        "2026-11-23T24:02:03Z",
        "2026-11-23T16:60:03Z",
        "2026-11-23T16:02:61Z",
        "2026-11-23T16:02:03Zx",
        "2026-11-23T16:02:03+1:00",
        "2026-11-23T16:02:03+01:60",
        "2026/11/23T16:02:03Z",
        "-026-11-23T16:02:03Z",
        "0000-11-23T16:02:03Z",
    };
    int64_t us;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(gs_time_parse(bad[i], &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fakes),
        cmocka_unit_test(formats_and_parses),
        cmocka_unit_test(parses_zones_and_fractions),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
