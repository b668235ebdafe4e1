/* Connections: how an organisation's sources are reached. Secrets come in here and never go out. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/reach.h"
#include "services/gateway/exists.h"
#include "services/gateway/person.h"
#include "services/fetch/systems.h"

#include <stdio.h>
#include <string.h>

#define CONNECTION_JSON                                                                                                \
    "json_build_object('id', c.public_id, 'integration', c.connector, 'category', c.category, 'name', c.name, "        \
    "'owner_id', (SELECT p.public_id FROM person p WHERE p.id = c.owner_id), 'mine', coalesce(c.owner_id = "           \
    "calling('person'), false), 'shared', c.shared, 'settings', c.settings, 'secret_changed_at', (SELECT "             \
    "api_time(s.updated_at) FROM credential s WHERE s.connection_id = c.id), 'links', (SELECT count(*) FROM link k "   \
    "WHERE k.connection_id = c.id), 'failing', (SELECT count(*) FROM link k WHERE k.connection_id = c.id AND "         \
    "k.failures > 0), 'paused', c.paused_reason, 'stopped_reason', c.stopped_reason, 'created_at', "                   \
    "api_time(c.created_at), 'revision', c.revision)"
/* Of somebody who administers all are seen. */
#define VISIBLE(admin) "(c.shared OR c.owner_id = calling('person') OR " admin "::boolean)"

static const char *is_admin(struct gw_call *c)
{
    return gw_who(c)->role >= GW_ADMIN ? "true" : "false";
}

/* ---- reading ---- */

/* One's own first, then shared ones, then (to administrators) other people's: "1 00000000000000000042". */
#define PLACE                                                                                                          \
    "(CASE WHEN c.owner_id = calling('person') AND NOT c.shared THEN '0' WHEN c.shared THEN '1' ELSE '2' END || "      \
    "to_char(c.id, 'FM00000000000000000000'))"

static int connection_list(struct gw_call *c)
{
    static const char sql[] =
        "SELECT " CONNECTION_JSON ", " PLACE " FROM connection c WHERE c.org_id = $1 AND " VISIBLE(
            "$2") " AND ($3::text "
                  "IS NULL OR " PLACE
                  " > $3) AND ($4::text IS NULL OR c.connector = $4) AND ($5::boolean IS NULL OR c.shared = "
                  "$5) ORDER BY 2 LIMIT $6";

    return gw_answer_page(c, gw_query(c, sql,
                                      GS_WITH(gw_item(c), is_admin(c), gw_page_cursor(c), gw_param(c, "integration"),
                                              gw_param(c, "shared"), gw_page_rows(c))));
}

static int show(struct gw_call *c, int status, const char *connection)
{
    static const char sql[] = "SELECT " CONNECTION_JSON ", c.revision, '/api/v1/connections/' || c.public_id AS "
                              "location FROM connection c WHERE c.id = $1 AND " VISIBLE("$2");
    PGresult *r = gw_query(c, sql, GS_WITH(connection, is_admin(c)));

    if (r && PQntuples(r)) {
        char tag[GW_ID_TEXT + 2];
        /* Not gw_etag(): syncs move what is shown without an edit. */
        snprintf(tag, sizeof(tag), "\"%s\"", gs_db_get(r, 0, "revision"));
        gw_header_set(c, "ETag", tag);
        if (status == 201)
            gw_header_set(c, "Location", gs_db_get(r, 0, "location"));
    }
    return gw_answer(c, status, r);
}

static int connection_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

/* ---- making ---- */

static int find_entry(struct gw_call *c, const struct fetch_entry **ret)
{
    const char *name = gw_text(c, "/integration");

    *ret = fetch_catalogue_find(name);
    if (*ret)
        return 0;
    if (fetch_systems_find(name))
        return gw_invalid(c, "/integration", "names an integration that this goalsync has no connector for yet");
    return gw_invalid(c, "/integration", "names no integration; the organisation's list of integrations shows them");
}

