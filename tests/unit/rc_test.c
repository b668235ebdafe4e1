/* A failure keeps its decision and its text, also when the text is built from itself. */
#include "common/rc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fail_fills_and_returns(void **state)
{
    struct gs_err err;
    (void)state;
    assert_int_equal(gs_fail(&err, GS_REJECT, "row %d: no value", 7), GS_REJECT);
    assert_int_equal(err.rc, GS_REJECT);
    assert_string_equal(err.text, "row 7: no value");
    assert_int_equal(gs_fail(&err, GS_RETRY, "table a: %s", err.text), GS_RETRY);
    assert_string_equal(err.text, "table a: row 7: no value");
    assert_int_equal(gs_fail(NULL, GS_GONE, "x"), GS_GONE);
}

static void long_texts_are_cut(void **state)
{
    struct gs_err err;
    char text[1000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    gs_fail(&err, GS_REJECT, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(gs_rc_name(GS_OK), "ok");
    assert_string_equal(gs_rc_name(GS_DENIED), "denied");
    assert_string_equal(gs_rc_name((enum gs_rc)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_fills_and_returns),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
