"""Goals over HTTP on a real PostgreSQL: what they are made of, who may do what, what follows from a change.

The tables name the lines of the rules they show; those that need no gateway stand in tests/unit/goals_*_test.c."""
import json
import string
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
    ("progress 1a, 2.4#1: from 15 to 35, now 20", {"metric": "increase", "start": "15", "target": "35"}, "20", ("25.0000", "at_risk")),
    ("progress 1a, 2.4#1: from 3 to 0, now 2", {"metric": "decrease", "start": "3", "target": "0"}, "2", ("33.3333", "at_risk")),
    ("2.4#1: from 3 to 0, now 1", {"metric": "decrease", "start": "3", "target": "0"}, "1", ("66.6667", "at_risk")),
    ("2.4#1: from 3 to 0, now 0", {"metric": "decrease", "start": "3", "target": "0"}, "0", ("100.0000", "on_track")),
    ("progress 1c: a reach to -8", {"metric": "reach", "target": "-8"}, "-2", ("25.0000", "at_risk")),
    ("progress 1a: 14 of 10", {"metric": "reach", "target": "10"}, "14", ("100.0000", "on_track")),
    ("progress 1a: below its start", {"metric": "increase", "start": "10", "target": "20"}, "9", ("0.0000", "at_risk")),
    ("numbers 3a, numbers 3b: 140", {}, "140", ("100.0000", "on_track")),
    ("numbers 3a, numbers 3b: -5", {}, "-5", ("0.0000", "at_risk")),
    ("numbers 2c, numbers 2e: the fifth decimal is a half", {}, "12.00005", ("12.0001", "at_risk")),
    ("numbers 1a: 20 digits and 18 decimals", {}, "99999999999999999999.999999999999999999", ("100.0000", "on_track")),
    ("status 1a: where it is expected", {}, "100", ("100.0000", "on_track")),
    ("status 1a, numbers 2b: behind by the last decimal", {}, "99.999999999999999999", ("100.0000", "behind")),
    ("status 1a: 25 behind", {}, "75", ("75.0000", "behind")),
    ("status 1a, numbers 2b: 25 and the last decimal behind", {}, "74.999999999999999999", ("75.0000", "at_risk")),
    ("progress 2a, 2.4#6: stay below, inside", {"metric": "stay_below", "target": "5"}, "4.9", ("100.0000", "on_track")),
    ("2.4#6: stay below, on the target, no risk threshold", {"metric": "stay_below", "target": "5"}, "5", ("0.0000", "at_risk")),
    ("progress 2b, progress 2d: stay below, on the target", {"metric": "stay_below", "target": "5", "risk": "8"}, "5", ("0.0000", "behind")),
    ("progress 2b, progress 2d: stay below, on the risk", {"metric": "stay_below", "target": "5", "risk": "8"}, "8", ("0.0000", "at_risk")),
    ("progress 2a, 2.4#6: stay above, inside", {"metric": "stay_above", "target": "5"}, "5.1", ("100.0000", "on_track")),
    ("progress 2c, progress 2d: stay above, on the target", {"metric": "stay_above", "target": "5", "risk": "2"}, "5", ("0.0000", "behind")),
    ("progress 2c, progress 2d: stay above, on the risk", {"metric": "stay_above", "target": "5", "risk": "2"}, "2", ("0.0000", "at_risk")),
    ("progress 3a, progress 3b: a baseline", {"metric": "baseline"}, "1234", ("0.0000", "in_progress")),
]


@pytest.mark.parametrize("rule, definition, value, shown", ONE_GOAL, ids=[row[0] for row in ONE_GOAL])
def test_progress_of_one_goal(world, rule, definition, value, shown):
    goal = world.create(kind="key_result", **PAST, **definition)
    assert world.state(goal) == ("0.0000", "not_started", None)  # a goal with no value yet is Not started
    world.check_in(goal, value)
    assert world.state(goal) == (*shown, value)


# rule, first and last day from today on, expected progress
EXPECTED = [
    ("2.4#11: the day before the first", 1, 10, "0.0000"),
    ("2.4#11: the first day", 0, 10, "0.0000"),
    ("progress 5a: the fourteenth of 26 days", -13, 12, "52.0000"),
    ("progress 5a, numbers 2c: a third", -1, 2, "33.3333"),
    ("progress 5a: the day before the last", -9, 1, "90.0000"),
    ("progress 5a, 2.4#11: the last day", -10, 0, "100.0000"),
    ("2.4#11: the day after the last", -10, -1, "100.0000"),
    ("progress 5b: of one day, the day before", 1, 1, "0.0000"),
    ("progress 5b: of one day, that day", 0, 0, "100.0000"),
]


