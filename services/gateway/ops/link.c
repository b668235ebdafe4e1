/* Links: which number of which source feeds a goal. */
#include "services/gateway/ops.h"

#include "common/mem.h"
#include "common/slot.h"
#include "common/str.h"
#include "services/fetch/link_sql.h"
#include "services/gateway/goal.h"
#include "services/gateway/link.h"
#include "services/gateway/note.h"
#include "services/gateway/source.h"

#include <stdio.h>
#include <string.h>

/* ---- as people see them ---- */

/* What a person can do about a link that gives no number; null when it is well. */
#define ADVICE                                                                                                         \
    "CASE WHEN g.status IN ('closed', 'postponed') AND g.status_by_hand THEN 'Reopen the goal' "                       \
    "WHEN k.state <> 'active' THEN 'Set the link''s state to active again' "                                           \
    "WHEN c.paused_reason LIKE '%not allowed%' THEN 'A tenant administrator can allow the integration again' "         \
    "WHEN c.paused_reason LIKE '%not enabled%' THEN 'An owner or administrator of the organisation can enable the "    \
    "integration again' "                                                                                              \
    "WHEN c.paused_reason IS NOT NULL THEN 'The connection''s owner or an administrator can start it again' "          \
    "WHEN k.outcome = 'denied' THEN 'Give the connection a new secret' "                                               \
    "WHEN k.outcome IN ('gone', 'rejected') THEN 'Change what the link asks; a preview shows what it gives' "          \
    "WHEN k.outcome = 'waiting' THEN 'Nothing: the source is asked again when its limit allows it' "                   \
    "WHEN k.outcome IN ('retry', 'expired') THEN 'Nothing yet: it is tried again by itself; check that the source "    \
    "can be reached' END"

/* The schedule is told where there is one. */
#define OPEN "k.state = 'active' AND c.paused_reason IS NULL"

#define LINK_JSON                                                                                                      \
    "json_build_object('id', k.public_id, 'goal_id', g.public_id, 'goal_title', g.title, 'connection_id', "            \
    "c.public_id, 'connection_name', c.name, 'integration', c.connector, 'pushed', b.pushed, 'state', k.state, "       \
    "'paused', coalesce(k.paused_reason, c.paused_reason), 'settings', k.settings, 'revision', k.revision, "           \
    "'outcome', k.outcome, 'error', k.error, 'advice', " ADVICE ", 'failures', k.failures, 'failing_since', "          \
    "api_time(k.failing_since), 'waiting_until', api_time(k.waiting_until), 'next_due_at', CASE WHEN " OPEN " THEN "   \
    "api_time(b.next_due_at) END, 'sync_requested_at', (SELECT api_time(s.requested_at) FROM sync_request s WHERE "    \
    "s.batch_id = b.id), 'value', trim_scale(g.auto_value)::text, 'age_seconds', CASE WHEN g.fetched_at > now() THEN " \
    "0 ELSE extract(epoch FROM now() - g.fetched_at)::bigint END, 'evidence', json_build_object('settings', "          \
    "k.settings, 'rows_seen', (SELECT "                                                                                \
    "o.rows_seen FROM observation o WHERE o.goal_id = g.id AND o.link_id = k.id ORDER BY o.slot DESC LIMIT 1), "       \
    "'source_at', api_time(g.source_at), 'fetched_at', api_time(g.fetched_at), 'changed_at', api_time(g.applied_at), " \
    "'linked_by_id', p.public_id, 'linked_by', p.name, 'linked_at', api_time(k.created_at)))"
#define LINK_FROM                                                                                                      \
    " FROM link k JOIN goal g ON g.id = k.goal_id JOIN connection c ON c.id = k.connection_id JOIN link_batch b ON "   \
    "b.id = k.batch_id LEFT JOIN person p ON p.id = k.linked_by "
/* Syncs move most of what is shown; an edit is about what people decided. */
#define TAG "k.revision || '-' || k.state"

static const char get_sql[] = "SELECT " LINK_JSON ", " TAG " AS tag, k.public_id" LINK_FROM "WHERE k.id = $1";
static const char get_by_goal_sql[] =
    "SELECT " LINK_JSON ", " TAG " AS tag, k.public_id" LINK_FROM "WHERE k.goal_id = $1";

