/* Encodes statement parameters in PostgreSQL's binary format, arrays included. */
#include "common/mem.h"
#include "common/pg.h"
#include "common/pg_internal.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_HEAD       20 /* dimensions, null flag, element type, length, lower bound */
#define EMPTY_ARRAY_HEAD 12 /* no dimension, so no length and bound */

struct gs_pg_params *gs_pg_params_new(void)
{
    struct gs_pg_params *p = gs_alloc(sizeof(*p));

    gs_buf_init(&p->bytes, GS_PG_PARAM_BYTES);
    return p;
}

struct gs_pg_params *gs_pg_params_free(struct gs_pg_params *p)
{
    if (p) {
        gs_buf_done(&p->bytes);
        free(p);
    }
    return NULL;
}

void gs_pg_params_clear(struct gs_pg_params *p)
{
    gs_buf_clear(&p->bytes);
    p->n = 0;
    p->in_array = false;
}

struct gs_pg_params *gs_pg_params_copy(const struct gs_pg_params *p)
{
    struct gs_pg_params *copy;

    if (!p)
        return NULL;
    copy = gs_alloc(sizeof(*copy));
    *copy = *p;
    gs_buf_init(&copy->bytes, GS_PG_PARAM_BYTES);
    gs_buf_append(&copy->bytes, p->bytes.data, p->bytes.len);
    return copy;
}

static void put32(char *dst, uint32_t v)
{
    uint32_t wire = htobe32(v);

    memcpy(dst, &wire, sizeof(wire));
}

static void put64(char *dst, int64_t v)
{
    uint64_t wire = htobe64((uint64_t)v);

    memcpy(dst, &wire, sizeof(wire));
}

/* A new parameter; returns room for its bytes, or null when the ceiling is passed, which the sender notices. */
static char *begin(struct gs_pg_params *p, Oid type, int format, size_t len)
{
    char *room = gs_buf_room(&p->bytes, len);

    assert(!p->in_array && p->n < GS_PG_PARAMS_MAX);
    p->types[p->n] = type;
    p->formats[p->n] = format;
    p->at[p->n] = p->bytes.len;
    p->len[p->n] = (int)len;
    p->n++;
    if (room)
        p->bytes.len += len;
    else
        p->bytes.overflow = true;
    return room;
}

static void add_typed_null(struct gs_pg_params *p, Oid type)
{
    begin(p, type, 1, 0);
    p->len[p->n - 1] = -1;
}

void gs_pg_add_null(struct gs_pg_params *p)
{
    add_typed_null(p, 0);
}

void gs_pg_add_bool(struct gs_pg_params *p, bool v)
{
    char *dst = begin(p, OID_BOOL, 1, 1);

    if (dst)
        *dst = (char)v;
}

void gs_pg_add_int4(struct gs_pg_params *p, int32_t v)
{
    char *dst = begin(p, OID_INT4, 1, 4);

    if (dst)
        put32(dst, (uint32_t)v);
}

void gs_pg_add_int8(struct gs_pg_params *p, int64_t v)
{
    char *dst = begin(p, OID_INT8, 1, 8);

    if (dst)
        put64(dst, v);
}

void gs_pg_add_time(struct gs_pg_params *p, int64_t us)
{
    char *dst;

    if (us == 0) {
        add_typed_null(p, OID_TIMESTAMPTZ);
        return;
    }
    dst = begin(p, OID_TIMESTAMPTZ, 1, 8);
    if (dst)
        put64(dst, us - GS_PG_EPOCH_US);
}

void gs_pg_add_dec(struct gs_pg_params *p, struct gs_dec v)
{
    unsigned char wire[GS_DEC_PG_MAX];
    size_t len = gs_dec_pg_encode(v, wire);
    char *dst = begin(p, OID_NUMERIC, 1, len);

    if (dst)
        memcpy(dst, wire, len);
}

/* Text goes without a type and in text format, so that the server takes it for what the statement needs there: text, an
 * enum, jsonb. */
void gs_pg_add_text(struct gs_pg_params *p, const char *s)
{
    size_t size;
    char *dst;

    if (!s) {
        add_typed_null(p, 0);
        return;
    }
    size = strlen(s) + 1;
    dst = begin(p, 0, 0, size);
    if (dst)
        memcpy(dst, s, size);
}

void gs_pg_add_bytes(struct gs_pg_params *p, const void *data, size_t len)
{
    char *dst = begin(p, OID_BYTEA, 1, len);

    if (dst && len > 0)
        memcpy(dst, data, len);
}

