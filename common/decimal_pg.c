// Exact decimals in PostgreSQL's binary form of numeric.
#include "common/decimal.h"

#include <string.h>

/* Four 16-bit words (number of digits, weight of the first, sign, decimals shown), then digits to base 10000, all
 * big-endian. */
#define HEADER        8
#define BASE          10000
#define GROUPS        5 /* of four decimal digits, on each side of the point: 20 and 20 */
#define SIGN_POSITIVE 0x0000
#define SIGN_NEGATIVE 0x4000
#define GROUP_DIGITS  4
#define FIRST_GROUP   UINT64_C(10000000000000000) /* 10^16: the weight of the first of five groups */

static void put16(unsigned char *dst, unsigned v)
{
    dst[0] = (unsigned char)(v >> 8);
    dst[1] = (unsigned char)v;
}

static unsigned get16(const unsigned char *src)
{
    return (unsigned)src[0] << 8 | src[1];
}

/* Digits to base 10000 of a number of at most 20 decimal ones; the first is made apart, the others fit 64 bits. */
static void split(gs_u128 part, unsigned *groups)
{
    uint64_t rest = (uint64_t)(part % FIRST_GROUP);

    groups[0] = (unsigned)(part / FIRST_GROUP);
    for (int i = GROUPS - 1; i > 0; i--, rest /= BASE)
        groups[i] = (unsigned)(rest % BASE);
}

/* Decimals up to the last digit that is not 0. */
static unsigned decimals_of(uint64_t fraction)
{
    unsigned n = GS_DEC_SCALE;

    if (fraction == 0)
        return 0;
    for (; fraction % BASE == 0; fraction /= BASE)
        n -= GROUP_DIGITS;
    for (; fraction % 10 == 0; fraction /= 10)
        n--;
    return n;
}

size_t gs_dec_pg_encode(struct gs_dec d, unsigned char dst[GS_DEC_PG_MAX])
{
    gs_u128 m = d.u < 0 ? -(gs_u128)d.u : (gs_u128)d.u;
    uint64_t fraction = (uint64_t)(m % (gs_u128)GS_DEC_ONE);
    unsigned groups[2 * GROUPS];
    int first = 0, end = 2 * GROUPS;

    split(m / (gs_u128)GS_DEC_ONE, groups);
    split((gs_u128)fraction * 100, groups + GROUPS); /* 18 decimals fill four groups and a half */
    while (end > 0 && groups[end - 1] == 0)
        end--;
    while (first < end && groups[first] == 0)
        first++;
    put16(dst, (unsigned)(end - first));
    put16(dst + 2, first < end ? (unsigned)(GROUPS - 1 - first) & 0xffff : 0);
    put16(dst + 4, d.u < 0 ? SIGN_NEGATIVE : SIGN_POSITIVE);
    put16(dst + 6, decimals_of(fraction));
    for (int i = first; i < end; i++)
        put16(dst + HEADER + 2 * (i - first), groups[i]);
    return (size_t)(HEADER + 2 * (end - first));
}

/* Adds one digit to base 10000 at its weight (0: the one just before the point). */
static enum gs_rc add_group(unsigned digit, int weight, gs_u128 *m, struct gs_err *err)
{
    if (digit >= BASE)
        return gs_fail(err, GS_REJECT, "the binary numeric is broken: a digit of %u to base %d", digit, BASE);
    if (digit == 0)
        return GS_OK;
    if (weight >= GROUPS)
        return gs_fail(err, GS_REJECT, "the number has more than %d digits before the point", GROUPS * GROUP_DIGITS);
    if (weight < -GROUPS || (weight == -GROUPS && digit % 100 != 0))
        return gs_fail(err, GS_REJECT, "the number has more than %d digits after the point", GS_DEC_SCALE);
    if (weight == -GROUPS) {
        *m += digit / 100;
        return GS_OK;
    }
    gs_u128 unit = 100; /* 10^-16, the group before the last half one */
    for (int w = 1 - GROUPS; w < weight; w++)
        unit *= BASE;
    *m += digit * unit;
    return GS_OK;
}

enum gs_rc gs_dec_pg_decode(const void *src, size_t len, struct gs_dec *ret, struct gs_err *err)
{
    const unsigned char *p = src;
    gs_u128 m = 0;

    if (len < HEADER || len != HEADER + 2 * (size_t)get16(p))
        return gs_fail(err, GS_REJECT, "the binary numeric is broken: %zu bytes do not match its header", len);
    unsigned n = get16(p), sign = get16(p + 4);
    int weight = (int16_t)get16(p + 2);
    if (sign != SIGN_POSITIVE && sign != SIGN_NEGATIVE)
        return gs_fail(err, GS_REJECT, "the number is NaN or infinite, which is no value");
    for (unsigned i = 0; i < n; i++) {
        enum gs_rc rc = add_group(get16(p + HEADER + 2 * (size_t)i), weight - (int)i, &m, err);
        if (rc != GS_OK)
            return rc;
    }
    ret->u = sign == SIGN_NEGATIVE ? -(gs_i128)m : (gs_i128)m;
    return GS_OK;
}
