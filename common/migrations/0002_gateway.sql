-- People, gates and goals as the gateway serves them: accounts, tokens, settings of the tenant, periods, teams, check-ins,
-- comments, webhooks; ids for the outside; row-level security; the chain over the audit.
--
-- The gateway enters every transaction through gateway_enter(), which says who calls and in which organisation; the
-- policies below then show that organisation's rows only, and no private goal to those who may not see it.

-- ---------------------------------------------------------------- ids for the outside

-- Random, so that nobody finds a thing by counting. Inside, and in messages, the bigint ids stay.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['organisation', 'person', 'goal', 'goal_task', 'connection', 'link'] LOOP
        EXECUTE format('ALTER TABLE %I ADD public_id uuid NOT NULL DEFAULT gen_random_uuid()', t);
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (public_id)', t || '_public_id', t);
    END LOOP;
END $$;

-- An instant as the API shows it. Plain enough to be put into the statement that uses it.
CREATE FUNCTION api_time(t timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- ---------------------------------------------------------------- the tenant

CREATE TYPE org_creation AS ENUM ('everyone', 'administrators', 'named');
CREATE TYPE integrations_allowed AS ENUM ('all', 'none', 'selected');

CREATE TABLE tenant (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), -- a single row
    org_creation org_creation NOT NULL DEFAULT 'everyone',
    integrations integrations_allowed NOT NULL DEFAULT 'all', -- selected: those that integration_policy allows
    revision int NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenant DEFAULT VALUES;

-- Who may create organisations while org_creation is 'named'.
CREATE TABLE tenant_creator (
    email text PRIMARY KEY CHECK (email = lower(email) AND email ~ '^[^@\s]+@[^@\s]+$' AND length(email) <= 254)
);

-- ---------------------------------------------------------------- accounts

-- One human (or client) of the sign-in service; a person is an account's membership of one organisation.
CREATE TABLE account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    issuer text,  -- with subject: the identity at the sign-in service; null: never signed in
    subject text,
    email text CHECK (email = lower(email) AND length(email) <= 254), -- as the sign-in service or the operator vouches for it
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    tenant_admin boolean NOT NULL DEFAULT false,
    deactivated_at timestamptz,
    signed_in_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, subject)
);
-- Those that the operator made; who signs in with the address takes them over.
CREATE UNIQUE INDEX account_waiting ON account (email) WHERE issuer IS NULL AND email IS NOT NULL;

ALTER TABLE person
    ADD account_id bigint REFERENCES account, -- null: has not signed in yet
    ADD manager_id bigint REFERENCES person ON DELETE SET NULL,
    ADD deactivated_at timestamptz,           -- stays as owner, cannot sign in, hidden from lists
    ADD revision int NOT NULL DEFAULT 1;
CREATE UNIQUE INDEX person_account ON person (account_id, org_id) WHERE account_id IS NOT NULL;
CREATE INDEX person_email_any ON person (lower(email));
CREATE INDEX person_manager ON person (manager_id) WHERE manager_id IS NOT NULL;

-- Somebody who is deleted leaves goals and connections to others first; what only names them forgets them, and what they
-- said goes with them. Check-ins stay, without a name: goals' numbers rest on them.
ALTER TABLE org_integration
    DROP CONSTRAINT org_integration_enabled_by_fkey,
    ADD FOREIGN KEY (enabled_by) REFERENCES person ON DELETE SET NULL;
ALTER TABLE link
    DROP CONSTRAINT link_linked_by_fkey,
    ADD FOREIGN KEY (linked_by) REFERENCES person ON DELETE SET NULL;
CREATE INDEX connection_owner ON connection (owner_id);

-- A browser's session: the cookie holds a random value, this its SHA-256.
CREATE TABLE session (
    id_hash bytea PRIMARY KEY CHECK (length(id_hash) = 32),
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now(), -- to the minute
    idle interval NOT NULL,                     -- ends when it is not used for so long ...
    expires_at timestamptz NOT NULL             -- ... and here at the latest
);
CREATE INDEX session_expires ON session (expires_at);

-- A sign-in under way (OpenID Connect, authorization code with PKCE).
CREATE TABLE sign_in (
    state_hash bytea PRIMARY KEY CHECK (length(state_hash) = 32),
    nonce text NOT NULL,
    verifier text NOT NULL,
    return_to text NOT NULL DEFAULT '/',
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_in_expires ON sign_in (expires_at);

-- Tokens for automation; only the SHA-256 is kept.
CREATE TABLE api_token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE, -- acts as this account ...
    org_id bigint REFERENCES organisation, -- ... in this organisation; null: wherever the account may
    link_id bigint REFERENCES link ON DELETE CASCADE, -- may do nothing but push values to this link
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    hint text NOT NULL CHECK (length(hint) <= 12), -- the first characters, for recognising it in a list
    scopes text[] NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz, -- to the minute
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_token_account ON api_token (account_id);

-- Answers of POST requests by the caller's Idempotency-Key; kept a day.
CREATE TABLE idempotency (
    caller text NOT NULL,  -- "token:12", "account:12 scopes:f" of sessions and JWTs, or the address of an anonymous one
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32), -- of method, path and body
    status int,            -- null only inside the transaction that makes the answer
    headers jsonb,
    body text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);

-- ---------------------------------------------------------------- organisations

CREATE TYPE create_rule AS ENUM ('everyone', 'team_owners', 'admins');
ALTER TABLE organisation
    ADD green_from numeric(5, 4) NOT NULL DEFAULT 0.7, -- score ranges
    ADD amber_from numeric(5, 4) NOT NULL DEFAULT 0.4,
    ADD planning_year_month int NOT NULL DEFAULT 1 CHECK (planning_year_month BETWEEN 1 AND 12),
    ADD aligned_contribute boolean NOT NULL DEFAULT true,   -- newly aligned goals contribute ...
    ADD projects_contribute boolean NOT NULL DEFAULT false, -- ... and among them projects, too
    ADD several_parents boolean NOT NULL DEFAULT true,
    ADD create_rule create_rule NOT NULL DEFAULT 'everyone', -- who creates goals of the organisation's level
    ADD revision int NOT NULL DEFAULT 1,
    ADD CHECK (0 < amber_from AND amber_from < green_from AND green_from <= 1);

CREATE TYPE period_kind AS ENUM ('year', 'quarter', 'custom');
CREATE TABLE period (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    org_id bigint NOT NULL REFERENCES organisation,
    kind period_kind NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    revision int NOT NULL DEFAULT 1,
    UNIQUE (org_id, name),
    CHECK (starts_on <= ends_on)
);
CREATE INDEX period_org ON period (org_id, starts_on);

