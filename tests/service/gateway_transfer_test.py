"""Goals out of an organisation and into another one: graphs as one document, sheets as CSV and XLSX."""
import copy
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402
from goals import FUTURE, PARENT, PAST, World  # noqa: E402


@pytest.fixture(scope="module")
def gateway():
    with Fleet() as fleet, Gateway(fleet) as g:
        yield g


@pytest.fixture
def world(gateway):
    return World(gateway)


def graph_path(world, **query):
    return f"/api/v1/organisations/{world.org}/goal-graph" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")


def export(world, by="owner", **query):
    return world.call("GET", graph_path(world, **query), by=by, expect=200).json


def import_graph(world, goals, edges=(), by="owner", expect=200, **query):
    return world.call("POST", graph_path(world, **query), {"version": 1, "goals": goals, "edges": list(edges)}, by, expect).json


def count(world):
    return world.gateway.fleet.one("SELECT count(*) FROM goal WHERE org_id = %s", world.org.row)


def address(world, name):
    return world.gateway.fleet.one("SELECT email FROM person WHERE public_id = %s", world.people[name])


def faults(problem):
    return {(e["pointer"], e["detail"]) for e in problem["errors"]}


# ---- graphs

def small_graph(world):
    """Three levels, two parents of one goal, weights, tasks, people, an ended goal."""
    world.person("ada")
    world.person("ben")
    top = world.create("Top", owner_ids=[world.people["ada"], world.people["ben"]], tags=["a", "b c"], external_id="X-1", **PARENT)
    other = world.create("Other top", aspirational=True, **PARENT)
    middle = world.create("Middle", description="Über \"alles\"\n", parents=[{"goal_id": top, "weight": "60"}, other], **PARENT)
    first = world.create("First", kind="key_result", metric="increase", start="15", target="35", unit="€", delegate_id=world.people["ben"],
                         parents=[middle], **PAST)
    world.check_in(first, 20)
    project = world.create("Project", kind="project", mode="roll_up", parents=[{"goal_id": top, "contributes": True}], **FUTURE)
    for title, done in (("one", True), ("two", False)):
        world.call("POST", f"/api/v1/goals/{project}/tasks", {"title": title, "done": done, "owner_id": world.people["ada"]}, expect=201)
    return {"top": top, "other": other, "middle": middle, "first": first, "project": project}


def without_ids(document):
    """A graph as nothing but what it says: refs are replaced by titles."""
    titles = {g["ref"]: g["title"] for g in document["goals"]}
    goals = sorted(({k: v for k, v in g.items() if k != "ref"} for g in document["goals"]), key=lambda g: g["title"])
    edges = sorted((titles[e["parent"]], titles[e["child"]], e["weight"], e["contributes"]) for e in document["edges"])
    return goals, edges


def test_what_is_exported_is_imported_as_it_was(world, gateway):
    small_graph(world)
    document = export(world)
    assert {g["title"]: g["owners"] for g in document["goals"]}["Top"] == [address(world, "ada"), address(world, "ben")]
    assert len(document["goals"]) == 5 and len(document["edges"]) == 4
    copy_of = World(gateway)
    for name in ("ada", "ben"):
        copy_of.person(name)
        for goal in document["goals"]:
            for key, value in goal.items():
                if isinstance(value, (str, list)):
                    goal[key] = replace(value, address(world, name), address(copy_of, name))
            for task in goal["tasks"]:
                task["owner"] = replace(task["owner"], address(world, name), address(copy_of, name))
    answer = copy_of.call("POST", graph_path(copy_of), document, expect=200).json
    assert [g["ref"] for g in answer["goals"]] == [g["ref"] for g in document["goals"]]
    assert all(g["id"] and not g["notes"] and not g["unlinked"] for g in answer["goals"])
    assert without_ids(export(copy_of)) == without_ids(document)
    ids = {d["title"]: g["id"] for d, g in zip(document["goals"], answer["goals"])}
    assert copy_of.state(ids["First"]) == ("25.0000", "at_risk", "20")
    assert copy_of.state(ids["Middle"])[0] == "25.0000"
    assert copy_of.state(ids["Project"])[0] == "50.0000"
    assert copy_of.state(ids["Top"])[0] == world.state([g for g in document["goals"] if g["title"] == "Top"][0]["ref"])[0]
    assert [row["kind"] for row in copy_of.feed(ids["Other top"]) if row["type"] == "activity"].count("created") == 1


