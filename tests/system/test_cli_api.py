"""The command line through the API: a real gateway on a real PostgreSQL; what the command line knows of it, it reads from its
description."""
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fleet import Fleet
from gateway import Gateway

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("GOALSYNC_BUILD_DIR", ROOT / "build")) / "bin" / "goalsync"


class Done:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)


class Cli:
    """Runs the command line as somebody: a server and a token's file."""

    def __init__(self, url, file=None, token=""):
        self.url, self.file, self.token = url, file, token

    def __call__(self, *args, stdin="", before=(), **environ):
        env = {"PATH": "/usr/bin:/bin", "GOALSYNC_SERVER": self.url, **({"GOALSYNC_TOKEN_FILE": str(self.file)} if self.file else {})}
        done = Done(subprocess.run([PROGRAM, *before, *map(str, args)], env={**env, **environ}, input=stdin, text=True, capture_output=True,
                                   timeout=120))
        assert not self.token or self.token not in done.out + done.err
        assert "Sanitizer" not in done.err and "runtime error" not in done.err, done.err
        return done

    def api(self, *args, **more):
        done = self("api", *args, "--json", **more)
        assert done.code == 0, done.err
        return done.json

    def people(self, *args, **more):
        done = self("api", *args, **more)
        assert done.code == 0, done.err
        return done.out

    def refused(self, code, *args, says="", **more):
        done = self(*args, **more)
        assert done.code == code, (done.code, done.out, done.err)
        assert done.err.startswith("goalsync: ") and done.err.count("\n") == 1, done.err
        assert says in done.err, done.err
        return done


@pytest.fixture(scope="module")
def gateway():
    with Fleet() as fleet, Gateway(fleet) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def document(gateway):
    return gateway.get("/openapi.json").expect(200).json


@pytest.fixture
def someone(gateway, request, tmp_path):
    """Somebody with an organisation of their own."""
    name = request.node.name.replace("[", "-").replace("]", "")
    token = gateway.account(f"{name}@example.org", name)
    organisation = gateway.organisation(token, name)
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(token + "\n")
    cli = Cli(gateway.url, file, token)
    cli.organisation = organisation
    return cli


def operations(document):
    return [(method.upper(), path, operation) for path, item in document["paths"].items() for method, operation in item.items()
            if method != "parameters"]


# ---- what there is


def test_every_operation_is_listed(someone, document):
    listed = {(o["id"], o["method"], o["path"], o["summary"]) for o in someone.api()["operations"]}
    assert listed == {(o["operationId"], method, path, o["summary"]) for method, path, o in operations(document)}
    text = someone.people()
    assert all(f"  {o['operationId']} " in text and path in text for _, path, o in operations(document))


def resolve(document, at):
    while "$ref" in at:
        found = document
        for part in at["$ref"][2:].split("/"):
            found = found[part]
        at = found
    return at


def test_every_operation_explains_itself(someone, document):
    """All its parameters and all members of its body are told."""
    for _, path, operation in operations(document):
        text = someone.people(operation["operationId"], "--help")
        assert operation["summary"] in text and path in text
        names = [resolve(document, p)["name"] for p in operation.get("parameters", []) + document["paths"][path].get("parameters", [])
                 if resolve(document, p)["in"] != "cookie"]
        body = resolve(document, operation.get("requestBody", {})).get("content", {}).get("application/json", {})
        names += resolve(document, body.get("schema", {})).get("properties", {})
        for name in names:
            assert f"--{name.lower().replace('_', '-')} " in text, (operation["operationId"], name, text)


def test_what_is_not_there_is_said(someone):
    someone.refused(1, "api", "goal_juggle", says='no operation "goal_juggle"; `goalsync api` lists')
    someone.refused(1, "api", "goal_close", "--gaol", "x", says="goal_close has no option --gaol; it takes --")
    someone.refused(1, "api", "goal_close", says="goal_close needs --goal ID")
    someone.refused(1, "api", "goal_create", says="needs --kind objective|key_result|project, --title TEXT")
    someone.refused(1, "api", "goal_get", "x", "--all", says="has no pages")
    someone.refused(1, "api", "goal_get", "x", "y", says="one argument too many")
    someone.refused(1, "api", "--goal", "x", says="none is named")