/* Not gw_etag(): what changes without an edit must not be answered 304. */
static void put_tag(struct gw_call *c, const PGresult *r)
{
    char tag[64];

    if (!r || PQntuples(r) == 0)
        return;
    snprintf(tag, sizeof(tag), "\"%s\"", gs_db_get(r, 0, "tag"));
    gw_header_set(c, "ETag", tag);
}

static int answer_link(struct gw_call *c, int status, const char *id)
{
    PGresult *r = gw_query(c, get_sql, GS_WITH(id));

    put_tag(c, r);
    if (status == 201 && r && PQntuples(r) > 0) {
        char path[80];
        snprintf(path, sizeof(path), "/api/v1/links/%s", gs_db_get(r, 0, "public_id"));
        gw_header_set(c, "Location", path);
    }
    return gw_answer(c, status, r);
}

static int link_get(struct gw_call *c)
{
    return answer_link(c, 200, gw_item(c));
}

static int goal_link_get(struct gw_call *c)
{
    int status = gw_goal_need(c, gw_item(c), GW_SEE);

    if (status)
        return status;
    PGresult *r = gw_query(c, get_by_goal_sql, GS_WITH(gw_item(c)));
    if (r && PQntuples(r) == 0) {
        PQclear(r);
        return gw_fail(c, 404, "no-source", "The goal has no source; link one");
    }
    put_tag(c, r);
    return gw_answer(c, 200, r);
}

static int link_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT " LINK_JSON ", k.id" LINK_FROM "WHERE k.org_id = $1 AND ($2::bigint IS NULL OR k.id > $2) "
        "AND ($3::text IS NULL OR c.connector = $3) AND ($4::uuid IS NULL OR c.public_id = $4) "
        "AND ($5::text IS NULL OR k.state::text = $5) AND ($6::boolean IS NULL OR (k.failures > 0) = $6) "
        "ORDER BY k.id LIMIT $7";

    return gw_answer_page(
        c, gw_query(c, sql,
                    GS_WITH(gw_item(c), gw_page_cursor(c), gw_param(c, "integration"), gw_param(c, "connection_id"),
                            gw_param(c, "state"), gw_param(c, "failing"), gw_page_rows(c))));
}

/* ---- storing ---- */

static int check_room(struct gw_call *c, const struct gw_source *s, const char *batch)
{
    GS_AUTO_RESULT r = gw_query(c, fetch_link_room_sql, GS_WITH(batch));

    if (!r)
        return gw_status(c);
    if (s->entry->connector->pushed ||
        (gs_db_get_int(r, 0, "n") < FETCH_TARGETS_MAX &&
         gs_db_get_int(r, 0, "bytes") + (int64_t)strlen(s->settings) <= FETCH_TOGETHER_BYTES))
        return 0;
    return gw_fail(c, 409, "too-many-together",
                   "%s links of this connection are asked together with this one already, and at most %d links or %d "
                   "bytes of settings can be; link it by another connection",
                   gs_db_get(r, 0, "n"), FETCH_TARGETS_MAX, FETCH_TOGETHER_BYTES);
}

/* The batch is locked, and links of private goals are seen, until the caller says otherwise. */
static int put_batch(struct gw_call *c, const struct gw_source *s, char ret[GW_ID_TEXT])
{
    char hash[GW_ID_TEXT];

    snprintf(hash, sizeof(hash), "%d", gs_slot_hash(s->connection_id, s->batch_key));
    if (!gw_link_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT r =
        gw_query(c, fetch_link_batch_sql,
                 GS_WITH(s->connection, hash, s->batch_key, s->entry->connector->pushed ? "true" : "false"));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_fail(c, 409, "reference", "The connection was deleted meanwhile; choose another one");
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return check_room(c, s, ret);
}

static bool put_evidence(struct gw_call *c, const char *link, const char *kind)
{
    return gw_exec(c, fetch_link_revision_sql, GS_WITH(link, gw_who(c)->person)) &&
           gw_exec(c, fetch_link_feed_sql, GS_WITH(link, kind, gw_who(c)->person));
}

static bool audit_link(struct gw_call *c, const char *action, const char *link)
{
    static const char sql[] =
        "SELECT k.public_id, json_build_object('goal', g.public_id, 'connection', c.public_id, 'integration', "
        "c.connector, 'revision', k.revision) FROM link k JOIN goal g ON g.id = k.goal_id JOIN connection c ON c.id = "
        "k.connection_id WHERE k.id = $1";

    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(link));
    return r && PQntuples(r) > 0 && gw_audit(c, action, "link", PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1));
}

