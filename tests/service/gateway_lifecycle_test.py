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


def check(*rows):
    """Each with the rule it shows, what is there, and what should be."""
    for rule, there, expected in rows:
        assert there == expected, rule


# ---- scoring

SUGGESTED = [
    ("scoring 1a, 2.4#14: 37.5 %", {}, "37.5", "0.375"),
    ("scoring 1a: 140 is shown as 100", {}, "140", "1"),
    ("scoring 1a: -5 is shown as 0", {}, "-5", "0"),
    ("scoring 1a: no value", {}, None, "0"),
    ("scoring 1a: a decrease", {"metric": "decrease", "start": "3", "target": "0"}, "1", "0.666666666666666667"),
    ("scoring 1a: a control metric", {"metric": "stay_below", "target": "5"}, "4", "1"),
    ("scoring 1a, progress 3a: a baseline has none", {"metric": "baseline"}, "4", None),
]


@pytest.mark.parametrize("rule, definition, value, score", SUGGESTED, ids=[row[0] for row in SUGGESTED])
def test_the_suggested_score(world, rule, definition, value, score):
    goal = world.key_result(None, value, **definition)
    assert world.score(goal)["suggested"] == score
    assert world.score(goal)["score"] is None
    assert world.close(goal)["score"] == score
    assert (world.score(goal)["score"], world.score(goal)["by_hand"]) == (score, False)


# rule, score, the organisation's ranges (None: as they are at first), colour
COLOURS = [
    ("scoring 1c: on 0.7", "0.7", None, "green"),
    ("scoring 1c, numbers 2b: below 0.7 by the last decimal", "0.699999999999999999", None, "amber"),
    ("scoring 1c: on 0.4", "0.4", None, "amber"),
    ("scoring 1c, numbers 2b: below 0.4 by the last decimal", "0.399999999999999999", None, "red"),
    ("scoring 1c: nothing", "0", None, "red"),
    ("scoring 1c: all", "1", None, "green"),
    ("scoring 1e: below another green", "0.8", ("0.9", "0.6"), "amber"),
    ("scoring 1e: below another amber", "0.5", ("0.9", "0.6"), "red"),
]


@pytest.mark.parametrize("rule, score, ranges, colour", COLOURS, ids=[row[0] for row in COLOURS])
def test_colours_are_told_before_rounding(world, rule, score, ranges, colour):
    if ranges:
        world.setting(green_from=ranges[0], amber_from=ranges[1])
    goal = world.create()
    assert world.close(goal, score=score)["score"] == score
    shown = world.score(goal)
    assert (shown["colour"], shown["by_hand"], (shown["green_from"], shown["amber_from"])) == (colour, True, ranges or ("0.7", "0.4"))


# rule, aspirational?, score, carries the hint?
EASY = [
    ("scoring 1d: aspirational, all", True, "1", True),
    ("scoring 1d, numbers 2b: aspirational, almost all", True, "0.999999999999999999", False),
    ("scoring 1d: committed, all", False, "1", False),
]


@pytest.mark.parametrize("rule, aspirational, score, easy", EASY, ids=[row[0] for row in EASY])
def test_an_aspirational_goal_at_1_carries_a_hint(world, rule, aspirational, score, easy):
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


def goals_to_score(world):
    """An objective with key results at 30, 60 and 90, and what does not count towards its score."""
    objective = world.create("Objective", owner_ids=[world.people["owner"]])
    made = {"objective": objective, "baseline": world.key_result(objective, 5, metric="baseline")}
    world.create(kind="objective", parents=[objective])
    world.create(kind="project", parents=[objective])
    return {**made, **{name: world.key_result(objective, value, title=name, metric="reach", target="100")
                       for name, value in (("a", 30), ("b", 60), ("c", 90))}}


# rule, which key results are closed at first, what then happens, the objective's score before and after
SELF_SCORES = [
    ("scoring 1b: the last one is closed", "ab", lambda w, g: w.close(g["c"]), None, "0.6"),
    ("scoring 1b: by completion, not by their scores", "ab", lambda w, g: w.close(g["c"], score="1"), None, "0.6"),
    ("scoring 1b: the last one is postponed", "ab", lambda w, g: postpone(w, g["c"]), None, "0.45"),
    ("scoring 1b: one is reopened", "abc", lambda w, g: w.act("reopen", g["b"]), "0.6", None),
    ("scoring 1b: one is reopened, and closed with another value", "abc",
     lambda w, g: (w.act("reopen", g["b"]), w.close(g["b"], value="0")), "0.6", "0.4"),
    ("scoring 1b: an objective below is closed", "ab", lambda w, g: w.close(w.create(parents=[g["objective"]])), None, None),
]


