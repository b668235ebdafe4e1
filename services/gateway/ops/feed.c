/* A goal's feed: what its source said, what people said and did, newest first; each number with its evidence. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/said.h"

#include <string.h>

/* The page's keys first, of all four kinds; a key is (instant, kind, id), an observation's id its slot in microseconds.
 * $1: rows, $2: the goal, $3: the last key of the page before or null, $4: a kind or null. */
#define PAGE  " ORDER BY 1 DESC, 3 DESC LIMIT $1) "
#define AFTER "(($3->>0)::timestamptz, $3->>1, ($3->>2)::bigint)"
static const char keys_sql[] =
    "SELECT x.kind, x.id, jsonb_build_array(x.at, x.kind, x.id)::text FROM ("
    "(SELECT a.at AS at, 'activity' AS kind, a.id AS id FROM activity a WHERE a.goal_id = $2 AND ($4::text IS NULL OR "
    "$4 = 'activity') AND ($3::jsonb IS NULL OR (a.at, 'activity', a.id) < " AFTER ")" PAGE
    "UNION ALL (SELECT k.at, 'check_in', k.id FROM check_in k WHERE k.goal_id = $2 AND k.removed_at IS NULL AND ($4 IS "
    "NULL OR $4 = 'check_in') AND ($3 IS NULL OR (k.at, 'check_in', k.id) < " AFTER ")" PAGE
    "UNION ALL (SELECT m.at, 'comment', m.id FROM comment m WHERE m.goal_id = $2 AND m.removed_at IS NULL AND ($4 IS "
    "NULL OR $4 = 'comment') AND ($3 IS NULL OR (m.at, 'comment', m.id) < " AFTER ")" PAGE
    "UNION ALL (SELECT s.at, 'observation', s.id FROM (SELECT o.applied_at AS at, (extract(epoch FROM o.slot) * "
    "1000000)::bigint AS id FROM observation o WHERE o.goal_id = $2) s WHERE ($4 IS NULL OR $4 = 'observation') AND "
    "($3 IS NULL OR (s.at, 'observation', s.id) < " AFTER ")" PAGE
    ") x ORDER BY x.at DESC, x.kind DESC, x.id DESC LIMIT $1";

/* What is shown of each kind: $1: the goal, $2: ids. Rows: id, JSON. */
static const char activity_sql[] =
    "SELECT a.id, json_build_object('type', 'activity', 'at', api_time(a.at), 'person_id', (SELECT p.public_id FROM "
    "person p WHERE p.id = a.person_id), 'kind', a.kind, 'data', a.data) FROM activity a WHERE a.goal_id = $1 AND a.id "
    "= "
    "ANY ($2::bigint[])";
static const char check_in_sql[] =
    "SELECT k.id, json_build_object('type', 'check_in', 'at', api_time(k.at), 'check_in', " GW_CHECK_IN_JSON
    ") FROM check_in k JOIN goal g ON g.id = k.goal_id WHERE k.goal_id = $1 AND k.id = ANY ($2::bigint[])";
static const char comment_sql[] =
    "SELECT m.id, json_build_object('type', 'comment', 'at', api_time(m.at), 'comment', " GW_COMMENT_JSON
    ") FROM comment m JOIN goal g ON g.id = m.goal_id WHERE m.goal_id = $1 AND m.id = ANY ($2::bigint[])";
/* Where a number came from: what was asked then, of which connection, and who had set it so. */
static const char observation_sql[] =
    "SELECT (extract(epoch FROM o.slot) * 1000000)::bigint, json_build_object('type', 'observation', 'at', "
    "api_time(o.applied_at), 'value', trim_scale(o.value)::text, 'evidence', json_build_object('link_id', "
    "v.link_public_id, 'revision', o.revision, 'connector', k.connector, "
    "'connection_id', k.public_id, 'connection_name', k.name, 'settings', v.settings, 'linked_by_id', (SELECT "
    "p.public_id FROM person p WHERE p.id = v.changed_by), 'rows_seen', o.rows_seen, 'slot', api_time(o.slot), "
    "'source_at', api_time(o.source_at), 'fetched_at', api_time(o.fetched_at))) FROM observation o LEFT JOIN "
    "link_revision v ON v.link_id = o.link_id AND v.revision = o.revision LEFT JOIN connection k ON k.id = "
    "v.connection_id WHERE o.goal_id = $1 AND o.slot = ANY (ARRAY(SELECT timestamptz 'epoch' + x * interval '1 "
    "microsecond' FROM unnest($2::bigint[]) x))";