/* ---- linking ---- */

static int check_goal(struct gw_call *c, const char *goal, char ret_metric[GW_ID_TEXT], bool *ret_other_mode)
{
    static const char sql[] = "SELECT g.metric, g.status, g.mode <> 'data_source' AS other, k.public_id AS link "
                              "FROM goal g LEFT JOIN link k ON k.goal_id = g.id WHERE g.id = $1";

    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));
    if (!r)
        return gw_status(c);
    if (!gs_db_is_null(r, 0, "link"))
        return gw_fail(c, 409, "linked-already",
                       "The goal has a source already, link %s; edit that, or delete it first",
                       gs_db_get(r, 0, "link"));
    snprintf(ret_metric, GW_ID_TEXT, "%s", gs_db_get(r, 0, "metric"));
    *ret_other_mode = gs_db_get_bool(r, 0, "other");
    return gw_link_need_live(c, gs_db_get(r, 0, "status"));
}

/* Before batch and link are locked, as the progress writer does: goals first. */
static int become_fed(struct gw_call *c, const char *goal)
{
    static const struct gw_change edited = {.edited = true};
    int status;

    if (!gw_exec(c, "UPDATE goal SET mode = 'data_source' WHERE id = $1", GS_WITH(goal)))
        return gw_status(c);
    status = gw_goal_recompute_one(c, goal, &edited);
    return status ? status : gw_note(c, GW_GOAL_EDITED, goal, NULL) ? 0 : gw_status(c);
}

static int insert(struct gw_call *c, const char *goal, const struct gw_source *s, char ret_link[GW_ID_TEXT])
{
    char batch[GW_ID_TEXT];
    int status = put_batch(c, s, batch);

    if (status)
        return status;
    GS_AUTO_RESULT r =
        gw_query(c, fetch_link_insert_sql, GS_WITH(goal, s->connection, batch, s->settings, gw_who(c)->person));
    if (!r)
        return gw_status(c);
    snprintf(ret_link, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    if (!gw_link_see_all(c, false) || !put_evidence(c, ret_link, "linked") ||
        !audit_link(c, "link.created", ret_link) || !gw_link_ask(c, ret_link))
        return gw_status(c);
    return 0;
}

static int create(struct gw_call *c, struct gw_source *s)
{
    const char *goal = gw_item(c);
    char metric[GW_ID_TEXT], link[GW_ID_TEXT];
    bool other_mode = false;
    int status = gw_goal_need(c, goal, GW_CHECK_IN);

    if (!status)
        status = check_goal(c, goal, metric, &other_mode);
    if (!status)
        status = gw_source_find(c, gw_text(c, "/connection_id"), NULL, s);
    if (!status)
        status = gw_source_need_open(c, s);
    if (!status)
        status = gw_source_need_fit(c, s, metric);
    if (!status)
        status = gw_source_settings(c, "{}", goal, s);
    if (!status && other_mode)
        status = become_fed(c, goal);
    if (!status)
        status = insert(c, goal, s, link);
    return status ? status : answer_link(c, 201, link);
}

static int link_create(struct gw_call *c)
{
    struct gw_source s = {0};
    int status = create(c, &s);

    gw_source_done(&s);
    return status;
}

/* ---- editing ---- */

static int drop_if_empty(struct gw_call *c, const char *batch)
{
    return gw_exec(c, fetch_link_drop_batch_sql, GS_WITH(batch)) ? 0 : gw_status(c);
}

static int match(struct gw_call *c)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT " TAG " FROM link k WHERE k.id = $1", GS_WITH(gw_item(c)));

    return r ? gw_match(c, PQgetvalue(r, 0, 0)) : gw_status(c);
}