@pytest.mark.parametrize("rule, closed, deed, before, after", SELF_SCORES, ids=[row[0] for row in SELF_SCORES])
def test_an_objective_scores_itself(world, rule, closed, deed, before, after):
    goals = goals_to_score(world)
    for name in closed:
        world.close(goals[name])
    assert world.goal(goals["objective"])["score"] == before
    deed(world, goals)
    objective = world.goal(goals["objective"])
    assert (objective["score"], objective["status"], world.score(goals["objective"])["by_hand"]) == (after, "not_started", False)
    assert ("scored" in world.kinds(goals["objective"])) == (before is not None or after is not None)


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

# rule, value in percent, what is offered
OFFERS = [
    ("scoring 2a: the least above 0", "0.000000000000000001", "close"), ("scoring 2a, 2.9#2: 0", "0", "postpone"),
    ("scoring 2a: below 0", "-3", "postpone"), ("scoring 2a: without a value", None, "postpone"), ("scoring 2a: more than all", "140", "close"),
]


@pytest.mark.parametrize("rule, value, offer", OFFERS, ids=[row[0] for row in OFFERS])
def test_close_is_offered_above_0_progress(world, rule, value, offer):
    assert world.offer(world.key_result(None, value))["offer"] == offer


def test_open_key_results_are_listed_and_close_by_a_flag(world):
    objective = world.create(**PARENT)
    a, b = (world.key_result(objective, value, title=title) for title, value in [("Ask", 40), ("Tell", 80)])
    below = world.key_result(b, 10, title="Deep")
    done = world.key_result(objective, 50, title="Done")
    world.create(kind="project", parents=[objective], title="Build")
    world.close(done)
    listed = [k["title"] for k in world.offer(objective)["open_key_results"]]
    refused = world.close(objective, expect=409)["detail"]
    check(("scoring 2b: open ones, and one below", listed, ["Ask", "Tell", "Deep"]),
          ("scoring 2b: by name", [f'"{title}"' in refused for title in (*listed, "Done", "Build")], [True] * 3 + [False] * 2),
          ("scoring 2b: nothing is closed meanwhile", [world.goal(g)["status"] == "closed" for g in (objective, a, b, below)], [False] * 4))
    noted = [world.notes(g) for g in (objective, a, below, done)]
    closed = world.close(objective, cascade=True, note="Over and done")
    check(("scoring 2c: the objective", (closed["status"], closed["ended_note"], closed["status_by_hand"]), ("closed", "Over and done", True)),
          ("scoring 2c: its key results, and one below", [world.goal(g)["status"] for g in (a, b, below)], ["closed"] * 3),
          ("scoring 2c, scoring 1a: each with its score", [world.goal(g)["score"] for g in (a, b, below)], ["0.4", "0.8", "0.1"]),
          ("scoring 2c, scoring 1b: the objective with the mean of its own three", closed["score"], "0.566666666666666667"))
    assert closed["ended_at"] is not None
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
    final = [i["check_in"]["value"] for i in world.feed(goal) if i["type"] == "check_in"]
    world.act("reopen", child)
    world.check_in(child, 90)
    check(("scoring 2d: the final value is checked in", (closed["value"], closed["progress"], closed["override"]), ("70", "70.0000", "one_off")),
          ("scoring 2d: the feed has it", final, ["70"]),
          ("scoring 2d: it stands still", world.state(goal), ("70.0000", "closed", "70")),
          ("automatic 1a, scoring 2d: what it would be goes on", world.goal(goal)["automatic_value"], "90"),
          ("weights 4a: above it counts as it was", world.state(parent)[0], "70.0000"),
          ("scoring 2d: no check-in", "reopen it first" in world.check_in(goal, 5, expect=422).json["detail"], True),
          ("scoring 2d: not once more", "reopen it first" in world.close(goal, expect=409)["detail"], True))
    world.close(other)
    world.call("POST", f"/api/v1/goals/{other}/check-ins", {"value": "1"}, expect=422)


