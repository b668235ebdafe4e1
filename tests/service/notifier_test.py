"""The notifier on real Kafka and PostgreSQL: what webhooks are told, how it is signed, and what failures and kills do to it.

The receiver is a fake: a web server in this process that answers as scripted. Signatures are checked by this file and, where it
can be installed, by the reference library of Standard Webhooks (PyPI `standardwebhooks`).
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402
from goals import World as Goals  # noqa: E402
from messages import goal as pb  # noqa: E402

CHANGED, NOTED, DEAD, GROUP = "goal.changed", "goal.noted", "dlq.goalsync-notifier", "goalsync-notifier"
PARTITIONS = 4
GOAL_EVENTS = ["goal.added", "goal.modified", "goal.closed", "goal.postponed", "goal.reopened", "goal.deleted", "goal.checked_in",
               "goal.commented", "goal.progressed"]
LIBRARY = "standardwebhooks==1.1.0"


# ---------------------------------------------------------------- the receiver

class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, {k.lower(): v for k, v in headers.items()}, body, time.time()

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """script[path]: a list of answers, the last one for ever; an answer is a status, (status, headers, body), or a function of
    the handler, which answers by itself."""

    def __init__(self):
        self.script, self.requests, self.open, self.most_open = {}, [], defaultdict(int), defaultdict(int)
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.requests.append(Request(self.path, self.headers, body))
                    receiver.open[self.path] += 1
                    receiver.most_open[self.path] = max(receiver.most_open[self.path], receiver.open[self.path])
                    script = receiver.script.get(self.path, [204])
                    answer = script.pop(0) if len(script) > 1 else script[0]
                try:
                    if callable(answer):
                        return answer(self)
                    status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, "")
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except OSError:
                    pass  # the notifier has gone
                finally:
                    with receiver.lock:
                        receiver.open[self.path] -= 1

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def at(self, path):
        with self.lock:
            return [r for r in self.requests if r.path == path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def signature(secret, request):
    """What the specification says (standardwebhooks.com), written down here on its own."""
    said = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.new(base64.b64decode(secret[len("whsec_"):]), said, hashlib.sha256).digest()).decode()


def signed_by(secret, request):
    return signature(secret, request) in request.headers["webhook-signature"].split(" ")


# ---------------------------------------------------------------- the world

class Notifier:
    def __init__(self, fleet, number, **settings):
        self.fleet, self.ready, self.log_file = fleet, fleet.dir / "ready" / f"notifier.{number}", fleet.dir / "log" / f"notifier.{number}.log"
        lines = fleet.shell("settings_of notifier | tr '\\0' '\\n'").splitlines()
        env = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
        env.update(line.split("=", 1) for line in lines)
        env.update(GOALSYNC_READY_FILE=str(self.ready), GOALSYNC_LOG="info",
                   GOALSYNC_KAFKA_PROPERTIES="session.timeout.ms=6000;heartbeat.interval.ms=500", **settings)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(fleet.build / "bin" / "goalsync-notifier")], env=env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    def await_ready(self):
        wait_for("notifier ready", lambda: self.ready.exists() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        return self.log_file.read_text(errors="replace")

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(60)
        assert "Sanitizer" not in self.log() and "runtime error:" not in self.log(), self.log()
        return status


class World:
    def __init__(self, fleet, gateway, receiver):
        self.fleet, self.gateway, self.receiver, self.goals = fleet, gateway, receiver, Goals(gateway)
        self.org, self.token, self.number, self.notifiers, self.paths = self.goals.org, self.goals.token, 0, [], 0
        self.db = fleet.connect()

    # ---- notifiers

    def start(self, **settings):
        self.number += 1
        self.notifiers.append(Notifier(self.fleet, self.number, **settings))
        return self.notifiers[-1].await_ready()

    def end_all(self):
        alive, self.notifiers = [n for n in self.notifiers if n.process.poll() is None], []
        for n in alive:
            assert n.end() == 0, n.log()[-3000:]

    # ---- webhooks

    def hook(self, events=None, answers=None, path=None, url=None, org=None, token=None):
        """A webhook whose receiver answers so; its path there is hook["path"]."""
        self.paths += 1
        path = path or f"/hook/{self.paths}"
        if answers is not None:
            self.receiver.script[path] = list(answers)
        made = self.gateway.post(f"/api/v1/organisations/{org or self.org}/webhooks",
                                 {"url": url or self.receiver.url(path), "events": events or GOAL_EVENTS}, token or self.token).expect(201)
        return {**made.json, "path": path}

    def show(self, hook):
        return self.gateway.get(f"/api/v1/webhooks/{hook['id']}", self.token).expect(200).json

    def deliveries(self, hook, query=""):
        return self.gateway.pages(f"/api/v1/webhooks/{hook['id']}/deliveries{query}", self.token)

    def ping(self, hook):
        return self.gateway.call("POST", f"/api/v1/webhooks/{hook['id']}/ping", token=self.token).expect(202).json

    def arrived(self, hook, n=1, seconds=30):
        """The first n requests at the webhook."""
        wait_for(f"{n} requests at {hook['path']}", lambda: len(self.receiver.at(hook["path"])) >= n, seconds)
        return self.receiver.at(hook["path"])[:n]

    def settled(self, hook, states, seconds=30):
        """The deliveries, once their states are these, the newest first."""
        def look():
            found = self.deliveries(hook)
            return found if [d["state"] for d in found] == list(states) else None
        try:
            return wait_for("deliveries", look, seconds, 0.1)
        except Exception:
            raise AssertionError(f"instead of {states}: {json.dumps(self.deliveries(hook), indent=1)}")

    # ---- events

    def sql(self, statement, *params):
        with self.db.cursor() as cursor:
            cursor.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement, *params):
        rows = self.sql(statement, *params)
        return rows[0][0] if rows else None

    def goal_row(self, goal):
        return self.one("SELECT id FROM goal WHERE public_id::text = %s", goal)

    def produce(self, topic, *messages, key=None, headers=True):
        """(id, message) pairs, as the outbox's relay sends them. Bytes go as they are. All of one key's stay in order."""
        for i in range(0, len(messages), 50):
            for id_, message in messages[i:i + 50]:
                file = self.fleet.dir / f"m{secrets.token_hex(8)}"
                file.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
                more = ["-H", f"ce_id={id_}", "-H", "ce_specversion=1.0", "-H", "ce_source=/test", "-H", "ce_type=t"] if headers else []
                part = int(key if key is not None else secrets.randbelow(PARTITIONS)) % PARTITIONS
                subprocess.run(["kcat", "-P", "-b", self.fleet.state("kafka"), "-t", topic, "-p", str(part), *more, str(file)], check=True)

    def noted(self, goal, deed, org=None, **more):
        state = pb.GoalState(value=more.pop("value", "12.50"), progress=more.pop("progress", "12.5"), status=more.pop("status", "behind"))
        return pb.GoalNoted(org_id=org or self.org.row, goal_id=self.goal_row(goal) or 999999, deed=deed, noted_at_us=time.time_ns() // 1000,
                            goal_public_id=goal, kind="objective", title=more.pop("title", "Told"), state=state, **more)

    def changed(self, goal, cause=pb.GOAL_CHANGE_CAUSE_FETCHED, version=1, **more):
        return pb.GoalChanged(org_id=self.org.row, goal_id=self.goal_row(goal), version=version, changed_at_us=time.time_ns() // 1000, cause=cause,
                              before=pb.GoalState(value="1.50", progress="1.5", status="behind"),
                              after=pb.GoalState(value="2", progress="66.66666", status="on_track"), **more)

    def note(self, goal, deed=pb.GOAL_DEED_EDITED, id_=None, **more):
        self.produce(NOTED, (id_ or secrets.token_hex(16), self.noted(goal, deed, **more)), key=0)


@pytest.fixture(scope="module")
def fleet():
    with Fleet(services=["progress-writer"]) as f:
        f.start()
        yield f


@pytest.fixture(scope="module")
def shared(fleet):
    receiver = Receiver()
    with Gateway(fleet) as gateway:
        world = World(fleet, gateway, receiver)
        yield world
        world.end_all()
    receiver.close()


@pytest.fixture
def world(shared):
    """Without webhooks; a notifier runs that gives a receiver a second, and gives up after 20."""
    shared.sql("DELETE FROM webhook")
    shared.end_all()
    shared.start(GOALSYNC_NOTIFIER_TIMEOUT="1s", GOALSYNC_NOTIFIER_GIVE_UP="20s")
    return shared


@pytest.fixture(scope="module")
def library():
    """The reference library in the tests' cache."""
    cache = Path(os.environ.get("GOALSYNC_TEST_CACHE", Path.home() / ".cache" / "goalsync-test")) / LIBRARY.replace("==", "-")
    if not cache.exists():
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(cache), LIBRARY], capture_output=True,
                              text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"{LIBRARY} could not be installed: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")
    sys.path.insert(0, str(cache))
    from standardwebhooks.webhooks import Webhook
    return Webhook


