-- Organisations, people, goals, integrations, schedule, history, outbox.
--
-- Instants are timestamptz, decimals numeric(38,18), progress is percent. Every row carries its organisation's id.
-- Roles are group roles without login, one for each service, with the least rights; an operator grants them to login roles.

CREATE TYPE boundary AS ENUM ('in_boundary', 'cross_boundary', 'third_party');
CREATE TYPE goal_kind AS ENUM ('objective', 'key_result', 'project');
CREATE TYPE goal_metric AS ENUM ('percent', 'reach', 'increase', 'decrease', 'stay_below', 'stay_above', 'baseline');
CREATE TYPE progress_mode AS ENUM ('manual', 'roll_up', 'data_source');
CREATE TYPE status_mode AS ENUM ('progress', 'key_results');
CREATE TYPE override_kind AS ENUM ('none', 'one_off', 'sticky');
CREATE TYPE goal_status AS ENUM ('not_started', 'on_track', 'behind', 'at_risk', 'in_progress', 'closed', 'postponed', 'reopened');
CREATE TYPE org_role AS ENUM ('owner', 'admin', 'member');
CREATE TYPE link_state AS ENUM ('active', 'paused', 'detached');
CREATE TYPE fetch_outcome AS ENUM ('ok', 'retry', 'waiting', 'denied', 'gone', 'rejected', 'expired');

-- ---------------------------------------------------------------- organisations and people

CREATE TABLE organisation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
    time_zone text NOT NULL DEFAULT 'UTC',
    behind_above numeric(5, 2) NOT NULL DEFAULT 0,
    at_risk_above numeric(5, 2) NOT NULL DEFAULT 25,
    status_mode status_mode NOT NULL DEFAULT 'progress',
    status_day date NOT NULL DEFAULT '-infinity', -- the local day up to which derived statuses were passed over
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (0 <= behind_above AND behind_above < at_risk_above AND at_risk_above <= 100),
    CHECK (timestamptz '2000-01-01 00:00Z' AT TIME ZONE time_zone IS NOT NULL) -- an unknown zone is refused here, not met later
);

CREATE TABLE person (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    email text NOT NULL CHECK (email ~ '^[^@\s]+@[^@\s]+$' AND length(email) <= 254),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    role org_role NOT NULL DEFAULT 'member',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX person_email ON person (org_id, lower(email));

-- ---------------------------------------------------------------- goals

CREATE TABLE goal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    kind goal_kind NOT NULL,
    metric goal_metric NOT NULL DEFAULT 'percent',
    mode progress_mode NOT NULL DEFAULT 'manual',
    override override_kind NOT NULL DEFAULT 'none',
    status goal_status NOT NULL DEFAULT 'not_started',
    status_by_hand boolean NOT NULL DEFAULT false, -- holds until the next changed automatic value
    version bigint NOT NULL DEFAULT 0,             -- grows with every change of value, progress or status
    start_value numeric(38, 18),
    target_value numeric(38, 18),
    risk_value numeric(38, 18),
    auto_value numeric(38, 18),    -- always moves with the source or the children
    applied_value numeric(38, 18), -- what counts; differs from auto_value while overridden
    progress numeric NOT NULL DEFAULT 0,  -- shown, 0 to 100; meaningless while has_value is false
    raw_progress numeric NOT NULL DEFAULT 0,
    has_value boolean NOT NULL DEFAULT false,
    start_on date NOT NULL,
    end_on date NOT NULL,
    last_slot timestamptz,   -- nominal slot of the newest applied fetch: a result for this or an older slot is not applied
    fetched_at timestamptz,  -- when the source last answered
    source_at timestamptz,   -- the source's own time of the number
    applied_at timestamptz,  -- when the value last changed here
    owner_id bigint REFERENCES person,
    unit text NOT NULL DEFAULT '' CHECK (length(unit) <= 20),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (start_on <= end_on)
) WITH (fillfactor = 70); -- room for HOT updates: no index covers what a sync writes
CREATE INDEX goal_org ON goal (org_id, id);

