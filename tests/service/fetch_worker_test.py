"""One fetch worker against real Kafka, PostgreSQL and Redis. Its source is a fake: a scripted web server, because no real one
stalls, limits and counts on command."""
import base64
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
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from messages import fetch as pb  # noqa: E402

TOKEN = "canary-" + secrets.token_hex(16)
HOURLY, URGENT = "fetch.requested.third-party.", "fetch.urgent.third-party."
TOPICS = [HOURLY + "scripted", HOURLY + "stuck", URGENT + "scripted", URGENT + "stuck", "fetch.completed", "fetch.answered",
          "dlq.goalsync-fetch-third-party"]
DEADLINE = 4
WINDOW = 16
PARTITIONS = 4
OUTCOME = pb.FetchOutcome.Value
TRACE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


class Source:
    """The fake source. /<number>: that number. /stall: no answer before release(). /limit: 429. /s-<status>: that status."""

    def __init__(self):
        self.asked, self.tokens, self.stalled = [], set(), threading.Event()
        self.open = threading.Event()
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                source.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        what = handler.path[1:]
        self.asked.append(what)
        self.tokens.add(handler.headers["Authorization"])
        status, headers, body = 200, {}, json.dumps({"value": 1})
        if what.startswith("stall"):
            self.stalled.set()
            self.open.wait(60)
        elif what.startswith("limit"):
            status, headers, body = 429, {"Retry-After": "300"}, "slow down"
        elif what.startswith("s-"):
            status, body = int(what[2:]), json.dumps({"message": "scripted \"words\""})
        elif what == "echo":
            status, body = 422, json.dumps({"message": "refused: " + handler.headers["Authorization"]})
        elif what == "html":
            body = "<html>sign in</html>"
        elif what == "large":
            body = "x" * 200000
        else:
            body = '{"value": ' + what + "}"
        try:
            handler.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body.encode())
        except OSError:
            pass