# ---------------------------------------------------------------- what is told

def as_documented(world, payload):
    """Exactly the members that the OpenAPI document says, at every level."""
    document = world.gateway.get("/openapi.json").json

    def look(schema, value, where):
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if schema.get("type") == "object" and "properties" in schema:
            assert set(value) == set(schema["properties"]), where
            for name, inner in schema["properties"].items():
                look(inner, value[name], f"{where}/{name}")
        if "enum" in schema:
            assert value in schema["enum"], where
        if schema.get("format") == "uuid" and value is not None:
            uuid.UUID(value)
        if schema.get("format") == "date-time" and value is not None:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value), where

    look(document["webhooks"][payload["type"]]["post"]["requestBody"]["content"]["application/json"]["schema"], payload, payload["type"])
    return payload["data"]


def test_what_people_do_over_http_is_told(world, library):
    hook = world.hook(answers=[204])
    goal = world.goals.create("Grow <b>\"quickly\"</b> – ✓", kind="key_result")
    world.goals.edit(goal, title="Grow")
    world.goals.check_in(goal, 40)
    world.gateway.post(f"/api/v1/goals/{goal}/comments", {"body": "well done"}, world.token).expect(201)
    world.goals.call("DELETE", f"/api/v1/goals/{goal}", expect=204)
    told = {r.json["type"]: r for r in world.arrived(hook, 5)}
    assert set(told) == {"goal.added", "goal.modified", "goal.checked_in", "goal.commented", "goal.deleted"}
    for request in told.values():
        data = as_documented(world, request.json)
        assert data["organisation_id"] == world.org.id and data["goal"]["id"] == goal and data["person_id"] == world.org.owner
        assert request.headers["content-type"] == "application/json" and signed_by(hook["secret"], request)
        library(hook["secret"]).verify(request.body, request.headers)
        assert abs(int(request.headers["webhook-timestamp"]) - request.at) < 60
    assert told["goal.added"].json["data"]["goal"]["title"] == "Grow <b>\"quickly\"</b> – ✓"
    assert told["goal.checked_in"].json["data"]["goal"]["progress"] == "40.0000"
    assert told["goal.checked_in"].json["data"]["check_in_id"] and told["goal.commented"].json["data"]["comment_id"]
    assert told["goal.deleted"].json["data"]["goal"]["title"] == "Grow"
    assert {d["state"] for d in world.settled(hook, ["delivered"] * 5)} == {"delivered"}