-- A weight belongs to the edge. null: a free share.
CREATE TABLE goal_edge (
    parent_id bigint NOT NULL REFERENCES goal,
    child_id bigint NOT NULL REFERENCES goal,
    org_id bigint NOT NULL REFERENCES organisation,
    weight_hundredths int CHECK (weight_hundredths BETWEEN 0 AND 10000), -- fixed weight in 1/100 of a percent
    contributes boolean NOT NULL DEFAULT true,
    position int NOT NULL DEFAULT 0, -- "the earlier child"
    PRIMARY KEY (parent_id, child_id),
    CHECK (parent_id <> child_id)
);
CREATE INDEX goal_edge_child ON goal_edge (child_id, parent_id); -- the way up is read from the index alone

CREATE TABLE goal_task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    goal_id bigint NOT NULL REFERENCES goal,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 500),
    done boolean NOT NULL DEFAULT false,
    due_on date,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX goal_task_goal ON goal_task (goal_id);

-- No cycles: edges of an organisation are added one transaction at a time.
CREATE FUNCTION goal_edge_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('goal_edge', NEW.org_id));
    IF (SELECT count(*) FROM goal WHERE id IN (NEW.parent_id, NEW.child_id) AND org_id = NEW.org_id) <> 2 THEN
        RAISE EXCEPTION 'goals % and % are not both of organisation %', NEW.parent_id, NEW.child_id, NEW.org_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        WITH RECURSIVE above(id) AS (
            SELECT NEW.parent_id
            UNION
            SELECT e.parent_id FROM goal_edge e JOIN above a ON e.child_id = a.id)
        SELECT FROM above WHERE id = NEW.child_id) THEN
        RAISE EXCEPTION 'goal % stands above goal % already: aligning it below would make a circle', NEW.child_id, NEW.parent_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER goal_edge_check BEFORE INSERT OR UPDATE OF parent_id, child_id ON goal_edge
    FOR EACH ROW EXECUTE FUNCTION goal_edge_check();

-- ---------------------------------------------------------------- integrations

-- The tenant's policy: an integration without a row is allowed.
CREATE TABLE integration_policy (
    connector text PRIMARY KEY,
    allowed boolean NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE org_integration (
    org_id bigint NOT NULL REFERENCES organisation,
    connector text NOT NULL,
    enabled boolean NOT NULL,
    enabled_by bigint REFERENCES person,
    terms_url text,          -- as accepted
    terms_accepted_at timestamptz,
    PRIMARY KEY (org_id, connector)
);

CREATE TABLE connection (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    connector text NOT NULL,
    category boundary NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    owner_id bigint REFERENCES person,
    shared boolean NOT NULL DEFAULT false,
    settings jsonb NOT NULL DEFAULT '{}',
    version int NOT NULL DEFAULT 1, -- grows when settings or credential change
    paused_reason text,             -- null: runs. Kept by connection_gates() below, never set by hand
    stopped_reason text,            -- set by a person or by the health rules
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, connector, name)
);

