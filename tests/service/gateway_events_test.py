"""The audit and webhooks over HTTP: who may, what is refused, and that secrets are shown once."""
import re
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402

URL = "https://hooks.example.org/goals?team=1"
EVENTS = ["goal.added", "goal.checked_in"]
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


class World:
    def __init__(self, gateway):
        self.gateway = gateway
        self.ada, self.ben, self.eve, self.root = (gateway.account(f"{n}@example.org", n, tenant_admin=n == "root")
                                                   for n in ("ada", "ben", "eve", "root"))
        self.org, self.other = gateway.organisation(self.ada, "Acme"), gateway.organisation(self.eve, "Elsewhere")
        gateway.member(self.org, self.ben)
        self.hooks = f"/api/v1/organisations/{self.org}/webhooks"

    def make(self, **members):
        return self.gateway.post(self.hooks, {"url": URL, "events": EVENTS, **members}, self.ada).expect(201).json

    def audit(self, query="", token=None):
        return self.gateway.get(f"/api/v1/organisations/{self.org}/audit{query}", token or self.ada).expect(200).json["items"]


@pytest.fixture(scope="module")
def world():
    with Fleet() as fleet, Gateway(fleet, GOALSYNC_NOTIFIER_ALLOW_PRIVATE="no", GOALSYNC_NOTIFIER_ALLOW_PLAIN="no") as gateway:
        yield World(gateway)


# ---- webhooks

def test_made_shown_changed_deleted(world):
    made = world.gateway.post(world.hooks, {"url": URL, "events": EVENTS, "description": "for the wall"}, world.ada).expect(201)
    hook = made.json
    assert SECRET.fullmatch(hook.pop("secret")) and made.headers["Location"] == f"/api/v1/webhooks/{hook['id']}"
    assert made.headers["Cache-Control"] == "no-store"
    assert (hook["url"], hook["events"], hook["description"], hook["enabled"], hook["stopped_reason"]) == (URL, EVENTS, "for the wall", True, None)
    assert hook["created_by_id"] == world.org.owner and [s["expires_at"] for s in hook["secrets"]] == [None]

    shown = world.gateway.get(f"/api/v1/webhooks/{hook['id']}", world.ada).expect(200)
    assert shown.json == hook and shown.headers["ETag"] == made.headers["ETag"]
    world.gateway.get(f"/api/v1/webhooks/{hook['id']}", world.ada, headers={"If-None-Match": shown.headers["ETag"]}).expect(304)
    assert hook in world.gateway.pages(world.hooks, world.ada, limit=1)

    changed = world.gateway.patch(f"/api/v1/webhooks/{hook['id']}", {"enabled": False, "events": ["sync.failed"]}, world.ada,
                                  headers={"If-Match": shown.headers["ETag"]}).expect(200)
    assert (changed.json["enabled"], changed.json["events"], changed.json["url"]) == (False, ["sync.failed"], URL)
    world.gateway.patch(f"/api/v1/webhooks/{hook['id']}", {"enabled": True}, world.ada, headers={"If-Match": shown.headers["ETag"]}).expect(412)
    world.gateway.delete(f"/api/v1/webhooks/{hook['id']}", world.ada).expect(204)
    world.gateway.get(f"/api/v1/webhooks/{hook['id']}", world.ada).expect(404)
    actions = [r["action"] for r in world.audit(f"?target=webhook:{hook['id']}")]
    assert actions == ["webhook.deleted", "webhook.edited", "webhook.created"]


@pytest.mark.parametrize("url, says", [
    ("http://hooks.example.org/", "https://"), ("ftp://hooks.example.org/", "https://"), ("hooks.example.org", "https://"),
    ("https://user:pw@hooks.example.org/", "user name"), ("https://user@hooks.example.org/", "user name"),
    ("https://127.0.0.1/", "not public"), ("https://2130706433/", "not public"), ("https://[::1]/", "not public"),
    ("https://localhost:8080/", "not public"), ("https://10.0.0.7/", "not public"), ("https://169.254.169.254/latest", "not public"),
    ("https://[::ffff:192.168.0.1]/", "not public"), ("https://hooks.example.org/a b", "a URI"), ("https://bücher.example/", "a URI"),
    ("https:///path", "UR[IL]"), ("https://hooks.example.org/#x", "#"), ("javascript:alert(1)", "https://")])
def test_urls_that_are_refused(world, url, says):
    answer = world.gateway.post(world.hooks, {"url": url, "events": EVENTS}, world.ada).expect(422)
    assert answer.json["errors"][0]["pointer"] == "/url" and re.search(says, answer.text)
    hook = world.make()
    world.gateway.patch(f"/api/v1/webhooks/{hook['id']}", {"url": url}, world.ada).expect(422)
    world.gateway.delete(f"/api/v1/webhooks/{hook['id']}", world.ada).expect(204)


