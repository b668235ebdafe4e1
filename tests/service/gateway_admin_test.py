"""The tenant, organisations, periods, people, teams, integrations and connections over HTTP: who may, what is refused and why."""
import json
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402

SECRET = "canary-of-a-secret-7f3a"
TERMS = {"terms_url": "https://www.postgresql.org/about/policies/", "terms_version": "1"}
SETTINGS = {"host": "db.example", "database": "shop"}
LOGIN = {"user": "reader", "password": SECRET}
SYSTEMS = 33  # that are known


class World:
    """Root administers the tenant; Ada owns Acme, Al administers it, Bob and Cy are members; Eve owns another organisation."""

    def __init__(self, gateway):
        self.gateway, self.fleet, self.number = gateway, gateway.fleet, 0
        self.root = gateway.account("root@example.org", "Root", tenant_admin=True)
        self.eve = gateway.account("eve@example.org", "Eve")
        gateway.organisation(self.eve, "Elsewhere")

    def account(self, name="P"):
        self.number += 1
        email = f"{name.lower()}{self.number}@example.org"
        return self.gateway.account(email, name), email

    def acme(self):
        return Acme(self)


class Acme:
    """An organisation of its own for a test."""

    def __init__(self, world):
        self.world, self.gateway, self.fleet = world, world.gateway, world.fleet
        self.ada, self.ada_email = world.account("Ada")
        self.org = self.gateway.post("/api/v1/organisations", {"name": f"Acme {world.number}"}, self.ada).expect(201).json["id"]
        self.path = f"/api/v1/organisations/{self.org}"
        self.row = self.fleet.one("SELECT id FROM organisation WHERE public_id = %s", self.org)
        self.ada_id = self.people()[0]["id"]
        self.al, self.al_id = self.join("Al", "admin")
        self.bob, self.bob_id = self.join("Bob")

    def join(self, name, role="member"):
        """A token of somebody who has signed in, and their place."""
        token, email = self.world.account(name)
        person = self.post("/people", {"email": email, "name": name, "role": role}, self.ada).expect(201).json
        assert person["signed_in"]
        return token, person["id"]

    def get(self, path, token=None):
        return self.gateway.get(self.path + path, token or self.ada)

    def post(self, path, body=None, token=None):
        return self.gateway.post(self.path + path, body, token or self.ada)

    def press(self, path, token):
        """A POST without a body."""
        return self.gateway.call("POST", path, token=token)

    def people(self, query=""):
        return self.gateway.pages(f"{self.path}/people{query}", self.ada)

    def enable(self, integration="postgresql", **terms):
        return self.post(f"/integrations/{integration}/enable", {**TERMS, **terms})

    def connect(self, token=None, name=None, **more):
        self.world.number += 1
        body = {"integration": "postgresql", "name": name or f"Shop {self.world.number}", "settings": SETTINGS, "secret": LOGIN, **more}
        return self.post("/connections", body, token)

    def goal(self, title, owner=None, private=False):
        owner = self.gateway.person_row(owner or self.ada_id)
        return self.fleet.sql("INSERT INTO goal (org_id, kind, title, start_on, end_on, private, owner_id, creator_id, metric, target_value) "
                              "VALUES (%s, 'key_result', %s, '2026-01-01', '2026-12-31', %s, %s, %s, 'reach', 100) RETURNING id, public_id::text",
                              self.row, title, private, owner, owner)[0]

    def link(self, goal, connection):
        """A link as it is after its first number; made by SQL, as there is no worker here."""
        batch = self.fleet.one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) SELECT id, org_id, 1, 'k' || %s FROM "
                               "connection WHERE public_id = %s RETURNING id", goal, connection)
        self.fleet.sql("UPDATE goal SET mode = 'data_source', has_value = true, applied_value = 7, auto_value = 7 WHERE id = %s", goal)
        return self.fleet.sql("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) SELECT org_id, %s, connection_id, id, "
                              "'{\"query\":\"SELECT 7\"}' FROM link_batch WHERE id = %s RETURNING id, public_id::text", goal, batch)[0]

    def audit(self, target=None):
        """Actions in order, or those about one thing."""
        return [row[0] for row in self.fleet.sql("SELECT action FROM audit WHERE org_id = %s AND (%s::text IS NULL OR target = %s) ORDER BY id",
                                                 self.row, target, target)]

    def signed_in(self, token):
        """Whether the organisation lets this token in."""
        return self.get("", token).status == 200


@pytest.fixture(scope="module")
def world():
    with Fleet(services=[]) as fleet, Gateway(fleet) as gateway:
        yield World(gateway)


def settled(world, **settings):
    """The tenant's settings for a test; afterwards everything is allowed again."""
    world.gateway.patch("/api/v1/tenant", settings, world.root).expect(200)


@pytest.fixture
def tenant(world):
    yield lambda **settings: settled(world, **settings)
    allowed = world.gateway.get("/api/v1/tenant", world.root).json["allowed"]
    settled(world, org_creation="everyone", creators=[], integrations="all", allowed={name: None for name in allowed})


# ---- the tenant

def test_who_creates_organisations_is_the_tenants_rule(world, tenant):
    named, email = world.account("Nan")
    plain, _ = world.account("Pat")

    def create(token):
        world.number += 1
        return world.gateway.post("/api/v1/organisations", {"name": f"New {world.number}"}, token)

    assert create(plain).status == 201
    tenant(org_creation="administrators")
    assert "tenant administrators" in create(plain).expect(403).json["detail"] and create(world.root).status == 201
    tenant(org_creation="named", creators=[email.upper()])
    assert "named" in create(plain).expect(403).json["detail"]
    assert create(named).status == 201
    settings = world.gateway.get("/api/v1/tenant", world.root).json
    assert settings["creators"] == [email] and settings["org_creation"] == "named"
    for token in (plain, world.eve):
        world.gateway.get("/api/v1/tenant", token).expect(403)
        world.gateway.patch("/api/v1/tenant", {"org_creation": "everyone"}, token).expect(403)
    refused = world.gateway.patch("/api/v1/tenant", {"allowed": {"gitbucket": True}}, world.root).expect(422).json
    assert "gitbucket" in refused["detail"] and refused["errors"][0]["pointer"] == "/allowed"