def test_a_closed_goals_link_stops_and_goes_on_with_it(world):
    first, second = world.key_result(None), world.key_result(None)
    batch = world.link(first)
    world.link(second)
    assert world.asked(batch) == (2, True)
    link = world.close(first)["link"]
    check(("scoring 2d: the link says why it stopped", (link["state"], link["paused"]), ("paused", "the goal is closed")),
          ("scoring 2d: the source is not asked for it", world.asked(batch), (1, True)))
    path = f"/api/v1/links/{link['id']}"
    world.call("PATCH", f"/api/v1/links/{world.goal(second)['link']['id']}", {"state": "paused", "paused_reason": "wait"}, expect=200)
    assert world.asked(batch) == (0, False)
    assert "reopen it first" in world.call("PATCH", path, {"state": "active"}, expect=409).json["detail"]
    assert "Reopen the goal" in world.call("GET", path, expect=200).json["advice"]
    check(("scoring 3a: reopened, the link goes on", world.act("reopen", first)["link"]["state"], "active"),
          ("scoring 3a: the source is asked again", world.asked(batch), (1, True)),
          ("scoring 3a: at once", world.call("GET", path, expect=200).json["sync_requested_at"] is not None, True))
    world.close(second)
    check(("scoring 3a: but a person's pause is a person's to end", world.act("reopen", second)["link"]["paused"], "wait"))
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
    check(("scoring 3a: its numbers", (reopened["status"], reopened["value"], reopened["automatic_value"]), ("reopened", "90", "40")),
          ("scoring 3a: its override", reopened["override"], "sticky"),
          ("scoring 3a: it has not ended", (reopened["ended_at"], reopened["ended_note"]), (None, None)),
          ("scoring 1b: its key results are scored still", reopened["score"], "0.4"),
          ("scoring 3a: they stay closed", world.state(child)[1], "closed"))
    assert "only a closed or postponed one" in world.act("reopen", parent, 422)["detail"]
    assert "reopened" in world.kinds(parent)
    world.act("reopen", child)
    world.check_in(child, 40)
    check(("status 6b: the same automatic value", world.state(parent)[1:], ("reopened", "90")))
    world.check_in(child, 41)
    check(("status 6b, automatic 1d: another automatic value, under an override", world.state(parent)[1:], ("behind", "90")))


# rule, what happens to a goal with check-ins of 100 and 40 that was closed and reopened, its status and value; 100 is expected
REOPENED = [
    ("status 6b: nothing", lambda w, g, check_ins: None, ("reopened", "40")),
    ("status 6b: a check-in", lambda w, g, check_ins: w.check_in(g, 40), ("at_risk", "40")),
    ("status 6b: a check-in of a note", lambda w, g, check_ins: w.check_in(g, note="Again"), ("at_risk", "40")),
    ("status 6b: an edited metric", lambda w, g, check_ins: w.edit(g, target="50"), ("reopened", "40")),
    ("status 6b, automatic 2a: an older check-in is edited", lambda w, g, check_ins: w.call(
        "PATCH", f"/api/v1/check-ins/{check_ins[1]}", {"value": "60"}, expect=200), ("reopened", "60")),
    ("status 6b, automatic 2a: an older check-in is removed", lambda w, g, check_ins: w.call(
        "DELETE", f"/api/v1/check-ins/{check_ins[1]}", expect=204), ("reopened", "100")),
]


@pytest.mark.parametrize("rule, deed, state", REOPENED, ids=[row[0] for row in REOPENED])
def test_how_long_a_goal_is_reopened(world, rule, deed, state):
    goal = world.create(kind="key_result", metric="reach", target="100", **PAST)
    check_ins = [world.check_in(goal, value).json["id"] for value in (100, 40)]
    world.close(goal)
    world.act("reopen", goal)
    deed(world, goal, check_ins)
    assert world.state(goal)[1:] == state


# rule, value of a baseline, its status once it is reopened
BASELINES = [("progress 3b: with a value", 4, "in_progress"), ("progress 3b: without a value", None, "not_started")]


@pytest.mark.parametrize("rule, value, status", BASELINES, ids=[row[0] for row in BASELINES])
def test_a_baseline_is_never_reopened(world, rule, value, status):
    goal = world.key_result(None, value, metric="baseline")
    world.close(goal)
    assert world.act("reopen", goal)["status"] == status


# rule, status mode, what becomes of three children with 100, 100 and none, the parent's status; 100 is expected of it
ENDS = [
    ("status 3b: all closed", "progress", "ccc", "closed"),
    ("status 3a: all postponed", "progress", "ppp", "postponed"),
    ("status 3c: closed and postponed", "progress", "cpp", "closed"),
    ("status 3b, status 3d: one is reopened", "progress", "ccr", "at_risk"),
    ("status 3d: closed and open", "progress", "cc-", "at_risk"),
    ("status 3d: postponed and open ones that are done", "progress", "--p", "on_track"),
    ("status 4b: all closed", "key_results", "ccc", "closed"),
    ("status 4b: all postponed", "key_results", "ppp", "postponed"),
    ("status 4b: all reopened", "key_results", "rrr", "reopened"),
    ("status 3c: closed and postponed", "key_results", "cpp", "closed"),
    ("status 4c: closed and not started", "key_results", "cc-", "at_risk"),
    ("status 4d: closed, not started, postponed", "key_results", "cp-", "not_started"),
    ("status 4e: reopened and not started", "key_results", "rr-", "not_started"),
    ("status 4f: reopened and closed", "key_results", "rcc", "reopened"),
    ("status 4f: reopened and postponed", "key_results", "rpp", "reopened"),
]


