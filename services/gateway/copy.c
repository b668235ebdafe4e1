/* Reads a subtree of goals and stores copies of it: a statement for each kind of thing, not for each goal. */
#include "services/gateway/copy.h"

#include "common/mem.h"
#include "common/slot.h"
#include "common/str.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/link_sql.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* Edges of an organisation are added one transaction at a time: none appears below meanwhile. */
static const char lock_sql[] = "SELECT pg_advisory_xact_lock(hashtextextended('goal_edge', calling('org')))";

static const char all_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT $1::bigint UNION SELECT e.child_id FROM down d JOIN goal_edge e ON e.parent_id "
    "= d.id) SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids, count(*) AS n FROM down";
static const char open_sql[] =
    "WITH RECURSIVE down(id) AS (SELECT $1::bigint UNION SELECT k.id FROM down d JOIN goal_edge e ON e.parent_id = "
    "d.id CROSS JOIN LATERAL (SELECT x.id FROM goal x WHERE x.id = e.child_id AND x.status NOT IN ('closed', "
    "'postponed') OFFSET 0) k) SELECT coalesce(array_agg(id ORDER BY id), '{}') AS ids, count(*) AS n FROM down";

/* The root first. */
static const char goals_sql[] =
    "SELECT g.id, g.public_id, g.title, g.kind, g.metric, g.mode, g.override, g.status, g.status_by_hand, g.has_value, "
    "g.start_value AS start, g.target_value AS target, g.risk_value AS risk, g.auto_value AS automatic, "
    "g.applied_value AS applied, g.raw_progress, g.progress, g.start_on - date '1970-01-01' AS start_day, g.end_on - "
    "date '1970-01-01' AS end_day, g.unit, EXISTS (SELECT FROM goal_edge e WHERE e.child_id = g.id AND e.parent_id <> "
    "ALL ($1::bigint[])) AS other_parents FROM goal g WHERE g.id = ANY ($1::bigint[]) ORDER BY g.id <> $2, g.id FOR NO "
    "KEY UPDATE OF g";

static const char edges_sql[] =
    "SELECT parent_id, child_id, coalesce(weight_hundredths, -1) AS weight, contributes, position FROM goal_edge WHERE "
    "parent_id = ANY ($1::bigint[]) AND child_id = ANY ($1::bigint[]) ORDER BY parent_id, child_id";

void gw_subtree_done(struct gw_subtree *s)
{
    PQclear(s->rows);
    PQclear(s->edge_rows);
    free(s->goals);
    free(s->edges);
    *s = (struct gw_subtree){0};
}

const char *gw_subtree_get(const struct gw_subtree *s, size_t i, const char *col)
{
    return gs_db_get(s->rows, (int)i, col);
}

static bool get_dec(const PGresult *r, int row, const char *col, struct gs_dec *ret)
{
    const char *text = gs_db_get(r, row, col);
    struct gs_err err;

    return !gs_db_is_null(r, row, col) && gs_dec_parse(text, strlen(text), ret, &err) == GS_OK;
}

/* False: a word or number that this goalsync does not know. */
static bool read_goal(const PGresult *r, int row, struct gs_goal *g)
{
    *g = (struct gs_goal){.id = gs_db_get_int(r, row, "id"),
                          .status_by_hand = gs_db_get_bool(r, row, "status_by_hand"),
                          .has_value = gs_db_get_bool(r, row, "has_value"),
                          .start_day = (int32_t)gs_db_get_int(r, row, "start_day"),
                          .end_day = (int32_t)gs_db_get_int(r, row, "end_day"),
                          .unit = gs_db_get(r, row, "unit")};
    g->has_start = get_dec(r, row, "start", &g->start);
    g->has_target = get_dec(r, row, "target", &g->target);
    g->has_risk = get_dec(r, row, "risk", &g->risk);
    g->has_auto = get_dec(r, row, "automatic", &g->auto_value);
    g->has_applied = get_dec(r, row, "applied", &g->applied_value);
    return get_dec(r, row, "raw_progress", &g->raw_progress) && get_dec(r, row, "progress", &g->progress) &&
           gs_goal_kind_parse(gs_db_get(r, row, "kind"), &g->kind) &&
           gs_goal_metric_parse(gs_db_get(r, row, "metric"), &g->metric) &&
           gs_goal_mode_parse(gs_db_get(r, row, "mode"), &g->mode) &&
           gs_goal_override_parse(gs_db_get(r, row, "override"), &g->override) &&
           gs_goal_status_parse(gs_db_get(r, row, "status"), &g->status);
}