# ---- carrying out


def test_goals_from_beginning_to_end(someone):
    org = someone.organisation.id
    objective = someone.api("goal_create", "--organisation", org, "--kind", "objective", "--title", "Happy customers", "--tags", "one",
                            "--tags", "two words", "--private", "false", "--starts-on", "2026-01-01", "--ends-on", "2026-12-31")
    assert (objective["title"], objective["kind"], sorted(objective["tags"]), objective["private"]) == ("Happy customers", "objective",
                                                                                              ["one", "two words"], False)
    # Words as people write them, members with dashes, the only organisation not said.
    key = someone.api("goal-create", "--kind", "key-result", "--title=--ünusual 'title'", "--metric", "increase", "--start", "-5", "--target",
                      "100.50", "--parents", json.dumps({"goal_id": objective["id"]}))
    assert key["title"] == "--ünusual 'title'" and key["kind"] == "key_result"
    listed = someone.api("goal_list", "--parent-id", objective["id"])
    assert [g["id"] for g in listed["items"]] == [key["id"]]
    assert someone.api("goal_list", "--roots", "--org", someone.organisation.id)["items"][0]["id"] == objective["id"]
    # A path's part without its name; null; an empty list.
    edited = someone.api("goal_edit", key["id"], "--description", "why", "--tags", "[]")
    assert (edited["description"], edited["tags"]) == ("why", [])
    assert someone.api("goal_edit", key["id"], "--description", "null")["description"] in (None, "")
    someone.api("check_in_create", key["id"], "--value", "50", "--note", "half way")
    closed = someone.api("goal_close", "--goal", objective["id"], "--note", "done", "--cascade")
    assert closed["status"] == "closed" and someone.api("goal_get", key["id"])["status"] == "closed"
    someone.refused(4, "api", "goal_close", key["id"])
    assert someone.people("goal_delete", key["id"]) == "Done.\n"
    someone.refused(3, "api", "goal_get", key["id"])


def test_a_body_from_a_file_and_from_standard_input(someone, tmp_path):
    file = tmp_path / "goal.json"
    file.write_text(json.dumps({"kind": "objective", "title": "From a file"}))
    goal = someone.api("goal_create", "--body", file)
    assert goal["title"] == "From a file"
    assert someone.api("goal_edit", goal["id"], "--body", "-", stdin='{"title": "From a pipe"}')["title"] == "From a pipe"
    # An operation's own member of that name goes before: --body-file is the file then.
    comment = someone.api("comment_create", goal["id"], "--body", "A remark")
    assert comment["body"] == "A remark"
    assert someone.api("comment_create", goal["id"], "--body-file", "-", stdin='{"body": "Another"}')["body"] == "Another"
    someone.refused(1, "api", "goal_create", "--body", file, "--title", "x", says="give one of them")
    someone.refused(1, "api", "goal_create", "--body", tmp_path / "none", says="cannot be read")
    someone.refused(1, "api", "goal_list", "--body", file, says="has no option --body")


def test_pages(someone, gateway):
    made = {someone.api("goal_create", "--kind", "objective", "--title", f"Goal {i}")["id"] for i in range(5)}
    first = someone.api("goal_list", "--limit", 2)
    assert len(first["items"]) == 2 and first["next_cursor"]
    second = someone.api("goal_list", "--limit", 2, "--cursor", first["next_cursor"])
    assert not {g["id"] for g in first["items"]} & {g["id"] for g in second["items"]}
    everything = someone.api("goal_list", "--limit", 2, "--all")
    assert len(everything["items"]) == 5 and {g["id"] for g in everything["items"]} == made and everything["next_cursor"] is None
    assert everything["items"] == someone.api("goal_list", "--all")["items"] == gateway.pages(
        f"/api/v1/organisations/{someone.organisation}/goals", someone.token)
    text = someone.people("goal_list", "--limit", 2)
    assert "Goal " in text and "There is more: --all, or --cursor " in text
    assert "There is more" not in someone.people("goal_list", "--all", "--limit", 2)