/* The integration may be used, and the rule of sharing says whether this one is shared. */
static int read_rule(struct gw_call *c, const struct fetch_entry *e, const char **ret_rule)
{
    static const char sql[] =
        "SELECT o.sharing, tenant_allows($1) AS allowed, coalesce(o.enabled, false) AS enabled FROM (SELECT) one LEFT "
        "JOIN org_integration o ON o.org_id = calling('org') AND o.connector = $1";
    static const char *const rules[] = {"never", "always", "choice"};
    const struct fetch_system *s = fetch_systems_find(e->name);
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(e->name));

    if (!r)
        return gw_status(c);
    if (!gs_db_get_bool(r, 0, "allowed"))
        return gw_fail(c, 409, "gate-closed", "The tenant administrators do not allow %s; ask one of them",
                       e->connector->label);
    if (!gs_db_get_bool(r, 0, "enabled"))
        return gw_fail(c, 409, "gate-closed",
                       "%s is not enabled in this organisation; an owner or administrator enables it first",
                       e->connector->label);
    *ret_rule = !s                                 ? "choice"
                : s->sharing == FETCH_SHARE_NEVER  ? "never"
                : s->sharing == FETCH_SHARE_ALWAYS ? "always"
                                                   : "choice";
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        if (gs_str_eq(rules[i], gs_db_get(r, 0, "sharing")))
            *ret_rule = rules[i];
    return 0;
}

static int judge_sharing(struct gw_call *c, const char *rule, bool wanted, bool *ret)
{
    *ret = gs_str_eq(rule, "always") || wanted;
    if (wanted && gs_str_eq(rule, "never"))
        return gw_invalid(c, "/shared", "cannot be true: connections of this integration are never shared here");
    if (wanted && gs_str_eq(rule, "choice") && gw_who(c)->role < GW_ADMIN)
        return gw_forbidden(c, "Only administrators share connections; make it a private one and ask one of them");
    return 0;
}

static bool audit(struct gw_call *c, const char *action, const char *connection, const char *detail)
{
    GS_AUTO_RESULT r = gw_query(c, "SELECT public_id FROM connection WHERE id = $1", GS_WITH(connection));

    return r && gw_audit(c, action, "connection", PQgetvalue(r, 0, 0), detail);
}

static int insert(struct gw_call *c, const struct gw_form *f, bool shared, char ret[GW_ID_TEXT])
{
    static const char sql[] = "INSERT INTO connection (org_id, connector, category, name, owner_id, shared, settings) "
                              "VALUES (calling('org'), "
                              "$1, $2::boundary, $3, calling('person'), $4, $5::jsonb) RETURNING id";
    GS_AUTO_RESULT r = gw_query(c, sql,
                                GS_WITH(f->entry->name, gs_category_name(f->entry->category), gw_text(c, "/name"),
                                        shared ? "true" : "false", f->text));

    if (!r)
        return gw_exists(c, "connection of this integration");
    snprintf(ret, GW_ID_TEXT, "%s", PQgetvalue(r, 0, 0));
    return 0;
}

static int create(struct gw_call *c, const struct fetch_entry *e, bool shared)
{
    GW_AUTO_FORM f = {0};
    char connection[GW_ID_TEXT], detail[FETCH_NAME_MAX + 64];
    int status = gw_form_read(c, e, "{}", &f);

    if (!status && e->connector->auths && !gw_secret_given(c))
        status = gw_invalid(c, "/secret", "is missing: %s signs in with one", e->connector->label);
    if (!status)
        status = insert(c, &f, shared, connection);
    if (!status && gw_secret_given(c))
        status = gw_secret_store(c, e, connection);
    if (status)
        return status;
    snprintf(detail, sizeof(detail), "{\"integration\":\"%s\",\"shared\":%s}", e->name, shared ? "true" : "false");
    return audit(c, "connection.created", connection, detail) ? show(c, 201, connection) : gw_status(c);
}

static int connection_create(struct gw_call *c)
{
    const struct fetch_entry *e = NULL;
    const char *rule = NULL;
    bool wanted = false, shared = false;
    int status = find_entry(c, &e);

    (void)gs_json_bool(gw_body(c), "/shared", &wanted);
    if (!status)
        status = read_rule(c, e, &rule);
    if (!status)
        status = judge_sharing(c, rule, wanted, &shared);
    return status ? status : create(c, e, shared);
}

/* ---- changing ---- */