def test_edits_of_the_tenant_do_not_overrun_each_other(world, tenant):
    tag = world.gateway.get("/api/v1/tenant", world.root).headers["ETag"]
    world.gateway.patch("/api/v1/tenant", {"integrations": "none"}, world.root, headers={"If-Match": tag}).expect(200)
    world.gateway.patch("/api/v1/tenant", {"integrations": "all"}, world.root, headers={"If-Match": tag}).expect(412)


def test_tenant_administrators_are_appointed_and_never_all_removed(world):
    token, email = world.account("Tess")
    path = "/api/v1/tenant/administrators"
    world.gateway.post(path, {"email": "nobody@example.org"}, world.root).expect(422)
    world.gateway.post(path, {"email": email}, token).expect(403)
    appointed = world.gateway.post(path, {"email": email.upper()}, world.root).expect(200).json
    assert {a["email"] for a in world.gateway.pages(path, token)} >= {email, "root@example.org"}
    me = world.gateway.get("/api/v1/me", world.root).json["account"]["id"]
    world.gateway.delete(f"{path}/{appointed['id']}", world.root).expect(204)
    world.gateway.get("/api/v1/tenant", token).expect(403)
    world.gateway.delete(f"{path}/{appointed['id']}", world.root).expect(404)
    # The first start's account comes in by its token alone.
    world.fleet.sql("UPDATE api_token SET revoked_at = now() WHERE 'bootstrap' = ANY (scopes)")
    refused = world.gateway.delete(f"{path}/{me}", world.root).expect(409).json
    assert "appoint somebody else" in refused["detail"]
    assert world.fleet.sql("SELECT action FROM audit WHERE target = %s ORDER BY id", f"account:{appointed['id']}") == [
        ("tenant.admin_appointed",), ("tenant.admin_removed",)]
    # Somebody whose address two accounts have is named by the account.
    twin, email = world.account("Twin")
    world.gateway.account(email, "Twin")
    world.gateway.post(path, {"email": email}, world.root).expect(409)
    account = world.gateway.get("/api/v1/me", twin).json["account"]["id"]
    world.gateway.post(path, {"account_id": account}, world.root).expect(200)
    world.gateway.delete(f"{path}/{account}", twin).expect(204)


def test_a_tenant_administrator_finds_organisations_joins_them_and_hands_them_over(world):
    acme = world.acme()
    found = [o for o in world.gateway.pages("/api/v1/tenant/organisations", world.root, limit=2) if o["id"] == acme.org]
    assert found[0]["people"] == 3 and [o["email"] for o in found[0]["owners"]] == [acme.ada_email]
    world.gateway.get("/api/v1/tenant/organisations", acme.ada).expect(403)
    helper, helper_email = world.account("Helga")
    world.fleet.sql("UPDATE account SET tenant_admin = true WHERE email = %s", helper_email)
    assert acme.get("/integrations", helper).status == 403
    acme.post("/join", None, acme.bob).expect(403)
    joined = acme.post("/join", None, helper).expect(200).json
    assert joined["role"] == "admin" and joined["email"] == helper_email
    assert acme.get("/integrations", helper).status == 200
    assert acme.post("/join", {"role": "owner"}, helper).expect(200).json["id"] == joined["id"]
    acme.post("/transfer", {"email": "someone@example.org"}, acme.al).expect(403)
    bob_email = [p["email"] for p in acme.people() if p["id"] == acme.bob_id][0]
    owner = acme.post("/transfer", {"email": bob_email}, world.root).expect(200).json
    assert owner["id"] == acme.bob_id and owner["role"] == "owner"
    roles = {p["id"]: p["role"] for p in acme.people()}
    assert roles[acme.ada_id] == "admin" and roles[joined["id"]] == "admin"
    acme.post("/transfer", {"email": "new@example.org", "keep_owners": True}, acme.bob).expect(200)
    assert sorted(p["role"] for p in acme.people()).count("owner") == 2
    assert acme.audit(f"person:{joined['id']}") == ["organisation.joined", "organisation.joined"]
    world.fleet.sql("UPDATE account SET tenant_admin = false WHERE email = %s", helper_email)


# ---- organisations and periods

def test_an_organisation_begins_with_its_owner_and_its_periods(world):
    token, _ = world.account("Olga")
    world.number += 1
    made = world.gateway.post("/api/v1/organisations", {"name": f"Tokyo {world.number}", "time_zone": "Asia/Tokyo", "planning_year_month": 4},
                              token).expect(201)
    org = made.json
    assert made.headers["Location"] == f"/api/v1/organisations/{org['id']}" and org["role"] == "owner"
    assert org["behind_above"] == "0" and org["at_risk_above"] == "25" and org["planning_year_month"] == 4
    periods = world.gateway.pages(f"/api/v1/organisations/{org['id']}/periods", token, limit=2)
    current = [p for p in periods if p["current"]]
    assert sorted(p["kind"] for p in current) == ["quarter", "year"] and current[0]["starts_on"][5:] in ("04-01", "07-01", "10-01", "01-01")
    year = [p for p in current if p["kind"] == "year"][0]
    inside = [p for p in periods if p["kind"] == "quarter" and year["starts_on"] <= p["starts_on"] <= year["ends_on"]]
    assert len(inside) == 4 and inside[0]["starts_on"] == year["starts_on"] and inside[-1]["ends_on"] == year["ends_on"]
    assert world.gateway.get(f"/api/v1/organisations/{org['id']}/periods?current=true&kind=year", token).json["items"] == [year]
    assert [o["id"] for o in world.gateway.pages("/api/v1/organisations", token)] == [org["id"]]
    again = world.gateway.post("/api/v1/organisations", {"name": org["name"]}, token).expect(409).json
    assert "name" in again["detail"]
    world.gateway.post("/api/v1/organisations", {"name": "Nowhere", "time_zone": "Mars/Olympus"}, token).expect(422)
    world.gateway.post("/api/v1/organisations", {"name": " "}, token).expect(422)


