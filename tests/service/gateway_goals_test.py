"""Goals over HTTP on a real PostgreSQL: what they are made of, who may do what, what follows from a change.

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


@pytest.fixture
def world(gateway):
    return World(gateway)


# ---- numbers, progress and status of one goal

# rule, definition, value, (progress, status); dates say that 100 or 0 is expected
ONE_GOAL = [
    ("2.4#1 S=15 T=35 P=20", {"metric": "increase", "start": "15", "target": "35"}, "20", ("25.0000", "at_risk")),
    ("2.4#1 decrease 3 to 0 at 2", {"metric": "decrease", "start": "3", "target": "0"}, "2", ("33.3333", "at_risk")),
    ("2.4#1 decrease 3 to 0 at 1", {"metric": "decrease", "start": "3", "target": "0"}, "1", ("66.6667", "at_risk")),
    ("2.4#1 decrease 3 to 0 at 0", {"metric": "decrease", "start": "3", "target": "0"}, "0", ("100.0000", "on_track")),
    ("reach may have a negative target", {"metric": "reach", "target": "-8"}, "-2", ("25.0000", "at_risk")),
    ("regular metrics are clamped above", {"metric": "reach", "target": "10"}, "14", ("100.0000", "on_track")),
    ("regular metrics are clamped below", {"metric": "increase", "start": "10", "target": "20"}, "9", ("0.0000", "at_risk")),
    ("plain percent shows 140 as 100", {}, "140", ("100.0000", "on_track")),
    ("plain percent shows -5 as 0", {}, "-5", ("0.0000", "at_risk")),
    ("4 decimals, halves away from zero", {}, "12.00005", ("12.0001", "at_risk")),
    ("20 digits before and 18 after the point", {}, "99999999999999999999.999999999999999999", ("100.0000", "on_track")),
    ("d = 0 is On track", {}, "100", ("100.0000", "on_track")),
    ("d above 0 is Behind, unrounded", {}, "99.999999999999999999", ("100.0000", "behind")),
    ("d = 25 is Behind", {}, "75", ("75.0000", "behind")),
    ("d above 25 is At risk, unrounded", {}, "74.999999999999999999", ("75.0000", "at_risk")),
    ("2.4#6 stay below: P < T", {"metric": "stay_below", "target": "5"}, "4.9", ("100.0000", "on_track")),
    ("2.4#6 stay below: P = T without R", {"metric": "stay_below", "target": "5"}, "5", ("0.0000", "at_risk")),
    ("2.4#7 stay below: T <= P < R", {"metric": "stay_below", "target": "5", "risk": "8"}, "5", ("0.0000", "behind")),
    ("2.4#7 stay below: P >= R", {"metric": "stay_below", "target": "5", "risk": "8"}, "8", ("0.0000", "at_risk")),
    ("2.4#6 stay above: P > T", {"metric": "stay_above", "target": "5"}, "5.1", ("100.0000", "on_track")),
    ("2.4#7 stay above: P = T with R", {"metric": "stay_above", "target": "5", "risk": "2"}, "5", ("0.0000", "behind")),
    ("2.4#7 stay above: P <= R", {"metric": "stay_above", "target": "5", "risk": "2"}, "2", ("0.0000", "at_risk")),
    ("baseline: no progress, In progress", {"metric": "baseline"}, "1234", ("0.0000", "in_progress")),
]


@pytest.mark.parametrize("rule, definition, value, shown", ONE_GOAL, ids=[row[0] for row in ONE_GOAL])
def test_progress_of_one_goal(world, rule, definition, value, shown):
    goal = world.create(kind="key_result", **PAST, **definition)
    assert world.state(goal) == ("0.0000", "not_started", None)  # a goal with no value yet is Not started
    world.check_in(goal, value)
    assert world.state(goal) == (*shown, value)


def test_expected_progress_runs_to_the_last_day(world):
    rows = [(PAST, "100.0000"), (FUTURE, "0.0000"), ({"starts_on": "2020-01-01", "ends_on": "2020-01-01"}, "100.0000")]
    for dates, expected in rows:
        assert world.goal(world.create(**dates))["expected_progress"] == expected
    assert world.goal(world.create(metric="baseline", **PAST))["expected_progress"] is None
    today = world.gateway.fleet.one("SELECT (now() AT TIME ZONE 'UTC')::date")
    days = world.gateway.fleet.sql("SELECT %s::date - 1, %s::date + 3, %s::date", today, today, today)[0]
    goal = world.goal(world.create(starts_on=str(days[0]), ends_on=str(days[1])))
    assert goal["expected_progress"] in ("25.0000", "50.0000")  # or midnight passed
    assert world.goal(world.create(starts_on=str(days[0]), ends_on=str(days[2])))["expected_progress"] == "100.0000"


@pytest.mark.parametrize("definition, pointer, words", [
    ({"metric": "reach", "target": "0"}, "/metric", "the same"),
    ({"metric": "increase", "start": "5", "target": "5.0"}, "/metric", "the same"),
    ({"metric": "increase", "start": "5", "target": "4"}, "/metric", "above the start"),
    ({"metric": "decrease", "start": "4", "target": "5"}, "/metric", "below the start"),
    ({"metric": "increase", "target": "4"}, "/metric", "no start"),
    ({"metric": "stay_below", "target": "5", "mode": "roll_up"}, "/metric", "cannot be rolled up"),
    ({"metric": "stay_below", "target": "5", "risk": "4"}, "/metric", "above the target"),
    ({"metric": "percent", "target": "5"}, "/metric", "neither start nor target"),
    ({"metric": "reach", "target": "100000000000000000000"}, "/target", "20 digits"),
    ({"metric": "reach", "target": "0.1234567890123456789"}, "/target", "18 behind it"),
    ({"starts_on": "2026-02-01", "ends_on": "2026-01-31"}, "/ends_on", "before starts_on"),
    ({"level": "team"}, "/team_ids", "names its teams"),
    ({"title": "   "}, "/title", "needs a title"),
    ({"owner_ids": [NOBODY]}, "/owner_ids", "does not have"),
    ({"delegate_id": NOBODY}, "/delegate_id", "does not have"),
    ({"period_id": NOBODY}, "/period_id", "does not have"),
    ({"team_ids": [NOBODY]}, "/team_ids", "does not have"),
    ({"parents": [{"goal_id": NOBODY}]}, "/parents/0/goal_id", "names no goal"),
])
def test_a_wrong_definition_is_refused_by_name(world, definition, pointer, words):
    answer = world.call("POST", f"/api/v1/organisations/{world.org}/goals", {"kind": "objective", "title": "x", **definition}, expect=422)
    assert [e["pointer"] for e in answer.json["errors"]] == [pointer]
    assert words in answer.json["detail"]


def test_an_edited_metric_recomputes_at_once_ancestors_included(world):
    top = world.create(mode="roll_up", **PAST)
    middle = world.create(mode="roll_up", parents=[top], **PAST)
    goal = world.create(kind="key_result", metric="reach", target="10", parents=[middle], **PAST)
    world.check_in(goal, 4)
    assert [world.state(g)[0] for g in (goal, middle, top)] == ["40.0000"] * 3
    for change, progress in [({"target": "5"}, "80.0000"), ({"metric": "increase", "start": "2", "target": "6"}, "50.0000"),
                             ({"metric": "stay_below", "start": None, "target": "5"}, "100.0000")]:
        world.edit(goal, **change)
        assert [world.state(g)[0] for g in (goal, middle, top)] == [progress] * 3
    world.edit(goal, target="4", risk="6")  # adding R counts at once
    assert world.state(goal)[1] == "behind"
    world.edit(top, **FUTURE)  # dates too
    assert world.state(top)[1] == "on_track"


def test_changed_limits_of_the_organisation_count_from_the_next_update(world):
    world.setting(behind_above=10, at_risk_above=30)
    goal = world.create(**PAST)
    for value, status in [(90, "on_track"), ("89.9", "behind"), (70, "behind"), ("69.9", "at_risk")]:
        world.check_in(goal, value)
        assert world.state(goal)[1] == status


# ---- weights and roll-up

# rule, values of the children (None: none), weights, progress, shares as shown
AVERAGES = [
    ("2.4#2 equal shares 0, 25, 20", ["0", "25", "20"], [None] * 3, "15.0000", ["33.34", "33.33", "33.33"]),
    ("2.4#3 weighted", ["10", "90"], ["75", "25"], "30.0000", ["75.00", "25.00"]),
    ("exact fractions, not shown shares", ["100", "100", "100"], [None] * 3, "100.0000", ["33.34", "33.33", "33.33"]),
    ("2.5 50 fixed and two others", ["100", "50", "0"], ["50", None, None], "62.5000", ["50.00", "25.00", "25.00"]),
    ("2.5 a fourth child", ["0", "100", "100", "100"], ["50", None, None, None], "50.0000", ["50.00", "16.67", "16.67", "16.66"]),
    ("2 decimals of a percent", ["100", "0"], ["33.33", None], "33.3300", ["33.33", "66.67"]),
    ("only fixed left, sum not 100", ["10", "90"], ["20", "60"], "70.0000", ["25.00", "75.00"]),
    ("fixed make 100: a free one has 0", ["10", "20", "100"], ["50", "50", None], "15.0000", ["50.00", "50.00", "0.00"]),
    ("rolls up what it shows", ["140", "-5"], [None, None], "50.0000", ["50.00", "50.00"]),
    ("all weights 0: no value", ["50", "50"], ["0", "0"], "0.0000", ["0.00", "0.00"]),
    ("no child has a value: no value", [None, None], [None, None], "0.0000", ["50.00", "50.00"]),
]


@pytest.mark.parametrize("rule, values, weights, progress, shown", AVERAGES, ids=[row[0] for row in AVERAGES])
def test_averages(world, rule, values, weights, progress, shown):
    parent = world.create(**PARENT)
    for value, weight in zip(values, weights):
        child = world.create(kind="key_result", parents=[{"goal_id": parent, "weight": weight}])
        if value is not None:
            world.check_in(child, value)
    goal = world.goal(parent)
    assert (goal["progress"], shares(goal)) == (progress, shown)
    assert goal["has_value"] == ("no value" not in rule)
    assert [child["weight"] for child in goal["children"]] == [f"{float(w):.2f}" if w else None for w in weights]


def test_a_percent_metric_follows_the_average(world):
    """2.4#4: 15 % from 30 to 60 is 34.5."""
    parent = world.create(metric="increase", unit="%", start="30", target="60", **PARENT)
    for value in (0, 25, 20):
        world.check_in(world.create(kind="key_result", parents=[parent]), value)
    assert world.state(parent) == ("15.0000", "at_risk", "34.5")


