"""Links over HTTP on a whole fleet: linking, previews, Sync now, pushed values, and what closed gates and lost servers do to them."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402
from scene import OWNER, Scene  # noqa: E402

SERVICES = ("scheduler", "progress-writer", "fetch-third-party")
VALUE = "SELECT value FROM metric WHERE id = "


class World:
    """An organisation with a database as its source; Ada owns it and its connection, Bob is a member, Eve of another one."""

    def __init__(self, fleet, gateway):
        self.fleet, self.gateway, self.scene = fleet, gateway, Scene(fleet)
        self.ada, self.bob, self.eve = (gateway.account(f"{name}@example.org", name.title()) for name in ("ada", "bob", "eve"))
        fleet.sql("UPDATE person SET account_id = %s WHERE email = %s", gateway.account_of(self.ada), OWNER)
        self.org_row = int(self.scene.org)
        self.org = self.public("organisation", self.org_row)
        self.bob_person = gateway.member(self.org_row, self.bob)
        gateway.organisation(self.eve, "Elsewhere")
        self.connection = self.public("connection", self.scene.connection)
        self.ids = iter(range(1, 10000))

    def public(self, table, row):
        return self.fleet.one(f"SELECT public_id::text FROM {table} WHERE id = %s", row)

    def row(self, table, public):
        return self.fleet.one(f"SELECT id FROM {table} WHERE public_id = %s", public)

    def metric(self, value):
        """A row of the source; gives the query for its number."""
        number = next(self.ids)
        self.scene.source_sql("INSERT INTO metric VALUES (%s, %s)", number, value)
        return f"{VALUE}{number}", number

    def set_metric(self, number, value):
        self.scene.source_sql("UPDATE metric SET value = %s WHERE id = %s", value, number)

    def goal(self, title=None, *more):
        return self.public("goal", self.scene.key_result(title or f"Goal {next(self.ids)}", "--metric", "reach", "--target", "100", *more))

    def link(self, goal, query, token=None, connection=None):
        return self.gateway.post(f"/api/v1/goals/{goal}/link",
                                 {"connection_id": connection or self.connection, "settings": {"query": query}}, token or self.ada)

    def linked(self, value):
        """A goal with a link whose first number has come: goal, link, number of the source's row."""
        query, number = self.metric(value)
        goal = self.goal()
        link = self.link(goal, query).expect(201).json["id"]
        self.await_value(link, value)
        return goal, link, number

    def press(self, path, token=None):
        """A POST without a body."""
        return self.gateway.call("POST", path, token=token or self.ada)

    def show(self, link, token=None):
        return self.gateway.get(f"/api/v1/links/{link}", token or self.ada).expect(200).json

    def await_value(self, link, value):
        def there():
            shown = self.show(link)
            return shown["value"] is not None and Decimal(shown["value"]) == Decimal(value) and shown
        return wait_for(f"link {link} gives {value}", there, 60)

    def await_outcome(self, link, outcome):
        return wait_for(f"link {link} is {outcome}", lambda: (s := self.show(link))["outcome"] == outcome and s, 60)

    def preview(self, settings, token=None, gateway=None, connection=None, **more):
        body = {"connection_id": connection or self.connection, "settings": settings, **more}
        return (gateway or self.gateway).post(f"/api/v1/organisations/{self.org}/previews", body, token or self.ada)

    def applied(self, goal):
        return self.fleet.one("SELECT applied_value FROM goal WHERE public_id = %s", goal)

    def feed(self, goal):
        return [row[0] for row in self.fleet.sql("SELECT a.kind FROM activity a JOIN goal g ON g.id = a.goal_id WHERE g.public_id = %s "
                                                 "ORDER BY a.id", goal)]

    def audit(self, link):
        return [row[0] for row in self.fleet.sql("SELECT action FROM audit WHERE target = %s ORDER BY id", f"link:{link}")]

    def close_gate(self, connector="postgresql"):
        self.fleet.cli("integration", "disable", connector, "--org", self.scene.org)

    def open_gate(self, connector="postgresql"):
        self.fleet.cli("integration", "enable", connector, "--org", self.scene.org, "--by", OWNER, "--accept-terms")


