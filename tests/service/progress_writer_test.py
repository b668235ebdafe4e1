"""The progress writer against real Kafka and PostgreSQL: what it applies, what it leaves alone, and what kills do to it."""
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from messages import fetch as pb  # noqa: E402
from messages import goal as goal_pb  # noqa: E402

IN, OUT, DEAD = "fetch.completed", "goal.changed", "dlq.goalsync-progress-writer"
PARTITIONS = 4
OUTCOME = pb.FetchOutcome.Value
HOUR = 3600 * 10**6
LONG_AGO = 1_700_000_000 * 10**6  # microseconds; slots of the tests count from here
TRACE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


class Writer:
    def __init__(self, fleet, number, **settings):
        self.fleet, self.ready = fleet, fleet.dir / "ready" / f"writer.{number}"
        self.log_file = fleet.dir / "log" / f"writer.{number}.log"
        lines = fleet.shell("settings_of progress-writer | tr '\\0' '\\n'").splitlines()
        env = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
        env.update(line.split("=", 1) for line in lines)
        env.update(GOALSYNC_READY_FILE=str(self.ready), GOALSYNC_PERIOD="1h",
                   GOALSYNC_KAFKA_PROPERTIES="session.timeout.ms=6000;heartbeat.interval.ms=500")
        env.update(settings)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(fleet.build / "bin" / "goalsync-progress-writer")], env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def await_ready(self):
        wait_for("writer ready", lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def log(self):
        return self.log_file.read_text(errors="replace")

    def metric(self, series):
        text = subprocess.run(["curl", "-sS", f"http://{self.ready.read_text().strip()}/metrics"], capture_output=True, text=True).stdout
        found = re.search("^" + re.escape(series) + r" (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(40)


class World:
    """Servers, schema, and writers that tests start; goals and links are made by SQL, as the command line would."""

    def __init__(self, fleet):
        self.fleet, self.number, self.writers, self.sent = fleet, 0, [], 0
        fleet.shell("postgres_start; kafka_start; make_keys")
        fleet.make_schema()
        role = fleet.shell("settings_of progress-writer >/dev/null; role_of progress-writer")
        fleet.sql(f"ALTER ROLE {role} LOGIN PASSWORD '{fleet.shell('secret ' + role)}'; GRANT CONNECT ON DATABASE goalsync TO {role}")
        done = subprocess.run([str(fleet.build / "bin" / "fetch-test-helper"), "topics", str(PARTITIONS), IN, OUT, DEAD],
                              env={**os.environ, "GOALSYNC_KAFKA_BROKERS": fleet.state("kafka")})
        assert done.returncode == 0
        self.db = fleet.connect()

    # ---- writers

    def start(self, **settings):
        self.number += 1
        self.writers.append(Writer(self.fleet, self.number, **settings))
        return self.writers[-1].await_ready()

    def only(self):
        """A running writer; the one that is there, if there is."""
        alive = [w for w in self.writers if w.process.poll() is None]
        return alive[0] if alive else self.start()

    def end_all(self):
        alive = [w for w in self.writers if w.process.poll() is None]
        self.writers = []
        for w in alive:
            assert w.end() == 0, w.log()[-3000:]

    # ---- rows

    def sql(self, statement, *params):
        with self.db.cursor() as cursor:
            cursor.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement, *params):
        rows = self.sql(statement, *params)
        return rows[0][0] if rows else None

    def org(self):
        org = self.one("INSERT INTO organisation (name) VALUES (%s) RETURNING id", secrets.token_hex(8))
        self.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'postgresql', true)", org)
        self.sql("INSERT INTO connection (org_id, connector, category, name) VALUES (%s, 'postgresql', 'in_boundary', 'c')", org)
        return org

    def goal(self, org, kind="key_result", mode="data_source", metric="reach", start=0, target=100, days=(-300, 300), **more):
        columns = {"org_id": org, "kind": kind, "mode": mode, "metric": metric, "title": "t", **more}
        if metric != "percent":
            columns.update(start_value=start, target_value=target)
        names = ", ".join(columns)
        return self.one(f"INSERT INTO goal ({names}, start_on, end_on) VALUES ({', '.join(['%s'] * len(columns))}, "
                        "current_date + %s, current_date + %s) RETURNING id", *columns.values(), *days)

    def objective(self, org, **more):
        return self.goal(org, "objective", "roll_up", "percent", **more)

    def align(self, parent, child, weight=None, contributes=True):
        self.sql("INSERT INTO goal_edge (parent_id, child_id, org_id, weight_hundredths, contributes) SELECT %s, id, org_id, %s, %s "
                 "FROM goal WHERE id = %s", parent, weight, contributes, child)

    def link(self, goal):
        """Returns (link, batch): a batch of its own for each link."""
        org, connection = self.sql("SELECT g.org_id, c.id FROM goal g JOIN connection c USING (org_id) WHERE g.id = %s", goal)[0]
        batch = self.one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key, next_due_at) VALUES (%s, %s, 0, %s, "
                         "now() + interval '1 hour') RETURNING id", connection, org, secrets.token_hex(8))
        link = self.one("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) VALUES (%s, %s, %s, %s, '{}') RETURNING id",
                        org, goal, connection, batch)
        return link, batch

    def tree(self, n=2):
        """Organisation, grandparent, parent, n linked key results: (org, top, parent, [goal], [(link, batch)])."""
        org = self.org()
        top, parent = self.objective(org), self.objective(org)
        self.align(top, parent)
        goals = [self.goal(org) for _ in range(n)]
        for g in goals:
            self.align(parent, g)
        return org, top, parent, goals, [self.link(g) for g in goals]

    def state(self, goal):
        return self.sql("SELECT applied_value, round(progress, 6), status::text, version FROM goal WHERE id = %s", goal)[0]

    def observations(self, goal):
        return self.one("SELECT count(*) FROM observation WHERE goal_id = %s", goal)

    def activities(self, goal):
        return [k for k, in self.sql("SELECT kind FROM activity WHERE goal_id = %s ORDER BY id", goal)]

    def everything(self, org):
        """What a replay must not change."""
        return self.sql("SELECT id, version, applied_value, progress, status::text, last_slot FROM goal WHERE org_id = %s ORDER BY id", org) + \
            self.sql("SELECT count(*) FROM observation WHERE org_id = %s", org) + \
            self.sql("SELECT count(*) FROM activity WHERE org_id = %s", org) + \
            self.sql("SELECT id, outcome::text, failures, error FROM link WHERE org_id = %s ORDER BY id", org)

    # ---- messages

    def completed(self, link, slot, value=None, outcome="OK", revision=1, attempt=1, **more):
        m = pb.FetchCompleted(request_id=secrets.token_hex(8), org_id=0, batch_id=link[1], kind="FETCH_KIND_SCHEDULED",
                              slot_us=LONG_AGO + slot * HOUR, attempt=attempt, outcome=OUTCOME("FETCH_OUTCOME_OK"),
                              fetched_at_us=LONG_AGO + slot * HOUR + 1, **more)
        m.observations.add(link_id=link[0], revision=revision, outcome=OUTCOME("FETCH_OUTCOME_" + outcome),
                           value="" if value is None else str(value), error="" if value is not None else "the source said no")
        return m

    def send(self, *messages):
        """In order for each batch; bytes go to a partition of their own choice."""
        lanes = {}
        for m in messages:
            data = m if isinstance(m, bytes) else m.SerializeToString()
            file = self.fleet.dir / f"m{secrets.token_hex(8)}"
            file.write_bytes(data)
            lanes.setdefault(random.randrange(PARTITIONS) if isinstance(m, bytes) else m.batch_id % PARTITIONS, []).append(str(file))
        for partition, files in lanes.items():
            subprocess.run(["kcat", "-P", "-b", self.fleet.state("kafka"), "-t", IN, "-p", str(partition), "-H", f"traceparent={TRACE}",
                            "-H", "ce_specversion=1.0", "-H", "ce_id=1", "-H", "ce_source=/test", "-H", "ce_type=t", *files], check=True)
        self.sent += len(messages)

    def position(self):
        return self.one("SELECT coalesce(sum(next_offset), 0) FROM consumer_offset")

    def await_all(self, seconds=60):
        """Until all that was sent is behind the stored offsets."""
        wait_for("all messages applied", lambda: self.position() >= self.sent, seconds)
        assert self.position() == self.sent

    def apply(self, *messages):
        self.only()
        self.send(*messages)
        self.await_all()

    def replay(self):
        """From the first message of all, through the very same writer."""
        self.end_all()
        self.sql("UPDATE consumer_offset SET next_offset = 0")
        self.start()
        self.await_all()

    def events(self, *goals):
        """Published changes of goals, in order, repeated ones once: {goal: [GoalChanged]}."""
        wait_for("outbox empty", lambda: self.one("SELECT count(*) FROM outbox") == 0)
        found, seen = {g: [] for g in goals}, set()
        for _, _, key, value, headers in self.fleet.messages(OUT):
            m = goal_pb.GoalChanged.FromString(value)
            if m.goal_id in found and (m.goal_id, m.version) not in seen:
                assert key == str(m.goal_id).encode() and f"ce_id=g{m.goal_id}.v{m.version}," in headers
                seen.add((m.goal_id, m.version))
                found[m.goal_id].append((m, headers))
        return found

    def dead(self, reason):
        return [(value, headers) for _, _, _, value, headers in self.fleet.messages(DEAD) if f"gs-reason={reason}," in headers]


