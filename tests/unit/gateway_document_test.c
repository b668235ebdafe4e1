/* The gateway's description of the API: what it lets exist, what it refuses at the start, and what schemas say of
 * values. links: goalsync_gateway */
#include "common/json.h"
#include "common/str.h"
#include "services/gateway/accept.h"
#include "services/gateway/cursor.h"
#include "services/gateway/document.h"
#include "services/gateway/etag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK_RESPONSES "\"responses\":{\"200\":{\"description\":\"ok\"}}"
#define ACCESS       "\"x-goalsync-access\":[\"public\"],"

static int run(struct gw_call *c)
{
    (void)c;
    return 200;
}

static const struct gw_op one[] = {{"one_get", run}, {0}};
static const struct gw_op *const only_one[] = {one, NULL};
static const struct gw_op two[] = {{"one_get", run}, {"two_get", run}, {0}};
static const struct gw_op *const both[] = {two, NULL};

static struct gw_document *make(const char *paths, const struct gw_op *const *ops, struct gs_err *err)
{
    char text[8192];

    snprintf(text, sizeof(text),
             "{\"openapi\":\"3.1.0\",\"paths\":{%s},\"components\":{\"schemas\":{\"Self\":{\"type\":\"object\","
             "\"properties\":{\"in\":{\"$ref\":\"#/components/schemas/Self\"}}}},\"parameters\":{\"limit\":{\"name\":"
             "\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"default\":50}}}}}",
             paths);
    return gw_document_new(text, strlen(text), ops, err);
}

/* ---- what is refused ---- */

static void test_documents_that_break_the_rules(void **state)
{
    static const struct {
        const char *paths, *says;
        bool both;
    } cases[] = {
        {"\"/a\":{\"get\":{" ACCESS OK_RESPONSES "}}", "without operationId", false},
        {"\"/a\":{\"get\":{\"operationId\":\"nobody\"," ACCESS OK_RESPONSES "}}", "no function", false},
        {"", "the function one_get is no operation", false},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\"," ACCESS OK_RESPONSES "}}", "two_get is no operation", true},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\"," ACCESS OK_RESPONSES
         "}},\"/b\":{\"get\":{\"operationId\":\"one_"
         "get\"," ACCESS OK_RESPONSES "}}",
         "two operations are called one_get", false},
        {"\"/a/{x}\":{\"get\":{\"operationId\":\"one_get\"," ACCESS OK_RESPONSES "}}", "{x} is not among", false},
        {"\"/"
         "a\":{\"get\":{\"operationId\":\"one_get\",\"parameters\":[{\"name\":\"x\",\"in\":\"path\",\"schema\":{}}]"
         "," ACCESS OK_RESPONSES "}}",
         "x is not in the path", false},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\"," OK_RESPONSES "}}", "x-goalsync-access is missing", false},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\",\"x-goalsync-access\":[\"anybody\"]," OK_RESPONSES "}}",
         "somebody unknown", false},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\",\"x-goalsync-access\":[\"signed-in\"]," OK_RESPONSES "}}",
         "x-goalsync-scope is missing", false},
        {"\"/"
         "a\":{\"get\":{\"operationId\":\"one_get\",\"x-goalsync-access\":[\"signed-in\"],\"x-goalsync-scope\":"
         "\"all\"," OK_RESPONSES "}}",
         "x-goalsync-scope is missing or unknown", false},
        {"\"/"
         "a\":{\"get\":{\"operationId\":\"one_get\",\"x-goalsync-access\":[\"member\"],\"x-goalsync-scope\":"
         "\"read\"," OK_RESPONSES "}}",
         "members of what", false},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\"," ACCESS "\"responses\":{}}}", "no responses", false},
        {"\"/a\":{\"brew\":{\"operationId\":\"one_get\"," ACCESS OK_RESPONSES "}}", "neither a method", false},
        {"\"/a\":{\"get\":{\"operationId\":\"one_get\"," ACCESS OK_RESPONSES "}},\"/a\":{}", "given twice", false},
        {"\"/a\":{\"post\":{\"operationId\":\"one_get\",\"requestBody\":{\"content\":{\"application/json\":{}}}," ACCESS
             OK_RESPONSES "}}",
         "no schema", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gs_err err = {.text = ""};
        struct gw_document *d = make(cases[i].paths, cases[i].both ? both : only_one, &err);
        if (d || !strstr(err.text, cases[i].says))
            fail_msg("%s: %s instead of \"%s\"", cases[i].paths, d ? "taken" : err.text, cases[i].says);
        assert_int_equal(err.rc, GS_REJECT);
    }
}