-- The year and the quarters of the planning year that is, and from its last quarter on of the next one, of one
-- organisation or (null) of all; those that are there stay as they are. Returns how many were new.
CREATE FUNCTION make_periods(only_org bigint) RETURNS int LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    p record;
    made int := 0;
BEGIN
    FOR p IN
        WITH now_in AS (
            SELECT o.id, o.planning_year_month AS month, (now() AT TIME ZONE o.time_zone)::date AS day
              FROM organisation o WHERE o.id = coalesce(only_org, o.id)),
        years AS (
            SELECT n.id, n.month, (date_trunc('year', n.day - make_interval(months => n.month - 1))
                                   + make_interval(months => n.month - 1, years => later))::date AS starts
              FROM now_in n, generate_series(0, 1) AS later
             WHERE later = 0 OR n.day >= date_trunc('year', n.day - make_interval(months => n.month - 1))
                                         + make_interval(months => n.month + 8)),
        named AS (
            SELECT y.*, CASE y.month WHEN 1 THEN to_char(y.starts, 'YYYY')
                        ELSE to_char(y.starts, 'YYYY/') || to_char(y.starts + interval '1 year', 'YY') END AS called FROM years y),
        wanted AS (
            SELECT n.id, n.month, 'year'::period_kind AS kind, n.called, n.starts,
                   (n.starts + interval '1 year')::date - 1 AS ends FROM named n
            UNION ALL
            SELECT n.id, n.month, 'quarter', 'Q' || q || ' ' || n.called, (n.starts + make_interval(months => 3 * q - 3))::date,
                   (n.starts + make_interval(months => 3 * q))::date - 1 FROM named n, generate_series(1, 4) AS q)
        SELECT * FROM wanted w
         WHERE NOT EXISTS (SELECT FROM period x WHERE x.org_id = w.id AND x.kind = w.kind AND x.starts_on = w.starts AND x.ends_on = w.ends)
         ORDER BY w.id, w.starts, w.kind
    LOOP
        -- A year that began in another month may have the name already.
        INSERT INTO period (org_id, kind, name, starts_on, ends_on)
        SELECT p.id, p.kind, CASE WHEN EXISTS (SELECT FROM period x WHERE x.org_id = p.id AND x.name = p.called)
                             THEN p.called || ' (' || p.starts || ')' ELSE p.called END, p.starts, p.ends
        ON CONFLICT (org_id, name) DO NOTHING;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION make_periods(bigint) FROM PUBLIC;

CREATE TABLE team (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    org_id bigint NOT NULL REFERENCES organisation,
    parent_id bigint REFERENCES team,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    archived_at timestamptz,
    revision int NOT NULL DEFAULT 1,
    UNIQUE (org_id, name)
);
CREATE TABLE team_member (
    team_id bigint NOT NULL REFERENCES team ON DELETE CASCADE,
    person_id bigint NOT NULL REFERENCES person ON DELETE CASCADE,
    org_id bigint NOT NULL REFERENCES organisation,
    owner boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, person_id)
);
CREATE INDEX team_member_person ON team_member (person_id);

-- ---------------------------------------------------------------- integrations

-- Who shares connections of an integration: nobody; always, from the start; whoever may, as they choose.
CREATE TYPE sharing_rule AS ENUM ('never', 'always', 'choice');
ALTER TABLE org_integration
    ADD terms_version text,            -- of the catalogue entry, as accepted
    ADD sharing sharing_rule,          -- null: as the catalogue has it
    ADD revision int NOT NULL DEFAULT 1;
ALTER TABLE connection ADD revision int NOT NULL DEFAULT 1; -- grows with every edit by a person
-- Every acceptance, never changed: org_integration holds the newest.
CREATE TABLE terms_acceptance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    connector text NOT NULL,
    person_id bigint REFERENCES person ON DELETE SET NULL,
    terms_url text NOT NULL,
    terms_version text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX terms_acceptance_org ON terms_acceptance (org_id, connector, accepted_at);

