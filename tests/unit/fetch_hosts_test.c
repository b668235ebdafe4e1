/* Hosts by configuration: what replaces what, what is refused and how that is said, addresses made of them.
 * links: fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/auto.h"
#include "services/fetch/hosts.h"

GS_AUTO_DEFINE(struct fetch_settings, settings_free, fetch_settings_free)

static const struct fetch_host hosts[] = {
    {"api", "https://api.example.com"}, {"accounts", "https://accounts.example.com"}, {0}};
static const struct fetch_field fields[] = {{.name = "base_url", .label = "Address", .type = FETCH_URL},
                                            {.name = "site", .label = "Site", .type = FETCH_TEXT},
                                            {0}};
static const struct fetch_connector one = {.label = "One", .hosts = hosts, .connection_fields = fields},
                                    two = {.label = "Two", .connection_fields = fields};
static const struct fetch_entry catalogue[] = {{"one", GS_THIRD_PARTY, &one}, {"two", GS_THIRD_PARTY, &two}, {0}};

static enum gs_rc parse(const char *text, bool allow_plain, struct gs_err *err)
{
    return fetch_hosts_parse(catalogue, text, strlen(text), allow_plain, err);
}

static void refused(const char *text, const char *word)
{
    struct gs_err err = {0};

    assert_int_equal(parse(text, true, &err), GS_REJECT);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say \"%s\"", err.text, word);
    assert_string_equal(fetch_host_url(&one, "api"), "https://api.example.com");
    assert_null(fetch_host_ca_file(&one));
}

static void test_own_hosts(void **state)
{
    (void)state;
    fetch_hosts_clear();
    assert_string_equal(fetch_host_url(&one, "api"), "https://api.example.com");
    assert_null(fetch_host_url(&one, "other"));
    assert_null(fetch_host_url(&two, "api"));
    assert_null(fetch_host_ca_file(&one));
}

static void test_replaced(void **state)
{
    static const char ca[] = "/etc/ssl/certs/ca-certificates.crt";
    struct gs_err err;

    (void)state;
    assert_int_equal(parse("{\"one\":{\"api\":\"https://proxy.example.org:8443/rec/\",\"ca_file\":"
                           "\"/etc/ssl/certs/ca-certificates.crt\"},\"jira\":{\"api\":\"of another program\"}}",
                           false, &err),
                     GS_OK);
    assert_string_equal(fetch_host_url(&one, "api"), "https://proxy.example.org:8443/rec");
    assert_string_equal(fetch_host_url(&one, "accounts"), "https://accounts.example.com");
    assert_string_equal(fetch_host_ca_file(&one), ca);
    assert_null(fetch_host_ca_file(&two));
    assert_int_equal(parse("{\"two\":{\"ca_file\":\"/etc/ssl/certs/ca-certificates.crt\"}}", false, &err), GS_OK);
    assert_string_equal(fetch_host_ca_file(&two), ca);
    assert_null(fetch_host_ca_file(&one));
    fetch_hosts_clear();
}

static void test_plain_http(void **state)
{
    static const char *const own[] = {"http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80"};
    char text[200];
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        snprintf(text, sizeof text, "{\"one\":{\"api\":\"%s\"}}", own[i]);
        assert_int_equal(parse(text, true, &err), GS_OK);
        assert_string_equal(fetch_host_url(&one, "api"), own[i]);
        assert_int_equal(parse(text, false, &err), GS_REJECT);
        assert_non_null(strstr(err.text, own[i]));
    }
    refused("{\"one\":{\"api\":\"http://10.0.0.1\"}}", "http://10.0.0.1");
    refused("{\"one\":{\"api\":\"http://127.evil.example@x.example\"}}", "takes an address");
    refused("{\"one\":{\"api\":\"http://localhost.example.com\"}}", "takes an address");
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    refused("{\"one\":", "no JSON");
    refused("[]", "no JSON object");
    refused("{\"three\":{}}", "there is no connector \"three\"");
    refused("{\"one\":[]}", "\"one\" is no object");
    refused("{\"one\":{\"apy\":\"https://x.example\"}}", "there are: api, accounts, ca_file");
    refused("{\"one\":{\"api\":17}}", "\"api\" of \"one\" is no text");
    refused("{\"one\":{\"api\":\"ftp://x.example\"}}", "ftp://x.example");
    refused("{\"one\":{\"api\":\"https://x.example/?q=1\"}}", "takes an address");
    refused("{\"one\":{\"api\":\"https://user:word@x.example/\"}}", "takes an address");
    refused("{\"one\":{\"api\":\"https://x.example/a b\"}}", "takes an address");
    refused("{\"one\":{\"ca_file\":\"/nowhere/ca.pem\"}}", "No such file");
    refused("{\"one\":{\"ca_file\":\"/etc/hostname\"}}", "certificates in PEM");
    refused("{\"one\":{\"api\":\"https://good.example\"},\"three\":{}}", "three"); /* nothing of a bad file is taken */
}

static void address(const char *settings, const char *pattern, const char *expected)
{
    struct gs_err err = {0};
    GS_AUTO(settings_freep) struct fetch_settings *s = fetch_settings_parse(fields, settings, strlen(settings), &err);
    GS_AUTO(gs_buf_done) struct gs_buf b;

    gs_buf_init(&b, 200);
    assert_non_null(s);
    enum gs_rc rc = fetch_address(&one, s, pattern, &b, &err);

    if (expected) {
        assert_int_equal(rc, GS_OK);
        assert_string_equal(gs_buf_str(&b), expected);
    } else {
        assert_int_equal(rc, GS_REJECT);
        assert_true(err.text[0]);
    }
}

static void test_addresses(void **state)
{
    struct gs_err err;

    (void)state;
    fetch_hosts_clear();
    address("{}", "{accounts}/token", "https://accounts.example.com/token");
    address("{\"base_url\":\"https://jira.example.org/base/\"}", "{base_url}/token",
            "https://jira.example.org/base/token");
    address("{\"site\":\"acme\"}", "https://{site}.example.com/x", "https://acme.example.com/x");
    address("{\"site\":\"evil.org/\"}", "https://{site}.example.com/x", NULL);
    address("{\"site\":\"..\"}", "{api}/{site}/x", NULL);
    address("{}", "https://{site}.example.com/x", NULL);
    address("{}", "{nothing}/x", NULL);
    address("{}", "{api", NULL);
    assert_int_equal(parse("{\"one\":{\"accounts\":\"https://login.example.org/\"}}", false, &err), GS_OK);
    address("{}", "{accounts}/token", "https://login.example.org/token");
    fetch_hosts_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_hosts),          cmocka_unit_test(test_replaced),  cmocka_unit_test(test_plain_http),
        cmocka_unit_test(test_mistakes_are_named), cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