def test_a_bound_token_stays_within_its_organisation(world):
    acme = world.acme()
    world.number += 1
    world.gateway.post("/api/v1/organisations", {"name": f"Second {world.number}"}, acme.ada).expect(201)
    bound = world.gateway.token(acme.ada, org=acme.row)
    assert [o["id"] for o in world.gateway.pages("/api/v1/organisations", bound)] == [acme.org]
    world.gateway.post("/api/v1/organisations", {"name": "Third"}, bound).expect(403)


def test_settings_of_an_organisation(world):
    acme = world.acme()
    path = acme.path
    acme.fleet.sql("UPDATE organisation SET status_day = current_date WHERE id = %s", acme.row)
    answer = acme.gateway.get(path, acme.bob).expect(200)
    acme.gateway.patch(path, {"name": "Other"}, acme.bob).expect(403)
    edit = {"behind_above": "5", "at_risk_above": "12.5", "status_mode": "key_results", "green_from": "0.8", "amber_from": "0.5",
            "several_parents": False, "projects_contribute": True, "create_rule": "admins"}
    edited = acme.gateway.patch(path, edit, acme.al, headers={"If-Match": answer.headers["ETag"]}).expect(200).json
    assert {k: edited[k] for k in edit} == edit
    # The progress writer passes over the day anew.
    assert acme.fleet.one("SELECT status_day = '-infinity' FROM organisation WHERE id = %s", acme.row)
    acme.gateway.patch(path, {"name": "Other"}, acme.al, headers={"If-Match": answer.headers["ETag"]}).expect(412)
    for wrong, pointer in (({"behind_above": "13"}, "/behind_above"), ({"at_risk_above": "100.5"}, "/behind_above"),
                           ({"behind_above": "-1"}, "/behind_above"), ({"at_risk_above": "20.125"}, "/behind_above"),
                           ({"amber_from": "0.8"}, "/amber_from"), ({"green_from": "1.2"}, "/amber_from"), ({"time_zone": "Moon"}, "/time_zone")):
        refused = acme.gateway.patch(path, wrong, acme.al).expect(422).json
        assert refused["errors"][0]["pointer"] == pointer, wrong
    assert acme.audit(f"organisation:{acme.org}") == ["organisation.created", "organisation.edited"]


def test_another_planning_year_makes_its_periods_and_keeps_those_with_goals(world):
    acme = world.acme()
    periods = acme.gateway.pages(f"{acme.path}/periods", acme.ada)
    kept = [p for p in periods if p["current"] and p["kind"] == "quarter"][0]
    goal, _ = acme.goal("private", private=True)
    acme.fleet.sql("UPDATE goal SET period_id = (SELECT id FROM period WHERE public_id = %s) WHERE id = %s", kept["id"], goal)
    custom = acme.post("/periods", {"name": "Spring", "starts_on": "2027-03-01", "ends_on": "2027-05-31"}, acme.al).expect(201).json
    acme.gateway.patch(acme.path, {"planning_year_month": 2}, acme.al).expect(200)
    now = acme.gateway.pages(f"{acme.path}/periods", acme.ada)
    assert kept["id"] in [p["id"] for p in now] and custom["id"] in [p["id"] for p in now]
    year = [p for p in now if p["current"] and p["kind"] == "year"]
    assert len(year) == 1 and year[0]["starts_on"][5:] == "02-01"
    today = acme.get("").json["today"]
    ahead = {p["starts_on"][5:7] for p in now if p["kind"] == "quarter" and p["id"] != kept["id"] and p["ends_on"] >= today}
    assert ahead and ahead <= {"02", "05", "08", "11"}


def test_custom_periods(world):
    acme = world.acme()
    body = {"name": "Sprint", "starts_on": "2026-05-01", "ends_on": "2026-05-14"}
    acme.post("/periods", body, acme.bob).expect(403)
    acme.post("/periods", {**body, "ends_on": "2026-04-30"}, acme.al).expect(422)
    made = acme.post("/periods", body, acme.al).expect(201)
    path = made.headers["Location"]
    assert made.json["kind"] == "custom" and acme.gateway.get(path, acme.bob).json == made.json
    acme.post("/periods", body, acme.al).expect(409)
    acme.gateway.patch(path, {"ends_on": "2026-04-01"}, acme.al).expect(422)
    assert acme.gateway.patch(path, {"ends_on": "2026-05-21"}, acme.al).expect(200).json["ends_on"] == "2026-05-21"
    goal, _ = acme.goal("private", private=True)
    acme.fleet.sql("UPDATE goal SET period_id = (SELECT id FROM period WHERE public_id = %s) WHERE id = %s", made.json["id"], goal)
    assert "1 goals" in acme.gateway.delete(path, acme.al).expect(409).json["detail"]
    acme.fleet.sql("UPDATE goal SET period_id = NULL WHERE id = %s", goal)
    acme.gateway.delete(path, acme.al).expect(204)
    year = [p for p in acme.gateway.pages(f"{acme.path}/periods", acme.ada) if p["kind"] == "year"][0]
    acme.gateway.patch(f"/api/v1/periods/{year['id']}", {"ends_on": "2030-01-01"}, acme.al).expect(409)
    assert acme.gateway.patch(f"/api/v1/periods/{year['id']}", {"name": "The year"}, acme.al).expect(200).json["name"] == "The year"
    acme.gateway.delete(f"/api/v1/periods/{year['id']}", acme.al).expect(409)
    assert acme.audit(f"period:{made.json['id']}") == ["period.created", "period.edited", "period.deleted"]


# ---- people