class Worker:
    def __init__(self, fleet, number, *arguments, **settings):
        self.fleet, self.ready = fleet, fleet.dir / "ready" / f"worker.{number}"
        self.log_file = fleet.dir / "log" / f"worker.{number}.log"
        lines = fleet.shell("settings_of fetch-third-party | tr '\\0' '\\n'").splitlines()
        env = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
        env.update(line.split("=", 1) for line in lines)
        env.update(GOALSYNC_READY_FILE=str(self.ready), GOALSYNC_FETCH_ALLOW_PLAIN="yes", GOALSYNC_FETCH_WINDOW=str(WINDOW),
                   GOALSYNC_FETCH_DEADLINE=str(DEADLINE), GOALSYNC_FETCH_BODY_MAX="100k", GOALSYNC_LOG="debug",
                   GOALSYNC_KAFKA_PROPERTIES="session.timeout.ms=6000;topic.metadata.refresh.interval.ms=1000")
        env.update(settings)
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([str(fleet.build / "bin" / "goalsync-fetch-scripted"), *arguments], env=env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def await_ready(self):
        wait_for(f"worker ready: {self.log()[-2000:]}", lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        return self.log_file.read_text(errors="replace")

    def metric(self, series):
        text = subprocess.run(["curl", "-sS", f"http://{self.ready.read_text().strip()}/metrics"], capture_output=True, text=True).stdout
        found = re.search("^" + re.escape(series) + r" (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(40)


class World:
    """Servers, schema, an organisation, two connections, and one worker at a time."""

    def __init__(self, fleet):
        self.fleet, self.source, self.number = fleet, Source(), 0
        self.batch = int(time.time()) * 1000
        fleet.shell("postgres_start; redis_start; kafka_start; make_keys")
        fleet.make_schema()
        role = fleet.shell("role_of fetch-third-party")
        password = fleet.shell(f"secret {role}")
        fleet.sql(f"ALTER ROLE {role} LOGIN PASSWORD '{password}'")
        fleet.sql(f"GRANT CONNECT ON DATABASE goalsync TO {role}")
        self.helper("topics", PARTITIONS, *TOPICS)
        self.org = fleet.one("INSERT INTO organisation (name) VALUES ('Test') RETURNING id")
        fleet.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'scripted', true), (%s, 'stuck', true)",
                  self.org, self.org)
        self.key = (fleet.dir / "secret" / "key_THIRD_PARTY").read_text().strip()
        self.scripted = self.connect("scripted")
        # Another host name: libcurl lets requests to one plain host wait until the first answer says whether they can share.
        self.stuck = self.connect("stuck", base_url=self.source.url.replace("127.0.0.1", "localhost"))

    def helper(self, *args, stdin=""):
        done = subprocess.run([str(self.fleet.build / "bin" / "fetch-test-helper"), *map(str, args)], input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "GOALSYNC_KAFKA_BROKERS": self.fleet.state("kafka")})
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def connect(self, connector, key=None, **settings):
        sql = self.fleet.sql
        connection = self.fleet.one("INSERT INTO connection (org_id, connector, category, name, settings) VALUES (%s, %s, 'third_party', "
                                    "%s, %s) RETURNING id", self.org, connector, secrets.token_hex(4),
                                    json.dumps({"base_url": self.source.url, **settings}))
        data_key = self.fleet.one("INSERT INTO data_key (org_id, category) VALUES (%s, 'third_party') RETURNING id", self.org)
        sealed, credential = self.helper("seal", key or self.key, f"dk{data_key}", connection, stdin=json.dumps({"token": TOKEN}))
        sql("UPDATE data_key SET sealed = decode(%s, 'hex') WHERE id = %s", sealed, data_key)
        sql("INSERT INTO credential (connection_id, org_id, category, data_key_id, sealed) VALUES (%s, %s, 'third_party', %s, "
            "decode(%s, 'hex'))", connection, self.org, data_key, credential)
        return connection

    def start(self, **settings):
        self.number += 1
        self.worker = Worker(self.fleet, self.number, **settings)
        return self.worker.await_ready()

    def request(self, *what, connection=None, kind="SCHEDULED", expires=600, **more):
        self.batch += 1
        m = pb.FetchRequested(request_id=secrets.token_hex(16), org_id=self.org, connection_id=connection or self.scripted,
                              connection_version=1, batch_id=self.batch, kind=pb.FetchKind.Value("FETCH_KIND_" + kind),
                              slot_us=1, requested_at_us=1, expires_at_us=int((time.time() + expires) * 1e6), attempt=1, **more)
        for i, w in enumerate(what):
            m.targets.add(link_id=self.batch * 10 + i, revision=3, settings=w if w.startswith("{") else json.dumps({"what": w}))
        return m

    def produce(self, topic, values, *options):
        """All to one partition, unless options say which; kcat reads them from files, so any bytes can be sent."""
        files = []
        for value in values:
            files.append(self.fleet.dir / f"m{secrets.token_hex(8)}")
            files[-1].write_bytes(value)
        subprocess.run(["kcat", "-P", "-b", self.fleet.state("kafka"), "-t", topic, "-H", f"traceparent={TRACE}",
                        "-H", "ce_specversion=1.0", "-H", "ce_id=1", "-H", "ce_source=/test", "-H", "ce_type=t", *options, *map(str, files)], check=True)

    def send(self, *requests, lane="scripted", urgent=False):
        self.produce((URGENT if urgent else HOURLY) + lane, [r.SerializeToString() for r in requests])
        return requests[0]

    def answers(self, topic="fetch.completed"):
        found = {}
        for _, _, key, value, headers in self.fleet.messages(topic):
            m = pb.FetchCompleted.FromString(value)
            found.setdefault(m.request_id, []).append((m, key, headers))
        return found

    def await_answers(self, *requests, topic="fetch.completed", seconds=30):
        ids = {r.request_id for r in requests}
        found = wait_for("answers", lambda: (lambda a: a if ids <= a.keys() else None)(self.answers(topic)), seconds, every=0.2)
        return [found[r.request_id][0] for r in requests]

    def ask(self, *what, **more):
        request = self.send(self.request(*what, **more), lane=more.pop("lane", "scripted"))
        return self.await_answers(request)[0][0]


@pytest.fixture(scope="module")
def world():
    with Fleet(services=[]) as fleet:
        world = World(fleet)
        world.start()
        try:
            yield world
        finally:
            world.source.open.set()
            if world.worker.process.poll() is None:
                world.worker.end(signal.SIGKILL)


def test_answers(world):
    request = world.send(world.request("12.50", "12.50"))
    (m, key, headers), = world.await_answers(request)
    assert key == str(request.batch_id).encode()
    assert "ce_type=goalsync.fetch.completed.v1" in headers and "ce_source=/goalsync/fetch-third-party" in headers
    assert f"ce_id={request.request_id}" in headers
    assert f"traceparent=00-{'ab' * 16}-" in headers and "cd" * 8 not in headers, "same trace, new span"
    assert (m.org_id, m.batch_id, m.slot_us, m.attempt, m.kind) == (world.org, request.batch_id, 1, 1, request.kind)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_OK") and m.error == "" and m.requests_used == 1 and m.fetched_at_us > 0
    assert [(o.link_id, o.revision, o.value, o.outcome) for o in m.observations] == \
        [(t.link_id, 3, "12.5", OUTCOME("FETCH_OUTCOME_OK")) for t in request.targets]
    assert world.source.tokens == {f"Bearer {TOKEN}"}


