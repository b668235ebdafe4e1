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