def test_people_are_added_found_and_changed(world):
    acme = world.acme()
    acme.post("/people", {"email": "x@example.org"}, acme.bob).expect(403)
    later = acme.post("/people", {"email": "Later@Example.org", "name": "Later", "manager_id": acme.bob_id}, acme.al).expect(201).json
    assert not later["signed_in"] and later["role"] == "member" and later["manager_id"] == acme.bob_id
    again = acme.post("/people", {"email": "later@example.org"}, acme.al).expect(409).json
    assert later["id"] in again["detail"]
    # Their first sign-in takes the place.
    world.fleet.sql("SELECT gateway_sign_in('https://test.invalid', 'later', 'later@example.org', 'Later')")
    assert acme.gateway.get(f"/api/v1/people/{later['id']}", acme.bob).json["signed_in"]
    acme.post("/people", {"email": "not an address"}, acme.al).expect(422)
    assert [p["id"] for p in acme.people("?search=LATER")] == [later["id"]]
    assert [p["id"] for p in acme.people("?role=owner")] == [acme.ada_id]
    assert [p["id"] for p in acme.people(f"?manager_id={acme.bob_id}")] == [later["id"]]
    assert acme.gateway.pages(f"{acme.path}/people", acme.ada, limit=1) == acme.people()
    # One's own name is one's own; the rest is for administrators.
    bob = f"/api/v1/people/{acme.bob_id}"
    assert acme.gateway.patch(bob, {"name": "Robert"}, acme.bob).expect(200).json["name"] == "Robert"
    acme.gateway.patch(bob, {"role": "admin"}, acme.bob).expect(403)
    acme.gateway.patch(f"/api/v1/people/{later['id']}", {"name": "X"}, acme.bob).expect(403)
    acme.gateway.get(bob, world.eve).expect(404)
    refused = acme.gateway.patch(bob, {"manager_id": later["id"]}, acme.al).expect(422).json
    assert "circle" in refused["detail"]
    acme.gateway.patch(bob, {"manager_id": acme.bob_id}, acme.al).expect(422)
    acme.gateway.patch(bob, {"manager_id": acme.ada_id}, acme.al).expect(200)
    assert acme.gateway.patch(bob, {"manager_id": None}, acme.al).expect(200).json["manager_id"] is None


def test_only_owners_make_owners_and_one_always_remains(world):
    acme = world.acme()
    bob, ada = f"/api/v1/people/{acme.bob_id}", f"/api/v1/people/{acme.ada_id}"
    assert "owner" in acme.gateway.patch(bob, {"role": "owner"}, acme.al).expect(403).json["detail"]
    acme.post("/people", {"email": "o@example.org", "role": "owner"}, acme.al).expect(403)
    acme.gateway.patch(ada, {"role": "member"}, acme.al).expect(403)
    for refused in (acme.gateway.patch(ada, {"role": "member"}, acme.ada), acme.gateway.post(f"{ada}/deactivate", None, acme.ada),
                    acme.gateway.delete(ada, acme.ada)):
        assert "make somebody else an owner" in refused.expect(409).json["detail"]
    acme.gateway.patch(bob, {"role": "owner"}, acme.ada).expect(200)
    acme.gateway.patch(ada, {"role": "admin"}, acme.bob).expect(200)
    acme.gateway.delete(bob, acme.al).expect(403)
    assert acme.audit(f"person:{acme.bob_id}") == ["person.added", "person.role_changed"]


def test_whoever_leaves_shared_connections_is_refused_or_hands_them_over(world):
    acme = world.acme()
    acme.enable().expect(200)
    mine = acme.connect(acme.bob, name="Private").expect(201).json
    shared = acme.connect(acme.bob, name="Warehouse").expect(201).json
    acme.press(f"/api/v1/connections/{shared['id']}/share", acme.al).expect(200)
    goal, _ = acme.goal("Grow", acme.bob_id)
    path = f"/api/v1/people/{acme.bob_id}"
    refused = acme.gateway.post(f"{path}/deactivate", None, acme.bob).expect(409).json
    assert "Warehouse" in refused["detail"] and "Private" not in refused["detail"] and "transfer_to" in refused["detail"]
    acme.gateway.post(f"{path}/deactivate", {"transfer_to": acme.bob_id}, acme.bob).expect(422)
    away = acme.gateway.post(f"{path}/deactivate", {"transfer_to": acme.al_id}, acme.bob).expect(200).json
    assert away["deactivated_at"] and not acme.signed_in(acme.bob)
    owners = dict(acme.fleet.sql("SELECT c.name, p.public_id::text FROM connection c JOIN person p ON p.id = c.owner_id WHERE c.org_id = %s", acme.row))
    assert owners == {"Private": acme.bob_id, "Warehouse": acme.al_id}
    # They still own their goal, and are listed when asked for.
    assert acme.fleet.one("SELECT p.public_id::text FROM goal g JOIN person p ON p.id = g.owner_id WHERE g.id = %s", goal) == acme.bob_id
    assert acme.bob_id not in [p["id"] for p in acme.people()] and acme.bob_id in [p["id"] for p in acme.people("?deactivated=true")]
    acme.gateway.patch(f"/api/v1/people/{acme.al_id}", {"manager_id": acme.bob_id}, acme.ada).expect(422)
    acme.press(f"{path}/reactivate", acme.al).expect(200)
    assert acme.signed_in(acme.bob)
    acme.gateway.post(f"/api/v1/people/{acme.al_id}/deactivate", None, acme.bob).expect(403)
    assert acme.audit(f"person:{acme.bob_id}") == ["person.added", "person.deactivated", "person.reactivated"]
    assert "connection.transferred" in acme.audit(f"connection:{shared['id']}") and mine["id"] != shared["id"]


