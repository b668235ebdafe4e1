/* Goals from and to sheets, a row each. Rows are tried one by one, each in a savepoint of its own: what one refuses
 * does not stop the others. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/goal.h"
#include "services/gateway/graph.h"
#include "services/gateway/sheet_goal.h"
#include "services/gateway/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 5000, PARENTS_MAX = 20, FAULTS_MAX = 16, MESSAGES_MAX = 8000, LIST_MAX = 64 << 20 };

enum outcome { REFUSED, SKIPPED, CREATED, UPDATED };
static const char *const outcomes[] = {"refused", "skipped", "created", "updated"};

struct parent {
    int row; /* of the sheet's goals; -1: a goal that is here already */
    char id[GW_ID_TEXT];
    int32_t weight;
    int contributes; /* 1, 0; -1: says nothing */
};

struct row {
    uint32_t at; /* in the sheet */
    enum outcome outcome;
    bool wrong, ends_closed, ends_postponed;
    char goal[GW_ID_TEXT]; /* "": none yet */
    struct parent parents[PARENTS_MAX];
    int n_parents;
    struct gs_buf messages; /* JSON strings, with commas */
};

/* How a row is named by others: its id, its external id, or its title. */
struct key {
    char *text;
    int row;
    bool title;
};

struct import {
    struct gw_call *c;
    struct gw_sheet sheet;
    struct gw_columns columns;
    struct row *rows;
    int n;
    struct key *keys; /* sorted by text */
    int n_keys;
    struct gs_buf list; /* the rows as JSON */
    PGresult *names;
    struct gw_graph graph;
    const char *format;
    int counts[4];
};

static void import_done(struct import *m)
{
    for (int i = 0; i < m->n; i++)
        gs_buf_done(&m->rows[i].messages);
    for (int i = 0; i < m->n_keys; i++)
        free(m->keys[i].text);
    free(m->rows);
    free(m->keys);
    gs_buf_done(&m->list);
    gw_sheet_done(&m->sheet);
    gw_graph_done(&m->graph);
    PQclear(m->names);
}

static void GS_PRINTF(2, 3) say(struct row *r, const char *fmt, ...)
{
    char text[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->messages.len > MESSAGES_MAX / 2)
        return;
    gs_buf_puts(&r->messages, r->messages.len ? "," : "");
    gs_buf_put_json(&r->messages, text, strlen(text));
}

/* ---- reading ---- */

static int read_sheet(struct import *m)
{
    struct gs_err err = {.text = ""};
    const char *name = gw_param(m->c, "sheet"), *body;
    enum gs_rc rc;
    size_t len;

    body = gw_body_text(m->c, &len);
    gw_sheet_init(&m->sheet);
    m->format = gs_str_eq(gw_content_type(m->c), "text/csv") ? "csv" : "xlsx";
    rc = *m->format == 'c' ? gw_sheet_read_csv(&m->sheet, body, len, &err)
                           : gw_sheet_read_xlsx(&m->sheet, name, body, len, &err);
    if (rc == GS_OK)
        rc = gw_columns_find(&m->sheet, &m->columns, &err);
    if (rc != GS_OK)
        return gw_fail(m->c, 422, "sheet", "%s", err.text);
    m->n = (int)(m->sheet.n_rows - m->columns.header - 1);
    if (m->n > ROWS_MAX)
        return gw_fail(m->c, 422, "sheet", "there are %d rows of goals; at most %d come at once", m->n, ROWS_MAX);
    return 0;
}

static void read_rows(struct import *m)
{
    struct gs_err err;

    m->rows = gs_alloc_n((size_t)m->n + 1, sizeof(*m->rows));
    gs_buf_init(&m->list, LIST_MAX);
    gs_buf_putc(&m->list, '[');
    for (int i = 0; i < m->n; i++) {
        struct row *r = &m->rows[i];
        GS_AUTO(gs_buf_done) struct gs_buf one;
        gs_buf_init(&one, LIST_MAX);
        gs_buf_init(&r->messages, MESSAGES_MAX);
        r->at = m->columns.header + 1 + (uint32_t)i;
        r->wrong = gw_row_read(&m->sheet, &m->columns, r->at, &one, &err) != GS_OK;
        if (r->wrong)
            say(r, "%s", err.text);
        gs_buf_puts(&m->list, i ? "," : "");
        gs_buf_puts(&m->list, r->wrong ? "{}" : gs_buf_str(&one));
    }
    gs_buf_putc(&m->list, ']');
}