@pytest.fixture(scope="module")
def world():
    with Fleet() as fleet:
        w = World(fleet)
        yield w
        for writer in w.writers:
            writer.end(signal.SIGKILL)


def test_a_value_moves_goal_parent_and_grandparent(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "50"))
    assert world.state(a)[:2] == (50, 50) and world.state(a)[3] == 1
    assert world.state(parent)[1] == 25 and world.state(top)[1] == 25
    assert world.observations(a) == 1 and world.activities(a) == ["status_changed"]
    world.apply(world.completed(lb, 1, "100.5"))
    assert world.state(parent)[1] == 75 and world.state(top)[1] == 75 and world.state(top)[3] == 2
    assert world.one("SELECT outcome::text FROM link WHERE id = %s", la[0]) == "ok"
    events = world.events(a, b, parent, top)
    assert [m.version for m, _ in events[top]] == [1, 2]
    first, headers = events[a][0]
    assert (first.before.value, first.after.value, first.after.progress, first.link_id) == ("", "50", "50", la[0])
    assert first.cause == goal_pb.GOAL_CHANGE_CAUSE_FETCHED and "traceparent=00-" + "ab" * 16 in headers
    assert events[top][1][0].cause == goal_pb.GOAL_CHANGE_CAUSE_ROLLED_UP
    assert (events[top][1][0].before.progress, events[top][1][0].after.progress) == ("25", "75")


