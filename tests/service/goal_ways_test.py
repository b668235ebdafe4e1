"""The same rules by whichever way a goal changes: its source gives a number, somebody checks in over HTTP or on the command line,
or goals come as a document. Real Kafka and PostgreSQL, the gateway and the progress writer."""
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402
from goals import FUTURE, PAST, World  # noqa: E402
from messages import fetch as pb  # noqa: E402

HOUR = 3600 * 10**6
LONG_AGO = 1_700_000_000 * 10**6  # microseconds; slots count from here
OK = pb.FetchOutcome.Value("FETCH_OUTCOME_OK")
slots = iter(range(1, 10**6))


class Ways(World):
    """An organisation, and every way to change its goals."""

    def __init__(self, gateway):
        super().__init__(gateway)
        self.fleet = gateway.fleet
        self.fleet.sql("INSERT INTO org_integration (org_id, connector, enabled) VALUES (%s, 'postgresql', true)", self.org.row)
        self.connection = self.fleet.one("INSERT INTO connection (org_id, connector, category, name) VALUES (%s, 'postgresql', 'in_boundary', "
                                         "'Source') RETURNING id", self.org.row)
        self.links = {}

    def make(self, goals, fed=False):
        """Goals by name, parents first: definitions with "below", a list of names or of (name, what is said of the alignment). fed:
        those that are not told their mode have a source."""
        made = {}
        for name, definition in goals.items():
            definition = dict(definition)
            below = [(b, {}) if isinstance(b, str) else b for b in definition.pop("below", ())]
            if fed:
                definition.setdefault("mode", "data_source")
            made[name] = self.create(name, parents=[{"goal_id": made[parent], **edge} for parent, edge in below],
                                     **{"kind": "key_result", **PAST, **definition})
        return made

    # ---- sources

    def link(self, goal):
        if goal not in self.links:
            row = self.row_of(goal)
            batch = self.fleet.one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key, next_due_at) VALUES (%s, %s, 0, %s, "
                                   "now() + interval '1 hour') RETURNING id", self.connection, self.org.row, secrets.token_hex(8))
            self.links[goal] = self.fleet.one("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) VALUES (%s, %s, %s, %s, '{}')"
                                              " RETURNING id", self.org.row, row, self.connection, batch), batch
        return self.links[goal]

    def answer(self, goal, value):
        """What a source says: its slot, and a file with the message."""
        link, batch = self.link(goal)
        slot = LONG_AGO + next(slots) * HOUR
        message = pb.FetchCompleted(request_id=secrets.token_hex(8), org_id=self.org.row, batch_id=batch, kind="FETCH_KIND_SCHEDULED",
                                    slot_us=slot, attempt=1, outcome=OK, fetched_at_us=slot + 1)
        message.observations.add(link_id=link, revision=1, outcome=OK, value=value)
        file = self.fleet.dir / f"m{secrets.token_hex(8)}"
        file.write_bytes(message.SerializeToString())
        return slot, str(file)

    def send(self, answers):
        subprocess.run(["kcat", "-P", "-b", self.fleet.state("kafka"), "-t", "fetch.completed", "-H", "ce_specversion=1.0", "-H", "ce_id=1",
                        "-H", "ce_source=/test", "-H", "ce_type=t", *(file for _, file in answers.values())], check=True)
        return {goal: slot for goal, (slot, _) in answers.items()}

    def fetched(self, values):
        """Answers of sources, {goal: value}, until all are applied."""
        if not values:
            return
        sent = self.send({goal: self.answer(goal, value) for goal, value in values.items()})
        last = "SELECT (extract(epoch FROM last_slot) * 1000000)::bigint FROM goal WHERE public_id = %s"
        for goal, slot in sent.items():
            wait_for(f"{goal} is fetched", lambda: self.fleet.one(last, goal) == slot)

    # ---- people

    def checked_in(self, values):
        for goal, value in values.items():
            self.check_in(goal, value)

    def cli(self, *args, check=True):
        return self.fleet.cli(*args, "--org", self.org.row, check=check)

    def typed(self, values):
        for goal, value in values.items():
            self.cli("goal", "check-in", self.row_of(goal), f"--value={value}")