def test_what_people_see(someone):
    goal = someone.api("goal_create", "--kind", "objective", "--title", "Escape \x1b[31m here")
    table = someone.people("goal_list")
    assert table.splitlines()[0].split()[:2] == ["id", "title"] and goal["id"] in table and "\x1b" not in table
    record = someone.people("goal_get", goal["id"])
    assert re.search(r"^title +Escape \?\[31m here$", record, re.M) and "\netag " in record and "\x1b" not in record
    assert someone.people("task_list", goal["id"]) == "There is nothing.\n"
    # A text's lines stand below each other, and so do the things behind the labels.
    someone.api("goal_edit", goal["id"], "--description", "One\nTwo \x1b[2J")
    record = someone.people("goal_get", goal["id"])
    shown = next(line for line in record.splitlines() if line.startswith("description"))
    column = shown.index("One")
    assert "\n" + " " * column + "Two ?[2J\n" in record and "\x1b" not in record
    assert all(line[column - 1] == " " != line[column] for line in record.splitlines() if re.match(r"[a-z]", line) and len(line) > column)


def test_edits_of_what_others_edited_are_refused(someone):
    goal = someone.api("goal_create", "--kind", "objective", "--title", "Old")
    etag = someone.people("goal_get", goal["id"]).split("etag")[-1].strip()
    someone.api("goal_edit", goal["id"], "--title", "New", "--if-match", etag)
    someone.refused(4, "api", "goal_edit", goal["id"], "--title", "Newer", "--if-match", etag)


def test_the_audit_calls_people_by_their_names(someone, gateway):
    added = someone.api("person_add", "--email", "grace@example.org", "--name", "Grace")
    someone.api("person_edit", added["id"], "--name", "Grace H.")
    gateway.fleet.sql("INSERT INTO audit (org_id, actor, action, target, detail) VALUES (%s, 'service:notifier', 'thing.done', 'thing:1', '{}'), "
                      "(%s, 'person:12', 'thing.done', 'thing:1', '{}')", someone.organisation.row, someone.organisation.row)
    rows = someone.api("audit_list")["items"]
    names = {r["actor"].partition(":")[0] + "/" + r["action"]: r["actor_name"] for r in rows if r["action"] != "thing.done"}
    assert names == {"person/person.added": "test_the_audit_calls_people_by_their_names",
                     "person/person.edited": "test_the_audit_calls_people_by_their_names"}
    assert {r["actor_name"] for r in rows if r["action"] == "thing.done"} == {"service:notifier", "person:12"}
    table = someone.people("audit_list").splitlines()
    assert "actor name" in table[0] and "organisation" not in table[0] and not re.search(r"actor\s*$|actor  ", table[0])
    assert any("person.added" in line and "test_the_audit_calls" in line for line in table)


def test_a_commands_own_name_reaches_its_operation(someone):
    remote = ("--server", someone.url, "--token-file", someone.file)

    def ok(*args):
        done = someone(*args, "--json", before=remote, GOALSYNC_SERVER="", GOALSYNC_TOKEN_FILE="")
        assert done.code == 0, done.err
        return done.json
    goal = ok("goal", "create", "--kind", "objective", "--title", "Remote")
    assert ok("goal", "show", goal["id"])["title"] == "Remote"
    assert [g["id"] for g in ok("goal", "list", "--org", someone.organisation.id)["items"]] == [goal["id"]]
    assert ok("goal", "close", goal["id"], "--note", "done")["status"] == "closed"
    assert ok("integrations", "list") == ok("integration", "list")
    someone.refused(1, "migrate", before=remote, says="migrate works on the servers themselves")
    someone.refused(1, "audit", "verify", before=remote, says="audit verify works on the servers themselves")
    someone.refused(1, "goal", "juggle", before=remote, says='no operation "goal_juggle"')
    # The setting alone changes nothing: local commands stay local.
    someone.refused(1, "goal", "list", says="GOALSYNC_DATABASE_URL")
    someone.refused(1, "goal", "list", "--server", someone.url, says="--server stands before the command")