def test_a_numeric_objective_adds_up_its_unit(world):
    """2.4#5, and what goal-rules says of it."""
    parent = world.create(metric="reach", unit="EUR", target="2000", **PARENT)
    add = lambda **more: world.create(kind="key_result", parents=[parent], **more)  # noqa: E731
    a = add(metric="reach", target="100", unit="EUR")
    world.check_in(a, 10)
    world.check_in(add(metric="decrease", start="30", target="20", unit="EUR"), 25)
    add(metric="increase", start="1000", target="2000", unit="EUR")  # no value: adds its start
    world.check_in(add(metric="reach", target="100", unit="$"), 500)  # another unit
    world.check_in(add(metric="stay_below", target="100", unit="EUR"), 50)  # not a regular metric
    assert world.state(parent)[2] == "1035"
    weigh = lambda **more: world.call("PATCH", f"/api/v1/goals/{a}/parents/{parent}", more, expect=200)  # noqa: E731
    weigh(weight="0")
    assert world.state(parent)[2] == "1035"  # weights do not scale sums, nor does a share of 0 take a child out
    weigh(contributes=False)
    assert world.state(parent)[2] == "1025"


def test_baselines_add_up_only_among_themselves(world):
    parent = world.create(metric="baseline", **PARENT)
    for value in (3, "4.5"):
        world.check_in(world.create(kind="key_result", metric="baseline", parents=[parent]), value)
    assert world.state(parent) == ("0.0000", "in_progress", "7.5")
    world.check_in(world.create(kind="key_result", parents=[parent]), 50)
    assert world.state(parent) == ("0.0000", "not_started", None)
    average = world.create(**PARENT)
    world.check_in(world.create(kind="key_result", metric="baseline", parents=[average]), 99)
    world.check_in(world.create(kind="key_result", parents=[average]), 40)
    assert world.state(average)[0] == "40.0000"  # outside an average