def replace(value, old, new):
    return [replace(v, old, new) for v in value] if isinstance(value, list) else new if value == old else value


def test_an_export_has_what_the_caller_sees_and_what_is_asked_for(world):
    goals = small_graph(world)
    world.create("Secret", by="ada", private=True)
    assert "Secret" in [g["title"] for g in export(world, by="ada")["goals"]]
    assert "Secret" not in [g["title"] for g in export(world)["goals"]]
    part = export(world, root_id=goals["middle"])
    assert sorted(g["title"] for g in part["goals"]) == ["First", "Middle"] and len(part["edges"]) == 1
    assert export(world, period_id=goals["top"])["goals"] == []
    actions = [a["action"] for a in world.gateway.pages(f"/api/v1/organisations/{world.org}/audit", world.token)]
    assert actions.count("goals.exported") == 4


def test_a_dry_run_tries_everything_and_keeps_nothing(world):
    goals = [{"ref": "a", "kind": "objective", "title": "A"}, {"ref": "b", "kind": "key_result", "title": "B", "value": "5"}]
    answer = import_graph(world, goals, [{"parent": "a", "child": "b"}], dry_run="true")
    assert answer["dry_run"] and [g["id"] for g in answer["goals"]] == [None, None] and count(world) == 0
    import_graph(world, goals, [{"parent": "a", "child": "b"}])
    assert count(world) == 2
    # What is refused late is refused by a dry run, too: as goals that are stored.
    private = [{**g, "private": True} for g in goals]
    private.append({"ref": "c", "kind": "objective", "title": "C"})
    edges = [{"parent": "a", "child": "b"}, {"parent": "c", "child": "b"}]
    for dry in ("true", "false"):
        assert "private" in str(import_graph(world, private, edges, expect=422, dry_run=dry))
    actions = [a["action"] for a in world.gateway.pages(f"/api/v1/organisations/{world.org}/audit", world.token)]
    assert actions.count("goals.imported") == 1


def test_every_mistake_of_a_graph_is_told_at_once(world):
    world.setting(several_parents=False)
    world.create("There", external_id="taken")
    goal = {"kind": "objective", "title": "x"}
    goals = [{**goal, "ref": "a"}, {**goal, "ref": "a"}, {**goal, "ref": "p", "kind": "project"}, {**goal, "ref": "o", "owners": ["who@example.org"]},
             {**goal, "ref": "m", "metric": "increase", "start": "5", "target": "4"}, {**goal, "ref": "q", "period": "No such"},
             {**goal, "ref": "t", "teams": ["None"]}, {**goal, "ref": "e", "external_id": "taken"}, {**goal, "ref": "w"}]
    edges = [{"parent": "a", "child": "gone"}, {"parent": "p", "child": "o"}, {"parent": "w", "child": "m", "weight": "60"},
             {"parent": "w", "child": "q", "weight": "40.01"}, {"parent": "t", "child": "m"}]
    problem = import_graph(world, goals, edges, expect=422)
    expected = {("/goals/1/ref", "earlier goal"), ("/goals/3/owners", "who@example.org"), ("/goals/4/metric", "above the start"),
                ("/goals/5/period", "No such"), ("/goals/6/teams", "None"), ("/goals/7/external_id", "here already"),
                ("/edges/0/child", "no goal of this document"), ("/edges/1/parent", "is a project"), ("/goals/8", "100.01 percent"),
                ("/edges/4/child", "one parent only")}
    for pointer, words in expected:
        assert [p for p, d in faults(problem) if p == pointer and words in d], (pointer, words, problem)
    assert {p for p, _ in faults(problem)} == {p for p, _ in expected}
    assert count(world) == 1