def test_whoever_is_deleted_leaves_goals_and_connections_to_somebody(world):
    acme = world.acme()
    acme.enable().expect(200)
    used = acme.connect(acme.bob, name="Used").expect(201).json
    goal, _ = acme.goal("Grow", acme.bob_id)
    hidden, _ = acme.goal("Secret plan", acme.bob_id, private=True)
    together, _ = acme.goal("Together")
    acme.link(goal, used["id"])
    bob, al = acme.gateway.person_row(acme.bob_id), acme.gateway.person_row(acme.al_id)
    acme.fleet.sql("INSERT INTO goal_co_owner (goal_id, person_id, org_id) VALUES (%s, %s, %s), (%s, %s, %s)", together, bob, acme.row, goal, al, acme.row)
    comment, check_in = (acme.fleet.one(f"INSERT INTO {sql} RETURNING id", acme.row, together, bob) for sql in (
        "comment (org_id, goal_id, person_id, body) VALUES (%s, %s, %s, 'words of Bob')",
        "check_in (org_id, goal_id, person_id, value, note) VALUES (%s, %s, %s, 5, 'more words')"))
    team = acme.post("/teams", {"name": "Ops"}, acme.al).expect(201).json
    acme.gateway.put(f"/api/v1/teams/{team['id']}/members/{acme.bob_id}", {"owner": True}, acme.al).expect(200)
    path = f"/api/v1/people/{acme.bob_id}"
    acme.gateway.delete(path, acme.bob).expect(403)
    refused = acme.gateway.delete(path, acme.al).expect(409).json["detail"]
    assert "3 goals" in refused and "Grow" in refused and "Secret plan" not in refused and "Used" in refused
    acme.gateway.delete(f"{path}?transfer_to={acme.al_id}", acme.al).expect(204)
    assert acme.fleet.sql("SELECT owner_id FROM goal WHERE id IN (%s, %s)", goal, hidden) == [(al,), (al,)]
    assert acme.fleet.sql("SELECT goal_id, person_id FROM goal_co_owner WHERE org_id = %s", acme.row) == [(together, al)]
    assert acme.fleet.one("SELECT owner_id FROM connection WHERE public_id = %s", used["id"]) == al
    assert acme.fleet.one("SELECT owner FROM team_member WHERE person_id = %s", al)
    assert not acme.fleet.sql("SELECT FROM comment WHERE id = %s", comment)
    assert acme.fleet.sql("SELECT value, note, person_id FROM check_in WHERE id = %s", check_in) == [(5, "", None)]
    assert not acme.signed_in(acme.bob) and acme.audit(f"person:{acme.bob_id}") == ["person.added", "person.deleted"]
    assert acme.fleet.one("SELECT count(*) FROM activity WHERE goal_id = %s AND kind = 'owner_changed'", goal) == 1
    # Who owns nothing that is used just goes, with private connections that nothing uses.
    cy, cy_id = acme.join("Cy")
    idle = acme.connect(cy).expect(201).json
    acme.gateway.delete(f"/api/v1/people/{cy_id}", acme.al).expect(204)
    assert not acme.fleet.sql("SELECT FROM connection WHERE public_id = %s", idle["id"])
    assert acme.audit(f"connection:{idle['id']}")[-1] == "connection.deleted"


# ---- teams

def test_teams_stand_below_each_other_and_have_owners(world):
    acme = world.acme()
    acme.post("/teams", {"name": "Mine"}, acme.bob).expect(403)
    product = acme.post("/teams", {"name": "Product"}, acme.al).expect(201).json
    path = f"/api/v1/teams/{product['id']}"
    assert product["owner_ids"] == [acme.al_id] and product["members"] == 1
    acme.gateway.put(f"{path}/members/{acme.bob_id}", {"owner": True}, acme.bob).expect(403)
    member = acme.gateway.put(f"{path}/members/{acme.bob_id}", {"owner": True}, acme.al).expect(200).json
    assert member["owner"] and member["person_id"] == acme.bob_id
    # Its owner puts teams below it, and people into it.
    web = acme.post("/teams", {"name": "Web", "parent_id": product["id"]}, acme.bob).expect(201).json
    acme.gateway.put(f"/api/v1/teams/{web['id']}/members/{acme.ada_id}", {}, acme.bob).expect(200)
    acme.gateway.patch(f"/api/v1/teams/{web['id']}", {"parent_id": None}, acme.bob).expect(403)
    assert [t["id"] for t in acme.gateway.pages(f"{acme.path}/teams?parent_id={product['id']}", acme.bob)] == [web["id"]]
    refused = acme.gateway.patch(path, {"parent_id": web["id"]}, acme.al).expect(422).json
    assert "circle" in refused["detail"]
    acme.gateway.patch(path, {"parent_id": product["id"]}, acme.al).expect(422)
    acme.post("/teams", {"name": "Product"}, acme.al).expect(409)
    acme.gateway.patch(path, {"name": "Products"}, acme.bob).expect(200)
    acme.gateway.get(path, world.eve).expect(404)
    assert {m["person_id"] for m in acme.gateway.pages(f"{path}/members", acme.bob, limit=1)} == {acme.al_id, acme.bob_id}
    acme.gateway.delete(f"/api/v1/teams/{web['id']}/members/{acme.ada_id}", acme.ada).expect(204)
    acme.gateway.put(f"{path}/members/{acme.world.gateway.get('/api/v1/me', world.eve).json['memberships'][0]['person_id']}", {}, acme.al).expect(404)


def test_archived_teams(world):
    acme = world.acme()
    top = acme.post("/teams", {"name": "Top"}, acme.al).expect(201).json
    below = acme.post("/teams", {"name": "Below", "parent_id": top["id"]}, acme.al).expect(201).json
    goal, _ = acme.goal("Theirs", private=True)
    acme.fleet.sql("INSERT INTO goal_team (goal_id, team_id, org_id) SELECT %s, id, org_id FROM team WHERE public_id = %s", goal, top["id"])
    path = f"/api/v1/teams/{top['id']}"
    assert "archive it" in acme.gateway.delete(path, acme.al).expect(409).json["detail"]
    acme.press(f"{path}/archive", acme.bob).expect(403)
    assert acme.press(f"{path}/archive", acme.al).expect(200).json["archived_at"]
    assert acme.gateway.get(f"/api/v1/teams/{below['id']}", acme.al).json["parent_id"] is None
    assert [t["id"] for t in acme.gateway.pages(f"{acme.path}/teams", acme.al)] == [below["id"]]
    assert len(acme.gateway.pages(f"{acme.path}/teams?archived=true", acme.al)) == 2
    acme.gateway.patch(f"/api/v1/teams/{below['id']}", {"parent_id": top["id"]}, acme.al).expect(422)
    assert acme.press(f"{path}/restore", acme.al).expect(200).json["archived_at"] is None
    acme.fleet.sql("DELETE FROM goal_team WHERE goal_id = %s", goal)
    acme.gateway.delete(path, acme.al).expect(204)
    assert acme.audit(f"team:{top['id']}") == ["team.created", "team.archived", "team.restored", "team.deleted"]