static int need_entry(struct gw_call *c, const struct gw_reach *k, const struct fetch_entry **ret)
{
    *ret = fetch_catalogue_find(k->integration);
    return *ret ? 0
                : gw_fail(c, 409, "integration-missing", "This goalsync was built without the integration \"%s\"",
                          k->integration);
}

static int need_manage(struct gw_call *c, const struct gw_reach *k)
{
    return k->manage ? 0 : gw_forbidden(c, "Only the connection's owner and administrators do this");
}

/* Whoever changes where the secret goes must know it. */
static int need_secret_again(struct gw_call *c, const struct fetch_entry *e, const struct gw_form *f)
{
    if (!f->moved[0] || !e->connector->auths || gw_secret_given(c))
        return 0;
    return gw_invalid(c, "/secret",
                      "must be given again: \"%s\" changes, and the secret must not reach another place without "
                      "somebody who knows it",
                      f->moved);
}

/* A new version makes the workers read it again. */
static int store_edit(struct gw_call *c, const struct gw_reach *k, const struct gw_form *f)
{
    static const char sql[] =
        "UPDATE connection SET name = coalesce($2, name), settings = coalesce($3::jsonb, settings), "
        "version = version + ($3::jsonb IS NOT NULL)::int WHERE id = $1";
    static const char detail_sql[] =
        "SELECT json_build_object('name', $1::text IS NOT NULL, 'settings', (SELECT coalesce(json_agg(e.key ORDER BY "
        "e.key), '[]') FROM jsonb_each($2::jsonb) e WHERE e.value IS DISTINCT FROM $3::jsonb->e.key))";
    const char *text = f->text ? f->text : k->settings;
    GS_AUTO_RESULT detail = gw_query(c, detail_sql, GS_WITH(gw_text(c, "/name"), text, k->settings));

    if (!detail)
        return gw_status(c);
    if (!gw_exec(c, sql, GS_WITH(k->id, gw_text(c, "/name"), f->text)))
        return gw_exists(c, "connection of this integration");
    return audit(c, "connection.edited", k->id, PQgetvalue(detail, 0, 0)) ? 0 : gw_status(c);
}

static int store_secret(struct gw_call *c, const struct gw_reach *k, const struct fetch_entry *e)
{
    int status = gw_secret_store(c, e, k->id);

    if (!status && (!gw_exec(c, "UPDATE connection SET version = version + 1 WHERE id = $1", GS_WITH(k->id)) ||
                    !audit(c, "connection.reauthenticated", k->id, NULL)))
        status = gw_status(c);
    return status;
}

static int edit(struct gw_call *c, const struct gw_reach *k)
{
    GW_AUTO_FORM f = {0};
    const struct fetch_entry *e = NULL;
    int status = need_entry(c, k, &e);

    if (!status && gw_has(c, "/settings"))
        status = gw_form_read(c, e, k->settings, &f);
    if (!status)
        status = need_secret_again(c, e, &f);
    if (!status)
        status = store_edit(c, k, &f);
    if (!status && gw_secret_given(c))
        status = store_secret(c, k, e);
    if (!status && !gw_reach_ask(c, k->id))
        status = gw_status(c);
    return status;
}

static int connection_edit(struct gw_call *c)
{
    GW_AUTO_REACH k = {0};
    int status = gw_reach_open(c, &k);

    if (!status && !k.own)
        status = gw_forbidden(c, "Only its owner changes a connection; administrators share, stop, re-authenticate and "
                                 "delete it");
    if (!status)
        status = edit(c, &k);
    return status ? status : show(c, 200, gw_item(c));
}

static int connection_reauthenticate(struct gw_call *c)
{
    GW_AUTO_REACH k = {0};
    const struct fetch_entry *e = NULL;
    int status = gw_reach_open(c, &k);

    if (!status)
        status = need_manage(c, &k);
    if (!status)
        status = need_entry(c, &k, &e);
    if (!status)
        status = store_secret(c, &k, e);
    if (!status && !gw_reach_ask(c, k.id))
        status = gw_status(c);
    return status ? status : show(c, 200, gw_item(c));
}