@pytest.mark.parametrize("body", [{"events": EVENTS}, {"url": URL}, {"url": URL, "events": []}, {"url": URL, "events": ["goal.unheard_of"]},
                                  {"url": URL, "events": ["goal.added", "goal.added"]}, {"url": URL, "events": ["webhook.ping"]},
                                  {"url": URL, "events": EVENTS, "secret": "whsec_mine"}, {"url": "https://x.example/" + "y" * 2000, "events": EVENTS}])
def test_bodies_that_are_refused(world, body):
    world.gateway.post(world.hooks, body, world.ada).expect(422)


def test_only_administrators_of_the_organisation(world):
    hook = f"/api/v1/webhooks/{world.make()['id']}"
    asked = [("GET", world.hooks, None), ("POST", world.hooks, {"url": URL, "events": EVENTS}), ("GET", hook, None), ("PATCH", hook, {"enabled": True}),
             ("DELETE", hook, None), ("POST", f"{hook}/secrets", {}), ("POST", f"{hook}/ping", None), ("GET", f"{hook}/deliveries", None),
             ("POST", f"{hook}/deliveries/{uuid.uuid4()}/redeliver", None)]
    for method, path, body in asked:
        for token, status in ((None, 401), (world.ben, 403), (world.eve, 404)):
            assert world.gateway.call(method, path, body, token).status == status, (method, path, status)
    narrow = world.gateway.token(world.ada, scopes=("read", "write"))
    world.gateway.post(world.hooks, {"url": URL, "events": EVENTS}, narrow).expect(403)


def test_secrets_overlap(world):
    hook = world.make()
    path = f"/api/v1/webhooks/{hook['id']}"
    second = world.gateway.post(f"{path}/secrets", {"overlap_hours": 5}, world.ada).expect(201)
    assert second.headers["Cache-Control"] == "no-store" and second.json["secret"] != hook["secret"]
    third = world.gateway.post(f"{path}/secrets", {}, world.ada).expect(201).json
    secrets = world.gateway.get(path, world.ada).json["secrets"]
    assert [s["expires_at"] for s in secrets] == [None, third["old_expires_at"], second.json["old_expires_at"]]
    refused = world.gateway.post(f"{path}/secrets", {}, world.ada).expect(409)
    assert "overlap_hours 0" in refused.json["detail"]
    world.gateway.post(f"{path}/secrets", {"overlap_hours": 0}, world.ada).expect(201)
    assert [s["expires_at"] for s in world.gateway.get(path, world.ada).json["secrets"]] == [None]
    for hours in (-1, 169, "1"):
        world.gateway.post(f"{path}/secrets", {"overlap_hours": hours}, world.ada).expect(422)


def test_secrets_lie_sealed_and_are_never_shown_again(world):
    hook = world.make()
    rotated = world.gateway.post(f"/api/v1/webhooks/{hook['id']}/secrets", {}, world.ada).expect(201).json
    dump = world.gateway.fleet.shell("owner_psql goalsync -At -c 'SELECT s.*, w.* FROM webhook_secret s, webhook w'; "
                                     "owner_psql goalsync -At -c 'SELECT * FROM audit'; owner_psql goalsync -At -c 'SELECT * FROM idempotency'")
    everywhere = dump + world.gateway.log() + world.gateway.get(f"/api/v1/webhooks/{hook['id']}", world.ada).text
    for secret in (hook["secret"], rotated["secret"]):
        text = secret[len("whsec_"):]
        assert text not in everywhere and text.encode().hex() not in everywhere
    assert world.gateway.fleet.sql("SELECT has_column_privilege('goalsync_gateway', 'webhook_secret', 'sealed', 'SELECT')") == [(False,)]


def test_same_answer_for_the_same_key(world):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"url": URL, "events": EVENTS}
    first = world.gateway.post(world.hooks, body, world.ada, headers=key).expect(201).json
    assert world.gateway.post(world.hooks, body, world.ada, headers=key).expect(201).json == first


def test_pings_and_deliveries(world):
    hook = f"/api/v1/webhooks/{world.make()['id']}"
    pings = [world.gateway.call("POST", f"{hook}/ping", token=world.ada).expect(202).json for _ in range(3)]
    assert {p["event"] for p in pings} == {"webhook.ping"} and pings[0]["payload"]["data"]["organisation_id"] == world.org.id
    assert [d["id"] for d in world.gateway.pages(f"{hook}/deliveries", world.ada, limit=1)] == [p["id"] for p in reversed(pings)]
    world.gateway.fleet.sql("UPDATE webhook_delivery SET state = 'failed', attempts = 10, last_status = 500, last_error = 'no' WHERE public_id = %s",
                            pings[0]["id"])
    failed = world.gateway.get(f"{hook}/deliveries?state=failed&event=webhook.ping", world.ada).expect(200).json["items"]
    assert [(d["id"], d["last_status"], d["last_error"], d["next_attempt_at"]) for d in failed] == [(pings[0]["id"], 500, "no", None)]
    again = world.gateway.call("POST", f"{hook}/deliveries/{pings[0]['id']}/redeliver", token=world.ada).expect(202).json
    assert (again["id"], again["state"], again["attempts"]) == (pings[0]["id"], "due", 0)
    world.gateway.call("POST", f"{hook}/deliveries/{uuid.uuid4()}/redeliver", token=world.ada).expect(404)
    other = f"/api/v1/webhooks/{world.make()['id']}"
    world.gateway.call("POST", f"{other}/deliveries/{pings[0]['id']}/redeliver", token=world.ada).expect(404)
    world.gateway.get(f"{hook}/deliveries?state=lost", world.ada).expect(400)

    world.gateway.patch(hook, {"enabled": False}, world.ada).expect(200)
    assert {d["state"] for d in world.gateway.pages(f"{hook}/deliveries", world.ada)} == {"dropped"}
    world.gateway.call("POST", f"{hook}/ping", token=world.ada).expect(409)