def test_unchanged_polls_write_no_history(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "50"))
    before, events = world.everything(org), len(world.events(top)[top])
    world.apply(world.completed(la, 2, "50.0"), world.completed(la, 3, "5e1"))
    after = world.everything(org)
    assert [r[:5] for r in after[:4]] == [r[:5] for r in before[:4]] and after[4:] == before[4:]
    assert world.one("SELECT extract(epoch FROM last_slot) FROM goal WHERE id = %s", a) * 10**6 == LONG_AGO + 3 * HOUR
    assert world.one("SELECT extract(epoch FROM fetched_at) FROM goal WHERE id = %s", a) * 10**6 == LONG_AGO + 3 * HOUR + 1
    assert len(world.events(top)[top]) == events


def test_duplicates_older_slots_and_replays_change_nothing(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    news = [world.completed(la, 2, "20"), world.completed(lb, 2, None, "DENIED"), world.completed(la, 3, "30"),
            world.completed(lb, 3, None, "RETRY"), world.completed(lb, 4, "7")]
    world.apply(*news)
    before = world.everything(org)
    assert world.observations(a) == 2 and world.state(a)[0] == 30
    world.apply(*news, world.completed(la, 1, "99"), world.completed(lb, 1, None, "GONE"))
    assert world.everything(org) == before
    world.replay()
    assert world.everything(org) == before


def test_a_topic_that_begins_again_is_read_from_its_beginning(world):
    """As after a development broker forgot everything: the stored offsets are beyond the topic's end."""
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "20"), world.completed(lb, 1, "30"))
    before = world.everything(org)
    world.end_all()
    world.sql("UPDATE consumer_offset SET next_offset = next_offset + 1000000 WHERE next_offset > 0")
    world.start()
    wait_for("read again", lambda: world.position() == world.sent, 60)
    assert world.everything(org) == before
    world.apply(world.completed(la, 2, "21"))
    assert world.state(a)[0] == 21