static int connection_delete(struct gw_call *c)
{
    GW_AUTO_REACH k = {0};
    char detail[64];
    int links = 0, status = gw_reach_open(c, &k);

    if (!status)
        status = need_manage(c, &k);
    if (!status)
        status = gw_reach_unlink(c, &k, gw_flag(c, "detach"), &links);
    if (status)
        return status;
    snprintf(detail, sizeof(detail), "{\"detached\":%d}", links);
    if (!audit(c, "connection.deleted", k.id, detail) ||
        !gw_exec(c, "DELETE FROM connection WHERE id = $1", GS_WITH(k.id)))
        return gw_status(c);
    return gw_no_content(c);
}

/* ---- sharing, stopping, handing over ---- */

static int set_shared(struct gw_call *c, bool shared)
{
    GW_AUTO_REACH k = {0};
    const struct fetch_entry *e = NULL;
    const char *rule = NULL;
    int status = gw_reach_open(c, &k);

    if (!status)
        status = need_entry(c, &k, &e);
    if (!status && shared)
        status = read_rule(c, e, &rule);
    if (!status && gs_str_eq(rule, "never"))
        status = gw_fail(c, 409, "sharing-rule", "Connections of %s are never shared in this organisation",
                         e->connector->label);
    if (status || k.shared == shared)
        return status ? status : show(c, 200, gw_item(c));
    if (!gw_exec(c, "UPDATE connection SET shared = $2 WHERE id = $1", GS_WITH(k.id, shared ? "true" : "false")) ||
        !audit(c, shared ? "connection.shared" : "connection.unshared", k.id, NULL))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

static int connection_share(struct gw_call *c)
{
    return set_shared(c, true);
}

static int connection_unshare(struct gw_call *c)
{
    return set_shared(c, false);
}

static int set_stopped(struct gw_call *c, const char *reason)
{
    static const char sql[] = "UPDATE connection SET stopped_reason = $2 WHERE id = $1 AND stopped_reason IS DISTINCT "
                              "FROM $2 RETURNING json_build_object('reason', $2::text)";
    GW_AUTO_REACH k = {0};
    int status = gw_reach_open(c, &k);

    if (!status)
        status = need_manage(c, &k);
    if (status)
        return status;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(k.id, reason));
    if (!r || (PQntuples(r) && !audit(c, reason ? "connection.stopped" : "connection.started", k.id,
                                      reason ? PQgetvalue(r, 0, 0) : NULL)))
        return gw_status(c);
    return show(c, 200, gw_item(c));
}

static int connection_stop(struct gw_call *c)
{
    const char *reason = gw_text(c, "/reason");

    return set_stopped(c, reason ? reason : "stopped by a person");
}

static int connection_start(struct gw_call *c)
{
    return set_stopped(c, NULL);
}

/* Whose a private one becomes, its owner alone decides: with it goes the use of a secret. */
static int connection_transfer(struct gw_call *c)
{
    GW_AUTO_REACH k = {0};
    char person[GW_ID_TEXT], detail[64];
    int status = gw_reach_open(c, &k);

    if (!status && !k.own && !(k.shared && k.manage))
        status = gw_forbidden(c, "Its owner hands over a connection; administrators only one that is shared");
    if (!status)
        status = gw_person_find(c, gw_text(c, "/person_id"), "/person_id", person);
    if (status)
        return status;
    snprintf(detail, sizeof(detail), "{\"owner_id\":\"%.36s\"}", gw_text(c, "/person_id"));
    if (!gw_exec(c, "UPDATE connection SET owner_id = $2 WHERE id = $1", GS_WITH(k.id, person)) ||
        !audit(c, "connection.transferred", k.id, detail))
        return gw_status(c);
    /* Whoever gave it away may not see it any more. */
    return k.shared || gw_who(c)->role >= GW_ADMIN ? show(c, 200, gw_item(c)) : gw_no_content(c);
}

const struct gw_op gw_ops_connection[] = {
    {"connection_list", connection_list},         {"connection_create", connection_create},
    {"connection_get", connection_get},           {"connection_edit", connection_edit},
    {"connection_delete", connection_delete},     {"connection_reauthenticate", connection_reauthenticate},
    {"connection_share", connection_share},       {"connection_unshare", connection_unshare},
    {"connection_stop", connection_stop},         {"connection_start", connection_start},
    {"connection_transfer", connection_transfer}, {0},
};
