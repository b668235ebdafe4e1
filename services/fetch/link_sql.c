/* The statements by which links are stored. */
#include "services/fetch/link_sql.h"

#include <stdio.h>

const char fetch_link_batch_sql[] =
    "INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key, pushed) SELECT id, org_id, $2, $3, $4 "
    "FROM connection WHERE id = $1 ON CONFLICT (connection_id, batch_key) DO UPDATE SET batch_key = "
    "EXCLUDED.batch_key RETURNING id";

const char fetch_link_room_sql[] =
    "SELECT count(*) AS n, coalesce(sum(octet_length(settings::text)), 0) AS bytes FROM link WHERE batch_id = $1 "
    "AND state = 'active'";

const char fetch_link_insert_sql[] =
    "INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings, linked_by) SELECT org_id, $1, id, $3, $4, "
    "nullif($5, '')::bigint FROM connection WHERE id = $2 RETURNING id";

const char fetch_link_edit_sql[] =
    "UPDATE link SET connection_id = $2, batch_id = $3, settings = $4, revision = revision + 1, outcome = NULL, "
    "error = NULL, failures = 0, failing_since = NULL, waiting_until = NULL WHERE id = $1";

const char fetch_link_revision_sql[] =
    "INSERT INTO link_revision (link_id, revision, connection_id, settings, changed_by) SELECT id, revision, "
    "connection_id, settings, nullif($2, '')::bigint FROM link WHERE id = $1";

const char fetch_link_feed_sql[] =
    "INSERT INTO activity (org_id, goal_id, person_id, kind, data) SELECT k.org_id, k.goal_id, nullif($3, "
    "'')::bigint, $2, jsonb_build_object('link_id', k.public_id, 'revision', k.revision, 'connector', c.connector, "
    "'connection', c.name, 'settings', k.settings) FROM link k JOIN connection c ON c.id = k.connection_id WHERE "
    "k.id = $1";

const char fetch_link_drop_batch_sql[] =
    "DELETE FROM link_batch WHERE id = $1 AND NOT EXISTS (SELECT FROM link WHERE batch_id = $1)";

const char fetch_link_sync_sql[] =
    "INSERT INTO sync_request (batch_id) SELECT DISTINCT k.batch_id FROM link k JOIN link_batch b ON b.id = k.batch_id "
    "WHERE k.id = ANY ($1::bigint[]) AND NOT b.pushed ORDER BY k.batch_id ON CONFLICT DO NOTHING";

void fetch_link_batch_key(const struct fetch_connector *c, const struct fetch_settings *link, const char *goal,
                          char ret_key[65])
{
    if (c->pushed)
        snprintf(ret_key, 65, "goal-%s", goal);
    else
        fetch_batch_key(c, link, ret_key);
}
