"""Consumers come and go at a real Kafka while messages flow: none is lost, and none is read twice but after a kill."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402

TOPICS = ("lane.one", "lane.two")
QUICK = "session.timeout.ms=6000;heartbeat.interval.ms=500;topic.metadata.refresh.interval.ms=500"


class Reader:
    def __init__(self, world, name, *args):
        self.ready, self.out = world.fleet.dir / f"ready-{name}", world.fleet.dir / f"out-{name}"
        env = {**os.environ, "GOALSYNC_KAFKA_BROKERS": world.brokers, "GOALSYNC_READY_FILE": str(self.ready),
               "GOALSYNC_KAFKA_PROPERTIES": QUICK}
        with open(self.out, "wb") as out, open(f"{self.out}.log", "wb") as log:
            self.process = subprocess.Popen([str(world.fleet.build / "bin" / "kafka-test-reader"), *args], env=env,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        world.readers.append(self)

    def await_ready(self):
        wait_for("reader", lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, Path(f"{self.out}.log").read_text()
        return self

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        status = self.process.wait(30)
        assert how == signal.SIGKILL or status == 0, Path(f"{self.out}.log").read_text()

    def lines(self):
        """Whole ones only: the reader may be in the middle of the last."""
        return [tuple(line.split()) for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]


class World:
    def __init__(self, fleet):
        self.fleet, self.readers, self.sent = fleet, [], 0
        fleet.shell("kafka_start")
        self.brokers = fleet.state("kafka")
        for topic in TOPICS:
            self.create(topic)

    def create(self, topic):
        Reader(self, f"create-{topic}", "create", topic, "6").process.wait(60)

    def send(self, topic, count):
        """Numbered messages, keyed so that all partitions get some."""
        lines = "".join(f"{i}:{i}\n" for i in range(self.sent, self.sent + count))
        subprocess.run(["kcat", "-P", "-b", self.brokers, "-t", topic, "-K:"], input=lines, text=True, check=True)
        self.sent += count

    def await_read(self, *readers):
        wait_for("everything read", lambda: {line[3] for r in readers for line in r.lines()} >= {str(i) for i in range(self.sent)})


@pytest.fixture
def world():
    with Fleet(services=[]) as fleet:
        world = World(fleet)
        yield world
        for reader in world.readers:
            if reader.process.poll() is None:
                reader.process.kill()
                reader.process.wait()


def test_members_come_and_go(world):
    readers = [Reader(world, "a", "g", "^lane\\..*").await_ready()]
    for round_ in range(4):
        for topic in TOPICS:
            world.send(topic, 2000)
        if round_ % 2 == 0:
            readers.append(Reader(world, f"b{round_}", "g", "^lane\\..*").await_ready())
        else:
            readers[-1].end()
        for topic in TOPICS:
            world.send(topic, 2000)
    world.create("lane.three")  # appears while they run
    world.send("lane.three", 500)
    world.await_read(*readers)
    readers[0].end()
    read = [line[:3] for r in readers for line in r.lines()]
    assert len(read) == len(set(read)) == world.sent
    # What was stored is where the next one goes on.
    last = Reader(world, "last", "g", "^lane\\..*").await_ready()
    world.send("lane.one", 100)
    wait_for("the rest", lambda: len(last.lines()) >= 100)
    last.end()
    assert len(last.lines()) == 100


def test_killed_member_loses_nothing(world):
    one, two = Reader(world, "a", "g", *TOPICS).await_ready(), Reader(world, "b", "g", *TOPICS).await_ready()
    for _ in range(3):
        for topic in TOPICS:
            world.send(topic, 2000)
    two.end(signal.SIGKILL)
    world.send("lane.one", 2000)
    world.await_read(one, two)
    one.end()
