// Exact decimals: reading and writing them as text, and their arithmetic.
#include "common/decimal.h"

#include <assert.h>
#include <gmp.h>
#include <stdio.h>
#include <string.h>

#define SIGNIFICANT_MAX 38
#define WHOLE_MAX       (SIGNIFICANT_MAX - GS_DEC_SCALE)
#define EXPONENT_MAX    1000000 /* far beyond what fits; keeps sums of exponents small */
#define HALF_DIGITS     18
#define HALF            UINT64_C(1000000000000000000) /* 10^HALF_DIGITS: a number is written in parts of 64 bits */

_Static_assert(GMP_NUMB_BITS == 64, "the division below cuts 128 bits into two limbs");

static gs_u128 magnitude(gs_i128 v)
{
    return v < 0 ? -(gs_u128)v : (gs_u128)v;
}

static gs_u128 power_of_ten(int n)
{
    gs_u128 p = 1;

    while (n-- > 0)
        p *= 10;
    return p;
}

static bool from_magnitude(bool negative, gs_u128 m, struct gs_dec *ret)
{
    if (m > (gs_u128)GS_DEC_MAX_U)
        return false;
    ret->u = negative ? -(gs_i128)m : (gs_i128)m;
    return true;
}

/* ---- Reading */

/* A number while it is read: digits * 10^exponent; trailing zeros wait in `zeros` until another digit follows. */
struct reading {
    const char *at, *end;
    gs_u128 digits;
    int significant; /* counted on beyond what digits holds */
    int zeros;
    int exponent;
};