@pytest.mark.parametrize("rule, first, last, expected", EXPECTED, ids=[row[0] for row in EXPECTED])
def test_expected_progress(world, rule, first, last, expected):
    world.at_noon()
    dates = {"starts_on": world.day(first), "ends_on": world.day(last)}
    goal = world.create(**dates)
    assert world.goal(goal)["expected_progress"] == expected
    assert world.goal(world.create(metric="baseline", **dates))["expected_progress"] is None


# rule, first and last day from today on, the goal, its value, by hand, at risk?
ALERTS = [
    ("status 1d: 25 behind", (-2, 2), {}, "25", None, False),
    ("status 1d: 25 and a bit behind", (-2, 2), {}, "24.9999", None, True),
    ("status 1d, numbers 2b: 2 of 3 days, 5 of 12", (-2, 1), {"metric": "reach", "target": "12"}, "5", None, False),
    ("status 1d, numbers 2b: 2 of 3 days, 5 of 12 but for the last decimal", (-2, 1), {"metric": "reach", "target": "12"},
     "4.999999999999999999", None, True),
    ("status 1d: whatever a hand says", (-3, 1), {}, "10", "on_track", True),
    ("status 1d: without a value", (-2, 2), {}, None, None, True),
    ("status 1d: a baseline", (-3, 1), {"metric": "baseline"}, "10", None, False),
    ("status 1d: a control metric behind", (-3, 1), {"metric": "stay_below", "target": "5", "risk": "8"}, "6", None, False),
    ("status 1d: a control metric at risk", (-3, 1), {"metric": "stay_below", "target": "5", "risk": "8"}, "8", None, True),
    ("status 1d: a control metric at risk, whatever a hand says", (-3, 1), {"metric": "stay_above", "target": "5"}, "5", "on_track", True),
    ("status 1d: a control metric that a hand puts at risk", (-3, 1), {"metric": "stay_above", "target": "5"}, "6", "at_risk", False),
]


@pytest.mark.parametrize("rule, days, definition, value, status, alert", ALERTS, ids=[row[0] for row in ALERTS])
def test_the_alert_goes_by_the_second_limit(world, rule, days, definition, value, status, alert):
    world.at_noon()
    goal = world.create(kind="key_result", starts_on=world.day(days[0]), ends_on=world.day(days[1]), **definition)
    if value is not None:
        world.check_in(goal, value, **({"status": status} if status else {}))
    shown = world.goal(goal)
    assert ("at_risk" in shown["alerts"]) == alert
    assert status or value is None or (shown["status"] == "at_risk") == alert  # derived by the same limit


def test_the_alert_goes_by_the_organisations_limit(world):
    world.setting(at_risk_above=40)
    goal = world.create(**PAST)
    for value, alert in [("60", False), ("59.99", True)]:
        world.check_in(goal, value)
        assert ("at_risk" in world.goal(goal)["alerts"]) == alert


# rule, definition, what the answer points to, and some of its words
REFUSED = [
    ("progress 1b: a reach to 0", {"metric": "reach", "target": "0"}, "/metric", "the same"),
    ("progress 1b: an increase to its start", {"metric": "increase", "start": "5", "target": "5.0"}, "/metric", "the same"),
    ("an increase downwards", {"metric": "increase", "start": "5", "target": "4"}, "/metric", "above the start"),
    ("a decrease upwards", {"metric": "decrease", "start": "4", "target": "5"}, "/metric", "below the start"),
    ("an increase from nowhere", {"metric": "increase", "target": "4"}, "/metric", "no start"),
    ("progress 2e: a control metric in roll-up mode", {"metric": "stay_below", "target": "5", "mode": "roll_up"}, "/metric", "cannot be rolled up"),
    ("2.4#7: stay below, R below the target", {"metric": "stay_below", "target": "5", "risk": "4"}, "/metric", "above the target"),
    ("plain percent with a target", {"metric": "percent", "target": "5"}, "/metric", "neither start nor target"),
    ("numbers 1b: 21 digits", {"metric": "reach", "target": "100000000000000000000"}, "/target", "20 digits"),
    ("numbers 1b: 19 decimals", {"metric": "reach", "target": "0.1234567890123456789"}, "/target", "18 behind it"),
    ("ends before it starts", {"starts_on": "2026-02-01", "ends_on": "2026-01-31"}, "/ends_on", "before starts_on"),
    ("a team's without a team", {"level": "team"}, "/team_ids", "names its teams"),
    ("an empty title", {"title": "   "}, "/title", "needs a title"),
    ("nobody's", {"owner_ids": [NOBODY]}, "/owner_ids", "does not have"),
    ("with nobody as a delegate", {"delegate_id": NOBODY}, "/delegate_id", "does not have"),
    ("of no period", {"period_id": NOBODY}, "/period_id", "does not have"),
    ("of no team", {"team_ids": [NOBODY]}, "/team_ids", "does not have"),
    ("below no goal", {"parents": [{"goal_id": NOBODY}]}, "/parents/0/goal_id", "names no goal"),
]