def test_a_weight_belongs_to_the_edge(world):
    """A child of two parents has a weight for each, and counts in full for both."""
    a, b = world.create(**PARENT), world.create(**PARENT)
    child = world.create(kind="key_result", parents=[{"goal_id": a, "weight": "20"}, {"goal_id": b, "weight": "60"}])
    for parent in (a, b):
        world.create(kind="key_result", parents=[parent])
    world.check_in(child, 100)
    assert (world.state(a)[0], world.state(b)[0]) == ("20.0000", "60.0000")
    assert {(p["goal_id"], p["weight"], p["share"]) for p in world.goal(child)["parents"]} == {(a, "20.00", "20.00"), (b, "60.00", "60.00")}


def test_adding_and_removing_children_moves_free_shares_only(world):
    parent = world.create(**PARENT)
    first = world.create(kind="key_result", parents=[{"goal_id": parent, "weight": "40"}])
    world.check_in(first, 100)
    rest = []
    for progress in ("40.0000", "40.0000", "40.0000"):
        rest.append(world.create(kind="key_result", parents=[parent]))
        assert world.state(parent)[0] == progress
    for child in rest:
        world.call("DELETE", f"/api/v1/goals/{child}/parents/{parent}", expect=204)
    assert world.state(parent)[0] == "100.0000"  # only fixed weights left: divided by their sum
    world.call("DELETE", f"/api/v1/goals/{first}/parents/{parent}", expect=204)
    assert world.state(parent) == ("0.0000", "not_started", None)
    assert [i["kind"] for i in world.feed(parent) if i["type"] == "activity"].count("unaligned") == 4