@pytest.mark.parametrize("deed, event", [(pb.GOAL_DEED_CREATED, "goal.added"), (pb.GOAL_DEED_EDITED, "goal.modified"),
                                         (pb.GOAL_DEED_CLOSED, "goal.closed"), (pb.GOAL_DEED_POSTPONED, "goal.postponed"),
                                         (pb.GOAL_DEED_REOPENED, "goal.reopened"), (pb.GOAL_DEED_DELETED, "goal.deleted")])
def test_every_deed_has_its_event(world, deed, event):
    hook = world.hook()
    world.note(str(uuid.uuid4()), deed)  # a goal that is gone by now: the event says all
    told = world.arrived(hook)[0].json
    assert told["type"] == event
    assert as_documented(world, told)["goal"] | {"id": None} == {"id": None, "kind": "objective", "title": "Told", "value": "12.5", "progress": "12.5000",
                                                                 "status": "behind"}


@pytest.mark.parametrize("cause", ["FETCHED", "ROLLED_UP", "DAY_PASSED"])
def test_what_moves_by_itself_is_told(world, cause):
    hook, goal = world.hook(), world.goals.create("Moved")
    world.arrived(hook)  # that it was added
    world.produce(CHANGED, ("g1.v" + secrets.token_hex(4), world.changed(goal, pb.GoalChangeCause.Value(f"GOAL_CHANGE_CAUSE_{cause}"),
                                                                          source_at_us=10**15, fetched_at_us=10**15 + 1)))
    told = world.arrived(hook, 2)[1].json
    data = as_documented(world, told)
    assert told["type"] == "goal.progressed" and data["cause"] == cause.lower()
    assert data["before"] == {"value": "1.5", "progress": "1.5000", "status": "behind"}
    assert data["goal"] == {"id": goal, "kind": "objective", "title": "Moved", "value": "2", "progress": "66.6667", "status": "on_track"}
    assert (data["source_at"], data["fetched_at"]) == ("2001-09-09T01:46:40.000000Z", "2001-09-09T01:46:40.000001Z")


