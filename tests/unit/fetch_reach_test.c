/* Which hosts may be asked.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/fetch/reach.h"

static const struct fetch_host hosts[] = {{"api", "https://graph.example.com"}, {0}};
static const struct fetch_connector connector = {.label = "Test", .hosts = hosts};
static const struct fetch_entry catalogue[] = {{"test", GS_IN_BOUNDARY, &connector}, {0}};

static void begin(enum gs_category category, const char *list)
{
    struct gs_err err;

    if (fetch_reach_start(category, catalogue, list, &err) != GS_OK)
        fail_msg("%s", err.text);
}

static void test_in_boundary_asks_its_own(void **state)
{
    (void)state;
    begin(GS_IN_BOUNDARY, "");
    assert_true(fetch_reach_allowed("https://graph.example.com/v1.0/me?x=1"));
    assert_true(fetch_reach_allowed("https://GRAPH.example.com:443/"));
    assert_true(fetch_reach_allowed("https://graph.example.com./"));
    assert_false(fetch_reach_allowed("https://graph.example.com.evil.example/"));
    assert_false(fetch_reach_allowed("https://evil.example/graph.example.com"));
    assert_false(fetch_reach_allowed("https://evilgraph.example.com/"));
    assert_false(fetch_reach_allowed("https://evil.example#graph.example.com"));
    assert_false(fetch_reach_allowed("db.example.org:5432"));
    assert_false(fetch_reach_allowed(""));
    fetch_reach_clear();
}

static void test_a_list_adds_to_them(void **state)
{
    (void)state;
    begin(GS_IN_BOUNDARY, " *.example.org, 10.0.0.7,[fd00::7],db.example.net ");
    assert_true(fetch_reach_allowed("https://graph.example.com/"));
    assert_true(fetch_reach_allowed("https://a.b.example.org/"));
    assert_false(fetch_reach_allowed("https://example.org/"));
    assert_false(fetch_reach_allowed("https://badexample.org/"));
    assert_true(fetch_reach_allowed("10.0.0.7:5432"));
    assert_true(fetch_reach_allowed("https://[fd00::7]:8443/x"));
    assert_false(fetch_reach_allowed("https://[fd00::8]:8443/x"));
    assert_true(fetch_reach_allowed("db.example.net"));
    fetch_reach_clear();
}

static void test_others_ask_all_unless_there_is_a_list(void **state)
{
    (void)state;
    begin(GS_THIRD_PARTY, "");
    assert_true(fetch_reach_allowed("https://anything.example/"));
    begin(GS_THIRD_PARTY, "api.example.org");
    assert_true(fetch_reach_allowed("https://api.example.org/"));
    assert_false(fetch_reach_allowed("https://anything.example/"));
    assert_false(fetch_reach_allowed("https://graph.example.com/")); /* of another category */
    fetch_reach_clear();
}

static void test_what_is_no_host(void **state)
{
    static const char *const lists[] = {"https://a.example", "*", "*.", "*.a.*", "a*.example", "a.example/x", "a;b"};
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        assert_int_equal(fetch_reach_start(GS_THIRD_PARTY, catalogue, lists[i], &err), GS_REJECT);
        assert_non_null(strstr(err.text, "GOALSYNC_FETCH_HOSTS_ALLOWED"));
    }
    fetch_reach_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_boundary_asks_its_own),
        cmocka_unit_test(test_a_list_adds_to_them),
        cmocka_unit_test(test_others_ask_all_unless_there_is_a_list),
        cmocka_unit_test(test_what_is_no_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
