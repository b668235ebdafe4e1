-- Key result i, link i and batch i read item i with account i mod :accounts; four key results roll up into an objective.
BEGIN;
INSERT INTO goal (id, org_id, kind, metric, mode, start_value, target_value, start_on, end_on, title) OVERRIDING SYSTEM VALUE
    SELECT i, 1, 'key_result', 'increase', 'data_source', i % 50, i % 50 + 5000, current_date - 30, current_date + 60, 'Key result ' || i
      FROM generate_series(1, :n) i;
INSERT INTO goal (id, org_id, kind, metric, mode, start_on, end_on, title) OVERRIDING SYSTEM VALUE
    SELECT :n + o, 1, 'objective', 'percent', 'roll_up', current_date - 30, current_date + 60, 'Objective ' || o
      FROM generate_series(1, (:n + 3) / 4) o;
ALTER TABLE goal_edge DISABLE TRIGGER goal_edge_check; -- two levels: no circle is possible
INSERT INTO goal_edge (parent_id, child_id, org_id, position) SELECT :n + (i + 3) / 4, i, 1, i % 4 FROM generate_series(1, :n) i;
ALTER TABLE goal_edge ENABLE TRIGGER goal_edge_check;

CREATE TEMP TABLE account AS SELECT id AS connection_id, (row_number() OVER (ORDER BY id))::int - 1 AS account FROM connection;
ALTER TABLE link DISABLE TRIGGER link_batch_refresh; -- its result is written at once instead
INSERT INTO link_batch (id, connection_id, org_id, slot_hash, next_due_at, link_ids, revisions, settings, batch_key) OVERRIDING SYSTEM VALUE
    SELECT i, a.connection_id, 1, 2147483646, now() + interval '1 hour', ARRAY[i], ARRAY[1], ARRAY[format('{"item": "%s"}', i)], 'item ' || i
      FROM generate_series(1, :n) i JOIN account a ON a.account = i % :accounts;
INSERT INTO link (id, org_id, goal_id, connection_id, batch_id, settings) OVERRIDING SYSTEM VALUE
    SELECT b.id, 1, b.id, b.connection_id, b.id, b.settings[1]::jsonb FROM link_batch b;
INSERT INTO link_revision (link_id, revision, connection_id, settings) SELECT id, 1, connection_id, settings FROM link;
ALTER TABLE link ENABLE TRIGGER link_batch_refresh;
COMMIT;

CREATE VIEW bench_result AS
    SELECT g.id, g.start_value::float8, g.target_value::float8, g.applied_value::float8 AS value, g.progress::float8 / 100 AS progress,
           g.applied_at AS updated_at
      FROM goal g WHERE g.kind = 'key_result';
CREATE VIEW bench_history AS SELECT goal_id AS key_result_id, value::float8 FROM observation;
CREATE FUNCTION bench_reset() RETURNS void LANGUAGE sql AS 'TRUNCATE observation';
VACUUM ANALYZE;