class OneConnection(Fleet):
    """For many small questions: all of them by one connection to the database."""

    db = None

    def sql(self, statement, *params):
        self.db = self.db or self.connect()
        with self.db.cursor() as cursor:
            cursor.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def gateway():
    with OneConnection() as fleet:
        fleet.start_servers()
        fleet.start_one("progress-writer")
        with Gateway(fleet) as g:
            yield g
        log = fleet.log("progress-writer")
        assert "Sanitizer" not in log and "runtime error:" not in log, log[-3000:]


@pytest.fixture
def world(gateway):
    return Ways(gateway)


# ---- numbers that come, and what stands above

PARENT = {"kind": "objective", "mode": "roll_up"}
EUR = {"unit": "EUR"}
TODAY = {"starts_on": -13, "ends_on": 12}  # days from today on: 52 is expected
# rule, settings of the organisation, goals, numbers, then progress, status and value; 100 is expected where no dates are given
ROWS = [
    ("progress 1a, 2.4#1: from 15 to 35, now 20", {}, {"g": {"metric": "increase", "start": "15", "target": "35"}}, {"g": "20"},
     {"g": ("25.0000", "at_risk", "20")}),
    ("progress 1a, 2.4#1: from 3 to 0, now 1", {}, {"g": {"metric": "decrease", "start": "3", "target": "0"}}, {"g": "1"},
     {"g": ("66.6667", "at_risk", "1")}),
    ("progress 1c: a reach to -8", {}, {"g": {"metric": "reach", "target": "-8"}}, {"g": "-2"}, {"g": ("25.0000", "at_risk", "-2")}),
    ("numbers 1a: 20 digits and 18 decimals", {}, {"g": {"metric": "reach", "target": "100000000000000000"}},
     {"g": "99999999999999999999.999999999999999999"}, {"g": ("100.0000", "on_track", "99999999999999999999.999999999999999999")}),
    ("numbers 2c, numbers 2e: the fifth decimal is a half", {}, {"g": {}}, {"g": "12.00005"}, {"g": ("12.0001", "at_risk", "12.00005")}),
    ("numbers 3a, numbers 3b: 140 and -5, and the mean of what they show", {}, {"p": PARENT, "a": {"below": ["p"]}, "b": {"below": ["p"]}},
     {"a": "140", "b": "-5"}, {"a": ("100.0000", "on_track", "140"), "b": ("0.0000", "at_risk", "-5"), "p": ("50.0000", "at_risk", "50")}),
    ("progress 2b, progress 2d: stay below, between target and risk", {}, {"g": {"metric": "stay_below", "target": "5", "risk": "8"}},
     {"g": "7.99"}, {"g": ("0.0000", "behind", "7.99")}),
    ("progress 2c: stay above, on the risk", {}, {"g": {"metric": "stay_above", "target": "5", "risk": "2"}}, {"g": "2"},
     {"g": ("0.0000", "at_risk", "2")}),
    ("progress 3a, progress 3b, weights 5b: baselines", {}, {"p": {**PARENT, "metric": "baseline"}, "a": {"metric": "baseline", "below": ["p"]},
                                                              "b": {"metric": "baseline", "below": ["p"]}}, {"a": "3", "b": "4.5"},
     {"a": ("0.0000", "in_progress", "3"), "p": ("0.0000", "in_progress", "7.5")}),
    ("progress 5a, 2.4#12: 52 expected, 47 shown", {}, {"g": TODAY}, {"g": "47"}, {"g": ("47.0000", "behind", "47")}),
    ("progress 5a, status 1a: 52 expected and shown", {}, {"g": TODAY}, {"g": "52"}, {"g": ("52.0000", "on_track", "52")}),
    ("status 1a: 25 behind", {}, {"g": TODAY}, {"g": "27"}, {"g": ("27.0000", "behind", "27")}),
    ("status 1a, numbers 2b: 25 and the last decimal behind", {}, {"g": TODAY}, {"g": "26.999999999999999999"},
     {"g": ("27.0000", "at_risk", "26.999999999999999999")}),
    ("status 1a, numbers 2b: 2 of 3 days, 2 of 3", {}, {"g": {"starts_on": -2, "ends_on": 1, "metric": "reach", "target": "3"}}, {"g": "2"},
     {"g": ("66.6667", "on_track", "2")}),
    ("status 1c: on and above other limits", {"behind_above": 10, "at_risk_above": 30}, {"a": {}, "b": {}, "c": {}, "d": {}},
     {"a": "90", "b": "89.99", "c": "70", "d": "69.99"},
     {"a": ("90.0000", "on_track", "90"), "b": ("89.9900", "behind", "89.99"), "c": ("70.0000", "behind", "70"), "d": ("69.9900", "at_risk", "69.99")}),
    ("progress 5a: the last day has begun here", {"time_zone": "Pacific/Kiritimati"}, {"g": {"starts_on": 0, "ends_on": 0}}, {"g": "50"},
     {"g": ("50.0000", "at_risk", "50")}),
    ("progress 5a: the same day is ahead elsewhere", {"time_zone": "Pacific/Pago_Pago"}, {"g": {"starts_on": 0, "ends_on": 0}}, {"g": "50"},
     {"g": ("50.0000", "on_track", "50")}),
    ("status 2a, status 2b: no number yet", {}, {"p": PARENT, "g": {"below": ["p"]}}, {},
     {"g": ("0.0000", "not_started", None), "p": ("0.0000", "not_started", None)}),
    ("weights 2c, 2.4#2: 0, 25, 20 alike", {}, {"p": PARENT, **{n: {"below": ["p"]} for n in "abc"}}, {"a": "0", "b": "25", "c": "20"},
     {"p": ("15.0000", "at_risk", "15")}),
    ("weights 2e: a third, not 33.33", {}, {"p": PARENT, **{n: {"below": ["p"]} for n in "abc"}}, {"a": "100", "b": "0", "c": "0"},
     {"p": ("33.3333", "at_risk", "33.333333333333333333")}),
    ("2.4#3, weights 3a: fixed ones that make 80", {}, {"p": PARENT, "a": {"below": [("p", {"weight": "20"})]}, "b": {"below": [("p", {"weight": "60"})]}},
     {"a": "10", "b": "90"}, {"p": ("70.0000", "at_risk", "70")}),
    ("2.4#4: 15 % from 30 to 60", {}, {"p": {**PARENT, "metric": "increase", "unit": "%", "start": "30", "target": "60"},
                                       **{n: {"below": ["p"]} for n in "abc"}}, {"a": "0", "b": "25", "c": "20"},
     {"p": ("15.0000", "at_risk", "34.5")}),
    ("weights 6a, weights 6b, weights 6e, 2.4#5: what adds up", {},
     {"p": {**PARENT, **EUR, "metric": "reach", "target": "2000"},
      "reach": {**EUR, "metric": "reach", "target": "100", "below": [("p", {"weight": "100"})]},
      "decrease": {**EUR, "metric": "decrease", "start": "30", "target": "20", "below": ["p"]},
      "none": {**EUR, "metric": "increase", "start": "1000", "target": "2000", "below": ["p"]},
      "dollars": {"unit": "$", "metric": "reach", "target": "100", "below": ["p"]},
      "control": {**EUR, "metric": "stay_below", "target": "100", "below": ["p"]},
      "out": {**EUR, "metric": "reach", "target": "100", "below": [("p", {"contributes": False})]}},
     {"reach": "475", "decrease": "25", "dollars": "7", "control": "50", "out": "9"}, {"p": ("75.0000", "behind", "1500")}),
    ("weights 1b, 2.7#1, 2.7#2: two parents, and one above both", {},
     {"top": PARENT, "left": {**PARENT, "below": ["top"]}, "right": {**PARENT, "below": ["top"]},
      "g": {"below": [("left", {"weight": "20"}), ("right", {"weight": "60"})]}, "a": {"below": ["left"]}, "b": {"below": ["right"]}}, {"g": "100"},
     {"left": ("20.0000", "at_risk", "20"), "right": ("60.0000", "at_risk", "60"), "top": ("40.0000", "at_risk", "40")}),
    ("status 4a: by key results, the worst wins", {"status_mode": "key_results"},
     {"top": PARENT, "p": {**PARENT, "below": ["top"]}, "a": {"below": ["p"]}, "b": {"below": ["p"]}}, {"a": "100", "b": "80"},
     {"p": ("90.0000", "behind", "90"), "top": ("90.0000", "behind", "90")}),
    ("status 3e, 2.4#8: by key results, a guard that weighs nothing", {"status_mode": "key_results"},
     {"p": PARENT, "a": {"below": ["p"]}, "guard": {"metric": "stay_below", "target": "5", "below": [("p", {"weight": "0"})]}},
     {"a": "100", "guard": "5"}, {"p": ("100.0000", "at_risk", "100")}),
    ("status 3e: by key results, a project at risk", {"status_mode": "key_results"},
     {"p": PARENT, "a": {"below": ["p"]}, "project": {"kind": "project", "below": [("p", {"contributes": True})]}}, {"a": "100", "project": "10"},
     {"p": ("55.0000", "on_track", "55")}),
    ("status 3d: private ones count, too", {}, {"p": {**PARENT, "private": True}, "a": {"below": ["p"]}, "b": {"below": ["p"]}},
     {"a": "100", "b": "50"}, {"p": ("75.0000", "behind", "75")}),
]


