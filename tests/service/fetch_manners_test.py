"""How workers treat sources: budgets shared by two of them, limits that one hears and the other keeps, hosts that are slow or
dead. Real Kafka, PostgreSQL and Redis; the sources are fakes, because no real one stalls, limits, dies and counts on command."""
import http.server
import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import fetch_worker_test as base  # noqa: E402
from fleet import Fleet, wait_for  # noqa: E402

OUTCOME = base.OUTCOME
DEADLINE = 6
CORE, CORE_SECONDS, SEARCH = 40, 4, 6  # of the connector "metered"
LANES = ("scripted", "metered")


class Vendor:
    """A source that notes when it is asked what. /search-...: 1. /limit: 429. /used-up: 403, one budget only. /<number>: that."""

    def __init__(self):
        self.asked, self.gate, self.seconds, vendor = [], threading.Event(), 60, self
        self.gate.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                vendor.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        what = handler.path[1:]
        self.asked.append((time.monotonic(), what))
        self.gate.wait(self.seconds)
        status, headers, body = 200, {}, '{"value": 1}'
        if what.startswith("limit"):
            status, headers = 429, {"Retry-After": "300"}
        elif what.endswith("used-up"):
            status, headers = 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 200)}
        elif what[0].isdigit():
            body = '{"value": ' + what + "}"
        try:
            handler.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body.encode())
        except OSError:
            pass

    def most_within(self, seconds):
        times = sorted(t for t, _ in self.asked)
        return max((sum(1 for u in times[i:] if u < t + seconds) for i, t in enumerate(times)), default=0)


class Deaf:
    """A port that takes connections, counts and closes them; from revive() on it is a Vendor's."""

    def __init__(self):
        self.calls, self.socket = 0, socket.create_server(("127.0.0.1", 0), reuse_port=True)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.calls += 1
            peer.close()


class World(base.World):
    def __init__(self, fleet):
        super().__init__(fleet)
        fleet.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'metered', true)", self.org)
        self.helper("topics", base.PARTITIONS, base.HOURLY + "metered", base.URGENT + "metered")
        self.workers = []

    def run(self, n, *arguments, **settings):
        """n workers that share the partitions."""
        self.end()
        for _ in range(n):
            self.number += 1
            self.workers.append(base.Worker(self.fleet, self.number, *arguments, **{"GOALSYNC_FETCH_DEADLINE": str(DEADLINE),
                                                                        "GOALSYNC_FETCH_WINDOW": "128", **settings}))
        for w in self.workers:
            w.await_ready()
            wait_for("its partitions", lambda: re.search('"assigned" partitions=[1-9]', w.log()))

    def end(self):
        for w in self.workers:
            assert w.end() == 0, w.log()[-3000:]
        self.workers = []

    def metric(self, series):
        return sum(w.metric(series) for w in self.workers)

    def ask_all(self, whats, connections, lane="metered"):
        requests = [self.request(what, connection=connections[i % len(connections)]) for i, what in enumerate(whats)]
        for p in range(2 * base.PARTITIONS):  # of both lanes
            if some := requests[p::2 * base.PARTITIONS]:
                topic = (base.HOURLY if p < base.PARTITIONS else base.URGENT) + lane
                self.produce(topic, [r.SerializeToString() for r in some], "-p", str(p % base.PARTITIONS))
        return [m for m, _, _ in self.await_answers(*requests, seconds=60)]

    def ask(self, what, connection, lane="metered"):
        return self.ask_all([what], [connection], lane)[0]


@pytest.fixture(scope="module")
def world():
    with Fleet(services=[]) as fleet:
        world = World(fleet)
        try:
            yield world
        finally:
            for w in world.workers:
                if w.process.poll() is None:
                    w.end(signal.SIGKILL)


@pytest.fixture
def vendor():
    v = Vendor()
    yield v
    v.gate.set()
    v.server.shutdown()


def outcomes(answers):
    names = [base.pb.FetchOutcome.Name(m.outcome).removeprefix("FETCH_OUTCOME_") for m in answers]
    return {name: names.count(name) for name in set(names)}