# ---- integrations

def test_every_known_system_is_shown(world):
    acme = world.acme()
    shown = acme.gateway.pages(f"{acme.path}/integrations", acme.bob, limit=10)
    assert len(shown) == len({i["name"] for i in shown}) == SYSTEMS
    assert all(i["terms"]["url"].startswith("https://") and i["allowed"] and not i["enabled"] and i["accepted"] is None for i in shown)
    by_name = {i["name"]: i for i in shown}
    assert [by_name[n]["category"] for n in ("planner", "mssql", "jira")] == ["in_boundary", "cross_boundary", "third_party"]
    assert {i["name"] for i in shown if i["type"] == "collaboration"} == {"slack", "teams"} and by_name["slack"]["direction"] == "both"
    assert by_name["power-bi"]["sharing"] == "never" and by_name["smartsheet"]["sharing"] == "always"
    postgresql = by_name["postgresql"]
    assert postgresql["available"] and postgresql["auth"][0]["kind"] == "user_password" and [f["name"] for f in postgresql["auth"][0]["fields"]] == ["user", "password"]
    assert [f["name"] for f in postgresql["connection_fields"]] == ["host", "port", "database", "sslmode", "ca_pem"]
    assert postgresql["link_fields"][0]["required"] and set(postgresql["outcomes"]) == {"number", "percent"}
    missing = [i for i in shown if not i["available"]][0]
    refused = acme.post(f"/integrations/{missing['name']}/enable", {"terms_url": missing["terms"]["url"], "terms_version": "1"}).expect(409).json
    assert "no connector" in refused["detail"]
    acme.get("/integrations/gitbucket").expect(404)
    available = acme.gateway.pages(f"{acme.path}/integrations?available=true", acme.bob)
    assert {i["name"] for i in available} == {i["name"] for i in shown if i["available"]}


def test_terms_are_accepted_as_they_were_shown(world):
    acme = world.acme()
    acme.post("/integrations/postgresql/enable", TERMS, acme.bob).expect(403)
    for wrong in ({"terms_url": "https://example.org/"}, {"terms_version": "0"}):
        refused = acme.enable(**wrong).expect(409).json
        assert TERMS["terms_url"] in refused["detail"] and "version 1" in refused["detail"]
    acme.post("/integrations/postgresql/enable", {}).expect(422)
    assert not acme.get("/integrations/postgresql").json["enabled"]
    enabled = acme.post("/integrations/postgresql/enable", TERMS, acme.al).expect(200).json
    accepted = enabled["accepted"]
    assert enabled["enabled"] and accepted["by_id"] == acme.al_id and accepted["url"] == TERMS["terms_url"] and accepted["current"]
    off = acme.press(f"{acme.path}/integrations/postgresql/disable", acme.al).expect(200).json
    assert not off["enabled"] and off["paused"] == "the integration is not enabled in this organisation" and off["accepted"] == accepted
    acme.enable().expect(200)
    history = acme.gateway.pages(f"{acme.path}/integrations/postgresql/acceptances", acme.al, limit=1)
    assert [h["by_id"] for h in history] == [acme.ada_id, acme.al_id] and history[1]["at"] == accepted["at"]
    acme.get("/integrations/postgresql/acceptances", acme.bob).expect(403)
    # Older terms stay what was accepted, and are said to be old.
    acme.fleet.sql("UPDATE org_integration SET terms_version = '0' WHERE org_id = %s", acme.row)
    assert not acme.get("/integrations/postgresql").json["accepted"]["current"]
    assert acme.audit("integration:postgresql") == ["integration.enabled", "integration.disabled", "integration.enabled"]


def test_what_the_tenant_does_not_allow_cannot_be_enabled(world, tenant):
    acme = world.acme()
    for closed in ({"integrations": "none"}, {"integrations": "selected"}, {"integrations": "all", "allowed": {"postgresql": False}}):
        tenant(**closed)
        assert "tenant administrators" in acme.enable().expect(403).json["detail"], closed
        shown = acme.get("/integrations/postgresql").json
        assert not shown["allowed"] and "not allowed" in shown["paused"]
        tenant(integrations="all", allowed={"postgresql": None})
    tenant(integrations="selected", allowed={"postgresql": True})
    acme.enable().expect(200)


def test_the_rule_of_sharing(world):
    acme = world.acme()
    acme.enable().expect(200)
    rule = f"{acme.path}/integrations/postgresql"
    acme.connect(acme.bob, shared=True).expect(403)
    shared = acme.connect(acme.al, shared=True).expect(201).json
    assert shared["shared"]
    acme.gateway.patch(rule, {"sharing": "never"}, acme.bob).expect(403)
    assert acme.gateway.patch(rule, {"sharing": "never"}, acme.al).expect(200).json["sharing"] == "never"
    assert not acme.gateway.get(f"/api/v1/connections/{shared['id']}", acme.al).json["shared"]
    acme.connect(acme.al, shared=True).expect(422)
    assert "never shared" in acme.press(f"/api/v1/connections/{shared['id']}/share", acme.al).expect(409).json["detail"]
    acme.gateway.patch(rule, {"sharing": "always"}, acme.al).expect(200)
    assert acme.connect(acme.bob).expect(201).json["shared"]
    assert not acme.gateway.get(f"/api/v1/connections/{shared['id']}", acme.al).json["shared"], "opened behind its owner's back"
    acme.gateway.patch(rule, {"sharing": "choice"}, acme.al).expect(200)
    assert not acme.connect(acme.bob).expect(201).json["shared"]
    assert acme.audit(f"connection:{shared['id']}") == ["connection.created", "connection.unshared"]


# ---- connections

