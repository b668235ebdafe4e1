/* common/json.h: what is read, what is refused, and in which words.
 * links: */
#include "common/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = gs_json_new(1 << 20, 32);
    return 0;
}

static int tear_down(void **state)
{
    gs_json_free(*state);
    return 0;
}

static void parse(struct gs_json *j, const char *text)
{
    struct gs_err err;

    if (gs_json_parse(j, text, strlen(text), &err) != GS_OK)
        fail_msg("%s: %s", text, err.text);
}

static void assert_string(struct gs_json *j, const char *pointer, const char *wanted)
{
    const char *s;
    size_t len;

    if (!gs_json_string(j, pointer, &s, &len))
        fail_msg("no string at %s", pointer);
    assert_string_equal(s, wanted);
    assert_int_equal(len, strlen(wanted));
}

static void test_pointers(void **state)
{
    struct gs_json *j = *state;
    int64_t n;
    bool b;

    parse(j, " {\"a\": [1, {\"b/c\": \"x\", \"~\": true}, [], {}], \"\": null, \"e\\u0301\": \"\\ud83d\\ude00\\n\", "
             "\"a\": 2} ");
    assert_int_equal(gs_json_type(j, ""), GS_JSON_OBJECT);
    assert_int_equal(gs_json_count(j, ""), 4);
    assert_int_equal(gs_json_type(j, "/a"), GS_JSON_ARRAY); /* of two keys the first wins */
    assert_int_equal(gs_json_count(j, "/a"), 4);
    assert_true(gs_json_int(j, "/a/0", &n) && n == 1);
    assert_string(j, "/a/1/b~1c", "x");
    assert_true(gs_json_bool(j, "/a/1/~0", &b) && b);
    assert_int_equal(gs_json_count(j, "/a/2"), 0);
    assert_int_equal(gs_json_count(j, "/a/3"), 0);
    assert_int_equal(gs_json_count(j, "/a/0"), -1);
    assert_int_equal(gs_json_type(j, "/"), GS_JSON_NULL);
    assert_string(j, "/e\xcc\x81", "\xf0\x9f\x98\x80\n");
    assert_int_equal(gs_json_type(j, "/a/4"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "/a/00"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "/a/-"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "/a/99999999999999999999"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "/a/0/b"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "a"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "/A"), GS_JSON_MISSING);
    assert_int_equal(gs_json_type(j, "/a/1/b"), GS_JSON_MISSING);
    assert_false(gs_json_bool(j, "/a/0", &b));
}

/* Forwards, backwards, and over nested elements. */
static void test_walking_an_array(void **state)
{
    struct gs_json *j = *state;
    char text[60000] = "[", pointer[32];
    size_t at = 1;
    int64_t n;

    for (int i = 0; i < 1000; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s{\"v\":[[%d],{\"n\":%d}]}", i ? "," : "", i, i);
    strcpy(text + at, "]");
    parse(j, text);
    for (int i = 0; i < 2000; i++) {
        int wanted = i < 1000 ? i : 1999 - i;

        snprintf(pointer, sizeof(pointer), "/%d/v/1/n", wanted);
        assert_true(gs_json_int(j, pointer, &n) && n == wanted);
    }
}

static void test_bare_values(void **state)
{
    struct gs_json *j = *state;
    int64_t n;

    parse(j, "7");
    assert_true(gs_json_int(j, "", &n) && n == 7);
    parse(j, " \"s\"\n");
    assert_string(j, "", "s");
    parse(j, "null");
    assert_int_equal(gs_json_type(j, ""), GS_JSON_NULL);
    parse(j, "false");
    assert_int_equal(gs_json_type(j, ""), GS_JSON_BOOL);
    parse(j, "\xef\xbb\xbf{}");
    assert_int_equal(gs_json_type(j, ""), GS_JSON_OBJECT);
}

/* ---- numbers ---- */

static void assert_decimal(struct gs_json *j, const char *number, const char *wanted)
{
    char text[200], got[GS_DEC_TEXT];
    struct gs_dec d;
    struct gs_err err;

    snprintf(text, sizeof(text), "{\"other\": 123456789012345678901234567890, \"v\": %s }", number);
    parse(j, text);
    if (gs_json_decimal(j, "/v", &d, &err) != GS_OK)
        fail_msg("%s: %s", number, err.text);
    gs_dec_format(d, got);
    assert_string_equal(got, wanted);
}

static void test_decimals_are_exact(void **state)
{
    struct gs_json *j = *state;

    assert_decimal(j, "0.1", "0.1");
    assert_decimal(j, "-0", "0");
    assert_decimal(j, "9007199254740993", "9007199254740993");
    assert_decimal(j, "99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999");
    assert_decimal(j, "1.25e2", "125");
    assert_decimal(j, "1E-18", "0.000000000000000001");
}

static void assert_no_decimal(struct gs_json *j, const char *value, const char *words)
{
    char text[200];
    struct gs_dec d;
    struct gs_err err;

    snprintf(text, sizeof(text), "{\"v\": %s}", value);
    parse(j, text);
    assert_int_equal(gs_json_decimal(j, "/v", &d, &err), GS_REJECT);
    if (!strstr(err.text, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", value, err.text, words);
}

static void test_no_decimals(void **state)
{
    struct gs_json *j = *state;
    struct gs_dec d;
    struct gs_err err;
    int64_t n;

    assert_no_decimal(j, "1e400", "the number at /v");
    assert_no_decimal(j, "100000000000000000000", "the number at /v");
    assert_no_decimal(j, "1e-19", "the number at /v");
    assert_no_decimal(j, "\"12\"", "a string stands at /v");
    assert_no_decimal(j, "null", "null stands at /v");
    assert_no_decimal(j, "[1]", "an array stands at /v");
    assert_int_equal(gs_json_decimal(j, "/w", &d, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "nothing stands at /w"));
    parse(j, "[1.0, 9223372036854775807, 9223372036854775808, -9223372036854775808, 1e2]");
    assert_false(gs_json_int(j, "/0", &n));
    assert_true(gs_json_int(j, "/1", &n) && n == INT64_MAX);
    assert_false(gs_json_int(j, "/2", &n));
    assert_true(gs_json_int(j, "/3", &n) && n == INT64_MIN);
    assert_false(gs_json_int(j, "/4", &n));
}

/* ---- what is no JSON ---- */

static void test_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "empty"},
        {" \r\n\t", "empty"},
        {"<!DOCTYPE html><html>", "HTML"},
        {"\n <a/>", "HTML"},
        {"{", "grammar is broken"},
        {"[1, 2", "grammar is broken"},
        {"[1 2]", "at byte 4"},
        {"[1,]", "at byte 4"},
        {"{\"a\" 1}", "grammar is broken"},
        {"{\"a\":1,}", "grammar is broken"},
        {"{a:1}", "grammar is broken"},
        {"{1:1}", "grammar is broken"},
        {"[\"abc]", "does not end"},
        {"[\"a\tb\"]", "control character in it, at byte 4"},
        {"[\"\\x\"]", "escape"},
        {"[\"\\ud800\"]", "escape"},
        {"[\"a\xff\"]", "not UTF-8, at byte 4"},
        {"[\"\xed\xa0\x80\"]", "not UTF-8"},
        {"[1.]", "number is malformed, at byte 2"},
        {"[01]", "number is malformed"},
        {"[-]", "number is malformed"},
        {"[1e]", "number is malformed"},
        {"[1.5x]", "number is malformed"},
        {"[+1]", "grammar is broken"},
        {"[.5]", "grammar is broken"},
        {"[NaN]", "at byte 2"},
        {"[Infinity]", "at byte 2"},
        {"[nul]", "at byte 2"},
        {"[nullx]", "grammar is broken"},
        {"[truefalse]", "grammar is broken"},
        {"[True]", "grammar is broken"},
        {"['a']", "grammar is broken"},
        {"{} {}", "grammar is broken"},
        {"{}, 1", "follows its end, at byte 5"},
        {"1] [2", "follows its end"},
        {"1]", "follows its end"},
        {"{}]", "follows its end"},
        {"[1]}", ""},
        {"]", ""},
        {",", ""},
        {"[1]x", ""},
        {"[//c\n1]", "grammar is broken"},
    };
    struct gs_json *j = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gs_err err;

        if (gs_json_parse(j, cases[i].text, strlen(cases[i].text), &err) != GS_REJECT)
            fail_msg("%s is taken for JSON", cases[i].text);
        if (!strstr(err.text, cases[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].words);
        assert_int_equal(gs_json_type(j, ""), GS_JSON_MISSING); /* nothing of the last document is left */
    }
    parse(j, "{}");
}

