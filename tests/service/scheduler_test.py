"""Schedulers against real PostgreSQL and Kafka: every slot asked for, once where nothing fails, never missing where something does."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from messages import fetch as pb  # noqa: E402

WEEK = 7 * 86400 * 1000000  # so long that no slot comes in the middle of a test
WEEKLY, URGENT = "fetch.requested.third-party.github", "fetch.urgent.third-party.github"


class Scheduler:
    """One process; ended at the end of its `with` block."""

    def __init__(self, world, number=1, period="168h", **settings):
        self.world, self.ready = world, world.fleet.dir / "ready" / f"scheduler.{number}"
        self.log_file = world.fleet.dir / "log" / f"scheduler.{number}.log"
        lines = world.fleet.shell("settings_of scheduler | tr '\\0' '\\n'").splitlines()
        env = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
        env.update(line.split("=", 1) for line in lines)
        env.update(GOALSYNC_READY_FILE=str(self.ready), GOALSYNC_PERIOD=period, **settings)
        self.ready.unlink(missing_ok=True)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(world.fleet.build / "bin" / "goalsync-scheduler")], env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        wait_for("scheduler ready", lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(30)
            if kind is None:
                assert status == 0, self.log()
        assert "Sanitizer" not in self.log() and "runtime error:" not in self.log(), self.log()

    def log(self):
        return self.log_file.read_text(errors="replace")

    def metric(self, series):
        text = subprocess.run(["curl", "-sS", f"http://{self.ready.read_text().strip()}/metrics"], capture_output=True, text=True).stdout
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series))


class World:
    def __init__(self, fleet):
        self.fleet = fleet
        fleet.start_servers()
        self.org = fleet.one("INSERT INTO organisation (name) VALUES ('Test') RETURNING id")
        fleet.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'github', true), (%s, 'nowhere', true)",
                  self.org, self.org)

    def connect(self, connector="github"):
        return self.fleet.one("INSERT INTO connection (org_id, connector, category, name) VALUES (%s, %s, 'third_party', "
                              "gen_random_uuid()::text) RETURNING id", self.org, connector)

    def batches(self, count, due="now() - interval '1 second'", connection=None):
        """Ids of new batches with two links each, their hashes even over the period."""
        connection = connection or self.connect()
        return [row[0] for row in self.fleet.sql(
            "INSERT INTO link_batch (connection_id, org_id, slot_hash, next_due_at, link_ids, revisions, settings, batch_key) "
            f"SELECT %s, %s, i * (2147483647 / %s), {due}, ARRAY[i, i + 1], ARRAY[1, 2], ARRAY['{{\"a\": \"b\"}}', '{{}}'], i::text "
            "FROM generate_series(1, %s) AS i RETURNING id", connection, self.org, count, count)]

    def requests(self, ids, topic=WEEKLY):
        """What was asked for these batches, as (batch, slot), in order."""
        wanted, found = set(ids), []
        for _, _, key, value, headers in self.fleet.messages(topic):
            request = pb.FetchRequested.FromString(value)
            assert key == str(request.batch_id).encode()
            assert f"ce_id={request.request_id}" in headers and "ce_type=goalsync.fetch.requested.v1" in headers
            if request.batch_id in wanted:
                found.append(request)
        return found

    def await_taken(self, ids):
        wait_for("all claimed", lambda: self.fleet.one(
            "SELECT count(*) = 0 FROM link_batch WHERE id = ANY(%s) AND next_due_at <= now()", ids))


@pytest.fixture(scope="module")
def world():
    with Fleet(services=[]) as fleet:
        yield World(fleet)


@pytest.fixture(autouse=True)
def empty(world):
    yield
    world.fleet.sql("TRUNCATE link_batch CASCADE")


def slots(requests):
    return sorted((r.batch_id, r.slot_us) for r in requests)


def test_two_schedulers_ask_once(world):
    ids = world.batches(5000)
    with Scheduler(world, 1, GOALSYNC_CLAIM_BATCH="100") as one, Scheduler(world, 2, GOALSYNC_CLAIM_BATCH="100") as two:
        world.await_taken(ids)
        asked = [s.metric("goalsync_scheduler_requests_total") for s in (one, two)]
    found = world.requests(ids)
    assert sorted(r.batch_id for r in found) == sorted(ids)
    assert sum(asked) == 5000
    rows = {row[0]: row[1:] for row in world.fleet.sql(
        "SELECT id, slot_hash, (extract(epoch FROM next_due_at) * 1000000)::int8, connection_id FROM link_batch")}
    for r in found:
        hash_, next_due, connection = rows[r.batch_id]
        assert next_due == r.slot_us + WEEK == r.expires_at_us
        assert (r.slot_us - hash_ * WEEK // 2**31) % WEEK == 0 and r.slot_us <= r.requested_at_us < r.slot_us + WEEK
        assert (r.org_id, r.connection_id, r.connection_version, r.attempt) == (world.org, connection, 1, 1)
        assert r.kind == pb.FETCH_KIND_SCHEDULED and [t.revision for t in r.targets] == [1, 2]
        assert [t.settings for t in r.targets] == ['{"a": "b"}', "{}"] and r.targets[1].link_id == r.targets[0].link_id + 1


def test_every_slot_of_a_short_period(world):
    ids = world.batches(200)
    with Scheduler(world, 1, period="2s") as one, Scheduler(world, 2, period="2s") as two:
        wait_for("four rounds", lambda: sum(s.metric("goalsync_scheduler_requests_total") for s in (one, two)) >= 800)
    found = slots(world.requests(ids))
    assert len(set(found)) == len(found)
    by_batch = {}
    for batch, slot in found:
        by_batch.setdefault(batch, []).append(slot)
    for times in by_batch.values():
        assert all(b - a == 2000000 for a, b in zip(times, times[1:])), times


def test_killed_before_commit_asks_again(world):
    """A trigger holds the commit back, so that the kill comes when Kafka has the requests and the table does not know."""
    fleet = world.fleet
    fleet.sql("CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
              "$$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;"
              "CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON link_batch DEFERRABLE INITIALLY DEFERRED "
              "FOR EACH ROW EXECUTE FUNCTION hold()")
    holder = fleet.connect()
    holder.cursor().execute("SELECT pg_advisory_lock(7)")
    ids = world.batches(50)
    with Scheduler(world, 1) as first:
        wait_for("requests", lambda: len(world.requests(ids)) == 50, every=0.2)
        first.process.kill()
        first.process.wait()
    fleet.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'goalsync-scheduler%%'")
    wait_for("undone", lambda: fleet.one("SELECT count(*) FROM link_batch WHERE next_due_at <= now()") == 50)
    holder.cursor().execute("SELECT pg_advisory_unlock(7)")
    fleet.sql("DROP FUNCTION hold() CASCADE")
    before = slots(world.requests(ids))
    with Scheduler(world, 2):
        world.await_taken(ids)
    after = slots(world.requests(ids))
    assert len(before) == 50 and len(after) == 100
    assert set(after) == set(before)


def test_kafka_away_commits_nothing(world):
    fleet = world.fleet
    with Scheduler(world, 1) as scheduler:
        fleet.kill("kafka")
        ids = world.batches(50)
        wait_for("claim open", lambda: fleet.one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'goalsync-scheduler' AND state = 'idle in transaction'"))
        assert fleet.one("SELECT count(*) FROM link_batch WHERE next_due_at <= now()") == 50
        fleet.start_one("kafka")
        world.await_taken(ids)
        assert scheduler.process.poll() is None
    assert {r.batch_id for r in world.requests(ids)} == set(ids)


def test_after_an_outage_each_batch_is_asked_once(world):
    ids = world.batches(300, due="now() - interval '3 weeks'")
    with Scheduler(world):
        world.await_taken(ids)
    found = world.requests(ids)
    assert sorted(r.batch_id for r in found) == sorted(ids)
    assert all(r.requested_at_us - r.slot_us < WEEK for r in found)


def test_a_retry_has_a_slot_of_its_own(world):
    ids = world.batches(20)
    with Scheduler(world):
        world.await_taken(ids)
        world.fleet.sql("UPDATE link_batch SET next_due_at = now(), attempt = 3")
        world.await_taken(ids)
    first, again = {}, {}
    for r in world.requests(ids):
        (first if r.attempt == 1 else again)[r.batch_id] = (r.slot_us, r.attempt)
    assert all(again[i][1] == 4 for i in ids)
    assert all(first[i][0] < again[i][0] for i in ids)


def test_paused_connection_is_not_asked(world):
    connection = world.connect()
    ids = world.batches(10, connection=connection)
    world.fleet.sql("UPDATE connection SET stopped_reason = 'test' WHERE id = %s", connection)
    others = world.batches(10)
    with Scheduler(world) as scheduler:
        world.await_taken(ids + others)
        assert scheduler.metric("goalsync_scheduler_skipped_total") == 10
    assert world.requests(ids) == [] and len(world.requests(others)) == 10


def test_missing_topic_harms_no_other(world):
    ids, lost = world.batches(10), world.batches(3, connection=world.connect("nowhere"))
    with Scheduler(world) as scheduler:
        world.await_taken(ids + lost)
        assert scheduler.metric("goalsync_scheduler_refused_total") == 3
        assert "requests refused" in scheduler.log()
    assert len(world.requests(ids)) == 10
    assert world.fleet.one("SELECT count(*) FROM link_batch WHERE id = ANY(%s) AND next_due_at < now() + interval '61 seconds'",
                           lost) == 3


def test_shortened_period_moves_slots(world):
    ids = world.batches(100, due="now() + interval '6 days'")
    with Scheduler(world, period="2s") as scheduler:
        wait_for("asked", lambda: scheduler.metric("goalsync_scheduler_requests_total") >= 100)
    assert {r.batch_id for r in world.requests(ids)} == set(ids)


def test_sync_now_is_quick_and_coalesced(world):
    ids = world.batches(3, due="now() + interval '6 days'")
    with Scheduler(world, 1), Scheduler(world, 2):
        for _ in range(100):
            world.fleet.sql("INSERT INTO sync_request VALUES (%s) ON CONFLICT DO NOTHING; NOTIFY goalsync_sync", ids[0])
        last = world.fleet.one("SELECT (extract(epoch FROM requested_at) * 1000000)::int8 FROM sync_request WHERE batch_id = %s",
                               ids[0]) or 0
        wait_for("taken", lambda: world.fleet.one("SELECT count(*) = 0 FROM sync_request"))
        found = world.requests(ids, URGENT)
    assert {r.batch_id for r in found} == {ids[0]} and all(r.kind == pb.FETCH_KIND_SYNC_NOW for r in found)
    assert 1 <= len(found) < 40 and len({r.slot_us for r in found}) == len(found)
    assert max(r.slot_us for r in found) > last
    assert world.requests(ids) == []


def test_drain_ends_the_round_under_way(world):
    ids = world.batches(2000)
    with Scheduler(world, GOALSYNC_CLAIM_BATCH="50") as scheduler:
        scheduler.process.send_signal(signal.SIGTERM)
        assert scheduler.process.wait(30) == 0
    left = world.fleet.one("SELECT count(*) FROM link_batch WHERE next_due_at <= now()")
    assert len(world.requests(ids)) == 2000 - left