static size_t find(const struct gw_subtree *s, int64_t id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->goals[i].id == id)
            return i;
    return 0;
}

static void read_edges(struct gw_subtree *s)
{
    s->n_edges = (size_t)PQntuples(s->edge_rows);
    s->edges = gs_alloc_n(s->n_edges + 1, sizeof *s->edges);
    for (size_t i = 0; i < s->n_edges; i++) {
        s->edges[i].parent = find(s, gs_db_get_int(s->edge_rows, (int)i, "parent_id"));
        s->edges[i].child = find(s, gs_db_get_int(s->edge_rows, (int)i, "child_id"));
    }
}

static int read_goals(struct gw_call *c, struct gw_subtree *s)
{
    s->n = (size_t)PQntuples(s->rows);
    s->goals = gs_alloc_n(s->n + 1, sizeof *s->goals);
    for (size_t i = 0; i < s->n; i++)
        if (!read_goal(s->rows, (int)i, &s->goals[i]))
            return gw_fail(c, 422, "goal-refused", "\"%.200s\" cannot be read: it is of a newer goalsync",
                           gw_subtree_get(s, i, "title"));
    return 0;
}

int gw_subtree_load(struct gw_call *c, const char *root, bool open_only, struct gw_subtree *ret)
{
    int status;

    *ret = (struct gw_subtree){0};
    if (!gw_exec(c, lock_sql, GS_NO_PARAMS))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, open_only ? open_sql : all_sql, GS_WITH(root));
    if (!r)
        return gw_status(c);
    if (gs_db_get_int(r, 0, "n") > GW_COPIES_MAX)
        return gw_fail(c, 409, "too-many", "%s goals would be copied; at most %d are at once", gs_db_get(r, 0, "n"),
                       GW_COPIES_MAX);
    ret->rows = gw_query(c, goals_sql, GS_WITH(gs_db_get(r, 0, "ids"), root));
    ret->edge_rows = ret->rows ? gw_query(c, edges_sql, GS_WITH(gs_db_get(r, 0, "ids"))) : NULL;
    if (!ret->edge_rows)
        return gw_status(c);
    if (PQntuples(ret->rows) != gs_db_get_int(r, 0, "n"))
        return gw_forbidden(c, "a private goal that you do not see stands below; who may edit it aligns it elsewhere, "
                               "or closes it, first");
    if ((status = read_goals(c, ret)) != 0)
        return status;
    read_edges(ret);
    return 0;
}

/* ---- the new period ---- */

int gw_dates_read(struct gw_call *c, struct gw_dates *ret)
{
    static const char sql[] =
        "SELECT x.s AS starts_on, x.e AS ends_on, p.id AS period, x.s - date '1970-01-01' AS start_day, x.e - date "
        "'1970-01-01' AS end_day FROM (SELECT 1) one LEFT JOIN period p ON p.public_id = $1::uuid CROSS JOIN LATERAL "
        "(SELECT coalesce($2::date, p.starts_on) AS s, coalesce($3::date, p.ends_on) AS e) x";
    const char *period = gw_text(c, "/period_id");
    const PGresult *r = ret->row = gw_query(c, sql, GS_WITH(period, gw_text(c, "/starts_on"), gw_text(c, "/ends_on")));

    if (!r)
        return gw_status(c);
    ret->period = gs_db_is_null(r, 0, "period") ? NULL : gs_db_get(r, 0, "period");
    ret->starts_on = gs_db_is_null(r, 0, "starts_on") ? NULL : gs_db_get(r, 0, "starts_on");
    ret->ends_on = gs_db_is_null(r, 0, "ends_on") ? NULL : gs_db_get(r, 0, "ends_on");
    ret->start_day = (int32_t)gs_db_get_int(r, 0, "start_day");
    ret->end_day = (int32_t)gs_db_get_int(r, 0, "end_day");
    if (period && !ret->period)
        return gw_invalid(c, "/period_id", "names a period that this organisation does not have");
    if (!ret->starts_on != !ret->ends_on)
        return gw_invalid(c, ret->starts_on ? "/ends_on" : "/starts_on",
                          "is missing; name a period, or both starts_on and ends_on");
    if (ret->start_day > ret->end_day)
        return gw_invalid(c, "/ends_on", "is before starts_on; a goal ends on the day it starts or later");
    return 0;
}