def test_weights_of_a_parent_in_one_request(world):
    parent = world.create(**PARENT)
    a, b, c = (world.create(title=t, kind="key_result", parents=[parent]) for t in "abc")
    world.check_in(a, 100)
    path = f"/api/v1/goals/{parent}/weights"
    put = lambda children, expect=200: world.call("PUT", path, {"children": children}, expect=expect)  # noqa: E731
    goal = put([{"goal_id": c, "weight": "10.5"}, {"goal_id": a, "weight": "60"}, {"goal_id": b}]).json
    assert [(x["title"], x["share"]) for x in goal["children"]] == [("c", "10.50"), ("a", "60.00"), ("b", "29.50")]
    assert goal["progress"] == "60.0000"
    assert "\"c\" is missing" in put([{"goal_id": a}, {"goal_id": b}], 422).json["detail"]
    assert put([{"goal_id": x} for x in (a, b, c, c)], 422).json["errors"][0]["pointer"] == "/children/3/goal_id"
    assert put([{"goal_id": x} for x in (a, b, NOBODY, c)], 422).json["errors"][0]["pointer"] == "/children/2/goal_id"
    assert "110.50 percent" in put([{"goal_id": a, "weight": "60"}, {"goal_id": b, "weight": "50.5"}, {"goal_id": c}], 422).json["detail"]
    assert world.goal(parent)["progress"] == "60.0000"  # all or nothing
    assert shares(world.call("POST", path + "/reset", expect=200).json) == ["33.34", "33.33", "33.33"]
    assert world.state(parent)[0] == "33.3333"


@pytest.mark.parametrize("weight", ["33.333", "100.01", "-1", "x", "1e1", ""])
def test_a_weight_is_a_percentage_with_2_decimals(world, weight):
    parent, child = world.create(**PARENT), world.create()
    world.call("POST", f"/api/v1/goals/{child}/parents", {"parent_id": parent, "weight": weight}, expect=422)


def test_fixed_weights_above_100_are_refused_however_they_come(world):
    parent = world.create(**PARENT)
    world.create(parents=[{"goal_id": parent, "weight": "70"}])
    other = world.create(parents=[{"goal_id": parent, "weight": "30"}])
    assert "above 100" in world.create(expect=422, parents=[{"goal_id": parent, "weight": "0.01"}]).json["detail"]
    world.call("PATCH", f"/api/v1/goals/{other}/parents/{parent}", {"weight": "30.01"}, expect=422)
    world.call("POST", f"/api/v1/goals/{world.create()}/parents", {"parent_id": parent, "weight": "5"}, expect=422)
    assert shares(world.goal(parent)) == ["70.00", "30.00"]