@pytest.mark.parametrize("edges", [[("a", "a")], [("a", "b"), ("b", "a")], [("a", "b"), ("b", "c"), ("c", "b")], [("a", "b"), ("a", "b")]])
def test_circles_and_twins_are_refused(world, edges):
    goals = [{"ref": r, "kind": "objective", "title": r} for r in "abc"]
    problem = import_graph(world, goals, [{"parent": p, "child": k} for p, k in edges], expect=422)
    assert any(w in str(problem) for w in ("circle", "itself", "same as an earlier")) and count(world) == 0


def test_an_unknown_owner_falls_back_where_that_is_said(world):
    world.person("ada")
    goals = [{"ref": "a", "kind": "project", "title": "A", "owners": ["gone@example.org", address(world, "ada")],
              "tasks": [{"title": "t", "owner": "gone@example.org"}]}]
    assert {p for p, _ in faults(import_graph(world, goals, expect=422))} == {"/goals/0/owners", "/goals/0/tasks/0/owner"}
    assert faults(import_graph(world, goals, expect=422, fallback_owner="nobody@example.org"))
    answer = import_graph(world, goals, fallback_owner=address(world, "owner").upper())
    assert world.goal(answer["goals"][0]["id"])["owner_ids"] == [world.people["owner"], world.people["ada"]]
    assert "gone@example.org" in answer["goals"][0]["notes"][0]


def test_who_may_make_goals_may_import_them(world):
    world.person("ada")
    world.setting(create_rule="admins")
    goals = [{"ref": "a", "kind": "objective", "title": "A"}, {"ref": "b", "kind": "objective", "title": "B"}]
    problem = import_graph(world, goals, [{"parent": "a", "child": "b"}], by="ada", expect=422)
    assert [p for p, _ in faults(problem)] == ["/goals/0/level"]
    goals[0]["level"] = "individual"
    import_graph(world, goals, [{"parent": "a", "child": "b"}], by="ada")


