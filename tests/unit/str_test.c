/* Numbers, cleaning, hashes and text forms of bytes. */
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void parses_whole_numbers_only(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-7", true, -7},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"--1", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t v = 4711;
        assert_int_equal(gs_parse_int(cases[i].text, INT64_MIN, INT64_MAX, &v), cases[i].ok);
        assert_int_equal(v, cases[i].ok ? cases[i].value : 4711);
    }
    int64_t v;
    assert_true(gs_parse_int("10", 1, 10, &v));
    assert_false(gs_parse_int("11", 1, 10, &v));
    assert_false(gs_parse_int("0", 1, 10, &v));
}

static void formats_whole_numbers(void **state)
{
    static const int64_t numbers[] = {0, 7, -7, 10, -10, 1234567890123, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[GS_INT_TEXT];
        int64_t back = 1;
        size_t len = gs_int_format(numbers[i], text);
        assert_int_equal(len, strlen(text));
        assert_true(gs_parse_int(text, INT64_MIN, INT64_MAX, &back));
        assert_true(back == numbers[i]);
    }
}

static void compares(void **state)
{
    (void)state;
    assert_true(gs_str_eq(NULL, NULL));
    assert_false(gs_str_eq("", NULL));
    assert_true(gs_str_eq("a", "a"));
    assert_true(gs_str_starts("abc", "ab"));
    assert_false(gs_str_starts("a", "ab"));
}

static void cleans(void **state)
{
    static const struct {
        const char *text, *clean;
        size_t size;
    } cases[] = {
        {"plain", "plain", 32},
        {"a\nb\rc\td\x1b[31m", "a?b?c?d?[31m", 32},
        {"\xc2\x85\xe2\x80\xa8\xe2\x80\xae\x7f", "????", 32}, /* next line, line separator, right to left, DEL */
        {"\xc3\xbc\xff", "\xc3\xbc?", 32},
        {"1234567", "1234567", 8},
        {"12345678", "1234...", 8},
        {"123\xc3\xbc\x38\x39", "123\xc3\xbc\x38\x39", 8},
        {"123\xc3\xbc\x38\x39\x30", "123...", 8}, /* no half characters */
        {"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", "\xe2\x82\xac...", 8},
        {"abcdef", "..", 3},
        {"a", "", 1},
    };
    char dst[32];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_string_equal(gs_str_clean(dst, cases[i].size, cases[i].text, strlen(cases[i].text)), cases[i].clean);
    assert_string_equal(gs_str_clean(dst, sizeof(dst), "a\0b", 3), "a?b");
}

/* Slots of links hang on these very values; a change moves every link. */
static void hash_never_changes(void **state)
{
    (void)state;
    assert_true(gs_hash64("", 0, 0) == UINT64_C(0xefd01f60ba992926));
    assert_true(gs_hash64("goalsync", 8, 0) == UINT64_C(0x71998de7322ac4e8));
    assert_true(gs_hash64("goalsync", 8, 42) == UINT64_C(0xf928eb1c116ac25f));
}

static void hash_is_even(void **state)
{
    unsigned buckets[64] = {0};
    (void)state;
    for (int64_t id = 0; id < 64000; id++)
        buckets[gs_hash64(&id, sizeof(id), 0) >> 58]++;
    for (size_t i = 0; i < 64; i++)
        assert_in_range(buckets[i], 800, 1200);
}

static void base64(void **state)
{
    static const char *const good[][2] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                                          {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {"Zg=",  "Zg",   "Z",        "Zh==", "Zm9=", "Zm9v\n",
                                      "Zm9-", "=g==", "Zg==Zg==", "====", "Zm 9"};
    char text[64], raw[64];
    size_t len;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        gs_base64_encode(good[i][0], strlen(good[i][0]), text);
        assert_string_equal(text, good[i][1]);
        assert_true(gs_base64_decode(text, strlen(text), raw, strlen(good[i][0]), &len));
        assert_int_equal(len, strlen(good[i][0]));
        assert_memory_equal(raw, good[i][0], len);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(gs_base64_decode(bad[i], strlen(bad[i]), raw, sizeof(raw), &len));
    assert_false(gs_base64_decode("Zm9v", 4, raw, 2, &len));
}

static void hex(void **state)
{
    char text[16];
    (void)state;
    gs_hex_encode("\x00\x9f\xff", 3, text);
    assert_string_equal(text, "009fff");
}

static void utf8(void **state)
{
    (void)state;
    assert_int_equal(gs_utf8_char("", 0), 0);
    assert_int_equal(gs_utf8_char("\xf0\x9f\x98\x80", 4), 4);
    assert_int_equal(gs_utf8_char("\xf0\x9f\x98\x80", 3), 0);
    assert_int_equal(gs_utf8_char("\xc0\x80", 2), 0);         /* a zero in two bytes */
    assert_int_equal(gs_utf8_char("\xe0\x80\x80", 3), 0);     /* and in three */
    assert_int_equal(gs_utf8_char("\xf4\x90\x80\x80", 4), 0); /* above U+10FFFF */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_whole_numbers_only),
        cmocka_unit_test(formats_whole_numbers),
        cmocka_unit_test(compares),
        cmocka_unit_test(cleans),
        cmocka_unit_test(hash_never_changes),
        cmocka_unit_test(hash_is_even),
        cmocka_unit_test(base64),
        cmocka_unit_test(hex),
        cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