def test_links_that_fail_and_recover_are_told(world):
    hook = world.hook(["sync.failed", "sync.recovered"])
    goal = world.goal_row(world.goals.create("Linked", kind="key_result"))
    connection = world.one("INSERT INTO connection (org_id, connector, category, name) VALUES (%s, 'postgresql', 'third_party', %s) RETURNING id",
                           world.org.row, secrets.token_hex(4))
    batch = world.one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) VALUES (%s, %s, 0, 'k') RETURNING id", connection, world.org.row)
    link, public = world.sql("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) VALUES (%s, %s, %s, %s, '{}') RETURNING id, "
                             "public_id::text", world.org.row, goal, connection, batch)[0]
    world.sql("UPDATE link SET failures = 1, outcome = 'denied', error = 'the password is wrong' WHERE id = %s", link)
    world.sql("UPDATE link SET failures = 2 WHERE id = %s", link)
    world.sql("UPDATE link SET failures = 0, outcome = 'ok', error = NULL WHERE id = %s", link)
    told = {r.json["type"]: as_documented(world, r.json) for r in world.arrived(hook, 2)}
    assert set(told) == {"sync.failed", "sync.recovered"} and {d["link_id"] for d in told.values()} == {public}
    assert (told["sync.failed"]["outcome"], told["sync.failed"]["error"]) == ("denied", "the password is wrong")


def test_who_is_not_told(world):
    """What must not arrive is sent first; the last event shows that it was passed over."""
    everything, some = world.hook(), world.hook(["goal.closed"])
    elsewhere = world.gateway.account(f"{secrets.token_hex(4)}@example.org", "Eve")
    other_org = world.gateway.organisation(elsewhere, secrets.token_hex(8))
    other = world.hook(org=other_org, token=elsewhere)
    off = world.hook()
    world.gateway.patch(f"/api/v1/webhooks/{off['id']}", {"enabled": False}, world.token).expect(200)
    hidden, shown = world.goals.create("Hidden", private=True), world.goals.create("Open")
    world.arrived(everything)  # that the open one was added
    world.note(hidden)  # private in the database
    world.note(shown, private=True)  # private when it happened
    world.produce(CHANGED, (secrets.token_hex(8), world.changed(hidden)), key=0)
    world.produce(CHANGED, (secrets.token_hex(8), world.changed(shown, pb.GOAL_CHANGE_CAUSE_CHECKED_IN)), key=0)  # goal.noted tells it
    early = world.noted(shown, pb.GOAL_DEED_CLOSED)
    early.noted_at_us -= 3600 * 10**6
    world.produce(NOTED, (secrets.token_hex(8), early), key=0)  # before there was a webhook
    world.note(shown, pb.GOAL_DEED_CLOSED)
    assert world.arrived(some)[0].json["type"] == "goal.closed"
    assert [r.json["type"] for r in world.arrived(everything, 2)] == ["goal.added", "goal.closed"]
    world.settled(everything, ["delivered"] * 2)
    world.settled(some, ["delivered"])
    assert world.receiver.at(other["path"]) == world.receiver.at(off["path"]) == []


def test_an_event_that_comes_twice_is_told_once(world):
    hook, goal = world.hook(["goal.modified"]), str(uuid.uuid4())
    world.note(goal, id_="same")
    world.note(goal, id_="same")
    world.note(goal, id_="other")
    told = world.arrived(hook, 2)
    world.settled(hook, ["delivered"] * 2)
    assert len({r.id for r in told}) == 2 == len(world.receiver.at(hook["path"]))