def test_connections_are_seen_by_those_who_have_to_do_with_them(world):
    acme = world.acme()
    assert "not enabled" in acme.connect().expect(409).json["detail"]
    acme.enable().expect(200)
    bobs, als = acme.connect(acme.bob).expect(201).json, acme.connect(acme.al).expect(201).json
    shared = acme.connect(acme.al, shared=True).expect(201).json
    cy, _ = acme.join("Cy")
    own = acme.connect(cy).expect(201).json

    def listed(token, query=""):
        return [k["id"] for k in acme.gateway.pages(f"{acme.path}/connections{query}", token, limit=1)]

    assert listed(cy) == [own["id"], shared["id"]]
    assert listed(acme.bob) == [bobs["id"], shared["id"]]
    assert listed(acme.al) == [als["id"], shared["id"], bobs["id"], own["id"]]
    assert listed(acme.al, "?shared=true") == [shared["id"]] and listed(acme.al, "?integration=github") == []
    path = f"/api/v1/connections/{bobs['id']}"
    acme.gateway.get(path, cy).expect(404)
    acme.gateway.get(path, world.eve).expect(404)
    seen = acme.gateway.get(path, acme.al).expect(200).json
    assert seen["settings"] == SETTINGS and seen["secret_changed_at"] and not seen["mine"] and seen["owner_id"] == acme.bob_id
    assert bobs["mine"] and bobs["links"] == 0 and bobs["paused"] is None
    # Shared is not owned.
    for method, sub, body in (("PATCH", "", {"name": "X"}), ("DELETE", "", None), ("POST", "/stop", {}), ("POST", "/start", None),
                              ("POST", "/reauthenticate", {"secret": LOGIN}), ("POST", "/unshare", None),
                              ("POST", "/transfer", {"person_id": acme.bob_id})):
        acme.gateway.call(method, f"/api/v1/connections/{shared['id']}{sub}", body, cy).expect(403)
    # An administrator shares, stops, and hands over what is shared; whose a private one is, its owner says.
    acme.gateway.patch(path, {"name": "X"}, acme.al).expect(403)
    acme.gateway.post(f"{path}/transfer", {"person_id": acme.al_id}, acme.al).expect(403)
    acme.press(f"{path}/share", acme.bob).expect(403)
    acme.press(f"{path}/share", acme.al).expect(200)
    assert acme.gateway.post(f"{path}/transfer", {"person_id": acme.ada_id}, acme.al).expect(200).json["owner_id"] == acme.ada_id
    acme.gateway.post(f"/api/v1/connections/{own['id']}/transfer", {"person_id": acme.bob_id}, cy).expect(204)
    acme.gateway.get(f"/api/v1/connections/{own['id']}", cy).expect(404)
    assert acme.audit(f"connection:{bobs['id']}") == ["connection.created", "connection.shared", "connection.transferred"]


def test_what_a_connection_is_made_of_is_checked(world):
    acme = world.acme()
    acme.enable().expect(200)
    for body, pointer, says in (
            ({"integration": "gitbucket"}, "/integration", "list of integrations"),
            ({"integration": "jira"}, "/integration", "no connector"),
            ({"settings": {"host": "db.example"}}, "/settings", "database"),
            ({"settings": {**SETTINGS, "hots": "x"}}, "/settings", "there is no field \"hots\""),
            ({"settings": {**SETTINGS, "port": "70000"}}, "/settings", "65535"),
            ({"settings": {**SETTINGS, "sslmode": "require", "ca_pem": "x"}}, "/settings", "ca_pem"),
            ({"secret": None}, "/secret", "signs in with one"),
            ({"secret": {"token": SECRET}}, "/secret", "user"),
            ({"secret": {"user": SECRET}}, "/secret", "password"),
            ({"name": "  "}, "/name", "")):
        refused = acme.connect(**body).expect(422).json
        assert refused["errors"][0]["pointer"] == pointer and says in refused["detail"] and SECRET not in json.dumps(refused), body
    for secret in ({"user": SECRET, "password": {}}, {"user": "x", "password": SECRET, "pin": SECRET}, SECRET, [SECRET]):
        assert SECRET not in acme.connect(secret=secret).expect(422).text
    acme.connect(name="Twice").expect(201)
    assert "name" in acme.connect(name="Twice").expect(409).json["detail"]


def test_a_secret_goes_nowhere_without_somebody_who_knows_it(world):
    acme = world.acme()
    acme.enable().expect(200)
    path = acme.connect(acme.bob).expect(201).headers["Location"]
    tag = acme.gateway.get(path, acme.bob).headers["ETag"]
    for moved in ({"host": "evil.example"}, {"port": "6543"}, {"sslmode": "require"}, {"ca_pem": "-----BEGIN CERTIFICATE-----"}):
        refused = acme.gateway.patch(path, {"settings": moved}, acme.bob).expect(422).json
        assert refused["errors"][0]["pointer"] == "/secret" and next(iter(moved)) in refused["detail"]
    acme.gateway.patch(path, {"settings": {"port": "5432"}}, acme.bob).expect(200)  # what it is by itself
    edited = acme.gateway.patch(path, {"name": "Till", "settings": {"database": "till"}}, acme.bob).expect(200).json
    assert edited["settings"] == {**SETTINGS, "database": "till"} and edited["name"] == "Till"
    acme.gateway.patch(path, {"name": "Y"}, acme.bob, headers={"If-Match": tag}).expect(412)
    row = "SELECT c.version, s.sealed FROM connection c JOIN credential s ON s.connection_id = c.id WHERE '/api/v1/connections/' || c.public_id = %s"
    version, sealed = acme.fleet.sql(row, path)[0]
    acme.gateway.patch(path, {"settings": {"host": "db2.example"}, "secret": LOGIN}, acme.bob).expect(200)
    newer, sealed_again = acme.fleet.sql(row, path)[0]
    assert newer > version and bytes(sealed_again) != bytes(sealed)
    # Another one's secret may be replaced by an administrator; where it goes may not.
    acme.gateway.post(f"{path}/reauthenticate", {"secret": {"user": "new", "password": "p"}}, acme.al).expect(200)
    acme.gateway.patch(path, {"settings": {"host": "db3.example"}, "secret": LOGIN}, acme.al).expect(403)
    assert acme.fleet.sql(row, path)[0][0] > newer
    assert acme.audit("connection:" + path.rsplit("/", 1)[1]) == ["connection.created", "connection.edited", "connection.edited", "connection.edited",
                                                                  "connection.reauthenticated", "connection.reauthenticated"]


