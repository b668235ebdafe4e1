/* Mentions in check-ins and comments. */
#include "services/gateway/said.h"

#include "common/str.h"

int gw_mention(struct gw_call *c, const char *goal, const char *check_in, const char *comment)
{
    static const char people_sql[] =
        "SELECT x, cardinality(x) = CASE jsonb_typeof($1::jsonb->'mention_ids') WHEN 'array' THEN "
        "jsonb_array_length($1::jsonb->'mention_ids') ELSE 0 END FROM (SELECT people_of($1::jsonb->'mention_ids') AS "
        "x) "
        "p";
    static const char store_sql[] =
        "WITH gone AS (DELETE FROM mention WHERE goal_id = $1 AND (check_in_id = $2 OR comment_id = $3) AND person_id "
        "<> "
        "ALL ($4::bigint[])) INSERT INTO mention (org_id, goal_id, check_in_id, comment_id, person_id) SELECT "
        "calling('org'), $1, $2, $3, x FROM unnest($4::bigint[]) x ON CONFLICT DO NOTHING";

    if (!gw_has(c, "/mention_ids"))
        return 0;
    GS_AUTO_RESULT r = gw_query(c, people_sql, GS_WITH(gw_body_text(c, NULL)));
    if (!r)
        return gw_status(c);
    if (*PQgetvalue(r, 0, 1) != 't')
        return gw_invalid(c, "/mention_ids", "names somebody who is not in this organisation");
    return gw_exec(c, store_sql, GS_WITH(goal, check_in, comment, PQgetvalue(r, 0, 0))) ? 0 : gw_status(c);
}
