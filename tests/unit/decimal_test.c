// Exact decimals: text, rounding, arithmetic against GMP, PostgreSQL's binary numeric.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#include <gmp.h>

static void parses_and_formats(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"0", "0"},
        {"-0", "0"},
        {"0.000", "0"},
        {"0e999999999999", "0"},
        {"+7", "7"},
        {"-3.50", "-3.5"},
        {"007.070", "7.07"},
        {"1.2e6", "1200000"},
        {"12E+2", "1200"},
        {"1200e-2", "12"},
        {"1e19", "10000000000000000000"},
        {"0.00000000000000000000001e5", "0.000000000000000001"},
        {"1000000000000000000000000e-24", "1"},
        {"99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"},
        {"-99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999"},
        {"0.1000000000000000000000000000000", "0.1"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"0.000000000000000000000000000000000000000000000012e47", "1.2"},
    };
    char text[GS_DEC_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t len = gs_dec_format(dec(rows[i].in), text);
        expect_text(rows[i].in, text, rows[i].out);
        expect_int(rows[i].in, (long long)len, (long long)strlen(rows[i].out));
    }
}

/* A double's text has more digits than an exact number may have. */
static void rounds_floats(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"0.1", "0.1"},
        {"1.2345678901234567e-05", "0.000012345678901235"},
        {"-1.2345678901234565e-06", "-0.000001234567890123"},
        {"5e-19", "0.000000000000000001"},
        {"-5e-19", "-0.000000000000000001"},
        {"4.9e-19", "0"},
        {"9.9e-20", "0"},
        {"5e-324", "0"},
        {"0.9999999999999999995", "1"},
        {"12345678.123456789012345678", "12345678.123456789012345678"},
    };
    char text[GS_DEC_TEXT];
    struct gs_err err;
    struct gs_dec d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(gs_dec_parse_float(rows[i].in, strlen(rows[i].in), &d, &err), GS_OK);
        gs_dec_format(d, text);
        expect_text(rows[i].in, text, rows[i].out);
    }
    assert_int_equal(gs_dec_parse_float("1e20", 4, &d, &err), GS_REJECT);
    assert_int_equal(gs_dec_parse_float("1e-", 3, &d, &err), GS_REJECT);
}

static void refuses(void **state)
{
    static const struct {
        const char *in, *says;
    } rows[] = {
        {"", "empty"},
        {"-", "plain decimal"},
        {".5", "plain decimal"},
        {"5.", "plain decimal"},
        {"1e", "plain decimal"},
        {"1e+", "plain decimal"},
        {"1,5", "plain decimal"},
        {" 1", "plain decimal"},
        {"1 ", "plain decimal"},
        {"--1", "plain decimal"},
        {"+-1", "plain decimal"},
        {"0x10", "plain decimal"},
        {"NaN", "plain decimal"},
        {"Infinity", "plain decimal"},
        {"1e1e1", "plain decimal"},
        {"1.2.3", "plain decimal"},
        {"100000000000000000000", "20 digits before"},
        {"1e20", "20 digits before"},
        {"1e999999999999", "20 digits before"},
        {"-123456789012345678901.5", "20 digits before"},
        {"1234567890123456789012345678901234567890123456789", "20 digits before"},
        {"0.0000000000000000001", "18 digits after"},
        {"1e-19", "18 digits after"},
        {"1e-999999999999", "18 digits after"},
        {"1.0000000000000000000000000000000000000000000000001", "18 digits after"},
    };
    char *longest = test_malloc(GS_DEC_INPUT_MAX + 1);
    struct gs_dec d;
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        memset(&err, 0, sizeof err);
        if (gs_dec_parse(rows[i].in, strlen(rows[i].in), &d, &err) != GS_REJECT || !strstr(err.text, rows[i].says))
            fail_msg("'%s' must be refused with '%s', got '%s'", rows[i].in, rows[i].says, err.text);
    }
    memset(longest, '0', GS_DEC_INPUT_MAX + 1);
    assert_int_equal(gs_dec_parse(longest, GS_DEC_INPUT_MAX, &d, &err), GS_OK);
    assert_int_equal(gs_dec_parse(longest, GS_DEC_INPUT_MAX + 1, &d, &err), GS_REJECT);
    assert_int_equal(gs_dec_parse("1\0", 2, &d, &err), GS_REJECT);
    test_free(longest);
}

static void rounds_halves_away_from_zero(void **state)
{
    static const struct {
        const char *in;
        int decimals;
        const char *out;
    } rows[] = {
        {"0.5", 0, "1"},
        {"-0.5", 0, "-1"},
        {"1.5", 0, "2"},
        {"2.5", 0, "3"},
        {"0.499999999999999999", 0, "0"},
        {"-0.499999999999999999", 0, "0"},
        {"33.33335", 4, "33.3334"},
        {"33.33334999", 4, "33.3333"},
        {"-0.00001", 4, "0.0000"},
        {"100", 4, "100.0000"},
        {"0.000000000000000001", 18, "0.000000000000000001"},
        {"99999999999999999999.999999999999999999", 0, "100000000000000000000"},
    };
    char text[GS_DEC_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gs_dec_format_fixed(dec(rows[i].in), rows[i].decimals, text);
        expect_text(rows[i].in, text, rows[i].out);
    }
}