def test_starting_again_what_stopped(world):
    hook = world.make()
    world.gateway.fleet.sql("UPDATE webhook SET stopped_reason = 'gone' WHERE public_id = %s", hook["id"])
    path = f"/api/v1/webhooks/{hook['id']}"
    assert world.gateway.get(path, world.ada).json["stopped_reason"] == "gone"
    assert world.gateway.patch(path, {"description": "still"}, world.ada).json["stopped_reason"] == "gone"
    assert world.gateway.patch(path, {"enabled": True}, world.ada).json["stopped_reason"] is None


def test_not_more_than_fifty(world):
    lisa = world.gateway.account("lisa@example.org", "Lisa")
    org = world.gateway.organisation(lisa, "Full")
    path = f"/api/v1/organisations/{org}/webhooks"
    for _ in range(50):
        world.gateway.post(path, {"url": URL, "events": EVENTS}, lisa).expect(201)
    assert "50" in world.gateway.post(path, {"url": URL, "events": EVENTS}, lisa).expect(409).json["detail"]


def test_the_document_describes_what_is_sent(world):
    document = world.gateway.get("/openapi.json").expect(200).json
    offered = set(document["components"]["schemas"]["WebhookEvent"]["enum"])
    assert set(document["webhooks"]) == offered | {"webhook.ping"}


# ---- the audit

def test_audit_filters_and_pages(world):
    for i in range(5):
        world.gateway.fleet.sql("INSERT INTO audit (org_id, actor, action, target, detail) VALUES (%s, 'person:x', %s, %s, '{\"n\": 1}')",
                                world.org.row, f"thing.made{i % 2}", f"thing:{i}")
    everything = world.gateway.pages(f"/api/v1/organisations/{world.org}/audit", world.ada, limit=3)
    numbers = [r["number"] for r in everything]
    assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) == len(numbers)
    assert {r["organisation_id"] for r in everything} == {world.org.id}
    assert [r["target"] for r in world.audit("?action=thing.")] == [f"thing:{i}" for i in (4, 3, 2, 1, 0)]
    assert [r["target"] for r in world.audit("?action=thing.made1")] == ["thing:3", "thing:1"]
    assert [r["target"] for r in world.audit("?actor=person:x&target=thing:2")] == ["thing:2"]
    assert world.audit("?to=2020-01-01T00:00:00Z") == [] and world.audit("?from=2099-01-01T00:00:00Z") == []
    third = world.audit("?target=thing:2")[0]
    assert [r["target"] for r in world.audit(f"?action=thing&from={third['at']}&to={everything[0]['at']}")] == ["thing:3", "thing:2"]
    assert third["detail"] == {"n": 1} and re.fullmatch("[0-9a-f]{64}", third["hash"])
    assert third["hash"] == world.gateway.fleet.one("SELECT encode(hash, 'hex') FROM audit_chain WHERE seq = %s", third["number"])
    world.gateway.get(f"/api/v1/organisations/{world.org}/audit?from=yesterday", world.ada).expect(400)


def test_audit_is_for_administrators(world):
    path = f"/api/v1/organisations/{world.org}/audit"
    for token, status in ((None, 401), (world.ben, 403), (world.eve, 404), (world.root, 200)):
        world.gateway.get(path, token).expect(status)
    for token, status in ((None, 401), (world.ben, 403), (world.ada, 403), (world.root, 200)):
        world.gateway.get("/api/v1/audit", token).expect(status)
    world.gateway.fleet.sql("INSERT INTO audit (org_id, actor, action, target) VALUES (%s, 'person:y', 'thing.elsewhere', 'thing:9')", world.other.row)
    world.gateway.fleet.sql("INSERT INTO audit (actor, action, target) VALUES ('account:z', 'tenant.edited', 'tenant:1')")
    assert world.audit("?action=thing.elsewhere") == []
    tenant = world.gateway.get("/api/v1/audit?limit=2", world.root).json["items"]
    assert [(r["action"], r["organisation_id"]) for r in tenant] == [("tenant.edited", None), ("thing.elsewhere", world.other.id)]
    assert world.audit("?action=thing.elsewhere", world.root) == [], "an organisation's list is that organisation's, whoever asks"
