"""The end of goals over HTTP on a real PostgreSQL: scoring, closing, reopening, postponing, cloning.

The tables name the lines of the rules they show; those that need no gateway stand in tests/unit/goals_*_test.c."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402
from goals import FUTURE, NOBODY, PARENT, PAST, World, shares  # noqa: E402


@pytest.fixture(scope="module")
def gateway():
    with Fleet() as fleet, Gateway(fleet) as g:
        yield g


class Ending(World):
    """World, with the ways of a goal's end."""

    def act(self, verb, goal, expect=200, by="owner", **body):
        return self.call("POST", f"/api/v1/goals/{goal}/{verb}", body or ({} if verb != "reopen" else None), by, expect).json

    def close(self, goal, **body):
        return self.act("close", goal, **body)

    def offer(self, goal, by="owner"):
        return self.call("GET", f"/api/v1/goals/{goal}/close", by=by, expect=200).json

    def score(self, goal, by="owner"):
        return self.call("GET", f"/api/v1/goals/{goal}/score", by=by, expect=200).json

    def set_score(self, goal, score, expect=200, by="owner"):
        return self.call("PUT", f"/api/v1/goals/{goal}/score", {"score": score}, by, expect).json

    def key_result(self, parent, value=None, **more):
        goal = self.create(kind="key_result", parents=[parent] if parent else [], **more)
        if value is not None:
            self.check_in(goal, value)
        return goal

    def link(self, goal, key="k"):
        """A link of the goal as an own connection's would be; its batch is asked now."""
        sql, org = self.gateway.fleet.sql, self.org.row
        sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'postgresql', true) ON CONFLICT DO NOTHING", org)
        one = self.gateway.fleet.one
        connection = one("INSERT INTO connection (org_id, connector, category, name) VALUES (%s, 'postgresql', 'in_boundary', %s) ON CONFLICT "
                         "(org_id, connector, name) DO UPDATE SET version = 1 RETURNING id", org, "source")
        batch = one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) VALUES (%s, %s, 1, %s) ON CONFLICT (connection_id, "
                    "batch_key) DO UPDATE SET slot_hash = 1 RETURNING id", connection, org, key)
        sql("UPDATE goal SET mode = 'data_source' WHERE public_id = %s", goal)
        sql("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) VALUES (%s, %s, %s, %s, '{\"query\": \"SELECT 1\"}')",
            org, self.row_of(goal), connection, batch)
        return batch

    def asked(self, batch):
        """How many links the scheduler would ask in this batch, and whether it is due at all."""
        return self.gateway.fleet.sql("SELECT cardinality(link_ids), next_due_at IS NOT NULL FROM link_batch WHERE id = %s", batch)[0]

    def kinds(self, goal):
        return [i["kind"] for i in self.feed(goal) if i["type"] == "activity"]

    def notes(self, goal):
        """How often the world was told of a person's deed on this goal."""
        return self.gateway.fleet.one("SELECT count(*) FROM outbox WHERE position(convert_to('goalsync.goal.noted.v1', 'UTF8') in events) > 0 "
                                      "AND position(convert_to(%s, 'UTF8') in events) > 0", goal)


@pytest.fixture
def world(gateway):
    return Ending(gateway)


# ---- scoring

SUGGESTED = [
    ("shown progress / 100", {}, "37.5", "0.375"),
    ("clamped above", {}, "140", "1"),
    ("clamped below", {}, "-5", "0"),
    ("no value", {}, None, "0"),
    ("of a metric", {"metric": "decrease", "start": "3", "target": "0"}, "1", "0.666666666666666667"),
    ("a control metric", {"metric": "stay_below", "target": "5"}, "4", "1"),
    ("a baseline has no progress", {"metric": "baseline"}, "4", None),
]


@pytest.mark.parametrize("rule, definition, value, score", SUGGESTED, ids=[row[0] for row in SUGGESTED])
def test_the_suggested_score(world, rule, definition, value, score):
    goal = world.key_result(None, value, **definition)
    assert world.score(goal)["suggested"] == score
    assert world.score(goal)["score"] is None
    assert world.close(goal)["score"] == score
    assert (world.score(goal)["score"], world.score(goal)["by_hand"]) == (score, False)


COLOURS = [("0.7", "green"), ("0.699999999999999999", "amber"), ("0.4", "amber"), ("0.399999999999999999", "red"), ("0", "red"), ("1", "green")]


