"""What people and sources get wrong: each has a sentence a person can act on, and nothing is half done."""
import os
import subprocess

import pytest
from fleet import wait_for

ANSWERS = [
    ("SELECT value FROM metric WHERE false", "no row"),
    ("SELECT value FROM metric", "2 rows"),
    ("SELECT value, id FROM metric WHERE id = 1", "2 columns"),
    ("SELECT 'many' AS n", "text"),
    ("SELECT NULL::numeric", "NULL"),
    ("SELECT 'NaN'::float8", "NaN"),
    ("SELECT * FROM nowhere", "nowhere"),
    ("SELECT 1; SELECT 2", "multiple commands"),
    ("WITH x AS (INSERT INTO metric VALUES (9, 9) RETURNING id) SELECT id FROM x", ""),
    ("SELECT repeat('9', 100)::numeric", "20 digits before"),
]


@pytest.mark.parametrize("query,says", ANSWERS, ids=[str(i) for i in range(len(ANSWERS))])
def test_a_query_that_is_not_one_number(scene, query, says):
    scene.source_sql("INSERT INTO metric VALUES (1, 10), (2, 20)")
    goal = scene.key_result("KR", "--metric", "increase", "--start", 0, "--target", 100)
    link = scene.link(goal, "SELECT value FROM metric WHERE id = 1")
    wait_for("a good value first", lambda: scene.goal(goal)["applied_value"] == 10)
    scene.fleet.cli("link", "edit", link, "--set", f"query={query}")
    scene.fleet.cli("sync", link, "--wait", check=False)
    error = wait_for("the error", lambda: scene.fleet.one("SELECT error FROM link WHERE id = %s", link))
    assert says in error, error
    assert scene.goal(goal)["applied_value"] == 10, "a failure must not touch the value"
    assert scene.source_sql("SELECT count(*) FROM metric")[0][0] == 2
    shown = scene.fleet.cli("goal", "show", goal).out
    assert error[:30] in shown, shown


def test_a_preview_says_the_same_and_stores_nothing(scene):
    scene.source_sql("INSERT INTO metric VALUES (1, 10), (2, 20)")
    goal = scene.key_result("KR", "--metric", "increase", "--start", 0, "--target", 100)
    good = scene.fleet.cli("link", "preview", "--goal", goal, "--connection", scene.connection, "--json",
                           "--set", "query=SELECT sum(value) FROM metric").json
    assert good["value"] == "30" and good["requests_used"] >= 1
    bad = scene.fleet.cli("link", "preview", "--goal", goal, "--connection", scene.connection, "--set",
                          "query=SELECT value FROM metric", check=False)
    assert bad.code == 4 and "2 rows" in bad.out + bad.err
    assert scene.fleet.one("SELECT count(*) FROM link WHERE goal_id = %s", goal) == 0


def test_a_credential_that_does_not_work(scene):
    scene.source_sql("INSERT INTO metric VALUES (1, 10)")
    connection = scene.connect(name="Wrong", password="not-the-password")
    goal = scene.key_result("KR", "--metric", "increase", "--start", 0, "--target", 100)
    link = scene.link(goal, "SELECT value FROM metric", connection=connection)
    wait_for("denied", lambda: scene.fleet.one("SELECT outcome::text FROM link WHERE id = %s", link) == "denied")
    error = scene.fleet.one("SELECT error FROM link WHERE id = %s", link)
    assert "not-the-password" not in error
    for name in scene.fleet.services:
        assert "not-the-password" not in scene.fleet.log(name)


def test_an_unreachable_source(scene):
    connection = scene.connect(name="Nobody", port=1)
    goal = scene.key_result("KR", "--metric", "increase", "--start", 0, "--target", 100)
    link = scene.link(goal, "SELECT 1", connection=connection)
    wait_for("refused", lambda: scene.fleet.one("SELECT outcome::text FROM link WHERE id = %s", link) == "retry")
    assert "127.0.0.1" in scene.fleet.one("SELECT error FROM link WHERE id = %s", link)


def test_random_bytes_on_every_topic_become_dead_letters(scene):
    fleet = scene.fleet
    topics = {"fetch.completed": "dlq.goalsync-progress-writer",
              "fetch.requested.third-party.postgresql": "dlq.goalsync-fetch-third-party",
              "fetch.urgent.third-party.postgresql": "dlq.goalsync-fetch-third-party"}
    for topic, dead in topics.items():
        before = len(fleet.messages(dead))
        for _ in range(5):
            subprocess.run(["kcat", "-P", "-b", fleet.state("kafka"), "-t", topic, "-k", "x"],
                           input=b"\xff" + os.urandom(50).replace(b"\n", b"."), check=True)
        wait_for(f"dead letters of {topic}", lambda: len(fleet.messages(dead)) >= before + 5)
        headers = fleet.messages(dead)[-1][4]
        for header in (f"gs-origin-topic={topic}", "gs-origin-offset=", "gs-reason=", "gs-error=", "gs-attempt="):
            assert header in headers, headers
    # And none of it is in the way of what comes after.
    scene.source_sql("INSERT INTO metric VALUES (1, 42)")
    goal = scene.key_result("KR", "--metric", "increase", "--start", 0, "--target", 100)
    scene.link(goal, "SELECT value FROM metric")
    wait_for("a good one", lambda: scene.goal(goal)["applied_value"] == 42)


@pytest.mark.parametrize("service", ["scheduler", "progress-writer", "fetch-third-party"])
def test_wrong_settings_are_all_named_at_once(fleet, service):
    program = str(fleet.build / "bin" / f"goalsync-{service}")
    done = subprocess.run([program], env={"PATH": "/usr/bin:/bin", "GOALSYNC_PERIOD": "soon", "GOALSYNC_DRAIN_SECONDS": "-4"},
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done.stderr
    for name in ("GOALSYNC_DATABASE_URL", "GOALSYNC_KAFKA_BROKERS", "GOALSYNC_DRAIN_SECONDS"):
        assert name in done.stderr, done.stderr


def test_a_worker_refuses_to_start_without_its_key(fleet):
    program = str(fleet.build / "bin" / "goalsync-fetch-third-party")
    environ = {"PATH": "/usr/bin:/bin", "GOALSYNC_DATABASE_URL": "postgresql://x@127.0.0.1:1/x", "GOALSYNC_KAFKA_BROKERS": "127.0.0.1:1",
               "GOALSYNC_REDIS_URL": "redis://127.0.0.1:1"}
    for key in (None, "k1:c2hvcnQ=", "no-colon"):
        if key:
            environ["GOALSYNC_KEY_THIRD_PARTY"] = key
        done = subprocess.run([program], env=environ, capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and "GOALSYNC_KEY_THIRD_PARTY" in done.stderr, done.stderr
        assert not key or key not in done.stderr