static void text_round_trips(void **state)
{
    char text[GS_DEC_TEXT];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct gs_dec d = random_dec((int)random_in(0, 38), (int)random_in(0, 18));
        gs_dec_format(d, text);
        expect_dec(text, dec(text), text);
        assert_true(dec(text).u == d.u);
        gs_dec_format_fixed(d, GS_DEC_SCALE, text);
        assert_true(dec(text).u == d.u);
    }
}

static void adds_and_compares(void **state)
{
    const struct gs_dec max = {GS_DEC_MAX_U}, min = {-GS_DEC_MAX_U}, bit = {1};
    struct gs_dec d;

    (void)state;
    assert_true(gs_dec_add(dec("0.1"), dec("0.2"), &d));
    expect_dec("0.1 + 0.2", d, "0.3");
    assert_true(gs_dec_sub(dec("1"), dec("3.5"), &d));
    expect_dec("1 - 3.5", d, "-2.5");
    assert_false(gs_dec_add(max, bit, &d));
    assert_false(gs_dec_add(max, max, &d));
    assert_false(gs_dec_sub(min, bit, &d));
    assert_false(gs_dec_sub(min, max, &d));
    assert_true(gs_dec_add(max, min, &d));
    expect_dec("max - max", d, "0");
    assert_true(gs_dec_cmp(min, max) < 0 && gs_dec_cmp(max, min) > 0 && gs_dec_cmp(max, max) == 0);
    expect_dec("from int64", gs_dec_int(INT64_MIN), "-9223372036854775808");
    assert_true(gs_dec_double(dec("-2.5")) == -2.5);
}

static void mpz_from(mpz_t z, gs_u128 v)
{
    mpz_set_ui(z, (unsigned long)(v >> 64));
    mpz_mul_2exp(z, z, 64);
    mpz_add_ui(z, z, (unsigned long)v);
}

/* floor((2ab + c) / 2c) by GMP's integers, the independent way to the nearest whole. */
static void mul_div_agrees(gs_u128 a, gs_u128 b, gs_u128 c)
{
    gs_u128 got = 0;
    bool fits = gs_u128_mul_div(a, b, c, &got);
    mpz_t x, y, z, g;

    mpz_inits(x, y, z, g, NULL);
    mpz_from(x, a);
    mpz_from(y, b);
    mpz_from(z, c);
    mpz_mul(x, x, y);
    mpz_mul_2exp(x, x, 1);
    mpz_add(x, x, z);
    mpz_mul_2exp(z, z, 1);
    mpz_fdiv_q(x, x, z);
    mpz_from(g, got);
    assert_int_equal(fits, mpz_sizeinbase(x, 2) <= 128);
    if (fits)
        assert_int_equal(mpz_cmp(x, g), 0);
    mpz_clears(x, y, z, g, NULL);
}

static gs_u128 random128(void)
{
    gs_u128 v = (gs_u128)random64() << 64 | random64();

    return v >> random_in(0, 127);
}

static void mul_div_is_exact(void **state)
{
    const gs_u128 all = ~(gs_u128)0;
    gs_u128 ignored;

    (void)state;
    assert_false(gs_u128_mul_div(1, 1, 0, &ignored));
    mul_div_agrees(all, all, all);
    mul_div_agrees(all, all, all - 1);
    mul_div_agrees(all, all - 1, all);
    mul_div_agrees(all, 1, 2);
    mul_div_agrees(all, 3, 2);
    for (int i = 0; i < 50000; i++) {
        gs_u128 c = random128();
        mul_div_agrees(random128(), random128(), c ? c : 1);
    }
}

static void mul_div_keeps_signs_and_limits(void **state)
{
    static const struct {
        const char *a, *b, *c, *out; /* null: does not fit */
    } rows[] = {
        {"1", "100", "3", "33.333333333333333333"},
        {"2", "100", "3", "66.666666666666666667"},
        {"-2", "100", "3", "-66.666666666666666667"},
        {"-2", "-100", "-3", "-66.666666666666666667"},
        {"0.000000000000000001", "1", "2", "0.000000000000000001"},
        {"-0.000000000000000001", "1", "2", "-0.000000000000000001"},
        {"0.000000000000000001", "1", "3", "0"},
        {"99999999999999999999", "99999999999999999999", "99999999999999999999", "99999999999999999999"},
        {"99999999999999999999", "2", "1", NULL},
        {"99999999999999999999", "1", "0.000000000000000001", NULL},
        {"1", "1", "0", NULL},
        {"0", "1", "0", NULL},
    };
    struct gs_dec d;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool fits = gs_dec_mul_div(dec(rows[i].a), dec(rows[i].b), dec(rows[i].c), &d);
        expect_int(rows[i].a, fits, rows[i].out != NULL);
        if (rows[i].out)
            expect_dec(rows[i].a, d, rows[i].out);
    }
}