def test_the_only_organisation_need_not_stand_in_a_path(someone):
    listed = someone.api("integration_list", "--all")["items"]
    name = listed[0]["name"]
    said = someone.api("integration_get", someone.organisation.id, name)
    assert someone.api("integration_get", name) == someone.api("integration_get", "--integration", name) == said
    assert said["name"] == name


def test_sheets_go_in_and_out(someone, tmp_path):
    """Bodies and answers that are no JSON, as the description has them."""
    sheet = tmp_path / "goals.csv"
    sheet.write_text("Title\r\nFrom a sheet\r\n")
    someone.api("goal_import", "--body", sheet)
    assert [g["title"] for g in someone.api("goal_list")["items"]] == ["From a sheet"]
    assert "From a sheet" in someone.people("goal_export")


# ---- refusals


def test_problems_name_the_member(someone):
    someone.refused(4, "api", "goal_create", "--kind", "objective", "--title", "x" * 5000, says="/title: ")
    someone.refused(1, "api", "goal_list", "--limit", "100000", says="#query/limit: ")
    someone.refused(1, "api", "goal_list", "--limit", "many", says='limit is "many"')
    someone.refused(1, "api", "goal_create", "--kind", "dream", "--title", "x", says="objective|key_result|project")
    someone.refused(1, "api", "goal_create", "--kind", "objective", "--title", "x", "--parents", "{", says='parents is "{"')
    someone.refused(3, "api", "goal_get", "00000000-0000-4000-8000-000000000000")


def test_a_path_stays_where_it_is(someone):
    someone.refused(1, "api", "goal_get", "..", says='goal is ".."')
    assert someone("api", "goal_get", "../me").code in (1, 3)
    assert someone("api", "goal_get", "x?y#z").code in (1, 3)


def test_roles(gateway, someone, tmp_path):
    goal = someone.api("goal_create", "--kind", "objective", "--title", "Mine")
    token = gateway.account("other@example.org", "Other")
    (tmp_path / "other").write_text(token)
    other = Cli(gateway.url, tmp_path / "other", token)
    other.refused(3, "api", "goal_get", goal["id"])
    other.refused(3, "api", "goal_list", says="you are in no organisation")
    other.refused(4, "api", "tenant_audit_list")
    reader = gateway.token(someone.token, scopes=("read",))
    (tmp_path / "reader").write_text(reader)
    Cli(gateway.url, tmp_path / "reader", reader).refused(4, "api", "goal_edit", goal["id"], "--title", "x")


def test_tokens_that_do_not_work(gateway, tmp_path):
    wrong = "gst_wrongwrongwrongwrongwrongwrong"
    (tmp_path / "wrong").write_text(wrong)
    (tmp_path / "lines").write_text(wrong + "\nX-Header: x\n")
    Cli(gateway.url, tmp_path / "wrong", wrong).refused(4, "api", "me_get", says="--token-file")
    Cli(gateway.url, tmp_path / "lines", wrong).refused(1, "api", "me_get", says="control characters")
    Cli(gateway.url, tmp_path / "none").refused(1, "api", "me_get", says="GOALSYNC_TOKEN_FILE")
    Cli(gateway.url).refused(4, "api", "me_get")
    # An address that is not this machine's: the token does not leave it in the clear.
    Cli("http://goalsync.invalid", tmp_path / "wrong", wrong).refused(1, "api", "me_get", says="must not travel unencrypted")


def test_servers_that_are_none(gateway):
    Cli("http://127.0.0.1:1").refused(2, "api", says="cannot be reached")
    Cli("").refused(1, "api", says="--server")
    Cli("ftp://127.0.0.1").refused(1, "api", says="https://")
    Cli("http://a:b@127.0.0.1").refused(1, "api", says="login")
    # A server, but not one of ours: the gateway's own health page.
    Cli(f"http://{gateway.ready.read_text().strip()}").refused(3, "api")


# ---- a server in trouble: a fake, since a real one is not in trouble at will


