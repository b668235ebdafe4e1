/* Connections that callers may use, and the settings they ask with. */
#include "services/gateway/source.h"

#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/link_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

GS_AUTO_DEFINE(struct fetch_settings, free_settings, fetch_settings_free)
#define AUTO_SETTINGS GS_AUTO(free_settingsp) struct fetch_settings *

void gw_source_done(struct gw_source *s)
{
    gs_freep(&s->settings);
    s->settings = NULL;
}

/* One that nobody owns is the administrators'. */
#define CONNECTION                                                                                                     \
    "SELECT c.id, c.public_id, c.org_id, c.connector, c.version, c.paused_reason, c.shared OR "                        \
    "coalesce(c.owner_id = calling('person'), c.owner_id IS NULL AND $2::boolean, false) AS usable FROM connection c " \
    "WHERE "

static int read_connection(struct gw_call *c, const PGresult *r, struct gw_source *ret)
{
    *ret = (struct gw_source){.entry = fetch_catalogue_find(gs_db_get(r, 0, "connector")),
                              .org_id = gs_db_get_int(r, 0, "org_id"),
                              .connection_id = gs_db_get_int(r, 0, "id"),
                              .connection_version = (int32_t)gs_db_get_int(r, 0, "version"),
                              .usable = gs_db_get_bool(r, 0, "usable")};
    snprintf(ret->connection, sizeof(ret->connection), "%s", gs_db_get(r, 0, "id"));
    snprintf(ret->connection_public, sizeof(ret->connection_public), "%s", gs_db_get(r, 0, "public_id"));
    snprintf(ret->paused, sizeof(ret->paused), "%s", gs_db_get(r, 0, "paused_reason"));
    return ret->entry ? 0
                      : gw_fail(c, 409, "integration-missing", "This goalsync was built without the integration \"%s\"",
                                gs_db_get(r, 0, "connector"));
}

static const char *is_admin(struct gw_call *c)
{
    return gw_who(c)->role >= GW_ADMIN ? "true" : "false";
}

int gw_source_find(struct gw_call *c, const char *connection, const char *except, struct gw_source *ret)
{
    static const char sql[] = CONNECTION "c.public_id = $1::uuid";

    *ret = (struct gw_source){0};
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(connection, is_admin(c)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0 || !(gs_db_get_bool(r, 0, "usable") || gs_str_eq(except, gs_db_get(r, 0, "id"))))
        return gw_invalid(c, "/connection_id",
                          "names no connection that you may use; take one of your own, or a shared one");
    return read_connection(c, r, ret);
}

int gw_source_of_path(struct gw_call *c, struct gw_source *ret)
{
    static const char sql[] = CONNECTION "c.id = $1";

    *ret = (struct gw_source){0};
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c), is_admin(c)));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "connection");
    if (!gs_db_get_bool(r, 0, "usable"))
        return gw_forbidden(c, "this connection is somebody else's; only its owner can use it until it is shared");
    return read_connection(c, r, ret);
}

int gw_source_settings_are(struct gw_call *c, const char *json, const char *goal, struct gw_source *s)
{
    const struct fetch_connector *connector = s->entry->connector;
    struct gs_err err;
    struct gs_buf text;

    GS_AUTO_RESULT r = gw_query(c, "SELECT settings FROM connection WHERE id = $1", GS_WITH(s->connection));
    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "connection");
    const char *there_text = PQgetvalue(r, 0, 0);
    AUTO_SETTINGS there = fetch_settings_parse(connector->connection_fields, there_text, strlen(there_text), &err);
    if (!there)
        return gw_fail(c, 409, "connection-broken", "The connection's settings must be corrected first: %s", err.text);
    AUTO_SETTINGS asked = fetch_settings_parse(connector->link_fields, json, strlen(json), &err);
    if (!asked || fetch_settings_check(connector, there, asked, &err) != GS_OK)
        return gw_invalid(c, "/settings", "%s", err.text);
    fetch_link_batch_key(connector, asked, goal, s->batch_key);
    gs_buf_init(&text, 2 * FETCH_SETTINGS_MAX);
    fetch_settings_print(asked, &text);
    gw_source_done(s);
    s->settings = gs_buf_steal(&text);
    return 0;
}

/* RFC 7396: null takes a field away. */
int gw_source_settings(struct gw_call *c, const char *under, const char *goal, struct gw_source *s)
{
    static const char sql[] = "SELECT jsonb_strip_nulls($1::jsonb || coalesce(nullif($2::jsonb->'settings', 'null'), "
                              "'{}'))";

    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(under, gw_body_text(c, NULL)));
    return r ? gw_source_settings_are(c, PQgetvalue(r, 0, 0), goal, s) : gw_status(c);
}

int gw_source_need_use(struct gw_call *c, const struct gw_source *s, const char *goal)
{
    static const char sql[] = "SELECT FROM link WHERE goal_id = nullif($1, '')::bigint AND connection_id = $2 AND "
                              "settings = $3::jsonb";

    if (s->usable)
        return 0;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, s->connection, s->settings));
    if (!r)
        return gw_status(c);
    return PQntuples(r) ? 0
                        : gw_forbidden(c, "the link asks by a private connection of somebody else, who alone says what "
                                          "is asked by it; take a connection of your own, or a shared one");
}

int gw_source_need_open(struct gw_call *c, const struct gw_source *s)
{
    return s->paused[0] ? gw_fail(c, 409, "gate-closed", "The connection may not be used now: %s", s->paused) : 0;
}

int gw_source_need_asked(struct gw_call *c, const struct gw_source *s)
{
    return s->entry->connector->pushed
               ? gw_fail(c, 409, "pushed-source", "%s sends its numbers by itself; there is nothing to ask",
                         s->entry->connector->label)
               : 0;
}

int gw_source_need_fit(struct gw_call *c, const struct gw_source *s, const char *metric)
{
    unsigned outcomes = s->entry->connector->outcomes;

    if (outcomes & (gs_str_eq(metric, "percent") ? FETCH_PERCENT : FETCH_NUMBER))
        return 0;
    return gw_invalid(c, "/connection_id", "%s gives %s only; this goal is measured otherwise",
                      s->entry->connector->label, outcomes & FETCH_PERCENT ? "a percentage" : "a number");
}