static void take_names(struct import *m)
{
    for (int i = 0; i < m->n; i++) {
        const char *wrong = gs_db_get(m->names, i, "wrong"), *notes = gs_db_get(m->names, i, "notes");
        struct row *r = &m->rows[i];
        struct gw_wrong w;
        while (gw_transfer_wrong(&wrong, &w)) {
            r->wrong = true;
            say(r, "%s %s", w.member + 1, w.text);
        }
        size_t len = strlen(notes);
        if (len > 2 && len < MESSAGES_MAX / 2) {
            gs_buf_puts(&r->messages, r->messages.len ? "," : "");
            gs_buf_append(&r->messages, notes + 1, len - 2);
        }
    }
}

/* ---- which goals are here already ---- */

/* $1: the rows by ids, $2: as they were read. The goal is known by its external id, by its id, or by title, first
 * owner, kind and period; rows and goals are sorted together for that, which takes no planner's guess at how many there
 * are. first: the first row about the same goal. */
static const char match_sql[] =
    "WITH r AS (SELECT a.n - 1 AS n, a.x, CASE WHEN b.x->>'id' ~* "
    "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (b.x->>'id')::uuid END AS public FROM "
    "jsonb_array_elements($1::jsonb) WITH ORDINALITY a(x, n) JOIN jsonb_array_elements($2::jsonb) WITH ORDINALITY b(x, "
    "n) USING (n)), "
    "k AS (SELECT r.n, r.public, r.x->>'external_id' AS external, r.x->>'title' AS title, coalesce(r.x->>'kind', "
    "'objective')::goal_kind AS kind, coalesce((SELECT p.id FROM person p WHERE p.public_id = "
    "(r.x->'owner_ids'->>0)::uuid), 0) AS owner, coalesce((SELECT p.id FROM period p WHERE p.public_id = "
    "(r.x->>'period_id')::uuid), 0) AS period FROM r), "
    "u AS (SELECT k.*, NULL::bigint AS id, false AS bare FROM k UNION ALL SELECT NULL, NULL, NULL, g.title, g.kind, "
    "coalesce(g.owner_id, 0), coalesce(g.period_id, 0), g.id, g.external_id IS NULL FROM goal g WHERE g.org_id = "
    "calling('org')), "
    "t AS (SELECT u.*, min(u.id) OVER w AS any_id, min(u.id) FILTER (WHERE u.bare) OVER w AS bare_id FROM u WINDOW w "
    "AS (PARTITION BY u.title, u.kind, u.owner, u.period)), "
    "m AS (SELECT t.*, coalesce(e.id, i.id, CASE WHEN t.external IS NULL THEN t.any_id ELSE t.bare_id END) AS goal "
    "FROM t LEFT JOIN LATERAL (SELECT g.id FROM goal g WHERE g.org_id = calling('org') AND g.external_id = t.external "
    "OFFSET 0) e ON true LEFT JOIN LATERAL (SELECT g.id FROM goal g WHERE g.org_id = calling('org') AND g.public_id = "
    "t.public OFFSET 0) i ON true WHERE t.n IS NOT NULL) "
    "SELECT m.n, m.goal, min(m.n) OVER (PARTITION BY CASE WHEN m.goal IS NOT NULL THEN 'g' || m.goal ELSE "
    "coalesce('e' || m.external, 'i' || m.public, 't' || coalesce(jsonb_build_array(m.title, m.kind, m.owner, "
    "m.period)::text, '') || CASE WHEN m.title IS NULL THEN m.n::text ELSE '' END) END) AS first FROM m ORDER BY m.n";