def test_several_results_for_one_link_in_a_batch(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.end_all()
    world.send(*(world.completed(la, i, str(i)) for i in range(1, 8)), world.completed(la, 8, None, "RETRY"), world.completed(la, 9, "9"))
    world.start()
    world.await_all()
    assert world.observations(a) == 8 and world.state(a)[0] == 9
    kinds = world.activities(a)
    assert kinds.index("source_failed") < kinds.index("source_recovered") and len(kinds) == 3  # and the status, once
    assert world.one("SELECT failures FROM link WHERE id = %s", la[0]) == 0
    events = [m.version for m, _ in world.events(a)[a]]
    assert events == list(range(1, len(events) + 1))


def test_a_transaction_that_takes_too_long_is_tried_in_parts(world):
    org, *_, goals, links = world.tree(8)
    world.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$")
    world.sql(f"CREATE TRIGGER slow BEFORE UPDATE ON goal FOR EACH ROW WHEN (NEW.org_id = {org} AND NEW.kind = 'key_result') EXECUTE FUNCTION slow()")
    world.end_all()
    world.send(*(world.completed(link, 1, "50") for link in links))
    file = world.fleet.shell("settings_of progress-writer | tr '\\0' '\\n' | sed -n 's/^GOALSYNC_DATABASE_URL_FILE=//p'")
    url, hasty = Path(file).read_text().strip(), world.fleet.dir / "hasty"
    hasty.write_text(url + ("&" if "?" in url else "?") + "options=-c%20statement_timeout%3D1500")
    world.start(GOALSYNC_DATABASE_URL_FILE=str(hasty))
    try:
        world.await_all()
    finally:
        world.sql("DROP TRIGGER slow ON goal; DROP FUNCTION slow()")
        world.end_all()
    assert [world.state(g)[0] for g in goals] == [50] * 8


@pytest.mark.parametrize("taking", ["UPDATE consumer_offset SET epoch = epoch + 1", "DELETE FROM consumer_offset"])
def test_a_position_taken_over_is_taken_back_while_kafka_lets_us_read(world, taking):
    """As after a backup of the database was restored, or when somebody resets the positions for a replay."""
    org, *_, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "10"), world.completed(lb, 1, "10"))
    world.sql(taking + " WHERE partition IN (%s, %s)", la[1] % PARTITIONS, lb[1] % PARTITIONS)
    world.send(world.completed(la, 2, "20"), world.completed(la, 3, "30"), world.completed(lb, 2, "20"))
    wait_for("partition taken back", lambda: world.state(a)[0] == 30 and world.state(b)[0] == 20, 40, every=0.2)
    world.apply(world.completed(la, 4, "40"))
    assert world.state(a)[0] == 40 and world.observations(a) == 4 and world.observations(b) == 2


def test_two_parents_and_weights(world):
    org = world.org()
    left, right, top = world.objective(org), world.objective(org), world.objective(org)
    a, b, c = (world.goal(org) for _ in range(3))
    for parent, child, weight in ((left, a, 2500), (left, b, None), (right, b, None), (right, c, None), (top, left, None), (top, right, None)):
        world.align(parent, child, weight)
    la, lb, lc = (world.link(g) for g in (a, b, c))
    world.apply(world.completed(la, 1, "100"), world.completed(lb, 1, "40"), world.completed(lc, 1, "0"))
    assert world.state(left)[1] == 55 and world.state(right)[1] == 20 and world.state(top)[1] == Decimal("37.5")
    world.apply(world.completed(lb, 2, "80"))
    assert world.state(left)[1] == 85 and world.state(right)[1] == 40 and world.state(top)[1] == Decimal("62.5")


def test_gates_are_checked_again_when_writing(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "50"))
    before = world.everything(org)
    world.sql("UPDATE org_integration SET enabled = false WHERE org_id = %s", org)
    world.apply(world.completed(la, 2, "60"), world.completed(lb, 2, None, "DENIED"))
    assert world.everything(org) == before
    world.sql("UPDATE org_integration SET enabled = true WHERE org_id = %s", org)
    world.sql("UPDATE link SET revision = 2 WHERE id = %s", la[0])
    world.sql("UPDATE link SET state = 'paused' WHERE id = %s", lb[0])
    world.apply(world.completed(la, 3, "60", revision=1), world.completed(lb, 3, "60"), world.completed((10**12, la[1]), 3, "1"))
    assert world.everything(org) == before
    world.apply(world.completed(la, 4, "60", revision=2))
    assert world.state(a)[0] == 60
    world.sql("UPDATE goal SET status = 'closed', status_by_hand = true WHERE id = %s", a)
    world.apply(world.completed(la, 5, "70", revision=2))
    assert world.state(a)[0] == 60