/* ---- storing ---- */

/* $1: the copies as JSON. What is not theirs to change comes from the originals. */
static const char insert_sql[] =
    "INSERT INTO goal (org_id, kind, metric, mode, level, title, description, unit, start_value, target_value, "
    "risk_value, start_on, end_on, period_id, creator_id, delegate_id, check_in_owner_id, owner_id, copied_from_id, "
    "aspirational, private, has_value, auto_value, applied_value, progress, raw_progress) SELECT g.org_id, g.kind, "
    "x.metric, g.mode, CASE WHEN x.alone THEN 'individual' ELSE g.level END, coalesce(x.title, g.title), "
    "g.description, g.unit, x.start, x.target, g.risk_value, coalesce($2::date, g.start_on), coalesce($3::date, "
    "g.end_on), CASE WHEN $2::date IS NULL THEN g.period_id ELSE $4::bigint END, coalesce($5::bigint, g.creator_id), "
    "g.delegate_id, g.check_in_owner_id, CASE WHEN x.alone THEN calling('person') ELSE g.owner_id END, g.id, "
    "g.aspirational, g.private, x.has_value, x.automatic, x.applied, x.progress, x.raw FROM jsonb_to_recordset("
    "$1::jsonb) AS x(original bigint, metric goal_metric, start numeric, target numeric, has_value boolean, automatic "
    "numeric, applied numeric, progress numeric, raw numeric, title text, alone boolean) JOIN goal g ON g.id = "
    "x.original ORDER BY g.id RETURNING id, public_id, copied_from_id";

#define MAP "WITH m AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS u(old, new))"

/* $3: an original whose copy is the caller's alone, or null. */
static const char people_sql[] =
    MAP ", o AS (INSERT INTO goal_co_owner (goal_id, person_id, org_id) SELECT m.new, x.person_id, x.org_id FROM m "
        "JOIN goal_co_owner x ON x.goal_id = m.old WHERE m.old IS DISTINCT FROM $3::bigint), "
        "v AS (INSERT INTO goal_viewer (goal_id, person_id, org_id) SELECT m.new, x.person_id, x.org_id FROM m JOIN "
        "goal_viewer x ON x.goal_id = m.old), "
        "t AS (INSERT INTO goal_team (goal_id, team_id, org_id) SELECT m.new, x.team_id, x.org_id FROM m JOIN "
        "goal_team x ON x.goal_id = m.old WHERE m.old IS DISTINCT FROM $3::bigint) "
        "INSERT INTO goal_tag (goal_id, org_id, tag) SELECT m.new, x.org_id, x.tag FROM m JOIN goal_tag x ON x.goal_id "
        "= m.old";
/* $3: the done ones too. */
static const char tasks_sql[] =
    MAP " INSERT INTO goal_task (org_id, goal_id, title, due_on, owner_id, position) SELECT t.org_id, m.new, t.title, "
        "t.due_on, t.owner_id, t.position FROM m JOIN goal_task t ON t.goal_id = m.old WHERE $3::boolean OR NOT t.done "
        "ORDER BY t.goal_id, t.position, t.id";
/* $3, $4: parents and children, by their originals. */
static const char align_sql[] =
    MAP " INSERT INTO goal_edge (parent_id, child_id, org_id, weight_hundredths, contributes, position) SELECT p.new, "
        "k.new, e.org_id, e.weight_hundredths, e.contributes, e.position FROM unnest($3::bigint[], $4::bigint[]) AS "
        "x(parent, child) JOIN goal_edge e ON e.parent_id = x.parent AND e.child_id = x.child JOIN m p ON p.old = "
        "x.parent JOIN m k ON k.old = x.child ORDER BY p.new, k.new";
static const char links_sql[] =
    MAP " SELECT m.new AS goal, k.connection_id, k.batch_id, b.pushed, k.settings, c.connector FROM m JOIN link k ON "
        "k.goal_id = m.old JOIN link_batch b ON b.id = k.batch_id JOIN connection c ON c.id = k.connection_id ORDER BY "
        "m.new";

struct storing {
    struct gw_call *c;
    const struct gw_copying *how;
    struct gw_copied *copied;
    struct gs_buf old_ids, new_ids; /* "{3,1}" */
};

