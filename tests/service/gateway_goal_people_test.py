"""People and goals over HTTP on a real PostgreSQL: rights, privacy, alignments, tasks, check-ins, comments, the feed."""
import re
import sys
from concurrent.futures import ThreadPoolExecutor
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


def team(world, name, **people):
    """A team; people: name=True for an owner of it."""
    row, public = world.gateway.fleet.sql("INSERT INTO team (org_id, name) VALUES (%s, %s) RETURNING id, public_id::text", world.org.row, name)[0]
    for person, owner in people.items():
        world.gateway.fleet.sql("INSERT INTO team_member (team_id, person_id, org_id, owner) VALUES (%s, %s, %s, %s)", row, world.row(person),
                                world.org.row, owner)
    return public


# ---- who may do what

@pytest.fixture(scope="module")
def cast(gateway):
    """One goal and everybody who could have something to do with it."""
    world = World(gateway)
    for name in ("maker", "holder", "second", "delegate", "checker", "captain", "crew", "boss", "above", "anybody"):
        world.person(name)
    world.person("admin", "admin")
    gateway.fleet.sql("UPDATE person SET manager_id = %s WHERE id = %s", world.row("boss"), world.row("second"))
    crew = team(world, "Crew", captain=True, crew=False, maker=False)
    parent = world.create("Parent", owner_ids=[world.people["above"]], mode="roll_up")
    world.subject = world.create("Subject", by="maker", level="team", team_ids=[crew], owner_ids=[world.people[n] for n in ("holder", "second")],
                                 delegate_id=world.people["delegate"], check_in_owner_id=world.people["checker"], parents=[parent])
    world.parent = parent
    return world


EDITORS = ["maker", "holder", "second", "captain", "boss", "above", "admin", "owner"]
RIGHTS = [(who, True, True, True) for who in EDITORS] + [
    ("delegate", True, True, False), ("checker", False, True, False), ("crew", False, False, False), ("anybody", False, False, False)]


@pytest.mark.parametrize("who, edits, checks_in, owns", RIGHTS, ids=[row[0] for row in RIGHTS])
def test_rights(cast, who, edits, checks_in, owns):
    goal = cast.subject
    status = lambda allowed, ok=200: ok if allowed else 403  # noqa: E731
    owners = cast.goal(goal)["owner_ids"]
    assert cast.goal(goal, by=who)["title"] == "Subject"  # every member sees it
    cast.edit(goal, by=who, expect=status(edits), description=f"by {who}")
    cast.edit(goal, by=who, expect=status(owns), owner_ids=owners)
    cast.check_in(goal, 10, by=who, expect=status(checks_in, 201))
    child = cast.create("Child", by=who, level="individual", parents=[goal])  # aligning takes sight alone
    cast.call("PATCH", f"/api/v1/goals/{child}/parents/{goal}", {"weight": "1"}, who, status(checks_in))
    cast.call("PUT", f"/api/v1/goals/{goal}/weights", {"children": [{"goal_id": child, "weight": "5"}]}, who, status(checks_in))
    cast.call("POST", f"/api/v1/goals/{goal}/comments", {"body": "hello"}, who, 201)
    cast.call("DELETE", f"/api/v1/goals/{goal}", by=who, expect=409 if edits else 403)  # it has a child
    cast.call("DELETE", f"/api/v1/goals/{child}", by=who, expect=204)


# rule, who, may they weigh what is below the goal?
WEIGHING = [("2.5#1: who may edit it", "holder", True), ("2.5#1: its check-in owner", "checker", True), ("2.5#1: a member of its team", "crew", False),
            ("2.5#1: anybody else", "anybody", False)]


@pytest.mark.parametrize("rule, who, may", WEIGHING, ids=[row[0] for row in WEIGHING])
def test_who_weighs(cast, rule, who, may):
    child = cast.create("Weighed", parents=[cast.subject])
    cast.call("PUT", f"/api/v1/goals/{cast.subject}/weights", {"children": [{"goal_id": child, "weight": "5"}]}, who, 200 if may else 403)
    cast.call("POST", f"/api/v1/goals/{cast.subject}/weights/reset", None, who, 200 if may else 403)
    cast.call("DELETE", f"/api/v1/goals/{child}", expect=204)


def test_an_archived_team_gives_no_rights(world):
    world.person("captain")
    crew = team(world, "Crew", captain=True)
    goal = world.create(level="team", team_ids=[crew])
    world.edit(goal, by="captain", title="mine")
    world.gateway.fleet.sql("UPDATE team SET archived_at = now() WHERE public_id = %s", crew)
    world.edit(goal, by="captain", expect=403, title="still mine?")
    world.edit(goal, title="keeps its team")
    assert "archived" in world.create(level="team", team_ids=[crew], expect=422).json["detail"]


CREATE_RULES = [("everyone", {"anybody", "captain", "admin"}), ("team_owners", {"captain", "admin"}), ("admins", {"admin"})]


@pytest.mark.parametrize("rule, allowed", CREATE_RULES, ids=[row[0] for row in CREATE_RULES])
def test_who_creates_goals_of_the_organisation(world, rule, allowed):
    for name, role in (("anybody", "member"), ("captain", "member"), ("admin", "admin")):
        world.person(name, role)
    crew = team(world, "Crew", captain=True)
    world.setting(create_rule=rule)
    mine = world.create(owner_ids=[world.people["anybody"]])
    for name in ("anybody", "captain", "admin"):
        world.create(by=name, expect=201 if name in allowed else 403)
        world.create(by=name, level="individual")
        world.create(by=name, team_ids=[crew], expect=201 if name in ("captain", "admin") else 403)
    world.create(by="anybody", kind="key_result", parents=[mine])  # below what one may edit


