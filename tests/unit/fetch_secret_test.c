/* Secret fields of connections: what is read, what is refused, and that no error repeats any of it.
 * links: fetch_worker fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "services/fetch/secret.h"

/* Of a connector that signs in so. */
static struct fetch_secrets *parse(enum fetch_auth_kind kind, const char *text, struct gs_err *err)
{
    static const struct fetch_auth all[][2] = {
        [FETCH_BEARER] = {{.name = "bearer", .kind = FETCH_BEARER}},
        [FETCH_KEY] = {{.name = "key", .kind = FETCH_KEY, .header = "X-Key", .prefix = "Key "}},
        [FETCH_BASIC] = {{.name = "basic", .kind = FETCH_BASIC}},
        [FETCH_USER_PASSWORD] = {{.name = "both", .kind = FETCH_USER_PASSWORD}},
    };
    struct fetch_connector c = {.label = "Test", .auths = all[kind]};

    err->text[0] = '\0';
    return fetch_secrets_parse(&c, text, strlen(text), err);
}

static void test_bearer(void **state)
{
    struct gs_err err;
    struct fetch_secrets *s = parse(FETCH_BEARER, " { \"token\" : \"ab\\\"c\\\\\\/\\u0041\" , \"more\":\"\" } ", &err);

    (void)state;
    assert_non_null(s);
    assert_string_equal(s->header, "Authorization");
    assert_string_equal(s->authorization, "Bearer ab\"c\\/A");
    fetch_secrets_free(s);
}

static void test_other_headers(void **state)
{
    struct gs_err err;
    struct fetch_secrets *s = parse(FETCH_KEY, "{\"token\":\"abc\"}", &err);

    (void)state;
    assert_non_null(s);
    assert_string_equal(s->header, "X-Key");
    assert_string_equal(s->authorization, "Key abc");
    fetch_secrets_free(s);
    /* RFC 7617, section 2 */
    s = parse(FETCH_BASIC, "{\"user\":\"Aladdin\",\"password\":\"open sesame\"}", &err);
    assert_non_null(s);
    assert_string_equal(s->header, "Authorization");
    assert_string_equal(s->authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    fetch_secrets_free(s);
}

static void test_one_of_several_ways(void **state)
{
    static const struct fetch_auth auths[] = {
        {.name = "token", .kind = FETCH_BEARER}, {.name = "password", .kind = FETCH_BASIC}, {0}};
    struct fetch_connector c = {.label = "Test", .auths = auths};
    static const char other[] = "{\"user\":\"u\",\"password\":\"\",\"auth\":\"password\"}",
                      unknown[] = "{\"auth\":\"oauth\"}";
    struct gs_err err;
    struct fetch_secrets *s = fetch_secrets_parse(&c, other, strlen(other), &err);

    (void)state;
    assert_non_null(s);
    assert_ptr_equal(s->auth, &auths[1]);
    assert_string_equal(s->authorization, "Basic dTo=");
    fetch_secrets_free(s);
    assert_null(fetch_secrets_parse(&c, unknown, strlen(unknown), &err));
    assert_int_equal(err.rc, GS_DENIED);
}

static void test_user_and_password(void **state)
{
    struct gs_err err;
    struct fetch_secrets *s =
        parse(FETCH_USER_PASSWORD, "{\"password\":\"\\u00fc\\u20ac\\ud83d\\ude00\\n\",\"user\":\"a b\"}", &err);

    (void)state;
    assert_non_null(s);
    assert_string_equal(s->user, "a b");
    assert_string_equal(s->password, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\n");
    assert_null(s->authorization);
    fetch_secrets_free(s);
}

/* What the writer of JSON in common/ writes is read back. */
static void test_round_trip(void **state)
{
    char value[] = "\x01\x1f\x7f\"\\/ \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\t";
    struct fetch_secrets *s;
    struct gs_buf b;
    struct gs_err err;

    (void)state;
    gs_buf_init(&b, 1000);
    gs_buf_puts(&b, "{\"user\":");
    gs_buf_put_json(&b, value, strlen(value));
    gs_buf_puts(&b, ",\"password\":\"\"}");
    s = parse(FETCH_USER_PASSWORD, gs_buf_str(&b), &err);
    assert_non_null(s);
    assert_string_equal(s->user, value);
    assert_string_equal(s->password, "");
    fetch_secrets_free(s);
    gs_buf_done(&b);
}

static void test_refused(void **state)
{
    static const struct {
        enum fetch_auth_kind kind;
        const char *text;
    } rows[] = {
        {FETCH_BEARER, ""},
        {FETCH_BEARER, "canary"},
        {FETCH_BEARER, "{}"},
        {FETCH_BEARER, "{\"token\":\"\"}"},
        {FETCH_BEARER, "{\"token\":\"canary"},
        {FETCH_BEARER, "{\"token\":\"canary\""},
        {FETCH_BEARER, "{\"token\":\"canary\\"},
        {FETCH_BEARER, "{\"token\":\"canary\\x\"}"},
        {FETCH_BEARER, "{\"token\":\"canary\\u12"},
        {FETCH_BEARER, "{\"token\":\"canary\\u0000\"}"},
        {FETCH_BEARER, "{\"token\":\"canary\\ud800\"}"},
        {FETCH_BEARER, "{\"token\":\"canary\\ud800\\u0041\"}"},
        {FETCH_BEARER, "{\"token\":\"canary\\udc00\"}"},
        {FETCH_BEARER, "{\"token\":\"canary x\"}"},
        {FETCH_BEARER, "{\"token\":\"canary\\r\\nX: y\"}"},
        {FETCH_BEARER, "{\"token\":\"canary\\u00fc\"}"},
        {FETCH_BEARER, "{\"token\":{\"canary\":\"x\"}}"},
        {FETCH_BEARER, "[\"canary\"]"},
        {FETCH_USER_PASSWORD, "{\"user\":\"canary\"}"},
        {FETCH_USER_PASSWORD, "{\"password\":\"canary\"}"},
        {FETCH_USER_PASSWORD, "{\"token\":\"canary\"}"},
        {FETCH_BASIC, "{\"user\":\"can:ary\",\"password\":\"canary\"}"},
        {FETCH_KEY, "{\"token\":\"canary\\n\"}"},
        {FETCH_BEARER, "{\"auth\":\"canary\",\"token\":\"canary\"}"},
    };
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parse(rows[i].kind, rows[i].text, &err))
            fail_msg("%s was accepted", rows[i].text);
        assert_int_equal(err.rc, GS_DENIED);
        assert_true(err.text[0] && !strstr(err.text, "canary"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bearer),
                                       cmocka_unit_test(test_other_headers),
                                       cmocka_unit_test(test_one_of_several_ways),
                                       cmocka_unit_test(test_user_and_password),
                                       cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
