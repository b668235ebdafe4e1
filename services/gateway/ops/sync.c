/* Sync now: the scheduler takes the request up. */
#include "services/gateway/ops.h"

#include "services/gateway/link.h"

/* An answer counts when its slot is not older than this: the moment of a request's claim becomes its slot. */
static const char asked_sql[] =
    "SELECT json_build_object('link_id', $1::uuid, 'asked_at', api_time(clock_timestamp()))";

static int link_sync(struct gw_call *c)
{
    GW_AUTO_LINK l = {0};
    int status = gw_link_open(c, &l);

    if (status)
        return status;
    if (l.pushed)
        return gw_fail(c, 409, "pushed-source",
                       "This link's source sends its numbers by itself; there is nothing to ask");
    status = gw_link_need_live(c, l.status);
    if (status)
        return status;
    if (l.paused[0])
        return gw_fail(c, 409, "gate-closed", "The link is paused: %s", l.paused);
    if (!gw_link_ask(c, l.id) || !gw_audit(c, "sync.requested", "link", l.public_id, NULL))
        return gw_status(c);
    return gw_answer(c, 202, gw_query(c, asked_sql, GS_WITH(l.public_id)));
}

/* Private goals' links too: an administrator asks for all of them, and sees a number of links. */
static const char sync_all_sql[] =
    "WITH all_links AS (SELECT k.batch_id, k.state = 'active' AND c.paused_reason IS NULL AND NOT b.pushed AS asked "
    "FROM link k JOIN connection c ON c.id = k.connection_id JOIN link_batch b ON b.id = k.batch_id "
    "WHERE k.org_id = $1), requested AS (INSERT INTO sync_request (batch_id) SELECT DISTINCT batch_id FROM all_links "
    "WHERE asked ORDER BY batch_id ON CONFLICT DO NOTHING) "
    "SELECT json_build_object('links', count(*) FILTER (WHERE asked), 'left_out', count(*) FILTER (WHERE NOT asked), "
    "'asked_at', api_time(clock_timestamp())) FROM all_links";

static int organisation_sync(struct gw_call *c)
{
    if (!gw_link_see_all(c, true))
        return gw_status(c);
    PGresult *r = gw_query(c, sync_all_sql, GS_WITH(gw_item(c)));
    if (!r)
        return gw_status(c);
    if (!gw_link_see_all(c, false) || !gw_exec(c, "NOTIFY goalsync_sync", GS_NO_PARAMS) ||
        !gw_audit(c, "sync.requested", "organisation", gw_who(c)->org_public, NULL)) {
        PQclear(r);
        return gw_status(c);
    }
    return gw_answer(c, 202, r);
}

const struct gw_op gw_ops_sync[] = {
    {"link_sync", link_sync},
    {"organisation_sync", organisation_sync},
    {0},
};