static void test_schemas_that_nobody_would_check(void **state)
{
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"{\"type\":\"text\"}", "\"type\" is none"},
        {"{\"minLenght\":1}", "\"minLenght\""},
        {"{\"if\":{}}", "\"if\" is not a keyword"},
        {"{\"format\":\"colour\"}", "\"format\" is none"},
        {"{\"maxLength\":-1}", "\"maxLength\" is no count"},
        {"{\"minimum\":\"1\"}", "\"minimum\" is no number"},
        {"{\"pattern\":\"abc\"}", "must be anchored"},
        {"{\"pattern\":\"^\\\\d$\"}", "must be anchored"},
        {"{\"pattern\":\"^(?=a)$\"}", "must be anchored"},
        {"{\"pattern\":\"^([$\"}", "must be anchored"},
        {"{\"$ref\":\"#/components/schemas/Nothing\"}", "which is not there"},
        {"{\"$ref\":\"https://example.org/\"}", "which is not there"},
        {"{\"properties\":[]}", "\"properties\" is no object"},
        {"{\"required\":\"a\"}", "\"required\" is no list"},
        {"{\"anyOf\":[]}", "\"anyOf\" is no list"},
        {"[]", "no object stands where a schema"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char paths[1000];
        struct gs_err err = {.text = ""};
        struct gw_document *d;
        snprintf(
            paths, sizeof(paths),
            "\"/a\":{\"get\":{\"operationId\":\"one_get\",\"parameters\":[{\"name\":\"x\",\"in\":\"query\",\"schema\":"
            "%s}]," ACCESS OK_RESPONSES "}}",
            cases[i].schema);
        d = make(paths, only_one, &err);
        if (d || !strstr(err.text, cases[i].says))
            fail_msg("%s: %s instead of \"%s\"", cases[i].schema, d ? "taken" : err.text, cases[i].says);
    }
}

static void test_the_real_document_is_taken(void **state)
{
    struct gs_err err = {.text = ""};
    struct gw_document *d = gw_document_new(gw_document_text, gw_document_len, gw_ops, &err);
    size_t len;

    (void)state;
    if (!d)
        fail_msg("%s", err.text);
    struct gs_json *j = gs_json_new(16 << 20, 64);
    const char *served = gw_document_served(d, &len);
    assert_int_equal(gs_json_parse(j, served, len, &err), GS_OK);
    assert_int_equal(gs_json_type(j, "/paths/~1openapi.json/get/responses/500"), GS_JSON_OBJECT);
    gs_json_free(j);
    gw_document_free(d);
}

/* ---- routes ---- */

static void test_names_go_before_parameters(void **state)
{
    static const struct {
        const char *method, *path;
        enum gw_route route;
        const char *id, *first;
    } cases[] = {
        {"GET", "/a/b", GW_FOUND, "one_get", NULL},   {"GET", "/a/c", GW_FOUND, "two_get", "c"},
        {"GET", "/a/%62", GW_FOUND, "one_get", NULL}, {"GET", "/a/%2e%2e", GW_FOUND, "two_get", ".."},
        {"GET", "/a/", GW_NO_PATH, NULL, NULL},       {"GET", "/a", GW_NO_PATH, NULL, NULL},
        {"GET", "", GW_NO_PATH, NULL, NULL},          {"GET", "/a/b/", GW_NO_PATH, NULL, NULL},
        {"POST", "/a/b", GW_NO_METHOD, NULL, NULL},   {"GET", "/a%2fb", GW_BAD_PATH, NULL, NULL},
        {"GET", "/a/%00", GW_BAD_PATH, NULL, NULL},   {"GET", "/a/%", GW_BAD_PATH, NULL, NULL},
        {"GET", "/a/%ff", GW_BAD_PATH, NULL, NULL},   {"GET", "a/b", GW_BAD_PATH, NULL, NULL},
        {"GET", "/a/c/d/e", GW_NO_PATH, NULL, NULL},
    };
    struct gs_err err = {.text = ""};
    struct gw_document *d = make(
        "\"/a/"
        "{x}\":{\"get\":{\"operationId\":\"two_get\",\"parameters\":[{\"name\":\"x\",\"in\":\"path\",\"schema\":{}}"
        "]," ACCESS OK_RESPONSES "}},\"/a/b\":{\"get\":{\"operationId\":\"one_get\"," ACCESS OK_RESPONSES "}}",
        both, &err);

    (void)state;
    if (!d)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char buf[256];
        struct gw_match m;
        enum gw_route found = gw_document_route(d, cases[i].method, cases[i].path, strlen(cases[i].path), buf, &m);
        if (found != cases[i].route)
            fail_msg("%s: %d", cases[i].path, (int)found);
        if (found == GW_FOUND) {
            assert_string_equal(m.op->id, cases[i].id);
            assert_true(gs_str_eq(m.values[0], cases[i].first));
        }
    }
    gw_document_free(d);
}