def test_overrides_hold_and_end_as_the_rules_say(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "50"))
    world.sql("UPDATE goal SET override = 'sticky', applied_value = 10, progress = 10, raw_progress = 10, version = version + 1 WHERE id = %s", a)
    world.apply(world.completed(la, 2, "80"))
    assert world.sql("SELECT auto_value, applied_value, progress FROM goal WHERE id = %s", a)[0] == (80, 10, 10)
    world.sql("UPDATE goal SET override = 'one_off' WHERE id = %s", a)
    world.apply(world.completed(la, 3, "80"))
    assert world.state(a)[0] == 10
    world.apply(world.completed(la, 4, "90"))
    assert world.state(a)[0] == 90 and world.one("SELECT override::text FROM goal WHERE id = %s", a) == "none"


def test_failures_and_retries(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "50"), world.completed(lb, 1, "50"))
    link = "SELECT outcome::text, failures, error, failing_since IS NOT NULL, waiting_until IS NOT NULL FROM link WHERE id = %s"
    due = "SELECT attempt, next_due_at - now() < interval '31 seconds' FROM link_batch WHERE id = %s"
    world.apply(world.completed(la, 2, None, "RETRY"), world.completed(lb, 2, None, "DENIED"))
    assert world.sql(link, la[0])[0] == ("retry", 1, "the source said no", True, False)
    assert world.sql(link, lb[0])[0] == ("denied", 1, "the source said no", True, False)
    assert world.sql(due, la[1])[0] == (1, True) and world.sql(due, lb[1])[0] == (0, False)
    world.apply(world.completed(la, 2, None, "RETRY", attempt=2))
    assert world.sql(link, la[0])[0][1] == 2 and world.sql(due, la[1])[0] == (2, True)  # never later than it was
    assert world.state(a)[:2] == (50, 50) and world.activities(a).count("source_failed") == 1
    world.apply(world.completed(la, 2, "51", attempt=3))
    assert world.sql(link, la[0])[0] == ("ok", 0, None, False, False) and world.sql(due, la[1])[0][0] == 0
    assert world.activities(a).count("source_recovered") == 1
    until = int((time.time() + 600) * 1e6)
    world.sql("UPDATE link_batch SET next_due_at = now() + interval '1 hour' WHERE id = %s", la[1])
    world.apply(world.completed(la, 3, None, "WAITING", retry_at_us=until), world.completed(lb, 3, None, "EXPIRED"))
    assert world.sql(link, la[0])[0] == ("waiting", 0, "the source said no", False, True)
    assert world.one("SELECT extract(epoch FROM next_due_at)::bigint FROM link_batch WHERE id = %s", la[1]) == pytest.approx(until / 1e6, abs=1)
    assert world.sql(link, lb[0])[0][:2] == ("denied", 1)
    whole = world.completed(lb, 4, None, "RETRY")
    whole.outcome, whole.error = OUTCOME("FETCH_OUTCOME_GONE"), "no such database"
    whole.observations[0].error = ""
    world.apply(whole)
    assert world.sql(link, lb[0])[0][:3] == ("gone", 2, "no such database")


