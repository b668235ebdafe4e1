/* The audit, for those who answer for it. */
#include "services/gateway/ops.h"

/* $1: the organisation; null: all of them. */
static const char list_sql[] =
    "SELECT json_build_object('number', c.seq, 'at', api_time(a.at), 'organisation_id', o.public_id, "
    "'actor', a.actor, 'actor_name', coalesce(CASE WHEN a.actor ~ '^person:[0-9a-f-]{36}$' THEN (SELECT p.name FROM "
    "person p WHERE p.public_id = substr(a.actor, 8)::uuid) WHEN a.actor ~ '^account:[0-9a-f-]{36}$' THEN (SELECT "
    "x.name "
    "FROM account x WHERE x.public_id = substr(a.actor, 9)::uuid) END, a.actor), 'action', a.action, 'target', "
    "a.target, 'detail', a.detail, 'hash', encode(c.hash, 'hex')), "
    "jsonb_build_array(a.at, a.id)::text FROM audit a JOIN audit_chain c ON c.audit_id = a.id "
    "LEFT JOIN organisation o ON o.id = a.org_id WHERE ($1::bigint IS NULL OR a.org_id = $1) "
    "AND ($2::text IS NULL OR starts_with(a.action, $2)) AND ($3::text IS NULL OR a.actor = $3) "
    "AND ($4::text IS NULL OR a.target = $4) AND ($5::timestamptz IS NULL OR a.at >= $5) "
    "AND ($6::timestamptz IS NULL OR a.at < $6) "
    "AND ($7::jsonb IS NULL OR (a.at, a.id) < (($7->>0)::timestamptz, ($7->>1)::bigint)) "
    "ORDER BY a.at DESC, a.id DESC LIMIT $8";

static int list(struct gw_call *c, const char *org)
{
    return gw_answer_page(
        c, gw_query(c, list_sql,
                    GS_WITH(org, gw_param(c, "action"), gw_param(c, "actor"), gw_param(c, "target"),
                            gw_param(c, "from"), gw_param(c, "to"), gw_page_cursor(c), gw_page_rows(c))));
}

static int audit_list(struct gw_call *c)
{
    return list(c, gw_who(c)->org);
}

static int tenant_audit_list(struct gw_call *c)
{
    return list(c, NULL);
}

const struct gw_op gw_ops_audit[] = {
    {"audit_list", audit_list},
    {"tenant_audit_list", tenant_audit_list},
    {0},
};