def test_a_stranger_sees_nothing(world, gateway):
    other = World(gateway)
    goal = world.create()
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/feed"), ("GET", "/comments"), ("POST", "/check-ins")]:
        body = {"PATCH": {"title": "x"}, "POST": {"value": "1"}}.get(method)
        gateway.call(method, f"/api/v1/goals/{goal}{path}", body, other.token).expect(404)
    other.create(parents=[goal], expect=422)
    mine = other.create()
    other.call("POST", f"/api/v1/goals/{mine}/parents", {"parent_id": goal}, expect=422)
    assert "does not have" in other.create(owner_ids=[world.org.owner], expect=422).json["detail"]


# ---- privacy

def test_a_private_goal_is_seen_by_its_people_only(world):
    for name in ("maker", "viewer", "delegate", "checker", "holder", "anybody"):
        world.person(name)
    world.person("admin", "admin")
    goal = world.create("Secret", by="maker", private=True, viewer_ids=[world.people["viewer"]], delegate_id=world.people["delegate"],
                        check_in_owner_id=world.people["checker"], owner_ids=[world.people["holder"]])
    check_in = world.check_in(goal, 40, by="holder", note="hush").json["id"]
    comment = world.call("POST", f"/api/v1/goals/{goal}/comments", {"body": "hush"}, "viewer", 201).json["id"]
    lists = f"/api/v1/organisations/{world.org}/goals"
    paths = [f"/api/v1/goals/{goal}", f"/api/v1/goals/{goal}/feed", f"/api/v1/goals/{goal}/comments", f"/api/v1/goals/{goal}/check-ins",
             f"/api/v1/check-ins/{check_in}", f"/api/v1/comments/{comment}"]
    for who in ("maker", "viewer", "delegate", "checker", "holder", "anybody", "admin", "owner"):
        sees = who in ("maker", "viewer", "delegate", "checker", "holder")
        for path in paths:
            world.call("GET", path, by=who, expect=200 if sees else 404)
        assert [g["title"] for g in world.gateway.pages(lists, world.tokens[who])] == (["Secret"] if sees else [])
        tree = world.call("GET", f"/api/v1/organisations/{world.org}/goal-tree", by=who, expect=200)
        assert ("Secret" in tree.text) == sees
        world.call("PUT", f"/api/v1/goals/{goal}/reactions/x", by=who, expect=204 if sees else 404)
    world.edit(goal, by="viewer", expect=403, title="not a viewer's")
    world.edit(goal, by="admin", expect=404, title="nor an administrator's")


def test_private_children_count_whoever_asks(world):
    for name in ("hidden", "other"):
        world.person(name)
    parent = world.create("Parent", owner_ids=[world.people["hidden"]], by="hidden", private=True, viewer_ids=[world.people["other"]], **PARENT)
    one = world.create("One", by="hidden", level="individual", private=True, parents=[parent])
    two = world.create("Two", by="other", level="individual", owner_ids=[world.people["other"]], private=True, parents=[parent])
    world.check_in(one, 100, by="hidden")
    assert world.goal(parent, by="other")["progress"] == "50.0000"
    world.check_in(two, 100, by="other")  # who causes the roll-up does not see the other child
    seen = world.goal(parent, by="other")
    assert seen["progress"] == "100.0000"
    assert [(c["title"], c["share"]) for c in seen["children"]] == [("Two", "50.00")]  # the hidden one's share is not dealt again
    assert seen["child_count"] == 1


def test_privacy_passes_down_to_key_results(world):
    for name in ("holder", "viewer"):
        world.person(name)
    goal = world.create(owner_ids=[world.people["holder"]], mode="roll_up")
    key = world.create("Key", kind="key_result", parents=[goal])
    deeper = world.create("Deeper", kind="key_result", parents=[key])
    project = world.create("Project", kind="project", parents=[goal])
    world.edit(goal, by="holder", private=True, viewer_ids=[world.people["viewer"]])
    for who, sees in (("holder", True), ("viewer", True), ("owner", True)):  # the owner made them
        for g in (key, deeper):
            world.call("GET", f"/api/v1/goals/{g}", by=who, expect=200 if sees else 404)
    assert world.goal(key)["private"] and world.goal(deeper)["private"] and not world.goal(project)["private"]
    late = world.create("Late", by="viewer", kind="key_result", level="individual", parents=[goal])
    assert world.goal(late, by="holder")["private"]
    world.edit(goal, by="holder", viewer_ids=[])
    world.call("GET", f"/api/v1/goals/{deeper}", by="viewer", expect=404)
    world.edit(goal, by="holder", private=False)
    assert not world.goal(deeper, by="viewer")["private"]