@pytest.fixture(scope="module")
def world():
    with Fleet(services=SERVICES) as fleet:
        fleet.start()
        with Gateway(fleet, servers=("postgres", "kafka", "redis")) as gateway:
            w = World(fleet, gateway)
            # Reading along begins a moment after the start; whoever previews before is told to try again.
            wait_for("previews", lambda: w.preview({"query": "SELECT 1"}).status == 200)
            yield w


# ---- linking

def test_a_link_brings_its_number_and_tells_where_it_is_from(world):
    query, _ = world.metric("41")
    goal = world.goal()
    answer = world.link(goal, query).expect(201)
    link = answer.json["id"]
    assert answer.headers["Location"] == f"/api/v1/links/{link}" and answer.headers["ETag"] == '"1-active"'
    shown = world.await_value(link, "41")
    assert shown["state"] == "active" and shown["paused"] is None and shown["outcome"] == "ok" and shown["error"] is None
    assert shown["advice"] is None and shown["failures"] == 0 and not shown["pushed"] and shown["next_due_at"]
    assert 0 <= shown["age_seconds"] < 600
    evidence = shown["evidence"]
    assert evidence["settings"] == {"query": query} and evidence["rows_seen"] == 1 and evidence["linked_by"] == "Ada"
    assert evidence["fetched_at"] and evidence["linked_at"] and evidence["changed_at"]
    by_goal = world.gateway.get(f"/api/v1/goals/{goal}/link", world.ada).expect(200).json
    assert by_goal["id"] == link and by_goal["goal_id"] == goal
    assert world.fleet.sql("SELECT mode::text, round(progress, 2), applied_value FROM goal WHERE public_id = %s", goal) == [
        ("data_source", Decimal(41), Decimal(41))]
    assert world.fleet.sql("SELECT revision, settings->>'query' FROM link_revision WHERE link_id = %s", world.row("link", link)) == [(1, query)]
    assert "linked" in world.feed(goal) and world.audit(link) == ["link.created"]
    refused = world.link(goal, query).expect(409).json
    assert link in refused["detail"]


def test_who_may_link_and_by_which_connection(world):
    query, _ = world.metric("5")
    goal = world.goal()
    world.link(goal, query, world.eve).expect(404)
    world.link(goal, query, world.bob).expect(403)
    world.fleet.sql("UPDATE goal SET check_in_owner_id = %s WHERE public_id = %s", world.row("person", world.bob_person), goal)
    refused = world.link(goal, query, world.bob).expect(422).json
    assert refused["errors"][0]["pointer"] == "/connection_id"
    world.fleet.sql("UPDATE connection SET shared = true WHERE public_id = %s", world.connection)
    link = world.link(goal, query, world.bob).expect(201).json["id"]
    world.fleet.sql("UPDATE connection SET shared = false WHERE public_id = %s", world.connection)
    assert world.await_value(link, "5")["evidence"]["linked_by"] == "Bob"
    # What it asks by the connection it has, he may ask again; what else is asked with her secret is hers to say.
    path, more = f"/api/v1/links/{link}", {"query": "SELECT count(*) FROM pg_roles"}
    assert "private connection" in world.gateway.patch(path, {"settings": more}, world.bob).expect(403).json["detail"]
    assert "private connection" in world.preview(more, world.bob, goal_id=goal).expect(403).json["detail"]
    world.gateway.patch(path, {"settings": {"query": query}}, world.bob).expect(200)
    assert world.preview({"query": query}, world.bob, goal_id=goal).expect(200).json["value"] == "5"
    world.gateway.patch(path, {"state": "paused"}, world.bob).expect(200)
    world.gateway.patch(path, {"state": "active"}, world.bob).expect(200)
    world.gateway.patch(path, {"settings": {"query": query + " -- again"}}, world.ada).expect(200)
    world.gateway.get(f"/api/v1/links/{link}", world.eve).expect(404)
    world.gateway.get(f"/api/v1/organisations/{world.org}/links", world.eve).expect(404)