static const struct {
    const char *kind, *sql;
} kinds[] = {
    {"activity", activity_sql},
    {"check_in", check_in_sql},
    {"comment", comment_sql},
    {"observation", observation_sql},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

struct page {
    const PGresult *keys;
    PGresult *shown[KINDS];
};

static void page_done(struct page *p)
{
    for (int i = 0; i < KINDS; i++)
        PQclear(p->shown[i]);
}

static bool is_kind(const struct page *p, int row, int kind)
{
    return gs_str_eq(PQgetvalue(p->keys, row, 0), kinds[kind].kind);
}

/* Of one kind, all at once. */
static int load(struct gw_call *c, struct page *p, int kind)
{
    GS_AUTO(gs_buf_done) struct gs_buf ids;

    gs_buf_init(&ids, GW_BODY_MAX);
    for (int i = 0; i < PQntuples(p->keys); i++)
        if (is_kind(p, i, kind))
            gs_buf_printf(&ids, "%c%s", ids.len ? ',' : '{', PQgetvalue(p->keys, i, 1));
    if (ids.len == 0)
        return 0;
    gs_buf_putc(&ids, '}');
    p->shown[kind] = gw_query(c, kinds[kind].sql, GS_WITH(gw_item(c), gs_buf_str(&ids)));
    return p->shown[kind] ? 0 : gw_status(c);
}

static const char *find(const struct page *p, int row)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (!is_kind(p, row, kind))
            continue;
        for (int i = 0; i < PQntuples(p->shown[kind]); i++)
            if (strcmp(PQgetvalue(p->shown[kind], i, 0), PQgetvalue(p->keys, row, 1)) == 0)
                return PQgetvalue(p->shown[kind], i, 1);
    }
    return "null";
}

/* The page as rows of (JSON, cursor). */
static int answer(struct gw_call *c, const struct page *p)
{
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[2] = {{.name = (char[]){"json"}, .typid = 25}, {.name = (char[]){"cursor"}, .typid = 25}};
    bool ok = rows && PQsetResultAttrs(rows, 2, columns);

    for (int i = 0; ok && i < PQntuples(p->keys); i++) {
        const char *json = find(p, i), *cursor = PQgetvalue(p->keys, i, 2);
        ok = PQsetvalue(rows, i, 0, (char *)(uintptr_t)json, (int)strlen(json)) &&
             PQsetvalue(rows, i, 1, (char *)(uintptr_t)cursor, (int)strlen(cursor));
    }
    if (!ok) {
        PQclear(rows);
        return gw_fail(c, 503, "busy", "There is no memory for the answer now; try again later");
    }
    return gw_answer_page(c, rows);
}

static int goal_feed(struct gw_call *c)
{
    int status = gw_goal_need(c, gw_item(c), GW_SEE);

    if (status)
        return status;
    GS_AUTO_RESULT keys =
        gw_query(c, keys_sql, GS_WITH(gw_page_rows(c), gw_item(c), gw_page_cursor(c), gw_param(c, "type")));
    if (!keys)
        return gw_status(c);
    GS_AUTO(page_done) struct page p = {.keys = keys};
    for (int kind = 0; kind < KINDS && status == 0; kind++)
        status = load(c, &p, kind);
    return status ? status : answer(c, &p);
}

const struct gw_op gw_ops_feed[] = {{"goal_feed", goal_feed}, {0}};