def test_private_goals_and_alignment(world):
    parent, other = world.create("Public parent"), world.create("Other parent")
    goal = world.create("Child", parents=[parent])
    assert '"Public parent"' in world.edit(goal, expect=422, private=True).json["detail"]
    shared = world.create("Shared", kind="key_result", parents=[parent, other])
    detail = world.edit(parent, expect=422, private=True).json["detail"]  # its key result has another parent
    assert '"Shared" below' in detail and '"Other parent"' in detail
    detail = world.edit(shared, expect=422, private=True).json["detail"]
    assert '"Public parent"' in detail and '"Other parent"' in detail
    secret = world.create("Secret", private=True)
    answer = world.call("POST", f"/api/v1/goals/{secret}/parents", {"parent_id": parent}, expect=422)
    assert answer.json["type"].endswith("private-alignment")
    assert not world.goal(goal)["private"] and world.goal(secret)["parent_ids"] == []


def test_who_makes_a_goal_private_keeps_seeing_it(world):
    world.person("admin", "admin")
    goal = world.create()
    assert world.edit(goal, by="admin", private=True).json["viewer_ids"] == [world.people["admin"]]
    world.edit(goal, by="admin", title="Still here")


# ---- alignments

def test_a_circle_is_refused_in_words(world):
    a = world.create("Alpha")
    b = world.create("Beta", parents=[a])
    c = world.create("Gamma", parents=[b])
    detail = world.call("POST", f"/api/v1/goals/{a}/parents", {"parent_id": c}, expect=422).json["detail"]
    assert '"Alpha"' in detail and '"Gamma"' in detail and "circle" in detail
    world.call("POST", f"/api/v1/goals/{a}/parents", {"parent_id": a}, expect=422)
    assert world.call("POST", f"/api/v1/goals/{c}/parents", {"parent_id": b}, expect=409)  # is there already


def test_several_parents_are_a_setting(world):
    a, b = world.create("A"), world.create("B")
    child = world.create(parents=[a, b])
    world.setting(several_parents=False)
    assert "one parent only" in world.create(parents=[a, b], expect=422).json["detail"]
    only = world.create(parents=[a])
    world.call("POST", f"/api/v1/goals/{only}/parents", {"parent_id": b}, expect=422)
    assert set(world.goal(child)["parent_ids"]) == {a, b}  # what stands stays


def test_a_project_has_no_goals_below(world):
    project = world.create(kind="project")
    assert "is a project" in world.create(parents=[project], expect=422).json["detail"]
    parent = world.create()
    world.create(parents=[parent])
    assert "/kind" in world.edit(parent, expect=422, kind="project").json["detail"]


def test_roll_up_through_a_diamond_counts_each_goal_once(world):
    top = world.create(**PARENT)
    sides = [world.create(parents=[top], **PARENT) for _ in range(2)]
    leaf = world.create(kind="key_result", parents=sides)
    before = world.goal(top)["version"]
    world.check_in(leaf, 30)
    for rule, there, expected in [
            ("2.7#1: in full below each side", [world.state(side)[0] for side in sides], ["30.0000"] * 2),
            ("2.7#2: after both sides", world.state(top)[0], "30.0000"),
            ("2.7#2: once", world.goal(top)["version"], before + 1)]:
        assert there == expected, rule
    world.call("DELETE", f"/api/v1/goals/{leaf}/parents/{sides[0]}", expect=204)
    assert world.state(top)[0] == "15.0000"


