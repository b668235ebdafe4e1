/* Exact decimals: numeric(38,18), i.e. up to 20 digits before and 18 after the point (goal-rules: Numbers).
 * Held as a 128-bit integer of 10^-18 units, so that addition and comparison are exact. */
#ifndef GS_DECIMAL_H
#define GS_DECIMAL_H

#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 gs_i128;
__extension__ typedef unsigned __int128 gs_u128;

struct gs_dec {
    gs_i128 u; /* value * 10^18; |u| < 10^38 */
};

#define GS_DEC_SCALE     18
#define GS_DEC_ONE       ((gs_i128)1000000000000000000)          /* 1 as u */
#define GS_DEC_MAX_U     (GS_DEC_ONE * 10 * GS_DEC_ONE * 10 - 1) /* the largest |u|, 10^38 - 1 */
#define GS_DEC_INPUT_MAX 4096 /* characters of a number as text; longer ones are refused unread */
#define GS_DEC_TEXT      48   /* bytes that any decimal needs as text */

/* Accepts [+-]digits[.digits][(e|E)[+-]digits]; refuses NaN, infinity, empty text, and more digits than fit, naming the
 * limit. Digits beyond the 18th after the point are refused unless they are zeros. */
enum gs_rc gs_dec_parse(const char *s, size_t len, struct gs_dec *ret, struct gs_err *err) GS_MUST_CHECK;
/* The same for the text of a binary floating point number, which is not exact anyway: beyond 18 digits after the point
 * it is rounded, halves away from zero. */
enum gs_rc gs_dec_parse_float(const char *s, size_t len, struct gs_dec *ret, struct gs_err *err) GS_MUST_CHECK;
/* Shortest exact text: no trailing zeros, no exponent, "0" for zero. Returns the length. */
size_t gs_dec_format(struct gs_dec d, char dst[GS_DEC_TEXT]);
/* Fixed number of decimals (0 to 18), halves away from zero. */
size_t gs_dec_format_fixed(struct gs_dec d, int decimals, char dst[GS_DEC_TEXT]);

struct gs_dec gs_dec_int(int64_t n);
int gs_dec_cmp(struct gs_dec a, struct gs_dec b);
bool gs_dec_add(struct gs_dec a, struct gs_dec b, struct gs_dec *ret) GS_MUST_CHECK; /* false: does not fit */
bool gs_dec_sub(struct gs_dec a, struct gs_dec b, struct gs_dec *ret) GS_MUST_CHECK;
/* a * b / c correctly rounded (halves away from zero) to 18 decimals, intermediate exact. False: c is 0, or no fit. */
bool gs_dec_mul_div(struct gs_dec a, struct gs_dec b, struct gs_dec c, struct gs_dec *ret) GS_MUST_CHECK;
/* The same on plain numbers: a * b / c to the nearest whole, halves up. False: c is 0, or the result is beyond 128
 * bits. */
bool gs_u128_mul_div(gs_u128 a, gs_u128 b, gs_u128 c, gs_u128 *ret) GS_MUST_CHECK;
double gs_dec_double(struct gs_dec d); /* for drawing only */

/* PostgreSQL's binary numeric (server/utils/adt/numeric.c: ndigits, weight, sign, dscale, base-10000 digits).
 * Encode returns the length written (at most GS_DEC_PG_MAX). Decode refuses NaN, infinity and what does not fit. */
#define GS_DEC_PG_MAX 32
size_t gs_dec_pg_encode(struct gs_dec d, unsigned char dst[GS_DEC_PG_MAX]);
enum gs_rc gs_dec_pg_decode(const void *src, size_t len, struct gs_dec *ret, struct gs_err *err) GS_MUST_CHECK;

#endif
