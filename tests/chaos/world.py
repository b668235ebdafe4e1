"""The run's surroundings: a source whose numbers change all the time, goals linked to it, and how to read all records."""
import json
import random
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import psycopg2

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import messages  # noqa: E402
from checker import Records  # noqa: E402
from fleet import Fleet, FleetError, wait_for  # noqa: E402
from scene import Scene  # noqa: E402

SOURCE = """
CREATE TABLE metric (id int PRIMARY KEY, value numeric NOT NULL);
CREATE TABLE history (id int NOT NULL, value numeric NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO history (id, value) VALUES (NEW.id, NEW.value); RETURN NEW; END $$;
CREATE TRIGGER remember AFTER INSERT OR UPDATE ON metric FOR EACH ROW EXECUTE FUNCTION remember();
"""
SPAN = 1000  # target of every key result; start is 0
DRAIN_S = 60
SLOW = 4  # every fourth query takes a second and a half, so that requests are under way whenever something is killed


class World:
    def __init__(self, fleet, links, seed, period_s):
        self.fleet, self.links, self.random = fleet, links, random.Random(seed)
        self.period_us = int(period_s * 1e6)
        self.outages = []  # (from, to), microseconds
        self.stopping = threading.Event()
        self.link_of = {}  # metric -> link
        self.goal_of = {}  # link -> goal
        self.changes = 0
        self.presses = []  # (link, microseconds before it was pressed), accepted ones

    # ---- set-up

    def make_goals(self):
        """Two levels of objectives in roll-up mode above the key results."""
        scene = Scene(self.fleet, schema=SOURCE)
        scene.source_sql("INSERT INTO metric SELECT i, i FROM generate_series(1, %s) i", self.links)
        top = scene.objective("Top")
        parents = [scene.objective(f"Part {i}", "--parent", top) for i in range(max(1, self.links // 8))]
        for metric in range(1, self.links + 1):
            goal = scene.key_result(f"Metric {metric}", "--metric", "increase", "--start", 0, "--target", SPAN,
                                    "--parent", parents[metric % len(parents)])
            wait = ", pg_sleep(1.5)" if metric % SLOW == 0 else ""
            link = scene.link(goal, f"SELECT value FROM metric{wait} WHERE id = {metric}")
            self.link_of[metric], self.goal_of[link] = link, goal

    # ---- load

    def change_numbers(self):
        """Changes a number every few milliseconds and asks for a sync now and then, until told to stop."""
        connection = None
        while not self.stopping.wait(self.random.uniform(0.002, 0.02)):
            try:
                if connection is None:
                    connection = psycopg2.connect(self.fleet.url(database="source"), connect_timeout=2)
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("UPDATE metric SET value = %s WHERE id = %s",
                                   (Decimal(self.random.randrange(0, 150000)) / 100, self.random.randrange(1, self.links + 1)))
                self.changes += 1
            except psycopg2.Error:
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def press_sync_now(self):
        while not self.stopping.wait(self.random.uniform(0.2, 1.0)):
            links = self.random.sample(sorted(self.goal_of), min(3, len(self.goal_of)))
            for link in links:
                before = int(time.time() * 1e6)
                if self.fleet.cli("sync", link, check=False).code == 0:
                    self.presses.append((link, before))

    def start(self):
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.change_numbers, self.press_sync_now)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(150)

    # ---- the end: every number was asked once more, nothing is under way

    def settle(self, seconds=180):
        fleet = self.fleet
        now = fleet.one("SELECT clock_timestamp()")
        wait_for("every goal asked once more", lambda: not fleet.one(
            "SELECT count(*) FROM goal JOIN link ON goal_id = goal.id WHERE coalesce(fetched_at, '-infinity') <= %s", now), seconds, 0.25)
        fleet.stop_one("scheduler")
        if "scheduler.2" in fleet.services:
            fleet.stop_one("scheduler.2")
        try:
            wait_for("topics drained", self.drained, DRAIN_S, 0.5)
        except FleetError:
            pass  # the checker says what is missing

    def drained(self):
        records = Records()
        self.read_topics(records)
        done = {(batch, slot) for batch, slot, _ in records.completed}
        if any((batch, slot) not in done for batch, slot, _ in records.requested):
            return False
        self.read_offsets(records)
        return records.stored == records.ends and not self.fleet.one("SELECT count(*) FROM outbox")

    # ---- reading

    def topics(self):
        done = subprocess.run(["kcat", "-L", "-J", "-b", self.fleet.state("kafka")], capture_output=True, text=True, check=True)
        return [t["topic"] for t in json.loads(done.stdout)["topics"]]

    def read_topics(self, records):
        topics = self.topics()
        for topic in topics:
            if topic.startswith(("fetch.requested.", "fetch.urgent.")):
                for _, _, _, value, _ in self.fleet.messages(topic):
                    r = messages.fetch.FetchRequested.FromString(value)
                    if r.kind != messages.fetch.FETCH_KIND_PREVIEW:
                        records.requested.append((r.batch_id, r.slot_us, [t.link_id for t in r.targets]))
                    if r.kind == messages.fetch.FETCH_KIND_SCHEDULED:
                        records.scheduled.setdefault(r.batch_id, []).append(r.slot_us)
                        records.asked_at.append(r.requested_at_us)
                    if r.kind == messages.fetch.FETCH_KIND_SYNC_NOW:
                        for t in r.targets:
                            records.urgent.setdefault(t.link_id, []).append(r.slot_us)
        completed = sorted(self.fleet.messages("fetch.completed"), key=lambda m: m[:2])
        for partition, offset, _, value, _ in completed:
            c = messages.fetch.FetchCompleted.FromString(value)
            ok = messages.fetch.FETCH_OUTCOME_OK
            records.completed.append((c.batch_id, c.slot_us, [
                (o.link_id, c.outcome == ok and o.outcome == ok, Decimal(o.value) if o.value else None) for o in c.observations]))
            records.ends[partition] = offset + 1
        for _, _, _, value, _ in sorted(self.fleet.messages("goal.changed"), key=lambda m: m[:2]):
            g = messages.goal.GoalChanged.FromString(value)
            records.events.append((g.goal_id, g.version, g.after.progress))
        records.dead_letters = sum(len(self.fleet.messages(t)) for t in topics if t.startswith("dlq."))

    def read_offsets(self, records):
        records.stored = dict(self.fleet.sql("SELECT partition, next_offset FROM consumer_offset WHERE topic = 'fetch.completed'"))

    def read(self):
        records, fleet = Records(span=SPAN, goal_of=self.goal_of, presses=self.presses, outages=self.outages,
                                 period=self.period_us), self.fleet
        self.read_topics(records)
        self.read_offsets(records)
        us = "(extract(epoch FROM {}) * 1000000)::bigint"
        records.observations = fleet.sql(f"SELECT goal_id, {us.format('slot')}, value FROM observation")
        records.goals = {g: (a, p, v, s) for g, a, p, v, s in fleet.sql(
            f"SELECT id, applied_value, progress, version, {us.format('last_slot')} FROM goal")}
        records.edges = fleet.sql("SELECT parent_id, child_id FROM goal_edge")
        records.outbox = fleet.one("SELECT count(*) FROM outbox")
        records.history = {(self.link_of[m], v) for m, v in fleet.sql("SELECT id, value FROM history", database="source")}
        records.current = {self.link_of[m]: v for m, v in fleet.sql("SELECT id, value FROM metric", database="source")}
        return records


__all__ = ["World", "Fleet"]