def test_one_wrong_link_harms_no_other(world):
    m = world.ask("{}", "3", '{"what":"4","more":"x"}')
    assert m.outcome == OUTCOME("FETCH_OUTCOME_OK")
    assert [o.value for o in m.observations] == ["", "3", ""]
    assert "missing" in m.observations[0].error and '"more"' in m.observations[2].error


@pytest.mark.parametrize("what, outcome, words", [
    ("s-401", "DENIED", "sign-in"), ("s-403", "DENIED", "no access"), ("s-404", "GONE", "no such thing"), ("s-410", "GONE", "410"),
    ("s-500", "RETRY", "status 500"), ("s-422", "REJECTED", "scripted 'words'"), ("s-302", "REJECTED", "redirects"),
    ("html", "REJECTED", "HTML"), ("large", "REJECTED", "102400"), ("true", "REJECTED", ""), ("echo", "REJECTED", "refused: Bearer ****")])
def test_bad_answers(world, what, outcome, words):
    m = world.ask(what)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_" + outcome), m.error
    assert m.error and words in m.error
    assert [o.outcome for o in m.observations] == [m.outcome]


def test_expired(world):
    before = len(world.source.asked)
    m = world.ask("1", expires=-1)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_EXPIRED") and len(world.source.asked) == before


def test_preview(world):
    request = world.send(world.request("7", kind="PREVIEW"), urgent=True)
    (m, key, headers), = world.await_answers(request, topic="fetch.answered")
    assert m.observations[0].value == "7" and key == request.request_id.encode()
    assert request.request_id not in world.answers()


def test_connections_that_cannot_be_used(world):
    other = "other:" + base64.b64encode(secrets.token_bytes(32)).decode()
    m = world.ask("1", connection=world.connect("scripted", key=other))
    assert m.outcome == OUTCOME("FETCH_OUTCOME_DENIED") and "other" in m.error, "the key's id is named"
    m = world.ask("1", connection=999999)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_GONE") and "999999" in m.error
    m = world.ask("1", connection=world.stuck)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_GONE"), "of another integration"
    paused = world.connect("scripted")
    world.fleet.sql("UPDATE connection SET stopped_reason = 'by hand' WHERE id = %s", paused)
    m = world.ask("1", connection=paused)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_EXPIRED") and m.error == "paused: by hand"
    elsewhere = world.connect("scripted")
    world.fleet.sql("UPDATE connection SET category = 'in_boundary' WHERE id = %s", elsewhere)
    m = world.ask("1", connection=elsewhere)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_GONE"), "of another category: not visible to this worker's role"
    m = world.ask("1", connection=world.connect("scripted", base_url="http://127.0.0.1:1"))
    assert m.outcome == OUTCOME("FETCH_OUTCOME_RETRY") and m.error


def test_a_gate_that_closes_stops_requests_already_queued(world):
    connection = world.connect("scripted")
    assert world.ask("1", connection=connection).outcome == OUTCOME("FETCH_OUTCOME_OK")
    world.fleet.sql("UPDATE connection SET stopped_reason = 'enough' WHERE id = %s", connection)
    # The same version as before: what is in memory and in Redis says that it may be used.
    m = world.ask("1", connection=connection)
    assert m.outcome == OUTCOME("FETCH_OUTCOME_EXPIRED") and m.error == "paused: enough"
    world.fleet.sql("UPDATE connection SET stopped_reason = NULL WHERE id = %s", connection)
    assert world.ask("1", connection=connection).outcome == OUTCOME("FETCH_OUTCOME_OK")


def test_newer_version_is_loaded(world):
    connection = world.connect("scripted", base_url=world.source.url + "/s-404")
    assert world.ask("1", connection=connection).outcome != OUTCOME("FETCH_OUTCOME_OK")
    world.fleet.sql("UPDATE connection SET settings = %s, version = 2 WHERE id = %s", json.dumps({"base_url": world.source.url}), connection)
    request = world.request("5", connection=connection)
    request.connection_version = 2
    world.send(request)
    assert world.await_answers(request)[0][0].observations[0].value == "5"


def test_limit_is_remembered(world):
    connection = world.connect("scripted")
    first = world.ask("limit", connection=connection)
    assert first.outcome == OUTCOME("FETCH_OUTCOME_WAITING") and "slow down" in first.error
    assert 295 < first.retry_at_us / 1e6 - time.time() < 301
    before = len(world.source.asked)
    second = world.ask("1", connection=connection)
    assert (second.outcome, second.retry_at_us) == (first.outcome, first.retry_at_us)
    assert len(world.source.asked) == before, "nothing is asked meanwhile"
    assert world.ask("1").outcome == OUTCOME("FETCH_OUTCOME_OK"), "other connections are"