static int match(struct import *m)
{
    GS_AUTO(gs_buf_done) struct gs_buf bodies;

    gs_buf_init(&bodies, LIST_MAX);
    gs_buf_putc(&bodies, '[');
    for (int i = 0; i < m->n; i++) {
        gs_buf_puts(&bodies, i ? "," : "");
        gs_buf_puts(&bodies, gs_db_get(m->names, i, "body"));
    }
    gs_buf_putc(&bodies, ']');
    GS_AUTO_RESULT r = gw_query(m->c, match_sql, GS_WITH(gs_buf_str(&bodies), gs_buf_str(&m->list)));
    if (!r)
        return gw_status(m->c);
    for (int i = 0; i < m->n; i++) {
        struct row *row = &m->rows[i];
        int first = (int)gs_db_get_int(r, i, "first");
        snprintf(row->goal, sizeof(row->goal), "%s", gs_db_get(r, i, "goal"));
        if (row->wrong || first == i)
            continue;
        row->wrong = true;
        say(row, "is the same goal as row %u: by its id, or by title, first owner, type and period",
            m->sheet.numbers[m->rows[first].at]);
    }
    return 0;
}

/* ---- parents ---- */

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int d = strcmp(x->text, y->text);

    return d                      ? d
           : x->title != y->title ? (x->title > y->title) - (x->title < y->title)
                                  : (x->row > y->row) - (x->row < y->row);
}

static void index_rows(struct import *m)
{
    static const enum gw_column columns[] = {GW_COL_ID, GW_COL_EXTERNAL_ID, GW_COL_TITLE};

    m->keys = gs_alloc_n(3 * (size_t)m->n + 1, sizeof(*m->keys));
    for (int i = 0; i < m->n; i++)
        for (size_t k = 0; k < 3; k++) {
            char *text = gw_column_text(&m->sheet, &m->columns, m->rows[i].at, columns[k]);
            if (*text)
                m->keys[m->n_keys++] = (struct key){text, i, k == 2};
            else
                free(text);
        }
    qsort(m->keys, (size_t)m->n_keys, sizeof(*m->keys), compare_keys);
}