@pytest.mark.parametrize("score, colour", COLOURS)
def test_colours_are_told_before_rounding(world, score, colour):
    goal = world.create()
    assert world.close(goal, score=score)["score"] == score
    assert (world.score(goal)["colour"], world.score(goal)["by_hand"]) == (colour, True)


def test_ranges_are_the_organisations(world):
    world.setting(green_from=0.9, amber_from=0.6)
    goal = world.create()
    world.close(goal, score="0.8")
    assert [world.score(goal)[k] for k in ("colour", "green_from", "amber_from")] == ["amber", "0.9", "0.6"]


@pytest.mark.parametrize("aspirational, score, easy", [(True, "1", True), (True, "0.999999", False), (False, "1", False)])
def test_an_aspirational_goal_at_1_carries_a_hint(world, aspirational, score, easy):
    goal = world.create(aspirational=aspirational)
    world.close(goal, score=score)
    assert world.score(goal)["too_easy"] is easy


@pytest.mark.parametrize("score", ["1.000000000000000001", "-0.1", "2"])
def test_a_score_is_from_0_to_1(world, score):
    goal = world.create()
    assert world.close(goal, score=score, expect=422)["errors"][0]["pointer"] == "/score"
    assert world.goal(goal)["status"] != "closed"
    world.close(goal)
    assert world.set_score(goal, score, 422)["errors"][0]["pointer"] == "/score"


def test_an_objective_scores_itself_by_the_mean_of_completion(world):
    """Once all its key results are scored that are not postponed; baselines aside; not by their scores."""
    objective = world.create()
    a, b, c = (world.key_result(objective, value) for value in (30, 60, 90))
    world.key_result(objective, 5, metric="baseline")
    world.create(kind="objective", parents=[objective])  # nor other objectives
    world.close(a, score="1")
    world.close(b)
    assert world.goal(objective)["score"] is None
    world.close(c)
    assert world.goal(objective)["score"] == "0.6"
    assert (world.goal(objective)["status"], world.score(objective)["by_hand"]) == ("not_started", False)
    assert "scored" in world.kinds(objective)
    world.act("reopen", b)
    assert (world.goal(b)["score"], world.goal(objective)["score"]) == (None, None)
    world.close(b, value="0")
    assert world.goal(objective)["score"] == "0.4"


def test_a_score_by_hand_stays_until_it_is_taken_back(world):
    objective = world.create()
    a = world.key_result(objective, 30)
    assert "gets its score when it is closed" in world.set_score(objective, "0.5", 409)["detail"]
    world.close(a)
    assert world.set_score(objective, "0.5") == {**world.score(objective), "score": "0.5", "by_hand": True, "suggested": "0.3"}
    world.act("reopen", a)
    world.close(a, value="80")
    assert world.goal(objective)["score"] == "0.5"
    assert world.set_score(objective, None)["score"] == "0.8"
    tag = world.call("GET", f"/api/v1/goals/{objective}/score").headers["ETag"]
    world.call("PUT", f"/api/v1/goals/{objective}/score", {"score": "0.1"}, expect=200, If_Match=tag)
    world.call("PUT", f"/api/v1/goals/{objective}/score", {"score": "0.2"}, expect=412, If_Match=tag)


# ---- closing

@pytest.mark.parametrize("value, offer", [("0.000000000000000001", "close"), ("0", "postpone"), ("-3", "postpone"), (None, "postpone"), ("140", "close")])
def test_close_is_offered_above_0_progress(world, value, offer):
    assert world.offer(world.key_result(None, value))["offer"] == offer


def test_open_key_results_are_listed_and_close_by_a_flag(world):
    objective = world.create(**PARENT)
    a, b = (world.key_result(objective, value, title=title) for title, value in [("Ask", 40), ("Tell", 80)])
    below = world.key_result(b, 10, title="Deep")
    done = world.key_result(objective, 50, title="Done")
    world.create(kind="project", parents=[objective], title="Build")
    world.close(done)
    assert [k["title"] for k in world.offer(objective)["open_key_results"]] == ["Ask", "Tell", "Deep"]
    refused = world.close(objective, expect=409)
    assert all(f'"{title}"' in refused["detail"] for title in ("Ask", "Tell", "Deep")) and "Done" not in refused["detail"]
    assert world.goal(a)["status"] != "closed"
    noted = [world.notes(g) for g in (objective, a, below, done)]
    closed = world.close(objective, cascade=True, note="Over and done")
    assert (closed["status"], closed["ended_note"], closed["status_by_hand"]) == ("closed", "Over and done", True)
    assert closed["ended_at"] is not None
    assert [world.goal(g)["status"] for g in (a, b, below)] == ["closed"] * 3
    assert [world.goal(g)["score"] for g in (a, b, below)] == ["0.4", "0.8", "0.1"]
    assert closed["score"] == "0.566666666666666667"  # the mean of its own three
    assert {"closed", "status_changed"} <= set(world.kinds(below))
    assert [world.notes(g) for g in (objective, a, below, done)] == [n + 1 for n in noted[:3]] + noted[3:]


