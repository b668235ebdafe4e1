/* Periods: the planning year's own, and custom ones. */
#include "services/gateway/ops.h"

#include "common/str.h"
#include "services/gateway/exists.h"
#include "services/gateway/goal.h"

#include <stdio.h>

#define PERIOD_JSON                                                                                                    \
    "json_build_object('id', p.public_id, 'kind', p.kind, 'name', p.name, 'starts_on', p.starts_on, 'ends_on', "       \
    "p.ends_on, 'current', " IS_CURRENT ", 'revision', p.revision)"
#define IS_CURRENT  "(now() AT TIME ZONE o.time_zone)::date BETWEEN p.starts_on AND p.ends_on"
#define PERIOD_FROM " FROM period p JOIN organisation o ON o.id = p.org_id "

static int period_list(struct gw_call *c)
{
    /* By their days, then in the order in which they were made: "2026-01-01 00000000000000000017". */
    static const char sql[] =
        "SELECT " PERIOD_JSON ", p.starts_on || to_char(p.id, 'FM00000000000000000000')" PERIOD_FROM
        "WHERE p.org_id = $1 AND ($2::text IS NULL OR p.starts_on || to_char(p.id, 'FM00000000000000000000') > $2) AND "
        "($3::text IS NULL OR p.kind::text = $3) AND ($4::boolean IS NULL OR (" IS_CURRENT
        ") = $4) ORDER BY 2 LIMIT $5";

    return gw_answer_page(c, gw_query(c, sql,
                                      GS_WITH(gw_item(c), gw_page_cursor(c), gw_param(c, "kind"),
                                              gw_param(c, "current"), gw_page_rows(c))));
}

static int show(struct gw_call *c, int status, const char *period)
{
    static const char sql[] = "SELECT " PERIOD_JSON ", p.revision, '/api/v1/periods/' || p.public_id AS "
                              "location" PERIOD_FROM "WHERE p.id = $1";
    PGresult *r = gw_query(c, sql, GS_WITH(period));

    if (r && PQntuples(r)) {
        gw_etag(c, gs_db_get(r, 0, "revision"));
        if (status == 201)
            gw_header_set(c, "Location", gs_db_get(r, 0, "location"));
    }
    return gw_answer(c, status, r);
}

static int period_get(struct gw_call *c)
{
    return show(c, 200, gw_item(c));
}

static bool audit(struct gw_call *c, const char *action, const char *period)
{
    static const char sql[] =
        "SELECT public_id, json_build_object('name', name, 'starts_on', starts_on, 'ends_on', ends_on) "
        "FROM period WHERE id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(period));

    return r && gw_audit(c, action, "period", PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1));
}

static int period_create(struct gw_call *c)
{
    static const char sql[] = "INSERT INTO period (org_id, kind, name, starts_on, ends_on) SELECT calling('org'), "
                              "'custom', $1, $2::date, $3::date WHERE $2::date <= $3::date RETURNING id";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_text(c, "/name"), gw_text(c, "/starts_on"), gw_text(c, "/ends_on")));

    if (!r)
        return gw_exists(c, "period");
    if (PQntuples(r) == 0)
        return gw_invalid(c, "/ends_on", "is before starts_on");
    return audit(c, "period.created", PQgetvalue(r, 0, 0)) ? show(c, 201, PQgetvalue(r, 0, 0)) : gw_status(c);
}

/* The planning year's own are named as people like; when they are is the planning year's. */
static int open_period(struct gw_call *c, bool *ret_custom, bool *ret_over)
{
    static const char sql[] =
        "SELECT p.revision, p.kind = 'custom' AS custom, p.ends_on < (now() AT TIME ZONE o.time_zone)::date AS "
        "over" PERIOD_FROM "WHERE p.id = $1 FOR UPDATE OF p";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c)));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "period");
    *ret_custom = gs_db_get_bool(r, 0, "custom");
    *ret_over = gs_db_get_bool(r, 0, "over");
    return gw_match(c, gs_db_get(r, 0, "revision"));
}

static int period_edit(struct gw_call *c)
{
    static const char sql[] =
        "UPDATE period SET name = coalesce($2, name), starts_on = coalesce($3::date, starts_on), ends_on = "
        "coalesce($4::date, ends_on) WHERE id = $1 AND coalesce($3::date, starts_on) <= coalesce($4::date, ends_on) "
        "RETURNING id";
    const char *starts = gw_text(c, "/starts_on"), *ends = gw_text(c, "/ends_on");
    bool custom, over;
    int status = open_period(c, &custom, &over);

    if (status)
        return status;
    if (!custom && (starts || ends))
        return gw_fail(c, 409, "planning-year",
                       "The days of this period follow from the organisation's planning year; make a custom period "
                       "for other days");
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(gw_item(c), gw_text(c, "/name"), starts, ends));
    if (!r)
        return gw_exists(c, "period");
    if (PQntuples(r) == 0)
        return gw_invalid(c, ends ? "/ends_on" : "/starts_on", "would leave the period an end before its start");
    return audit(c, "period.edited", gw_item(c)) ? show(c, 200, gw_item(c)) : gw_status(c);
}

static int need_unused(struct gw_call *c)
{
    if (!gw_goal_see_all(c, true))
        return gw_status(c);
    GS_AUTO_RESULT r = gw_query(c, "SELECT count(*) AS n FROM goal WHERE period_id = $1", GS_WITH(gw_item(c)));
    if (!r || !gw_goal_see_all(c, false))
        return gw_status(c);
    if (gs_db_get_int(r, 0, "n") == 0)
        return 0;
    return gw_fail(c, 409, "in-use", "%s goals are in this period; move them to another one first",
                   gs_db_get(r, 0, "n"));
}

static int period_delete(struct gw_call *c)
{
    bool custom, over;
    int status = open_period(c, &custom, &over);

    if (!status && !custom && !over)
        status = gw_fail(c, 409, "planning-year",
                         "This period is one of the organisation's planning year, which would make it again");
    if (!status)
        status = need_unused(c);
    if (status)
        return status;
    if (!audit(c, "period.deleted", gw_item(c)) || !gw_exec(c, "DELETE FROM period WHERE id = $1", GS_WITH(gw_item(c))))
        return gw_status(c);
    return gw_no_content(c);
}

const struct gw_op gw_ops_period[] = {
    {"period_list", period_list}, {"period_create", period_create}, {"period_get", period_get},
    {"period_edit", period_edit}, {"period_delete", period_delete}, {0},
};