@pytest.mark.parametrize("settings, says", [
    ({}, 'field "query"'),
    ({"query": "SELECT 1", "colour": "red"}, 'there is no field "colour"'),
    ({"query": " ; "}, "query is empty"),
])
def test_settings_that_the_connector_refuses(world, settings, says):
    refused = world.gateway.post(f"/api/v1/goals/{world.goal()}/link", {"connection_id": world.connection, "settings": settings},
                                 world.ada).expect(422).json
    assert refused["errors"][0]["pointer"] == "/settings" and says in refused["errors"][0]["detail"]


def test_a_connection_that_is_none_and_a_goal_that_ended(world):
    goal = world.goal()
    world.link(goal, "SELECT 1", connection=str(uuid.uuid4())).expect(422)
    world.fleet.sql("UPDATE goal SET status = 'closed', status_by_hand = true WHERE public_id = %s", goal)
    assert "closed" in world.link(goal, "SELECT 1").expect(409).json["detail"]
    world.gateway.get(f"/api/v1/goals/{goal}/link", world.ada).expect(404)


def test_links_of_private_goals_show_to_their_people_only(world):
    goal, link, _ = world.linked("7")
    world.fleet.sql("UPDATE goal SET private = true WHERE public_id = %s", goal)
    world.gateway.get(f"/api/v1/links/{link}", world.bob).expect(404)
    world.press(f"/api/v1/links/{link}/sync", world.bob).expect(404)
    path = f"/api/v1/organisations/{world.org}/links"
    assert link not in [x["id"] for x in world.gateway.pages(path, world.bob)]
    assert link in [x["id"] for x in world.gateway.pages(path, world.ada)]
    # What is private shares its request with what is not: unlinking either must not take it away from the other.
    other = world.goal()
    twin = world.link(other, world.show(link)["settings"]["query"]).expect(201).json["id"]
    world.gateway.delete(f"/api/v1/links/{twin}", world.ada).expect(204)
    assert world.fleet.one("SELECT count(*) FROM link_batch b JOIN link k ON k.batch_id = b.id WHERE k.public_id = %s", link) == 1


# ---- changing

def test_an_edit_is_a_new_revision_and_asks_anew(world):
    goal, link, _ = world.linked("10")
    query, _ = world.metric("20")
    path = f"/api/v1/links/{link}"
    tag = world.gateway.get(path, world.ada).headers["ETag"]
    edited = world.gateway.patch(path, {"settings": {"query": query}}, world.ada, headers={"If-Match": tag}).expect(200)
    assert edited.json["revision"] == 2 and edited.headers["ETag"] == '"2-active"'
    world.gateway.patch(path, {"settings": {"query": "SELECT 0"}}, world.ada, headers={"If-Match": tag}).expect(412)
    world.await_value(link, "20")
    same = world.gateway.patch(path, {"settings": {"query": query}}, world.ada).expect(200).json
    assert same["revision"] == 2
    world.gateway.patch(path, {"settings": {"query": None}}, world.ada).expect(422)
    assert world.fleet.one("SELECT count(*) FROM link_revision WHERE link_id = %s", world.row("link", link)) == 2
    assert world.audit(link) == ["link.created", "link.edited"] and "link_edited" in world.feed(goal)


def test_a_link_is_pointed_to_another_connection(world):
    _, link, _ = world.linked("11")
    other_row = world.scene.connect(name="Second way")
    other = world.public("connection", other_row)
    moved = world.gateway.patch(f"/api/v1/links/{link}", {"connection_id": other}, world.ada).expect(200).json
    assert moved["connection_id"] == other and moved["revision"] == 2 and moved["settings"] == world.show(link)["settings"]
    world.await_outcome(link, "ok")
    assert world.fleet.one("SELECT count(*) FROM link_batch WHERE connection_id = %s", other_row) == 1


def test_a_person_pauses_a_link_and_lets_it_go_on(world):
    _, link, number = world.linked("12")
    path = f"/api/v1/links/{link}"
    paused = world.gateway.patch(path, {"state": "paused", "paused_reason": "the shop moves"}, world.ada).expect(200)
    assert paused.json["paused"] == "the shop moves" and paused.json["next_due_at"] is None and paused.headers["ETag"] == '"1-paused"'
    assert "the shop moves" in world.press(f"{path}/sync", world.ada).expect(409).json["detail"]
    world.set_metric(number, "13")
    assert world.gateway.patch(path, {"state": "active"}, world.ada).expect(200).json["paused"] is None
    world.await_value(link, "13")
    assert world.audit(link) == ["link.created", "link.paused", "link.resumed"]