def test_the_flag_needs_the_right_to_each(world):
    world.person("ada"), world.person("bob"), world.person("eve")
    objective = world.create(by="ada", owner_ids=[world.people["ada"]], delegate_id=world.people["eve"])
    world.create("Bob's", kind="key_result", by="bob", owner_ids=[world.people["bob"]], parents=[objective])
    assert "may not close \"Bob's\"" in world.close(objective, cascade=True, by="eve", expect=403)["detail"]
    world.close(objective, cascade=True, by="ada")  # who owns the parent may


def test_closed_by_hand_freezes_the_value(world):
    parent = world.create(**PARENT)
    goal = world.create(parents=[parent], **PARENT)
    child = world.key_result(goal, 40)
    other = world.key_result(None, 10)
    closed = world.close(goal, value="70", cascade=True)
    assert (closed["value"], closed["progress"], closed["override"]) == ("70", "70.0000", "one_off")
    assert [i["check_in"]["value"] for i in world.feed(goal) if i["type"] == "check_in"] == ["70"]
    world.act("reopen", child)
    world.check_in(child, 90)
    assert (world.state(goal), world.goal(goal)["automatic_value"]) == (("70.0000", "closed", "70"), "90")
    assert world.state(parent)[0] == "70.0000"  # a closed child counts with its final value
    assert "reopen it first" in world.check_in(goal, 5, expect=422).json["detail"]
    assert "reopen it first" in world.close(goal, expect=409)["detail"]
    world.close(other)
    world.call("POST", f"/api/v1/goals/{other}/check-ins", {"value": "1"}, expect=422)


def test_a_closed_goals_link_stops_and_goes_on_with_it(world):
    first, second = world.key_result(None), world.key_result(None)
    batch = world.link(first)
    world.link(second)
    assert world.asked(batch) == (2, True)
    link = world.close(first)["link"]
    assert (link["state"], link["paused"]) == ("paused", "the goal is closed")
    assert world.asked(batch) == (1, True)
    path = f"/api/v1/links/{link['id']}"
    world.call("PATCH", f"/api/v1/links/{world.goal(second)['link']['id']}", {"state": "paused", "paused_reason": "wait"}, expect=200)
    assert world.asked(batch) == (0, False)
    assert "reopen it first" in world.call("PATCH", path, {"state": "active"}, expect=409).json["detail"]
    assert "Reopen the goal" in world.call("GET", path, expect=200).json["advice"]
    assert world.act("reopen", first)["link"]["state"] == "active"
    assert world.asked(batch) == (1, True)
    assert world.call("GET", path, expect=200).json["sync_requested_at"] is not None
    world.close(second)
    assert world.act("reopen", second)["link"]["paused"] == "wait"  # a person's pause is a person's to end
    actions = [i["action"] for i in world.gateway.pages(f"/api/v1/organisations/{world.org}/audit", world.token)]
    assert [a for a in actions if a.startswith("link.")] == ["link.resumed", "link.paused", "link.paused"]