def day(world, offset):
    """So many days from today on, where the first of the zones is: the other one is behind it by 25 hours."""
    zone = "Pacific/Kiritimati" if world.zoned else world.fleet.one("SELECT time_zone FROM organisation WHERE id = %s", world.org.row)
    return world.fleet.one("SELECT ((now() AT TIME ZONE %s)::date + %s)::text", zone, offset)


def prepare(world, settings, goals):
    """Settings, and definitions with dates in place of days."""
    world.zoned = "time_zone" in settings
    world.setting(**settings)
    if not world.zoned:
        world.at_noon()
    return {name: {k: day(world, v) if isinstance(v, int) and k in ("starts_on", "ends_on") else v for k, v in definition.items()}
            for name, definition in goals.items()}


def by_fetching(world, goals, numbers):
    made = world.make(goals, fed=True)
    world.fetched({made[name]: value for name, value in numbers.items()})
    return made


def by_checking_in(world, goals, numbers):
    made = world.make(goals)
    world.checked_in({made[name]: value for name, value in numbers.items()})
    return made


def by_typing(world, goals, numbers):
    made = world.make(goals)
    world.typed({made[name]: value for name, value in numbers.items()})
    return made


def by_importing(world, goals, numbers):
    below = {name: definition.get("below", ()) for name, definition in goals.items()}
    document = {"version": 1, "goals": [{"kind": "key_result", "ref": name, "title": name, "value": numbers.get(name), **PAST,
                                         **{k: v for k, v in definition.items() if k != "below"}} for name, definition in goals.items()],
                "edges": [{"child": name, **({"parent": p} if isinstance(p, str) else {"parent": p[0], **p[1]})}
                          for name, parents in below.items() for p in parents]}
    answer = world.call("POST", f"/api/v1/organisations/{world.org}/goal-graph", document, expect=200).json
    return {goal["ref"]: goal["id"] for goal in answer["goals"]}