@pytest.mark.parametrize("rule, definition, pointer, words", REFUSED, ids=[row[0] for row in REFUSED])
def test_a_wrong_definition_is_refused_by_name(world, rule, definition, pointer, words):
    answer = world.call("POST", f"/api/v1/organisations/{world.org}/goals", {"kind": "objective", "title": "x", **definition}, expect=422)
    assert [e["pointer"] for e in answer.json["errors"]] == [pointer]
    assert words in answer.json["detail"]


# rule, change, progress and status of the goal; it and what stands above it have the value 4 and were expected at 100
EDITS = [
    ("status 5b, automatic 3a: another target", {"target": "5"}, ("80.0000", "behind")),
    ("status 5b, automatic 3a: another kind and start", {"metric": "increase", "start": "2", "target": "6"}, ("50.0000", "at_risk")),
    ("status 5b, automatic 3a: a control metric", {"metric": "stay_below", "target": "5"}, ("100.0000", "on_track")),
    ("status 5b, automatic 3a, 2.4#7: a threshold more", {"metric": "stay_below", "target": "4", "risk": "6"}, ("0.0000", "behind")),
    ("automatic 3a: a baseline", {"metric": "baseline", "target": None}, ("0.0000", "in_progress")),
    ("status 5b, automatic 3a: other dates", FUTURE, ("40.0000", "on_track")),
]


@pytest.mark.parametrize("rule, change, state", EDITS, ids=[row[0] for row in EDITS])
def test_an_edited_metric_recomputes_at_once_ancestors_included(world, rule, change, state):
    top = world.create(mode="roll_up", **PAST)
    middle = world.create(mode="roll_up", parents=[top], **PAST)
    goal = world.create(kind="key_result", metric="reach", target="10", parents=[middle], **PAST)
    world.check_in(goal, 4)
    assert [world.state(g)[0] for g in (goal, middle, top)] == ["40.0000"] * 3
    world.edit(goal, **change)
    assert world.state(goal) == (*state, "4")
    assert [world.state(g)[0] for g in (middle, top)] == [state[0]] * 2


# rule, limits, values with the status each has where 100 is expected
LIMITS = [
    ("status 1c: 10 and 30", (10, 30), [("90", "on_track"), ("89.9", "behind"), ("70", "behind"), ("69.9", "at_risk")]),
    ("status 1c: 0 and 100", (0, 100), [("100", "on_track"), ("99.9", "behind"), ("0", "behind")]),
    ("status 1c: hundredths of a point", (0.01, 0.02), [("99.99", "on_track"), ("99.98", "behind"), ("99.97", "at_risk")]),
]


@pytest.mark.parametrize("rule, limits, values", LIMITS, ids=[row[0] for row in LIMITS])
def test_limits_of_the_organisation(world, rule, limits, values):
    world.setting(behind_above=limits[0], at_risk_above=limits[1])
    goal = world.create(**PAST)
    for value, status in values:
        world.check_in(goal, value)
        assert world.state(goal)[1] == status


