/* Sheets: CSV and XLSX, what cells may say, and the shape of goal graphs. links: goalsync_gateway */
#include "services/gateway/sheet_goal.h"

#include "common/auto.h"
#include "services/gateway/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void read_into(struct gw_sheet *s, const char *text)
{
    struct gs_err err;

    gw_sheet_init(s);
    assert_int_equal(gw_sheet_read_csv(s, text, strlen(text), &err), GS_OK);
}

static void reads_csv(void **state)
{
    static const struct {
        const char *text;
        uint32_t rows;
        const char *first, *second, *third; /* of the first row */
    } cases[] = {
        {"", 0, "", "", ""},
        {"\n\r\n,,\n", 0, "", "", ""},
        {"a", 1, "a", "", ""},
        {"a,b,c\n", 1, "a", "b", "c"},
        {"\xef\xbb\xbf"
         "a,b\r\nc",
         2, "a", "b", ""},
        {"a;b,x;c", 1, "a", "b,x", "c"},
        {"a\tb\tc\r", 1, "a", "b", "c"},
        {"sep=;\r\na;b", 1, "a", "b", ""},
        {"sep=|\na|b,c", 1, "a", "b,c", ""},
        {"\"a\"\"b\",\"x\r\ny\",\",\"", 1, "a\"b", "x\r\ny", ","},
        {"\"\",b", 1, "", "b", ""},
        {"a\"b,c", 1, "a\"b", "c", ""},
        {"'=a,'b,''-c", 1, "=a", "'b", "'-c"},
        {"-5,'-5,+5", 1, "-5", "-5", "+5"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        GS_AUTO(gw_sheet_done) struct gw_sheet s;
        read_into(&s, cases[i].text);
        assert_int_equal(s.n_rows, cases[i].rows);
        assert_string_equal(gw_sheet_at(&s, 0, 0), cases[i].first);
        assert_string_equal(gw_sheet_at(&s, 0, 1), cases[i].second);
        assert_string_equal(gw_sheet_at(&s, 0, 2), cases[i].third);
    }
}

static void counts_rows_as_spreadsheets_do(void **state)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet s;
    (void)state;
    read_into(&s, "a\n\n\"b\nb\"\nc");
    assert_int_equal(s.n_rows, 3);
    assert_int_equal(s.numbers[0], 1);
    assert_int_equal(s.numbers[1], 3);
    assert_int_equal(s.numbers[2], 4);
}

static void refuses_csv(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *words;
    } cases[] = {
        {"a,\"b", 4, "none ends it"},
        {"a\n\"b\"c", 6, "row 2, column 1: text behind"},
        {"a,\xff", 3, "row 1, column 2: text that is not UTF-8"},
        {"a\0b", 3, "not UTF-8"},
        {"sep=x\na", 7, "separated by"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        GS_AUTO(gw_sheet_done) struct gw_sheet s;
        struct gs_err err;
        gw_sheet_init(&s);
        assert_int_equal(gw_sheet_read_csv(&s, cases[i].text, cases[i].len, &err), GS_REJECT);
        assert_non_null(strstr(err.text, cases[i].words));
    }
}

static const char *const tricky[] = {"",
                                     "a",
                                     "=1+1",
                                     "'=1+1",
                                     "-5",
                                     "'-5",
                                     "+5",
                                     "@x",
                                     "\tx",
                                     "\rx",
                                     "'",
                                     "''",
                                     "a,b",
                                     "a;b\"c\"",
                                     "x\ny",
                                     " a ",
                                     "-",
                                     "-1-1",
                                     "<&>'",
                                     "1e5",
                                     "007",
                                     "0.30",
                                     "€ \xf0\x9f\x91\x8d"};
enum { TRICKY = sizeof tricky / sizeof *tricky };