def test_deadline(world):
    world.source.open.clear()
    m = world.ask("stall")
    world.source.open.set()
    assert m.outcome == OUTCOME("FETCH_OUTCOME_RETRY") and m.error == f"no answer from the source within {DEADLINE} s"


def test_stuck_source_holds_up_no_other(world):
    """More requests than the window has room for wait for a source that does not answer until the others were answered."""
    world.worker.end()
    world.start(GOALSYNC_FETCH_DEADLINE="120")
    world.source.open.clear()
    world.source.stalled.clear()
    stuck = [world.request(f"stall{i}", connection=world.stuck) for i in range(3 * WINDOW)]
    world.send(*stuck, lane="stuck")
    assert world.source.stalled.wait(20)
    others = [world.request(str(i)) for i in range(2 * WINDOW)]
    world.send(*others)
    urgent = world.send(world.request("99"), urgent=True)
    world.await_answers(*others, urgent, seconds=60)
    answers = world.answers()
    assert not any(r.request_id in answers for r in stuck)
    world.source.open.set()
    world.await_answers(*stuck, seconds=60)
    world.worker.end()
    world.start()


def test_random_bytes_become_dead_letters(world):
    garbage = [secrets.token_bytes(n) for n in (1, 17, 300, 5000)] + [pb.FetchRequested().SerializeToString() or b"\x00"]
    world.produce(HOURLY + "scripted", garbage + [secrets.token_bytes(950000)])  # the last is too long to be sent on
    request = world.request("8")
    world.send(request)
    assert world.await_answers(request)[0][0].observations[0].value == "8"
    dlq = wait_for("dead letters", lambda: (lambda m: m if len(m) >= len(garbage) else None)(
        world.fleet.messages("dlq.goalsync-fetch-third-party")), every=0.2)
    assert sorted(m[3] for m in dlq) == sorted(garbage)
    assert all("gs-reason=undecodable" in m[4] and f"gs-origin-topic={HOURLY}scripted" in m[4] for m in dlq)
    assert world.worker.process.poll() is None and "message passed over" in world.worker.log()


def test_killed_worker_loses_nothing(world):
    """Killed when everything but one request was answered and committed: that one is done again."""
    world.worker.end()
    world.start(GOALSYNC_FETCH_DEADLINE="120")
    world.source.open.clear()
    world.source.stalled.clear()
    requests = [world.request(str(i)) for i in range(300)]
    held = world.request("stall-held")
    world.send(held, *requests)
    assert world.source.stalled.wait(20)
    world.await_answers(*requests)
    ends = [0] * PARTITIONS
    for partition, offset, _, value, _ in world.fleet.messages(HOURLY + "scripted"):
        ends[partition] = max(ends[partition], offset + 1)
        if held.request_id.encode() in value:
            its_partition, its_offset = partition, offset

    def committed():
        offsets = [int(x) for x in world.helper("committed", PARTITIONS, "goalsync-fetch-third-party", HOURLY + "scripted")]
        return offsets if all(o == e for p, (o, e) in enumerate(zip(offsets, ends)) if p != its_partition) else None

    assert wait_for("commits", committed, every=0.2)[its_partition] <= its_offset
    world.worker.end(signal.SIGKILL)
    assert held.request_id not in world.answers(), "killed while the source was asked"
    world.source.open.set()
    world.start()
    world.await_answers(held, *requests, seconds=60)


def test_redis_and_restart(world):
    """A new worker finds the connection in Redis, sealed."""
    world.ask("1")
    assert world.worker.end() == 0, world.worker.log()[-2000:]
    world.start()
    assert world.ask("6").observations[0].value == "6"
    assert world.worker.metric('goalsync_fetch_connection_loads_total{from="redis"}') >= 1
    assert world.worker.metric('goalsync_fetch_total{connector="scripted",outcome="ok"}') >= 1


def redis(world, *args):
    port, password = world.fleet.state("redis"), (world.fleet.dir / "secret" / "redis").read_text().strip()
    return subprocess.run(["redis-cli", "-p", port, "--no-auth-warning", "-a", password, *args], capture_output=True, check=True).stdout


