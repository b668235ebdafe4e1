/* What operations on connections share. */
#include "services/gateway/reach.h"

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/credential.h"
#include "services/fetch/link_sql.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"
#include "services/gateway/vault.h"

#include <stdlib.h>
#include <string.h>

/* ---- the connection of the path ---- */

static const char open_sql[] =
    "SELECT c.id, c.public_id, c.connector, c.settings, c.shared, c.revision, o.sharing, coalesce(c.owner_id = "
    "calling('person'), false) OR c.owner_id IS NULL AND $2::boolean AS own FROM connection c LEFT JOIN "
    "org_integration o ON o.org_id = c.org_id AND o.connector = c.connector WHERE c.id = $1 FOR NO KEY UPDATE OF c";

int gw_reach_open(struct gw_call *c, struct gw_reach *ret)
{
    bool admin = gw_who(c)->role >= GW_ADMIN;

    *ret = (struct gw_reach){0};
    ret->r = gw_query(c, open_sql, GS_WITH(gw_item(c), admin ? "true" : "false"));
    if (!ret->r)
        return gw_status(c);
    if (PQntuples(ret->r) == 0)
        return gw_not_found(c, "connection");
    ret->id = gs_db_get(ret->r, 0, "id");
    ret->public_id = gs_db_get(ret->r, 0, "public_id");
    ret->integration = gs_db_get(ret->r, 0, "connector");
    ret->settings = gs_db_get(ret->r, 0, "settings");
    ret->sharing = gs_db_get(ret->r, 0, "sharing");
    ret->shared = gs_db_get_bool(ret->r, 0, "shared");
    ret->own = gs_db_get_bool(ret->r, 0, "own");
    ret->manage = ret->own || admin;
    if (!ret->manage && !ret->shared)
        return gw_not_found(c, "connection");
    return gw_match(c, gs_db_get(ret->r, 0, "revision"));
}

/* ---- settings ---- */

void gw_form_done(struct gw_form *f)
{
    f->settings = f->settings ? fetch_settings_free(f->settings) : NULL;
    gs_freep(&f->text);
    f->text = NULL;
}

/* The body's settings alone: the secret beside them must not get into a statement. */
static void put_given(struct gs_json *j, struct gs_buf *b)
{
    uint32_t object = gs_json_member(j, gs_json_root(j), "settings");
    const char *between = "";

    gs_buf_putc(b, '{');
    for (uint32_t at = gs_json_first(j, object); at != GS_JSON_NONE; at = gs_json_next(j, object, at)) {
        size_t len;
        const char *key = gs_json_key(j, at, &len);

        gs_buf_puts(b, between);
        gs_buf_put_json(b, key, len);
        gs_buf_putc(b, ':');
        if (gs_json_at_type(j, at) == GS_JSON_STRING) {
            const char *text = gs_json_at_text(j, at, &len);
            gs_buf_put_json(b, text, len);
        } else {
            gs_buf_puts(b, "null");
        }
        between = ",";
    }
    gs_buf_putc(b, '}');
}

/* A field says that it keeps the secret; all others may lead to another server, or past the check of whom it is. What
 * cannot be read any more counts as another place. */
static void find_moved(const struct fetch_entry *e, const char *old, struct gw_form *f)
{
    struct fetch_settings *before = fetch_settings_parse(e->connector->connection_fields, old, strlen(old), NULL);

    for (const struct fetch_field *x = e->connector->connection_fields; x && x->name && !f->moved[0]; x++)
        if (!x->keeps_secret &&
            (!before || !gs_str_eq(fetch_setting(before, x->name), fetch_setting(f->settings, x->name))))
            gs_str_clean(f->moved, sizeof(f->moved), x->name, strlen(x->name));
    if (before)
        fetch_settings_free(before);
}

int gw_form_read(struct gw_call *c, const struct fetch_entry *e, const char *under, struct gw_form *ret)
{
    GS_AUTO(gs_buf_done) struct gs_buf given;
    struct gs_buf text;
    struct gs_err err;

    *ret = (struct gw_form){.entry = e};
    gs_buf_init(&given, GW_BODY_MAX * 2);
    put_given(gw_body(c), &given);
    GS_AUTO_RESULT r =
        gw_query(c, "SELECT jsonb_strip_nulls($1::jsonb || $2::jsonb)", GS_WITH(under, gs_buf_str(&given)));
    if (!r)
        return gw_status(c);
    ret->settings =
        fetch_settings_parse(e->connector->connection_fields, PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0), &err);
    if (!ret->settings || fetch_settings_check(e->connector, ret->settings, NULL, &err) != GS_OK)
        return gw_invalid(c, "/settings", "%s", err.text);
    gs_buf_init(&text, 2 * FETCH_SETTINGS_MAX);
    fetch_settings_print(ret->settings, &text);
    ret->text = gs_buf_steal(&text);
    find_moved(e, under, ret);
    return 0;
}