def test_a_link_goes_on_where_there_is_room(world):
    """1000 links are asked together; those that are switched off do not count."""
    goal = world.key_result(None)
    batch = world.link(goal)
    world.close(goal)
    world.gateway.fleet.sql(
        "WITH g AS (INSERT INTO goal (org_id, kind, title, mode, start_on, end_on) SELECT %s, 'key_result', 'x', 'data_source', '2026-01-01', "
        "'2026-12-31' FROM generate_series(1, 1000) RETURNING id), k AS (SELECT connection_id FROM link_batch WHERE id = %s) "
        "INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) SELECT %s, g.id, k.connection_id, %s, '{}' FROM g, k",
        world.org.row, batch, world.org.row, batch)
    assert world.asked(batch) == (1000, True)
    path = f"/api/v1/links/{world.goal(goal)['link']['id']}"
    assert "more than 1000 links" in world.act("reopen", goal, 409)["detail"]
    assert world.goal(goal)["status"] == "closed"
    one = world.gateway.fleet.one("UPDATE link SET state = 'paused' WHERE id = (SELECT max(id) FROM link WHERE batch_id = %s) RETURNING "
                                  "public_id::text", batch)
    assert world.act("reopen", goal)["link"]["state"] == "active"
    assert world.asked(batch) == (1000, True)
    world.call("PATCH", f"/api/v1/links/{one}", {"state": "active"}, expect=409)
    world.call("PATCH", path, {"state": "paused"}, expect=200)
    world.call("PATCH", f"/api/v1/links/{one}", {"state": "active"}, expect=200)


