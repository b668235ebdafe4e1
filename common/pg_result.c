/* Reads statement results, which come in PostgreSQL's binary format, and judges failures. */
#include "common/mem.h"
#include "common/pg.h"
#include "common/pg_internal.h"
#include "common/str.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Connection trouble, rollbacks such as deadlocks, lack of resources, and an operator's intervention pass by. The two
 * whole codes are a prepared statement that is missing or there already: its PREPARE shared the fate of a transaction
 * that failed; the connection has taken note, so the next try prepares it as needed. */
static enum gs_rc judge(const char *sqlstate)
{
    static const char *const passing[] = {"08", "40", "53", "57", "26000", "42P05"};

    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (gs_str_starts(sqlstate, passing[i]))
            return GS_RETRY;
    return GS_REJECT;
}

/* Only the first line: details may hold values of the row. */
static void describe(struct gs_pg_result *r)
{
    const char *message = PQresultErrorField(r->res, PG_DIAG_MESSAGE_PRIMARY);
    char clean[300];

    if (!message || !*message)
        message = PQresultErrorMessage(r->res);
    gs_str_clean(clean, sizeof(clean), message, strcspn(message, "\n"));
    snprintf(r->error, sizeof(r->error), "the database refused the statement: %s (SQLSTATE %s)", clean,
             *r->sqlstate ? r->sqlstate : "none");
}

/* All columns are asked for in binary. */
static void learn_columns(struct gs_pg_result *r)
{
    r->rows = PQntuples(r->res);
    r->cols = PQnfields(r->res);
    for (int i = 0; i < r->cols && i < GS_PG_COLUMNS; i++) {
        assert(PQfformat(r->res, i) == 1);
        r->types[i] = PQftype(r->res, i);
    }
}

void gs_pg_result_init(struct gs_pg_result *r, PGresult *res)
{
    const char *sqlstate;

    r->res = res;
    r->rc = GS_OK;
    learn_columns(r);
    r->error[0] = r->sqlstate[0] = '\0';
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return;
    default:
        break;
    }
    sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    /* Errors without a code are libpq's own: the connection. */
    snprintf(r->sqlstate, sizeof(r->sqlstate), "%s", sqlstate ? sqlstate : "");
    r->rc = sqlstate ? judge(r->sqlstate) : GS_RETRY;
    describe(r);
}

enum gs_rc gs_pg_rc(const struct gs_pg_result *r)
{
    return r->rc;
}

const char *gs_pg_result_error(const struct gs_pg_result *r)
{
    return r->error;
}

const char *gs_pg_sqlstate(const struct gs_pg_result *r)
{
    return r->sqlstate;
}

int gs_pg_rows(const struct gs_pg_result *r)
{
    return r->res ? r->rows : 0;
}

int64_t gs_pg_affected(const struct gs_pg_result *r)
{
    int64_t n = 0;

    if (r->res && !gs_parse_int(PQcmdTuples(r->res), 0, INT64_MAX, &n))
        n = 0;
    return n;
}

static uint32_t read32(const char *p)
{
    uint32_t wire;

    memcpy(&wire, p, sizeof(wire));
    return be32toh(wire);
}

static int64_t read64(const char *p)
{
    uint64_t wire;

    memcpy(&wire, p, sizeof(wire));
    return (int64_t)be64toh(wire);
}

static Oid type_of(const struct gs_pg_result *r, int col)
{
    return col < GS_PG_COLUMNS ? r->types[col] : PQftype(r->res, col);
}

static void check_place(const struct gs_pg_result *r, int row, int col)
{
    assert(r->res && row >= 0 && row < r->rows && col >= 0 && col < r->cols);
}

/* The cell's bytes, of that type and (unless 0) that length; null for NULL. */
static const char *cell(const struct gs_pg_result *r, int row, int col, Oid type, int len)
{
    check_place(r, row, col);
    assert(type_of(r, col) == type);
    int has = PQgetlength(r->res, row, col);
    if (has == 0 && PQgetisnull(r->res, row, col))
        return NULL;
    assert(len == 0 || has == len);
    return PQgetvalue(r->res, row, col);
}

bool gs_pg_is_null(const struct gs_pg_result *r, int row, int col)
{
    check_place(r, row, col);
    return PQgetisnull(r->res, row, col) != 0;
}

bool gs_pg_get_bool(const struct gs_pg_result *r, int row, int col)
{
    const char *p = cell(r, row, col, OID_BOOL, 1);

    return p && *p;
}

int32_t gs_pg_get_int4(const struct gs_pg_result *r, int row, int col)
{
    const char *p = cell(r, row, col, OID_INT4, 4);

    return p ? (int32_t)read32(p) : 0;
}