WAYS = [by_fetching, by_checking_in, by_typing, by_importing]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
@pytest.mark.parametrize("rule, settings, goals, numbers, states", ROWS, ids=[row[0] for row in ROWS])
def test_numbers_mean_the_same_by_each_way(world, way, rule, settings, goals, numbers, states):
    made = way(world, prepare(world, settings, goals), numbers)
    assert {name: world.state(made[name]) for name in states} == states


# rule, number, words of the refusal
REFUSED = [
    ("numbers 1b: 21 digits", "100000000000000000000", "20 digits before"),
    ("numbers 1b: 19 decimals", "0.1234567890123456789", "18"),
]


@pytest.mark.parametrize("rule, number, words", REFUSED, ids=[row[0] for row in REFUSED])
def test_numbers_are_refused_by_each_way(world, rule, number, words):
    made = world.make({"fed": {"mode": "data_source"}, "manual": {}})
    before = len(world.fleet.messages("dlq.goalsync-progress-writer"))
    world.send({"fed": world.answer(made["fed"], number)})
    letter = wait_for("a dead letter", lambda: world.fleet.messages("dlq.goalsync-progress-writer")[before:])[0]
    assert words in letter[-1]
    assert words in world.check_in(made["manual"], number, expect=422).json["detail"]
    typed = world.cli("goal", "check-in", world.row_of(made["manual"]), f"--value={number}", check=False)
    assert typed.code == 1 and words in typed.err
    assert [world.state(g) for g in made.values()] == [("0.0000", "not_started", None)] * 2