def test_unlinking_keeps_value_mode_and_history(world):
    goal, link, _ = world.linked("14")
    query = world.show(link)["settings"]["query"]
    tag = world.gateway.get(f"/api/v1/links/{link}", world.ada).headers["ETag"]
    world.gateway.delete(f"/api/v1/links/{link}", world.ada, headers={"If-Match": '"9-active"'}).expect(412)
    world.gateway.delete(f"/api/v1/links/{link}", world.ada, headers={"If-Match": tag}).expect(204)
    world.gateway.get(f"/api/v1/links/{link}", world.ada).expect(404)
    world.gateway.get(f"/api/v1/goals/{goal}/link", world.ada).expect(404)
    assert world.fleet.sql("SELECT mode::text, applied_value FROM goal WHERE public_id = %s", goal) == [("data_source", Decimal(14))]
    assert world.fleet.one("SELECT count(*) FROM observation WHERE goal_id = %s", world.row("goal", goal)) == 1
    assert world.feed(goal)[-1] == "unlinked" and world.audit(link)[-1] == "link.deleted"
    feed = world.gateway.pages(f"/api/v1/goals/{goal}/feed", world.ada)
    evidence = [entry["evidence"] for entry in feed if entry["type"] == "observation"]
    assert [e["settings"] for e in evidence] == [{"query": query}] and evidence[0]["link_id"] == link and evidence[0]["linked_by_id"]
    assert {entry["data"]["link_id"] for entry in feed if entry.get("kind") in ("linked", "unlinked")} == {link}
    query, _ = world.metric("15")
    world.await_value(world.link(goal, query).expect(201).json["id"], "15")


# ---- lists, troubles

def test_lists_are_filtered_and_paged(world):
    links = [world.linked(str(n))[1] for n in range(60, 63)]
    path = f"/api/v1/organisations/{world.org}/links"
    everything = [x["id"] for x in world.gateway.pages(path, world.ada, limit=2)]
    assert len(everything) == len(set(everything)) and set(links) <= set(everything)
    world.gateway.patch(f"/api/v1/links/{links[0]}", {"state": "paused"}, world.ada).expect(200)
    paused = [x["id"] for x in world.gateway.pages(path + "?state=paused", world.ada)]
    assert links[0] in paused and links[1] not in paused
    assert world.gateway.pages(path + "?integration=github", world.ada) == []
    assert {x["integration"] for x in world.gateway.pages(path + "?integration=postgresql", world.ada)} == {"postgresql"}
    by_connection = world.gateway.pages(f"{path}?connection_id={world.connection}", world.ada)
    assert {x["connection_id"] for x in by_connection} == {world.connection}
    world.gateway.get(path + "?state=asleep", world.ada).expect(400)


def test_a_failing_link_says_why_and_what_helps(world):
    goal = world.goal()
    link = world.link(goal, "SELECT no_such_column FROM metric").expect(201).json["id"]
    shown = world.await_outcome(link, "rejected")
    assert "no_such_column" in shown["error"] and "preview" in shown["advice"] and shown["failures"] >= 1 and shown["failing_since"]
    assert shown["value"] is None and shown["age_seconds"] is None
    path = f"/api/v1/organisations/{world.org}/links"
    assert link in [x["id"] for x in world.gateway.pages(path + "?failing=true", world.ada)]
    assert link not in [x["id"] for x in world.gateway.pages(path + "?failing=false", world.ada)]


def test_a_closed_gate_is_told_everywhere_and_opens_again(world):
    _, link, number = world.linked("30")
    query, _ = world.metric("1")
    world.close_gate()
    try:
        shown = world.show(link)
        assert "not enabled" in shown["paused"] and "enable the integration" in shown["advice"]
        assert shown["next_due_at"] is None and shown["value"] == "30"
        for refused in (world.press(f"/api/v1/links/{link}/sync", world.ada), world.link(world.goal(), query),
                        world.preview({"query": query}),
                        world.press(f"/api/v1/connections/{world.connection}/test", world.ada)):
            assert "not enabled" in refused.expect(409).json["detail"]
        world.gateway.patch(f"/api/v1/links/{link}", {"settings": {"query": world.show(link)["settings"]["query"] + " "}}, world.ada).expect(200)
    finally:
        world.open_gate()
    assert world.show(link)["paused"] is None
    world.set_metric(number, "31")
    world.press(f"/api/v1/links/{link}/sync", world.ada).expect(202)
    world.await_value(link, "31")