/* The row that text names: by an id, else by a title that no other row has. -1: none; -2: several. */
static int find_row(const struct import *m, const char *text)
{
    int low = 0, high = m->n_keys;

    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(m->keys[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == m->n_keys || strcmp(m->keys[low].text, text) != 0)
        return -1;
    if (m->keys[low].title && low + 1 < m->n_keys && strcmp(m->keys[low + 1].text, text) == 0)
        return -2;
    return m->keys[low].row;
}

static int find_elsewhere(struct import *m, const char *text, char ret[GW_ID_TEXT], int *ret_n)
{
    static const char sql[] = "SELECT g.id FROM goal g WHERE g.org_id = calling('org') AND (g.external_id = $1 OR "
                              "g.title = $1 OR g.public_id = CASE WHEN $1 ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]"
                              "{12}$' THEN $1::uuid END) ORDER BY g.id LIMIT 2";
    GS_AUTO_RESULT r = gw_query(m->c, sql, GS_WITH(text));

    if (!r)
        return gw_status(m->c);
    *ret_n = PQntuples(r);
    if (*ret_n == 1)
        snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

static int add_parent(struct import *m, struct row *r, const char *text)
{
    struct parent *p = &r->parents[r->n_parents];
    int found = find_row(m, text), n = 0, status = 0;

    if (!*text || r->n_parents == PARENTS_MAX)
        return 0;
    *p = (struct parent){.row = found, .weight = -1, .contributes = -1};
    if (found == -1)
        status = find_elsewhere(m, text, p->id, &n);
    if (status)
        return status;
    if (found == -2 || n > 1)
        say(r, "more than one goal is called \"%.200s\": it was not aligned there; name the parent by its id", text);
    else if (found == -1 && n == 0)
        say(r, "there is no parent \"%.200s\": it was not aligned there", text);
    else
        r->n_parents++;
    return 0;
}

/* The n-th piece between semicolons, without spaces around it. Owned; null: there are fewer. */
static char *piece(const char *text, int n)
{
    for (; n > 0; n--) {
        text += strcspn(text, ";\n");
        if (!*text++)
            return NULL;
    }
    size_t len;
    text += strspn(text, " \t\r");
    for (len = strcspn(text, ";\n"); len && strchr(" \t\r", text[len - 1]); len--)
        ;
    return gs_strndup(text, len);
}

static int read_parents_of(struct import *m, struct row *r)
{
    GS_AUTO(gs_freep) char *parents = gw_column_text(&m->sheet, &m->columns, r->at, GW_COL_PARENT);
    GS_AUTO(gs_freep) char *rows = gw_column_text(&m->sheet, &m->columns, r->at, GW_COL_PARENT_ROW);
    GS_AUTO(gs_freep) char *weights = gw_column_text(&m->sheet, &m->columns, r->at, GW_COL_WEIGHT);
    GS_AUTO(gs_freep) char *contributes = gw_column_text(&m->sheet, &m->columns, r->at, GW_COL_CONTRIBUTES);
    struct gs_err err;
    int64_t number;
    int status = 0;

    if (find_row(m, parents) >= 0) {
        status = add_parent(m, r, parents);
    } else {
        for (int i = 0; status == 0; i++) {
            GS_AUTO(gs_freep) char *one = piece(parents, i);
            if (!one)
                break;
            status = add_parent(m, r, one);
        }
    }
    if (status == 0 && *rows && r->n_parents < PARENTS_MAX) {
        int found = -1;
        if (gs_parse_int(rows, 1, 1048576, &number))
            for (int i = 0; i < m->n; i++)
                if (m->sheet.numbers[m->rows[i].at] == number)
                    found = i;
        if (found < 0)
            say(r, "Parent row: \"%.60s\" is no row of a goal: it was not aligned there", rows);
        else
            r->parents[r->n_parents++] = (struct parent){.row = found, .weight = -1, .contributes = -1};
    }
    for (int i = 0; i < r->n_parents; i++) {
        GS_AUTO(gs_freep) char *one = piece(weights, i);
        GS_AUTO(gs_freep) char *counts = piece(contributes, i);
        char text[64];
        if (counts && *counts)
            r->parents[i].contributes = strcasecmp(counts, "no") != 0 && strcasecmp(counts, "false") != 0;
        if (!one || !*one)
            continue;
        if (gw_cell_number(one, text) && gs_weight_parse(text, strlen(text), &r->parents[i].weight, &err) == GS_OK)
            continue;
        say(r, "Weight: \"%.60s\" is no percentage with at most 2 decimals", one);
        r->wrong = true;
    }
    return status;
}

/* Parents come first, whatever the order of rows. */
static int read_parents(struct import *m)
{
    struct gw_graph *g = &m->graph;
    int status = 0;

    index_rows(m);
    g->n_goals = (uint32_t)m->n;
    g->edges = gs_alloc_n((size_t)m->n * PARENTS_MAX + 1, sizeof(*g->edges));
    for (int i = 0; i < m->n && status == 0; i++) {
        struct row *r = &m->rows[i];
        status = read_parents_of(m, r);
        for (int k = 0; k < r->n_parents; k++)
            if (r->parents[k].row >= 0)
                g->edges[g->n_edges++] =
                    (struct gw_graph_edge){.parent = (uint32_t)r->parents[k].row, .child = (uint32_t)i};
    }
    if (status || gw_graph_sort(g))
        return status;
    for (uint32_t i = g->n_ordered; i < g->n_goals; i++) {
        m->rows[g->order[i]].wrong = true;
        say(&m->rows[g->order[i]], "stands in a circle of parents, or below one");
    }
    return 0;
}

/* ---- one row ---- */

static const char before_sql[] =
    "SELECT EXISTS (SELECT FROM link l WHERE l.goal_id = g.id) AS linked FROM goal g WHERE g.id = $1";

/* "[\"title\", \"mode\"]" names a member. */
static bool lists(const char *changed, const char *member)
{
    char quoted[40];

    snprintf(quoted, sizeof(quoted), "\"%s\"", member);
    return strstr(changed, quoted) != NULL;
}

static int judge_update(struct import *m, struct row *r, const char *changed)
{
    GS_AUTO_RESULT before = gw_query(m->c, before_sql, GS_WITH(r->goal));

    if (!before)
        return gw_status(m->c);
    if (lists(changed, "kind"))
        return gw_invalid(m->c, "type", "is another one than the goal has; change it by hand");
    if (PQntuples(before) && gs_db_get_bool(before, 0, "linked") && lists(changed, "mode"))
        return gw_invalid(m->c, "mode", "cannot change while the goal has a link");
    return lists(changed, "owner_ids") ? gw_goal_need(m->c, r->goal, GW_OWN) : 0;
}

static int update(struct import *m, struct row *r, const struct gw_definition *d, const char *changed)
{
    static const char external_sql[] = "UPDATE goal SET external_id = $2 WHERE id = $1 AND external_id IS NULL";
    int status;

    r->outcome = gs_str_eq(changed, "[]") ? SKIPPED : UPDATED;
    if (r->outcome == SKIPPED)
        return 0;
    if ((status = judge_update(m, r, changed)) != 0 || (status = gw_goal_update(m->c, r->goal, d)) != 0)
        return status;
    if (lists(changed, "external_id") && !gw_exec(m->c, external_sql, GS_WITH(r->goal, d->external_id)))
        return gw_status(m->c);
    return 0;
}

/* Below a goal that the caller may edit everything may be made. */
static int may_create(struct import *m, const struct row *r, const struct gw_definition *d)
{
    bool may = false;
    int status = gw_transfer_may_create(m->c, d, &may);

    for (int i = 0; i < r->n_parents && status == 0 && !may; i++) {
        const char *parent = r->parents[i].row >= 0 ? m->rows[r->parents[i].row].goal : r->parents[i].id;
        if (*parent)
            status = gw_goal_may(m->c, parent, GW_EDIT, &may);
    }
    return status || may ? status : gw_forbidden(m->c, "%s", gw_transfer_no_create);
}

static int define(struct import *m, struct row *r, int i)
{
    GS_AUTO_RESULT row = NULL;
    struct gw_definition d;
    const char *changed, *body = gs_db_get(m->names, i, "body");
    bool there = *r->goal;
    GS_AUTO(gs_freep) char *made = there ? NULL : gs_alloc(strlen(body) + 32);
    int status = there ? gw_goal_need(m->c, r->goal, GW_EDIT) : 0;

    /* Of two members that are alike the last one counts. */
    if (made)
        snprintf(made, strlen(body) + 32, "{\"kind\": \"objective\"%s%s", body[1] == '}' ? "" : ",", body + 1);
    if (status == 0)
        status = gw_definition_read_text(m->c, made ? made : body, "", there ? r->goal : NULL, &row, &d, &changed);
    if (status)
        return status;
    if (there)
        return update(m, r, &d, changed);
    r->outcome = CREATED;
    status = may_create(m, r, &d);
    return status ? status : gw_goal_insert(m->c, &d, r->goal);
}

/* What the sheet says of an edge that is there already; weight and contributes: null says nothing. */
static int edit_edge(struct import *m, struct row *r, const char *parent, const char *weight, const char *contributes)
{
    static const char sql[] =
        "UPDATE goal_edge SET weight_hundredths = coalesce($3::int, weight_hundredths), contributes = "
        "coalesce($4::boolean, contributes OR $3::int IS NOT NULL) WHERE parent_id = $1 AND child_id = $2 AND "
        "(weight_hundredths, contributes) IS DISTINCT FROM (coalesce($3::int, weight_hundredths), "
        "coalesce($4::boolean, contributes OR $3::int IS NOT NULL)) RETURNING 1";
    GS_AUTO_RESULT changed = gw_query(m->c, sql, GS_WITH(parent, r->goal, weight, contributes));
    int status;

    if (!changed)
        return gw_status(m->c);
    if (PQntuples(changed) == 0)
        return 0;
    r->outcome = r->outcome == SKIPPED ? UPDATED : r->outcome;
    status = gw_goal_need(m->c, parent, GW_CHECK_IN);
    return status ? status : gw_goal_check_weights(m->c, parent);
}

static int align_one(struct import *m, struct row *r, const struct parent *p)
{
    static const char there_sql[] = "SELECT FROM goal_edge WHERE parent_id = $1 AND child_id = $2";
    const char *parent = p->row >= 0 ? m->rows[p->row].goal : p->id;
    const char *contributes = p->contributes < 0 ? NULL : p->contributes ? "true" : "false";
    char weight[GW_ID_TEXT];
    int status = 0;

    if (p->row >= 0 && (m->rows[p->row].wrong || !*parent)) {
        say(r, "its parent, row %u, was refused: it was not aligned there", m->sheet.numbers[m->rows[p->row].at]);
        return 0;
    }
    snprintf(weight, sizeof(weight), "%d", p->weight);
    GS_AUTO_RESULT there = gw_query(m->c, there_sql, GS_WITH(parent, r->goal));
    if (!there)
        return gw_status(m->c);
    if (PQntuples(there))
        return edit_edge(m, r, parent, p->weight < 0 ? NULL : weight, contributes);
    r->outcome = r->outcome == SKIPPED ? UPDATED : r->outcome;
    if (p->weight >= 0 || contributes)
        status = gw_goal_need(m->c, parent, GW_CHECK_IN);
    return status ? status : gw_goal_align(m->c, r->goal, parent, p->weight < 0 ? NULL : weight, contributes);
}

/* A key result below a private goal follows it; nothing private stands below a public one. */
static int settle_privacy(struct import *m, const struct row *r)
{
    static const char sql[] =
        "SELECT g.id FROM goal g WHERE g.private AND g.id = ANY (ARRAY(SELECT $1::bigint UNION ALL SELECT e.parent_id "
        "FROM goal_edge e WHERE e.child_id = $1)) ORDER BY g.id = $1, g.id";
    GS_AUTO_RESULT list = gw_query(m->c, sql, GS_WITH(r->goal));
    int status = list ? 0 : gw_status(m->c);

    for (int i = 0; list && i < PQntuples(list) && status == 0; i++)
        status = gw_goal_pass_privacy(m->c, PQgetvalue(list, i, 0));
    return status;
}

/* $2: the row. What rolls up, has a source, is overridden or ended keeps its value. */
static const char value_sql[] =
    "WITH s AS (UPDATE goal g SET applied_value = v.value, auto_value = CASE g.mode WHEN 'data_source' THEN v.value "
    "ELSE g.auto_value END, applied_at = now() FROM (SELECT ($2::jsonb->>'value')::numeric AS value) v WHERE g.id = $1 "
    "AND v.value IS NOT NULL AND g.mode <> 'roll_up' AND g.override = 'none' AND NOT (g.status_by_hand AND g.status IN "
    "('closed', 'postponed')) AND g.applied_value IS DISTINCT FROM v.value AND NOT EXISTS (SELECT FROM link l WHERE "
    "l.goal_id = g.id) RETURNING g.id, v.value) INSERT INTO check_in (at, org_id, goal_id, person_id, value, note) "
    "SELECT clock_timestamp(), calling('org'), s.id, calling('person'), s.value, 'Imported' FROM s RETURNING 1";
static const char end_sql[] =
    "UPDATE goal g SET ended_at = now(), score = coalesce(($2::jsonb->>'score')::numeric, g.score) WHERE g.id = $1 AND "
    "$2::jsonb->>'status' IN ('closed', 'postponed') AND g.status::text <> $2::jsonb->>'status' AND NOT EXISTS (SELECT "
    "FROM link l WHERE l.goal_id = g.id) RETURNING $2::jsonb->>'status'";

static int put_value(struct import *m, struct row *r)
{
    GS_AUTO(gs_buf_done) struct gs_buf row;
    struct gs_err err;

    gs_buf_init(&row, LIST_MAX);
    if (gw_row_read(&m->sheet, &m->columns, r->at, &row, &err) != GS_OK)
        return 0;
    GS_AUTO_RESULT value = gw_query(m->c, value_sql, GS_WITH(r->goal, gs_buf_str(&row)));
    GS_AUTO_RESULT end = value ? gw_query(m->c, end_sql, GS_WITH(r->goal, gs_buf_str(&row))) : NULL;
    if (!end)
        return gw_status(m->c);
    if (PQntuples(end)) {
        r->ends_closed = gs_str_eq(PQgetvalue(end, 0, 0), "closed");
        r->ends_postponed = !r->ends_closed;
    }
    if (r->outcome == SKIPPED && (PQntuples(value) || PQntuples(end)))
        r->outcome = UPDATED;
    return 0;
}

static int try_row(struct import *m, struct row *r, int i)
{
    int status = define(m, r, i);

    for (int k = 0; k < r->n_parents && status == 0; k++)
        status = align_one(m, r, &r->parents[k]);
    if (status == 0 && r->outcome != SKIPPED)
        status = settle_privacy(m, r);
    return status ? status : put_value(m, r);
}

static int run_row(struct import *m, int i)
{
    struct row *r = &m->rows[i];
    bool there = *r->goal;
    int status;

    if (r->wrong)
        return 0;
    if (!gw_exec(m->c, "SAVEPOINT of_row", GS_NO_PARAMS))
        return gw_status(m->c);
    status = try_row(m, r, i);
    if (status >= 500)
        return status;
    if (status == 0)
        return gw_exec(m->c, "RELEASE SAVEPOINT of_row", GS_NO_PARAMS) ? 0 : gw_status(m->c);
    say(r, "%s", gw_take_back(m->c));
    r->wrong = true;
    r->ends_closed = r->ends_postponed = false;
    if (!there)
        r->goal[0] = '\0';
    return gw_exec(m->c, "ROLLBACK TO SAVEPOINT of_row", GS_NO_PARAMS) ? 0 : gw_status(m->c);
}

/* ---- all rows ---- */

typedef bool chosen_fn(const struct row *r);
static bool is_created(const struct row *r)
{
    return !r->wrong && r->outcome == CREATED;
}
static bool is_updated(const struct row *r)
{
    return !r->wrong && r->outcome == UPDATED;
}
static bool is_changed(const struct row *r)
{
    return is_created(r) || is_updated(r);
}
static bool is_closed(const struct row *r)
{
    return r->ends_closed;
}
static bool is_postponed(const struct row *r)
{
    return r->ends_postponed;
}

static size_t choose(const struct import *m, chosen_fn *chosen, const char **ret)
{
    size_t n = 0;

    for (int i = 0; i < m->n; i++)
        if (chosen(&m->rows[i]))
            ret[n++] = m->rows[i].goal;
    return n;
}

static int settle(struct import *m)
{
    GS_AUTO(gs_freep) const char **ids = gs_alloc_n((size_t)m->n + 1, sizeof(*ids));
    size_t n = choose(m, is_changed, ids);
    int status = gw_goal_recompute(m->c, ids, n, &(struct gw_change){.edited = true});

    if (status == 0)
        status = gw_goal_recompute(m->c, ids, choose(m, is_closed, ids),
                                   &(struct gw_change){.end = true, .ending = GS_CLOSED});
    if (status == 0)
        status = gw_goal_recompute(m->c, ids, choose(m, is_postponed, ids),
                                   &(struct gw_change){.end = true, .ending = GS_POSTPONED});
    if (status == 0)
        status = gw_transfer_tell(m->c, ids, choose(m, is_created, ids), false);
    return status ? status : gw_transfer_tell(m->c, ids, choose(m, is_updated, ids), true);
}

static int run_rows(struct import *m)
{
    int status = 0;

    for (uint32_t i = 0; i < m->graph.n_goals && status == 0; i++)
        status = run_row(m, (int)m->graph.order[i]);
    for (int i = 0; i < m->n; i++) {
        if (m->rows[i].wrong)
            m->rows[i].outcome = REFUSED;
        m->counts[m->rows[i].outcome]++;
    }
    return status ? status : settle(m);
}

static int put_report(struct import *m, bool dry)
{
    static const char sql[] = "SELECT g.public_id FROM unnest($1::bigint[]) WITH ORDINALITY u(id, n) LEFT JOIN goal g "
                              "ON g.id = u.id ORDER BY u.n";
    GS_AUTO(gs_freep) const char **ids = gs_alloc_n((size_t)m->n + 1, sizeof(*ids));
    GS_AUTO(gs_buf_done) struct gs_buf list;
    struct gs_buf *b = gw_out(m->c);

    gs_buf_init(&list, GW_BODY_MAX);
    for (int i = 0; i < m->n; i++)
        ids[i] = *m->rows[i].goal ? m->rows[i].goal : "0";
    gw_transfer_put_ids(&list, ids, (size_t)m->n);
    GS_AUTO_RESULT r = gw_query(m->c, sql, GS_WITH(gs_buf_str(&list)));
    if (!r)
        return gw_status(m->c);
    gs_buf_clear(b);
    gs_buf_printf(b, "{\"dry_run\":%s,\"created\":%d,\"updated\":%d,\"skipped\":%d,\"refused\":%d,\"rows\":[",
                  dry ? "true" : "false", m->counts[CREATED], m->counts[UPDATED], m->counts[SKIPPED],
                  m->counts[REFUSED]);
    for (int i = 0; i < m->n; i++) {
        const struct row *row = &m->rows[i];
        const char *id = PQgetvalue(r, i, 0);
        bool shown = *id && !(dry && row->outcome == CREATED);
        gs_buf_printf(b, "%s{\"row\":%u,\"outcome\":\"%s\",\"goal_id\":%s%s%s,\"messages\":[%s]}", i ? "," : "",
                      m->sheet.numbers[row->at], outcomes[row->outcome], shown ? "\"" : "", shown ? id : "null",
                      shown ? "\"" : "", gs_buf_str(&row->messages));
    }
    gs_buf_puts(b, "]}");
    return gw_answer_out(m->c, 200);
}

static int refuse_all(struct import *m)
{
    int n = 0;

    for (int i = 0; i < m->n && n < FAULTS_MAX; i++) {
        char pointer[32];
        if (m->rows[i].outcome != REFUSED)
            continue;
        snprintf(pointer, sizeof(pointer), "/rows/%u", m->sheet.numbers[m->rows[i].at]);
        (void)gw_invalid(m->c, pointer, "%.800s", gs_buf_str(&m->rows[i].messages));
        n++;
    }
    return gw_fail(m->c, 422, "rows-refused",
                   "%d rows are refused, so nothing was imported; errors lists the first ones, dry_run=true reports "
                   "all",
                   m->counts[REFUSED]);
}

static int read_all(struct import *m)
{
    const char *fallback = gw_param(m->c, "fallback_owner");
    int status = gw_transfer_need_fallback(m->c, fallback);

    if (status == 0)
        status = read_sheet(m);
    if (status)
        return status;
    read_rows(m);
    m->names = gw_transfer_names(m->c, gs_buf_str(&m->list), fallback, true);
    if (!m->names)
        return gw_status(m->c);
    take_names(m);
    status = match(m);
    return status ? status : read_parents(m);
}

static int goal_import(struct gw_call *c)
{
    GS_AUTO(import_done) struct import m = {.c = c};
    bool dry = gw_flag(c, "dry_run");
    int status = read_all(&m), answered;

    if (status == 0 && dry && !gw_exec(c, "SAVEPOINT dry_run", GS_NO_PARAMS))
        return gw_status(c);
    if (status == 0)
        status = run_rows(&m);
    if (status)
        return status;
    if (m.counts[REFUSED] && !dry && gw_flag(c, "all_or_nothing"))
        return refuse_all(&m);
    answered = put_report(&m, dry);
    if (answered != 200)
        return answered;
    /* Everything was tried, and nothing of it stays. */
    if (dry ? !gw_exec(c, "ROLLBACK TO SAVEPOINT dry_run", GS_NO_PARAMS)
            : !gw_transfer_audit(c, "goals.imported", m.format, (size_t)(m.counts[CREATED] + m.counts[UPDATED])))
        return gw_status(c);
    return answered;
}

const struct gw_op gw_ops_sheet[] = {
    {"goal_import", goal_import},
    {"goal_export", gw_goal_export},
    {0},
};