# ---- people and sources together

class OverHttp:
    def __init__(self, world):
        self.world = world

    def say(self, goal, **said):
        self.world.check_in(goal, **said)

    def resume(self, goal):
        self.world.call("POST", f"/api/v1/goals/{goal}/resume", expect=200)


class OnTheCommandLine:
    def __init__(self, world):
        self.world = world

    def say(self, goal, value=None, status=None, sticky=False, note=None):
        said = [f"--value={value}"] if value else []
        said += [f"--status={status.replace('_', '-')}"] if status else []
        said += (["--sticky"] if sticky else []) + ([f"--note={note}"] if note else [])
        self.world.cli("goal", "check-in", self.world.row_of(goal), *said)

    def resume(self, goal):
        self.world.cli("goal", "check-in", self.world.row_of(goal), "--resume")


# rule, what happens (a number that is fetched, what is said, or None for resuming) to a goal expected at 50; after each its value, its
# automatic value, its override and its status
STORIES = [
    ("automatic 1a, automatic 1b: fetched, and fetched again", [("40", ("40", "40", "none", "behind")), ("60", ("60", "60", "none", "on_track"))]),
    ("automatic 1c, automatic 1e, 2.6#2: one-off, the same, another", [
        ("40", ("40", "40", "none", "behind")), ({"value": "70"}, ("70", "40", "one_off", "on_track")),
        ("40.0", ("70", "40", "one_off", "on_track")), ("41", ("41", "41", "none", "behind"))]),
    ("automatic 1c: another that is the same as what was said", [
        ("40", ("40", "40", "none", "behind")), ({"value": "70"}, ("70", "40", "one_off", "on_track")), ("70", ("70", "70", "none", "on_track"))]),
    ("automatic 1d, automatic 1a, 2.6#3: sticky until resumed", [
        ("40", ("40", "40", "none", "behind")), ({"value": "70", "sticky": True}, ("70", "40", "sticky", "on_track")),
        ("41", ("70", "41", "sticky", "on_track")), ({"value": "30"}, ("30", "41", "sticky", "behind")),
        ("90", ("30", "90", "sticky", "behind")), (None, ("90", "90", "none", "on_track"))]),
    ("automatic 1d: sticky without a number holds what there is", [
        ("40", ("40", "40", "none", "behind")), ({"sticky": True, "note": "wait"}, ("40", "40", "sticky", "behind")),
        ("60", ("40", "60", "sticky", "behind"))]),
    ("automatic 1c, 2.6#5: a one-off with a status, both go together", [
        ("40", ("40", "40", "none", "behind")), ({"value": "70", "status": "at_risk"}, ("70", "40", "one_off", "at_risk")),
        ("40", ("70", "40", "one_off", "at_risk")), ("41", ("41", "41", "none", "behind"))]),
    ("2.6#5: nothing but a status", [
        ("40", ("40", "40", "none", "behind")), ({"status": "at_risk"}, ("40", "40", "none", "at_risk")),
        ("40", ("40", "40", "none", "at_risk")), ("60", ("60", "60", "none", "on_track"))]),
    ("status 6a: a note after a status", [
        ("40", ("40", "40", "none", "behind")), ({"status": "at_risk"}, ("40", "40", "none", "at_risk")),
        ({"note": "better?"}, ("40", "40", "none", "behind"))]),
]