# rule, change of 0 and 25, refused?
WRONG_LIMITS = [
    ("status 1b: the wrong way round", {"behind_above": "30"}, True),
    ("status 1b: the same", {"behind_above": "25"}, True),
    ("status 1b: below 0", {"behind_above": "-1"}, True),
    ("status 1b: above 100", {"at_risk_above": "100.01"}, True),
    ("status 1b: finer than hundredths", {"at_risk_above": "20.125"}, True),
    ("status 1b: as wide as can be", {"at_risk_above": "100"}, False),
    ("scoring 1e: the wrong way round", {"amber_from": "0.8"}, True),
    ("scoring 1e: amber for nothing", {"amber_from": "0"}, True),
    ("scoring 1e: above 1", {"green_from": "1.01"}, True),
    ("scoring 1e: green for all", {"green_from": "1"}, False),
]


@pytest.mark.parametrize("rule, change, refused", WRONG_LIMITS, ids=[row[0] for row in WRONG_LIMITS])
def test_wrong_limits_are_refused(world, rule, change, refused):
    before = world.call("GET", f"/api/v1/organisations/{world.org}", expect=200).json
    world.call("PATCH", f"/api/v1/organisations/{world.org}", change, expect=422 if refused else 200)
    after = world.call("GET", f"/api/v1/organisations/{world.org}", expect=200).json
    assert {k: after[k] for k in change} == ({k: before[k] for k in change} if refused else change)


# ---- weights and roll-up

# rule, values of the children (None: none), weights, progress (None: no value), shares as shown
AVERAGES = [
    ("weights 2c, 2.4#2: 0, 25, 20 alike", ["0", "25", "20"], [None] * 3, "15.0000", ["33.34", "33.33", "33.33"]),
    ("2.4#3: three quarters and one", ["10", "90"], ["75", "25"], "30.0000", ["75.00", "25.00"]),
    ("weights 2d, weights 2e: three thirds are all", ["100", "100", "100"], [None] * 3, "100.0000", ["33.34", "33.33", "33.33"]),
    ("weights 2c, 2.5#3: 50 fixed and two others", ["100", "50", "0"], ["50", None, None], "62.5000", ["50.00", "25.00", "25.00"]),
    ("weights 2d, 2.5#3: a fourth child", ["0", "100", "100", "100"], ["50", None, None, None], "50.0000", ["50.00", "16.67", "16.67", "16.66"]),
    ("weights 2a: 33.33 fixed", ["100", "0"], ["33.33", None], "33.3300", ["33.33", "66.67"]),
    ("weights 3a: fixed ones that make 80", ["10", "90"], ["20", "60"], "70.0000", ["25.00", "75.00"]),
    ("weights 2c: where fixed ones make 100 a free one has nothing", ["10", "20", "100"], ["50", "50", None], "15.0000", ["50.00", "50.00", "0.00"]),
    ("numbers 3b: 140 and -5", ["140", "-5"], [None, None], "50.0000", ["50.00", "50.00"]),
    ("weights 3b: all weights 0", ["50", "50"], ["0", "0"], None, ["0.00", "0.00"]),
    ("status 2b: no child has a value", [None, None], [None, None], None, ["50.00", "50.00"]),
]


@pytest.mark.parametrize("rule, values, weights, progress, shown", AVERAGES, ids=[row[0] for row in AVERAGES])
def test_averages(world, rule, values, weights, progress, shown):
    parent = world.create(**PARENT)
    for value, weight in zip(values, weights):
        child = world.create(kind="key_result", parents=[{"goal_id": parent, "weight": weight}])
        if value is not None:
            world.check_in(child, value)
    goal = world.goal(parent)
    assert (goal["progress"], shares(goal)) == (progress or "0.0000", shown)
    assert goal["has_value"] == (progress is not None)
    assert [child["weight"] for child in goal["children"]] == [f"{float(w):.2f}" if w else None for w in weights]