def test_what_cannot_be_read_becomes_a_dead_letter_and_harms_nobody(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    rng = random.Random(7)
    broken = [rng.randbytes(rng.randrange(1, 300)) for _ in range(40)]
    good = world.completed(la, 1, "1").SerializeToString()
    broken += [good[:-3], good + b"\xff"]
    bad = [world.completed(la, 2, v) for v in ("NaN", "1e400", "", "12,5", "<html>", "1" * 30)]
    strange = world.completed(la, 3, "1")
    strange.observations[0].outcome = 99
    preview = world.completed(la, 3, "1")
    preview.kind = pb.FETCH_KIND_PREVIEW
    future = world.completed(la, 10**7, "1")
    nobody = world.completed(la, 3, "1", revision=-1)
    mixed = broken + bad + [strange, preview, future, nobody]
    rng.shuffle(mixed)
    world.apply(*mixed[:20], world.completed(la, 4, "44"), *mixed[20:], world.completed(lb, 4, "55"))
    assert world.state(a)[0] == 44 and world.state(b)[0] == 55
    dead = world.dead("unreadable")
    assert len(dead) == len(mixed)
    assert all("gs-origin-topic=" + IN in h and "gs-error=" in h for _, h in dead)
    assert sorted(v for v, _ in dead) == sorted(m if isinstance(m, bytes) else m.SerializeToString() for m in mixed)


def test_what_the_database_refuses_is_found_and_buried(world):
    org, top, parent, goals, links = world.tree(8)
    world.sql("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused for the test'; END $$")
    world.sql(f"CREATE TRIGGER refuse BEFORE UPDATE ON goal FOR EACH ROW WHEN (OLD.id = {goals[3]}) EXECUTE FUNCTION refuse()")
    try:
        world.end_all()
        sent = [world.completed(l, 1, str(i)) for i, l in enumerate(links)]
        world.send(*sent)
        world.start()
        world.await_all()
    finally:
        world.sql("DROP TRIGGER refuse ON goal")
    assert [world.observations(g) for g in goals] == [1, 1, 1, 0, 1, 1, 1, 1]
    dead = world.dead("apply_failed")
    assert len(dead) == 1 and dead[0][0] == sent[3].SerializeToString() and "refused for the test" in dead[0][1]


def test_history_that_is_there_already_stays_and_stops_nothing(world):
    org, top, parent, (a, b), (la, lb) = world.tree()
    world.apply(world.completed(la, 1, "10"), world.completed(la, 2, "20"))
    world.sql("UPDATE goal SET last_slot = NULL WHERE id = %s", a)  # by hand: nothing of goalsync does that
    world.apply(world.completed(la, 1, "30"), world.completed(lb, 1, "40"))
    assert world.state(a)[0] == 30 and world.state(b)[0] == 40 and world.state(parent)[1] == 35
    assert [v for v, in world.sql("SELECT value FROM observation WHERE goal_id = %s ORDER BY slot", a)] == [10, 20]
    assert not any(la[0] == o.link_id for value, _ in world.dead("apply_failed") for o in pb.FetchCompleted.FromString(value).observations)


def load(world, trees, slots):
    """A number for each link and slot, all different from the one before; in a random order that keeps each link's."""
    todo = {l: list(range(1, slots + 1)) for t in trees for l in t[4]}
    rng, messages = random.Random(3), []
    while todo:
        link = rng.choice(list(todo))
        slot = todo[link].pop(0)
        messages.append(world.completed(link, slot, str((slot * 37 + link[0]) % 101)))
        if not todo[link]:
            del todo[link]
    return messages


def check(world, trees, slots):
    """Every (goal, slot) once, versions without gaps, and roll-ups as from scratch."""
    for org, top, parent, goals, links in trees:
        for g, l in zip(goals, links):
            assert world.observations(g) == slots and world.state(g)[0] == (slots * 37 + l[0]) % 101
        mean = sum(min(Decimal(100), world.one("SELECT progress FROM goal WHERE id = %s", g)) for g in goals) / len(goals)
        assert abs(world.state(parent)[1] - mean) < Decimal("0.00001") and world.state(parent)[1] == world.state(top)[1]
    everyone = [g for t in trees for g in (t[1], t[2], *t[3])]
    for g, events in world.events(*everyone).items():
        versions = [m.version for m, _ in events]
        assert versions == list(range(1, world.state(g)[3] + 1)), f"goal {g}"


def test_kills_lose_nothing_and_repeat_nothing(world):
    trees = [world.tree(3) for _ in range(8)]
    world.end_all()
    messages = load(world, trees, 40)
    rng = random.Random(5)
    for i in range(0, len(messages), 160):
        writer = world.start(GOALSYNC_WRITER_BATCH="50")
        at = world.position()
        world.send(*messages[i:i + 160])
        wait_for("some progress", lambda: world.position() > at + rng.randrange(100))
        writer.end(signal.SIGKILL)
    world.start()
    world.await_all(120)
    check(world, trees, 40)


def test_lost_connections_lose_nothing_and_repeat_nothing(world):
    trees = [world.tree(3) for _ in range(8)]
    messages = load(world, trees, 40)
    world.end_all()
    world.start(GOALSYNC_WRITER_BATCH="20", GOALSYNC_WRITER_WAIT="0")
    for i in range(0, len(messages), 120):
        world.send(*messages[i:i + 120])
        world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'goalsync-progress-writer%'")
    world.await_all(120)
    check(world, trees, 40)


def test_writers_that_come_and_go_agree(world):
    trees = [world.tree(3) for _ in range(8)]
    messages = load(world, trees, 60)
    world.end_all()
    small = {"GOALSYNC_WRITER_BATCH": "25"}
    first = world.start(**small)
    world.send(*messages[:500])
    second = world.start(**small)
    world.send(*messages[500:800])
    third = world.start(**small)
    world.send(*messages[800:1000])
    assert first.end() == 0, first.log()[-2000:]
    world.send(*messages[1000:1200])
    second.end(signal.SIGKILL)
    world.send(*messages[1200:])
    world.await_all(120)
    check(world, trees, 60)
    world.writers = [third]


def test_a_stopped_writer_cannot_commit_what_was_taken_over(world):
    trees = [world.tree(3) for _ in range(4)]
    messages = load(world, trees, 40)
    world.end_all()
    asleep = world.start(GOALSYNC_WRITER_BATCH="5")
    world.send(*messages[:240])
    at = world.position()
    wait_for("some progress", lambda: world.position() > at + 10)
    asleep.process.send_signal(signal.SIGSTOP)
    world.start()
    world.send(*messages[240:])
    world.await_all(120)
    asleep.process.send_signal(signal.SIGCONT)
    assert asleep.end() == 0, asleep.log()[-2000:]
    check(world, trees, 40)


def test_a_day_passes(world):
    org = world.org()
    parent = world.objective(org, days=(-10, 10))
    goal = world.goal(org, days=(-10, 10))
    world.align(parent, goal)
    link = world.link(goal)
    world.apply(world.completed(link, 1, "60"))
    assert world.state(goal)[2] == "on_track"
    # As if the value had come days ago and nothing since.
    world.sql("UPDATE goal SET start_on = current_date - 100, end_on = current_date WHERE id IN (%s, %s)", goal, parent)
    world.end_all()
    world.sql("UPDATE organisation SET status_day = current_date - 1 WHERE id = %s", org)
    world.start()
    wait_for("the day is passed over", lambda: world.one("SELECT status_day = current_date FROM organisation WHERE id = %s", org))
    assert [world.state(g)[2] for g in (goal, parent)] == ["at_risk"] * 2, "status 5a: at midnight"
    causes = [m.cause for m, _ in world.events(goal)[goal]]
    assert causes == [goal_pb.GOAL_CHANGE_CAUSE_FETCHED, goal_pb.GOAL_CHANGE_CAUSE_DAY_PASSED]


def test_changed_limits_derive_statuses_at_once(world):
    org = world.org()
    parent = world.objective(org, days=(-10, 10))
    goal = world.goal(org, days=(-10, 10))
    world.align(parent, goal)
    link = world.link(goal)
    world.apply(world.completed(link, 1, "40"))
    assert world.state(goal)[2] == "behind"
    world.sql("UPDATE organisation SET status_day = current_date WHERE id = %s", org)
    # Sooner than the writer would look by itself.
    world.sql("UPDATE organisation SET behind_above = 1, at_risk_above = 2 WHERE id = %s", org)
    wait_for("statuses by the new limits", lambda: world.state(goal)[2] == "at_risk" and world.state(parent)[2] == "at_risk")
    # One that changes while the day is being passed over: its first pages were by the old limits.
    with world.fleet.connect().cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM goal WHERE id = %s FOR UPDATE", (goal,))
        world.sql("UPDATE organisation SET behind_above = 20, at_risk_above = 30 WHERE id = %s", org)
        waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'goalsync-progress-writer day' AND wait_event_type = 'Lock'"
        wait_for("the pass waits for the goal", lambda: world.one(waits))
        world.sql("UPDATE organisation SET behind_above = 0, at_risk_above = 30 WHERE id = %s", org)
        cursor.execute("COMMIT")
    wait_for("the day is passed over again", lambda: world.one("SELECT status_day = current_date FROM organisation WHERE id = %s", org))
    assert world.state(goal)[2] == "behind", "status 5b: limits that change while others are applied"
