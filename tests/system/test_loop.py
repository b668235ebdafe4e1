"""The promise itself: a number that changes in a real database becomes progress on a real goal."""
import re

import messages

from fleet import wait_for


def objective_with_two(scene):
    """An objective over two key results, 0 to 100 and 0 to 200, at 10 and 20."""
    scene.source_sql("INSERT INTO metric VALUES (1, 10), (2, 20)")
    top = scene.objective("Top")
    middle = scene.objective("Middle", "--parent", top)
    goals, links = [], []
    for i, target in ((1, 100), (2, 200)):
        goals.append(scene.key_result(f"KR {i}", "--metric", "increase", "--start", 0, "--target", target, "--parent", middle))
        links.append(scene.link(goals[-1], f"SELECT value FROM metric WHERE id = {i}"))
    wait_for("first sync", lambda: scene.goal(top)["progress"] == 10)
    return top, middle, goals, links


def test_a_link_is_asked_at_once_and_rolls_up(scene):
    top, middle, goals, _ = objective_with_two(scene)
    assert [scene.goal(g)["progress"] for g in goals] == [10, 10]
    assert scene.goal(middle)["progress"] == 10 and scene.goal(top)["progress"] == 10
    assert scene.goal(goals[0])["applied_value"] == 10


def test_a_changed_number_moves_goal_roll_up_and_status_by_itself(scene):
    top, middle, goals, _ = objective_with_two(scene)
    scene.source_sql("UPDATE metric SET value = 100 WHERE id = 1")
    wait_for("the slot", lambda: scene.goal(top)["progress"] == 55)
    assert scene.goal(goals[0])["status"] == "on_track"
    assert scene.goal(middle)["progress"] == 55


def test_sync_now_is_at_once(scene):
    top, _, goals, links = objective_with_two(scene)
    scene.source_sql("UPDATE metric SET value = 60 WHERE id = 1")
    done = scene.fleet.cli("sync", links[0], "--wait")
    assert done.code == 0
    assert scene.goal(goals[0])["applied_value"] == 60
    wait_for("roll-up", lambda: scene.goal(top)["progress"] == 35)


def test_unchanged_numbers_write_no_history(scene):
    _, _, goals, links = objective_with_two(scene)
    before = scene.goal(goals[0])
    wait_for("two more slots", lambda: scene.goal(goals[0])["last_slot"] > before["last_slot"])
    scene.fleet.cli("sync", links[0], "--wait")
    after = scene.goal(goals[0])
    assert after["fetched_at"] > before["fetched_at"] and after["version"] == before["version"]
    assert scene.fleet.one("SELECT count(*) FROM observation WHERE goal_id = %s", goals[0]) == 1


def test_a_gate_stops_fetching_and_keeps_everything(scene):
    top, _, goals, _ = objective_with_two(scene)
    scene.fleet.cli("integration", "disable", "postgresql", "--org", scene.org)
    scene.source_sql("UPDATE metric SET value = 90 WHERE id = 1")
    # Two periods of another organisation's link pass while this one stands still.
    due = "SELECT min(next_due_at) > now() + interval '1 second' FROM link_batch WHERE org_id = %s"
    wait_for("slots passed by", lambda: scene.fleet.one(due, scene.org))
    wait_for("slots passed by again", lambda: scene.fleet.one(due, scene.org))
    shown = scene.fleet.cli("goal", "show", goals[0]).out
    assert "not enabled" in shown, shown
    assert scene.goal(goals[0])["applied_value"] == 10
    scene.fleet.cli("integration", "enable", "postgresql", "--org", scene.org, "--by", "ada@example.org", "--accept-terms")
    wait_for("resumed", lambda: scene.goal(goals[0])["applied_value"] == 90)


def test_goal_changed_tells_every_version_with_cloudevents_headers(scene):
    top, _, goals, links = objective_with_two(scene)
    scene.source_sql("UPDATE metric SET value = 50 WHERE id = 2")
    scene.fleet.cli("sync", links[1], "--wait")
    version = wait_for("version", lambda: scene.goal(goals[1])["version"])

    def events():
        found = [(messages.goal.GoalChanged.FromString(value), headers) for _, _, _, value, headers in scene.fleet.messages("goal.changed")]
        return [(e, h) for e, h in found if e.goal_id == goals[1]]
    told = wait_for("events", lambda: len(events()) >= version and events())
    assert sorted({e.version for e, _ in told}) == list(range(1, version + 1))
    last, headers = told[-1]
    assert last.after.value == "50" and last.before.value == "20" and last.link_id == links[1]
    for header in ("ce_specversion=1.0", "ce_id=", "ce_source=", "ce_type=", "ce_time=", "traceparent=00-"):
        assert header in headers, headers
    trace = re.search(r"traceparent=00-([0-9a-f]{32})-", headers)[1]
    requested = [h for t in ("fetch.urgent.third-party.postgresql", "fetch.requested.third-party.postgresql")
                 for *_, h in scene.fleet.messages(t)]
    assert any(trace in h for h in requested), "the event's trace is not that of any request"