-- The tenant's mode comes before its list.
CREATE FUNCTION tenant_allows(name text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE t.integrations
        WHEN 'all' THEN coalesce((SELECT allowed FROM integration_policy WHERE connector = name), true)
        WHEN 'none' THEN false
        ELSE coalesce((SELECT allowed FROM integration_policy WHERE connector = name), false)
    END FROM tenant t
$$;
CREATE OR REPLACE FUNCTION connection_gates(c connection) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT tenant_allows(c.connector)
            THEN 'the integration is not allowed by the tenant administrator'
        WHEN NOT coalesce((SELECT enabled FROM org_integration WHERE org_id = c.org_id AND connector = c.connector), false)
            THEN 'the integration is not enabled in this organisation'
        ELSE c.stopped_reason
    END
$$;
CREATE FUNCTION tenant_gates_refresh() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE connection c SET paused_reason = connection_gates(c) WHERE c.paused_reason IS DISTINCT FROM connection_gates(c);
    RETURN NULL;
END $$;
CREATE TRIGGER tenant_gates_refresh AFTER UPDATE OF integrations ON tenant
    FOR EACH ROW EXECUTE FUNCTION tenant_gates_refresh();

-- Gates that open again: links that failed before are asked at once, the others at their next slot.
CREATE FUNCTION connection_resume() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO sync_request (batch_id)
    SELECT DISTINCT k.batch_id FROM link k JOIN link_batch b ON b.id = k.batch_id
     WHERE k.connection_id = NEW.id AND k.state = 'active' AND NOT b.pushed AND (k.failures > 0 OR k.outcome <> 'ok')
        ON CONFLICT DO NOTHING;
    PERFORM pg_notify('goalsync_sync', '');
    RETURN NULL;
END $$;
CREATE TRIGGER connection_resume AFTER UPDATE OF paused_reason, stopped_reason ON connection
    FOR EACH ROW WHEN (OLD.paused_reason IS NOT NULL AND NEW.paused_reason IS NULL) EXECUTE FUNCTION connection_resume();

-- ---------------------------------------------------------------- links

-- Numbers that are pushed: the batch has no schedule.
ALTER TABLE link_batch ADD pushed boolean NOT NULL DEFAULT false;
-- The newest value pushed to a link: its slot, after which the next one's comes; the source's own time, before which the
-- next one's may not lie; and the SHA-256 of Idempotency-Key and body, by which the same request sent again gets the
-- same slot and counts once.
ALTER TABLE link
    ADD pushed_slot timestamptz,
    ADD pushed_source_at timestamptz,
    ADD pushed_key bytea CHECK (length(pushed_key) = 32);
CREATE INDEX link_org ON link (org_id, id);

-- The feed names links as the outside does.
UPDATE activity a SET data = a.data || jsonb_build_object('link_id', k.public_id) FROM link k
 WHERE jsonb_typeof(a.data->'link_id') = 'number' AND k.id = (a.data->'link_id')::bigint;
UPDATE activity SET data = data - 'link_id' WHERE jsonb_typeof(data->'link_id') = 'number';

-- The evidence behind a goal's numbers outlives the link.
ALTER TABLE link_revision
    DROP CONSTRAINT link_revision_link_id_fkey,
    ADD link_public_id uuid,
    ADD org_id bigint REFERENCES organisation,
    ADD goal_id bigint REFERENCES goal ON DELETE CASCADE;
UPDATE link_revision v SET org_id = k.org_id, goal_id = k.goal_id, link_public_id = k.public_id FROM link k WHERE k.id = v.link_id;
ALTER TABLE link_revision
    ALTER link_public_id SET NOT NULL,
    ALTER org_id SET NOT NULL,
    ALTER goal_id SET NOT NULL;
CREATE INDEX link_revision_goal ON link_revision (goal_id);
CREATE FUNCTION link_revision_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT k.org_id, k.goal_id, k.public_id INTO NEW.org_id, NEW.goal_id, NEW.link_public_id FROM link k WHERE k.id = NEW.link_id;
    RETURN NEW;
END $$;
CREATE TRIGGER link_revision_place BEFORE INSERT ON link_revision FOR EACH ROW EXECUTE FUNCTION link_revision_place();

CREATE OR REPLACE FUNCTION link_batch_refresh() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    batches bigint[] := ARRAY[]::bigint[];
BEGIN
    IF TG_OP <> 'INSERT' THEN batches := batches || OLD.batch_id; END IF;
    IF TG_OP <> 'DELETE' THEN batches := batches || NEW.batch_id; END IF;
    PERFORM FROM link_batch WHERE id = ANY (batches) ORDER BY id FOR UPDATE;
    UPDATE link_batch b
       SET link_ids = l.ids, revisions = l.revisions, settings = l.settings,
           next_due_at = CASE WHEN cardinality(l.ids) = 0 OR b.pushed THEN NULL ELSE coalesce(b.next_due_at, now()) END
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

-- ---------------------------------------------------------------- goals

ALTER TABLE goal
    ADD revision int NOT NULL DEFAULT 1, -- grows with every edit by a person; version grows with every visible change
    ADD private boolean NOT NULL DEFAULT false,
    ADD aspirational boolean NOT NULL DEFAULT false,
    ADD period_id bigint REFERENCES period,
    ADD creator_id bigint REFERENCES person ON DELETE SET NULL,
    ADD delegate_id bigint REFERENCES person ON DELETE SET NULL,
    ADD check_in_owner_id bigint REFERENCES person ON DELETE SET NULL, -- null: the first owner
    ADD copied_from_id bigint REFERENCES goal,      -- the postponed or cloned original
    ADD score numeric(38, 18) CHECK (score BETWEEN 0 AND 1),
    ADD score_by_hand boolean NOT NULL DEFAULT false, -- a person's: it does not follow the key results
    ADD auto_at timestamptz,  -- when auto_value last changed, which ended what one-off check-ins had said
    ADD ended_at timestamptz, -- closed or postponed by hand
    ADD ended_note text CHECK (length(ended_note) <= 10000),
    ADD external_id text CHECK (length(external_id) <= 200), -- of the system it was imported from
    ADD edited_at timestamptz NOT NULL DEFAULT now(), -- by a person; see applied_at for the number
    ADD description text NOT NULL DEFAULT '' CHECK (length(description) <= 10000);
CREATE INDEX goal_period ON goal (period_id) WHERE period_id IS NOT NULL;
CREATE INDEX goal_owner ON goal (owner_id) WHERE owner_id IS NOT NULL;
CREATE UNIQUE INDEX goal_external ON goal (org_id, external_id) WHERE external_id IS NOT NULL;

-- goal.owner_id is the first owner; these are the others.
CREATE TABLE goal_co_owner (
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    person_id bigint NOT NULL REFERENCES person,
    org_id bigint NOT NULL REFERENCES organisation,
    PRIMARY KEY (goal_id, person_id)
);
CREATE INDEX goal_co_owner_person ON goal_co_owner (person_id);
-- Who sees a private goal beside its owners, creator, delegate and check-in owner.
CREATE TABLE goal_viewer (
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    person_id bigint NOT NULL REFERENCES person ON DELETE CASCADE,
    org_id bigint NOT NULL REFERENCES organisation,
    PRIMARY KEY (goal_id, person_id)
);
CREATE INDEX goal_viewer_person ON goal_viewer (person_id);
-- None: an organisation's goal (or a person's own, when individual).
CREATE TABLE goal_team (
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    team_id bigint NOT NULL REFERENCES team,
    org_id bigint NOT NULL REFERENCES organisation,
    PRIMARY KEY (goal_id, team_id)
);
CREATE INDEX goal_team_team ON goal_team (team_id);
CREATE TYPE goal_level AS ENUM ('organisation', 'team', 'individual');
ALTER TABLE goal ADD level goal_level NOT NULL DEFAULT 'organisation';
CREATE TABLE goal_tag (
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    org_id bigint NOT NULL REFERENCES organisation,
    tag text NOT NULL CHECK (length(tag) BETWEEN 1 AND 50 AND tag = btrim(tag)),
    PRIMARY KEY (goal_id, tag)
);
CREATE INDEX goal_tag_tag ON goal_tag (org_id, tag);

ALTER TABLE goal_task
    ADD owner_id bigint REFERENCES person ON DELETE SET NULL,
    ADD position int NOT NULL DEFAULT 0,
    ADD revision int NOT NULL DEFAULT 1;

-- What people said about a goal's progress. The feed is these, the observations, the activity and the comments.
CREATE TABLE check_in (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    org_id bigint NOT NULL REFERENCES organisation,
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    person_id bigint REFERENCES person ON DELETE SET NULL,
    at timestamptz NOT NULL DEFAULT now(),
    value numeric(38, 18), -- null: a note or a status only
    auto_value numeric(38, 18), -- the goal's then: a one-off override ends once that is another
    status goal_status,    -- null: derived
    sticky boolean NOT NULL DEFAULT false,
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 10000),
    edited_at timestamptz,
    removed_at timestamptz,
    revision int NOT NULL DEFAULT 1
);
CREATE INDEX check_in_goal ON check_in (goal_id, at DESC, id DESC);

CREATE TABLE comment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    org_id bigint NOT NULL REFERENCES organisation,
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    check_in_id bigint REFERENCES check_in ON DELETE CASCADE, -- null: about the goal
    person_id bigint REFERENCES person ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 10000),
    edited_at timestamptz,
    removed_at timestamptz,
    revision int NOT NULL DEFAULT 1
);
CREATE INDEX comment_goal ON comment (goal_id, at DESC, id DESC);

