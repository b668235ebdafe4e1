/* The small pieces of signing in: encodings, tokens of ours, cookies, places to return to, identities, and what an
 * issuer says about itself. links: goalsync_gateway */
#include "services/gateway/auth_private.h"

#include "common/json.h"
#include "common/mem.h"
#include "services/gateway/auth_text.h"
#include "services/gateway/settings.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char none[] = "";

static int setup(void **state)
{
    (void)state;
    gw_auth_settings = (struct gw_auth_settings){.issuer = gs_strdup("https://id.example"),
                                                 .client_id = gs_strdup("c"),
                                                 .client_secret = none,
                                                 .audience = none,
                                                 .scopes = none,
                                                 .email_claim = none,
                                                 .subject_claim = gs_strdup("sub"),
                                                 .scope_prefix = none,
                                                 .admin_claim = none,
                                                 .admin_value = none,
                                                 .tenant_admins = none,
                                                 .ca_file = none,
                                                 .bootstrap_file = none};
    gw_settings.public_url = gs_strdup("https://goals.example.com");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(gw_auth_settings.issuer);
    free(gw_auth_settings.client_id);
    free(gw_auth_settings.subject_claim);
    free(gw_settings.public_url);
    return 0;
}

static void base64url(void **state)
{
    static const struct {
        const char *bytes, *text;
    } pairs[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xfb\xff\xbf", "-_-_"}};
    static const char *const bad[] = {"Z", "Zh", "Zm9", "Zg==", "Zm9vY", "Zm 9", "+/+/", "Zg\n"};
    char text[16], bytes[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        size_t len = strlen(pairs[i].bytes);

        assert_int_equal(gw_base64url_encode(pairs[i].bytes, len, text), strlen(pairs[i].text));
        assert_string_equal(text, pairs[i].text);
        assert_true(gw_base64url_decode(text, strlen(text), bytes, len, &n) && n == len);
        assert_memory_equal(bytes, pairs[i].bytes, len);
        if (len)
            assert_false(gw_base64url_decode(text, strlen(text), bytes, len - 1, &n));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(gw_base64url_decode(bad[i], strlen(bad[i]), bytes, sizeof(bytes), &n));
}

static void random_texts(void **state)
{
    char a[GW_RANDOM_TEXT], b[GW_RANDOM_TEXT];

    (void)state;
    gw_random_text(a);
    gw_random_text(b);
    assert_string_not_equal(a, b);
    assert_true(gw_is_random_text(a));
    a[10] = '=';
    assert_false(gw_is_random_text(a));
    assert_false(gw_is_random_text(""));
    b[42] = '\0';
    assert_false(gw_is_random_text(b));
}

static void tokens(void **state)
{
    char t[GS_TOKEN_LEN + 1], u[GS_TOKEN_LEN + 1];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        gs_token_new(t);
        assert_int_equal(strlen(t), GS_TOKEN_LEN);
        assert_true(gs_token_intact(t, GS_TOKEN_LEN));
        assert_int_equal(strspn(t + 4, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                         GS_TOKEN_LEN - 4);
    }
    gs_token_new(u);
    assert_string_not_equal(t, u);
    for (size_t i = 0; i < GS_TOKEN_LEN; i++) { /* every mistyped character shows */
        char before = t[i];

        t[i] = before == 'x' ? 'y' : 'x';
        assert_false(gs_token_intact(t, GS_TOKEN_LEN));
        t[i] = before;
    }
    assert_false(gs_token_intact(t, GS_TOKEN_LEN - 1));
    assert_false(gs_token_intact("", 0));
    /* Others make them too, by the same rule. */
    assert_true(gs_token_intact("gst_0000000000000000000000000000000000000000000woIu15", GS_TOKEN_LEN));
}

static void scopes(void **state)
{
    char text[GW_SCOPES_TEXT];

    (void)state;
    assert_int_equal(gw_scope("read"), GW_SCOPE_READ);
    assert_int_equal(gw_scope("rea"), 0);
    assert_int_equal(gw_scopes("{}"), 0);
    assert_int_equal(gw_scopes("{write,nothing,values}"), GW_SCOPE_WRITE | GW_SCOPE_VALUES);
    gw_scopes_format(0, text);
    assert_string_equal(text, "{}");
    gw_scopes_format(GW_SCOPES_SESSION, text);
    assert_string_equal(text, "{read,write,admin,tenant}");
    gw_scopes_format(~0u, text);
    assert_int_equal(gw_scopes(text), GW_SCOPES_SESSION | GW_SCOPE_VALUES | GW_SCOPE_BOOTSTRAP);
}

static void cookies(void **state)
{
    struct gs_buf b;
    char value[8];

    (void)state;
    assert_true(gw_cookie_find("a=1; goalsync=abc;b=2", "goalsync", value, sizeof(value)));
    assert_string_equal(value, "abc");
    assert_true(gw_cookie_find("goalsync=", "goalsync", value, sizeof(value)) && !*value);
    assert_false(gw_cookie_find("xgoalsync=1; goalsyncx=2; Goalsync=3", "goalsync", value, sizeof(value)));
    assert_false(gw_cookie_find("goalsync=12345678", "goalsync", value, sizeof(value)));
    assert_false(gw_cookie_find("", "goalsync", value, sizeof(value)));
    gs_buf_init(&b, 1000);
    gw_cookie_format(&b, gw_session_cookie(), "v", 60);
    assert_string_equal(gs_buf_str(&b), "__Host-goalsync=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    gs_buf_done(&b);
    free(gw_settings.public_url);
    gw_settings.public_url = gs_strdup("http://127.0.0.1:8080/");
    gw_cookie_format(&b, gw_session_cookie(), "", 0);
    assert_string_equal(gs_buf_str(&b), "goalsync=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    gs_buf_done(&b);
    assert_true(gw_auth_origin_allowed("http://127.0.0.1:8080"));
    assert_true(gw_auth_origin_allowed(NULL));
    assert_false(gw_auth_origin_allowed("http://127.0.0.1:80"));
    assert_false(gw_auth_origin_allowed("http://127.0.0.1:8080.evil.example"));
    assert_false(gw_auth_origin_allowed("null"));
}

static void places_to_return_to(void **state)
{
    static const char *const good[] = {"/", "/goals?x=1#y", "/a//b", "/@evil.example", "/:80"};
    static const char *const bad[] = {"",
                                      "goals",
                                      "//evil.example",
                                      "/\\evil.example",
                                      "/\t/evil.example",
                                      "https://evil.example",
                                      "\\/evil.example",
                                      "/a b",
                                      "/a\nLocation: x",
                                      "javascript:alert(1)",
                                      "/a\\b",
                                      " /"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(gw_return_to_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(gw_return_to_valid(bad[i]));
}

/* ---- claims ---- */

static struct gs_json *json(const char *text)
{
    struct gs_json *j = gs_json_new(65536, 16);
    struct gs_err err;

    assert_int_equal(gs_json_parse(j, text, strlen(text), &err), GS_OK);
    return j;
}

static void identities(void **state)
{
    static char email_claim[] = "https://x.example/mail", admins[] = "Ada@Example.com, bob@example.com",
                admin_claim[] = "groups", admin_value[] = "okr-admins", oid[] = "oid";
    char *sub = gw_auth_settings.subject_claim;
    struct gw_identity who;
    struct gs_err err;
    static const struct {
        const char *claims, *email;
        bool admin;
    } cases[] = {
        {"{\"sub\":\"1\",\"email\":\"ada@example.com\"}", NULL, false},
        {"{\"sub\":\"1\",\"email\":\"ada@example.com\",\"email_verified\":false}", NULL, false},
        {"{\"sub\":\"1\",\"email\":\"ada@example.com\",\"email_verified\":\"true\"}", NULL, false},
        {"{\"sub\":\"1\",\"email\":\"ada@example.com\",\"email_verified\":true}", "ada@example.com", true},
        {"{\"sub\":\"1\",\"email\":\"eve@example.com\",\"email_verified\":true}", "eve@example.com", false},
        {"{\"sub\":\"1\",\"email\":\"ada@example.com x\",\"email_verified\":true}", NULL, false},
        {"{\"sub\":\"1\",\"email\":\"a@b@c\",\"email_verified\":true}", NULL, false},
        {"{\"sub\":\"1\",\"email\":\"@c\",\"email_verified\":true}", NULL, false},
        {"{\"sub\":\"1\",\"groups\":[\"x\",\"okr-admins\"]}", NULL, true},
        {"{\"sub\":\"1\",\"groups\":\"okr-admins\"}", NULL, true},
        {"{\"sub\":\"1\",\"groups\":\"okr-admins-not\"}", NULL, false},
    };

    (void)state;
    gw_auth_settings.tenant_admins = admins;
    gw_auth_settings.admin_claim = admin_claim;
    gw_auth_settings.admin_value = admin_value;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gs_json *j = json(cases[i].claims);

        assert_int_equal(gw_identity_of(j, &who, &err), GS_OK);
        if (cases[i].email ? !who.email || strcmp(who.email, cases[i].email) != 0 : who.email != NULL)
            fail_msg("%s", cases[i].claims);
        assert_int_equal(who.tenant_admin, cases[i].admin);
        gs_json_free(j);
    }
    /* Where the operator trusts another claim, and knows people by another name. */
    gw_auth_settings.email_claim = email_claim;
    gw_auth_settings.subject_claim = oid;
    struct gs_json *j = json(
        "{\"sub\":\"1\",\"oid\":\"2\",\"https://x.example/mail\":\"bob@example.com\",\"email\":\"ada@example.com\"}");
    assert_int_equal(gw_identity_of(j, &who, &err), GS_OK);
    assert_string_equal(who.subject, "2");
    assert_string_equal(who.email, "bob@example.com");
    gs_json_free(j);
    j = json("{\"sub\":\"1\"}");
    assert_int_equal(gw_identity_of(j, &who, &err), GS_DENIED);
    gs_json_free(j);
    gw_auth_settings.subject_claim = sub;
    gw_auth_settings.email_claim = gw_auth_settings.tenant_admins = gw_auth_settings.admin_claim =
        gw_auth_settings.admin_value = none;
}

static void scopes_of_claims(void **state)
{
    static char prefix[] = "goalsync.";
    static const struct {
        const char *claims, *prefix;
        unsigned scopes;
    } cases[] = {
        {"{}", "", 0},
        {"{\"scope\":\"openid read  write\"}", "", GW_SCOPE_READ | GW_SCOPE_WRITE},
        {"{\"scp\":[\"admin\",7,\"tenant\"]}", "", GW_SCOPE_ADMIN | GW_SCOPE_TENANT},
        {"{\"scope\":\"values bootstrap\"}", "", 0}, /* those are tokens' of ours only */
        {"{\"scope\":\"readwrite READ\"}", "", 0},
        {"{\"roles\":[\"read\"]}", "", GW_SCOPE_READ},
        {"{\"scp\":\"read\",\"roles\":[\"tenant\"]}", "", GW_SCOPE_READ},
        {"{\"scope\":\"read goalsync.write goalsync.\"}", prefix, GW_SCOPE_WRITE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gs_json *j = json(cases[i].claims);

        gw_auth_settings.scope_prefix = *cases[i].prefix ? prefix : none;
        if (gw_scopes_of(j) != cases[i].scopes)
            fail_msg("%s: %x", cases[i].claims, gw_scopes_of(j));
        gs_json_free(j);
    }
    gw_auth_settings.scope_prefix = none;
}

/* ---- what an issuer says about itself ---- */

#define DESCRIPTION                                                                                                    \
    "\"issuer\":\"https://id.example\",\"jwks_uri\":\"https://id.example/keys\","                                      \
    "\"authorization_endpoint\":\"https://id.example/auth?x=1\",\"token_endpoint\":\"https://id.example/token\""

static void descriptions(void **state)
{
    static const struct {
        const char *text, *says; /* null: fine */
    } cases[] = {
        {"{" DESCRIPTION "}", NULL},
        {"{" DESCRIPTION ",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"],"
         "\"authorization_response_iss_parameter_supported\":true,\"end_session_endpoint\":\"https://id.example/out\"}",
         NULL},
        {"{}", "another issuer"},
        {"{\"issuer\":\"https://id.example/\"}", "another issuer"},
        {"{\"issuer\":\"https://id.example\"}", "jwks_uri"},
        {"{\"issuer\":\"https://id.example\",\"jwks_uri\":\"http://id.example/keys\"}", "https://"},
        {"{\"issuer\":\"https://id.example\",\"jwks_uri\":\"file:///etc/passwd\"}", "https://"},
        {"{\"issuer\":\"https://id.example\",\"jwks_uri\":\"https://id.example/"
         "keys\",\"authorization_endpoint\":\"javascript:x\"}",
         "https://"},
        {"{\"issuer\":\"https://id.example\",\"jwks_uri\":\"https://id.example/"
         "keys\",\"authorization_endpoint\":\"https://a b\"}",
         "space"},
        {"{\"issuer\":\"https://id.example\",\"jwks_uri\":\"https://id.example/"
         "keys\",\"authorization_endpoint\":\"https://a\"}",
         "token_endpoint"},
        {"<html>", "HTML"},
    };
    struct gw_issuer about;
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum gs_rc rc = gw_issuer_parse(cases[i].text, strlen(cases[i].text), &about, &err);

        if (rc != (cases[i].says ? GS_REJECT : GS_OK) || (cases[i].says && !strstr(err.text, cases[i].says)))
            fail_msg("%s: %s", cases[i].text, err.text);
        if (i == 0)
            assert_true(!about.takes_post && !about.says_iss && !*about.end_session);
        if (i == 1)
            assert_true(about.takes_post && about.says_iss && *about.end_session);
    }
}

static void forms(void **state)
{
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, 1000);
    gs_buf_puts(&b, "https://id.example/auth?");
    gw_form_add(&b, "a", "1 2&3=4");
    gw_form_add(&b, "b", "\xc3\xa4~-_.");
    assert_string_equal(gs_buf_str(&b), "https://id.example/auth?a=1%202%263%3D4&b=%C3%A4~-_.");
    gs_buf_done(&b);
}

static bool allowed(bool plain, const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return gw_fetch_address_allowed(plain, (struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return gw_fetch_address_allowed(plain, (struct sockaddr *)&six);
}

/* By http this machine only; by https wherever the operator says, but where clouds hand out credentials. */
static void addresses_of_issuers(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.8.9.10", "::1"};
    static const char *const others[] = {"10.0.0.1", "192.168.1.1", "93.184.216.34", "2606:4700::1", "fd00::1"};
    static const char *const never[] = {"169.254.169.254", "169.254.0.1", "fe80::1",        "::ffff:169.254.169.254",
                                        "fd00:ec2::254",   "224.0.0.1",   "100.100.100.200"};

    (void)state;
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        assert_true(allowed(true, own[i]) && allowed(false, own[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_true(!allowed(true, others[i]) && allowed(false, others[i]));
    for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
        assert_true(!allowed(true, never[i]) && !allowed(false, never[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64url),
        cmocka_unit_test(random_texts),
        cmocka_unit_test(tokens),
        cmocka_unit_test(scopes),
        cmocka_unit_test_setup_teardown(cookies, setup, teardown),
        cmocka_unit_test(places_to_return_to),
        cmocka_unit_test_setup_teardown(identities, setup, teardown),
        cmocka_unit_test_setup_teardown(scopes_of_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptions, setup, teardown),
        cmocka_unit_test(forms),
        cmocka_unit_test(addresses_of_issuers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