def test_check_ins_at_once_lose_nothing(world):
    top = world.create(**PARENT)
    middles = [world.create(parents=[top], **PARENT) for _ in range(2)]
    leaves = [world.create(kind="key_result", parents=[m]) for m in middles for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: world.check_in(leaves[n % 8], 10 * (n // 8 + 1)), range(64)))
    total = sum(float(world.goal(leaf)["progress"]) for leaf in leaves) / 8
    assert float(world.goal(top)["progress"]) == pytest.approx(total, abs=1e-4)
    world.gateway.fleet.sql("UPDATE goal SET progress = 0, raw_progress = 0 WHERE public_id IN (%s, %s, %s)", top, *middles)
    for leaf in leaves:
        world.check_in(leaf, 64)
    assert world.state(top)[0] == "64.0000"


# ---- editing, deleting, listing

def test_an_edit_needs_the_newest_revision_when_it_names_one(world):
    goal = world.create()
    etag = world.call("GET", f"/api/v1/goals/{goal}").headers["ETag"]
    world.call("PATCH", f"/api/v1/goals/{goal}", {"title": "First"}, expect=200, If_Match=etag)
    world.call("PATCH", f"/api/v1/goals/{goal}", {"title": "Second"}, expect=412, If_Match=etag)
    world.call("DELETE", f"/api/v1/goals/{goal}", expect=412, If_Match=etag)
    world.check_in(goal, 5)  # a number is no edit
    newest = world.call("GET", f"/api/v1/goals/{goal}").headers["ETag"]
    assert newest != etag
    world.call("PATCH", f"/api/v1/goals/{goal}", {"title": "Third"}, expect=200, If_Match=newest)


def test_what_an_edit_leaves_out_stays(world):
    world.person("ada")
    period = world.gateway.fleet.one("INSERT INTO period (org_id, kind, name, starts_on, ends_on) VALUES (%s, 'quarter', 'Q1 2031', "
                                     "'2031-01-01', '2031-03-31') RETURNING public_id::text", world.org.row)
    full = {"kind": "key_result", "title": "Full", "description": "d", "metric": "increase", "unit": "EUR", "start": "1.5", "target": "10",
            "mode": "manual", "level": "individual", "period_id": period, "owner_ids": [world.people["ada"], world.people["owner"]],
            "delegate_id": world.people["ada"], "check_in_owner_id": world.people["ada"], "tags": ["a b", "c\"{,"], "private": False,
            "aspirational": True}
    goal = world.create(**full)
    before = world.goal(goal)
    assert {k: before[k] for k in full} == full
    assert (before["starts_on"], before["ends_on"]) == ("2031-01-01", "2031-03-31")
    after = world.edit(goal, description="other").json
    moving = {"description", "revision", "version", "edited_at"}
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    bare = world.edit(goal, tags=None, owner_ids=None, delegate_id=None, check_in_owner_id=None, period_id=None, unit=None).json
    assert (bare["tags"], bare["owner_ids"], bare["delegate_id"], bare["period_id"], bare["unit"]) == ([], [], None, None, "")
    assert bare["starts_on"] == "2031-01-01"
    assert [i["data"]["changed"] for i in world.feed(goal) if i.get("kind") == "edited"] == [
        ["check_in_owner_id", "delegate_id", "owner_ids", "period_id", "tags", "unit"], ["description"]]


def test_an_external_id_is_one_goals(world):
    world.create(external_id="OKR-1")
    assert "like it already" in world.create(external_id="OKR-1", expect=409).json["detail"]
    World(world.gateway).create(external_id="OKR-1")  # of another organisation


def test_somebody_who_left_stays_owner_but_gets_no_new_goals(world):
    world.person("leaver")
    goal = world.create(owner_ids=[world.people["leaver"]])
    world.gateway.fleet.sql("UPDATE person SET deactivated_at = now() WHERE public_id = %s", world.people["leaver"])
    world.edit(goal, title="Other", owner_ids=[world.people["leaver"]])
    assert "deactivated" in world.create(owner_ids=[world.people["leaver"]], expect=422).json["detail"]


def test_a_goal_with_children_is_deleted_only_with_them(world):
    outside = world.create("Outside", **PARENT)
    above = world.create("Above", **PARENT)
    root = world.create("Root", parents=[above], **PARENT)
    child = world.create("Child", parents=[root], **PARENT)
    leaf = world.create("Leaf", kind="key_result", parents=[child])
    shared = world.create("Shared", kind="key_result", parents=[child, outside])
    sibling = world.create("Sibling", kind="key_result", parents=[above])
    for goal, value in ((leaf, 10), (shared, 50), (sibling, 80)):
        world.check_in(goal, value)
    assert world.state(above)[0] == "55.0000"
    world.call("DELETE", f"/api/v1/goals/{root}", expect=409)
    world.call("DELETE", f"/api/v1/goals/{root}?cascade=true", expect=204)
    for goal in (root, child, leaf):
        world.call("GET", f"/api/v1/goals/{goal}", expect=404)
    assert world.goal(shared)["parent_ids"] == [outside]  # stands elsewhere, too
    assert world.state(above)[0] == "80.0000" and world.state(outside)[0] == "50.0000"
    deleted = world.gateway.fleet.sql("SELECT target, detail->>'title' FROM audit WHERE org_id = %s AND action = 'goal.deleted'", world.org.row)
    assert sorted(deleted) == sorted([(f"goal:{root}", "Root"), (f"goal:{child}", "Child"), (f"goal:{leaf}", "Leaf")])


def test_hidden_goals_below_keep_a_goal_from_being_deleted(world):
    world.person("hidden")
    root = world.create(private=True, viewer_ids=[world.people["hidden"]], **PARENT)
    child = world.create("Hidden", by="hidden", level="individual", private=True, parents=[root])
    assert "cannot see" in world.call("DELETE", f"/api/v1/goals/{root}?cascade=true", expect=403).json["detail"]
    world.goal(child, by="hidden")


def test_lists_filter_and_sort(world):
    world.person("ada")
    crew = team(world, "Crew")
    a = world.create("Alpha ship", tags=["sea"], owner_ids=[world.people["ada"]], **PAST)
    b = world.create("Beta", kind="key_result", parents=[a], team_ids=[crew], description="a SHIP's bell", **FUTURE)
    c = world.create("Gamma_%", kind="project", owner_ids=[world.people["owner"], world.people["ada"]], mode="roll_up", starts_on="2030-01-01",
                     ends_on="2030-02-01")
    world.check_in(a, 30)
    world.check_in(b, 70)
    path = f"/api/v1/organisations/{world.org}/goals"
    got = lambda query: [g["id"] for g in world.gateway.pages(f"{path}?{query}", world.token, limit=2)]  # noqa: E731
    rows = [("", [a, b, c]), ("sort=-created", [c, b, a]), ("sort=title", [a, b, c]), ("sort=-title", [c, b, a]), ("sort=progress", [c, a, b]),
            ("sort=-progress", [b, a, c]), ("sort=ends_on", [a, c, b]), ("sort=-ends_on", [b, c, a]), ("sort=updated", [c, a, b]),
            ("sort=-updated", [b, a, c]), ("owner_id=" + world.people["ada"], [a, c]), ("team_id=" + crew, [b]), ("tag=sea", [a]), ("tag=se", []),
            ("status=at_risk", [a]), ("status=on_track", [b]), ("status=not_started", [c]), ("kind=project", [c]), ("level=team", [b]),
            ("mode=roll_up", [c]), ("roots=true", [a, c]), ("roots=false", [b]), ("parent_id=" + a, [b]), ("q=ship", [a, b]), ("q=_%25", [c]),
            ("q=%25", [c]), ("progress_min=70", [b]), ("progress_max=69.9", [a]), ("updated_since=2090-01-01T00:00:00Z", []),
            ("updated_since=2020-01-01T00:00:00Z", [a, b, c]), ("integration=github", []), ("kind=objective&q=ship", [a])]
    for query, expected in rows:
        assert got(query) == expected, query
    cursor = world.gateway.get(path + "?sort=title&limit=1", world.token).json["next_cursor"]
    assert "another order" in world.gateway.get(f"{path}?sort=-title&cursor={cursor}", world.token).expect(422).json["detail"]
    world.gateway.get(path + "?sort=nonsense", world.token).expect(400)
    world.gateway.get(path + "?progress_min=x", world.token).expect(400)


def test_the_tree_is_cut_from_below(world):
    root = world.create("Root")
    child = world.create("Child", parents=[{"goal_id": root, "weight": "12.5"}])
    leaf = world.create("Leaf", parents=[child])
    other = world.create("Other")
    tree = lambda query="": world.call("GET", f"/api/v1/organisations/{world.org}/goal-tree{query}", expect=200).json  # noqa: E731
    whole = tree()
    assert [(g["id"], g["depth"]) for g in whole["goals"]] == [(root, 0), (other, 0), (child, 1), (leaf, 2)]
    assert whole["edges"] == [{"parent_id": root, "goal_id": child, "weight": "12.50", "contributes": True},
                              {"parent_id": child, "goal_id": leaf, "weight": None, "contributes": True}]
    assert not whole["truncated"]
    cut = tree("?limit=3")
    assert [g["id"] for g in cut["goals"]] == [root, other, child] and cut["truncated"] and len(cut["edges"]) == 1
    assert [g["id"] for g in tree(f"?root_id={child}")["goals"]] == [child, leaf]
    assert [g["id"] for g in tree("?depth=1")["goals"]] == [root, other, child]


def test_alerts(world):
    goal = world.create(level="individual", **PAST)
    assert world.goal(goal)["alerts"] == ["late_start", "past_due", "no_owner", "at_risk", "stands_alone"]
    world.check_in(goal, 80)
    world.edit(goal, owner_ids=[world.people["owner"]])
    assert world.goal(goal)["alerts"] == ["past_due", "stands_alone"]
    for _ in range(6):
        world.create(kind="key_result", parents=[goal])
    assert world.goal(goal)["alerts"] == ["past_due", "many_key_results"]


# ---- tasks

def test_tasks_are_a_projects_progress(world):
    parent = world.create(**PARENT)
    project = world.create(kind="project", mode="roll_up", parents=[{"goal_id": parent, "contributes": True}], **PAST)
    path = f"/api/v1/goals/{project}/tasks"
    assert world.state(project)[:2] == ("0.0000", "not_started")  # no task
    tasks = [world.call("POST", path, {"title": t}, expect=201).json for t in ("one", "two", "three", "four")]
    assert world.state(project)[:2] == ("0.0000", "not_started")  # none begun
    edit = lambda task, expect=200, **body: world.call("PATCH", f"/api/v1/tasks/{task['id']}", body, expect=expect).json  # noqa: E731
    edit(tasks[0], done=True)
    assert world.state(project)[:2] == ("25.0000", "at_risk") and world.state(parent)[0] == "25.0000"
    for task in tasks[1:]:
        edit(task, done=True)
    assert world.state(project)[:2] == ("100.0000", "on_track") and world.state(parent)[0] == "100.0000"
    world.call("DELETE", f"/api/v1/tasks/{tasks[3]['id']}", expect=204)
    edit(tasks[0], done=False)
    assert world.state(parent)[0] == "66.6667"
    assert world.goal(project)["tasks"] == {"all": 3, "done": 2}
    late = edit(tasks[1], due_on="2021-01-01", title="Two")
    assert "after the project ends" in late["warning"] and late["title"] == "Two"
    assert edit(tasks[1], due_on=None)["warning"] is None
    world.call("PUT", path + "/order", {"task_ids": [tasks[2]["id"], tasks[0]["id"], tasks[1]["id"]]}, expect=204)
    assert [t["title"] for t in world.gateway.pages(path, world.token, limit=2)] == ["three", "one", "Two"]
    world.call("PUT", path + "/order", {"task_ids": [tasks[2]["id"]]}, expect=422)
    assert [i["kind"] for i in world.feed(project) if i["type"] == "activity" and "task" in i["kind"]].count("task_added") == 4
    assert "only projects" in world.call("POST", f"/api/v1/goals/{parent}/tasks", {"title": "x"}, expect=422).json["detail"]


def test_a_task_is_ticked_off_by_who_checks_in(world):
    for name in ("checker", "anybody"):
        world.person(name)
    project = world.create(kind="project", mode="roll_up", check_in_owner_id=world.people["checker"])
    task = world.call("POST", f"/api/v1/goals/{project}/tasks", {"title": "x", "owner_id": world.people["anybody"]}, expect=201)
    path = f"/api/v1/tasks/{task.json['id']}"
    world.call("PATCH", path, {"done": True}, "anybody", 403)
    world.call("PATCH", path, {"done": True}, "checker", 200)
    world.call("PATCH", path, {"title": "y"}, "checker", 403)
    world.call("PATCH", path, {"title": "y"}, expect=412, If_Match=task.headers["ETag"])
    world.call("PATCH", path, {"owner_id": NOBODY}, expect=422)


# ---- check-ins

EDIT, REMOVE = "PATCH", "DELETE"
# Of a goal expected at 100 with check-ins of 100 (behind, by hand), of 40, and of a note: rule, what is done to them, by name and in
# this order; then its progress and status, and whether the status is by hand
LEFT = [
    ("automatic 2a: the latest number is edited", [(EDIT, "second", {"value": "50"})], ("50.0000", "at_risk"), False),
    ("automatic 2a: an older number is edited", [(EDIT, "first", {"value": "90"})], ("40.0000", "at_risk"), False),
    ("automatic 2a: a note is edited", [(EDIT, "note", {"note": "other"})], ("40.0000", "at_risk"), False),
    ("automatic 2a: a status is added to the latest", [(EDIT, "note", {"status": "on_track"})], ("40.0000", "on_track"), True),
    ("automatic 2a: the note is removed", [(REMOVE, "note", None)], ("40.0000", "at_risk"), False),
    ("automatic 2a: the latest number is removed, a note is left", [(REMOVE, "second", None)], ("100.0000", "on_track"), False),
    ("automatic 2a: the first is left, with its status", [(REMOVE, "second", None), (REMOVE, "note", None)], ("100.0000", "behind"), True),
    ("automatic 2a: the first is left, and its status taken from it",
     [(REMOVE, "second", None), (REMOVE, "note", None), (EDIT, "first", {"status": None})], ("100.0000", "on_track"), False),
    ("automatic 2a: none is left", [(REMOVE, "first", None), (REMOVE, "note", None), (REMOVE, "second", None)], ("0.0000", "not_started"), False),
]


@pytest.mark.parametrize("rule, deeds, state, by_hand", LEFT, ids=[row[0] for row in LEFT])
def test_the_latest_check_in_that_remains_applies(world, rule, deeds, state, by_hand):
    parent = world.create(**PARENT)
    goal = world.create(kind="key_result", parents=[parent], **PAST)
    made = {"first": world.check_in(goal, 100, status="behind"), "second": world.check_in(goal, 40), "note": world.check_in(goal, note="no number")}
    for method, name, change in deeds:
        world.call(method, f"/api/v1/check-ins/{made[name].json['id']}", change, expect=200 if change else 204)
    assert world.state(goal)[:2] == state and world.goal(goal)["status_by_hand"] == by_hand
    assert world.state(parent)[0] == state[0]  # what stands above follows
    said = [i["kind"] for i in world.feed(goal) if i["type"] == "activity" and i["kind"].startswith("check_in")]
    assert sorted(said) == sorted("check_in_edited" if method == EDIT else "check_in_removed" for method, *_ in deeds)
    left = [i["check_in"] for i in world.feed(goal) if i["type"] == "check_in"]
    assert {c["id"] for c in left} == {made[n].json["id"] for n in made} - {made[n].json["id"] for m, n, _ in deeds if m == REMOVE}
    assert {c["id"] for c in left if c["edited_at"]} == {made[n].json["id"] for m, n, _ in deeds if m == EDIT}


def test_check_ins_on_an_automatic_goal_when_one_goes(world):
    parent = world.create(**PARENT)
    child = world.create(kind="key_result", parents=[parent])
    world.check_in(child, 40)
    old = world.check_in(parent, 70).json["id"]
    world.check_in(child, 41)  # ends the override
    now = world.check_in(parent, 90).json["id"]
    again = world.check_in(parent, 95).json["id"]
    remove = lambda which: world.call("DELETE", f"/api/v1/check-ins/{which}", expect=204)  # noqa: E731
    remove(old)
    assert world.state(parent)[2] == "95"
    remove(again)
    assert (world.state(parent)[2], world.goal(parent)["override"]) == ("90", "one_off")
    remove(now)
    assert (world.state(parent)[2], world.goal(parent)["override"]) == ("41", "none")
    sticky = world.check_in(parent, 80, sticky=True).json["id"]
    world.check_in(child, 50)
    world.check_in(parent, 60)
    world.call("PATCH", f"/api/v1/check-ins/{sticky}", {"value": "85"}, expect=200)
    assert (world.state(parent)[2], world.goal(parent)["override"]) == ("60", "sticky")
    world.call("POST", f"/api/v1/goals/{parent}/resume", expect=200)
    world.call("PATCH", f"/api/v1/check-ins/{sticky}", {"value": "1"}, expect=200)
    assert (world.state(parent)[2], world.goal(parent)["override"]) == ("50", "none")  # before the last resume


# Of a goal that rolls up: numbers below it and what is said in turn ("40" or {"value": ...}); what is removed, by number; its value,
# its override, and whether its status is by hand then
ENDED = [
    ("automatic 2a, automatic 1c: one that a number ended, which then was the same again", ["40", {"value": "70"}, "41", "40", {"value": "90"}], 1,
     ("40", "none", False)),
    ("automatic 2a: one that no number ended", ["40", {"value": "70"}, {"value": "90"}], 1, ("70", "one_off", False)),
    ("automatic 2a, 2.6#5: a status that a number ended, which then was the same again",
     ["40", {"status": "at_risk"}, "41", "40", {"value": "90"}], 1, ("40", "none", False)),
    ("automatic 2a, automatic 1d: a sticky one that numbers went by", ["40", {"value": "70", "sticky": True}, "41", "40", {"value": "90"}], 1,
     ("70", "sticky", False)),
]


@pytest.mark.parametrize("rule, turns, removed, left", ENDED, ids=[row[0] for row in ENDED])
def test_check_ins_that_have_ended_do_not_come_back(world, rule, turns, removed, left):
    parent = world.create(**PARENT)
    child = world.create(kind="key_result", parents=[parent])
    said = []
    for turn in turns:
        if isinstance(turn, str):
            world.check_in(child, turn)
        else:
            said.append(world.check_in(parent, **turn).json["id"])
    world.call("DELETE", f"/api/v1/check-ins/{said[removed]}", expect=204)
    goal = world.goal(parent)
    assert (goal["value"], goal["override"], goal["status_by_hand"]) == left


def test_who_may_change_a_check_in(world):
    for name in ("maker", "anybody"):
        world.person(name)
    goal = world.create(by="maker", level="individual")
    check_in = world.check_in(goal, 1, by="maker")
    path = f"/api/v1/check-ins/{check_in.json['id']}"
    assert check_in.headers["Location"] == path
    world.call("PATCH", path, {"note": "x"}, "owner", 403)  # an administrator does not put words into mouths
    world.call("PATCH", path, {"note": "x"}, "anybody", 403)
    world.call("DELETE", path, by="anybody", expect=403)
    world.call("PATCH", path, {"note": "x"}, "maker", 200, If_Match=check_in.headers["ETag"])
    world.call("PATCH", path, {"note": "y"}, "maker", 412, If_Match=check_in.headers["ETag"])
    world.call("DELETE", path, by="owner", expect=204)
    world.call("GET", path, by="maker", expect=404)
    assert "says nothing" in world.call("POST", f"/api/v1/goals/{goal}/check-ins", {}, "maker", 422).json["detail"]
    for status in ("closed", "postponed", "reopened"):
        world.call("POST", f"/api/v1/goals/{goal}/check-ins", {"status": status}, "maker", 422)


def test_a_check_in_changes_nothing_when_it_is_refused(world):
    goal = world.create()
    rows = "SELECT count(*) FROM check_in WHERE org_id = %s"
    events = world.gateway.fleet.one("SELECT count(*) FROM outbox")
    world.call("POST", f"/api/v1/goals/{goal}/check-ins", {"value": "5", "mention_ids": [NOBODY]}, expect=422)
    assert world.gateway.fleet.one(rows, world.org.row) == 0 and world.state(goal)[2] is None
    assert world.gateway.fleet.one("SELECT count(*) FROM outbox") == events
    world.check_in(goal, 5)
    assert world.gateway.fleet.one("SELECT count(*) FROM outbox") > events


# ---- comments, mentions, reactions

def test_comments_mentions_and_reactions(world):
    for name in ("ada", "bob"):
        world.person(name)
    world.person("admin", "admin")
    goal = world.create()
    check_in = world.check_in(goal, 5, mention_ids=[world.people["ada"]]).json
    assert check_in["mention_ids"] == [world.people["ada"]]
    said = world.call("POST", f"/api/v1/goals/{goal}/comments", {"body": "good", "check_in_id": check_in["id"],
                                                                 "mention_ids": [world.people["bob"], world.people["owner"]]}, "ada", 201)
    comment = said.headers["Location"]
    assert said.json["mention_ids"] == [world.people["bob"], world.people["owner"]] and said.json["check_in_id"] == check_in["id"]
    world.call("POST", f"/api/v1/goals/{goal}/comments", {"body": "about the goal"}, "bob", 201)
    listed = lambda query="": [c["body"] for c in world.gateway.pages(f"/api/v1/goals/{goal}/comments{query}", world.token, limit=1)]  # noqa: E731
    assert listed() == ["about the goal", "good"]
    assert listed(f"?check_in_id={check_in['id']}") == ["good"]
    for who in ("ada", "bob"):
        for _ in range(2):  # twice is once
            world.call("PUT", f"{comment}/reactions/%F0%9F%8E%89", by=who, expect=204)
    assert world.call("GET", comment, by="ada").json["reactions"] == [{"emoji": "\U0001f389", "count": 2, "mine": True}]
    world.call("DELETE", f"{comment}/reactions/%F0%9F%8E%89", by="ada", expect=204)
    assert world.call("GET", comment, by="ada").json["reactions"] == [{"emoji": "\U0001f389", "count": 1, "mine": False}]
    world.call("PUT", f"/api/v1/goals/{goal}/reactions/+1", by="bob", expect=204)
    world.call("PUT", f"/api/v1/check-ins/{check_in['id']}/reactions/+1", by="bob", expect=204)
    assert world.goal(goal)["reactions"] == [{"emoji": "+1", "count": 1, "mine": False}]
    assert world.call("GET", f"/api/v1/check-ins/{check_in['id']}").json["reactions"] == [{"emoji": "+1", "count": 1, "mine": False}]
    assert world.call("GET", f"/api/v1/check-ins/{check_in['id']}").json["comment_count"] == 1
    world.call("PATCH", comment, {"body": "better"}, "bob", 403)
    world.call("PATCH", comment, {"body": "better"}, "admin", 403)
    edited = world.call("PATCH", comment, {"body": "better", "mention_ids": []}, "ada", 200).json
    assert (edited["body"], edited["mention_ids"]) == ("better", []) and edited["edited_at"]
    world.call("DELETE", comment, by="bob", expect=403)
    world.call("DELETE", comment, by="admin", expect=204)
    world.call("GET", comment, by="ada", expect=404)
    world.call("PUT", f"{comment}/reactions/+1", by="ada", expect=404)
    assert listed() == ["about the goal"]
    other = world.create()
    world.call("POST", f"/api/v1/goals/{other}/comments", {"body": "x", "check_in_id": check_in["id"]}, expect=422)


# ---- the feed

def link(world, goal):
    """A link with two numbers, as the progress writer leaves them."""
    sql, org, row = world.gateway.fleet.sql, world.org.row, world.row_of(goal)
    connection = sql("INSERT INTO connection (org_id, connector, category, name) VALUES (%s, 'postgres', 'third_party', 'Warehouse') RETURNING "
                     "id, public_id::text", org)[0]
    batch = sql("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) VALUES (%s, %s, 1, 'k') RETURNING id", connection[0],
                org)[0][0]
    made = sql("INSERT INTO link (org_id, goal_id, connection_id, batch_id, linked_by, settings) VALUES (%s, %s, %s, %s, %s, '{\"query\": "
               "\"SELECT 2\"}') RETURNING id, public_id::text", org, row, connection[0], batch, world.row("owner"))[0]
    for revision, query in ((1, "SELECT 1"), (2, "SELECT 2")):
        sql("INSERT INTO link_revision (link_id, revision, connection_id, settings, changed_by) VALUES (%s, %s, %s, jsonb_build_object('query', "
            "%s::text), %s)", made[0], revision, connection[0], query, world.row("owner"))
        sql("INSERT INTO observation (goal_id, slot, org_id, link_id, revision, rows_seen, fetched_at, source_at, value) VALUES (%s, "
            "timestamptz '2026-01-01 00:00Z' + %s * interval '1 hour', %s, %s, %s, %s, '2026-01-01 05:00:01Z', '2026-01-01 04:00Z', %s)",
            row, revision, org, made[0], revision, revision * 10, revision * 100)
    return made[1], connection[1]


def test_each_number_in_the_feed_has_its_evidence(world):
    goal = world.create(kind="key_result", metric="reach", target="1000", mode="data_source")
    link_id, connection_id = link(world, goal)
    numbers = [i for i in world.feed(goal) if i["type"] == "observation"]
    assert [n["value"] for n in numbers] == ["200", "100"]
    assert numbers[1]["evidence"] == {
        "link_id": link_id, "revision": 1, "connector": "postgres", "connection_id": connection_id, "connection_name": "Warehouse",
        "settings": {"query": "SELECT 1"}, "linked_by_id": world.people["owner"], "rows_seen": 10, "slot": "2026-01-01T01:00:00.000000Z",
        "source_at": "2026-01-01T04:00:00.000000Z", "fetched_at": "2026-01-01T05:00:01.000000Z"}
    shown = world.goal(goal)["link"]
    assert (shown["id"], shown["connection_name"]) == (link_id, "Warehouse")
    assert shown["paused"] == "the integration is not enabled in this organisation"
    assert "Warehouse" in world.edit(goal, expect=422, mode="manual").json["detail"]
    assert [g["id"] for g in world.gateway.pages(f"/api/v1/organisations/{world.org}/goals?integration=postgres", world.token)] == [goal]
    world.call("DELETE", f"/api/v1/goals/{goal}", expect=204)
    assert world.gateway.fleet.one("SELECT count(*) FROM link WHERE public_id = %s", link_id) == 0


def test_the_feed_is_newest_first_and_paged(world):
    goal = world.create(kind="key_result", metric="reach", target="1000", mode="data_source")
    link(world, goal)
    for n in range(5):
        world.check_in(goal, n, note=f"check-in {n}")
        world.call("POST", f"/api/v1/goals/{goal}/comments", {"body": f"comment {n}"}, expect=201)
    path = f"/api/v1/goals/{goal}/feed"
    whole = world.gateway.pages(path, world.token)
    assert [i["at"] for i in whole] == sorted((i["at"] for i in whole), reverse=True)
    for limit in (1, 3, 200):
        assert world.gateway.pages(path, world.token, limit=limit) == whole
    for kind, count in (("observation", 2), ("check_in", 5), ("comment", 5)):
        items = world.gateway.pages(f"{path}?type={kind}", world.token, limit=2)
        assert len(items) == count and {i["type"] for i in items} == {kind}
    assert world.gateway.pages(f"{path}?type=activity", world.token, limit=2) == [i for i in whole if i["type"] == "activity"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", whole[0]["at"])


def test_shares_of_many_children_are_shown_at_once(world):
    """10,000 children under one parent: 0.01 percent each."""
    parent = world.create(**PARENT)
    world.gateway.fleet.sql("WITH g AS (INSERT INTO goal (org_id, kind, title, start_on, end_on) SELECT %s, 'key_result', 'Child ' || n, "
                            "'2020-01-01', '2020-12-31' FROM generate_series(1, 10001) n RETURNING id) INSERT INTO goal_edge (parent_id, child_id, "
                            "org_id, position) SELECT %s, id, %s, row_number() OVER (ORDER BY id) FROM g", world.org.row, world.row_of(parent),
                            world.org.row)
    goal = world.goal(parent)
    assert goal["child_count"] == 10001 and len(goal["children"]) == 500
    assert set(shares(goal)) == {"0.01"}
