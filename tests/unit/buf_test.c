/* Buffers keep to their ceiling, end in a zero, and write JSON strings. */
#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void appends_and_clears(void **state)
{
    struct gs_buf b;
    (void)state;
    gs_buf_init(&b, 1000);
    assert_string_equal(gs_buf_str(&b), "");
    gs_buf_puts(&b, "one");
    gs_buf_putc(&b, ' ');
    gs_buf_printf(&b, "%d-%s", 2, "three");
    assert_string_equal(gs_buf_str(&b), "one 2-three");
    gs_buf_clear(&b);
    assert_string_equal(gs_buf_str(&b), "");
    gs_buf_append(&b, "a\0b", 3);
    assert_int_equal(b.len, 3);
    assert_int_equal(b.data[3], 0);
    gs_buf_done(&b);
    gs_buf_puts(&b, "again");
    assert_string_equal(gs_buf_str(&b), "again");
    gs_buf_done(&b);
}

static void keeps_what_fits(void **state)
{
    struct gs_buf b;
    (void)state;
    gs_buf_init(&b, 5);
    gs_buf_puts(&b, "12345");
    assert_false(b.overflow);
    gs_buf_puts(&b, "");
    assert_false(b.overflow);
    gs_buf_putc(&b, '6');
    assert_true(b.overflow);
    assert_string_equal(gs_buf_str(&b), "12345");
    gs_buf_clear(&b);
    assert_false(b.overflow);
    gs_buf_printf(&b, "%s", "abcdefgh");
    assert_true(b.overflow);
    assert_string_equal(gs_buf_str(&b), "abcde");
    gs_buf_done(&b);
}

static void prints_long_texts(void **state)
{
    struct gs_buf b;
    char text[3000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    gs_buf_init(&b, 100000);
    gs_buf_printf(&b, "<%s>", text);
    assert_int_equal(b.len, 3001);
    assert_int_equal(b.data[3000], '>');
    gs_buf_done(&b);
    gs_buf_init(&b, 2000);
    gs_buf_printf(&b, "<%s>", text);
    assert_int_equal(b.len, 2000);
    assert_true(b.overflow);
    gs_buf_done(&b);
}

static void room_is_written_in_place(void **state)
{
    struct gs_buf b;
    (void)state;
    gs_buf_init(&b, 10);
    gs_buf_puts(&b, "ab");
    char *room = gs_buf_room(&b, 8);
    assert_non_null(room);
    memset(room, 'x', 8);
    b.len += 3;
    assert_string_equal(gs_buf_str(&b), "abxxx");
    assert_null(gs_buf_room(&b, 6));
    assert_true(b.overflow);
    assert_string_equal(gs_buf_str(&b), "abxxx");
    gs_buf_done(&b);
}

static void hands_over(void **state)
{
    struct gs_buf b;
    (void)state;
    gs_buf_init(&b, 10);
    char *empty = gs_buf_steal(&b);
    assert_string_equal(empty, "");
    gs_buf_puts(&b, "x");
    char *x = gs_buf_steal(&b);
    assert_string_equal(x, "x");
    assert_null(b.data);
    gs_buf_puts(&b, "y");
    assert_string_equal(gs_buf_str(&b), "y");
    gs_buf_done(&b);
    free(empty);
    free(x);
}

static void quotes_json(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\r\t\b\f", "\"\\n\\r\\t\\b\\f\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
        {"\xc3\xbc\xf0\x9f\x98\x80", "\"\xc3\xbc\xf0\x9f\x98\x80\""},
        {"a\xff\x62", "\"a\xef\xbf\xbd\x62\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* half of a surrogate pair */
        {"cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct gs_buf b;
    (void)state;
    gs_buf_init(&b, 1000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gs_buf_clear(&b);
        gs_buf_put_json(&b, cases[i].text, strlen(cases[i].text));
        assert_string_equal(gs_buf_str(&b), cases[i].json);
    }
    gs_buf_clear(&b);
    gs_buf_put_json(&b, "\0", 1);
    assert_string_equal(gs_buf_str(&b), "\"\\u0000\"");
    gs_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_clears),       cmocka_unit_test(keeps_what_fits),
        cmocka_unit_test(prints_long_texts),        cmocka_unit_test(hands_over),
        cmocka_unit_test(room_is_written_in_place), cmocka_unit_test(quotes_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
