"""Gates on a whole fleet: whatever is switched off stops fetching at once and keeps what there is; switched on, it goes on."""
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402

SERVICES = ("scheduler", "progress-writer", "fetch-third-party")
NOT_ALLOWED = "the integration is not allowed by the tenant administrator"
NOT_ENABLED = "the integration is not enabled in this organisation"


class World:
    """Everything by HTTP: an organisation, PostgreSQL enabled, a shared connection to a database of its own, a goal fed by it."""

    def __init__(self, fleet, gateway):
        self.fleet, self.gateway = fleet, gateway
        self.root = gateway.account("root@example.org", "Root", tenant_admin=True)
        self.ada, self.bob = gateway.account("ada@example.org", "Ada"), gateway.account("bob@example.org", "Bob")
        fleet.sql("CREATE DATABASE shop", database="postgres")
        password = fleet.shell("secret shop_reader")
        fleet.sql("CREATE TABLE sold (n numeric NOT NULL); INSERT INTO sold VALUES (10); "
                  f"CREATE ROLE shop_reader LOGIN PASSWORD '{password}'; GRANT SELECT ON sold TO shop_reader", database="shop")
        self.org = "/api/v1/organisations/" + self.post("/api/v1/organisations", {"name": "Acme"}).json["id"]
        self.post(f"{self.org}/people", {"email": "bob@example.org", "name": "Bob"})
        self.enable()
        self.connection = self.post(f"{self.org}/connections", {
            "integration": "postgresql", "name": "Shop", "shared": True, "secret": {"user": "shop_reader", "password": password},
            "settings": {"host": "127.0.0.1", "port": fleet.state("postgres"), "database": "shop",
                         "ca_pem": (fleet.dir / "tls" / "ca.crt").read_text()}}).json["id"]
        self.goal = self.post(f"{self.org}/goals", {"kind": "key_result", "title": "Sell", "metric": "reach", "target": "1000"}, self.bob).json["id"]
        self.link = self.post(f"/api/v1/goals/{self.goal}/link", {"connection_id": self.connection, "settings": {"query": "SELECT n FROM sold"}},
                              self.bob).json["id"]

    def post(self, path, body=None, token=None):
        answer = self.gateway.call("POST", path, body, token or self.ada)
        assert answer.status < 300, answer
        return answer

    def tenant(self, **settings):
        self.gateway.patch("/api/v1/tenant", settings, self.root).expect(200)

    def enable(self):
        shown = self.gateway.get(f"{self.org}/integrations/postgresql", self.ada).expect(200).json["terms"]
        self.post(f"{self.org}/integrations/postgresql/enable", {"terms_url": shown["url"], "terms_version": shown["version"]})

    def sell(self, n):
        self.fleet.sql("UPDATE sold SET n = %s", n, database="shop")

    def shown(self):
        return self.gateway.get(f"/api/v1/goals/{self.goal}", self.bob).expect(200).json

    def await_value(self, value):
        return wait_for(f"value {value}", lambda: self.shown()["value"] == value, 60)

    def skipped(self):
        """How often the scheduler passed over a closed gate."""
        return sum(float(n) for n in re.findall(r"^goalsync_scheduler_skipped_total\S* (\S+)$", self.fleet.health("scheduler"), re.M))

    def await_skips(self, n):
        begin = self.skipped()
        wait_for("slots are passed over", lambda: self.skipped() >= begin + n, 60)


@pytest.fixture(scope="module")
def world():
    with Fleet(services=SERVICES, period="1s") as fleet:
        fleet.start()
        with Gateway(fleet, servers=("postgres", "kafka", "redis")) as gateway:
            yield World(fleet, gateway)


GATES = {
    "no integration is allowed": (lambda w: w.tenant(integrations="none"), lambda w: w.tenant(integrations="all"), NOT_ALLOWED),
    "others are selected": (lambda w: w.tenant(integrations="selected", allowed={"github": True}),
                            lambda w: w.tenant(allowed={"postgresql": True}), NOT_ALLOWED),
    "this one is denied": (lambda w: w.tenant(integrations="all", allowed={"postgresql": False}),
                           lambda w: w.tenant(allowed={"postgresql": None}), NOT_ALLOWED),
    "the organisation disables it": (lambda w: w.post(f"{w.org}/integrations/postgresql/disable"), lambda w: w.enable(), NOT_ENABLED),
    "the connection is stopped": (lambda w: w.post(f"/api/v1/connections/{w.connection}/stop", {"reason": "the shop moves"}),
                                  lambda w: w.post(f"/api/v1/connections/{w.connection}/start"), "the shop moves"),
}


@pytest.mark.parametrize("gate", GATES)
def test_a_closed_gate_stops_fetching_and_an_open_one_resumes(world, gate):
    close, open_again, reason = GATES[gate]
    number = 100 * (1 + list(GATES).index(gate))
    world.sell(number)
    world.await_value(str(number))
    close(world)
    world.sell(number + 1)
    # What was under way when the gate closed is over by the next slot.
    world.await_skips(1)
    fetched, seen = (world.fleet.one(sql, world.goal) for sql in (
        "SELECT fetched_at FROM goal WHERE public_id = %s",
        "SELECT count(*) FROM observation o JOIN goal g ON g.id = o.goal_id WHERE g.public_id = %s"))
    world.await_skips(3)
    shown = world.shown()
    assert shown["value"] == str(number) and shown["mode"] == "data_source"
    assert shown["link"]["paused"] == reason and shown["link"]["id"] == world.link
    assert world.gateway.get(f"/api/v1/links/{world.link}", world.bob).json["paused"] == reason
    assert world.gateway.get(f"/api/v1/connections/{world.connection}", world.bob).json["paused"] == reason
    assert world.fleet.one("SELECT fetched_at FROM goal WHERE public_id = %s", world.goal) == fetched
    assert world.fleet.one("SELECT count(*) FROM observation o JOIN goal g ON g.id = o.goal_id WHERE g.public_id = %s", world.goal) == seen
    open_again(world)
    world.await_value(str(number + 1))
    assert world.shown()["link"]["paused"] is None


def test_every_gate_is_in_the_audit(world):
    actions = [a["action"] for a in world.gateway.pages("/api/v1/audit", world.root)]
    assert actions.count("tenant.edited") >= 6
    actions = {a["action"] for a in world.gateway.pages(f"{world.org}/audit", world.ada)}
    assert {"integration.enabled", "integration.disabled", "connection.created", "connection.stopped", "connection.started", "person.added",
            "link.created"} <= actions


def test_changed_limits_derive_statuses_at_once(world):
    today = world.gateway.get(world.org, world.ada).json["today"]
    world.fleet.sql("UPDATE goal SET start_on = %s::date - 50, end_on = %s::date + 50 WHERE public_id = %s", today, today, world.goal)
    world.sell(400)  # of 1000 where 500 were expected
    world.await_value("400")
    wait_for("behind", lambda: world.shown()["status"] == "behind")
    world.gateway.patch(world.org, {"behind_above": "20", "at_risk_above": "30"}, world.ada).expect(200)
    wait_for("on track by the new limits", lambda: world.shown()["status"] == "on_track")