def test_two_workers_share_an_accounts_budget(world, vendor):
    # Of that one alone: whoever has all partitions of one lane leaves those of the other.
    world.run(2, "--connectors", "metered")
    connections = [world.connect("metered", base_url=vendor.url) for _ in range(4)]
    answers = world.ask_all([str(i) for i in range(4 * CORE)], connections)
    seen = outcomes(answers)
    assert set(seen) == {"OK", "WAITING"}, seen
    assert vendor.most_within(CORE_SECONDS) <= CORE
    assert len(vendor.asked) == seen["OK"] >= CORE * 3 // 4, "those that could wait a moment did"
    waiting = [m for m in answers if m.outcome == OUTCOME("FETCH_OUTCOME_WAITING")]
    assert all("waiting for Metered until" in m.error and "used up" in m.error for m in waiting)
    assert all(m.retry_at_us > time.time() * 1e6 - 60e6 for m in waiting)
    assert len({m.retry_at_us // 50000 for m in waiting}) > len(waiting) // 3, "they come back one after the other"
    for w in world.workers:
        assert w.metric('goalsync_fetch_total{connector="metered",outcome="ok"}') > 0, "both took part"
    assert world.metric("goalsync_fetch_budget_questions_total") < len(answers), "not a question for each"


def test_budgets_of_one_account_are_told_apart(world, vendor):
    world.run(2)
    connections = [world.connect("metered", base_url=vendor.url) for _ in range(2)]
    seen = outcomes(world.ask_all([f"search-{i}" for i in range(20)], connections[:1]))
    assert seen["OK"] + seen["WAITING"] == 20 and 3 <= seen["OK"] <= SEARCH
    assert world.ask("7", connections[0]).observations[0].value == "7", "another budget of the same connection"
    assert world.ask("search-x", connections[1]).outcome == OUTCOME("FETCH_OUTCOME_OK"), "the same budget of another one"
    assert sum(1 for _, what in vendor.asked if what.startswith("search") and what != "search-x") == seen["OK"]


def test_limit_reaches_the_other_workers(world, vendor):
    world.run(2)
    one, other = (world.connect("metered", base_url=vendor.url) for _ in range(2))
    first = world.ask("limit", one)
    assert first.outcome == OUTCOME("FETCH_OUTCOME_WAITING")
    wait_for("both know", lambda: all(w.metric("goalsync_fetch_limits") >= 1 for w in world.workers))
    asked = len(vendor.asked)
    answers = world.ask_all([str(i) for i in range(40)], [one, other])
    assert {(m.outcome, m.retry_at_us) for m in answers} == {(first.outcome, first.retry_at_us)}
    assert len(vendor.asked) == asked
    world.run(1)
    wait_for("a new one knows", lambda: world.metric("goalsync_fetch_limits") >= 1)
    assert world.ask("1", other).retry_at_us == first.retry_at_us and len(vendor.asked) == asked


def test_limit_of_one_budget_holds_for_it_alone(world, vendor):
    world.run(1)
    connection = world.connect("metered", base_url=vendor.url)
    first = world.ask("search-used-up", connection)
    assert first.outcome == OUTCOME("FETCH_OUTCOME_WAITING") and 190 < first.retry_at_us / 1e6 - time.time() < 201
    asked = len(vendor.asked)
    assert world.ask("search-1", connection).retry_at_us == first.retry_at_us and len(vendor.asked) == asked
    assert world.ask("5", connection).outcome == OUTCOME("FETCH_OUTCOME_OK")


def test_alone_without_redis(world, vendor):
    world.run(1, GOALSYNC_FETCH_BUDGET_ALONE="20")
    connection = world.connect("metered", base_url=vendor.url)
    assert world.ask("1", connection).outcome == OUTCOME("FETCH_OUTCOME_OK")
    assert world.metric("goalsync_fetch_budget_alone") == 0
    world.fleet.stop_one("redis")
    vendor.asked.clear()
    seen = outcomes(world.ask_all([str(i) for i in range(60)], [connection]))
    assert world.metric("goalsync_fetch_budget_alone") == 1
    assert seen["OK"] >= 2 and seen["WAITING"] >= 20, seen
    assert vendor.most_within(CORE_SECONDS) <= CORE // 5 + 1
    assert world.workers[0].log().count("budgets cannot be shared") == 1
    world.fleet.start_one("redis")
    wait_for("shared again", lambda: world.ask("2", connection) and world.metric("goalsync_fetch_budget_alone") == 0)


def test_dead_host_is_probed_and_not_hammered(world, vendor):
    world.run(1)
    dead = Deaf()
    connection = world.connect("scripted", base_url=dead.url)
    healthy = world.connect("scripted", base_url=vendor.url)
    answers = [world.ask("1", connection, "scripted") for _ in range(5)]
    answers += world.ask_all(["2"] * 60, [connection], "scripted")
    assert outcomes(answers) == {"RETRY": 65}
    given_up = [m for m in answers if "has not answered since" in m.error]
    assert len(given_up) >= 50 and all(m.retry_at_us > 0 for m in given_up)
    assert dead.calls < 30 and world.metric("goalsync_fetch_hosts_dead") == 1
    assert outcomes(world.ask_all(["3"] * 100, [healthy], "scripted")) == {"OK": 100}, "others of its connector go on"
    calls = dead.calls
    wait_for("a probe", lambda: world.ask("4", connection, "scripted") and dead.calls > calls, 30, 0.2)
    assert dead.calls - calls <= 2 * 3, "one request, with libcurl's own second try on a fresh connection"
    # It comes back to life: the next probe lets the others in.
    dead.socket.shutdown(socket.SHUT_RDWR)
    dead.socket.close()
    revived = http.server.ThreadingHTTPServer(("127.0.0.1", int(dead.url.rsplit(":", 1)[1])), vendor.server.RequestHandlerClass)
    threading.Thread(target=revived.serve_forever, daemon=True).start()
    wait_for("an answer", lambda: world.ask("5", connection, "scripted").outcome == OUTCOME("FETCH_OUTCOME_OK"), 60, 0.2)
    assert world.metric("goalsync_fetch_hosts_dead") == 0
    assert outcomes(world.ask_all(["6"] * 20, [connection], "scripted")) == {"OK": 20}
    assert "host given up" in world.workers[0].log() and "host answers again" in world.workers[0].log()
    revived.shutdown()


def test_slow_host_leaves_room_for_others_of_its_connector(world, vendor):
    world.run(1, GOALSYNC_FETCH_WINDOW="32", GOALSYNC_FETCH_DEADLINE="60")
    slow = Vendor()
    slow.gate.clear()
    stuck, healthy = world.connect("scripted", base_url=slow.url), world.connect("scripted", base_url=vendor.url)
    assert world.ask("1", healthy, "scripted").outcome == OUTCOME("FETCH_OUTCOME_OK")
    held = [world.request("9", connection=stuck) for _ in range(100)]
    world.send(*held, lane="scripted")
    wait_for("requests at the slow one", lambda: slow.asked)
    assert outcomes(world.ask_all(["2"] * 60, [healthy], "scripted")) == {"OK": 60}
    assert len(slow.asked) <= 5, "no more at once than a host begins with"
    slow.gate.set()
    answers = [m for m, _, _ in world.await_answers(*held, seconds=60)]
    seen = outcomes(answers)
    assert set(seen) <= {"OK", "WAITING"} and seen["OK"] >= 5
    assert all("slow" in m.error and m.retry_at_us for m in answers if m.outcome == OUTCOME("FETCH_OUTCOME_WAITING"))


class Counting(Vendor):
    """Refuses with 429, as its documentation says, whoever asks more than CORE times within CORE_SECONDS; and counts refusals."""

    def __init__(self):
        super().__init__()
        self.refused, self.lock = 0, threading.Lock()

    def answer(self, handler):
        with self.lock:
            now = time.monotonic()
            if sum(1 for t, _ in self.asked if t > now - CORE_SECONDS) >= CORE:
                self.refused += 1
                handler.path = "/limit"
        super().answer(handler)


def test_bad_neighbours_of_a_healthy_source(world, vendor):
    """One worker; before each handful of requests for the healthy source come some for one that takes 30 s, one that limits and one
    that is dead. GOALSYNC_TEST_LINKS=10000 for the full size."""
    links = int(os.environ.get("GOALSYNC_TEST_LINKS", "1000"))
    world.run(1, GOALSYNC_LOG="info")
    slow, limited, dead = Vendor(), Counting(), Deaf()
    slow.seconds = 30
    slow.gate.clear()
    bad = {"slow": ("scripted", world.connect("scripted", base_url=slow.url)),
           "dead": ("scripted", world.connect("scripted", base_url=dead.url)),
           "limited": ("metered", world.connect("metered", base_url=limited.url))}
    healthy = world.connect("scripted", base_url=vendor.url)
    sent = {name: [] for name in (*bad, "healthy")}
    by_lane = {lane: [] for lane in LANES}
    for i in range(0, links, 10):
        for name, (lane, connection) in bad.items():
            sent[name] += [world.request(str(i), connection=connection) for _ in range(2)]
            by_lane[lane] += sent[name][-2:]
        sent["healthy"] += [world.request(str(j), connection=healthy) for j in range(i, i + 10)]
        by_lane["scripted"] += sent["healthy"][-10:]
    for lane, requests in by_lane.items():
        for p in range(base.PARTITIONS):
            world.produce(base.HOURLY + lane, [r.SerializeToString() for r in requests[p::base.PARTITIONS]], "-p", str(p))
    answers = {name: [m for m, _, _ in world.await_answers(*requests, seconds=300)] for name, requests in sent.items()}
    late = [m for m in answers["healthy"] if m.outcome != OUTCOME("FETCH_OUTCOME_OK")]
    assert len(late) < links / 1000, late[:3]
    assert [m.observations[0].value for m in answers["healthy"]] == [str(i) for i in range(links)]
    assert limited.refused == 0 and limited.most_within(CORE_SECONDS) <= CORE
    assert set(outcomes(answers["limited"])) == {"OK", "WAITING"}
    for name, asked in ("slow", len(slow.asked)), ("dead", dead.calls / 3):
        assert outcomes(answers[name]).keys() <= {"RETRY", "WAITING"}
        assert asked <= 5 + links / 100, f"{name}: probed and not hammered"
        assert any("has not answered since" in m.error for m in answers[name])
    slow.gate.set()


def test_a_flood_of_one_organisation_lets_another_in(world, vendor):
    """All in one partition, the other organisation's one request behind everything."""
    world.run(1, GOALSYNC_FETCH_WINDOW="16")
    many = world.connect("scripted", base_url=vendor.url)
    org, world.org = world.org, world.fleet.one("INSERT INTO organisation (name) VALUES ('Other') RETURNING id")
    world.fleet.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'scripted', true)", world.org)
    one = world.request("77777", connection=world.connect("scripted", base_url=vendor.url))
    world.org = org
    vendor.gate.clear()
    flood = [world.request(str(i), connection=many) for i in range(400)]
    world.produce(base.HOURLY + "scripted", [r.SerializeToString() for r in [*flood, one]], "-p", "0")
    wait_for("the first", lambda: vendor.asked)
    vendor.gate.set()
    world.await_answers(*flood, one, seconds=60)
    place = [what for _, what in vendor.asked].index("77777")
    assert place < 250, f"asked as number {place}"


def test_hosts_that_are_not_listed_are_not_asked(world, vendor):
    world.run(1, GOALSYNC_FETCH_HOSTS_ALLOWED="localhost,*.example.org")
    m = world.ask("1", world.connect("scripted", base_url=vendor.url), "scripted")
    assert m.outcome == OUTCOME("FETCH_OUTCOME_REJECTED") and "127.0.0.1" in m.error and "GOALSYNC_FETCH_HOSTS_ALLOWED" in m.error
    assert not vendor.asked
    named = world.connect("scripted", base_url=vendor.url.replace("127.0.0.1", "localhost"))
    assert world.ask("2", named, "scripted").outcome == OUTCOME("FETCH_OUTCOME_OK")


def test_nothing_went_wrong_unseen(world):
    world.end()
    logs = list((world.fleet.dir / "log").iterdir())
    assert logs and not any(w in log.read_text(errors="replace") for log in logs for w in ("Sanitizer", "runtime error:"))
