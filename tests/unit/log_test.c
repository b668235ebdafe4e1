/* Log lines: layout, filter, and that nothing from outside can start a line. */
#include "common/log.h"

#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

static char last[8192];
static int lines;

static void capture(const char *line, void *arg)
{
    (void)arg;
    snprintf(last, sizeof(last), "%s", line);
    lines++;
}

static int64_t fake(void)
{
    return INT64_C(1795449723123456);
}

static int set_up(void **state)
{
    (void)state;
    gs_clock_fake(fake, NULL);
    gs_log_capture(capture, NULL);
    gs_log_init("scheduler", "info");
    lines = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gs_clock_fake(NULL, NULL);
    gs_log_capture(NULL, NULL);
    return 0;
}

static void layout(void **state)
{
    const struct gs_log_ctx ctx = {.topic = "due", .org_id = 1, .link_id = 2, .trace = "4bf9"};
    (void)state;
    gs_log_info(&ctx, "claimed", "n=%d", 3);
    assert_string_equal(last, "2026-11-23T16:02:03.123456Z info scheduler \"claimed\" org=1 link=2 trace=4bf9 n=3");
    gs_log_error(NULL, "plain", NULL);
    assert_string_equal(last, "2026-11-23T16:02:03.123456Z error scheduler \"plain\"");
}

static void no_line_breaks_from_outside(void **state)
{
    (void)state;
    gs_log_warn(NULL, "bad\nevent", "error=\"%s\"", "x\r\n2026 info scheduler \"forged\"\xe2\x80\xa8\x1b[2J");
    assert_int_equal(lines, 1);
    assert_null(strpbrk(last, "\r\n\x1b"));
    assert_null(strstr(last, "\xe2\x80\xa8"));
}

static void long_lines_are_cut(void **state)
{
    static char text[20000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    gs_log_info(NULL, "long", "text=%s tail=%d", text, 1);
    assert_in_range(strlen(last), 1000, 4096);
    gs_log_info(NULL, text, "a=%d", 1);
    assert_in_range(strlen(last), 1000, 4096);
}

static int evaluated(void)
{
    static int n;
    return ++n;
}

static void filters_by_topic(void **state)
{
    const struct gs_log_ctx kafka = {.topic = "kafka"}, pg = {.topic = "pg"};
    (void)state;
    gs_log_init("scheduler", "warn,kafka=debug,pg=error");
    gs_log_info(NULL, "no", "n=%d", evaluated());
    gs_log_warn(&pg, "no", "n=%d", evaluated());
    assert_int_equal(lines, 0);
    gs_log_debug(&kafka, "yes", "n=%d", evaluated());
    assert_int_equal(lines, 1);
    assert_non_null(strstr(last, "n=1")); /* filtered lines do not evaluate their arguments */
    gs_log_warn(NULL, "yes", NULL);
    gs_log_error(&pg, "yes", NULL);
    assert_int_equal(lines, 3);
}

static void checks_filters(void **state)
{
    static const char *const good[] = {"", "info", "warn,kafka=debug", "kafka=error"};
    static const char *const bad[] = {"loud", "info,kafka", "kafka=", "=info", "kafka=loud", "INFO"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(gs_log_filter_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(gs_log_filter_valid(bad[i]));
    gs_log_init("x", "loud,debug");
    assert_true(gs_log_on(NULL, GS_LOG_DEBUG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_line_breaks_from_outside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters_by_topic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(checks_filters, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