# ---- Sync now

def test_sync_now_brings_the_new_number(world):
    _, link, number = world.linked("40")
    world.set_metric(number, "42")
    asked = world.press(f"/api/v1/links/{link}/sync", world.ada).expect(202).json
    assert asked["link_id"] == link
    shown = world.await_value(link, "42")
    assert datetime.fromisoformat(shown["evidence"]["fetched_at"]) >= datetime.fromisoformat(asked["asked_at"])
    world.press(f"/api/v1/links/{link}/sync", world.bob).expect(403)
    assert world.audit(link)[-1] == "sync.requested"


def test_an_administrator_asks_for_all(world):
    _, link, number = world.linked("50")
    world.set_metric(number, "51")
    path = f"/api/v1/organisations/{world.org}/sync"
    world.press(path, world.bob).expect(403)
    asked = world.press(path, world.ada).expect(202).json
    assert asked["links"] + asked["left_out"] == world.fleet.one("SELECT count(*) FROM link WHERE org_id = %s", world.org_row)
    world.await_value(link, "51")


# ---- previews

def test_a_preview_shows_the_number_and_what_it_would_make_of_the_goal(world):
    query, _ = world.metric("87654.25")
    goal = world.public("goal", world.scene.key_result("To preview", "--metric", "reach", "--target", "175308.5"))
    before = world.fleet.sql("SELECT count(*), (SELECT count(*) FROM link), (SELECT count(*) FROM observation) FROM activity")
    answer = world.preview({"query": query}, goal_id=goal).expect(200).json
    assert answer["outcome"] == "ok" and answer["value"] == "87654.25" and answer["error"] is None
    assert answer["rows_seen"] == 1 and answer["requests_used"] >= 1 and answer["fetched_at"]
    assert answer["goal"]["progress"] == "50.0000" and answer["goal"]["overridden"] is False and answer["goal"]["status"]
    assert world.preview({"query": query}).expect(200).json["goal"] is None
    assert world.fleet.sql("SELECT count(*), (SELECT count(*) FROM link), (SELECT count(*) FROM observation) FROM activity") == before
    logs = "".join(p.read_text(errors="replace") for p in (world.fleet.dir / "log").glob("*.log") if p.name.startswith(("gateway", "fetch")))
    assert "87654" not in logs and query not in logs
    assert world.fleet.one("SELECT count(*) FROM audit WHERE action = 'connection.previewed' AND detail::text LIKE '%%metric%%'") == 0


@pytest.mark.parametrize("query, outcome, says", [
    ("SELECT nothing FROM nowhere", "rejected", "nowhere"),
    ("SELECT value FROM metric WHERE false", "rejected", "no row"),
    ("SELECT 'text'", "rejected", "no number"),
])
def test_a_preview_without_a_number_says_why(world, query, outcome, says):
    answer = world.preview({"query": query}).expect(200).json
    assert answer["outcome"] == outcome and answer["value"] is None and says in answer["error"] and answer["goal"] is None


def test_who_may_preview(world):
    query, _ = world.metric("1")
    world.preview({"query": query}, world.eve).expect(404)
    assert world.preview({"query": query}, world.bob).expect(422).json["errors"][0]["pointer"] == "/connection_id"
    goal, link, _ = world.linked("3")
    own = world.show(link)["settings"]["query"]
    world.preview({"query": own}, world.bob, goal_id=goal).expect(403)
    world.fleet.sql("UPDATE goal SET check_in_owner_id = %s WHERE public_id = %s", world.row("person", world.bob_person), goal)
    # What the goal asks already he may ask, too; nothing else, by a secret that is not his.
    assert world.preview({"query": own}, world.bob, goal_id=goal).expect(200).json["value"] == "3"
    world.preview({"query": query}, world.bob, goal_id=goal).expect(403)
    world.preview({"query": query}, goal_id=str(uuid.uuid4())).expect(422)