static void put_dec(struct gs_buf *b, const char *name, bool has, struct gs_dec d)
{
    char text[GS_DEC_TEXT];

    gs_dec_format(d, text);
    gs_buf_printf(b, has ? ", \"%s\": \"%s\"" : ", \"%s\": null", name, text);
}

static void put_copy(struct gs_buf *b, const struct gw_copying *how, size_t i)
{
    const struct gs_goal *copy = how->copies[i];

    gs_buf_printf(b, "%s{\"original\": %lld, \"metric\": \"%s\", \"has_value\": %s, \"alone\": %s",
                  b->len > 1 ? ", " : "", (long long)how->from->goals[i].id, gs_goal_metric_name(copy->metric),
                  copy->has_value ? "true" : "false", i == 0 && how->root_alone ? "true" : "false");
    put_dec(b, "start", copy->has_start, copy->start);
    put_dec(b, "target", copy->has_target, copy->target);
    put_dec(b, "automatic", copy->has_auto, copy->auto_value);
    put_dec(b, "applied", copy->has_applied, copy->applied_value);
    put_dec(b, "progress", true, copy->progress);
    put_dec(b, "raw", true, copy->raw_progress);
    if (i == 0 && how->title) {
        gs_buf_puts(b, ", \"title\": ");
        gs_buf_put_json(b, how->title, strlen(how->title));
    }
    gs_buf_putc(b, '}');
}

static void put_id(struct gs_buf *b, const char *id)
{
    gs_buf_printf(b, "%s%s", b->len ? "," : "{", id);
}

static int insert_goals(struct storing *s)
{
    const struct gw_copying *how = s->how;
    GS_AUTO(gs_buf_done) struct gs_buf json;

    gs_buf_init(&json, GW_ANSWER_MAX);
    gs_buf_putc(&json, '[');
    for (size_t i = 0; i < how->from->n; i++)
        if (how->copies[i])
            put_copy(&json, how, i);
    gs_buf_putc(&json, ']');
    GS_AUTO_RESULT r =
        gw_query(s->c, insert_sql, GS_WITH(gs_buf_str(&json), how->starts_on, how->ends_on, how->period, how->creator));
    if (!r)
        return gw_status(s->c);
    for (int row = 0; row < PQntuples(r); row++) {
        struct gw_copied *made = &s->copied[find(how->from, gs_db_get_int(r, row, "copied_from_id"))];
        snprintf(made->id, sizeof made->id, "%s", gs_db_get(r, row, "id"));
        snprintf(made->public_id, sizeof made->public_id, "%s", gs_db_get(r, row, "public_id"));
        put_id(&s->old_ids, gs_db_get(r, row, "copied_from_id"));
        put_id(&s->new_ids, made->id);
    }
    gs_buf_putc(&s->old_ids, '}');
    gs_buf_putc(&s->new_ids, '}');
    return 0;
}

static bool align(struct storing *s)
{
    const struct gw_subtree *from = s->how->from;
    GS_AUTO(gs_buf_done) struct gs_buf parents;
    GS_AUTO(gs_buf_done) struct gs_buf children;

    gs_buf_init(&parents, GW_ANSWER_MAX);
    gs_buf_init(&children, GW_ANSWER_MAX);
    for (size_t i = 0; i < from->n_edges; i++) {
        if (!s->how->edges[i])
            continue;
        put_id(&parents, gs_db_get(from->edge_rows, (int)i, "parent_id"));
        put_id(&children, gs_db_get(from->edge_rows, (int)i, "child_id"));
    }
    if (parents.len == 0)
        return true;
    gs_buf_putc(&parents, '}');
    gs_buf_putc(&children, '}');
    return gw_exec(
        s->c, align_sql,
        GS_WITH(gs_buf_str(&s->old_ids), gs_buf_str(&s->new_ids), gs_buf_str(&parents), gs_buf_str(&children)));
}

/* ---- links ---- */

/* Numbers that are pushed have a batch for each goal; what is fetched is asked together with the original's. */
static int find_batch(struct gw_call *c, const PGresult *links, int row, char ret[GW_ID_TEXT])
{
    const struct fetch_entry *entry = fetch_catalogue_find(gs_db_get(links, row, "connector"));
    char key[65], hash[GW_ID_TEXT];

    snprintf(ret, GW_ID_TEXT, "%s", gs_db_get(links, row, "batch_id"));
    if (!entry || !gs_db_get_bool(links, row, "pushed"))
        return 0;
    fetch_link_batch_key(entry->connector, NULL, gs_db_get(links, row, "goal"), key);
    snprintf(hash, sizeof hash, "%d", gs_slot_hash(gs_db_get_int(links, row, "connection_id"), key));
    GS_AUTO_RESULT r =
        gw_query(c, fetch_link_batch_sql, GS_WITH(gs_db_get(links, row, "connection_id"), hash, key, "true"));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) > 0)
        snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