@pytest.mark.parametrize("rule, mode, ends, status", ENDS, ids=[f"{row[0]} ({row[1]})" for row in ENDS])
def test_what_ends_below_tells_the_status_above(world, rule, mode, ends, status):
    world.setting(status_mode=mode)
    parent = world.create(**PARENT)
    for value, end in zip((100, 100, None), ends):
        child = world.key_result(parent, value, **PAST)
        if end in "cr":
            world.close(child)
        if end == "r":
            world.act("reopen", child)
        if end == "p":
            postpone(world, child)
    assert (world.state(parent)[1], world.goal(parent)["status_by_hand"]) == (status, False)


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
    ("scoring 5a: an increase", {"metric": "increase", "start": "5", "target": "20"}, "12", {}, ("increase", "12", "20", None, "0.0000")),
    ("scoring 5a: a decrease", {"metric": "decrease", "start": "9", "target": "1"}, "4", {}, ("decrease", "4", "1", None, "0.0000")),
    ("scoring 5a: an increase without a value", {"metric": "increase", "start": "5", "target": "20"}, None, {}, ("increase", "5", "20", None, "0.0000")),
    ("scoring 5b: a reach", {"metric": "reach", "target": "20"}, "12", {}, ("increase", "12", "20", None, "0.0000")),
    ("scoring 5b: a reach below 0", {"metric": "reach", "target": "-20"}, "-12", {}, ("decrease", "-12", "-20", None, "0.0000")),
    ("scoring 5d: a reach at 0", {"metric": "reach", "target": "20"}, "0", {}, ("reach", None, "20", None, "0.0000")),
    ("scoring 5e: a control metric", {"metric": "stay_below", "target": "5", "risk": "8"}, "4", {}, ("stay_below", None, "5", None, "0.0000")),
    ("scoring 5f: 40 %", {}, "40", {}, ("percent", None, None, None, "0.0000")),
    ("2.4#9: a baseline", {"metric": "baseline"}, "40", {}, ("baseline", None, None, None, "0.0000")),
    ("scoring 5g: an increase", {"metric": "increase", "start": "5", "target": "20"}, "8", {"keep_progress": True},
     ("increase", "5", "20", "8", "20.0000")),
    ("scoring 5g: a reach", {"metric": "reach", "target": "20"}, "5", {"keep_progress": True}, ("reach", None, "20", "5", "25.0000")),
    ("scoring 5g: 40 %", {}, "40", {"keep_progress": True}, ("percent", None, None, "40", "40.0000")),
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
    ("scoring 5c: at its target", {"metric": "increase", "start": "5", "target": "20"}, "20", "30"),
    ("scoring 5c: past it", {"metric": "decrease", "start": "9", "target": "1"}, "0", "-4"),
    ("scoring 5c: a reach", {"metric": "reach", "target": "20"}, "21", "22"),
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
    lonely = world.create(metric="reach", unit="EUR", target="2000", **PARENT)
    full = world.create(metric="reach", unit="EUR", target="100", **PARENT)
    world.key_result(full, 100, title="Full", metric="reach", unit="EUR", target="200")
    check(("scoring 5h: 30 and 200, the closed one stays behind", (copy["start"], len(copy["children"])), ("230", 2)),
          ("scoring 5h, scoring 5b: it is no reach any more", (copy["metric"], copy["target"], copy["value"], copy["progress"]),
           ("increase", "2000", None, "0.0000")),
          ("scoring 5h: 0 where there is none", world.goal(postpone(world, lonely)["copy_id"])["start"], None),
          ("scoring 5h, scoring 5c: where it starts is its target already", "need a new one" in postpone(world, full, 422)["detail"], True))


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
    fates = {g["title"]: (g["fate"], g["other_parents"], world.state(g["goal_id"])[1]) for g in answer["goals"]}
    copy = world.goal(answer["copy_id"])
    check(("scoring 4a: the goal itself", fates["Root"], ("copied", False, "postponed")),
          ("scoring 4a: a key result", fates["A"], ("copied", False, "postponed")),
          ("scoring 4a: an objective", fates["B"], ("copied", False, "postponed")),
          ("scoring 4a: what has other parents, too, is named", fates["Shared"], ("copied", True, "postponed")),
          ("scoring 4a: a closed one", fates["Done"], ("left", False, "closed")),
          ("scoring 4a: what stands below it alone", fates["Only below a closed one"], ("left", False, "not_started")),
          ("scoring 4b: no parent", copy["parents"], []),
          ("scoring 4c: no override", (copy["override"], copy["value"], copy["status"]), ("none", None, "not_started")),
          ("scoring 4c: weights", [(c["title"], c["weight"]) for c in copy["children"]], [("A", None), ("B", "30.00")]),
          ("scoring 4c: shares", shares(copy), ["70.00", "30.00"]),
          ("scoring 4a: further down", [c["title"] for c in world.goal(copy_of(answer, b))["children"]], ["Shared"]),
          ("scoring 4a: not below other parents", [p["goal_id"] for p in world.goal(copy_of(answer, shared))["parents"]], [copy_of(answer, b)]),
          ("scoring 4a: there the original stays", [c["title"] for c in world.goal(elsewhere)["children"]], ["Shared"]),
          ("status 3a: where all that counts is postponed", world.state(elsewhere)[1], "postponed"))
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
    below = world.goal(copy_of(answer, kr), by="ada")
    check(("scoring 4c: privacy, and people", {k: copy[k] for k in same}, {k: original[k] for k in same}),
          ("scoring 4c: privacy below", (below["private"], set(below["viewer_ids"])), (True, set(world.goal(kr, by="ada")["viewer_ids"]))))
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
    check(("scoring 4a: what is left to do", [(t["title"], t["done"], t["due_on"]) for t in tasks], [("Fill", False, "2026-05-01")]),
          ("scoring 4a: the original keeps all", world.goal(project)["tasks"], {"all": 2, "done": 1}))
    assert world.goal(objective)["children"][0]["status"] == "postponed"