def test_a_close_sent_twice_by_one_key_closes_once(world):
    goal = world.key_result(None, 50)
    answers = [world.call("POST", f"/api/v1/goals/{goal}/close", {"value": "60"}, expect=200, Idempotency_Key="once") for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert len([i for i in world.feed(goal) if i["type"] == "check_in"]) == 2


# ---- reopening

def test_a_reopened_goal_has_what_was_stored(world):
    parent = world.create(**PARENT)
    child = world.key_result(parent, 40)
    world.check_in(parent, 90, sticky=True)
    world.close(parent, cascade=True, note="Done")
    reopened = world.act("reopen", parent)
    assert (reopened["status"], reopened["value"], reopened["automatic_value"], reopened["override"]) == ("reopened", "90", "40", "sticky")
    assert (reopened["ended_at"], reopened["ended_note"], reopened["score"]) == (None, None, "0.4")  # its key results are scored
    assert world.state(child)[1] == "closed"
    assert "only a closed or postponed one" in world.act("reopen", parent, 422)["detail"]
    assert "reopened" in world.kinds(parent)
    world.act("reopen", child)
    world.check_in(child, 41)
    assert world.state(parent)[1:] == ("behind", "90")  # until a changed automatic value


def test_a_baseline_goes_back_to_in_progress(world):
    goal = world.key_result(None, 4, metric="baseline")
    world.close(goal)
    assert world.act("reopen", goal)["status"] == "in_progress"


def test_all_closed_children_close_their_parent_until_one_is_reopened(world):
    parent = world.create(**PARENT)
    a, b = world.key_result(parent, 100), world.key_result(parent, 100)
    world.close(a)
    world.close(b)
    assert (world.state(parent)[1], world.goal(parent)["status_by_hand"]) == ("closed", False)
    world.act("reopen", a)
    assert world.state(parent)[1] == "on_track"


# ---- rights

@pytest.mark.parametrize("who, may", [("bob", False), ("keeper", False), ("delegate", True), ("ada", True), ("admin", True)])
def test_who_may_edit_a_goal_ends_it(world, who, may):
    for name in ("ada", "bob", "delegate", "keeper"):
        world.person(name)
    world.person("admin", "admin")
    goal = world.create(by="ada", owner_ids=[world.people["ada"]], delegate_id=world.people["delegate"], check_in_owner_id=world.people["keeper"])
    status = 200 if may else 403
    world.close(goal, by=who, expect=status)
    world.close(goal, by="ada", expect=409 if may else 200)
    world.set_score(goal, "0.5", by=who, expect=status)
    world.act("reopen", goal, by=who, expect=status)
    assert world.offer(goal, by=who)["offer"] == "postpone"


# ---- postponing

NEXT = {"starts_on": "2091-01-01", "ends_on": "2091-03-31"}


def postpone(world, goal, expect=200, by="owner", **body):
    return world.call("POST", f"/api/v1/goals/{goal}/postpone", {**NEXT, **body}, by, expect).json


def copy_of(answer, goal):
    return next(g["copy_id"] for g in answer["goals"] if g["goal_id"] == goal)


# rule, definition, value, body, copy: metric, start, target, value, progress
COURSES = [
    ("an increase starts at the current value", {"metric": "increase", "start": "5", "target": "20"}, "12", {}, ("increase", "12", "20", None, "0.0000")),
    ("a decrease too", {"metric": "decrease", "start": "9", "target": "1"}, "4", {}, ("decrease", "4", "1", None, "0.0000")),
    ("without a value: at its start", {"metric": "increase", "start": "5", "target": "20"}, None, {}, ("increase", "5", "20", None, "0.0000")),
    ("a reach becomes an increase", {"metric": "reach", "target": "20"}, "12", {}, ("increase", "12", "20", None, "0.0000")),
    ("a reach below 0 becomes a decrease", {"metric": "reach", "target": "-20"}, "-12", {}, ("decrease", "-12", "-20", None, "0.0000")),
    ("a reach at 0 stays a reach", {"metric": "reach", "target": "20"}, "0", {}, ("reach", None, "20", None, "0.0000")),
    ("a control copy has no value yet", {"metric": "stay_below", "target": "5", "risk": "8"}, "4", {}, ("stay_below", None, "5", None, "0.0000")),
    ("a percent copy starts at 0", {}, "40", {}, ("percent", None, None, None, "0.0000")),
    ("a baseline has no value", {"metric": "baseline"}, "40", {}, ("baseline", None, None, None, "0.0000")),
    ("keep progress keeps value and start", {"metric": "increase", "start": "5", "target": "20"}, "8", {"keep_progress": True},
     ("increase", "5", "20", "8", "20.0000")),
    ("keep progress of a reach", {"metric": "reach", "target": "20"}, "5", {"keep_progress": True}, ("reach", None, "20", "5", "25.0000")),
    ("keep progress of a percentage", {}, "40", {"keep_progress": True}, ("percent", None, None, "40", "40.0000")),
]


@pytest.mark.parametrize("rule, definition, value, body, course", COURSES, ids=[row[0] for row in COURSES])
def test_where_a_copy_starts(world, rule, definition, value, body, course):
    goal = world.key_result(None, value, **definition)
    planned = postpone(world, goal, dry_run=True, **body)["goals"][0]
    assert (planned["metric"], planned["target"]) == (course[0], course[2])
    answer = postpone(world, goal, **body)
    copy = world.goal(answer["copy_id"])
    assert (copy["metric"], copy["start"], copy["target"], copy["value"], copy["progress"]) == course
    assert (copy["starts_on"], copy["ends_on"], copy["copied_from_id"]) == (NEXT["starts_on"], NEXT["ends_on"], goal)
    assert copy["risk"] == definition.get("risk")
    original = world.goal(goal)
    assert (original["status"], original["value"], original["score"]) == ("postponed", value, None)


REACHED = [
    ("at its target", {"metric": "increase", "start": "5", "target": "20"}, "20", "30"),
    ("past it", {"metric": "decrease", "start": "9", "target": "1"}, "0", "-4"),
    ("a reach", {"metric": "reach", "target": "20"}, "21", "22"),
]


@pytest.mark.parametrize("rule, definition, value, target", REACHED, ids=[row[0] for row in REACHED])
def test_at_or_past_its_target_a_goal_needs_a_new_one(world, rule, definition, value, target):
    objective = world.create()
    other = world.key_result(objective, 40, title="Halfway")
    goal = world.key_result(objective, value, title="Reached", **definition)
    refused = postpone(world, objective, 422)
    assert '"Reached"' in refused["detail"] and "Halfway" not in refused["detail"]
    assert [world.goal(g)["status"] == "postponed" for g in (objective, other, goal)] == [False] * 3  # the whole of it
    assert {g["title"]: g["fate"] for g in postpone(world, objective, dry_run=True)["goals"]} == {
        "Goal": "copied", "Halfway": "copied", "Reached": "refused"}
    assert "Reached" in postpone(world, objective, 422, targets=[{"goal_id": goal, "target": definition["target"]}])["detail"]
    copy = world.goal(copy_of(postpone(world, objective, targets=[{"goal_id": goal, "target": target}]), goal))
    assert (copy["start"], copy["target"]) == (value, target)


def test_new_targets_name_goals_that_take_one(world):
    objective = world.create()
    world.key_result(objective)
    at = lambda targets: postpone(world, objective, 422, targets=targets)["errors"][0]["pointer"]  # noqa: E731
    metric = world.key_result(objective, metric="reach", target="3")
    assert at([{"goal_id": NOBODY, "target": "1"}]) == "/targets/0/goal_id"
    assert at([{"goal_id": metric, "target": "5"}, {"goal_id": objective, "target": "1"}]) == "/targets/1/goal_id"
    assert at([{"goal_id": metric, "target": "5"}] * 2) == "/targets/1/goal_id"


def test_a_numeric_roll_up_copy_starts_at_the_sum_of_its_copied_childrens_starts(world):
    parent = world.create(metric="reach", unit="EUR", target="2000", **PARENT)
    world.key_result(parent, 30, metric="reach", unit="EUR", target="100")
    world.key_result(parent, None, metric="increase", unit="EUR", start="200", target="500")
    world.close(world.key_result(parent, 50, metric="reach", unit="EUR", target="60"))  # stays behind
    copy = world.goal(postpone(world, parent)["copy_id"])
    assert (copy["metric"], copy["start"], copy["target"], copy["value"], copy["progress"]) == ("increase", "230", "2000", None, "0.0000")
    assert len(copy["children"]) == 2
    lonely = world.create(metric="reach", unit="EUR", target="2000", **PARENT)
    assert world.goal(postpone(world, lonely)["copy_id"])["start"] is None  # 0 where there is none


def test_the_whole_subtree_goes_along(world):
    top = world.create("Top", **PARENT)
    root = world.create("Root", parents=[top], **PARENT)
    world.check_in(root, 90, sticky=True)
    a = world.key_result(root, 40, title="A")
    b = world.create("B", parents=[{"goal_id": root, "weight": "30"}], **PARENT)
    shared = world.key_result(b, 20, title="Shared")
    elsewhere = world.create("Elsewhere", **PARENT)
    world.call("POST", f"/api/v1/goals/{shared}/parents", {"parent_id": elsewhere}, expect=201)
    done = world.create("Done", parents=[root])
    hanging = world.create("Only below a closed one", parents=[done])
    world.close(done)
    dry = postpone(world, root, dry_run=True)
    assert (dry["done"], dry["copy_id"]) == (False, None)
    assert [g["copy_id"] for g in dry["goals"]] == [None] * 6
    assert world.state(root)[1] == "behind"  # nothing was done
    answer = postpone(world, root, note="Next year")
    assert {g["title"]: (g["fate"], g["other_parents"]) for g in answer["goals"]} == {
        "Root": ("copied", False), "A": ("copied", False), "B": ("copied", False), "Shared": ("copied", True), "Done": ("left", False),
        "Only below a closed one": ("left", False)}
    assert [world.state(g)[1] for g in (root, a, b, shared, done)] == ["postponed"] * 4 + ["closed"]
    assert world.state(hanging)[1] not in ("postponed", "closed")
    copy = world.goal(answer["copy_id"])
    assert (copy["parents"], copy["override"], copy["value"], copy["status"]) == ([], "none", None, "not_started")
    assert [(c["title"], c["weight"]) for c in copy["children"]] == [("A", None), ("B", "30.00")]
    assert shares(copy) == ["70.00", "30.00"]
    assert [c["title"] for c in world.goal(copy_of(answer, b))["children"]] == ["Shared"]
    assert [p["goal_id"] for p in world.goal(copy_of(answer, shared))["parents"]] == [copy_of(answer, b)]
    assert [c["title"] for c in world.goal(elsewhere)["children"]] == ["Shared"]  # the original, not its copy
    assert world.state(elsewhere)[1] == "postponed"  # all that counts is
    assert world.goal(root)["ended_note"] == "Next year"
    said = next(i for i in world.feed(root) if i.get("kind") == "postponed")["data"]
    assert (said["copy_id"], said["note"], said["starts_on"]) == (answer["copy_id"], "Next year", NEXT["starts_on"])
    world.check_in(copy_of(answer, a), 60)
    assert world.state(answer["copy_id"])[0] == "42.0000"  # the copies roll up among themselves


def test_keep_progress_rolls_up_the_copies(world):
    parent = world.create(**PARENT)
    for value in (20, 40):
        world.key_result(parent, value)
    assert world.state(postpone(world, parent, keep_progress=True)["copy_id"])[0] == "30.0000"


def test_a_copy_has_the_people_of_its_original(world):
    for name in ("ada", "bob", "eve", "kim"):
        world.person(name)
    people = {k: world.people[k] for k in ("ada", "bob", "eve", "kim")}
    objective = world.create(private=True, by="ada", owner_ids=[people["ada"], people["bob"]], delegate_id=people["eve"], check_in_owner_id=people["kim"],
                             viewer_ids=[world.people["owner"]], tags=["growth", "2026"], aspirational=True, description="Why")
    kr = world.create(kind="key_result", by="ada", parents=[objective])
    world.person("out")
    answer = postpone(world, objective, by="bob")
    copy = world.goal(answer["copy_id"], by="ada")
    original = world.goal(objective, by="ada")
    same = ("private", "owner_ids", "viewer_ids", "delegate_id", "check_in_owner_id", "creator_id", "tags", "aspirational", "description", "title", "level")
    assert {k: copy[k] for k in same} == {k: original[k] for k in same}
    below = world.goal(copy_of(answer, kr), by="ada")
    assert (below["private"], set(below["viewer_ids"])) == (True, set(world.goal(kr, by="ada")["viewer_ids"]))
    for goal in (answer["copy_id"], copy_of(answer, kr)):
        world.call("GET", f"/api/v1/goals/{goal}", by="owner", expect=200)
        world.call("GET", f"/api/v1/goals/{goal}", by="out", expect=404)


def test_projects_take_their_unfinished_tasks(world):
    objective = world.create()
    project = world.create(kind="project", mode="roll_up", parents=[objective])
    for title, done in [("Dig", True), ("Fill", False)]:
        world.call("POST", f"/api/v1/goals/{project}/tasks", {"title": title, "done": done, "due_on": "2026-05-01"}, expect=201)
    copy = copy_of(postpone(world, objective), project)
    tasks = world.call("GET", f"/api/v1/goals/{copy}/tasks", expect=200).json["items"]
    assert [(t["title"], t["done"], t["due_on"]) for t in tasks] == [("Fill", False, "2026-05-01")]
    assert world.goal(project)["tasks"] == {"all": 2, "done": 1}
    assert world.goal(objective)["children"][0]["status"] == "postponed"


def test_links_come_switched_off(world):
    goal = world.key_result(None)
    batch = world.link(goal)
    copy = world.goal(postpone(world, goal)["copy_id"])
    assert world.goal(goal)["link"]["paused"] == "the goal is postponed"
    assert (copy["link"]["state"], copy["link"]["paused"], copy["mode"]) == ("paused", "copied with its goal, switched off", "data_source")
    assert world.asked(batch) == (0, False)
    world.call("PATCH", f"/api/v1/links/{copy['link']['id']}", {"state": "active"}, expect=200)
    assert world.asked(batch) == (1, True)
    link = world.call("GET", f"/api/v1/links/{copy['link']['id']}", expect=200).json
    assert (link["settings"], link["evidence"]["linked_by_id"]) == ({"query": "SELECT 1"}, world.people["owner"])
    assert "linked" in world.kinds(copy["id"])


def test_a_postponed_goal_may_be_reopened_and_its_copy_stays(world):
    goal = world.key_result(None, 40)
    world.link(goal)
    copy = postpone(world, goal)["copy_id"]
    assert "reopen it first" in postpone(world, goal, 422)["detail"]
    reopened = world.act("reopen", goal)
    assert (reopened["status"], reopened["value"], reopened["link"]["state"]) == ("reopened", "40", "active")
    assert world.goal(copy)["link"]["state"] == "paused"
    assert postpone(world, goal)["copy_id"] != copy


def test_a_postponed_key_result_is_no_matter_of_the_score(world):
    objective = world.create()
    a, b = world.key_result(objective, 30), world.key_result(objective, 90)
    world.close(a)
    assert world.goal(objective)["score"] is None
    postpone(world, b)
    assert world.goal(objective)["score"] == "0.3"


def test_the_period_names_the_dates(world):
    period = world.gateway.fleet.one("INSERT INTO period (org_id, kind, name, starts_on, ends_on) VALUES (%s, 'custom', 'Next', '2092-04-01', "
                                     "'2092-06-30') RETURNING public_id::text", world.org.row)
    goal = world.key_result(None)
    body = lambda **more: world.call("POST", f"/api/v1/goals/{goal}/postpone", more)  # noqa: E731
    for wrong, pointer in [({}, "/period_id"), ({"starts_on": "2091-01-01"}, "/ends_on"), ({"period_id": NOBODY}, "/period_id"),
                           ({"starts_on": "2091-01-02", "ends_on": "2091-01-01"}, "/ends_on")]:
        assert body(**wrong).expect(422).json["errors"][0]["pointer"] == pointer
    copy = world.goal(body(period_id=period, ends_on="2092-05-31").expect(200).json["copy_id"])
    assert (copy["period_id"], copy["starts_on"], copy["ends_on"]) == (period, "2092-04-01", "2092-05-31")
    clone = world.call("POST", f"/api/v1/goals/{copy['id']}/clone", {}, expect=201).json
    assert (clone["period_id"], clone["starts_on"], clone["ends_on"]) == (period, "2092-04-01", "2092-05-31")


def test_each_goal_must_be_the_callers_to_postpone(world):
    world.person("ada"), world.person("bob")
    objective = world.create(by="ada", owner_ids=[world.people["ada"]])
    middle = world.create(by="ada", owner_ids=[world.people["ada"]], parents=[objective])
    below = world.create("Bob's", kind="objective", by="bob", owner_ids=[world.people["bob"]])
    world.call("POST", f"/api/v1/goals/{below}/parents", {"parent_id": middle}, by="bob", expect=201)
    under = world.create("Bob's own", kind="key_result", by="bob", owner_ids=[world.people["bob"]], parents=[below])
    assert "\"Bob's own\"" in postpone(world, objective, 403, by="ada")["detail"]
    assert world.state(objective)[1] == "not_started"
    world.close(under, by="bob")
    postpone(world, objective, by="ada")
    hidden = world.create(private=True, by="ada", owner_ids=[world.people["ada"]], viewer_ids=[world.people["bob"]], delegate_id=world.people["bob"])
    world.create("Unseen", private=True, by="ada", parents=[hidden])
    refused = postpone(world, hidden, 403, by="bob")["detail"]
    assert "private goal" in refused and "Unseen" not in refused


# ---- cloning

def clone(world, goal, expect=201, by="owner", **body):
    return world.call("POST", f"/api/v1/goals/{goal}/clone", body, by, expect).json


def test_a_clone_has_the_structure_and_no_progress(world):
    top = world.create(**PARENT)
    root = world.create("Root", parents=[top], tags=["a"], **PARENT)
    kr = world.key_result(root, 60, title="KR", metric="increase", start="10", target="110")
    world.call("PATCH", f"/api/v1/goals/{kr}/parents/{root}", {"weight": "40"}, expect=200)
    world.link(world.key_result(root, title="Fed"))
    project = world.create(kind="project", mode="roll_up", parents=[root], title="Project")
    world.call("POST", f"/api/v1/goals/{project}/tasks", {"title": "Dig", "done": True}, expect=201)
    world.close(world.key_result(root, 10, title="Over"))
    before = world.state(root), world.state(top)
    copy = clone(world, root, title="Again")
    assert (copy["title"], copy["parents"], copy["tags"], copy["copied_from_id"]) == ("Again", [], ["a"], root)
    assert (copy["value"], copy["progress"], copy["status"], copy["starts_on"]) == (None, "0.0000", "not_started", PAST["starts_on"])
    assert [(c["title"], c["weight"], c["has_value"]) for c in copy["children"]] == [
        ("KR", "40.00", False), ("Fed", None, False), ("Project", None, False)]
    below = {c["title"]: world.goal(c["goal_id"]) for c in copy["children"]}
    assert [below["KR"][k] for k in ("metric", "start", "target", "value")] == ["increase", "10", "110", None]
    assert (below["Project"]["tasks"], below["Fed"]["link"]) == ({"all": 1, "done": 0}, None)
    assert (world.state(root), world.state(top)) == before
    alone = clone(world, root, below=False, **FUTURE)
    assert (alone["children"], alone["starts_on"], alone["title"]) == ([], FUTURE["starts_on"], "Root")


def test_only_open_goals_are_cloned(world):
    goal = world.create()
    world.close(goal)
    assert "only open goals" in clone(world, goal, 409)["detail"]
    assert clone(world, world.create(), 422, title="  ")["errors"][0]["pointer"] == "/title"


def test_who_may_not_make_such_a_goal_gets_an_individual_one(world):
    world.person("ada")
    goal = world.create(owner_ids=[world.people["owner"]])
    assert clone(world, goal, by="ada")["level"] == "organisation"
    world.setting(create_rule="admins")
    mine = clone(world, goal, by="ada")
    assert (mine["level"], mine["owner_ids"], mine["creator_id"]) == ("individual", [world.people["ada"]], world.people["ada"])
    assert clone(world, goal)["level"] == "organisation"