static bool is_digit(const struct reading *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static bool skip(struct reading *r, char a, char b)
{
    if (r->at >= r->end || (*r->at != a && *r->at != b))
        return false;
    r->at++;
    return true;
}

/* At least one digit; after the point each one lowers the exponent. */
static bool read_digits(struct reading *r, bool after_point)
{
    if (!is_digit(r))
        return false;
    for (; is_digit(r); r->at++) {
        r->exponent -= after_point;
        if (*r->at == '0') {
            r->zeros += r->significant > 0;
            continue;
        }
        r->significant += r->zeros + 1;
        if (r->significant <= SIGNIFICANT_MAX)
            r->digits = r->digits * power_of_ten(r->zeros + 1) + (unsigned)(*r->at - '0');
        r->zeros = 0;
    }
    return true;
}

static bool read_exponent(struct reading *r)
{
    bool negative = r->at < r->end && *r->at == '-';
    int exponent = 0;

    (void)skip(r, '+', '-');
    if (!is_digit(r))
        return false;
    for (; is_digit(r); r->at++)
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (*r->at - '0');
    r->exponent += negative ? -exponent : exponent;
    return true;
}

static bool read_number(struct reading *r)
{
    if (!read_digits(r, false))
        return false;
    if (skip(r, '.', '.') && !read_digits(r, true))
        return false;
    if (skip(r, 'e', 'E') && !read_exponent(r))
        return false;
    return r->at == r->end;
}

/* Digits beyond the 18th after the point go, halves away from zero. */
static void round_reading(struct reading *r)
{
    int drop = -GS_DEC_SCALE - r->exponent;

    r->exponent = -GS_DEC_SCALE;
    if (drop > r->significant) {
        r->digits = 0;
    } else {
        gs_u128 unit = power_of_ten(drop);
        r->digits = r->digits / unit + (r->digits % unit >= unit / 2);
    }
}

static enum gs_rc parse(const char *s, size_t len, bool rounds, struct gs_dec *ret, struct gs_err *err)
{
    struct reading r = {.at = s, .end = s + len};
    bool negative = len > 0 && *s == '-';

    if (len == 0)
        return gs_fail(err, GS_REJECT, "there is no number, only an empty text");
    if (len > GS_DEC_INPUT_MAX)
        return gs_fail(err, GS_REJECT, "a number of %zu characters is longer than the limit of %d", len,
                       GS_DEC_INPUT_MAX);
    (void)skip(&r, '+', '-');
    if (!read_number(&r))
        return gs_fail(err, GS_REJECT, "this is not a plain decimal number (like 12, -3.5 or 1.2e6)");
    r.exponent += r.zeros;
    if (r.significant == 0) {
        ret->u = 0;
        return GS_OK;
    }
    if (r.significant + r.exponent > WHOLE_MAX)
        return gs_fail(err, GS_REJECT, "the number has more than %d digits before the point", WHOLE_MAX);
    if (rounds && r.exponent < -GS_DEC_SCALE && r.significant <= SIGNIFICANT_MAX)
        round_reading(&r);
    if (r.exponent < -GS_DEC_SCALE)
        return gs_fail(err, GS_REJECT, "the number has more than %d digits after the point", GS_DEC_SCALE);
    /* Both limits together leave at most 38 significant digits, so digits is complete and the product fits. */
    r.digits *= power_of_ten(r.exponent + GS_DEC_SCALE);
    bool fits = from_magnitude(negative, r.digits, ret);
    assert(fits);
    return GS_OK;
}

enum gs_rc gs_dec_parse(const char *s, size_t len, struct gs_dec *ret, struct gs_err *err)
{
    return parse(s, len, false, ret, err);
}

enum gs_rc gs_dec_parse_float(const char *s, size_t len, struct gs_dec *ret, struct gs_err *err)
{
    return parse(s, len, true, ret, err);
}

/* ---- Writing */

/* Writes n digits of m, the last ones, with leading zeros. */
static void put_padded(char *dst, uint64_t m, int n)
{
    while (n-- > 0) {
        dst[n] = (char)('0' + m % 10);
        m /= 10;
    }
}

static int count_digits(uint64_t m)
{
    int n = 1;

    while (m >= 10) {
        m /= 10;
        n++;
    }
    return n;
}

/* Writes m, below 10^38, without a final zero byte. Digits are made in 64 bits: dividing 128 costs ten times as much.
 */
static size_t put_digits(char *dst, gs_u128 m)
{
    int n = 0;

    if (m < HALF) {
        n = count_digits((uint64_t)m);
        put_padded(dst, (uint64_t)m, n);
        return (size_t)n;
    }
    n = (int)put_digits(dst, m / HALF);
    put_padded(dst + n, (uint64_t)(m % HALF), HALF_DIGITS);
    return (size_t)n + HALF_DIGITS;
}

/* The text of m / 10^decimals. */
static size_t put_fixed(char *dst, bool negative, gs_u128 m, int decimals)
{
    uint64_t one = (uint64_t)power_of_ten(decimals);
    gs_u128 whole = m / one;
    size_t n = 0;

    if (negative && m > 0)
        dst[n++] = '-';
    n += put_digits(dst + n, whole);
    if (decimals > 0) {
        dst[n++] = '.';
        put_padded(dst + n, (uint64_t)(m - whole * one), decimals);
        n += (size_t)decimals;
    }
    dst[n] = '\0';
    return n;
}

size_t gs_dec_format(struct gs_dec d, char dst[GS_DEC_TEXT])
{
    size_t n = put_fixed(dst, d.u < 0, magnitude(d.u), GS_DEC_SCALE);

    while (dst[n - 1] == '0')
        n--;
    if (dst[n - 1] == '.')
        n--;
    dst[n] = '\0';
    return n;
}

size_t gs_dec_format_fixed(struct gs_dec d, int decimals, char dst[GS_DEC_TEXT])
{
    assert(decimals >= 0 && decimals <= GS_DEC_SCALE);
    gs_u128 unit = power_of_ten(GS_DEC_SCALE - decimals);

    return put_fixed(dst, d.u < 0, (magnitude(d.u) + unit / 2) / unit, decimals);
}

/* ---- Arithmetic */

struct gs_dec gs_dec_int(int64_t n)
{
    return (struct gs_dec){n * GS_DEC_ONE};
}

int gs_dec_cmp(struct gs_dec a, struct gs_dec b)
{
    return (a.u > b.u) - (a.u < b.u);
}

bool gs_dec_add(struct gs_dec a, struct gs_dec b, struct gs_dec *ret)
{
    gs_i128 sum;

    if (__builtin_add_overflow(a.u, b.u, &sum))
        return false;
    return from_magnitude(sum < 0, magnitude(sum), ret);
}

bool gs_dec_sub(struct gs_dec a, struct gs_dec b, struct gs_dec *ret)
{
    return gs_dec_add(a, (struct gs_dec){-b.u}, ret);
}

/* The product needs 256 bits; GMP's lowest layer works on limbs on the stack. */
static bool wide_mul_div(gs_u128 a, gs_u128 b, gs_u128 c, gs_u128 *ret)
{
    mp_limb_t x[2] = {(mp_limb_t)a, (mp_limb_t)(a >> 64)};
    mp_limb_t y[2] = {(mp_limb_t)b, (mp_limb_t)(b >> 64)};
    mp_limb_t z[2] = {(mp_limb_t)c, (mp_limb_t)(c >> 64)};
    mp_limb_t product[4], quotient[4] = {0}, rest[2] = {0};
    mp_size_t n = z[1] ? 2 : 1; /* the top limb of a divisor must not be 0 */

    mpn_mul_n(product, x, y, 2);
    mpn_tdiv_qr(quotient, rest, 0, product, 4, z, n);
    gs_u128 q = (gs_u128)quotient[1] << 64 | quotient[0];
    gs_u128 r = (gs_u128)rest[1] << 64 | rest[0];
    bool up = r >= c - r;
    *ret = q + up;
    return quotient[2] == 0 && quotient[3] == 0 && !(up && *ret == 0);
}

bool gs_u128_mul_div(gs_u128 a, gs_u128 b, gs_u128 c, gs_u128 *ret)
{
    gs_u128 product;

    if (c == 0)
        return false;
    if (__builtin_mul_overflow(a, b, &product))
        return wide_mul_div(a, b, c, ret);
    gs_u128 r = product % c;
    *ret = product / c;
    if (r < c - r)
        return true;
    ++*ret;
    return *ret != 0;
}

bool gs_dec_mul_div(struct gs_dec a, struct gs_dec b, struct gs_dec c, struct gs_dec *ret)
{
    bool negative = (a.u < 0) ^ (b.u < 0) ^ (c.u < 0);
    gs_u128 m;

    /* The scales cancel: (a 10^18)(b 10^18) / (c 10^18) is the result in units of 10^-18. */
    return gs_u128_mul_div(magnitude(a.u), magnitude(b.u), magnitude(c.u), &m) && from_magnitude(negative, m, ret);
}

double gs_dec_double(struct gs_dec d)
{
    return (double)d.u / 1e18;
}