def test_every_gateway_finds_its_own_answers(world):
    queries = [world.metric(str(1000 + n))[0] for n in range(8)]
    with Gateway(world.fleet, name="gateway.2") as other:
        wait_for("previews", lambda: world.preview({"query": "SELECT 1"}, gateway=other).status == 200)
        answers = [None] * len(queries)

        def ask(n):
            answers[n] = world.preview({"query": queries[n]}, gateway=(world.gateway, other)[n % 2])
        threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(queries))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert [a.expect(200).json["value"] for a in answers] == [str(1000 + n) for n in range(len(queries))]


class Frozen:
    """A fetch worker that does not get on."""

    def __init__(self, world):
        self.pid = world.fleet.pid("fetch-third-party")

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def test_without_an_answer_a_preview_ends(world):
    with Gateway(world.fleet, name="gateway.3", GOALSYNC_GATEWAY_PREVIEW_TIMEOUT="1s") as hasty:
        wait_for("previews", lambda: world.preview({"query": "SELECT 1"}, gateway=hasty).status == 200)
        with Frozen(world):
            answer = world.preview({"query": "SELECT 1"}, gateway=hasty).expect(504)
            assert "goalsync-fetch-third-party" in answer.json["detail"] and answer.headers["Retry-After"]
        # The request has expired by now; what still comes of it finds nobody.
        wait_for("previews", lambda: world.preview({"query": "SELECT 2"}, gateway=hasty).json.get("value") == "2")


def test_a_gateway_that_stops_answers_what_is_open(world):
    gateway = Gateway(world.fleet, name="gateway.4")
    with gateway:
        wait_for("previews", lambda: world.preview({"query": "SELECT 1"}, gateway=gateway).status == 200)
        with Frozen(world):
            answers = []
            thread = threading.Thread(target=lambda: answers.append(world.preview({"query": "SELECT 1"}, gateway=gateway)))
            asked = gateway.metric("goalsync_kafka_sent_total")
            thread.start()
            wait_for("the question", lambda: gateway.metric("goalsync_kafka_sent_total") > asked)
            gateway.stop()  # exits with 0, or this fails
            thread.join()
            assert answers[0].expect(503).headers["Retry-After"]