@pytest.mark.parametrize("person", [OverHttp, OnTheCommandLine])
@pytest.mark.parametrize("rule, steps", STORIES, ids=[row[0] for row in STORIES])
def test_what_people_say_holds_the_same_by_each_way(world, person, rule, steps):
    by = person(world)
    made = world.make(prepare(world, {}, {"p": {**PARENT, "starts_on": -50, "ends_on": 50},
                                          "g": {"mode": "data_source", "starts_on": -50, "ends_on": 50, "below": ["p"]}}))
    for what, state in steps:
        if isinstance(what, str):
            world.fetched({made["g"]: what})
        elif what:
            by.say(made["g"], **what)
        else:
            by.resume(made["g"])
        goal = world.goal(made["g"])
        assert (goal["value"], goal["automatic_value"], goal["override"], goal["status"]) == state, what
        assert world.goal(made["p"])["value"] == state[0]  # what stands above follows


# ---- edited goals, and settings

# rule, what the writer is to do over: a change of the organisation, then statuses
SETTINGS = [
    ("status 5b: other limits", {"behind_above": "1", "at_risk_above": "2"}, "at_risk"),
    ("status 5a, status 5b: another midnight", {"time_zone": "Pacific/Pago_Pago"}, "on_track"),
]


@pytest.mark.parametrize("rule, change, status", SETTINGS, ids=[row[0] for row in SETTINGS])
def test_settings_count_at_once(world, rule, change, status):
    """A goal of the one day that it is where the date changes first."""
    goals = prepare(world, {"time_zone": "Pacific/Kiritimati"}, {"p": {**PARENT, "starts_on": 0, "ends_on": 0},
                                                                "g": {"starts_on": 0, "ends_on": 0, "below": ["p"]}})
    made = by_checking_in(world, goals, {"g": "90"})
    assert [world.state(g)[1] for g in made.values()] == ["behind"] * 2
    world.call("PATCH", f"/api/v1/organisations/{world.org}", change, expect=200)
    wait_for("the new status", lambda: [world.state(g)[1] for g in made.values()] == [status] * 2)


def over_http(world, goal, **change):
    world.edit(goal, **change)


def on_the_command_line(world, goal, starts_on=None, ends_on=None, **change):
    options = [f"--{option}={value}" for option, value in {**change, "from": starts_on, "to": ends_on}.items() if value is not None]
    world.cli("goal", "edit", world.row_of(goal), *(o.replace("stay_below", "stay-below") for o in options))


# rule, change of a reach to 10 with the value 4, expected at 100; progress and status
EDITS = [
    ("automatic 3a, status 5b: another target", {"target": "5"}, ("80.0000", "behind")),
    ("automatic 3a, status 5b: another kind and start", {"metric": "increase", "start": "2", "target": "6"}, ("50.0000", "at_risk")),
    ("automatic 3a, status 5b, 2.4#7: a control metric with a threshold", {"metric": "stay_below", "target": "4", "risk": "6"}, ("0.0000", "behind")),
    ("automatic 3a, status 5b: other dates", FUTURE, ("40.0000", "on_track")),
]