# ---------------------------------------------------------------- attempts

def test_failures_are_tried_again_under_the_same_id(world):
    hook = world.hook(answers=[500, (503, {"Retry-After": "1"}, "later"), 404, 204])
    delivery = world.ping(hook)
    requests = world.arrived(hook, 4)
    assert {r.id for r in requests} == {delivery["id"]} and {r.body for r in requests} == {requests[0].body}
    assert all(signed_by(hook["secret"], r) for r in requests)
    done = world.settled(hook, ["delivered"])[0]
    assert (done["attempts"], done["last_status"], done["last_error"], done["next_attempt_at"]) == (4, 204, None, None)


def test_what_failed_is_shown(world):
    hook = world.hook(answers=[500])
    world.ping(hook)

    def shows(what):
        wait_for(what, lambda: what in (world.deliveries(hook)[0]["last_error"] or ""), 60)

    shows("the receiver answered 500")
    failed = world.deliveries(hook)[0]
    assert (failed["state"], failed["last_status"]) == ("due", 500) and failed["next_attempt_at"] and failed["tried_at"]
    world.receiver.script[hook["path"]] = [lambda handler: setattr(handler, "close_connection", True)]
    shows("cut off")
    assert world.deliveries(hook)[0]["last_status"] is None
    world.receiver.script[hook["path"]] = [204]
    world.gateway.call("POST", f"/api/v1/webhooks/{hook['id']}/deliveries/{failed['id']}/redeliver", token=world.token).expect(202)
    world.settled(hook, ["delivered"])


def test_what_nobody_takes_is_given_up_and_stops_the_webhook(world):
    world.end_all()
    world.start(GOALSYNC_NOTIFIER_TIMEOUT="1s", GOALSYNC_NOTIFIER_GIVE_UP="1s")
    hook = world.hook(answers=[500])
    first = world.ping(hook)
    stopped = wait_for("the webhook stopped", lambda: world.show(hook)["stopped_reason"], 60)
    assert "nothing could be delivered" in stopped
    given_up = world.deliveries(hook, "?state=failed")
    assert [(d["id"], d["attempts"], d["last_status"]) for d in given_up] == [(first["id"], 10, 500)]
    assert len(world.receiver.at(hook["path"])) == 10
    audit = world.gateway.get(f"/api/v1/organisations/{world.org}/audit?action=webhook.stopped&target=webhook:{hook['id']}", world.token).json["items"]
    assert [(a["actor"], a["detail"]["reason"]) for a in audit] == [("service:notifier", stopped)]
    world.gateway.call("POST", f"/api/v1/webhooks/{hook['id']}/ping", token=world.token).expect(409)
    world.receiver.script[hook["path"]] = [204]
    world.gateway.patch(f"/api/v1/webhooks/{hook['id']}", {"enabled": True}, world.token).expect(200)
    world.gateway.call("POST", f"/api/v1/webhooks/{hook['id']}/deliveries/{first['id']}/redeliver", token=world.token).expect(202)
    again = world.settled(hook, ["delivered"])[0]
    assert again["id"] == first["id"] == world.receiver.at(hook["path"])[-1].id


def test_one_dead_event_does_not_stop_a_webhook_that_works(world):
    world.end_all()
    world.start(GOALSYNC_NOTIFIER_TIMEOUT="1s", GOALSYNC_NOTIFIER_GIVE_UP="1s")
    bad = []

    def picky(handler):
        mine = world.receiver.at(handler.path)
        bad.append(mine[0].id) if not bad else None
        handler.send_response(500 if handler.headers["webhook-id"] == bad[0] else 204)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    hook = world.hook(answers=[picky])
    world.ping(hook)
    world.arrived(hook)
    for _ in range(3):
        world.ping(hook)
    states = sorted(d["state"] for d in wait_for("one given up", lambda: (lambda found: found if not any(d["state"] == "due" for d in found) else None)(
        world.deliveries(hook)), 60, 0.1))
    assert states == ["delivered", "delivered", "delivered", "failed"] and world.show(hook)["stopped_reason"] is None