int64_t gs_pg_get_int8(const struct gs_pg_result *r, int row, int col)
{
    const char *p = cell(r, row, col, OID_INT8, 8);

    return p ? read64(p) : 0;
}

int64_t gs_pg_get_time(const struct gs_pg_result *r, int row, int col)
{
    const char *p = cell(r, row, col, OID_TIMESTAMPTZ, 8);
    int64_t us;

    if (!p)
        return 0;
    /* "infinity" and "-infinity" are the two ends; they stay the ends. */
    if (__builtin_add_overflow(read64(p), GS_PG_EPOCH_US, &us))
        return INT64_MAX;
    return read64(p) == INT64_MIN ? INT64_MIN : us;
}

int32_t gs_pg_get_date(const struct gs_pg_result *r, int row, int col)
{
    const char *p = cell(r, row, col, OID_DATE, 4);
    int32_t days;

    if (!p)
        return 0;
    if (__builtin_add_overflow((int32_t)read32(p), GS_PG_EPOCH_DAYS, &days))
        return INT32_MAX;
    return (int32_t)read32(p) == INT32_MIN ? INT32_MIN : days;
}

int64_t gs_pg_get_tid(const struct gs_pg_result *r, int row, int col)
{
    const char *p = cell(r, row, col, OID_TID, 6);

    return p ? (int64_t)read32(p) << 16 | (int64_t)(unsigned char)p[4] << 8 | (unsigned char)p[5] : 0;
}

/* What does not fit (NaN, a numeric without bounds) is as good as absent. */
bool gs_pg_get_dec(const struct gs_pg_result *r, int row, int col, struct gs_dec *ret)
{
    const char *p = cell(r, row, col, OID_NUMERIC, 0);

    return p && gs_dec_pg_decode(p, (size_t)PQgetlength(r->res, row, col), ret, NULL) == GS_OK;
}

static bool is_text(Oid type)
{
    return type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR || type == OID_NAME || type == OID_JSON ||
           type >= OID_FIRST_OWN;
}

const char *gs_pg_get_text(const struct gs_pg_result *r, int row, int col)
{
    check_place(r, row, col);
    Oid type = type_of(r, col);
    const char *p = cell(r, row, col, type, 0);

    assert(is_text(type) || type == OID_JSONB);
    if (!p)
        return "";
    /* jsonb goes over the wire as a version byte and text. */
    return type == OID_JSONB ? p + 1 : p;
}

const void *gs_pg_get_bytes(const struct gs_pg_result *r, int row, int col, size_t *ret_len)
{
    const char *p = cell(r, row, col, OID_BYTEA, 0);

    *ret_len = p ? (size_t)PQgetlength(r->res, row, col) : 0;
    return p ? p : "";
}

/* The array's first element, or null when it has none; its elements' type is checked unless 0. */
static const char *array_open(const struct gs_pg_result *r, int row, int col, Oid element, int *ret_n)
{
    check_place(r, row, col);
    const char *p = cell(r, row, col, type_of(r, col), 0);

    *ret_n = 0;
    if (!p || read32(p) == 0)
        return NULL;
    assert(read32(p) == 1 && PQgetlength(r->res, row, col) >= 20);
    assert(element == 0 || read32(p + 8) == element);
    *ret_n = (int)read32(p + 12);
    return p + 20;
}

int gs_pg_array_len(const struct gs_pg_result *r, int row, int col)
{
    int n;

    array_open(r, row, col, 0, &n);
    return n;
}

/* Elements of fixed size lie a fixed distance apart, as none is NULL. */
static const char *array_fixed(const char *first, int n, int i, uint32_t size)
{
    const char *p;

    assert(first && i >= 0 && i < n);
    p = first + (size_t)i * (4 + size);
    assert(read32(p) == size);
    return p + 4;
}

int32_t gs_pg_array_int4(const struct gs_pg_result *r, int row, int col, int i)
{
    int n;
    const char *first = array_open(r, row, col, OID_INT4, &n);

    return (int32_t)read32(array_fixed(first, n, i, 4));
}

int64_t gs_pg_array_int8(const struct gs_pg_result *r, int row, int col, int i)
{
    int n;
    const char *first = array_open(r, row, col, OID_INT8, &n);

    return read64(array_fixed(first, n, i, 8));
}

const char *gs_pg_array_text(const struct gs_pg_result *r, int row, int col, int i, size_t *ret_len)
{
    int n;
    const char *p = array_open(r, row, col, 0, &n);

    assert(p && i >= 0 && i < n);
    for (; i > 0; i--) {
        assert(read32(p) != UINT32_MAX);
        p += 4 + read32(p);
    }
    assert(read32(p) != UINT32_MAX);
    *ret_len = read32(p);
    return p + 4;
}