REACH = {"metric": "reach", "unit": "EUR", "target": "100"}
DECREASE = {"metric": "decrease", "unit": "EUR", "start": "30", "target": "20"}
INCREASE = {"metric": "increase", "unit": "EUR", "start": "1000", "target": "2000"}
NUMBER = {"metric": "reach", "unit": "EUR", "target": "1000"}
BASELINE = {"metric": "baseline"}
# rule, the parent, its children with their values and what is said of the alignment, the parent's progress, status and value
FAMILIES = [
    ("2.4#4: 15 % from 30 to 60", {"metric": "increase", "unit": "%", "start": "30", "target": "60"},
     [({}, 0, {}), ({}, 25, {}), ({}, 20, {})], ("15.0000", "at_risk", "34.5")),
    ("2.4#4: 15 % from 60 to 30", {"metric": "decrease", "unit": "%", "start": "60", "target": "30"},
     [({}, 0, {}), ({}, 25, {}), ({}, 20, {})], ("15.0000", "at_risk", "55.5")),
    ("weights 6a, 2.4#5: a reach and a decrease", NUMBER, [(REACH, 475, {}), (DECREASE, 25, {})], ("50.0000", "at_risk", "500")),
    ("weights 6a: another unit", NUMBER, [(REACH, 500, {}), ({**REACH, "unit": "$"}, 400, {})], ("50.0000", "at_risk", "500")),
    ("weights 6a: no unit is another one", NUMBER, [(REACH, 500, {}), ({**REACH, "unit": ""}, 400, {})], ("50.0000", "at_risk", "500")),
    ("weights 6a: a control metric", NUMBER, [(REACH, 500, {}), ({"metric": "stay_below", "unit": "EUR", "target": "9"}, 5, {})],
     ("50.0000", "at_risk", "500")),
    ("weights 6b: one without a value", NUMBER, [(REACH, 0, {}), (INCREASE, None, {})], ("100.0000", "on_track", "1000")),
    ("status 2b, weights 6b: none with a value", NUMBER, [(REACH, None, {}), (INCREASE, None, {})], ("0.0000", "not_started", None)),
    ("weights 6d: 90 and 10 percent", NUMBER, [(REACH, 475, {"weight": "90"}), (DECREASE, 25, {"weight": "10"})], ("50.0000", "at_risk", "500")),
    ("weights 6e: the other one makes 100", NUMBER, [(REACH, 475, {"weight": "100"}), (DECREASE, 25, {})], ("50.0000", "at_risk", "500")),
    ("weights 6e, weights 6f: a weight of 0", NUMBER, [(REACH, 475, {}), (DECREASE, 25, {"weight": "0"})], ("50.0000", "at_risk", "500")),
    ("weights 6f, 2.4#5: one does not contribute", NUMBER, [(REACH, 500, {}), (DECREASE, 25, {"contributes": False})],
     ("50.0000", "at_risk", "500")),
    ("weights 5b, 2.4#9: two baselines", BASELINE, [(BASELINE, 3, {}), (BASELINE, "4.5", {})], ("0.0000", "in_progress", "7.5")),
    ("weights 5c: one is in percent", BASELINE, [(BASELINE, 3, {}), ({}, 50, {})], ("0.0000", "not_started", None)),
    ("weights 5a: one is a baseline", {}, [(BASELINE, 99, {}), ({}, 40, {})], ("40.0000", "at_risk", "40")),
    ("2.4#8: a control metric that is missed", {}, [({"metric": "stay_below", "target": "5"}, 5, {}), ({}, 40, {})], ("20.0000", "at_risk", "20")),
    ("2.4#8: a guard that weighs nothing", {}, [({"metric": "stay_below", "target": "5"}, 5, {"weight": "0"}), ({}, 40, {})],
     ("40.0000", "at_risk", "40")),
]


@pytest.mark.parametrize("rule, definition, children, state", FAMILIES, ids=[row[0] for row in FAMILIES])
def test_families(world, rule, definition, children, state):
    parent = world.create(**definition, **PARENT)
    for child, value, edge in children:
        goal = world.create(kind="key_result", parents=[{"goal_id": parent, **edge}], **child)
        if value is not None:
            world.check_in(goal, value)
    assert world.state(parent) == state


# rule, the child's weight below each of its parents, their progress; it has 100, its only sibling there no value
PARENTS = [
    ("weights 1a, weights 1b: 20 and 60", ("20", "60"), ("20.0000", "60.0000")),
    ("weights 1b: fixed here, free there", ("20", None), ("20.0000", "50.0000")),
    ("2.7#1: free below both, and in full", (None, None), ("50.0000", "50.0000")),
]