static void test_zero_bytes(void **state)
{
    struct gs_json *j = *state;
    struct gs_err err;
    const char *s;
    size_t len;

    assert_int_equal(gs_json_parse(j, "[1\0]", 4, &err), GS_REJECT);
    assert_int_equal(gs_json_parse(j, "{}\0", 3, &err), GS_REJECT);
    assert_int_equal(gs_json_parse(j, "\0", 1, &err), GS_REJECT);
    parse(j, "\"a\\u0000b\"");
    assert_true(gs_json_string(j, "", &s, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(s, "a\0b", 4);
}

static void test_ceilings(void **state)
{
    struct gs_json *j = gs_json_new(100, 3);
    char text[102];
    struct gs_err err;

    (void)state;
    parse(j, "[[[1]]]");
    assert_int_equal(gs_json_parse(j, "[[[[1]]]]", 9, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "nested too deeply"));
    memset(text, ' ', sizeof(text));
    text[0] = '1';
    assert_int_equal(gs_json_parse(j, text, 100, &err), GS_OK);
    assert_int_equal(gs_json_parse(j, text, 101, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "101 bytes"));
    gs_json_free(j);
}

/* ---- members ---- */

struct members {
    int n;
    char text[100];
};

static void on_member(void *arg, const char *key, const char *value)
{
    struct members *m = arg;

    m->n++;
    snprintf(m->text + strlen(m->text), sizeof(m->text) - strlen(m->text), "%s=%s;", key, value);
}

static void test_each_string(void **state)
{
    struct gs_json *j = *state;
    struct members m = {0};
    struct gs_err err;

    parse(j, "{\"o\": {\"repo\": \"acme/app\", \"m\": \"7\"}, \"bad\": {\"a\": \"1\", \"n\": 7}, \"zero\": {\"a\": "
             "\"\\u0000\"}}");
    assert_int_equal(gs_json_each_string(j, "/o", on_member, &m, &err), GS_OK);
    assert_string_equal(m.text, "repo=acme/app;m=7;");
    assert_int_equal(gs_json_each_string(j, "/bad", on_member, &m, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "\"n\""));
    assert_int_equal(gs_json_each_string(j, "/zero", on_member, &m, &err), GS_REJECT);
    assert_int_equal(gs_json_each_string(j, "/o/m", on_member, &m, &err), GS_REJECT);
    assert_int_equal(m.n, 3);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_pointers),           TEST(test_walking_an_array), TEST(test_bare_values),
        TEST(test_decimals_are_exact), TEST(test_no_decimals),      TEST(test_refused),
        TEST(test_zero_bytes),         TEST(test_ceilings),         TEST(test_each_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
