/* Settings of forms: what is accepted, what is refused and how it is said, one text for equal settings.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/auto.h"
#include "services/fetch/catalogue.h"

static const struct fetch_field fields[] = {
    {.name = "repo", .label = "Repository", .type = FETCH_TEXT, .required = true},
    {.name = "query", .label = "Query", .type = FETCH_LONG_TEXT},
    {.name = "port", .label = "Port", .type = FETCH_INTEGER, .def = "5432", .min = 1, .max = 65535},
    {.name = "mode", .label = "Mode", .type = FETCH_CHOICE, .def = "verify-full", .choices = "verify-full,require"},
    {.name = "base", .label = "Address", .type = FETCH_URL},
    {.name = "host", .label = "Host", .type = FETCH_HOST},
    {.name = "short", .label = "Short", .type = FETCH_TEXT, .max = 4},
    {0}};

static struct fetch_settings *parse(const char *json, struct gs_err *err)
{
    err->text[0] = '\0';
    return fetch_settings_parse(fields, json, strlen(json), err);
}

static void accepts(const char *json)
{
    struct gs_err err;
    struct fetch_settings *s = parse(json, &err);

    if (!s)
        fail_msg("%s was refused: %s", json, err.text);
    fetch_settings_free(s);
}

static void refuses(const char *json, const char *words)
{
    struct gs_err err;
    struct fetch_settings *s = parse(json, &err);

    if (s)
        fail_msg("%s was accepted", json);
    assert_int_equal(err.rc, GS_REJECT);
    if (!strstr(err.text, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", json, err.text, words);
}

static void test_accepted(void **state)
{
    (void)state;
    accepts("{\"repo\":\"a/b\"}");
    accepts("{\"repo\":\"a/b\",\"query\":\"select 1\\n\\tfrom x\"}");
    accepts("{\"repo\":\"a\",\"port\":\"\",\"mode\":\"\"}");
    accepts("{\"repo\":\"a\",\"port\":\"65535\",\"mode\":\"require\"}");
    accepts("{\"repo\":\"a\",\"base\":\"https://git.example.com:8443/api/v3\"}");
    accepts("{\"repo\":\"a\",\"base\":\"https://[2001:db8::1]/x\"}");
    accepts("{\"repo\":\"a\",\"host\":\"2001:db8::1\"}");
    accepts("{\"repo\":\"\\u00fc\",\"host\":\"db-1.example.com\",\"short\":\"abcd\"}");
}

static void test_refused(void **state)
{
    (void)state;
    refuses("{}", "\"repo\" (Repository) is missing");
    refuses("{\"repo\":\"\"}", "is missing");
    refuses("{\"repo\":\"a\",\"nope\":\"x\"}", "no field \"nope\"; the fields are: repo, query");
    refuses("{\"repo\":\"a\\u0007b\"}", "control characters");
    refuses("{\"repo\":\"a\\nb\"}", "control characters");
    refuses("{\"repo\":\"a\",\"port\":\"0\"}", "from 1 to 65535");
    refuses("{\"repo\":\"a\",\"port\":\"65536\"}", "from 1 to 65535");
    refuses("{\"repo\":\"a\",\"port\":\"12x\"}", "whole number");
    refuses("{\"repo\":\"a\",\"mode\":\"disable\"}", "one of: verify-full,require");
    refuses("{\"repo\":\"a\",\"mode\":\"verify\"}", "one of:");
    refuses("{\"repo\":\"a\",\"mode\":\"verify-full,require\"}", "one of:");
    refuses("{\"repo\":\"a\",\"base\":\"http://x.org\"}", "https://host/path");
    refuses("{\"repo\":\"a\",\"base\":\"https://user:pw@x.org\"}", "https://host/path");
    refuses("{\"repo\":\"a\",\"base\":\"https://x.org/?q=1\"}", "https://host/path");
    refuses("{\"repo\":\"a\",\"base\":\"https://x.org/#f\"}", "https://host/path");
    refuses("{\"repo\":\"a\",\"base\":\"https://\"}", "https://host/path");
    refuses("{\"repo\":\"a\",\"base\":\"file:///etc/passwd\"}", "https://host/path");
    refuses("{\"repo\":\"a\",\"host\":\"/var/run/postgresql\"}", "host name");
    refuses("{\"repo\":\"a\",\"host\":\"a,b\"}", "host name");
    refuses("{\"repo\":\"a\",\"host\":\"a b\"}", "host name");
    refuses("{\"repo\":\"a\",\"short\":\"abcde\"}", "at most 4");
    refuses("{\"repo\":\"a\",\"repo\":\"b\"}", "twice");
    refuses("{\"repo\":1}", "");
    refuses("[]", "");
    refuses("<html>", "");
    refuses("", "");
}

static void test_too_large(void **state)
{
    static char json[FETCH_SETTINGS_MAX + 2];
    struct gs_err err;

    (void)state;
    memset(json, ' ', sizeof json - 1);
    assert_null(fetch_settings_parse(fields, json, sizeof json - 1, &err));
    assert_non_null(strstr(err.text, "at most"));
}

static void test_plain_when_allowed(void **state)
{
    (void)state;
    fetch_settings_allow_plain(true);
    accepts("{\"repo\":\"a\",\"base\":\"http://127.0.0.1:8080\"}");
    fetch_settings_allow_plain(false);
    refuses("{\"repo\":\"a\",\"base\":\"http://127.0.0.1:8080\"}", "https://");
}

static void test_values_and_defaults(void **state)
{
    struct gs_err err;
    struct fetch_settings *s = parse("{\"repo\":\"a\\\"b\\u20ac\",\"mode\":\"require\"}", &err);

    (void)state;
    assert_non_null(s);
    assert_string_equal(fetch_setting(s, "repo"), "a\"b\xe2\x82\xac");
    assert_string_equal(fetch_setting(s, "port"), "5432");
    assert_string_equal(fetch_setting(s, "mode"), "require");
    assert_string_equal(fetch_setting(s, "query"), "");
    assert_string_equal(fetch_setting(s, "unheard of"), "");
    fetch_settings_free(s);
}

static void prints(const char *json, const char *expected)
{
    GS_AUTO(gs_buf_done) struct gs_buf b;
    struct gs_err err;
    struct fetch_settings *s = parse(json, &err);

    gs_buf_init(&b, 4096);
    assert_non_null(s);
    fetch_settings_print(s, &b);
    assert_string_equal(gs_buf_str(&b), expected);
    fetch_settings_free(s);
}

static void test_canonical_print(void **state)
{
    (void)state;
    prints("{\"repo\":\"x\",\"host\":\"h\"}", "{\"host\":\"h\",\"repo\":\"x\"}");
    prints("{\"host\":\"h\", \"repo\":\"x\"}", "{\"host\":\"h\",\"repo\":\"x\"}");
    prints("{\"repo\":\"x\",\"port\":\"5432\",\"query\":\"\"}", "{\"repo\":\"x\"}");
    prints("{\"repo\":\"a\\\"b\"}", "{\"repo\":\"a\\\"b\"}");
}

static void key_by_repo(const struct fetch_settings *link, struct gs_buf *key)
{
    gs_buf_puts(key, fetch_setting(link, "repo"));
}

static void key_of(const struct fetch_connector *c, const char *json, char ret[65])
{
    struct gs_err err;
    struct fetch_settings *s = parse(json, &err);

    assert_non_null(s);
    fetch_batch_key(c, s, ret);
    fetch_settings_free(s);
}

static void test_batch_keys(void **state)
{
    const struct fetch_connector by_repo = {.label = "x", .batch_key = key_by_repo}, by_all = {.label = "y"};
    char a[65], b[65];

    (void)state;
    key_of(&by_repo, "{\"repo\":\"owner/name\",\"host\":\"h\"}", a);
    assert_string_equal(a, "owner/name");
    /* Unsafe or long texts become a readable start and a hash; never two different texts the same key. */
    key_of(&by_repo, "{\"repo\":\"owner \\\"name\"}", a);
    assert_memory_equal(a, "owner~", 6);
    assert_int_equal(strlen(a), 6 + 32);
    key_of(&by_repo, "{\"repo\":\"owner/nameowner/nameowner/nameowner/nameowner/nameowner/name-tail1\"}", a);
    key_of(&by_repo, "{\"repo\":\"owner/nameowner/nameowner/nameowner/nameowner/nameowner/name-tail2\"}", b);
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
    /* Without a key of the connector: equal settings, equal keys, however they were written. */
    key_of(&by_all, "{\"repo\":\"x\",\"host\":\"h\"}", a);
    key_of(&by_all, "{\"host\":\"h\",\"repo\":\"x\",\"port\":\"5432\"}", b);
    assert_string_equal(a, b);
    key_of(&by_all, "{\"repo\":\"x\",\"host\":\"i\"}", b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_plain_when_allowed),
        cmocka_unit_test(test_values_and_defaults),
        cmocka_unit_test(test_canonical_print),
        cmocka_unit_test(test_batch_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