def test_410_stops_the_webhook_at_once(world):
    hook = world.hook(answers=[410])
    world.sql("INSERT INTO webhook_delivery (org_id, webhook_id, event_id, event, payload, due_at) SELECT org_id, id, 'later', 'goal.added', '{}', "
              "now() + interval '1 hour' FROM webhook WHERE public_id = %s", hook["id"])
    world.ping(hook)
    assert "410" in wait_for("the webhook stopped", lambda: world.show(hook)["stopped_reason"])
    assert [(d["state"], d["last_status"]) for d in world.deliveries(hook)] == [("failed", 410), ("dropped", None)]
    world.note(str(uuid.uuid4()), pb.GOAL_DEED_CLOSED)
    sentinel = world.hook(["goal.closed"])
    world.note(str(uuid.uuid4()), pb.GOAL_DEED_CLOSED)
    world.arrived(sentinel)
    assert len(world.receiver.at(hook["path"])) == 1 and len(world.deliveries(hook)) == 2


def test_redirects_are_not_followed(world):
    hook = world.hook(answers=[(302, {"Location": world.receiver.url("/elsewhere")}, ""), (307, {"Location": world.receiver.url("/elsewhere")}, ""), 204])
    world.ping(hook)
    assert world.settled(hook, ["delivered"])[0]["attempts"] == 3
    assert world.receiver.at("/elsewhere") == []


def test_answers_are_not_read_to_their_end(world):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        while True:
            handler.wfile.write(b"x" * 65536)

    hook = world.hook(answers=[endless])
    world.ping(hook)
    done = world.settled(hook, ["delivered"])[0]
    assert (done["attempts"], done["last_status"]) == (1, 200)


def test_a_new_secret_signs_beside_the_old_one(world, library):
    hook = world.hook()
    world.ping(hook)
    world.arrived(hook)
    new = world.gateway.post(f"/api/v1/webhooks/{hook['id']}/secrets", {"overlap_hours": 1}, world.token).expect(201).json["secret"]
    world.ping(hook)
    world.arrived(hook, 2)
    world.sql("UPDATE webhook_secret SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL")
    world.ping(hook)
    before, during, after = world.arrived(hook, 3)
    assert [(signed_by(hook["secret"], r), signed_by(new, r)) for r in (before, during, after)] == [(True, False), (True, True), (False, True)]
    library(hook["secret"]).verify(during.body, during.headers)
    library(new).verify(during.body, during.headers)


# ---------------------------------------------------------------- neighbours

def test_a_receiver_that_hangs_holds_up_nobody(world):
    world.end_all()
    world.start(GOALSYNC_NOTIFIER_TIMEOUT="30s")
    release = threading.Event()

    def hang(handler):
        release.wait(120)
        handler.send_response(204)
        handler.end_headers()

    def pair(handler):
        """Answers only once a second request is there beside this one."""
        wait_for("two at once", lambda: world.receiver.most_open[handler.path] > 1)
        handler.send_response(204)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    slow, quick = world.hook(["goal.modified"], [hang]), world.hook(["goal.modified"], [204, pair])
    try:
        messages = [(secrets.token_hex(16), world.noted(str(uuid.uuid4()), pb.GOAL_DEED_EDITED)) for _ in range(100)]
        world.produce(NOTED, *messages)
        world.arrived(quick, 100)
        world.settled(quick, ["delivered"] * 100)
        assert world.receiver.most_open[slow["path"]] == 1 == len(world.receiver.at(slow["path"])), "it has one place until it answers"
        assert 2 <= world.receiver.most_open[quick["path"]] <= 16, "one that answers gets more at a time"
    finally:
        release.set()
    world.settled(slow, ["delivered"] * 100, 60)


def test_private_addresses_are_refused_when_connecting(world):
    world.end_all()
    notifier = world.start(GOALSYNC_NOTIFIER_ALLOW_PRIVATE="no", GOALSYNC_NOTIFIER_GIVE_UP="20s")
    port = world.receiver.server.server_port
    hooks = [world.hook(url=f"http://{host}:{port}/private") for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]")]
    for hook in hooks:  # as of a name that leads there only later, the gateway could know nothing
        world.ping(hook)
    for hook in hooks:
        refused = wait_for("a refusal", lambda h=hook: [d for d in world.deliveries(h) if d["last_error"]])[0]
        assert "no address that may be asked" in refused["last_error"], refused
    assert world.receiver.at("/private") == [] and "whsec_" not in notifier.log()