-- Of a check-in or a comment: exactly one.
CREATE TABLE mention (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    check_in_id bigint REFERENCES check_in ON DELETE CASCADE,
    comment_id bigint REFERENCES comment ON DELETE CASCADE,
    person_id bigint NOT NULL REFERENCES person ON DELETE CASCADE,
    CHECK (num_nonnulls(check_in_id, comment_id) = 1),
    UNIQUE (check_in_id, person_id),
    UNIQUE (comment_id, person_id)
);
-- Of a goal, a check-in or a comment: with neither id it is the goal's.
CREATE TABLE reaction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id bigint NOT NULL REFERENCES organisation,
    goal_id bigint NOT NULL REFERENCES goal ON DELETE CASCADE,
    check_in_id bigint REFERENCES check_in ON DELETE CASCADE,
    comment_id bigint REFERENCES comment ON DELETE CASCADE,
    person_id bigint NOT NULL REFERENCES person ON DELETE CASCADE,
    emoji text NOT NULL CHECK (length(emoji) BETWEEN 1 AND 16),
    at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(check_in_id, comment_id) <= 1)
);
CREATE UNIQUE INDEX reaction_once ON reaction
    (goal_id, person_id, emoji, coalesce(check_in_id, 0), coalesce(comment_id, 0));

-- An edit by a person is a new revision. The statements that sync never touch these columns.
CREATE FUNCTION grow_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END $$;
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['tenant', 'person', 'period', 'team', 'goal_task', 'check_in', 'comment'] LOOP
        EXECUTE format('CREATE TRIGGER grow_revision BEFORE UPDATE ON %I FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) '
                       'EXECUTE FUNCTION grow_revision()', t);
    END LOOP;
END $$;
CREATE TRIGGER grow_revision BEFORE UPDATE OF name, time_zone, behind_above, at_risk_above, status_mode, green_from, amber_from,
    planning_year_month, aligned_contribute, projects_contribute, several_parents, create_rule ON organisation
    FOR EACH ROW EXECUTE FUNCTION grow_revision();
-- New limits, or another midnight: the day is passed over anew, at once.
CREATE FUNCTION day_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.status_day := '-infinity';
    PERFORM pg_notify('goalsync_day', '');
    RETURN NEW;
END $$;
CREATE TRIGGER day_again BEFORE UPDATE OF time_zone, behind_above, at_risk_above, status_mode ON organisation
    FOR EACH ROW WHEN ((OLD.time_zone, OLD.behind_above, OLD.at_risk_above, OLD.status_mode)
                       IS DISTINCT FROM (NEW.time_zone, NEW.behind_above, NEW.at_risk_above, NEW.status_mode))
    EXECUTE FUNCTION day_again();
CREATE TRIGGER grow_revision BEFORE UPDATE OF enabled, sharing ON org_integration FOR EACH ROW EXECUTE FUNCTION grow_revision();
CREATE TRIGGER grow_revision BEFORE UPDATE OF name, settings, owner_id, shared, stopped_reason, version ON connection
    FOR EACH ROW EXECUTE FUNCTION grow_revision();
CREATE FUNCTION goal_edited() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    NEW.edited_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER goal_edited BEFORE UPDATE OF kind, metric, mode, start_value, target_value, risk_value, start_on, end_on, owner_id,
    unit, title, private, aspirational, period_id, delegate_id, check_in_owner_id, score, ended_at, ended_note, description, level
    ON goal FOR EACH ROW EXECUTE FUNCTION goal_edited();

-- ---------------------------------------------------------------- webhooks

-- Standard Webhooks: https, signed, retried; 410 stops it.
CREATE TABLE webhook (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    org_id bigint NOT NULL REFERENCES organisation,
    url text NOT NULL CHECK (length(url) BETWEEN 8 AND 2000),
    events text[] NOT NULL,
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 500),
    enabled boolean NOT NULL DEFAULT true,
    stopped_reason text, -- why deliveries ended by themselves
    created_by bigint REFERENCES person ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revision int NOT NULL DEFAULT 1
);
CREATE INDEX webhook_org ON webhook (org_id);
-- Secrets, sealed in the vault at the place webhook:<id>; both the new and the old one sign until the old one expires.
CREATE TABLE webhook_secret (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL REFERENCES webhook ON DELETE CASCADE,
    org_id bigint NOT NULL REFERENCES organisation,
    data_key_id bigint NOT NULL REFERENCES data_key,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz -- null: the current one
);
CREATE INDEX webhook_secret_webhook ON webhook_secret (webhook_id);
CREATE TYPE delivery_state AS ENUM ('due', 'delivered', 'failed', 'dropped');
CREATE TABLE webhook_delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(), -- the webhook-id header
    org_id bigint NOT NULL REFERENCES organisation,
    webhook_id bigint NOT NULL REFERENCES webhook ON DELETE CASCADE,
    event_id text NOT NULL,
    event text NOT NULL,
    payload jsonb NOT NULL,
    state delivery_state NOT NULL DEFAULT 'due',
    attempts int NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(), -- while it is being sent: when it is sent again should the sender die
    tried_at timestamptz, -- the newest attempt
    last_status int,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (webhook_id, event_id)
) WITH (fillfactor = 80);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, due_at) WHERE state = 'due';
CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook_id, id DESC);
CREATE INDEX webhook_delivery_created ON webhook_delivery (created_at) WHERE state <> 'due';

