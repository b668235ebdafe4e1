/* The API about itself: its description, and who the caller is. */
#include "services/gateway/ops.h"
#include "services/gateway/private.h"

static int openapi_get(struct gw_call *c)
{
    size_t len;
    const char *text = gw_document_served(c->server->document, &len);

    return gw_answer_text(c, 200, "application/json", text, len);
}

/* One's memberships are in organisations that this transaction cannot see, but for the list of one's own. */
static int me_get(struct gw_call *c)
{
    static const char sql[] =
        "SELECT json_build_object("
        "'account', (SELECT json_build_object('id', a.public_id, 'name', a.name, 'email', a.email, 'tenant_admin', "
        "a.tenant_admin) FROM account a WHERE a.id = $1), "
        "'token', (SELECT json_build_object('id', t.public_id, 'name', t.name, 'scopes', t.scopes, 'expires_at', "
        "api_time(t.expires_at)) FROM api_token t WHERE t.id = nullif($2, "
        "'')::bigint), "
        "'memberships', coalesce((SELECT json_agg(json_build_object('organisation_id', m.organisation, "
        "'organisation_name', m.name, 'person_id', m.person, 'role', m.role) ORDER BY m.name, m.organisation) "
        "FROM own_memberships() m), '[]'))";
    const struct gw_caller *who = gw_who(c);

    return gw_answer(c, 200, gw_query(c, sql, GS_WITH(who->account, who->token)));
}

const struct gw_op gw_ops_meta[] = {
    {"openapi_get", openapi_get},
    {"me_get", me_get},
    {0},
};