-- A data key seals the credentials of one organisation in one category; it is itself sealed under the category's key.
CREATE TABLE data_key (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    category boundary NOT NULL,
    sealed bytea,           -- null only inside the transaction that makes it (the id is part of what is sealed)
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX data_key_org ON data_key (org_id, category, id DESC);

CREATE TABLE credential (
    connection_id bigint PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
    org_id bigint NOT NULL REFERENCES organisation,
    category boundary NOT NULL,
    data_key_id bigint NOT NULL REFERENCES data_key,
    sealed bytea NOT NULL, -- JSON object of the secret fields, sealed at the place credential:<connection>:<category>
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Why a connection may not be used now; null: it may.
CREATE FUNCTION connection_gates(c connection) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT coalesce((SELECT allowed FROM integration_policy WHERE connector = c.connector), true)
            THEN 'the integration is not allowed by the tenant administrator'
        WHEN NOT coalesce((SELECT enabled FROM org_integration WHERE org_id = c.org_id AND connector = c.connector), false)
            THEN 'the integration is not enabled in this organisation'
        ELSE c.stopped_reason
    END
$$;

CREATE FUNCTION connection_gates_refresh() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed text := coalesce(NEW.connector, OLD.connector);
BEGIN
    UPDATE connection c SET paused_reason = connection_gates(c)
     WHERE c.connector = changed AND c.paused_reason IS DISTINCT FROM connection_gates(c);
    RETURN NULL;
END $$;
CREATE TRIGGER connection_gates_refresh AFTER INSERT OR UPDATE OR DELETE ON integration_policy
    FOR EACH ROW EXECUTE FUNCTION connection_gates_refresh();
CREATE TRIGGER connection_gates_refresh AFTER INSERT OR UPDATE OR DELETE ON org_integration
    FOR EACH ROW EXECUTE FUNCTION connection_gates_refresh();
CREATE FUNCTION connection_gates_set() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.paused_reason := connection_gates(NEW);
    RETURN NEW;
END $$;
-- Workers remember connections; they are told at once.
CREATE FUNCTION connection_gates_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('goalsync_gates', '');
    RETURN NULL;
END $$;
CREATE TRIGGER connection_gates_tell AFTER UPDATE OF paused_reason, stopped_reason ON connection
    FOR EACH STATEMENT EXECUTE FUNCTION connection_gates_tell();
CREATE TRIGGER connection_gates_set BEFORE INSERT OR UPDATE OF stopped_reason, connector, org_id ON connection
    FOR EACH ROW EXECUTE FUNCTION connection_gates_set();

-- ---------------------------------------------------------------- links and their schedule

-- Links of one connection that are asked together. The scheduler reads nothing but this table and `connection`: what a
-- request needs of the links is kept here by link_batch_refresh().
CREATE TABLE link_batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id bigint NOT NULL REFERENCES connection ON DELETE CASCADE,
    org_id bigint NOT NULL REFERENCES organisation,
    slot_hash int NOT NULL,       -- 0 .. 2^31-1: hash of (connection, batch key); place in the hour
    attempt int NOT NULL DEFAULT 0, -- failed tries since the last answer
    next_due_at timestamptz,      -- null: nothing to ask
    link_ids bigint[] NOT NULL DEFAULT '{}',
    revisions int[] NOT NULL DEFAULT '{}',
    settings text[] NOT NULL DEFAULT '{}',
    batch_key text NOT NULL,
    UNIQUE (connection_id, batch_key)
) WITH (fillfactor = 80);
CREATE INDEX link_batch_due ON link_batch (next_due_at);

-- Sync now, not yet taken up. A table of its own: a row of link_batch has three indexes, and each request would move it
-- twice. Without a foreign key: the row of a batch that is gone is deleted by the next claim.
CREATE TABLE sync_request (
    batch_id bigint PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sync_request_at ON sync_request (requested_at);

CREATE TABLE link (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    goal_id bigint NOT NULL UNIQUE REFERENCES goal, -- one source for each goal
    connection_id bigint NOT NULL REFERENCES connection,
    batch_id bigint NOT NULL REFERENCES link_batch,
    revision int NOT NULL DEFAULT 1,
    state link_state NOT NULL DEFAULT 'active',
    paused_reason text,
    outcome fetch_outcome,        -- of the newest request; null: none yet
    error text,                   -- a sentence; null when the newest request was answered
    failures int NOT NULL DEFAULT 0, -- in a row
    failing_since timestamptz,
    waiting_until timestamptz,    -- the source's limit
    failed_slot timestamptz,      -- slot and try of the newest failure counted: a replayed one counts once
    failed_attempt int NOT NULL DEFAULT 0,
    linked_by bigint REFERENCES person,
    settings jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX link_batch_id ON link (batch_id);
CREATE INDEX link_connection ON link (connection_id);
CREATE INDEX link_failing ON link (org_id) WHERE failures > 0;

-- What a link asked at each revision: the evidence behind the numbers in `observation`.
CREATE TABLE link_revision (
    link_id bigint NOT NULL REFERENCES link ON DELETE CASCADE,
    revision int NOT NULL,
    connection_id bigint NOT NULL,
    settings jsonb NOT NULL,
    changed_by bigint,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (link_id, revision)
);

CREATE FUNCTION link_batch_refresh() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    batches bigint[] := ARRAY[]::bigint[];
BEGIN
    IF TG_OP <> 'INSERT' THEN batches := batches || OLD.batch_id; END IF;
    IF TG_OP <> 'DELETE' THEN batches := batches || NEW.batch_id; END IF;
    PERFORM FROM link_batch WHERE id = ANY (batches) ORDER BY id FOR UPDATE;
    UPDATE link_batch b
       SET link_ids = l.ids, revisions = l.revisions, settings = l.settings,
           next_due_at = CASE WHEN cardinality(l.ids) = 0 THEN NULL ELSE coalesce(b.next_due_at, now()) END
      FROM (SELECT x.id AS batch_id,
                   coalesce(array_agg(k.id ORDER BY k.id) FILTER (WHERE k.id IS NOT NULL), '{}') AS ids,
                   coalesce(array_agg(k.revision ORDER BY k.id) FILTER (WHERE k.id IS NOT NULL), '{}') AS revisions,
                   coalesce(array_agg(k.settings::text ORDER BY k.id) FILTER (WHERE k.id IS NOT NULL), '{}') AS settings
              FROM (SELECT DISTINCT unnest(batches)) AS x(id)
              LEFT JOIN link k ON k.batch_id = x.id AND k.state = 'active'
             GROUP BY x.id) l
     WHERE b.id = l.batch_id;
    RETURN NULL;
END $$;
CREATE TRIGGER link_batch_refresh AFTER INSERT OR DELETE OR UPDATE OF state, revision, settings, batch_id ON link
    FOR EACH ROW EXECUTE FUNCTION link_batch_refresh();

-- ---------------------------------------------------------------- history

-- Changes only, one row for each applied change of a linked goal's number. What was asked: link_revision.
CREATE TABLE observation (
    goal_id bigint NOT NULL,
    slot timestamptz NOT NULL, -- nominal slot
    org_id bigint NOT NULL,
    link_id bigint NOT NULL,
    revision int NOT NULL,
    rows_seen int NOT NULL,
    fetched_at timestamptz NOT NULL,
    source_at timestamptz,
    applied_at timestamptz NOT NULL DEFAULT now(),
    value numeric(38, 18) NOT NULL,
    PRIMARY KEY (goal_id, slot)
) PARTITION BY RANGE (slot);
CREATE TABLE observation_default PARTITION OF observation DEFAULT;

-- What people see in a goal's feed beside the observations: status changes, failures and recoveries, check-ins.
CREATE TABLE activity (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    org_id bigint NOT NULL,
    goal_id bigint NOT NULL,
    person_id bigint, -- null: goalsync itself
    kind text NOT NULL, -- status_changed, source_failed, source_recovered, checked_in, linked, ...
    data jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (goal_id, at, id)
) PARTITION BY RANGE (at);
CREATE TABLE activity_default PARTITION OF activity DEFAULT;

-- Makes the monthly partitions from the month before `day` to two months after it; returns how many were new.
CREATE FUNCTION make_partitions(day date DEFAULT current_date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made int := 0;
    part text;
    first date;
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('make_partitions', 0));
    FOREACH parent IN ARRAY ARRAY['observation', 'activity'] LOOP
        FOR i IN -1..2 LOOP
            first := date_trunc('month', day)::date + make_interval(months => i);
            part := parent || '_' || to_char(first, 'YYYY_MM');
            IF to_regclass(part) IS NULL THEN
                -- UTC months, whatever the session's time zone. Rows that fell into the default partition meanwhile would make this fail: they are few, so they are moved.
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING IDENTITY)', part, parent);
                EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                    parent || '_default', CASE parent WHEN 'observation' THEN 'slot' ELSE 'at' END, first::text || ' 00:00:00+00',
                    CASE parent WHEN 'observation' THEN 'slot' ELSE 'at' END, (first + interval '1 month')::date::text || ' 00:00:00+00', part);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part,
                    first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
SELECT make_partitions();

-- ---------------------------------------------------------------- messages

-- The events of one transaction in one row (OutboxEvents of outbox.proto); deleted once Kafka has them. Rows of
-- transactions that touch the same goal are numbered in their order, because the goal's row is locked by then.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    events bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE outbox ALTER events SET STORAGE EXTERNAL; -- read and deleted within a second: compressing costs more than it saves

-- Where a consumer goes on; written in the transaction of the effect.
CREATE TABLE consumer_offset (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0, -- grows with each assignment: a consumer that lost the partition cannot commit any more
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    org_id bigint,
    actor text NOT NULL,  -- person:<id>, or operator:<name>
    action text NOT NULL, -- connection.created, ...
    target text NOT NULL, -- connection:<id>, ...
    detail jsonb NOT NULL DEFAULT '{}' -- never a secret
);
CREATE INDEX audit_org ON audit (org_id, at);

-- ---------------------------------------------------------------- roles

-- Before PostgreSQL 15 everybody may create objects here, and the functions above would find them.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['goalsync_scheduler', 'goalsync_fetch_in_boundary', 'goalsync_fetch_cross_boundary',
                                'goalsync_fetch_third_party', 'goalsync_progress_writer', 'goalsync_operator'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster has it
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    END LOOP;
END $$;

GRANT SELECT (id, org_id, connector, category, version, paused_reason) ON connection TO goalsync_scheduler;
GRANT SELECT, UPDATE (next_due_at, attempt) ON link_batch TO goalsync_scheduler;
GRANT SELECT, UPDATE, DELETE ON sync_request TO goalsync_scheduler;
REVOKE EXECUTE ON FUNCTION make_partitions(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partitions(date) TO goalsync_scheduler;

GRANT SELECT ON connection, credential, data_key
    TO goalsync_fetch_in_boundary, goalsync_fetch_cross_boundary, goalsync_fetch_third_party;
-- A worker sees its own category only.
ALTER TABLE connection ENABLE ROW LEVEL SECURITY;
ALTER TABLE credential ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_key ENABLE ROW LEVEL SECURITY;
DO $$
DECLARE
    c text;
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['connection', 'credential', 'data_key'] LOOP
        FOREACH c IN ARRAY ARRAY['in_boundary', 'cross_boundary', 'third_party'] LOOP
            EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO %I USING (category = %L)', 'fetch_' || c, t, 'goalsync_fetch_' || c, c);
        END LOOP;
        EXECUTE format('CREATE POLICY operator ON %I TO goalsync_operator USING (true) WITH CHECK (true)', t);
    END LOOP;
    CREATE POLICY scheduler ON connection FOR SELECT TO goalsync_scheduler USING (true);
    CREATE POLICY writer ON connection FOR SELECT TO goalsync_progress_writer USING (true);
END $$;

GRANT SELECT ON organisation, goal, goal_edge, goal_task, link, connection, link_batch TO goalsync_progress_writer;
GRANT UPDATE (status_day) ON organisation TO goalsync_progress_writer;
GRANT UPDATE (override, status, status_by_hand, version, auto_value, applied_value, progress, raw_progress, has_value,
              last_slot, fetched_at, source_at, applied_at) ON goal TO goalsync_progress_writer;
GRANT UPDATE (outcome, error, failures, failing_since, waiting_until, failed_slot, failed_attempt) ON link TO goalsync_progress_writer;
GRANT UPDATE (next_due_at, attempt) ON link_batch TO goalsync_progress_writer;
GRANT INSERT ON observation, activity TO goalsync_progress_writer;
GRANT SELECT ON observation TO goalsync_progress_writer;
GRANT SELECT, INSERT, DELETE ON outbox TO goalsync_progress_writer;
GRANT SELECT, INSERT, UPDATE ON consumer_offset TO goalsync_progress_writer;

-- The operator's command line acts on everything but the history, which it reads.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO goalsync_operator;
GRANT INSERT, UPDATE, DELETE ON organisation, person, goal, goal_edge, goal_task, integration_policy, org_integration, connection,
    data_key, credential, link, link_batch, link_revision TO goalsync_operator;
GRANT INSERT ON activity, audit, outbox, sync_request TO goalsync_operator;