/* The connection that the link has from now on; settings of another integration begin anew. */
static int find_source(struct gw_call *c, const struct gw_link *l, struct gw_source *s)
{
    static const char sql[] = "SELECT public_id FROM connection WHERE id = $1";
    bool other_connection = gw_text(c, "/connection_id") != NULL;

    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(l->connection));
    if (!r)
        return gw_status(c);
    int status =
        gw_source_find(c, other_connection ? gw_text(c, "/connection_id") : PQgetvalue(r, 0, 0), l->connection, s);
    if (!status && !gs_str_eq(s->connection, l->connection))
        status = gw_source_need_open(c, s);
    if (!status)
        status = gw_source_need_fit(c, s, l->metric);
    if (status)
        return status;
    bool same = gs_str_eq(s->entry->name, gs_db_get(l->r, 0, "connector"));
    status = gw_source_settings(c, same ? l->settings : "{}", l->goal, s);
    return status ? status : gw_source_need_use(c, s, l->goal);
}

static int store_edit(struct gw_call *c, const struct gw_link *l, const struct gw_source *s)
{
    char batch[GW_ID_TEXT];
    int status = put_batch(c, s, batch);

    if (!status && !gw_exec(c, fetch_link_edit_sql, GS_WITH(l->id, s->connection, batch, s->settings)))
        status = gw_status(c);
    if (!status && !gs_str_eq(batch, l->batch))
        status = drop_if_empty(c, l->batch);
    if (!status && (!gw_link_see_all(c, false) || !put_evidence(c, l->id, "link_edited") ||
                    !audit_link(c, "link.edited", l->id) || !gw_link_ask(c, l->id)))
        status = gw_status(c);
    return status;
}

static int edit_source(struct gw_call *c, const struct gw_link *l)
{
    struct gw_source s = {0};
    int status = find_source(c, l, &s);

    if (!status) {
        GS_AUTO_RESULT same = gw_query(c, "SELECT $1::bigint = $2::bigint AND $3::jsonb = $4::jsonb AS same",
                                       GS_WITH(s.connection, l->connection, s.settings, l->settings));
        status = !same ? gw_status(c) : gs_db_get_bool(same, 0, "same") ? 0 : store_edit(c, l, &s);
    }
    gw_source_done(&s);
    return status;
}

static int edit_state(struct gw_call *c, const struct gw_link *l)
{
    static const char sql[] =
        "UPDATE link SET state = $2::link_state, paused_reason = CASE WHEN $2::link_state = 'paused' THEN coalesce($3, "
        "'paused by a person') END WHERE id = $1";
    const char *state = gw_text(c, "/state");
    bool active = gs_str_eq(state, "active");
    int status = active ? gw_link_need_live(c, l->status) : 0;

    if (status || (active && l->active))
        return status;
    if (!gw_exec(c, sql, GS_WITH(l->id, state, gw_text(c, "/paused_reason"))) ||
        !audit_link(c, active ? "link.resumed" : "link.paused", l->id) || (active && !gw_link_ask(c, l->id)))
        return gw_status(c);
    return active ? gw_link_need_room(c, l->id) : 0;
}

static int link_edit(struct gw_call *c)
{
    GW_AUTO_LINK l = {0};
    int status = gw_link_open(c, &l);

    if (!status)
        status = match(c);
    if (!status && (gw_text(c, "/connection_id") || gw_has(c, "/settings")))
        status = edit_source(c, &l);
    if (!status && gw_text(c, "/state"))
        status = edit_state(c, &l);
    return status ? status : answer_link(c, 200, l.id);
}

/* ---- unlinking ---- */

/* The goal keeps its value, its mode and its history; the feed keeps what the link asked. */
static int link_delete(struct gw_call *c)
{
    GW_AUTO_LINK l = {0};
    int status = gw_link_open(c, &l);

    if (!status)
        status = match(c);
    if (status)
        return status;
    if (!gw_exec(c, fetch_link_feed_sql, GS_WITH(l.id, "unlinked", gw_who(c)->person)) ||
        !audit_link(c, "link.deleted", l.id) || !gw_exec(c, "DELETE FROM link WHERE id = $1", GS_WITH(l.id)) ||
        !gw_link_see_all(c, true) || drop_if_empty(c, l.batch) || !gw_link_see_all(c, false))
        return gw_status(c);
    return gw_no_content(c);
}

const struct gw_op gw_ops_link[] = {
    {"link_list", link_list},
    {"link_create", link_create},
    {"goal_link_get", goal_link_get},
    {"link_get", link_get},
    {"link_edit", link_edit},
    {"link_delete", link_delete},
    {0},
};