def test_who_asks_and_goes_does_no_harm(world):
    body = json.dumps({"connection_id": world.connection, "settings": {"query": "SELECT 1"}})
    sent = world.gateway.metric("goalsync_kafka_sent_total")
    with Frozen(world):
        for _ in range(3):
            host, port = world.gateway.address.rsplit(":", 1)
            with socket.create_connection((host, int(port))) as s:
                s.sendall(f"POST /api/v1/organisations/{world.org}/previews HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.ada}\r\n"
                          f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                sent += 1
                wait_for("the question", lambda: world.gateway.metric("goalsync_kafka_sent_total") >= sent)
    assert world.preview({"query": "SELECT 3"}).expect(200).json["value"] == "3"


# ---- trying a connection

def test_a_connection_is_tried(world):
    path = "/api/v1/connections/{}/test"
    good = world.press(path.format(world.connection), world.ada).expect(200).json
    assert good["ok"] is True and good["outcome"] == "ok" and good["error"] is None
    bad = world.public("connection", world.scene.connect(name="Wrong password", password="wrong"))
    denied = world.press(path.format(bad), world.ada).expect(200).json
    assert denied["ok"] is False and denied["outcome"] == "denied" and denied["error"] and "wrong" not in denied["error"]
    world.press(path.format(world.connection), world.bob).expect(403)
    world.press(path.format(world.connection), world.eve).expect(404)


def test_what_has_no_question_for_everybody_cannot_be_tried(world):
    world.open_gate("github")
    row = world.fleet.create("connection", "create", "--org", world.scene.org, "--connector", "github", "--name", "Code", "--owner", OWNER,
                             "--secret-stdin", stdin="token")
    assert "preview" in world.press(f"/api/v1/connections/{world.public('connection', row)}/test", world.ada).expect(409).json["detail"]


# ---- pushed values

class Pushed:
    """A goal that Zapier feeds, and the token of its link."""

    connection = None

    def __init__(self, world):
        if not Pushed.connection:
            world.open_gate("zapier")
            row = world.fleet.create("connection", "create", "--org", world.scene.org, "--connector", "zapier", "--name", "Zaps", "--owner", OWNER)
            Pushed.connection = world.public("connection", row)
        self.world, self.goal = world, world.goal()
        self.link = world.gateway.post(f"/api/v1/goals/{self.goal}/link", {"connection_id": Pushed.connection}, world.ada).expect(201).json["id"]
        self.token = world.gateway.token(world.ada, ("values",), link=world.row("link", self.link))

    def push(self, value, key=None, token=None, **more):
        return self.world.gateway.post(f"/api/v1/links/{self.link}/values", {"value": value, **more}, token or self.token,
                                       headers={"Idempotency-Key": key} if key else None)

    def notes(self):
        return [row[0] for row in self.world.fleet.sql("SELECT a.data->>'note' FROM activity a JOIN goal g ON g.id = a.goal_id WHERE "
                                                       "g.public_id = %s AND a.kind = 'value_pushed' ORDER BY a.id", self.goal)]

    def await_value(self, value):
        return self.world.await_value(self.link, value)


def moment(**delta):
    return (datetime.now(timezone.utc) + timedelta(**delta)).isoformat().replace("+00:00", "Z")


def test_a_pushed_value_counts_like_a_fetched_one(world):
    p = Pushed(world)
    source_at = moment(minutes=-5)
    taken = p.push("25.50", source_at=source_at, note="counted by hand").expect(202).json
    assert taken["link_id"] == p.link and taken["value"] == "25.5" and taken["accepted_at"]
    shown = p.await_value("25.5")
    assert shown["pushed"] and shown["next_due_at"] is None and shown["outcome"] == "ok"
    assert datetime.fromisoformat(shown["evidence"]["source_at"]) == datetime.fromisoformat(source_at)
    assert p.notes() == ["counted by hand"]
    assert world.fleet.one("SELECT round(progress, 2) FROM goal WHERE public_id = %s", p.goal) == Decimal("25.5")
    p.push("26", token=world.ada).expect(202)  # who may check in may push, too
    p.await_value("26")
    p.push("27", token=world.bob).expect(403)
    p.push("27", token=world.eve).expect(404)


def test_the_same_push_counts_once(world):
    p = Pushed(world)
    first = p.push("7", key="run-1", note="seven").expect(202).json
    p.await_value("7")
    assert p.push("7", key="run-1", note="seven").expect(202).json == first
    p.push("8", key="run-2", note="eight").expect(202)
    p.await_value("8")
    assert p.notes() == ["seven", "eight"]
    slots = [row[0] for row in world.fleet.sql("SELECT slot FROM observation WHERE goal_id = %s ORDER BY slot", world.row("goal", p.goal))]
    assert len(slots) == 2


def test_values_of_one_link_keep_their_order(world):
    p = Pushed(world)
    accepted = [p.push(str(n)).expect(202).json["accepted_at"] for n in range(1, 21)]
    assert accepted == sorted(set(accepted), key=datetime.fromisoformat)
    p.await_value("20")


def test_a_clock_that_went_back_does_not_lose_values(world):
    p = Pushed(world)
    p.push("1").expect(202)
    p.await_value("1")
    world.fleet.sql("UPDATE link SET pushed_slot = now() + interval '50 minutes' WHERE public_id = %s", p.link)
    world.fleet.sql("UPDATE goal SET last_slot = now() + interval '50 minutes' WHERE public_id = %s", p.goal)
    p.push("2").expect(202)
    p.await_value("2")


@pytest.mark.parametrize("body, pointer, says", [
    ({"value": "NaN"}, "/value", "number"),
    ({"value": "1" * 21}, "/value", "20"),
    ({"value": "0." + "1" * 19}, "/value", "18"),
    ({"value": "1e999"}, "/value", ""),
    ({"value": "12,5"}, "/value", ""),
    ({"value": 12.5}, "/value", ""),
    ({"value": "1", "source_at": "yesterday"}, "/source_at", ""),
    ({"value": "1", "source_at": "2999-01-01T00:00:00Z"}, "/source_at", "future"),
    ({"value": "1", "source_at": "2001-01-01T00:00:00Z"}, "/source_at", "year"),
    ({"value": "1", "note": "x" * 10001}, "/note", ""),
    ({"value": "1", "unit": "%"}, "/unit", ""),
    ({}, "/value", ""),
])
def test_a_value_that_is_none_is_refused(world, body, pointer, says):
    p = Pushed(world)
    refused = world.gateway.post(f"/api/v1/links/{p.link}/values", body, p.token).expect(422).json
    assert refused["errors"][0]["pointer"] in (pointer, "") and says in refused["detail"]
    assert world.applied(p.goal) is None


def test_an_older_value_does_not_take_a_newer_ones_place(world):
    p = Pushed(world)
    p.push("2", source_at=moment(minutes=-1)).expect(202)
    assert "newest" in p.push("1", source_at=moment(minutes=-2)).expect(409).json["detail"]
    p.await_value("2")


def test_a_links_token_does_nothing_else(world):
    p, other = Pushed(world), Pushed(world)
    other.push("1", token=p.token).expect(403)
    world.gateway.get(f"/api/v1/links/{p.link}", p.token).expect(403)
    world.gateway.delete(f"/api/v1/links/{p.link}", p.token).expect(403)
    world.press(f"/api/v1/links/{p.link}/sync", p.token).expect(403)
    world.gateway.get("/api/v1/me", p.token).expect(403)
    world.gateway.delete(f"/api/v1/links/{p.link}", world.ada).expect(204)
    p.push("1").expect(401)  # the token went with its link


def test_pushing_keeps_the_gates(world):
    p = Pushed(world)
    _, fetched, _ = world.linked("1")
    assert "PostgreSQL" in world.gateway.post(f"/api/v1/links/{fetched}/values", {"value": "1"}, world.ada).expect(409).json["detail"]
    world.press(f"/api/v1/links/{p.link}/sync", world.ada).expect(409)
    world.preview({}, connection=Pushed.connection).expect(409)
    world.close_gate("zapier")
    try:
        assert "not enabled" in p.push("1").expect(409).json["detail"]
        assert "not enabled" in world.show(p.link)["paused"]
    finally:
        world.open_gate("zapier")
    p.push("3").expect(202)
    p.await_value("3")


def test_nobody_asks_a_source_that_pushes(world):
    p = Pushed(world)
    world.press(f"/api/v1/organisations/{world.org}/sync", world.ada).expect(202)
    world.fleet.cli("sync", world.row("link", p.link), check=False)
    assert world.fleet.one("SELECT count(*) FROM sync_request r JOIN link k ON k.batch_id = r.batch_id WHERE k.public_id = %s", p.link) == 0
    assert world.fleet.one("SELECT b.next_due_at FROM link_batch b JOIN link k ON k.batch_id = b.id WHERE k.public_id = %s", p.link) is None
    topics = subprocess.run(["kcat", "-L", "-b", world.fleet.state("kafka")], capture_output=True, text=True, check=True).stdout
    assert "fetch.requested.third-party.postgresql" in topics and "zapier" not in topics


# ---- servers away; the last, because it takes them down

def test_without_kafka_nothing_is_half_done(world):
    p = Pushed(world)
    p.push("1", key="before").expect(202)
    p.await_value("1")
    world.fleet.stop_one("kafka")
    try:
        wait_for("Kafka gone", lambda: p.push("5", key="during", note="once").status == 503)
        answer = p.push("5", key="during", note="once").expect(503)
        assert answer.headers["Retry-After"] and answer.json["detail"]
        assert world.preview({"query": "SELECT 1"}).expect(503).headers["Retry-After"]
        # All the rest goes on.
        goal, query = world.goal(), world.metric("9")[0]
        link = world.link(goal, query).expect(201).json["id"]
    finally:
        world.fleet.start_one("kafka")
    wait_for("taken", lambda: p.push("5", key="during", note="once").status == 202, 60)
    p.await_value("5")
    assert p.notes() == ["once"]
    world.await_value(link, "9")
    wait_for("previews", lambda: world.preview({"query": "SELECT 4"}).status == 200, 60)