def test_links_come_switched_off(world):
    goal = world.key_result(None)
    batch = world.link(goal)
    copy = world.goal(postpone(world, goal)["copy_id"])
    check(("scoring 2d: the original's", world.goal(goal)["link"]["paused"], "the goal is postponed"),
          ("scoring 4c, 2.9#5: the copy's", (copy["link"]["state"], copy["link"]["paused"], copy["mode"]),
           ("paused", "copied with its goal, switched off", "data_source")),
          ("scoring 4c: the source is asked for neither", world.asked(batch), (0, False)))
    world.call("PATCH", f"/api/v1/links/{copy['link']['id']}", {"state": "active"}, expect=200)
    check(("2.9#5: one click switches it on", world.asked(batch), (1, True)))
    link = world.call("GET", f"/api/v1/links/{copy['link']['id']}", expect=200).json
    assert (link["settings"], link["evidence"]["linked_by_id"]) == ({"query": "SELECT 1"}, world.people["owner"])
    assert "linked" in world.kinds(copy["id"])


def test_a_postponed_goal_may_be_reopened_and_its_copy_stays(world):
    goal = world.key_result(None, 40)
    world.link(goal)
    copy = postpone(world, goal)["copy_id"]
    assert "reopen it first" in postpone(world, goal, 422)["detail"]
    reopened = world.act("reopen", goal)
    check(("scoring 3b, scoring 3a: reopened", (reopened["status"], reopened["value"], reopened["link"]["state"]), ("reopened", "40", "active")),
          ("scoring 3b: its copy stays", (world.goal(copy)["status"], world.goal(copy)["link"]["state"]), ("not_started", "paused")),
          ("scoring 3b: it has another one next time", postpone(world, goal)["copy_id"] != copy, True))


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
    below = {c["title"]: world.goal(c["goal_id"]) for c in copy["children"]}
    check(("2.9#4: aligned to nothing", (copy["title"], copy["parents"], copy["tags"], copy["copied_from_id"]), ("Again", [], ["a"], root)),
          ("2.9#4: no progress", (copy["value"], copy["progress"], copy["status"], copy["starts_on"]),
           (None, "0.0000", "not_started", PAST["starts_on"])),
          ("2.9#4: what is open below", [(c["title"], c["weight"], c["has_value"]) for c in copy["children"]],
           [("KR", "40.00", False), ("Fed", None, False), ("Project", None, False)]),
          ("2.9#4: metrics", [below["KR"][k] for k in ("metric", "start", "target", "value")], ["increase", "10", "110", None]),
          ("2.9#4: tasks, but no links", (below["Project"]["tasks"], below["Fed"]["link"]), ({"all": 1, "done": 0}, None)))
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
