"""Two organisations full of things, made straight in the tables, so that no operation is needed to test another one.

Whatever a person of the first organisation wrote contains SECRET; whatever is on a private goal contains PRIVATE. An answer
to somebody who has no business there must contain neither.
"""
import hashlib
import secrets

from gateway import new_token

SECRET, PRIVATE = "canary-of-the-first-organisation", "canary-of-a-private-goal"
# Who asks. The first organisation is the one that is asked about.
CALLERS = ["nobody", "other", "member", "admin", "tenant"]
KINDS = ["organisation", "person", "period", "team", "goal", "task", "check_in", "comment", "connection", "link", "webhook", "token"]
ON_GOALS = ["goal", "task", "check_in", "comment", "link"]


class World:
    def __init__(self, fleet):
        self.fleet, self.number = fleet, 0
        self.connection = fleet.connect()  # of its own: thousands of things are made one by one
        self.tokens = {"nobody": None}
        self.org, self.org_public = self.insert("organisation", name=f"First {SECRET}")
        self.other_org, self.other_org_public = self.insert("organisation", name="Second")
        self.owner = self.person(self.org, "owner", "owner")
        self.member = self.person(self.org, "member", "member")
        self.person(self.org, "admin", "admin")
        self.person(self.other_org, "other", "owner")
        self.account("tenant", tenant_admin=True)
        for org in (self.org, self.other_org):
            self.sql("INSERT INTO org_integration (org_id, connector, enabled, terms_url, terms_version) VALUES (%s, 'postgresql', true, 'x', '1')", org)

    def sql(self, statement, *params):
        with self.connection.cursor() as cursor:
            cursor.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement, *params):
        return self.sql(statement, *params)[0][0]

    def insert(self, table, **columns):
        """Inserts a row; returns its inner and its outer id."""
        names = ", ".join(columns)
        return self.sql(f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(columns))}) RETURNING id, public_id::text",
                              *columns.values())[0]

    def account(self, name, tenant_admin=False):
        account, _ = self.insert("account", issuer="https://issuer.example", subject=name, email=f"{name}@example.org",
                                 name=f"{name.title()}", tenant_admin=tenant_admin)
        self.tokens[name] = new_token()
        self.insert("api_token", account_id=account, name="walk", hint="gst_walk", scopes=["read", "write", "admin", "tenant", "values"],
                    token_hash=hashlib.sha256(self.tokens[name].encode()).digest())
        return account

    def person(self, org, name, role):
        return self.insert("person", org_id=org, account_id=self.account(name), email=f"{name}@example.org", name=f"{name} {SECRET}", role=role)[0]

    # ---- one thing of a kind, in the first organisation, the owner's; returns its outer id

    def make(self, kind, private=False):
        self.number += 1
        return getattr(self, "make_" + kind)(private)[1]

    def words(self, private):
        return f"{self.number} {PRIVATE if private else SECRET}"

    def make_account(self, _):
        """Somebody who administers the tenant."""
        return self.insert("account", issuer="https://issuer.example", subject=f"a{self.number}", email=f"a{self.number}@example.org",
                           name=self.words(False), tenant_admin=True)

    def make_organisation(self, _):
        return self.org, self.org_public

    def make_person(self, _):
        return self.insert("person", org_id=self.org, email=f"p{self.number}@{SECRET}.example", name=self.words(False))

    def make_period(self, _):
        return self.insert("period", org_id=self.org, kind="custom", name=self.words(False), starts_on="2026-01-01", ends_on="2026-12-31")

    def make_team(self, _):
        return self.insert("team", org_id=self.org, name=self.words(False))

    def make_goal(self, private, kind="project"):
        return self.insert("goal", org_id=self.org, kind=kind, title=self.words(private), start_on="2026-01-01", end_on="2026-12-31",
                           private=private, owner_id=self.owner, creator_id=self.owner)

    def make_task(self, private):
        return self.insert("goal_task", org_id=self.org, goal_id=self.make_goal(private)[0], title=self.words(private))

    def make_check_in(self, private):
        return self.insert("check_in", org_id=self.org, goal_id=self.make_goal(private, "key_result")[0], person_id=self.owner, value="1",
                           note=self.words(private))

    def make_comment(self, private):
        return self.insert("comment", org_id=self.org, goal_id=self.make_goal(private)[0], person_id=self.owner, body=self.words(private))

    def make_connection(self, _):
        return self.insert("connection", org_id=self.org, connector="postgresql", category="third_party", name=self.words(False),
                           owner_id=self.owner, settings='{"host":"127.0.0.1","database":"none"}')

    def make_objective(self, private):
        return self.make_goal(private, "objective")

    def make_key_result(self, private):
        return self.make_goal(private, "key_result")

    def make_shared_connection(self, _):
        connection = self.make_connection(False)
        self.sql("UPDATE connection SET shared = true WHERE id = %s", connection[0])
        return connection

    def make_link(self, private):
        return self.link(self.make_goal(private, "key_result")[0])

    def link(self, goal):
        connection, _ = self.make_connection(False)
        self.sql("UPDATE goal SET mode = 'data_source' WHERE id = %s", goal)
        batch = self.one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) VALUES (%s, %s, 1, 'k') RETURNING id",
                               connection, self.org)
        return self.insert("link", org_id=self.org, goal_id=goal, connection_id=connection, batch_id=batch, linked_by=self.owner,
                           settings='{"query":"SELECT 1"}')

    def make_webhook(self, _):
        return self.insert("webhook", org_id=self.org, url=f"https://hook.example/{SECRET}", events=["goal.closed"])

    def make_token(self, _):
        account = self.one("SELECT account_id FROM person WHERE id = %s", self.owner)
        return self.insert("api_token", account_id=account, org_id=self.org, name=self.words(False), hint="gst_x", scopes=["read"],
                           token_hash=secrets.token_bytes(32))

    # ---- what an operation needs beside the thing itself; `of` is its outer id

    def prepare_goal_link_get(self, of):
        self.link(self.one("SELECT id FROM goal WHERE public_id = %s", of))

    def prepare_link_push(self, of):
        self.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'zapier', true) ON CONFLICT DO NOTHING", self.org)
        self.sql("UPDATE connection SET connector = 'zapier' WHERE id = (SELECT connection_id FROM link WHERE public_id = %s)", of)
        self.sql("UPDATE link_batch SET pushed = true WHERE id = (SELECT batch_id FROM link WHERE public_id = %s)", of)

    def prepare_goal_resume(self, of):
        self.sql("UPDATE goal SET kind = 'key_result', mode = 'data_source', override = 'sticky', has_value = true, applied_value = 1 "
                       "WHERE public_id = %s", of)

    def close(self, of):
        self.sql("UPDATE goal SET status = 'closed', status_by_hand = true WHERE public_id = %s", of)

    prepare_goal_reopen = prepare_goal_score = close

    # ---- what would change who the callers are, taken back

    def undo_organisation_join(self, of):
        self.sql("DELETE FROM person p USING account a WHERE a.id = p.account_id AND a.subject = 'tenant'")

    # ---- what stands behind another thing in a path; `of` is that one's outer id

    def make_parent(self, of):
        """A goal above a goal."""
        parent, public = self.make_goal(False, "objective")
        self.sql("INSERT INTO goal_edge (parent_id, child_id, org_id) SELECT %s, id, org_id FROM goal WHERE public_id = %s", parent, of)
        return public

    def make_delivery(self, of):
        """A message to a webhook."""
        return self.sql("INSERT INTO webhook_delivery (org_id, webhook_id, event_id, event, payload, state) SELECT org_id, id, %s, "
                              "'goal.closed', '{}', 'failed' FROM webhook WHERE public_id = %s RETURNING public_id::text",
                              secrets.token_hex(8), of)[0][0]