-- What receivers get: the body of a delivery. data: what is particular to the event.
CREATE FUNCTION webhook_payload(event text, at timestamptz, org uuid, data jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', event, 'timestamp', api_time(at), 'data', jsonb_build_object('organisation_id', org) || data)
$$;
-- A webhook that is switched off, or that stopped, keeps no news for later.
CREATE FUNCTION webhook_drop() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE webhook_delivery SET state = 'dropped' WHERE webhook_id = NEW.id AND state = 'due';
    RETURN NULL;
END $$;
CREATE TRIGGER webhook_drop AFTER UPDATE OF enabled, stopped_reason ON webhook
    FOR EACH ROW WHEN (NOT NEW.enabled OR NEW.stopped_reason IS NOT NULL) EXECUTE FUNCTION webhook_drop();
CREATE TRIGGER grow_revision BEFORE UPDATE OF url, events, description, enabled ON webhook
    FOR EACH ROW EXECUTE FUNCTION grow_revision();

-- ---------------------------------------------------------------- audit

-- A chain over the audit in the order of commits: each link's hash covers its row and the hash before it. It is made at
-- the end of the transaction, so that the chain's end is locked for as short as can be, and by one lock, so that no two
-- transactions can wait for each other in a circle. Who keeps a copy of a hash can tell whether anything before it was
-- changed or taken away.
CREATE TABLE audit_chain (
    seq bigint PRIMARY KEY,
    audit_id bigint NOT NULL UNIQUE REFERENCES audit,
    hash bytea NOT NULL CHECK (length(hash) = 32)
);
-- Newest first, of an organisation or of all.
DROP INDEX audit_org;
CREATE INDEX audit_org ON audit (org_id, at DESC, id DESC);
CREATE INDEX audit_at ON audit (at DESC, id DESC);

-- What is hashed of a row: a JSON array, so that no field can run into the next.
CREATE FUNCTION audit_text(a audit) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_array(a.id, (extract(epoch FROM a.at) * 1000000)::bigint, a.org_id, a.actor, a.action, a.target, a.detail)::text
$$;
-- The end is read anew under the lock: each statement here sees what was committed before it began. There is no row that
-- holds the end: one that is updated for every row would be read through all its versions.
CREATE FUNCTION audit_append() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tail audit_chain;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_chain', 0));
    SELECT * INTO tail FROM audit_chain ORDER BY seq DESC LIMIT 1;
    INSERT INTO audit_chain (seq, audit_id, hash)
    VALUES (coalesce(tail.seq, 0) + 1, NEW.id,
            sha256(coalesce(tail.hash, decode(repeat('00', 32), 'hex')) || convert_to(audit_text(NEW), 'UTF8')));
    RETURN NULL;
END $$;
-- Rows from before the chain come first.
DO $$
DECLARE
    a audit;
    seq bigint := 0;
    hash bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR a IN SELECT * FROM audit ORDER BY id LOOP
        seq := seq + 1;
        hash := sha256(hash || convert_to(audit_text(a), 'UTF8'));
        INSERT INTO audit_chain VALUES (seq, a.id, hash);
    END LOOP;
END $$;
CREATE CONSTRAINT TRIGGER audit_append AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_append();
CREATE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only';
END $$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON audit_chain FOR EACH ROW EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();
CREATE TRIGGER audit_keep_all BEFORE TRUNCATE ON audit_chain FOR EACH STATEMENT EXECUTE FUNCTION audit_keep();

-- A link that begins to fail, and one that gives numbers again: into the audit, and to the webhooks that want it.
CREATE FUNCTION audit_sync() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    what text := CASE WHEN NEW.failures > 0 THEN 'sync.failed' ELSE 'sync.recovered' END;
    row_id bigint;
BEGIN
    INSERT INTO audit (org_id, actor, action, target, detail)
    VALUES (NEW.org_id, 'service:progress-writer', what, 'link:' || NEW.public_id,
            jsonb_build_object('outcome', NEW.outcome, 'error', NEW.error)) RETURNING id INTO row_id;
    INSERT INTO webhook_delivery (org_id, webhook_id, event_id, event, payload)
    SELECT w.org_id, w.id, 'audit:' || row_id, what, webhook_payload(what, now(), o.public_id, jsonb_build_object(
               'goal', jsonb_build_object('id', g.public_id, 'title', g.title, 'kind', g.kind, 'value', trim_scale(g.applied_value)::text,
                                          'progress', round(g.progress, 4)::text, 'status', g.status),
               'link_id', NEW.public_id, 'outcome', NEW.outcome, 'error', NEW.error))
      FROM webhook w JOIN organisation o ON o.id = w.org_id JOIN goal g ON g.id = NEW.goal_id
     WHERE w.org_id = NEW.org_id AND w.enabled AND w.stopped_reason IS NULL AND what = ANY (w.events) AND NOT g.private;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_sync AFTER UPDATE OF failures ON link
    FOR EACH ROW WHEN ((OLD.failures = 0) <> (NEW.failures = 0)) EXECUTE FUNCTION audit_sync();

-- Credentials that were used: at most one row of the audit for each connection and hour.
CREATE TABLE credential_use (
    connection_id bigint PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
    used_at timestamptz NOT NULL, -- up to this use the audit has it
    written_at timestamptz NOT NULL
);
-- Looks at the next connections by id and returns the last one's; null: there are no more. In pieces, so that the end of
-- the audit is never held for long.
CREATE FUNCTION audit_credential_use(after bigint, how_many int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    last bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_credential_use', 0)); -- notifiers take turns
    SELECT max(id) INTO last FROM (SELECT id FROM connection WHERE id > after ORDER BY id LIMIT how_many) c;
    WITH used AS (
        SELECT c.id, c.public_id, c.org_id, c.connector, c.owner_id, l.links, l.used_at
          FROM connection c JOIN credential s ON s.connection_id = c.id LEFT JOIN credential_use u ON u.connection_id = c.id
         CROSS JOIN LATERAL (
            SELECT count(*) AS links, max(greatest(g.fetched_at, k.failed_slot)) AS used_at
              FROM link k JOIN goal g ON g.id = k.goal_id
             WHERE k.connection_id = c.id AND greatest(g.fetched_at, k.failed_slot) > coalesce(u.used_at, '-infinity')) l
         WHERE c.id > after AND c.id <= last AND l.links > 0 AND coalesce(u.written_at, '-infinity') < date_trunc('hour', now())),
    written AS (
        INSERT INTO credential_use (connection_id, used_at, written_at) SELECT id, used_at, now() FROM used
        ON CONFLICT (connection_id) DO UPDATE SET used_at = EXCLUDED.used_at, written_at = EXCLUDED.written_at)
    INSERT INTO audit (org_id, actor, action, target, detail)
    SELECT x.org_id, 'service:fetch', 'credential.used', 'connection:' || x.public_id,
           jsonb_build_object('connector', x.connector, 'links', x.links, 'last_used_at', api_time(x.used_at),
                              'owner_id', (SELECT p.public_id FROM person p WHERE p.id = x.owner_id))
      FROM used x ORDER BY x.id;
    RETURN last;
END $$;

-- ---------------------------------------------------------------- who calls

-- The people and teams that a list of outside ids names, in its order; whom the caller does not see are left out.
CREATE FUNCTION people_of(list jsonb) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(p.id ORDER BY e.n), '{}') FROM jsonb_array_elements_text(
        CASE jsonb_typeof(list) WHEN 'array' THEN list ELSE '[]' END) WITH ORDINALITY e(public, n)
    JOIN person p ON p.public_id = e.public::uuid
$$;
CREATE FUNCTION teams_of(list jsonb) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(t.id ORDER BY e.n), '{}') FROM jsonb_array_elements_text(
        CASE jsonb_typeof(list) WHEN 'array' THEN list ELSE '[]' END) WITH ORDINALITY e(public, n)
    JOIN team t ON t.public_id = e.public::uuid