def test_plain_http_is_refused(world):
    world.end_all()
    world.start(GOALSYNC_NOTIFIER_ALLOW_PLAIN="no", GOALSYNC_NOTIFIER_GIVE_UP="20s")
    hook = world.hook()
    world.ping(hook)
    refused = wait_for("a refusal", lambda: [d for d in world.deliveries(hook) if d["last_error"]])[0]
    assert "only https" in refused["last_error"] and world.receiver.at(hook["path"]) == []


# ---------------------------------------------------------------- messages and kills

def test_what_cannot_be_read_is_put_aside(world):
    hook, goal = world.hook(["goal.modified"]), str(uuid.uuid4())
    begin = len(world.fleet.messages(DEAD))
    bad = [b"\xff\xff\xff", world.noted(goal, 99), world.noted("not-a-uuid", pb.GOAL_DEED_EDITED), world.noted(goal, pb.GOAL_DEED_EDITED, value="1,5"),
           world.noted(goal, pb.GOAL_DEED_EDITED, status="'; --"), world.noted(goal, pb.GOAL_DEED_EDITED, org=-1)]
    world.produce(NOTED, *((secrets.token_hex(8), m) for m in bad), key=1)
    world.produce(NOTED, (None, world.noted(goal, pb.GOAL_DEED_EDITED)), key=1, headers=False)
    world.produce(CHANGED, (secrets.token_hex(8), b"\x08"), key=1)
    world.produce(NOTED, ("good" + secrets.token_hex(8), world.noted(goal, pb.GOAL_DEED_EDITED)), key=1)
    world.arrived(hook)
    letters = wait_for("dead letters", lambda: (lambda found: found if len(found) >= len(bad) + 2 else None)(world.fleet.messages(DEAD)[begin:]), every=0.2)
    assert len(letters) == len(bad) + 2 and all("gs-reason=unreadable" in headers for *_, headers in letters)
    world.settled(hook, ["delivered"])


def test_what_the_database_refuses_is_found_among_the_others(world):
    """A trigger of this test refuses one title; the batch around it is told all the same."""
    world.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.payload #>> '{data,goal,title}' = 'Poison' THEN "
              "RAISE EXCEPTION 'refused' USING ERRCODE = 'data_exception'; END IF; RETURN NEW; END $$")
    world.sql("CREATE TRIGGER refuse BEFORE INSERT ON webhook_delivery FOR EACH ROW EXECUTE FUNCTION refuse()")
    begin = len(world.fleet.messages(DEAD))
    hook = world.hook(["goal.modified"])
    world.end_all()  # so that all of them come at once
    messages = [(f"{secrets.token_hex(8)}", world.noted(str(uuid.uuid4()), pb.GOAL_DEED_EDITED, title="Poison" if i == 7 else "Fine")) for i in range(20)]
    world.produce(NOTED, *messages, key=2)
    world.start()
    world.arrived(hook, 19)
    world.settled(hook, ["delivered"] * 19)
    letters = wait_for("the dead letter", lambda: world.fleet.messages(DEAD)[begin:], every=0.2)
    world.sql("DROP TRIGGER refuse ON webhook_delivery; DROP FUNCTION refuse")
    assert [("gs-reason=apply_failed" in headers, f"ce_id={messages[7][0]}" in headers) for *_, headers in letters] == [(True, True)]


def test_a_kill_while_a_delivery_is_under_way(world):
    """Its lease runs out, and the next notifier makes it again under the same id."""
    world.end_all()
    victim = world.start(GOALSYNC_NOTIFIER_TIMEOUT="1s")
    reached, release = threading.Event(), threading.Event()

    def hang(handler):
        reached.set()
        release.wait(60)

    hook = world.hook(answers=[hang, 204])
    delivery = world.ping(hook)
    assert reached.wait(30)
    victim.end(signal.SIGKILL)
    release.set()
    world.start(GOALSYNC_NOTIFIER_TIMEOUT="1s")
    requests = world.arrived(hook, 2, 60)
    assert {r.id for r in requests} == {delivery["id"]}
    assert world.settled(hook, ["delivered"])[0]["attempts"] == 2