def test_a_connection_in_use_is_deleted_only_with_its_links(world):
    acme = world.acme()
    acme.enable().expect(200)
    connection = acme.connect(acme.bob).expect(201).json
    (goal, goal_id), (hidden, _) = acme.goal("Seen"), acme.goal("Hidden", private=True)
    _, link = acme.link(goal, connection["id"])
    acme.link(hidden, connection["id"])
    path = f"/api/v1/connections/{connection['id']}"
    assert acme.gateway.get(path, acme.al).json["links"] == 1, "one is of a private goal"
    refused = acme.gateway.delete(path, acme.al).expect(409).json
    assert "2 goals" in refused["detail"] and "detach=true" in refused["detail"]
    acme.gateway.delete(f"{path}?detach=true", acme.al).expect(204)
    acme.gateway.get(path, acme.bob).expect(404)
    for g in (goal, hidden):
        assert acme.fleet.sql("SELECT mode::text, applied_value FROM goal WHERE id = %s", g) == [("data_source", 7)]
    assert not acme.fleet.sql("SELECT FROM link WHERE org_id = %s", acme.row)
    assert acme.fleet.one("SELECT count(*) FROM credential WHERE org_id = %s", acme.row) == 0
    shown = acme.gateway.get(f"/api/v1/goals/{goal_id}", acme.ada).expect(200).json
    assert shown["mode"] == "data_source" and shown["value"] == "7"
    assert "unlinked" in [r[0] for r in acme.fleet.sql("SELECT kind FROM activity WHERE goal_id = %s", goal)]
    assert acme.audit(f"connection:{connection['id']}")[-1] == "connection.deleted" and acme.audit(f"link:{link}") == ["link.deleted"]


def test_secrets_come_out_nowhere(world):
    acme = world.acme()
    acme.enable().expect(200)
    key = {"Idempotency-Key": "once"}
    body = {"integration": "postgresql", "name": "Sealed", "settings": SETTINGS, "secret": LOGIN}
    first = acme.gateway.post(f"{acme.path}/connections", body, acme.bob, headers=key).expect(201)
    again = acme.gateway.post(f"{acme.path}/connections", body, acme.bob, headers=key).expect(201)
    assert first.json == again.json and SECRET not in first.text
    acme.gateway.post(f"{acme.path}/connections", {**body, "secret": {**LOGIN, "user": "x"}}, acme.bob, headers=key).expect(422)
    path = first.headers["Location"]
    acme.gateway.post(f"{path}/reauthenticate", {"secret": LOGIN}, acme.al).expect(200)
    dump = subprocess.run(["pg_dump", "--inserts", world.fleet.url()], capture_output=True, text=True, check=True).stdout
    assert "canary-of" not in dump and SECRET.encode().hex() not in dump and "Sealed" in dump
    logs = "".join(f.read_text(errors="replace") for f in (world.fleet.dir / "log").iterdir())
    assert SECRET not in logs and "connection_create" in logs
    # The gateway's own role cannot read what it sealed.
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        world.fleet.sql("SET ROLE goalsync_gateway; SELECT sealed FROM credential")


def test_stopping_and_starting(world):
    acme = world.acme()
    acme.enable().expect(200)
    path = acme.connect(acme.bob).expect(201).headers["Location"]
    stopped = acme.gateway.post(f"{path}/stop", {"reason": "the shop moves on Sunday"}, acme.al).expect(200).json
    assert stopped["stopped_reason"] == stopped["paused"] == "the shop moves on Sunday"
    # A gate that is further out says more.
    acme.press(f"{acme.path}/integrations/postgresql/disable", acme.ada).expect(200)
    assert "not enabled" in acme.gateway.get(path, acme.bob).json["paused"]
    assert "not enabled" in acme.press(f"{path}/start", acme.bob).expect(200).json["paused"]
    acme.enable().expect(200)
    assert acme.gateway.get(path, acme.bob).json["paused"] is None
    assert acme.audit("connection:" + path.rsplit("/", 1)[1]) == ["connection.created", "connection.stopped", "connection.started"]


def test_links_that_failed_are_asked_as_soon_as_something_is_better(world, tenant):
    acme = world.acme()
    acme.enable().expect(200)
    path = acme.connect(acme.bob).expect(201).headers["Location"]
    other = acme.connect(acme.bob).expect(201).json["id"]
    (well, _), (failing, _), (elsewhere, _) = acme.goal("Well"), acme.goal("Failing", private=True), acme.goal("Elsewhere")
    acme.link(well, path.rsplit("/", 1)[1])
    link, _ = acme.link(failing, path.rsplit("/", 1)[1])
    far, _ = acme.link(elsewhere, other)
    acme.fleet.sql("UPDATE link SET outcome = 'ok' WHERE org_id = %s", acme.row)
    acme.fleet.sql("UPDATE link SET outcome = 'denied', failures = 3 WHERE id IN (%s, %s)", link, far)

    def asked():
        return [row[0] for row in acme.fleet.sql("WITH s AS (DELETE FROM sync_request RETURNING batch_id) SELECT k.id FROM s JOIN link k ON "
                                                 "k.batch_id = s.batch_id WHERE k.org_id = %s ORDER BY k.id", acme.row)]

    asked()
    for better in (lambda: acme.gateway.post(f"{path}/reauthenticate", {"secret": LOGIN}, acme.al).expect(200),
                   lambda: acme.gateway.patch(path, {"settings": {"database": "till"}}, acme.bob).expect(200)):
        better()
        assert asked() == [link]
    acme.gateway.post(f"{path}/stop", {}, acme.bob).expect(200)
    assert asked() == []
    acme.press(f"{path}/start", acme.bob).expect(200)
    assert asked() == [link]
    # Gates further out open for all of the organisation's.
    acme.press(f"{acme.path}/integrations/postgresql/disable", acme.al).expect(200)
    acme.enable().expect(200)
    assert asked() == [link, far]
    tenant(integrations="none")
    tenant(integrations="all")
    assert asked() == [link, far]