$$;
-- A goal's definition as a body of the API would have it; an edit is laid over it.
CREATE FUNCTION goal_definition(goal bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('kind', g.kind, 'metric', g.metric, 'mode', g.mode, 'level', g.level, 'title', g.title,
        'description', g.description, 'unit', g.unit, 'start', trim_scale(g.start_value)::text,
        'target', trim_scale(g.target_value)::text, 'risk', trim_scale(g.risk_value)::text,
        'starts_on', g.start_on, 'ends_on', g.end_on, 'aspirational', g.aspirational, 'private', g.private,
        'external_id', g.external_id, 'period_id', (SELECT x.public_id FROM period x WHERE x.id = g.period_id),
        'delegate_id', (SELECT p.public_id FROM person p WHERE p.id = g.delegate_id),
        'check_in_owner_id', (SELECT p.public_id FROM person p WHERE p.id = g.check_in_owner_id),
        'owner_ids', (SELECT coalesce(jsonb_agg(p.public_id ORDER BY x.place, p.id), '[]') FROM (
            SELECT g.owner_id AS id, 0 AS place UNION ALL SELECT o.person_id, 1 FROM goal_co_owner o WHERE o.goal_id = g.id) x
            JOIN person p ON p.id = x.id),
        'viewer_ids', (SELECT coalesce(jsonb_agg(p.public_id ORDER BY p.id), '[]') FROM goal_viewer x
            JOIN person p ON p.id = x.person_id WHERE x.goal_id = g.id),
        'team_ids', (SELECT coalesce(jsonb_agg(t.public_id ORDER BY t.id), '[]') FROM goal_team x
            JOIN team t ON t.id = x.team_id WHERE x.goal_id = g.id),
        'tags', (SELECT coalesce(jsonb_agg(x.tag ORDER BY x.tag), '[]') FROM goal_tag x WHERE x.goal_id = g.id))
      FROM goal g WHERE g.id = goal_definition.goal
$$;

-- The settings of a transaction that the policies read; "" is nobody.
CREATE FUNCTION calling(what text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('goalsync.' || what, true), '')::bigint
$$;

CREATE TYPE gateway_caller AS (
    account_id bigint, account_public uuid, account_name text, email text, tenant_admin boolean,
    token_id bigint, scopes text[], token_link_id bigint,
    org_id bigint, org_public uuid, person_id bigint, person_public uuid, role org_role,
    item_id bigint -- the thing the path names; null: none such, or the caller's organisations have nothing to do with it
);

-- The organisation of a thing by its outside id. kind is the name of the path's first parameter.
CREATE FUNCTION gateway_find(kind text, public uuid, OUT item_id bigint, OUT org_id bigint) LANGUAGE plpgsql STABLE
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF kind NOT IN ('account', 'organisation', 'person', 'period', 'team', 'goal', 'task', 'check_in', 'comment', 'connection', 'link',
                    'webhook', 'token') THEN
        RAISE EXCEPTION 'no kind of thing: %', kind;
    END IF;
    IF kind = 'account' THEN -- belongs to no organisation
        SELECT a.id INTO item_id FROM account a WHERE a.public_id = public;
    ELSIF kind = 'organisation' THEN
        SELECT o.id, o.id INTO item_id, org_id FROM organisation o WHERE o.public_id = public;
    ELSE
        EXECUTE format('SELECT t.id, t.org_id FROM %I t WHERE t.public_id = $1',
                       CASE kind WHEN 'task' THEN 'goal_task' WHEN 'token' THEN 'api_token' ELSE kind END)
            INTO item_id, org_id USING public;
    END IF;
END $$;

-- Who calls, by one of: the SHA-256 of an API token, the SHA-256 of a session, an account that a verified JWT named. No row:
-- nobody is signed in. From here on the transaction sees that organisation alone.
CREATE FUNCTION gateway_enter(token bytea, browser bytea, account bigint, kind text, public uuid) RETURNS SETOF gateway_caller
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    c gateway_caller;
    t api_token;
    a account;
    found_item bigint;
    found_org bigint;
BEGIN
    PERFORM set_config('goalsync.org', '', true), set_config('goalsync.person', '', true),
            set_config('goalsync.account', '', true), set_config('goalsync.all_goals', '', true),
            set_config('goalsync.tenant_admin', '', true);
    IF token IS NOT NULL THEN
        SELECT * INTO t FROM api_token k
         WHERE k.token_hash = token AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
        IF t.id IS NULL THEN RETURN; END IF;
        -- Whoever notes the use keeps the row until their request is done: nobody else waits for that.
        IF t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute' THEN
            UPDATE api_token SET last_used_at = date_trunc('minute', now())
             WHERE id = (SELECT k.id FROM api_token k WHERE k.id = t.id FOR NO KEY UPDATE SKIP LOCKED);
        END IF;
        account := t.account_id;
    ELSIF browser IS NOT NULL THEN
        SELECT s.account_id INTO account FROM session s
         WHERE s.id_hash = browser AND s.expires_at > now() AND s.used_at > now() - s.idle;
        UPDATE session SET used_at = now()
         WHERE id_hash = (SELECT s.id_hash FROM session s WHERE s.id_hash = browser AND s.account_id = account
                             AND s.used_at < now() - interval '1 minute' FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    SELECT * INTO a FROM account x WHERE x.id = account AND x.deactivated_at IS NULL;
    IF a.id IS NULL THEN RETURN; END IF;
    c.account_id := a.id;
    c.account_public := a.public_id;
    c.account_name := a.name;
    c.email := a.email;
    c.tenant_admin := a.tenant_admin AND t.org_id IS NULL AND t.link_id IS NULL;
    c.token_id := t.id;
    c.scopes := t.scopes;
    c.token_link_id := t.link_id;
    PERFORM set_config('goalsync.account', a.id::text, true),
            set_config('goalsync.tenant_admin', CASE WHEN c.tenant_admin THEN '1' ELSE '' END, true);
    IF kind IS NOT NULL THEN
        SELECT f.item_id, f.org_id INTO found_item, found_org FROM gateway_find(kind, public) f;
        IF t.org_id IS NOT NULL AND found_org IS DISTINCT FROM t.org_id THEN
            found_org := NULL;
        END IF;
        IF found_org IS NOT NULL THEN
            SELECT p.id, p.public_id, p.role INTO c.person_id, c.person_public, c.role FROM person p
             WHERE p.account_id = a.id AND p.org_id = found_org AND p.deactivated_at IS NULL;
        END IF;
        IF found_org IS NOT NULL AND (c.person_id IS NOT NULL OR c.tenant_admin) THEN
            c.org_id := found_org;
            c.item_id := found_item;
            SELECT o.public_id INTO c.org_public FROM organisation o WHERE o.id = found_org;
        ELSIF kind = 'token' AND EXISTS (SELECT FROM api_token k WHERE k.id = found_item AND k.account_id = a.id) THEN
            c.item_id := found_item; -- one's own token belongs to no organisation
        ELSIF kind = 'account' AND c.tenant_admin THEN
            c.item_id := found_item;
        END IF;
        PERFORM set_config('goalsync.org', coalesce(c.org_id::text, ''), true),
                set_config('goalsync.person', coalesce(c.person_id::text, ''), true);
    END IF;
    RETURN NEXT c;
END $$;

-- May the caller see this private goal? Asked for private ones only.
CREATE FUNCTION private_goal_visible(goal bigint, owner bigint, creator bigint, delegate bigint, check_in_owner bigint)
    RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT calling('person') IN (owner, creator, delegate, check_in_owner)
        OR EXISTS (SELECT FROM goal_viewer v WHERE v.goal_id = goal AND v.person_id = calling('person'))
        OR EXISTS (SELECT FROM goal_co_owner o WHERE o.goal_id = goal AND o.person_id = calling('person'))
        OR current_setting('goalsync.all_goals', true) = 'on' -- a roll-up counts every child, whoever caused it
$$;

-- ---------------------------------------------------------------- roles and policies

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['goalsync_gateway', 'goalsync_notifier'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION gateway_find(text, uuid), gateway_enter(bytea, bytea, bigint, text, uuid),
    private_goal_visible(bigint, bigint, bigint, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gateway_enter(bytea, bytea, bigint, text, uuid), private_goal_visible(bigint, bigint, bigint, bigint, bigint)
    TO goalsync_gateway;

-- The caller's own, for the list of organisations.
CREATE FUNCTION own_organisations() RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT org_id FROM person WHERE account_id = calling('account') AND deactivated_at IS NULL
$$;
CREATE FUNCTION own_memberships(OUT organisation uuid, OUT name text, OUT person uuid, OUT role org_role) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.public_id, o.name, p.public_id, p.role FROM person p JOIN organisation o ON o.id = p.org_id
     WHERE p.account_id = calling('account') AND p.deactivated_at IS NULL
$$;
-- Whoever calls them says who they are: for the gateway alone, which has asked for proof.
REVOKE EXECUTE ON FUNCTION own_organisations(), own_memberships() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_organisations(), own_memberships() TO goalsync_gateway;

-- Somebody whom the sign-in service vouches for: finds or makes the account, or takes over what the operator made for the verified
-- address, and takes up the places that organisations have kept for it. Null: the account is deactivated.
CREATE FUNCTION gateway_sign_in(by_issuer text, by_subject text, verified_email text, called text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a account;
BEGIN
    UPDATE account x SET issuer = by_issuer, subject = by_subject
     WHERE x.issuer IS NULL AND x.email = lower(verified_email)
       AND NOT EXISTS (SELECT FROM account y WHERE y.issuer = by_issuer AND y.subject = by_subject);
    INSERT INTO account AS x (issuer, subject, email, name, signed_in_at)
    VALUES (by_issuer, by_subject, lower(verified_email), left(coalesce(nullif(btrim(called), ''), verified_email, by_subject), 200), now())
    ON CONFLICT (issuer, subject) DO UPDATE
        SET email = coalesce(lower(verified_email), x.email), signed_in_at = now(),
            name = left(coalesce(nullif(btrim(called), ''), x.name), 200)
    RETURNING * INTO a;
    IF a.deactivated_at IS NOT NULL THEN RETURN NULL; END IF;
    IF verified_email IS NOT NULL THEN
        UPDATE person p SET account_id = a.id
         WHERE lower(p.email) = lower(verified_email) AND p.account_id IS NULL AND p.deactivated_at IS NULL
           AND NOT EXISTS (SELECT FROM person q WHERE q.org_id = p.org_id AND q.account_id = a.id);
    END IF;
    RETURN a.id;
END $$;

-- Makes an organisation with the caller as its first owner, where the tenant's rule lets the caller. Null: it does not.
CREATE FUNCTION gateway_create_organisation(called text, zone text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    a account;
    rule org_creation;
    made bigint;
    member bigint;
BEGIN
    SELECT * INTO a FROM account WHERE id = calling('account');
    SELECT org_creation INTO rule FROM tenant;
    IF a.id IS NULL OR a.email IS NULL AND NOT a.tenant_admin OR NOT (a.tenant_admin OR rule = 'everyone' OR rule = 'named'
        AND EXISTS (SELECT FROM tenant_creator c WHERE c.email = lower(a.email))) THEN
        RETURN NULL;
    END IF;
    INSERT INTO organisation (name, time_zone) VALUES (called, zone) RETURNING id INTO made;
    INSERT INTO person (org_id, account_id, email, name, role)
    VALUES (made, a.id, coalesce(a.email, 'account-' || a.id || '@goalsync.invalid'), a.name, 'owner') RETURNING id INTO member;
    PERFORM set_config('goalsync.org', made::text, true), set_config('goalsync.person', member::text, true);
    RETURN made;
END $$;
-- What a tenant administrator sees of an organisation beside its settings.
CREATE FUNCTION tenant_organisation(org bigint, OUT people int, OUT goals int, OUT connections int, OUT owners jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT count(*) FROM person p WHERE p.org_id = org AND p.deactivated_at IS NULL)::int,
           (SELECT count(*) FROM goal g WHERE g.org_id = org)::int, (SELECT count(*) FROM connection c WHERE c.org_id = org)::int,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.public_id, 'name', p.name, 'email', p.email) ORDER BY p.id), '[]')
              FROM person p WHERE p.org_id = org AND p.role = 'owner' AND p.deactivated_at IS NULL)
     WHERE current_setting('goalsync.tenant_admin', true) = '1'
$$;
REVOKE EXECUTE ON FUNCTION tenant_organisation(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_organisation(bigint) TO goalsync_gateway;
-- Is there a token that may administer the tenant, or become one that may? Asked at the start, when nobody calls yet.
CREATE FUNCTION gateway_tenant_token_alive() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM api_token t JOIN account a ON a.id = t.account_id
        WHERE a.tenant_admin AND a.deactivated_at IS NULL AND t.org_id IS NULL AND t.link_id IS NULL AND t.revoked_at IS NULL
          AND (t.expires_at IS NULL OR t.expires_at > now()) AND t.scopes && '{tenant,bootstrap}')
$$;
-- Where a token of the caller's is bound to, by outside ids; also from outside that organisation.
CREATE FUNCTION token_bound(token bigint, OUT organisation uuid, OUT link uuid) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.public_id, l.public_id FROM api_token t
      LEFT JOIN organisation o ON o.id = t.org_id LEFT JOIN link l ON l.id = t.link_id WHERE t.id = token
$$;
REVOKE EXECUTE ON FUNCTION gateway_tenant_token_alive(), token_bound(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gateway_tenant_token_alive(), token_bound(bigint) TO goalsync_gateway;

REVOKE EXECUTE ON FUNCTION gateway_sign_in(text, text, text, text), gateway_create_organisation(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gateway_sign_in(text, text, text, text), gateway_create_organisation(text, text) TO goalsync_gateway;

-- Every table that carries an organisation: the gateway sees the caller's, the other roles what they saw before.
DO $$
DECLARE
    t text;
    r text;
    visible text;
BEGIN
    FOREACH t IN ARRAY ARRAY['organisation', 'person', 'goal', 'goal_edge', 'goal_task', 'org_integration', 'terms_acceptance',
        'connection', 'data_key', 'credential', 'link', 'link_batch', 'link_revision', 'observation', 'activity', 'audit', 'period', 'team',
        'team_member', 'goal_co_owner', 'goal_viewer', 'goal_team', 'goal_tag', 'check_in', 'comment', 'mention', 'reaction',
        'webhook', 'webhook_secret', 'webhook_delivery', 'api_token'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        visible := CASE t
            WHEN 'organisation' THEN 'id = (SELECT calling(''org''))'
            WHEN 'goal' THEN 'org_id = (SELECT calling(''org'')) AND (NOT private OR '
                || 'private_goal_visible(id, owner_id, creator_id, delegate_id, check_in_owner_id))'
            WHEN 'audit' THEN '(org_id = (SELECT calling(''org'')) OR current_setting(''goalsync.tenant_admin'', true) = ''1'')'
            WHEN 'api_token' THEN '(org_id = (SELECT calling(''org'')) OR account_id = (SELECT calling(''account'')))'
            ELSE 'org_id = (SELECT calling(''org''))' END;
        IF t IN ('goal_task', 'link', 'link_revision', 'observation', 'activity', 'check_in', 'comment', 'mention', 'reaction',
                 'goal_co_owner', 'goal_viewer', 'goal_team', 'goal_tag') THEN
            visible := visible || ' AND EXISTS (SELECT FROM goal g WHERE g.id = goal_id)';
        END IF;
        IF t = 'organisation' THEN -- the list of one's own
            EXECUTE 'CREATE POLICY gateway_own ON organisation FOR SELECT TO goalsync_gateway USING '
                '(current_setting(''goalsync.tenant_admin'', true) = ''1'' OR coalesce(current_setting(''goalsync.org'', true), '''') = '''' '
                'AND id IN (SELECT own_organisations()))';
        END IF;
        IF t = 'audit' THEN
            EXECUTE 'CREATE POLICY gateway_append ON audit FOR INSERT TO goalsync_gateway WITH CHECK (true)';
        END IF;
        EXECUTE format('CREATE POLICY gateway ON %I TO goalsync_gateway USING (%s)', t, visible);
        FOREACH r IN ARRAY ARRAY['goalsync_operator', 'goalsync_progress_writer', 'goalsync_scheduler', 'goalsync_notifier'] LOOP
            CONTINUE WHEN t IN ('connection', 'credential') OR t = 'data_key' AND r <> 'goalsync_notifier';
            EXECUTE format('CREATE POLICY %I ON %I TO %I USING (%s) WITH CHECK (true)', r, t, r,
                           CASE t WHEN 'data_key' THEN 'category = ''third_party''' ELSE 'true' END); -- seals webhooks' secrets
        END LOOP;
    END LOOP;
END $$;

-- What every gateway caller shares, or what belongs to no organisation.
GRANT SELECT, UPDATE ON tenant TO goalsync_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_creator, integration_policy, account, session, sign_in, api_token, idempotency TO goalsync_gateway;

GRANT UPDATE (auto_at) ON goal TO goalsync_progress_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON person, goal, goal_edge, goal_task, org_integration, connection, link, link_batch, period, team,
    team_member, goal_co_owner, goal_viewer, goal_team, goal_tag, check_in, comment, mention, reaction, webhook,
    webhook_delivery TO goalsync_gateway;
GRANT SELECT, UPDATE ON organisation TO goalsync_gateway;
GRANT SELECT, INSERT ON terms_acceptance, link_revision, activity, audit TO goalsync_gateway;
GRANT SELECT ON audit_chain, observation TO goalsync_gateway;
GRANT EXECUTE ON FUNCTION make_periods(bigint) TO goalsync_gateway, goalsync_scheduler, goalsync_operator;
GRANT SELECT ON organisation TO goalsync_scheduler;
GRANT SELECT, INSERT ON period TO goalsync_scheduler;
GRANT SELECT, INSERT ON data_key TO goalsync_gateway;
GRANT UPDATE (sealed) ON data_key TO goalsync_gateway;
-- Secrets go in; none comes out.
GRANT SELECT (connection_id, org_id, category, data_key_id, updated_at), INSERT, UPDATE, DELETE ON credential TO goalsync_gateway;
GRANT SELECT (id, webhook_id, org_id, data_key_id, created_at, expires_at), INSERT, UPDATE (expires_at), DELETE ON webhook_secret
    TO goalsync_gateway;
GRANT INSERT ON outbox, sync_request TO goalsync_gateway;
GRANT SELECT, UPDATE ON sync_request TO goalsync_gateway;

REVOKE EXECUTE ON FUNCTION audit_credential_use(bigint, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_credential_use(bigint, int) TO goalsync_notifier;
GRANT SELECT ON organisation, person, goal, goal_edge, link, check_in, comment, mention, webhook, webhook_secret, data_key TO goalsync_notifier;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_delivery TO goalsync_notifier;
GRANT UPDATE (enabled, stopped_reason) ON webhook TO goalsync_notifier;
GRANT DELETE ON webhook_secret TO goalsync_notifier;
GRANT SELECT, INSERT, UPDATE ON consumer_offset TO goalsync_notifier;
GRANT INSERT ON audit TO goalsync_notifier;

GRANT SELECT ON tenant, tenant_creator, account, period, team, team_member, goal_co_owner, goal_viewer, goal_team, goal_tag, check_in,
    comment, mention, reaction, webhook, webhook_delivery, audit_chain, terms_acceptance TO goalsync_operator;
GRANT SELECT (id, public_id, account_id, org_id, link_id, name, hint, scopes, expires_at, last_used_at, revoked_at, created_at)
    ON api_token TO goalsync_operator;
GRANT UPDATE ON tenant TO goalsync_operator;
GRANT INSERT, UPDATE, DELETE ON tenant_creator, account, api_token, period, team, team_member, goal_co_owner, goal_viewer, goal_team,
    goal_tag, check_in, comment, mention, reaction, webhook TO goalsync_operator;
GRANT INSERT ON terms_acceptance TO goalsync_operator;