static const struct {
    Oid array, element;
} array_types[] = {
    [GS_PG_BOOL] = {OID_BOOL_ARRAY, OID_BOOL},      [GS_PG_INT4] = {OID_INT4_ARRAY, OID_INT4},
    [GS_PG_INT8] = {OID_INT8_ARRAY, OID_INT8},      [GS_PG_TIME] = {OID_TIMESTAMPTZ_ARRAY, OID_TIMESTAMPTZ},
    [GS_PG_DEC] = {OID_NUMERIC_ARRAY, OID_NUMERIC}, [GS_PG_TEXT] = {OID_TEXT_ARRAY, OID_TEXT},
    [GS_PG_BYTES] = {OID_BYTEA_ARRAY, OID_BYTEA},   [GS_PG_TID] = {OID_TID_ARRAY, OID_TID},
};

void gs_pg_array_begin(struct gs_pg_params *p, enum gs_pg_array type)
{
    begin(p, array_types[type].array, 1, ARRAY_HEAD);
    p->in_array = true;
    p->array_type = type;
    p->items = p->nulls = 0;
}

void gs_pg_array_end(struct gs_pg_params *p)
{
    size_t at = p->at[p->n - 1];
    char *head = p->bytes.data + at;

    assert(p->in_array);
    p->in_array = false;
    if (p->bytes.overflow)
        return;
    if (p->items == 0)
        p->bytes.len = at + EMPTY_ARRAY_HEAD;
    put32(head, p->items > 0);
    put32(head + 4, p->nulls > 0);
    put32(head + 8, array_types[p->array_type].element);
    if (p->items > 0) {
        put32(head + 12, (uint32_t)p->items);
        put32(head + 16, 1);
    }
    p->len[p->n - 1] = (int)(p->bytes.len - at);
}

/* An element of the open array; returns room for its bytes. */
static char *item(struct gs_pg_params *p, enum gs_pg_array type, size_t len)
{
    char *room = gs_buf_room(&p->bytes, 4 + len);

    assert(p->in_array && p->array_type == type);
    if (!room) {
        p->bytes.overflow = true;
        return NULL;
    }
    p->items++;
    p->bytes.len += 4 + len;
    put32(room, (uint32_t)len);
    return room + 4;
}

void gs_pg_item_null(struct gs_pg_params *p)
{
    char *dst = item(p, p->array_type, 0);

    p->nulls++;
    if (dst)
        put32(dst - 4, UINT32_MAX);
}

void gs_pg_item_bool(struct gs_pg_params *p, bool v)
{
    char *dst = item(p, GS_PG_BOOL, 1);

    if (dst)
        *dst = (char)v;
}

void gs_pg_item_int4(struct gs_pg_params *p, int32_t v)
{
    char *dst = item(p, GS_PG_INT4, 4);

    if (dst)
        put32(dst, (uint32_t)v);
}

void gs_pg_item_int8(struct gs_pg_params *p, int64_t v)
{
    char *dst = item(p, GS_PG_INT8, 8);

    if (dst)
        put64(dst, v);
}

/* A number of a block and one of 16 bits within it. */
void gs_pg_item_tid(struct gs_pg_params *p, int64_t tid)
{
    char *dst = item(p, GS_PG_TID, 6);

    if (!dst)
        return;
    put32(dst, (uint32_t)(tid >> 16));
    dst[4] = (char)(tid >> 8);
    dst[5] = (char)tid;
}

void gs_pg_item_time(struct gs_pg_params *p, int64_t us)
{
    char *dst;

    if (us == 0) {
        gs_pg_item_null(p);
        return;
    }
    dst = item(p, GS_PG_TIME, 8);
    if (dst)
        put64(dst, us - GS_PG_EPOCH_US);
}

void gs_pg_item_dec(struct gs_pg_params *p, struct gs_dec v)
{
    unsigned char wire[GS_DEC_PG_MAX];
    size_t len = gs_dec_pg_encode(v, wire);
    char *dst = item(p, GS_PG_DEC, len);

    if (dst)
        memcpy(dst, wire, len);
}

static void item_copy(struct gs_pg_params *p, enum gs_pg_array type, const void *data, size_t len)
{
    char *dst = item(p, type, len);

    if (dst && len > 0)
        memcpy(dst, data, len);
}

void gs_pg_item_text(struct gs_pg_params *p, const char *s)
{
    if (s)
        item_copy(p, GS_PG_TEXT, s, strlen(s));
    else
        gs_pg_item_null(p);
}

void gs_pg_item_bytes(struct gs_pg_params *p, const void *data, size_t len)
{
    item_copy(p, GS_PG_BYTES, data, len);
}