class Trouble(BaseHTTPRequestHandler):
    """Answers by the list `plan`: (status, headers, body), or None to hang up; keeps what it was asked."""
    protocol_version = "HTTP/1.1"
    document = plan = asked = None

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/openapi.json":
            return self.reply(200, {}, json.dumps(Trouble.document).encode())
        Trouble.asked.append((self.command, self.path, dict(self.headers), body))
        step = Trouble.plan.pop(0)
        if step is None:
            self.close_connection = True
            return None
        return self.reply(*step)

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def trouble(document):
    Trouble.document, Trouble.plan, Trouble.asked = document, [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Trouble)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Cli(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


BUSY = (503, {"Retry-After": "0"}, b"{}")
POST = ("api", "goal_reopen", "g", "--json")


def test_what_may_be_sent_again_is(trouble):
    Trouble.plan = [BUSY, None, (200, {}, b'{"id": "g"}')]
    assert trouble(*POST).json == {"id": "g"}
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in Trouble.asked]
    assert len(keys) == 3 and len(set(keys)) == 1 and len(keys[0]) == 32
    Trouble.plan = [(200, {}, b'{"id": "g"}')]
    trouble.api("goal_reopen", "g", "--idempotency-key", "mine")
    assert Trouble.asked[-1][2]["Idempotency-Key"] == "mine"


def test_what_might_be_done_twice_is_not_sent_again(trouble):
    Trouble.plan = [None, (200, {}, b"{}")]
    trouble.refused(2, "api", "goal_edit", "g", "--title", "x", says="cannot be reached")
    assert len(Trouble.asked) == 1
    Trouble.plan = [BUSY, (200, {}, b"{}")]
    trouble.refused(2, "api", "goal_edit", "g", "--title", "x")
    assert len(Trouble.asked) == 2
    # Too many requests: refused before anything was done.
    Trouble.plan = [(429, {"Retry-After": "0"}, b"{}"), (200, {}, b'{"id": "g"}')]
    assert trouble.api("goal_edit", "g", "--title", "x") == {"id": "g"}


def test_attempts_and_pauses_are_bounded(trouble):
    Trouble.plan = [BUSY] * 9
    trouble.refused(2, *POST)
    assert len(Trouble.asked) == 4
    Trouble.plan, Trouble.asked = [(503, {"Retry-After": "3600"}, b"{}")] * 2, []
    trouble.refused(2, *POST)
    assert len(Trouble.asked) == 1


@pytest.mark.parametrize("status, code", [(400, 1), (401, 4), (403, 4), (404, 3), (409, 4), (412, 4), (413, 1), (415, 1), (422, 4), (500, 7),
                                          (504, 5)])
def test_exit_codes(trouble, status, code):
    problem = {"type": "about:blank", "title": "No", "status": status, "detail": "Not like\nthis", "instance": "r1",
               "errors": [{"pointer": "/a/0", "detail": "is wrong"}, {"pointer": "#query/b", "detail": "is missing"}]}
    Trouble.plan = [(status, {"Content-Type": "application/problem+json"}, json.dumps(problem).encode())]
    trouble.refused(code, *POST, says="Not like?this; /a/0: is wrong; #query/b: is missing")
    assert len(Trouble.asked) == 1


def test_answers_that_are_none(trouble):
    Trouble.plan = [(200, {}, b'{"id": ')]
    trouble.refused(7, *POST, says="no JSON")
    Trouble.plan = [(404, {"Content-Type": "text/html"}, b"<h1>nginx</h1>")]
    trouble.refused(3, *POST, says="without saying why")
    # A redirect is not followed: the token is for this server.
    Trouble.plan = [(302, {"Location": "http://127.0.0.1:1/"}, b"")]
    assert trouble(*POST).json == {"status": 302, "location": "http://127.0.0.1:1/"}
    # What is no JSON comes as it is.
    Trouble.plan = [(200, {"Content-Type": "text/csv"}, b"a,b\r\n")]
    assert trouble(*POST).out == "a,b\n"