static void reads_the_csv_it_writes(void **state)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet s;
    GS_AUTO(gs_buf_done) struct gs_buf b;
    (void)state;
    gs_buf_init(&b, 10000);
    for (int i = 0; i < TRICKY; i++)
        gw_csv_put(&b, i == 0, tricky[i]);
    gw_csv_end(&b);
    read_into(&s, gs_buf_str(&b));
    for (uint32_t i = 0; i < TRICKY; i++)
        assert_string_equal(gw_sheet_at(&s, 0, i), tricky[i]);
    assert_null(strstr(gs_buf_str(&b), ",="));
    assert_null(strstr(gs_buf_str(&b), "\"="));
}

static void reads_the_xlsx_it_writes(void **state)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet s;
    GS_AUTO(gs_buf_done) struct gs_buf b;
    struct gw_xlsx x;
    struct gs_err err;
    (void)state;
    gs_buf_init(&b, 1 << 20);
    gw_xlsx_begin(&x, 1 << 20);
    for (int row = 0; row < 2; row++) {
        for (int i = 0; i < TRICKY; i++)
            gw_xlsx_put(&x, tricky[i], row == 1);
        gw_xlsx_end_row(&x);
    }
    assert_int_equal(gw_xlsx_finish(&x, "A & B", &b, &err), GS_OK);
    gw_sheet_init(&s);
    assert_int_equal(gw_sheet_read_xlsx(&s, "a & b", b.data, b.len, &err), GS_OK);
    for (uint32_t i = 0; i < TRICKY; i++)
        assert_string_equal(gw_sheet_at(&s, 0, i), tricky[i]);
    for (size_t len = 0; len < b.len; len += 7) { /* cut short */
        GS_AUTO(gw_sheet_done) struct gw_sheet cut;
        gw_sheet_init(&cut);
        assert_int_equal(gw_sheet_read_xlsx(&cut, NULL, b.data, len, &err), GS_REJECT);
    }
}

static void reads_numbers_as_people_write_them(void **state)
{
    static const struct {
        const char *text, *number;
    } cases[] = {
        {"0", "0"},
        {"-12.50", "-12.50"},
        {"1,234.5", "1234.5"},
        {"1.234,5", "1234.5"},
        {"12,5", "12.5"},
        {"1,234", "1234"},
        {"1,234,567", "1234567"},
        {"1.234.567", "1234567"},
        {"1 234", "1234"},
        {"1'234.5", "1234.5"},
        {"25%", "25"},
        {"5.", "5"},
        {".5", "0.5"},
        {"ten", NULL},
        {"", NULL},
        {"1e5", NULL},
        {"--1", NULL},
        {"1-2", NULL},
        {"%", NULL},
        {"$5", NULL},
    };
    char number[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(gw_cell_number(cases[i].text, number), cases[i].number != NULL);
        if (cases[i].number)
            assert_string_equal(number, cases[i].number);
    }
}

static void reads_days_that_can_be_one_only(void **state)
{
    static const struct {
        const char *text, *day;
    } cases[] = {
        {"2024-02-29", "2024-02-29"},
        {"2023-02-29", NULL},
        {"2024-2-9", "2024-02-09"},
        {"2024-12-31T13:00:00Z", "2024-12-31"},
        {"31.12.2024", "2024-12-31"},
        {"1.2.2024", "2024-02-01"},
        {"12/31/2024", "2024-12-31"},
        {"31/12/2024", "2024-12-31"},
        {"3/3/2024", "2024-03-03"},
        {"03/04/2024", NULL},
        {"2024/03/04", "2024-03-04"},
        {"13/13/2024", NULL},
        {"soon", NULL},
        {"2024-13-01", NULL},
        {"", NULL},
        {"2024-01-01x", NULL},
        {"45292", NULL},
    };
    char day[16];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(gw_cell_day(cases[i].text, day), cases[i].day != NULL);
        if (cases[i].day)
            assert_string_equal(day, cases[i].day);
    }
}