/* Switched off from the start: the source is never asked in between. */
static int copy_link(struct gw_call *c, const PGresult *links, int row)
{
    static const char sql[] =
        "INSERT INTO link (org_id, goal_id, connection_id, batch_id, state, paused_reason, settings, linked_by) VALUES "
        "(calling('org'), $1, $2, $3, 'paused', 'copied with its goal, switched off', $4, calling('person')) RETURNING "
        "id, public_id";
    char batch[GW_ID_TEXT];
    int status = find_batch(c, links, row, batch);

    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql,
                                GS_WITH(gs_db_get(links, row, "goal"), gs_db_get(links, row, "connection_id"), batch,
                                        gs_db_get(links, row, "settings")));
    if (!r || !gw_exec(c, fetch_link_revision_sql, GS_WITH(PQgetvalue(r, 0, 0), gw_who(c)->person)) ||
        !gw_exec(c, fetch_link_feed_sql, GS_WITH(PQgetvalue(r, 0, 0), "linked", gw_who(c)->person)) ||
        !gw_audit(c, "link.created", "link", PQgetvalue(r, 0, 1), NULL))
        return gw_status(c);
    return 0;
}

static int copy_links(struct storing *s)
{
    GS_AUTO_RESULT links = gw_query(s->c, links_sql, GS_WITH(gs_buf_str(&s->old_ids), gs_buf_str(&s->new_ids)));
    int status = links ? 0 : gw_status(s->c);

    for (int i = 0; links && i < PQntuples(links) && status == 0; i++)
        status = copy_link(s->c, links, i);
    return status;
}

/* ---- all of it ---- */

static int insert_all(struct storing *s)
{
    const char *root = s->how->root_alone ? gw_subtree_get(s->how->from, 0, "id") : NULL;
    int status = insert_goals(s);

    if (status)
        return status;
    const char *olds = gs_buf_str(&s->old_ids), *news = gs_buf_str(&s->new_ids);
    if (!gw_exec(s->c, people_sql, GS_WITH(olds, news, root)) ||
        !gw_exec(s->c, tasks_sql, GS_WITH(olds, news, s->how->done_tasks ? "true" : "false")) || !align(s))
        return gw_status(s->c);
    return s->how->links ? copy_links(s) : 0;
}

static int roll_up(struct storing *s)
{
    size_t n = 0;
    GS_AUTO(gs_freep) const char **goals = gs_alloc_n(s->how->from->n + 1, sizeof *goals);

    for (size_t i = 0; i < s->how->from->n; i++)
        if (s->how->copies[i])
            goals[n++] = s->copied[i].id;
    return gw_goal_recompute(s->c, goals, n, &(struct gw_change){.edited = true});
}

static bool tell(struct storing *s)
{
    char data[100];

    for (size_t i = 0; i < s->how->from->n; i++) {
        if (!s->how->copies[i])
            continue;
        snprintf(data, sizeof data, "{\"copied_from_id\": \"%.36s\"}", gw_subtree_get(s->how->from, i, "public_id"));
        if (!gw_goal_activity(s->c, s->copied[i].id, "created", data) ||
            !gw_note(s->c, GW_GOAL_CREATED, s->copied[i].id, NULL))
            return false;
    }
    return true;
}

int gw_copies_store(struct gw_call *c, const struct gw_copying *how, struct gw_copied *ret)
{
    struct storing s = {.c = c, .how = how, .copied = ret};
    int status;

    gs_buf_init(&s.old_ids, GW_ANSWER_MAX);
    gs_buf_init(&s.new_ids, GW_ANSWER_MAX);
    /* A private copy has its viewers only after it is there. */
    status = gw_goal_see_all(c, true) ? insert_all(&s) : gw_status(c);
    if (status == 0 && !gw_goal_see_all(c, false))
        status = gw_status(c);
    if (status == 0)
        status = roll_up(&s);
    if (status == 0 && !tell(&s))
        status = gw_status(c);
    gs_buf_done(&s.old_ids);
    gs_buf_done(&s.new_ids);
    return status;
}