def test_secrets_come_from_files(trouble, tmp_path):
    """Whatever is a password, or holds one, by the description."""
    members = {"secret": {"anyOf": [{"$ref": "#/components/schemas/Secret"}, {"type": "null"}]}, "key": {"type": "string", "format": "password"}}
    Trouble.document = {"paths": {"/x": {"post": {"operationId": "door_make", "summary": "A door", "requestBody": {
        "content": {"application/json": {"schema": {"type": "object", "properties": members}}}}}}},
        "components": {"schemas": {"Secret": {"type": "object", "properties": {"password": {"type": "string", "format": "password"}}}}}}
    (tmp_path / "secret").write_text('{"password": "canary"}\n')
    (tmp_path / "key").write_text("canary key\n")
    Trouble.plan = [(201, {}, b'{"id": 1}')]
    trouble.api("door_make", "--secret", tmp_path / "secret", "--key", "-", stdin="canary key\n")
    assert json.loads(Trouble.asked[0][3]) == {"secret": {"password": "canary"}, "key": "canary key"}
    assert "canary" not in trouble.refused(1, "api", "door_make", "--secret", tmp_path / "key", says="must be a JSON object").err
    trouble.refused(1, "api", "door_make", "--key", tmp_path / "none", says="cannot be read")
    help = trouble.people("door_make", "--help")
    assert "--secret FILE" in help and "--key FILE" in help


def test_members_of_any_name_are_pairs(trouble):
    there = "00000000-0000-4000-8000-000000000000"
    make = ("connection_create", "--organisation", there, "--integration", "postgresql", "--name", "Shop")
    Trouble.plan = [(201, {}, b'{"id": 1}')] * 3
    trouble.api(*make, "--settings", "host=db", "--settings", "ca_pem=-----\nx=y", "--settings", "database=null", "--settings", 'port="')
    trouble.api(*make, "--settings", '{"host": "db"}')
    trouble.api("tenant_edit", "--allowed", "github=false", "--allowed", "postgresql=true", "--allowed", "jira=null")
    bodies = [json.loads(body) for _, _, _, body in Trouble.asked]
    assert bodies[0]["settings"] == {"host": "db", "ca_pem": "-----\nx=y", "database": None, "port": '"'}
    assert bodies[1]["settings"] == {"host": "db"} and bodies[2]["allowed"] == {"github": False, "postgresql": True, "jira": None}
    for wrong in ("host", "=db", ""):
        trouble.refused(1, "api", *make, "--settings", wrong, says="must be NAME=VALUE")
    trouble.refused(1, "api", "tenant_edit", "--allowed", "github=perhaps", says="must be NAME=VALUE")
    assert "--settings NAME=VALUE" in trouble.people("connection_create", "--help")


def test_an_operation_of_another_version(trouble, document):
    """What this program never heard of, it takes from the description: new operations, kinds of parameters, circles."""
    more = {"operationId": "moon_paint", "summary": "Paint it", "tags": ["moon"], "parameters": [
        {"name": "colours", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
        {"name": "X-Why", "in": "header", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": {"schema": {"allOf": [{"$ref": "#/components/schemas/Brush"}]}}}}}
    brush = {"type": "object", "properties": {"size": {"type": "number"}, "next": {"$ref": "#/components/schemas/Round"},
                                              "any": {}, "sizes": {"type": "array", "items": {"type": "integer"}}}}
    Trouble.document = {**document, "paths": {"/moons/{moon}/paint": {"post": more, "parameters": [
        {"name": "moon", "in": "path", "required": True, "schema": {"type": "string"}}]}},
        "components": {"schemas": {"Brush": brush, "Round": {"$ref": "#/components/schemas/Round"}}}}
    Trouble.plan = [(201, {}, b'{"id": 1}')]
    trouble.api("moon_paint", "a b/c", "--colours", "red", "--colours", "g&b", "--x-why", "joy", "--size", "0.10", "--sizes", "1", "--sizes",
                "2", "--any", "text")
    method, path, headers, body = Trouble.asked[0]
    assert (method, path, headers["X-Why"]) == ("POST", "/moons/a%20b%2Fc/paint?colours=red&colours=g%26b", "joy")
    assert json.loads(body) == {"size": 0.1, "sizes": [1, 2], "any": "text"} and b"0.10" in body
    # No key is declared, so it is not sent, and a lost answer stays lost.
    assert "Idempotency-Key" not in headers
    Trouble.plan = [None, (200, {}, b"{}")]
    trouble.refused(2, "api", "moon_paint", "x")
    assert "--moon TEXT" in trouble.people("moon_paint", "--help")