/* ---- values ---- */

static void count_fault(void *arg, const char *pointer, const char *detail)
{
    int *n = arg;

    assert_non_null(pointer);
    assert_true(strlen(detail) > 0);
    ++*n;
}

static void test_values(void **state)
{
    static const struct {
        const char *schema, *value;
        int faults;
    } cases[] = {
        {"{}", "[1,{\"a\":null}]", 0},
        {"{\"type\":\"integer\"}", "12", 0},
        {"{\"type\":\"integer\"}", "12.5", 1},
        {"{\"type\":\"integer\"}", "9223372036854775808", 1},
        {"{\"type\":\"number\",\"minimum\":-1.5,\"exclusiveMaximum\":2}", "-1.5", 0},
        {"{\"type\":\"number\",\"minimum\":-1.5,\"exclusiveMaximum\":2}", "-1.6", 1},
        {"{\"type\":\"number\",\"minimum\":-1.5,\"exclusiveMaximum\":2}", "2.0", 1},
        {"{\"type\":\"number\"}", "1e999", 1},
        {"{\"type\":[\"string\",\"null\"],\"maxLength\":2}", "null", 0},
        {"{\"type\":[\"string\",\"null\"],\"maxLength\":2}", "\"\xc5\xbe\xc5\xa5\"",
         0}, /* two characters, four bytes */
        {"{\"type\":[\"string\",\"null\"],\"maxLength\":2}", "\"abc\"", 1},
        {"{\"type\":[\"string\",\"null\"]}", "5", 1},
        {"{\"type\":\"string\",\"minLength\":1}", "\"\"", 1},
        {"{\"pattern\":\"^[a-c]+$\"}", "\"abc\"", 0},
        {"{\"pattern\":\"^[a-c]+$\"}", "\"abd\"", 1},
        {"{\"enum\":[\"a\",1,null]}", "1.0", 0},
        {"{\"enum\":[\"a\",1,null]}", "null", 0},
        {"{\"enum\":[\"a\",1,null]}", "\"1\"", 1},
        {"{\"const\":true}", "true", 0},
        {"{\"const\":true}", "false", 1},
        {"{\"format\":\"uuid\"}", "\"0189f7ea-ae2c-7809-8aeb-b819cf5e9e7f\"", 0},
        {"{\"format\":\"uuid\"}", "\"0189f7eaae2c78098aebb819cf5e9e7f\"", 1},
        {"{\"format\":\"uuid\"}", "7", 0}, /* a format says nothing of other types */
        {"{\"format\":\"date\"}", "\"2024-02-29\"", 0},
        {"{\"format\":\"date\"}", "\"2026-02-29\"", 1},
        {"{\"format\":\"date\"}", "\"2026-2-9\"", 1},
        {"{\"format\":\"date-time\"}", "\"2026-11-23T16:02:03.5Z\"", 0},
        {"{\"format\":\"date-time\"}", "\"2026-11-23\"", 1},
        {"{\"format\":\"decimal\"}", "\"-12.50\"", 0},
        {"{\"format\":\"decimal\"}", "\"12.\"", 1},
        {"{\"format\":\"decimal\"}", "\"1e3\"", 1},
        {"{\"format\":\"decimal\"}", "\"+1\"", 1},
        {"{\"format\":\"decimal\"}", "\"123456789012345678901\"", 1},
        {"{\"format\":\"email\"}", "\"a@b\"", 0},
        {"{\"format\":\"email\"}", "\"a@b@c\"", 1},
        {"{\"format\":\"email\"}", "\"a b@c\"", 1},
        {"{\"format\":\"uri\"}", "\"https://example.org/?a=b\"", 0},
        {"{\"format\":\"uri\"}", "\"//example.org\"", 1},
        {"{\"format\":\"uri\"}", "\"https://exa mple\"", 1},
        {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":1,\"maxItems\":2}", "[true,false]", 0},
        {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":1,\"maxItems\":2}", "[1,2]", 2},
        {"{\"type\":\"array\",\"minItems\":1}", "[]", 1},
        {"{\"type\":\"array\",\"maxItems\":1}", "[1,2]", 1},
        {"{\"uniqueItems\":true}", "[\"a\",\"b\"]", 0},
        {"{\"uniqueItems\":true}", "[\"a\",\"b\",\"a\"]", 1},
        {"{\"uniqueItems\":true}", "[1,\"1\"]", 0},
        {"{\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}",
         "{\"a\":null,\"b\":1}", 0},
        {"{\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[\"a\",\"b\"],\"additionalProperties\":false}",
         "{\"a\":1,\"c\":1}", 3},
        {"{\"additionalProperties\":{\"type\":\"string\"},\"maxProperties\":2}", "{\"x\":\"y\"}", 0},
        {"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"x\":1,\"y\":2}", 2},
        {"{\"maxProperties\":1}", "{\"x\":1,\"y\":2}", 1},
        {"{\"minProperties\":1}", "{}", 1},
        {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2", 0},
        {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4", 1},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null", 0},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1", 1},
        {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "1", 0},
        {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "3", 1},
        {"{\"oneOf\":[{\"minimum\":1},{\"minimum\":2}]}", "0", 1},
        {"{\"$ref\":\"#/components/schemas/Self\"}", "{\"in\":{\"in\":{\"in\":{}}}}", 0},
        {"{\"$ref\":\"#/components/schemas/Self\"}", "{\"in\":{\"in\":{\"in\":1}}}", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[2000];
        struct gs_json *document = gs_json_new(4096, 32), *value = gs_json_new(4096, 32);
        struct gw_schemas *set = gw_schemas_new(document);
        struct gs_err err = {.text = ""};
        int faults = 0;
        const struct gw_schema *s;
        bool ok;
        snprintf(
            text, sizeof(text),
            "{\"s\":%s,\"components\":{\"schemas\":{\"Self\":{\"type\":\"object\",\"properties\":{\"in\":{\"$ref\":\"#/"
            "components/schemas/Self\"}}}}}}",
            cases[i].schema);
        assert_int_equal(gs_json_parse(document, text, strlen(text), &err), GS_OK);
        assert_int_equal(gs_json_parse(value, cases[i].value, strlen(cases[i].value), &err), GS_OK);
        s = gw_schema_compile(set, gs_json_at(document, "/s"), &err);
        if (!s)
            fail_msg("%s: %s", cases[i].schema, err.text);
        ok = gw_schema_check(s, value, count_fault, &faults);
        if (faults != cases[i].faults || ok != (faults == 0))
            fail_msg("%s of %s: %d faults, %d expected", cases[i].value, cases[i].schema, faults, cases[i].faults);
        gw_schemas_free(set);
        gs_json_free(document);
        gs_json_free(value);
    }
}

static void test_what_no_schema_allows(void **state)
{
    static const struct {
        const char *text;
        bool clean;
    } cases[] = {
        {"{\"a\":1,\"b\":{\"a\":1}}", true}, {"{\"a\":1,\"a\":2}", false}, {"[{\"x\":{\"a\":1,\"\\u0061\":2}}]", false},
        {"{\"a\":[\"b\\u0000c\"]}", false},  {"{\"a\\u0000\":1}", false},  {"\"\\u0001\"", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gs_json *j = gs_json_new(4096, 32);
        struct gs_err err;
        int faults = 0;
        assert_int_equal(gs_json_parse(j, cases[i].text, strlen(cases[i].text), &err), GS_OK);
        assert_int_equal(gw_schema_clean(j, count_fault, &faults), cases[i].clean);
        assert_int_equal(faults > 0, !cases[i].clean);
        gs_json_free(j);
    }
}

/* ---- headers ---- */

static void test_etag_lists(void **state)
{
    static const struct {
        const char *list;
        bool strong, weak;
    } cases[] = {
        {"\"1\"", true, true},         {"\"2\"", false, false},      {"*", true, true},
        {" * ", true, true},           {"*,*", false, false},        {"W/\"1\"", false, true},
        {"w/\"1\"", false, false},     {"\"0\", \"1\"", true, true}, {"\"0\",\"1\",\"2\"", true, true},
        {"\"1\" \"0\"", false, false}, {"\"1\",", false, false},     {",\"1\"", false, false},
        {"\"1", false, false},         {"1", false, false},          {"", false, false},
        {"\"a,b\",\"1\"", true, true}, {"W/ \"1\"", false, false},   {"\"1\"x", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (gw_etag_listed(cases[i].list, "\"1\"", false) != cases[i].strong ||
            gw_etag_listed(cases[i].list, "\"1\"", true) != cases[i].weak)
            fail_msg("%s", cases[i].list);
    }
}

static void test_accept(void **state)
{
    static const char *const json[] = {"application/json", NULL};
    static const struct {
        const char *accept;
        bool ok;
    } cases[] = {
        {"", true},
        {"nonsense", true},
        {"*/*", true},
        {"application/json", true},
        {"Application/JSON; charset=utf-8", true},
        {"application/*;q=0.1", true},
        {"text/html, application/xhtml+xml, */*;q=0.8", true},
        {"text/html", false},
        {"text/*, image/png", false},
        {"application/json;q=0", false},
        {"application/json;q=0.000, */*", false},
        {"*/*;q=0", false},
        {"*/*;q=0, application/json", true},
        {"application/jsonx", false},
        {"application/json;q=0.001", true},
        {"application/json;v=1;q=0", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (gw_accepts(cases[i].accept, json) != cases[i].ok)
            fail_msg("%s", cases[i].accept);
}

static void test_cursors(void **state)
{
    struct gs_buf sealed, opened;
    char other[512];

    (void)state;
    gw_cursor_init("a secret of at least thirty-two characters");
    gs_buf_init(&sealed, 4096);
    gs_buf_init(&opened, 4096);
    assert_true(gw_cursor_seal("2026-11-23 | 17", "goal_list", &sealed));
    assert_null(strstr(gs_buf_str(&sealed), "2026"));
    assert_true(gw_cursor_open(gs_buf_str(&sealed), "goal_list", &opened));
    assert_string_equal(gs_buf_str(&opened), "2026-11-23 | 17");
    assert_false(gw_cursor_open(gs_buf_str(&sealed), "person_list", &opened));
    for (size_t i = 0; i < sealed.len; i++) {
        snprintf(other, sizeof(other), "%s", gs_buf_str(&sealed));
        other[i] = other[i] == 'A' ? 'B' : 'A';
        gs_buf_clear(&opened);
        /* The last character has bits that mean nothing. */
        assert_false(i + 1 < sealed.len && gw_cursor_open(other, "goal_list", &opened));
        other[i] = '\0';
        assert_false(gw_cursor_open(other, "goal_list", &opened));
    }
    gw_cursor_init("another secret of thirty-two characters..");
    assert_false(gw_cursor_open(gs_buf_str(&sealed), "goal_list", &opened));
    memset(other, 'x', sizeof(other) - 1);
    other[sizeof(other) - 1] = '\0';
    gs_buf_clear(&sealed);
    for (int i = 0; i < 10; i++) {
        bool fits = gw_cursor_seal(other, "goal_list", &sealed);
        assert_true(fits);
        gs_buf_clear(&sealed);
    }
    gs_buf_done(&sealed);
    gs_buf_done(&opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_that_break_the_rules),
        cmocka_unit_test(test_schemas_that_nobody_would_check),
        cmocka_unit_test(test_the_real_document_is_taken),
        cmocka_unit_test(test_names_go_before_parameters),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_no_schema_allows),
        cmocka_unit_test(test_etag_lists),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_cursors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