/* ---- secrets ---- */

bool gw_secret_given(struct gw_call *c)
{
    return gs_json_type(gw_body(c), "/secret") == GS_JSON_OBJECT;
}

static int seal_failed(struct gw_call *c, const struct gs_err *err)
{
    gs_log_error(NULL, "sealing failed", "request=%s error=\"%s\"", gw_request_id(c), err->text);
    return gw_fail(c, 503, "vault", "The secret cannot be sealed now; the operator finds the reason in the log");
}

int gw_secret_store(struct gw_call *c, const struct fetch_entry *e, const char *connection)
{
    const struct gs_vault_db db = gw_vault_db(c);
    struct gs_buf secret;
    struct gs_err err;
    int status = 0;

    gs_buf_init(&secret, 2 * GS_SECRET_MAX);
    if (fetch_credential_read(e->connector, gw_body(c), "/secret", &secret, &err) != GS_OK)
        status = gw_invalid(c, "/secret", "is not usable: %s", err.text);
    if (!status) {
        enum gs_rc rc =
            fetch_credential_store(&db, gw_vault_keyring(e->category), e, gw_who(c)->org, connection, &secret, &err);
        status = rc == GS_OK ? 0 : rc == GS_RETRY ? gw_status(c) : seal_failed(c, &err);
    }
    if (secret.data)
        gs_wipe(secret.data, secret.cap);
    gs_buf_done(&secret);
    return status;
}

/* ---- links ---- */

bool gw_reach_ask(struct gw_call *c, const char *connection)
{
    static const char sql[] =
        "SELECT coalesce(array_agg(k.id), '{}') FROM link k WHERE k.connection_id = $1 AND k.state "
        "= 'active' AND k.failures > 0";

    if (!gw_goal_see_all(c, true))
        return false;
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(connection));
    return r && gw_exec(c, fetch_link_sync_sql, GS_WITH(PQgetvalue(r, 0, 0))) &&
           gw_exec(c, "NOTIFY goalsync_sync", GS_NO_PARAMS) && gw_goal_see_all(c, false);
}

/* Goals are locked first, in the order of their ids, as everywhere. */
static const char links_sql[] = "SELECT k.id, k.public_id, k.goal_id, json_build_object('goal', g.public_id, "
                                "'connection', $2::text, 'integration', "
                                "$3::text, 'revision', k.revision) AS detail FROM link k JOIN goal g ON g.id = "
                                "k.goal_id WHERE k.connection_id = $1 "
                                "ORDER BY g.id FOR NO KEY UPDATE OF g";

static bool unlink_one(struct gw_call *c, const PGresult *links, int i)
{
    const char *link = gs_db_get(links, i, "id");

    return gw_exec(c, fetch_link_feed_sql, GS_WITH(link, "unlinked", gw_who(c)->person)) &&
           gw_audit(c, "link.deleted", "link", gs_db_get(links, i, "public_id"), gs_db_get(links, i, "detail")) &&
           gw_note(c, GW_GOAL_EDITED, gs_db_get(links, i, "goal_id"), NULL) &&
           gw_exec(c, "DELETE FROM link WHERE id = $1", GS_WITH(link));
}

int gw_reach_unlink(struct gw_call *c, const struct gw_reach *k, bool detach, int *ret_n)
{
    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT links = gw_query(c, links_sql, GS_WITH(k->id, k->public_id, k->integration));
    if (!links)
        return gw_status(c);
    *ret_n = PQntuples(links);
    if (*ret_n && !detach)
        return gw_fail(c, 409, "in-use",
                       "%d goals take their numbers by this connection; link them by another one first, or add "
                       "detach=true: they then keep their values and have no source",
                       *ret_n);
    for (int i = 0; i < *ret_n; i++)
        if (!unlink_one(c, links, i))
            return gw_status(c);
    return gw_goal_see_all(c, false) ? 0 : gw_status(c);
}