@pytest.mark.parametrize("way", [over_http, on_the_command_line], ids=lambda way: way.__name__)
@pytest.mark.parametrize("first", [by_fetching, by_checking_in], ids=lambda way: way.__name__)
@pytest.mark.parametrize("rule, change, state", EDITS, ids=[row[0] for row in EDITS])
def test_an_edited_metric_counts_the_same_by_each_way(world, way, first, rule, change, state):
    made = first(world, {"top": PARENT, "p": {**PARENT, "below": ["top"]}, "g": {"metric": "reach", "target": "10", "below": ["p"]}}, {"g": "4"})
    way(world, made["g"], **change)
    assert world.state(made["g"]) == (*state, "4")
    assert [world.state(made[name])[0] for name in ("p", "top")] == [state[0]] * 2


# ---- tasks

def tick_over_http(world, project, marks):
    for mark in marks:
        made = world.call("POST", f"/api/v1/goals/{project}/tasks", {"title": "Task"}, expect=201).json
        if mark == "x":
            world.call("PATCH", f"/api/v1/tasks/{made['id']}", {"done": True}, expect=200)


def tick_by_typing(world, project, marks):
    row = world.row_of(project)
    for mark in marks:
        tasks = world.cli("goal", "task", row, "--add", "Task", "--json").json["tasks"]
        if mark == "x":
            world.cli("goal", "task", row, "--done", tasks[-1]["id"])


def import_tasks(world, project, marks):
    """Into a project like it, and with a parent like its own."""
    g = world.goal(project)
    parent = {"kind": "objective", "mode": "roll_up", "title": "Parent", "ref": "p", **PAST}
    copy = {**{k: g[k] for k in ("kind", "mode", "metric", "target", "starts_on", "ends_on", "value")}, "title": "Project", "ref": "g",
            "tasks": [{"title": "Task", "done": mark == "x"} for mark in marks]}
    document = {"version": 1, "goals": [parent, copy], "edges": [{"parent": "p", "child": "g", "contributes": True}]}
    made = world.call("POST", f"/api/v1/organisations/{world.org}/goal-graph", document, expect=200).json["goals"]
    return made[0]["id"], made[1]["id"]


# rule, tasks (x: done), what the project is besides, its progress and status, where 100 is expected, and its parent's value
TASKS = [
    ("progress 4b: no task", "", {"mode": "roll_up"}, ("0.0000", "not_started"), None),
    ("progress 4c, status 2c: four tasks, none done", "----", {"mode": "roll_up"}, ("0.0000", "not_started"), None),
    ("progress 4a, 2.4#10: one of four tasks", "x---", {"mode": "roll_up"}, ("25.0000", "at_risk"), "25"),
    ("progress 4a: two of three tasks", "x-x", {"mode": "roll_up"}, ("66.6667", "at_risk"), "66.666666666666666667"),
    ("progress 4a: all of two tasks", "xx", {"mode": "roll_up"}, ("100.0000", "on_track"), "100"),
    ("progress 4e, 2.4#10: three of three tasks, 1 of 10 by the metric", "xxx", {"metric": "reach", "target": "10", "value": "1"},
     ("10.0000", "at_risk"), "10"),
    ("progress 4e: one of three tasks, by hand", "x--", {"value": "90"}, ("90.0000", "behind"), "90"),
]