def test_whether_a_child_contributes_is_settled_when_it_is_aligned(world):
    parent = world.create(**PARENT)
    contributes = lambda: [c["contributes"] for c in world.goal(parent)["children"]]  # noqa: E731
    world.create(kind="key_result", parents=[parent])
    world.create(kind="project", parents=[parent])  # projects do not by default
    world.create(kind="project", parents=[{"goal_id": parent, "weight": "10"}])  # unless a weight says so
    world.setting(projects_contribute=True)
    assert contributes() == [True, False, True]  # later settings change nothing
    world.create(kind="project", parents=[parent])
    world.setting(aligned_contribute=False)
    world.create(kind="key_result", parents=[parent])
    world.create(kind="objective", parents=[{"goal_id": parent, "contributes": True}])
    assert contributes() == [True, False, True, True, False, True]


def test_status_in_roll_up_mode(world):
    parent = world.create(**PARENT)
    a, b = (world.create(kind="key_result", parents=[parent], **PAST) for _ in range(2))
    assert world.state(parent)[1] == "not_started"
    world.check_in(a, status="on_track")  # a status set by hand is no value
    assert world.state(parent)[1] == "not_started"
    world.check_in(a, 100)
    assert world.state(parent) == ("50.0000", "at_risk", "50")
    world.check_in(b, 100)
    assert world.state(parent)[1] == "on_track"


def test_status_from_key_results_worst_wins(world):
    world.setting(status_mode="key_results")
    parent = world.create(**PARENT)
    a, b = (world.create(kind="key_result", parents=[parent], **PAST) for _ in range(2))
    for first, second, status in [(100, 100, "on_track"), (100, 80, "behind"), (10, 80, "at_risk")]:
        world.check_in(a, first)
        world.check_in(b, second)
        assert world.state(parent)[1] == status


# ---- automatic, manual, override

def test_a_one_off_override_lasts_until_the_automatic_value_differs(world):
    parent = world.create(**PARENT)
    child = world.create(kind="key_result", parents=[parent])
    world.check_in(child, 40)
    world.check_in(parent, 90)
    goal = world.goal(parent)
    assert (goal["value"], goal["automatic_value"], goal["override"], goal["progress"]) == ("90", "40", "one_off", "90.0000")
    world.check_in(child, 40, note="the same again")
    assert world.goal(parent)["override"] == "one_off"  # an unchanged value changes nothing
    world.check_in(child, 41)
    goal = world.goal(parent)
    assert (goal["value"], goal["automatic_value"], goal["override"]) == ("41", "41", "none")


def test_a_sticky_override_lasts_until_it_is_resumed(world):
    top = world.create(**PARENT)
    parent = world.create(parents=[top], **PARENT)
    child = world.create(kind="key_result", parents=[parent])
    world.check_in(child, 40)
    world.check_in(parent, 90, sticky=True)
    for value in (50, 60):
        world.check_in(child, value)
        goal = world.goal(parent)
        assert (goal["value"], goal["automatic_value"], goal["override"]) == ("90", str(value), "sticky")
    world.check_in(parent, 80)  # a later one-off stays sticky
    world.check_in(child, 70)
    assert world.state(parent)[2] == "80" and world.state(top)[0] == "80.0000"
    resumed = world.call("POST", f"/api/v1/goals/{parent}/resume", expect=200).json
    assert (resumed["value"], resumed["override"]) == ("70", "none")
    assert world.state(top)[0] == "70.0000"
    assert "resumed" in [i.get("kind") for i in world.feed(parent)]
    assert "manual" in world.call("POST", f"/api/v1/goals/{child}/resume", expect=422).json["detail"]


def test_a_status_by_hand_holds_until_the_next_check_in(world):
    goal = world.create(**PAST)
    world.check_in(goal, 100, status="at_risk")
    assert (world.state(goal)[1], world.goal(goal)["status_by_hand"]) == ("at_risk", True)
    world.check_in(goal, 100)
    assert (world.state(goal)[1], world.goal(goal)["status_by_hand"]) == ("on_track", False)
    baseline = world.create(metric="baseline")
    answer = world.call("POST", f"/api/v1/goals/{baseline}/check-ins", {"status": "on_track"}, expect=422)
    assert "baseline goal cannot be on_track" in answer.json["detail"]