def test_a_large_graph_is_one_import(world):
    goals = [{"ref": str(i), "kind": "objective", "title": f"Goal {i}", "mode": "roll_up" if i < 100 else "manual",
              "value": None if i < 100 else "50", **PAST} for i in range(600)]
    edges = [{"parent": str((i - 1) // 6), "child": str(i)} for i in range(1, 600)]
    answer = import_graph(world, goals, edges)
    assert world.state(answer["goals"][0]["id"])[0] == "50.0000"
    again = export(world)
    assert len(again["goals"]) == 600 and len(again["edges"]) == 599


def test_closed_goals_come_closed(world):
    goals = [{"ref": "a", "kind": "objective", "title": "A", "value": "80", "status": "closed", "score": "0.8", **PAST},
             {"ref": "b", "kind": "objective", "title": "B", "status": "postponed", **PAST}]
    ids = [g["id"] for g in import_graph(world, goals)["goals"]]
    assert world.state(ids[0]) == ("80.0000", "closed", "80") and world.goal(ids[0])["score"] == "0.8" and world.goal(ids[0])["ended_at"]
    assert world.state(ids[1])[1] == "postponed"
    document = copy.deepcopy(export(world))
    assert {g["title"]: (g["status"], g["score"]) for g in document["goals"]} == {"A": ("closed", "0.8"), "B": ("postponed", None)}


# ---- sheets

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def import_csv(world, text, by="owner", expect=200, **query):
    path = f"/api/v1/organisations/{world.org}/goal-imports?" + "&".join(f"{k}={v}" for k, v in query.items())
    body = text if isinstance(text, bytes) else text.encode()
    kind = XLSX if body[:2] == b"PK" else "text/csv"
    return world.gateway.call("POST", path, body, world.tokens[by], {"Content-Type": kind}).expect(expect).json


def export_sheet(world, by="owner", **query):
    path = f"/api/v1/organisations/{world.org}/goal-exports?" + "&".join(f"{k}={v}" for k, v in query.items())
    return world.call("GET", path, by=by, expect=200).body


def outcomes(report):
    return [row["outcome"] for row in report["rows"]]


def of_title(world, title):
    return world.gateway.fleet.one("SELECT public_id::text FROM goal WHERE org_id = %s AND title = %s", world.org.row, title)


def test_a_sheet_becomes_goals_parents_first(world):
    world.person("ada")
    report = import_csv(world, f"""\ufeffTitle;Object Type;Owner Email;Aligned To;Weight;Start Date;Due date;Start;Target;Current;Tags;Progress Mode\r
"Close ""big"" deals; fast";Key Result;{address(world, 'ada')};Grow;60;2020-01-01;31.12.2020;15;35;20;a, b;manual\r
Grow;Objective;Ada <{address(world, 'ada').upper()}>;;;2020-01-01;12/31/2020;;;;;Roll up\r
\r
Hire;initiative;;Grow;;2020-01-01;2020-12-31;;1.000,5;;;\r
""")
    assert outcomes(report) == ["created"] * 3 and [row["row"] for row in report["rows"]] == [2, 3, 5], report
    first = world.goal(report["rows"][0]["goal_id"])
    assert first["title"] == 'Close "big" deals; fast' and first["owner_ids"] == [world.people["ada"]] and first["tags"] == ["a", "b"]
    assert (first["metric"], first["start"], first["target"], first["ends_on"]) == ("increase", "15", "35", "2020-12-31")
    assert world.state(first["id"]) == ("25.0000", "at_risk", "20")
    assert [(p["title"], p["weight"]) for p in first["parents"]] == [("Grow", "60.00")]
    assert world.state(of_title(world, "Grow"))[0] == "25.0000"
    assert world.goal(of_title(world, "Hire"))["target"] == "1000.5"


def test_a_sheet_imported_again_updates(world):
    world.person("ada")
    rows = f"Title,Type,Owner,External ID,Target value,Current value,Parent\nA,objective,{address(world, 'ada')},,10,{{a}},\n" \
           "B,key result,,v-2,10,4,A\n"
    assert outcomes(import_csv(world, rows.format(a=5))) == ["created", "created"]
    assert outcomes(import_csv(world, rows.format(a=5))) == ["skipped", "skipped"]
    report = import_csv(world, rows.format(a=6).replace("\nB", "\nRenamed"))
    assert outcomes(report) == ["updated", "updated"] and count(world) == 2
    assert world.state(of_title(world, "A"))[2] == "6" and of_title(world, "Renamed") == report["rows"][1]["goal_id"]
    # Who may not edit is told so, row by row.
    world.person("ben")
    report = import_csv(world, rows.format(a=7), by="ben")
    assert outcomes(report) == ["refused", "refused"] and "may not edit" in report["rows"][0]["messages"][0]
    assert world.state(of_title(world, "A"))[2] == "6"


def test_a_refused_row_stops_others_only_where_that_is_said(world):
    sheet = "Title,Owner,Target value,Start value,Metric,Period,Parent,End date\n" \
            "Good,,,,,,,\n,,,,,,,2026-01-01\nNo number,,ten,,,,,\nSame,,5,5,increase,,,\nNobody,who@example.org,,,,,,\nWhen,,,,,No such,,\n" \
            "Good,,,,,,,\nDay,,,,,,,03/04/2026\nRound,,,,,,Trip,\nTrip,,,,,,Round,\nChild,,,,,,Same,\nLost,,,,,,Nowhere,\n"
    problem = import_csv(world, sheet, expect=422, all_or_nothing="true")
    assert [e["pointer"] for e in problem["errors"]][0] == "/rows/3" and count(world) == 0
    dry = import_csv(world, sheet, dry_run="true", all_or_nothing="true")
    assert count(world) == 0
    report = import_csv(world, sheet)
    assert outcomes(dry) == outcomes(report) and [r["messages"] for r in dry["rows"]] == [r["messages"] for r in report["rows"]]
    assert outcomes(report) == ["created"] + ["refused"] * 9 + ["created"] * 2
    said = [" ".join(row["messages"]) for row in report["rows"]]
    for i, words in [(1, "needs a title"), (2, "no number"), (3, "the same"), (4, "who@example.org"), (5, "No such"), (6, "as row 2"),
                     (7, "no day"), (8, "circle"), (9, "circle"), (10, "row 5"), (11, "no parent")]:
        assert words in said[i], (i, said[i])
    given = import_csv(world, "Title,Owner\nNobody,who@example.org\n", fallback_owner=address(world, "owner"))
    assert outcomes(given) == ["created"] and "fallback" in given["rows"][0]["messages"][0]
    assert world.goal(given["rows"][0]["goal_id"])["owner_ids"] == [world.people["owner"]]


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_an_exported_sheet_is_imported_as_it_was(world, gateway, format):
    small_graph(world)
    tricky = ["=1+1", "'=1+1", "-5", "@x", "+49 30", "''-x", "'quoted'", "a,b;c\t\"d\"\ne", " - "]
    for title in tricky:
        world.create("T", description=title, kind="project")
        world.gateway.fleet.sql("UPDATE goal SET title = %s WHERE title = 'T' AND org_id = %s", "t" + title, world.org.row)
    world.check_in(world.create("Exact", kind="key_result", metric="reach", target="99999999999999999999.999999999999999999", **PAST), "-0.1")
    sheet = export_sheet(world, format=format)
    assert outcomes(import_csv(world, sheet)) == ["skipped"] * 15
    there = World(gateway)
    for name in ("ada", "ben"):
        there.person(name)
    for name in ("ada", "ben"):
        gateway.fleet.sql("UPDATE person SET email = %s WHERE public_id = %s", address(world, name), there.people[name])
    report = import_csv(there, sheet)
    assert outcomes(report) == ["created"] * 15 and not [m for row in report["rows"] for m in row["messages"]]
    old, new = export(world), export(there)
    for document in (old, new):
        for goal in document["goals"]:
            goal["tasks"] = []  # a sheet has a row each for goals only
            if goal["title"] in ("Project", "Top"):  # and their values are the tasks'
                goal["value"] = goal["status"] = None
    assert without_ids(new) == without_ids(old)
    actions = [a["action"] for a in gateway.pages(f"/api/v1/organisations/{there.org}/audit", there.token)]
    assert actions.count("goals.imported") == 1


def test_an_export_is_harmless_and_filtered(world):
    world.create('=HYPERLINK("https://evil.example")', kind="project")
    world.create("Key", kind="key_result", metric="increase", start="-5", target="5")
    text = export_sheet(world, format="csv", kind="project").decode("utf-8-sig")
    assert "'=HYPERLINK" in text and "Key" not in text and text.count("\r\n") == 2
    assert ",-5,5," in export_sheet(world, kind="key_result").decode()


def test_sheets_of_other_programs_are_read(world, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    import datetime
    book = openpyxl.Workbook()
    notes = book.active
    notes.title = "Notes"
    notes["A1"] = "Read me"
    sheet = book.create_sheet("OKRs")
    sheet.append(["Fill in from row 3 on"])
    sheet.append(["Objective title", "Type", "Start date", "End date", "Progress", "Target", "Parent row", "Private"])
    sheet.append(["Über & <alles>", "Objective", datetime.date(2024, 2, 29), datetime.datetime(2024, 12, 31, 13, 0), 0.25, None, None, False])
    sheet.append(["Measured", "Key Result", datetime.date(2024, 1, 1), datetime.date(2024, 3, 1), None, 0.1 + 0.2, 3, True])
    sheet["E3"].number_format = "0%"
    sheet["G5"] = "=1+1"
    book.save(tmp_path / "in.xlsx")
    file = (tmp_path / "in.xlsx").read_bytes()
    assert "names the columns" in import_csv(world, file, expect=422)["detail"]
    assert "Nowhere" in import_csv(world, file, expect=422, sheet="Nowhere")["detail"]
    report = import_csv(world, file, sheet="okrs")
    assert outcomes(report) == ["created", "refused"] and "private" in str(report["rows"][1]["messages"])
    goal = world.goal(report["rows"][0]["goal_id"])
    assert (goal["title"], goal["starts_on"], goal["ends_on"], goal["value"]) == ("Über & <alles>", "2024-02-29", "2024-12-31", "25")
    sheet["H4"] = "no"
    book.save(tmp_path / "in.xlsx")
    report = import_csv(world, (tmp_path / "in.xlsx").read_bytes(), sheet="OKRs")
    assert outcomes(report) == ["skipped", "created"]
    goal = world.goal(report["rows"][1]["goal_id"])
    assert goal["target"] == "0.3" and [p["title"] for p in goal["parents"]] == ["Über & <alles>"]
    # And they read ours.
    (tmp_path / "out.xlsx").write_bytes(export_sheet(world, format="xlsx"))
    rows = list(openpyxl.load_workbook(tmp_path / "out.xlsx").active.values)
    assert rows[0][3] == "Title" and {row[3] for row in rows[1:]} == {"Über & <alles>", "Measured"}
    assert [row[rows[0].index("Target value")] for row in rows[1:]] == [None, 0.3]


# rule, number in a cell, how it is formatted, value of the goal
CELLS = [
    ("numbers 3c: 0.4 as a percentage", 0.4, "0%", "40"),
    ("numbers 3c: 1.4 as a percentage", 1.4, "0%", "140"),
    ("numbers 3c: -0.05 as a percentage", -0.05, "0%", "-5"),
    ("numbers 3c: 0.285 as a percentage with decimals", 0.285, "0.00%", "28.5"),
    ("numbers 3c, numbers 2a: 0.07 as a percentage", 0.07, "0%", "7"),
    ("0.4 as a number", 0.4, "General", "0.4"),
    ("0.4 as a number with decimals", 0.4, "0.00", "0.4"),
]


def test_cells_formatted_as_percentages(world, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Title", "Progress"])
    for row, (rule, number, cell_format, _) in enumerate(CELLS, 2):
        book.active.append([rule, number])
        book.active.cell(row, 2).number_format = cell_format
    book.save(tmp_path / "in.xlsx")
    report = import_csv(world, (tmp_path / "in.xlsx").read_bytes())
    assert [world.goal(row["goal_id"])["value"] for row in report["rows"]] == [row[3] for row in CELLS]


def test_hostile_sheets_are_refused_with_a_sentence(world):
    import io
    import zipfile

    def packed(**parts):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
            for name, text in parts.items():
                z.writestr(name.replace("__", "/").replace("_xml", ".xml"), text)
        return file.getvalue()
    bomb = b"<a>" + b" " * (60 << 20) + b"</a>"
    entities = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><workbook>&a;</workbook>'
    for body, words in [(packed(x="y"), "no XLSX workbook"), (packed(xl__workbook_xml=bomb), "unpacks to more"),
                        (packed(xl__workbook_xml=entities), "entities"), (packed(xl__workbook_xml="<a>"), "no XML"),
                        (packed(xl__workbook_xml="<a/>"), "no sheet"), (b"PK\x03\x04nonsense", "cannot be unpacked"),
                        (b"Title\n\xff\n", "not UTF-8"), (b"Title\n\"open\n", "none ends it"), (b"Title\n\"a\"b\n", "closing quotation mark"),
                        (b"Title\n" + b"x\n" * 6000, "rows"), (b"Title\n" + b"x" * 50000, "bytes"), (b"a,b\n1,2\n", "names the columns")]:
        problem = import_csv(world, body, expect=422)
        assert words in problem["detail"], problem
    assert count(world) == 0
