// Percentages: making them, clamping them, writing them for people.
#include "common/goals/private.h"

struct gs_dec gs_percent_clamp(struct gs_dec percent)
{
    if (percent.u < 0)
        percent.u = 0;
    if (percent.u > GS_PERCENT_FULL)
        percent.u = GS_PERCENT_FULL;
    return percent;
}

bool gs_percent_of(struct gs_dec part, struct gs_dec whole, struct gs_dec *ret)
{
    return gs_dec_mul_div(part, gs_dec_int(100), whole, ret);
}

bool gs_percent_cell(struct gs_dec cell, struct gs_dec *ret)
{
    return gs_dec_mul_div(cell, gs_dec_int(100), gs_dec_int(1), ret);
}

size_t gs_percent_for_api(struct gs_dec percent, char dst[GS_DEC_TEXT])
{
    return gs_dec_format_fixed(percent, 4, dst);
}

size_t gs_percent_for_people(struct gs_dec percent, char dst[GS_DEC_TEXT])
{
    return gs_dec_format_fixed(percent, 0, dst);
}

void gs_sum_add(struct gs_sum *sum, struct gs_dec d)
{
    sum->whole += d.u / GS_DEC_ONE;
    sum->fraction += d.u % GS_DEC_ONE;
}

bool gs_sum_get(const struct gs_sum *sum, struct gs_dec *ret)
{
    gs_i128 limit = GS_DEC_MAX_U / GS_DEC_ONE + 1; /* 10^20 */
    gs_i128 whole = sum->whole + sum->fraction / GS_DEC_ONE;
    gs_i128 fraction = sum->fraction % GS_DEC_ONE;

    /* One more whole on either side may still be undone by a fraction of the other sign. */
    if (whole > limit || whole < -limit)
        return false;
    gs_i128 u = whole * GS_DEC_ONE + fraction;
    if (u > GS_DEC_MAX_U || u < -GS_DEC_MAX_U)
        return false;
    ret->u = u;
    return true;
}