def test_tampered_copy_is_not_believed(world):
    key = f"gs:conn:{world.scripted}:1"
    good = redis(world, "--no-raw", "GET", key)
    assert len(good) > 50
    redis(world, "SETRANGE", key, "200", "tampered")
    world.worker.end()
    world.start()
    assert world.ask("9").observations[0].value == "9"
    assert world.worker.metric('goalsync_fetch_connection_loads_total{from="database"}') >= 1


def test_redis_away(world):
    world.fleet.stop_one("redis")
    world.worker.end()
    world.start()
    assert world.ask("10").observations[0].value == "10"
    world.fleet.start_one("redis")


def ask_stuck(world, what):
    return world.await_answers(world.send(world.request(what, connection=world.stuck), lane="stuck"))[0][0]


def test_database_away_is_waited_for(world):
    world.fleet.stop_one("postgres", "INT")
    m = ask_stuck(world, "11")
    assert m.outcome in (OUTCOME("FETCH_OUTCOME_RETRY"), OUTCOME("FETCH_OUTCOME_OK"))
    if m.outcome == OUTCOME("FETCH_OUTCOME_RETRY"):
        assert "could not be loaded" in m.error
    world.fleet.start_one("postgres")
    # Asked before its connection to the database is back, the worker says "retry", as the scheduler would hear it.
    answer = wait_for("an answer with the database back", lambda: next(
        (m for m in [ask_stuck(world, "12")] if m.outcome != OUTCOME("FETCH_OUTCOME_RETRY")), None))
    assert answer.observations[0].value == "12"


def test_kafka_away(world):
    """An answer that Kafka cannot take at once is kept until it can."""
    world.worker.end()
    world.start(GOALSYNC_FETCH_DEADLINE="120")
    world.source.open.clear()
    world.source.stalled.clear()
    request = world.send(world.request("stall-kafka"))
    assert world.source.stalled.wait(20)
    world.fleet.kill("kafka")
    world.source.open.set()
    wait_for("answer", lambda: world.worker.metric('goalsync_fetch_total{connector="scripted",outcome="ok"}') >= 1)
    world.fleet.start_one("kafka")
    world.await_answers(request, seconds=60)
    assert world.worker.process.poll() is None


def test_canary_is_nowhere(world):
    """After everything above: the secret reached the source and no other place."""
    assert world.source.tokens == {f"Bearer {TOKEN}"}
    canary = TOKEN.encode()
    keys = redis(world, "--scan").split()
    assert all(canary not in k and canary not in redis(world, "GET", k.decode()) for k in keys)
    for topic in TOPICS:
        assert all(canary not in key + value + headers.encode() for _, _, key, value, headers in world.fleet.messages(topic))
    logs = list((world.fleet.dir / "log").iterdir())
    assert logs and all(canary not in log.read_bytes() for log in logs)
    assert not any(w in log.read_text(errors="replace") for log in logs for w in ("Sanitizer", "runtime error:"))


def test_private_addresses_need_leave(world):
    world.worker.end()
    world.start(GOALSYNC_FETCH_ALLOW_PLAIN="no", GOALSYNC_FETCH_ALLOW_PRIVATE="no")
    before = len(world.source.asked)
    m = world.ask("1", connection=world.connect("scripted", base_url=world.source.url.replace("http:", "https:")))
    assert m.outcome == OUTCOME("FETCH_OUTCOME_REJECTED") and "no address that may be asked" in m.error
    m = world.ask("1", connection=world.connect("scripted"))
    assert m.outcome == OUTCOME("FETCH_OUTCOME_REJECTED") and "https://" in m.error, "plain http neither"
    assert len(world.source.asked) == before


def test_drains(world):
    world.worker.end()
    world.start()
    world.send(*[world.request(str(i)) for i in range(50)])
    assert world.worker.end() == 0, world.worker.log()[-3000:]


@pytest.mark.parametrize("arguments, settings, words", [
    (["--connectors", "jira9"], {}, '"jira9"'), (["--surprise"], {}, "--connectors"),
    ([], {"GOALSYNC_FETCH_EXCLUDE": "nope"}, '"nope"'), ([], {"GOALSYNC_FETCH_WINDOW": "1"}, "GOALSYNC_FETCH_WINDOW"),
    ([], {"GOALSYNC_KEY_THIRD_PARTY_FILE": ""}, "GOALSYNC_KEY_THIRD_PARTY")])
def test_mistakes_in_settings(world, arguments, settings, words):
    lines = world.fleet.shell("settings_of fetch-third-party | tr '\\0' '\\n'").splitlines()
    env = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
    env.update(line.split("=", 1) for line in lines)
    done = subprocess.run([str(world.fleet.build / "bin" / "goalsync-fetch-scripted"), *arguments], env={**env, **settings},
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and words in done.stderr, done.stderr