static void knows_columns_by_many_names(void **state)
{
    GS_AUTO(gw_sheet_done) struct gw_sheet s;
    GS_AUTO(gs_buf_done) struct gs_buf b;
    struct gw_columns columns;
    struct gs_err err;
    (void)state;
    read_into(&s, "How to fill in\nOBJECTIVE TITLE,owner e-mail,Due  Date,What,Target,Private,title\n"
                  "A,Ada <a@x.org>; b@x.org,31.1.2024,x,5,Yes,B\n");
    assert_int_equal(gw_columns_find(&s, &columns, &err), GS_OK);
    assert_int_equal(columns.header, 1);
    assert_int_equal(columns.at[GW_COL_TITLE], 0);
    assert_int_equal(columns.at[GW_COL_OWNERS], 1);
    assert_int_equal(columns.at[GW_COL_ENDS_ON], 2);
    assert_int_equal(columns.at[GW_COL_UNIT], -1);
    gs_buf_init(&b, 10000);
    assert_int_equal(gw_row_read(&s, &columns, 2, &b, &err), GS_OK);
    assert_string_equal(gs_buf_str(&b),
                        "{\"title\":\"A\",\"metric\":\"reach\",\"private\":true,\"owners\":[\"a@x.org\",\"b@x.org\"],"
                        "\"ends_on\":\"2024-01-31\",\"target\":\"5\"}");
}

/* ---- graphs ---- */

static void remember(void *arg, const char *pointer, const char *detail)
{
    struct gs_buf *b = arg;

    (void)detail;
    gs_buf_printf(b, "%s ", pointer);
}

static void judges_graphs(void **state)
{
    static const struct {
        const char *goals, *edges, *faults;
    } cases[] = {
        {"", "", ""},
        {"{'ref':'a'},{'ref':'b'}", "{'parent':'a','child':'b','weight':'100'}", ""},
        {"{'ref':'a'},{'ref':'a'},{}", "", "/goals/2/ref /goals/1/ref "},
        {"{'ref':'a'}", "{'parent':'a','child':'a'}", "/edges/0/child "},
        {"{'ref':'a'},{'ref':'b'}", "{'parent':'a','child':'b'},{'parent':'b','child':'a'}", "/goals/0 "},
        {"{'ref':'a'},{'ref':'b'}", "{'parent':'a','child':'b'},{'parent':'a','child':'b'}", "/edges/1 "},
        {"{'ref':'a','kind':'project'},{'ref':'b'}", "{'parent':'a','child':'b'}", "/edges/0/parent "},
        {"{'ref':'a'},{'ref':'b','private':true}", "{'parent':'a','child':'b'}", "/edges/0/child "},
        {"{'ref':'a'},{'ref':'b'},{'ref':'c'}",
         "{'parent':'a','child':'b','weight':'50'},{'parent':'a','child':'c','weight':'50.01'}", "/goals/0 "},
        {"{'ref':'a'},{'ref':'b'}", "{'parent':'a','child':'b','weight':'1.234'}", "/edges/0/weight "},
    };
    struct gs_json *j = gs_json_new(10000, 8);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        GS_AUTO(gs_buf_done) struct gs_buf faults;
        GS_AUTO(gw_graph_done) struct gw_graph g;
        char text[1000];
        struct gs_err err;
        gs_buf_init(&faults, 1000);
        int len = snprintf(text, sizeof(text), "{'goals':[%s],'edges':[%s]}", cases[i].goals, cases[i].edges);
        for (char *s = text; *s; s++)
            *s = *s == '\'' ? '"' : *s;
        assert_int_equal(gs_json_parse(j, text, (size_t)len, &err), GS_OK);
        assert_int_equal(gw_graph_read(&g, j, false, remember, &faults), !*cases[i].faults);
        assert_string_equal(gs_buf_str(&faults), cases[i].faults);
    }
    gs_json_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_csv),
        cmocka_unit_test(counts_rows_as_spreadsheets_do),
        cmocka_unit_test(refuses_csv),
        cmocka_unit_test(reads_the_csv_it_writes),
        cmocka_unit_test(reads_the_xlsx_it_writes),
        cmocka_unit_test(reads_numbers_as_people_write_them),
        cmocka_unit_test(reads_days_that_can_be_one_only),
        cmocka_unit_test(knows_columns_by_many_names),
        cmocka_unit_test(judges_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