def test_kills_lose_nothing_and_repeat_only_by_id(world):
    """Two notifiers; again and again one is killed while events stream in."""
    hook = world.hook(["goal.modified"])
    world.start(GOALSYNC_NOTIFIER_TIMEOUT="1s")
    goals = [str(uuid.uuid4()) for _ in range(150)]
    stream = threading.Thread(target=lambda: world.produce(NOTED, *((f"kill-{g}", world_noted(world, g)) for g in goals)))
    stream.start()
    seen = 0
    for _ in range(4):
        wait_for("more deliveries", lambda: len(world.receiver.at(hook["path"])) >= seen + 5 or not stream.is_alive(), 60)
        seen = len(world.receiver.at(hook["path"]))
        world.notifiers.pop(0).end(signal.SIGKILL)
        world.start(GOALSYNC_NOTIFIER_TIMEOUT="1s")
    stream.join()
    world.settled(hook, ["delivered"] * len(goals), 120)
    by_goal = defaultdict(set)
    for r in world.receiver.at(hook["path"]):
        by_goal[r.json["data"]["goal"]["id"]].add(r.id)
        assert signed_by(hook["secret"], r)
    assert set(by_goal) == set(goals) and all(len(ids) == 1 for ids in by_goal.values())


def world_noted(world, goal):
    """Without asking the database: another thread uses its connection."""
    state = pb.GoalState(value="1", progress="1", status="behind")
    return pb.GoalNoted(org_id=world.org.row, goal_id=999999, deed=pb.GOAL_DEED_EDITED, noted_at_us=time.time_ns() // 1000, goal_public_id=goal,
                        kind="objective", title="Streamed", state=state)


def test_a_drain_ends_what_is_under_way(world):
    world.end_all()
    notifier = world.start(GOALSYNC_NOTIFIER_TIMEOUT="10s")
    reached, release = threading.Event(), threading.Event()

    def hang(handler):
        reached.set()
        release.wait(60)
        handler.send_response(204)
        handler.end_headers()

    hook = world.hook(answers=[hang])
    world.ping(hook)
    assert reached.wait(30)
    notifier.process.send_signal(signal.SIGTERM)
    wait_for("draining", lambda: "drain" in notifier.log())
    assert notifier.process.poll() is None, "it waits for the answer"
    release.set()
    assert notifier.process.wait(30) == 0, notifier.log()
    assert world.settled(hook, ["delivered"])[0]["attempts"] == 1


def test_the_database_goes_and_comes_back(world):
    hook = world.hook(["goal.modified"])
    world.fleet.stop_one("postgres", "INT")
    for _ in range(3):
        world.produce(NOTED, (secrets.token_hex(8), world_noted(world, str(uuid.uuid4()))))
    world.fleet.start_one("postgres")
    world.db = world.fleet.connect()
    world.arrived(hook, 3, 60)
    world.settled(hook, ["delivered"] * 3)


def test_upkeep(world):
    """At the start and every few minutes: old deliveries and expired secrets go, credentials used are recorded."""
    hook = world.hook()
    row = world.one("SELECT id FROM webhook WHERE public_id = %s", hook["id"])
    world.gateway.post(f"/api/v1/webhooks/{hook['id']}/secrets", {"overlap_hours": 1}, world.token).expect(201)
    world.sql("UPDATE webhook_secret SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL AND webhook_id = %s", row)
    world.sql("INSERT INTO webhook_delivery (org_id, webhook_id, event_id, event, payload, state, created_at) SELECT %s, %s, 'old' || i, 'goal.added', "
              "'{}', 'delivered', now() - interval '31 days' FROM generate_series(1, 2500) i", world.org.row, row)
    world.sql("INSERT INTO webhook_delivery (org_id, webhook_id, event_id, event, payload, state, created_at) VALUES (%s, %s, 'newer', 'goal.added', "
              "'{}', 'delivered', now() - interval '29 days')", world.org.row, row)
    world.end_all()
    world.start()
    wait_for("old deliveries gone", lambda: world.one("SELECT count(*) FROM webhook_delivery WHERE webhook_id = %s", row) == 1)
    wait_for("the expired secret gone", lambda: world.one("SELECT count(*) FROM webhook_secret WHERE webhook_id = %s", row) == 1)
    assert [d["state"] for d in world.deliveries(hook)] == ["delivered"]