/* ---- PostgreSQL: what numeric_send() of a PostgreSQL 15 gave for these texts */

static const struct {
    const char *text, *hex;
} sent[] = {
#include "tests/unit/decimal_sent.inc"
};

static size_t from_hex(const char *hex, unsigned char *dst)
{
    size_t n = strlen(hex) / 2;
    unsigned byte;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        dst[i] = (unsigned char)byte;
    }
    return n;
}

static void speaks_postgresql(void **state)
{
    unsigned char expected[64], actual[GS_DEC_PG_MAX];
    struct gs_dec d;
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < COUNT(sent); i++) {
        size_t n = from_hex(sent[i].hex, expected);
        assert_int_equal(gs_dec_pg_decode(expected, n, &d, &err), GS_OK);
        expect_dec(sent[i].text, d, sent[i].text);
        expect_int(sent[i].text, (long long)gs_dec_pg_encode(d, actual), (long long)n);
        assert_memory_equal(actual, expected, n);
    }
}

static void refuses_what_does_not_fit_from_postgresql(void **state)
{
    static const struct {
        const char *hex, *says;
    } rows[] = {
        {"", "broken"},
        {"00000000c000", "broken"},                   /* cut header */
        {"0000000000000000ff", "broken"},             /* a byte too much */
        {"000100000000000", "broken"},                /* a digit promised */
        {"ffff000000000000", "broken"},               /* very many promised */
        {"00000000c0000000", "NaN"},                  /* NaN */
        {"00000000d0000020", "NaN"},                  /* Infinity */
        {"00000000f0000020", "NaN"},                  /* -Infinity */
        {"00010000000000002710", "broken"},           /* digit 10000 */
        {"00010005000000000001", "before the point"}, /* 10^20 */
        {"00017fff000000000001", "before the point"},
        {"0001fffb000000130001", "after the point"}, /* 10^-20 */
        {"0001fffa000000180001", "after the point"},
        {"00018000000000180001", "after the point"},
    };
    unsigned char bytes[64];
    struct gs_dec d;
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        memset(&err, 0, sizeof err);
        size_t n = from_hex(rows[i].hex, bytes);
        if (gs_dec_pg_decode(bytes, n, &d, &err) != GS_REJECT || !strstr(err.text, rows[i].says))
            fail_msg("%s must be refused with '%s', got '%s'", rows[i].hex, rows[i].says, err.text);
    }
}

static void postgresql_round_trips(void **state)
{
    unsigned char bytes[GS_DEC_PG_MAX];
    struct gs_dec d;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct gs_dec in = random_dec((int)random_in(0, 38), (int)random_in(0, 18));
        size_t n = gs_dec_pg_encode(in, bytes);
        assert_true(n <= GS_DEC_PG_MAX);
        assert_int_equal(gs_dec_pg_decode(bytes, n, &d, NULL), GS_OK);
        assert_true(d.u == in.u);
    }
}

static void random_bytes_never_harm(void **state)
{
    unsigned char bytes[48];
    struct gs_dec d;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        size_t n = (size_t)random_in(0, sizeof bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (unsigned char)random64();
        if (n >= 8) { /* often a plausible header, so that the digits are read */
            bytes[0] = 0;
            bytes[1] = (unsigned char)((n - 8) / 2);
            bytes[4] &= 0x40;
            bytes[5] = 0;
        }
        if (gs_dec_pg_decode(bytes, n, &d, NULL) == GS_OK)
            assert_true(d.u <= GS_DEC_MAX_U && d.u >= -GS_DEC_MAX_U);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (unsigned char)"0123456789.eE+-"[bytes[k] % 15];
        if (gs_dec_parse((const char *)bytes, n, &d, NULL) == GS_OK)
            assert_true(d.u <= GS_DEC_MAX_U && d.u >= -GS_DEC_MAX_U);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),
        cmocka_unit_test(rounds_floats),
        cmocka_unit_test(refuses),
        cmocka_unit_test(rounds_halves_away_from_zero),
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(adds_and_compares),
        cmocka_unit_test(mul_div_is_exact),
        cmocka_unit_test(mul_div_keeps_signs_and_limits),
        cmocka_unit_test(speaks_postgresql),
        cmocka_unit_test(refuses_what_does_not_fit_from_postgresql),
        cmocka_unit_test(postgresql_round_trips),
        cmocka_unit_test(random_bytes_never_harm),
    };

    return run_seeded(tests);
}