@pytest.mark.parametrize("rule, weights, progress", PARENTS, ids=[row[0] for row in PARENTS])
def test_a_weight_belongs_to_the_edge(world, rule, weights, progress):
    parents = [world.create(**PARENT) for _ in weights]
    child = world.create(kind="key_result", parents=[{"goal_id": p, "weight": w} for p, w in zip(parents, weights)])
    for parent in parents:
        world.create(kind="key_result", parents=[parent])
    world.check_in(child, 100)
    assert tuple(world.state(p)[0] for p in parents) == progress
    shown = {p["goal_id"]: (p["weight"], p["share"]) for p in world.goal(child)["parents"]}
    assert shown == {p: (f"{w}.00" if w else None, f"{w or 50}.00") for p, w in zip(parents, weights)}


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


# rule, weight
WRONG_WEIGHTS = [
    ("weights 2a: three decimals", "33.333"), ("weights 2a: more than all", "100.01"), ("weights 2a: less than nothing", "-1"),
    ("weights 2a: no number", "x"), ("weights 2a: with an exponent", "1e1"), ("weights 2a: an empty text", ""),
]


@pytest.mark.parametrize("rule, weight", WRONG_WEIGHTS, ids=[row[0] for row in WRONG_WEIGHTS])
def test_a_weight_is_a_percentage_with_2_decimals(world, rule, weight):
    parent, child = world.create(**PARENT), world.create()
    world.call("POST", f"/api/v1/goals/{child}/parents", {"parent_id": parent, "weight": weight}, expect=422)


# rule, what is asked for below a parent whose children have 70 and 30; $parent, $b (of 30) and $new stand for goals
ABOVE_100 = [
    ("weights 2b: a new goal", "POST", "/organisations/$org/goals", {"kind": "key_result", "title": "x", "parents": [{"goal_id": "$parent", "weight": "0.01"}]}),
    ("weights 2b: another alignment", "POST", "/goals/$new/parents", {"parent_id": "$parent", "weight": "5"}),
    ("weights 2b: another weight", "PATCH", "/goals/$b/parents/$parent", {"weight": "30.01"}),
    ("weights 2b: all weights", "PUT", "/goals/$parent/weights", {"children": [{"goal_id": "$a", "weight": "70"}, {"goal_id": "$b", "weight": "30.01"}]}),
    ("weights 2b: a child that shall count again", "PATCH", "/goals/$out/parents/$parent", {"contributes": True}),
]


@pytest.mark.parametrize("rule, method, path, body", ABOVE_100, ids=[row[0] for row in ABOVE_100])
def test_fixed_weights_above_100_are_refused_however_they_come(world, rule, method, path, body):
    parent = world.create(**PARENT)
    ids = {"org": str(world.org), "parent": parent, "new": world.create()}
    ids["a"] = world.create(parents=[{"goal_id": parent, "weight": "70"}])
    ids["b"] = world.create(parents=[{"goal_id": parent, "weight": "30"}])
    if "$out" in path:
        ids["out"] = world.create(parents=[{"goal_id": parent, "weight": "1", "contributes": False}])
    before = world.goal(parent)
    fill = lambda text: string.Template(text).substitute(ids)  # noqa: E731
    refused = world.call(method, "/api/v1" + fill(path), json.loads(fill(json.dumps(body))), expect=422).json
    assert "above 100" in refused["detail"]
    assert world.goal(parent) == before


# rule, status mode, children with what is said of the alignment, by hand or checked in, in this order; the parent's status
STATUSES = [
    ("status 2b: no child", "progress", [], "not_started"),
    ("status 2b: none has a value", "progress", [({}, {}, {})], "not_started"),
    ("status 2c: statuses by hand", "progress", [({}, {"status": "on_track"}, {}), ({}, {"status": "at_risk"}, {})], "not_started"),
    ("status 2c: an unbegun project", "progress", [({"kind": "project", "mode": "roll_up"}, {}, {"contributes": True})], "not_started"),
    ("status 3d: by the lag", "progress", [({}, {"value": "100"}, {}), ({}, {"value": "100"}, {})], "on_track"),
    ("status 3d: by the lag, whatever the children say", "progress", [({}, {"value": "100", "status": "at_risk"}, {})], "on_track"),
    ("status 3d: one without a value", "progress", [({}, {"value": "100"}, {}), ({}, {}, {})], "at_risk"),
    ("status 4a: the worst wins", "key_results", [({}, {"value": "100"}, {}), ({}, {"value": "80"}, {}), ({}, {"value": "10"}, {})], "at_risk"),
    ("status 4a: then behind", "key_results", [({}, {"value": "100"}, {}), ({}, {"value": "80"}, {}), ({}, {}, {})], "behind"),
    ("status 4b: all alike", "key_results", [({}, {"value": "80"}, {}), ({}, {"value": "80"}, {})], "behind"),
    ("status 4g: a baseline in progress", "key_results", [({"metric": "baseline"}, {"value": "9"}, {}), ({}, {"value": "80"}, {})], "behind"),
    ("status 3e: a guard that weighs nothing", "key_results", [({}, {"value": "100"}, {}), ({}, {"value": "10"}, {"weight": "0"})], "at_risk"),
    ("status 3e: one that does not contribute", "key_results", [({}, {"value": "100"}, {}), ({}, {"value": "10"}, {"contributes": False})],
     "at_risk"),
    ("status 3e: a project", "key_results", [({}, {"value": "100"}, {}), ({"kind": "project"}, {"value": "10"}, {"contributes": True})], "on_track"),
    ("status 2c, status 4a: statuses by hand, none with a value", "key_results", [({}, {"status": "at_risk"}, {})], "not_started"),
]