@pytest.mark.parametrize("way", [tick_over_http, tick_by_typing, import_tasks], ids=lambda way: way.__name__)
@pytest.mark.parametrize("rule, marks, besides, state, above", TASKS, ids=[row[0] for row in TASKS])
def test_tasks_count_the_same_by_each_way(world, way, rule, marks, besides, state, above):
    besides = dict(besides)
    value = besides.pop("value", None)
    made = world.make({"p": PARENT, "g": {"kind": "project", "below": [("p", {"contributes": True})], **besides}})
    parent, project = made["p"], made["g"]
    if value:
        world.check_in(project, value)
    parent, project = way(world, project, marks) or (parent, project)
    assert world.state(project)[:2] == state
    assert world.state(parent)[2] == above


# ---- alignments

def align_when_made(world, parent, kind, edge):
    world.create(kind=kind, parents=[{"goal_id": parent, **edge}])


def align_later(world, parent, kind, edge):
    world.call("POST", f"/api/v1/goals/{world.create(kind=kind)}/parents", {"parent_id": parent, **edge}, expect=201)


def align_in_a_sheet(world, parent, kind, edge):
    text = "Title,Type,Parent,Weight,Contributes\nChild,{},{},{},{}\n".format(kind.replace("_", " "), parent, edge.get("weight", ""),
                                                                             {None: "", True: "yes", False: "no"}[edge.get("contributes")])
    path = f"/api/v1/organisations/{world.org}/goal-imports"
    report = world.gateway.call("POST", path, text.encode(), world.token, {"Content-Type": "text/csv"}).expect(200).json
    assert report["created"] == 1, report


def align_in_a_document(world, parent, kind, edge):
    """A document brings its own parent along; it takes the place of the one there is."""
    goals = {"p": PARENT, "g": {"kind": kind, "below": [("p", edge)]}}
    return by_importing(world, goals, {})["p"]


ALIGNMENTS = [align_when_made, align_later, align_in_a_sheet, align_in_a_document]
# rule, settings, kind of the child, what is said of the alignment, does it contribute?
CONTRIBUTES = [
    ("weights 1c, 2.5#4: a key result", {}, "key_result", {}, True),
    ("weights 1c: an objective", {}, "objective", {}, True),
    ("weights 1c, 2.7#4: a project", {}, "project", {}, False),
    ("weights 1c: a project with a weight", {}, "project", {"weight": "10"}, True),
    ("weights 1c, 2.7#4: a project where they shall", {"projects_contribute": True}, "project", {}, True),
    ("weights 1c, 2.5#4: a key result where newly aligned ones shall not", {"aligned_contribute": False}, "key_result", {}, False),
    ("weights 1c: one with a weight where newly aligned ones shall not", {"aligned_contribute": False}, "key_result", {"weight": "10"}, True),
    ("weights 1c: a project where they shall, but no newly aligned ones", {"projects_contribute": True, "aligned_contribute": False}, "project",
     {}, False),
    ("weights 1c: one that is told to where newly aligned ones shall not", {"aligned_contribute": False}, "objective", {"contributes": True}, True),
    ("weights 1c: one that is told not to", {}, "key_result", {"contributes": False}, False),
]


@pytest.mark.parametrize("way", ALIGNMENTS, ids=[way.__name__ for way in ALIGNMENTS])
@pytest.mark.parametrize("rule, settings, kind, edge, contributes", CONTRIBUTES, ids=[row[0] for row in CONTRIBUTES])
def test_who_contributes_is_settled_by_aligning(world, way, rule, settings, kind, edge, contributes):
    world.setting(**settings)
    parent = world.create(**PAST, **PARENT)
    parent = way(world, parent, kind, edge) or parent
    aligned = lambda: [c["contributes"] for c in world.goal(parent)["children"]]  # noqa: E731
    assert aligned() == [contributes]
    world.setting(aligned_contribute=not settings.get("aligned_contribute", True), projects_contribute=not settings.get("projects_contribute", False))
    assert aligned() == [contributes], "weights 1d: settings that change later"
    other = world.create(kind="key_result", parents=[{"goal_id": parent, "contributes": True}])
    world.check_in(other, 50)
    assert aligned()[0] == contributes, "weights 1d: and what is aligned later"
