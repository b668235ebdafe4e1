/* What people are shown of integrations, and secrets on their way into the database.
 * links: fetch_catalogue_all fetch_core */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/fetch/credential.h"
#include "services/fetch/systems.h"

#define TEXT_MAX (256 * 1024)

static void test_systems_are_distinct(void **state)
{
    int n = 0;

    (void)state;
    for (const struct fetch_system *s = fetch_systems; s->name; s++, n++) {
        assert_ptr_equal(fetch_systems_find(s->name), s);
        assert_true(strncmp(s->terms_url, "https://", strlen("https://")) == 0);
    }
    assert_int_equal(n, 33);
    assert_null(fetch_systems_find("nothing"));
}

/* A connector of this tree stands in the list as what it is. */
static void test_connectors_are_listed(void **state)
{
    (void)state;
    for (const struct fetch_entry *e = fetch_catalogue(); e->name; e++) {
        const struct fetch_system *s = fetch_systems_find(e->name);
        assert_non_null(s);
        assert_int_equal(s->category, e->category);
        assert_string_equal(s->label, e->connector->label);
    }
}

static void parse(struct gs_json *json, const struct gs_buf *b)
{
    struct gs_err err;

    assert_false(b->overflow);
    assert_int_equal(gs_json_parse(json, b->data, b->len, &err), GS_OK);
}

static void assert_text(struct gs_json *json, const char *pointer, const char *expected)
{
    const char *text;
    size_t len;

    assert_true(gs_json_string(json, pointer, &text, &len));
    assert_string_equal(text, expected);
}

static void test_the_catalogue_as_json(void **state)
{
    struct gs_json *json = gs_json_new(TEXT_MAX, 8);
    struct gs_buf b;
    bool available;
    int64_t port;

    (void)state;
    gs_buf_init(&b, TEXT_MAX);
    fetch_catalogue_print_all(&b);
    parse(json, &b);
    assert_int_equal(gs_json_count(json, ""), 33);
    gs_buf_clear(&b);
    assert_true(fetch_catalogue_print("postgresql", &b));
    parse(json, &b);
    assert_text(json, "/label", "PostgreSQL");
    assert_text(json, "/category", "third_party");
    assert_text(json, "/auth/0/kind", "user_password");
    assert_text(json, "/auth/0/fields/1/label", "Password");
    assert_text(json, "/terms_version", "1");
    assert_text(json, "/connection_fields/3/choices/1", "verify-ca");
    assert_true(gs_json_int(json, "/connection_fields/1/maximum", &port));
    assert_int_equal(port, 65535);
    assert_text(json, "/link_fields/0/type", "long_text");
    gs_buf_clear(&b);
    assert_true(fetch_catalogue_print("slack", &b));
    parse(json, &b);
    assert_true(gs_json_bool(json, "/available", &available));
    assert_false(available);
    assert_text(json, "/direction", "both");
    gs_buf_clear(&b);
    assert_false(fetch_catalogue_print("nothing", &b));
    assert_int_equal(b.len, 0);
    gs_buf_done(&b);
    gs_json_free(json);
}

static const struct fetch_auth by_token[] = {{.name = "token", .kind = FETCH_BEARER}, {0}},
                               by_password[] = {{.name = "password", .kind = FETCH_USER_PASSWORD}, {0}},
                               by_either[] = {{.name = "token", .kind = FETCH_BEARER},
                                              {.name = "password", .kind = FETCH_BASIC},
                                              {0}};
static const struct fetch_connector none = {.label = "Open"}, bearer = {.label = "Bearer", .auths = by_token},
                                    both = {.label = "Both", .auths = by_password},
                                    either = {.label = "Either", .auths = by_either};

static const struct secret_row {
    const struct fetch_connector *connector;
    const char *given, *stored; /* stored null: refused */
} secret_rows[] = {
    {&bearer, "{\"token\":\"abc\"}", "{\"token\":\"abc\"}"},
    {&bearer, "{\"token\":\"a b\"}", NULL},
    {&bearer, "{\"token\":\"\"}", NULL},
    {&bearer, "{\"token\":\"abc\",\"user\":\"hidden\"}", NULL},
    {&bearer, "{\"token\":7}", NULL},
    {&bearer, "[\"hidden\"]", NULL},
    {&bearer, "{}", NULL},
    {&both, "{\"password\":\"p \\\"q\",\"user\":\"u\"}", "{\"password\":\"p \\\"q\",\"user\":\"u\"}"},
    {&both, "{\"user\":\"hidden\"}", NULL},
    {&both, "{\"user\":\"hidden\",\"password\":null}", NULL},
    {&both, "{\"token\":\"hidden\"}", NULL},
    {&none, "{\"token\":\"hidden\"}", NULL},
    {&either, "{\"token\":\"abc\"}", "{\"token\":\"abc\"}"},
    {&either, "{\"user\":\"u\",\"password\":\"\",\"auth\":\"password\"}",
     "{\"user\":\"u\",\"password\":\"\",\"auth\":\"password\"}"},
    {&either, "{\"user\":\"hidden\",\"password\":\"\"}", NULL},
    {&either, "{\"auth\":\"hidden\",\"token\":\"hidden\"}", NULL},
    {&either, "{\"auth\":\"password\",\"token\":\"hidden\"}", NULL},
};

static void test_secrets_that_are_given(void **state)
{
    struct gs_json *json = gs_json_new(TEXT_MAX, 4);

    (void)state;
    for (size_t i = 0; i < sizeof secret_rows / sizeof *secret_rows; i++) {
        const struct secret_row *row = &secret_rows[i];
        struct gs_err err = {.text = ""};
        struct gs_buf b;

        gs_buf_init(&b, TEXT_MAX);
        assert_int_equal(gs_json_parse(json, row->given, strlen(row->given), &err), GS_OK);
        assert_int_equal(fetch_credential_read(row->connector, json, "", &b, &err), row->stored ? GS_OK : GS_REJECT);
        if (row->stored)
            assert_string_equal(gs_buf_str(&b), row->stored);
        else
            assert_null(strstr(err.text, "hidden"));
        gs_buf_done(&b);
    }
    gs_json_free(json);
}

static void test_a_token_alone(void **state)
{
    struct gs_err err;
    struct gs_buf b;

    (void)state;
    gs_buf_init(&b, TEXT_MAX);
    assert_int_equal(fetch_credential_token(&bearer, "ab\"c", &b, &err), GS_OK);
    assert_string_equal(gs_buf_str(&b), "{\"token\":\"ab\\\"c\"}");
    gs_buf_clear(&b);
    assert_int_equal(fetch_credential_token(&bearer, "a\nb", &b, &err), GS_REJECT);
    gs_buf_clear(&b);
    assert_int_equal(fetch_credential_token(&both, "ab", &b, &err), GS_REJECT);
    gs_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_systems_are_distinct),  cmocka_unit_test(test_connectors_are_listed),
        cmocka_unit_test(test_the_catalogue_as_json), cmocka_unit_test(test_secrets_that_are_given),
        cmocka_unit_test(test_a_token_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