@pytest.mark.parametrize("rule, mode, children, status", STATUSES, ids=[row[0] for row in STATUSES])
def test_statuses_of_what_rolls_up(world, rule, mode, children, status):
    world.setting(status_mode=mode)
    parent = world.create(**PARENT)
    for child, said, edge in children:
        goal = world.create(**{"kind": "key_result", "parents": [{"goal_id": parent, **edge}], **PAST, **child})
        if said:
            world.check_in(goal, **said)
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


# rule, check-ins on a goal expected at 100, status and whether it is by hand after each
BY_HAND = [
    ("status 6a: without a status", [({"value": "100"}, ("on_track", False)), ({"value": "10"}, ("at_risk", False))]),
    ("status 6a: with one, then without", [({"value": "100", "status": "at_risk"}, ("at_risk", True)), ({"value": "100"}, ("on_track", False))]),
    ("status 6a: a note alone is a check-in without a status", [({"value": "100", "status": "at_risk"}, ("at_risk", True)),
                                                                ({"note": "so?"}, ("on_track", False))]),
    ("status 6a: nothing but a status", [({"value": "100"}, ("on_track", False)), ({"status": "behind"}, ("behind", True))]),
]


@pytest.mark.parametrize("rule, steps", BY_HAND, ids=[row[0] for row in BY_HAND])
def test_a_status_by_hand_holds_until_the_next_check_in(world, rule, steps):
    goal = world.create(**PAST)
    for said, shown in steps:
        world.check_in(goal, **said)
        assert (world.state(goal)[1], world.goal(goal)["status_by_hand"]) == shown


# rule, another mode of a manual goal with check-ins, values below it, its state then
MODES = [
    ("2.6#6: a source, which was not asked yet", "data_source", [], ("40.0000", "at_risk", "40")),
    ("2.6#6: rolling up", "roll_up", [70, 90], ("80.0000", "behind", "80")),
    ("2.6#6: rolling up nothing", "roll_up", [], ("0.0000", "not_started", None)),
]


@pytest.mark.parametrize("rule, mode, values, state", MODES, ids=[row[0] for row in MODES])
def test_another_mode_keeps_the_check_ins(world, rule, mode, values, state):
    goal = world.create(**PAST)
    for value in (30, 40):
        world.check_in(goal, value)
    for value in values:
        world.check_in(world.create(kind="key_result", parents=[goal]), value)
    world.edit(goal, mode=mode)
    assert world.state(goal) == state
    assert [i["check_in"]["value"] for i in world.feed(goal) if i["type"] == "check_in"] == ["40", "30"]


# rule, metric, status
NO_STATUS = [
    ("progress 3b: a baseline on track", "baseline", "on_track"), ("progress 3b: a baseline at risk", "baseline", "at_risk"),
    ("progress 3b: another goal in progress", "percent", "in_progress"),
]


@pytest.mark.parametrize("rule, metric, status", NO_STATUS, ids=[row[0] for row in NO_STATUS])
def test_statuses_that_a_goal_cannot_have(world, rule, metric, status):
    goal = world.create(metric=metric)
    answer = world.call("POST", f"/api/v1/goals/{goal}/check-ins", {"status": status}, expect=422)
    assert f"{metric} goal cannot be {status}" in answer.json["detail"]
    assert world.state(goal)[1] == "not_started"
