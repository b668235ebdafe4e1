"""The command line on a real PostgreSQL of its own; what needs the services stands at the end."""
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("GOALSYNC_BUILD_DIR", ROOT / "build")) / "bin" / "goalsync"
PG_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
REFERENCE = Path(os.environ.get("GOALSYNC_REFERENCE", ROOT / "../shared/reference")) / "integrations.tsv"
SECRET = "canary-5ecret-in-no-output"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server for this module: its port."""
    home = Path(tempfile.mkdtemp(prefix="goalsync-cli-"))
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(home, "postgres")
    port = free_port()

    def run(*command):
        subprocess.run([*as_user, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")
    run(PG_BIN / "initdb", "-D", home / "data", "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
    run(PG_BIN / "pg_ctl", "-D", home / "data", "-o", options, "-l", home / "log", "-w", "start")
    yield port
    run(PG_BIN / "pg_ctl", "-D", home / "data", "-m", "immediate", "-w", "stop")
    shutil.rmtree(home)


class Answer:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)


class Cli:
    def __init__(self, port, name):
        self.port, self.name = port, name
        self.environ = {"PATH": "/usr/bin:/bin", "GOALSYNC_DATABASE_URL": self.url("goalsync_operator"),
                        "GOALSYNC_KEY_THIRD_PARTY": "k1:" + subprocess.check_output(["openssl", "rand", "-base64", "32"], text=True).strip()}

    def url(self, user):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{self.name}"

    def __call__(self, *args, stdin="", **environ):
        return Answer(subprocess.run([PROGRAM, *map(str, args)], env={**self.environ, **environ}, input=stdin, text=True,
                                     capture_output=True, timeout=60))

    def ok(self, *args, **more):
        done = self(*args, "--json", **more)
        assert done.code == 0, done.err
        return done.json

    def refused(self, code, *args, says="", **more):
        """Ends with this code, and one sentence."""
        done = self(*args, **more)
        assert done.code == code, (done.code, done.out, done.err)
        assert done.err.startswith("goalsync: ") and done.err.count("\n") == 1, done.err
        assert says in done.err, done.err
        return done

    def migrate(self):
        return self("migrate", GOALSYNC_DATABASE_URL=self.url("postgres"))

    def sql(self, statement, *params):
        connection = psycopg2.connect(self.url("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, params or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def one(self, statement, *params):
        return self.sql(statement, *params)[0][0]


@pytest.fixture
def empty(server, request):
    """A database without a schema."""
    name = re.sub(r"\W", "_", request.node.name.lower())[:60]
    admin = Cli(server, "postgres")
    admin.sql(f'CREATE DATABASE "{name}"')
    return Cli(server, name)


@pytest.fixture
def cli(empty):
    """A migrated database; commands run as the operator's role, with its rights."""
    assert empty.migrate().code == 0
    empty.sql("ALTER ROLE goalsync_operator LOGIN")
    return empty


@pytest.fixture
def org(cli):
    """An organisation with a person and an enabled integration."""
    cli.ok("org", "create", "--name", "Acme", "--time-zone", "Europe/Berlin")
    cli.ok("person", "add", "--email", "ada@example.org", "--name", "Ada", "--role", "admin")
    cli.ok("integration", "enable", "postgresql", "--accept-terms", "--by", "ada@example.org")
    return cli


def key_result(cli, title, *more):
    return cli.ok("goal", "create", "--kind", "key-result", "--metric", "increase", "--start", 0, "--target", 100, "--title", title, *more)["id"]


def objective(cli, title, *more):
    return cli.ok("goal", "create", "--kind", "objective", "--mode", "roll-up", "--title", title, *more)["id"]


def connection(cli, *more, name="Shop"):
    return cli.ok("connection", "create", "--connector", "postgresql", "--name", name, "--set", "host=db.example", "--set", "database=shop",
                  "--secret-stdin", *more, stdin=json.dumps({"user": "reader", "password": SECRET}))["id"]


# ---------------------------------------------------------------- usage

def commands():
    found = []
    for group in re.findall(r"^  (\w+) ", subprocess.check_output([PROGRAM, "help"], text=True).split("Exit codes")[0], re.M):
        text = subprocess.check_output([PROGRAM, group, "--help"], text=True)
        names = re.findall(r"^  ([a-z-]+) ", text, re.M) if "\nCommands:" in text else [""]
        found += [[group, name] if name else [group] for name in names]
    return found


def test_every_command_explains_itself():
    found = commands()
    assert ["goal", "create"] in found and ["sync"] in found and len(found) > 30
    for command in found:
        text = subprocess.check_output([PROGRAM, *command, "--help"], text=True)
        assert f"Usage: goalsync {' '.join(command)}" in text
        assert subprocess.check_output([PROGRAM, "help", *command], text=True) == text
    help_text = subprocess.check_output([PROGRAM], text=True)
    for code in range(8):
        assert re.search(rf"^  {code}  ", help_text, re.M)


@pytest.mark.parametrize("args,says", [
    (["goals"], "help"), (["goal", "make"], "goal --help"), (["goal", "create", "--colour", "red"], "--colour"),
    (["goal", "create", "--kind", "objective"], "--title"), (["goal", "show"], "GOAL is missing"), (["goal", "show", "1", "2"], "too many"),
    (["goal", "create", "--title", "x", "--title", "y"], "twice"), (["goal", "list", "--watch=1"], "switch"), (["sync", "-x"], "two dashes"),
    (["goal", "create", "--title", "x", "--kind", "wish"], "key-result"), (["topics", "create", "--partitions", "0"], "1 to 1000"),
    (["sync"], "exactly one"), (["goal", "create", "--title", "x", "--kind", "objective", "--weight", "5"], "--parent"),
    (["goal", "create", "--title", "", "--kind", "objective"], "--title is empty"), (["goal", "task", "1", "--add", ""], "--add is empty"),
])
def test_wrong_usage_is_one_sentence(args, says):
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, env={})
    assert done.returncode == 1 and done.stdout == "" and says in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_settings_are_listed_and_named_when_missing():
    listed = subprocess.check_output([PROGRAM, "--env"], text=True)
    for name in ("GOALSYNC_DATABASE_URL", "GOALSYNC_KAFKA_BROKERS", "GOALSYNC_KEY_THIRD_PARTY"):
        assert name in listed
    done = subprocess.run([PROGRAM, "org", "list"], capture_output=True, text=True, env={})
    assert done.returncode == 1 and "GOALSYNC_DATABASE_URL" in done.stderr


def test_servers_that_are_not_there():
    here = Cli(free_port(), "nothing")
    here.refused(2, "org", "list", says="127.0.0.1")
    here.refused(1, "org", "list", GOALSYNC_DATABASE_URL="postgresql://127.0.0.1:nan/x")
    here.refused(2, "topics", "list", says="Kafka", GOALSYNC_KAFKA_BROKERS=f"127.0.0.1:{free_port()}")


def test_an_old_server_is_refused():
    """No PostgreSQL 12 can be installed beside 15 here, so the greeting of one is played."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def greet():
            peer, _ = listening.accept()
            with peer:
                size, code = struct.unpack("!II", peer.recv(8, socket.MSG_WAITALL))
                if code == 80877103:  # asks for TLS
                    peer.sendall(b"N")
                    size, code = struct.unpack("!II", peer.recv(8, socket.MSG_WAITALL))
                peer.recv(size - 8, socket.MSG_WAITALL)
                version = b"server_version\0" + b"12.17\0"
                peer.sendall(b"R" + struct.pack("!II", 8, 0) + b"S" + struct.pack("!I", 4 + len(version)) + version + b"Z" + struct.pack("!I", 5) + b"I")
                peer.recv(100)
        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        Cli(listening.getsockname()[1], "x").refused(4, "org", "list", says="13 or newer", PGGSSENCMODE="disable")
        thread.join(5)


# ---------------------------------------------------------------- the schema

def test_migrate_twice_and_at_once(empty):
    empty.refused(1, "org", "list", says="goalsync migrate", GOALSYNC_DATABASE_URL=empty.url("postgres"))
    at_once = [subprocess.Popen([PROGRAM, "migrate"], env={**empty.environ, "GOALSYNC_DATABASE_URL": empty.url("postgres")},
                                stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [p.communicate(timeout=60)[0] for p in at_once]
    assert [p.returncode for p in at_once] == [0] * 4
    assert sum("Applied 0001" in o for o in outputs) == 1
    assert empty.migrate().out.startswith("The schema is up to date")
    known = sorted(p.stem for p in (ROOT / "common" / "migrations").glob("*.sql"))
    assert [r[0] for r in empty.sql("SELECT name FROM schema_migration ORDER BY version")] == known


def test_a_changed_or_newer_schema_is_refused(cli):
    cli.sql("UPDATE schema_migration SET checksum = 'other' WHERE version = 1")
    cli.refused(4, "migrate", says="never be changed", GOALSYNC_DATABASE_URL=cli.url("postgres"))
    cli.sql("INSERT INTO schema_migration (version, name, checksum) VALUES (9999, 'later', '')")
    cli.refused(4, "org", "list", says="9999")


def test_a_failed_migration_leaves_nothing(empty):
    empty.sql("CREATE TABLE goal (id int)")
    done = empty.migrate()
    assert done.code == 4 and "rolled back" in done.err and "goal" in done.err
    assert empty.one("SELECT to_regclass('organisation') IS NULL AND (SELECT count(*) FROM schema_migration) = 0")


# ---------------------------------------------------------------- organisations, people, switches

@pytest.mark.parametrize("role", ["fetch_in_boundary", "fetch_cross_boundary", "fetch_third_party", "progress_writer", "operator"])
def test_only_the_scheduler_makes_partitions(cli, role):
    """The function runs with its owner's rights, and functions are everybody's unless taken away."""
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cli.sql(f"SET ROLE goalsync_{role}; SELECT make_partitions('1000-01-01')")
    cli.sql("SET ROLE goalsync_scheduler; SELECT make_partitions()")
    assert not cli.one("SELECT has_schema_privilege(%s, 'public', 'CREATE')", f"goalsync_{role}")


def test_organisations_and_people(org):
    shown = org.ok("org", "show", "Acme")
    assert shown["time_zone"] == "Europe/Berlin" and shown["people"] == 1
    org.refused(4, "org", "create", "--name", "Acme", says="already")
    org.refused(1, "org", "create", "--name", "B", "--time-zone", "Mars/Base", says="Mars/Base")
    org.refused(1, "org", "create", "--name", "B", "--behind-above", "30", says="smaller")
    org.refused(1, "org", "create", "--name", "B", "--at-risk-above", "-3", says="0 to 100")
    org.refused(4, "person", "add", "--email", "ADA@example.org", says="already")
    org.refused(1, "person", "add", "--email", "ada", says="address")
    org.refused(3, "org", "show", "Nobody", says="org list")
    org.ok("org", "create", "--name", "Other")
    org.refused(1, "goal", "list", says="--org")
    assert org.ok("person", "list", "--org", "Acme")["people"][0]["role"] == "admin"


def test_tokens_of_the_operators_making(org, tmp_path):
    file = tmp_path / "ada.token"
    made = org("token", "create", "--email", "ADA@example.org", "--name", "laptop", "--out", file, "--json")
    assert made.code == 0, made.err
    token, shown = file.read_text(), json.loads(made.out)
    assert re.fullmatch(r"gst_[0-9A-Za-z]{49}\n", token) and stat.S_IMODE(file.stat().st_mode) == 0o600
    token = token.strip()
    assert token not in made.out + made.err and shown["hint"] == token[:12]
    assert (shown["account"], shown["name"], shown["scopes"]) == ("ada@example.org", "laptop", "read write admin")
    row = org.sql("SELECT token_hash, account_id, round(extract(epoch FROM expires_at - now()) / 86400) FROM api_token")[0]
    assert bytes(row[0]) == hashlib.sha256(token.encode()).digest() and row[2] == 90
    assert org.one("SELECT account_id FROM person WHERE email = 'ada@example.org'") == row[1], "the place is theirs"
    assert org.one("SELECT name FROM account WHERE NOT tenant_admin") == "Ada"
    assert org.one("SELECT count(*) FROM audit WHERE action = 'token.created' AND target = %s", f"token:{shown['id']}") == 1

    # What is there is not written over, and what could not be written is not made.
    for wrong in (file, tmp_path / "none" / "token"):
        assert token not in org.refused(1, "token", "create", "--email", "ada@example.org", "--out", wrong, says="cannot be made").err
    org.refused(3, "token", "create", "--email", "bob@example.org", "--out", tmp_path / "bob", says="person add --email bob@example.org")
    org.refused(1, "token", "create", "--out", tmp_path / "bob", says="--email")
    org.refused(1, "token", "create", "--email", "ada@example.org", "--days", "366", "--out", tmp_path / "bob", says="1 to 365")
    org.refused(1, "token", "create", "--email", "ada@example.org", "--scope", "all", "--out", tmp_path / "bob", says="read, write")
    org.refused(4, "token", "create", "--email", "ada@example.org", "--scope", "tenant", "--out", tmp_path / "bob", says="--tenant-admin")
    assert not (tmp_path / "bob").exists() and org.one("SELECT count(*) FROM api_token") == 1 == org.one("SELECT count(*) FROM account")

    # Standard output has the token and nothing else.
    reader = org("token", "create", "--email", "ada@example.org", "--scope", "read", "--days", "7", "--out", "-").out
    assert re.fullmatch(r"gst_[0-9A-Za-z]{49}\n", reader)
    assert org.one("SELECT scopes FROM api_token WHERE hint = %s", reader[:12]) == ["read"]
    assert org.one("SELECT count(*) FROM account") == 1

    boss = org("token", "create", "--email", "ada@example.org", "--tenant-admin", "--out", "-").out
    assert org.one("SELECT scopes FROM api_token WHERE hint = %s", boss[:12]) == ["read", "write", "admin", "tenant"]
    assert org.one("SELECT tenant_admin FROM account")
    first = [org("token", "create", "--tenant-admin", "--out", "-").out for _ in range(2)]
    assert len({*first}) == 2 and org.sql("SELECT name, email FROM account WHERE email IS NULL") == [("Bootstrap administrator", None)]

    assert len(org.ok("token", "list")["tokens"]) == 5 and len(org.ok("token", "list", "--email", "ada@example.org")["tokens"]) == 3
    assert org.ok("token", "revoke", shown["id"])["revoked_at"]
    org.refused(3, "token", "revoke", "1", says="token list")
    assert shown["id"] not in {t["id"] for t in org.ok("token", "list")["tokens"]}
    assert shown["id"] in {t["id"] for t in org.ok("token", "list", "--all")["tokens"]}
    org.sql("UPDATE account SET deactivated_at = now() WHERE email IS NOT NULL")
    org.refused(4, "token", "create", "--email", "ada@example.org", "--out", "-", says="deactivated")


def test_every_integration_is_listed_and_what_has_no_connector_cannot_be_enabled(cli):
    rows = cli.ok("integrations", "list")["integrations"]
    assert len(rows) == 33 and all({"id", "name", "category", "type", "available", "terms_url"} <= set(r) for r in rows)
    assert rows == cli.ok("integration", "list")["integrations"] and {r["enabled"] for r in rows} == {None}
    missing = [r["id"] for r in rows if not r["available"]]
    org = cli.ok("org", "create", "--name", "Acme", "--time-zone", "Europe/Berlin")["id"]
    for name in missing:
        cli.refused(4, "integration", "enable", name, "--accept-terms", says="yet")
        cli.refused(4, "connection", "create", "--connector", name, "--name", "X", says="yet")
    assert cli.one("SELECT count(*) FROM org_integration") == 0
    assert {r["enabled"] for r in cli.ok("integrations", "list", "--org", org)["integrations"]} == {False}
    cli.ok("org", "create", "--name", "Other", "--time-zone", "Europe/Berlin")
    assert [r["id"] for r in cli.ok("integrations", "list")["integrations"]] == [r["id"] for r in rows]


@pytest.mark.skipif(not REFERENCE.exists(), reason="the list of integrations to compare with is not here")
def test_the_list_is_that_of_the_product_it_succeeds(cli):
    def squeezed(name):
        name = name.lower().replace("postgressql", "postgresql").replace("365", "").replace("server", "").replace("cloud", "")
        return re.sub(r"[^a-z]", "", name)

    categories = {"Third-party": "third-party", "Cross-boundary Microsoft": "cross-boundary", "In-boundary M365": "in-boundary"}
    wanted = set()
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        name, category, kind, terms = (cell.strip() for cell in line.split("\t"))
        wanted.add((squeezed(name), categories[category], kind.lower(), terms))
    rows = cli.ok("integrations", "list")["integrations"]
    assert {(squeezed(r["name"]), r["category"], r["type"], r["terms_url"]) for r in rows} == wanted and len(wanted) == 33


def test_terms_must_be_accepted_and_gates_close(org):
    org.refused(4, "integration", "enable", "github", says="https://")
    org.refused(3, "integration", "enable", "gitbucket", says="integration list")
    assert org.one("SELECT count(*) FROM org_integration WHERE connector = 'github'") == 0
    c = connection(org)
    for close, reopen, says in ((["disable"], ["enable", "--accept-terms"], "not enabled"), (["deny"], ["allow"], "not allowed")):
        org.ok("integration", close[0], "postgresql")
        assert says in org.ok("connection", "show", c)["paused_reason"]
        org.ok("integration", reopen[0], "postgresql", *reopen[1:])
        assert org.ok("connection", "show", c)["paused_reason"] is None
    row = org.sql("SELECT terms_url, terms_accepted_at IS NOT NULL, enabled_by FROM org_integration")[0]
    assert row[0].startswith("https://") and row[1] and row[2]


# ---------------------------------------------------------------- goals

def test_a_goal_is_checked_before_it_is_stored(org):
    for wrong in (["--metric", "increase", "--start", "5", "--target", "5"], ["--metric", "decrease", "--start", "1", "--target", "5"],
                  ["--metric", "stay-below", "--target", "5", "--mode", "roll-up"], ["--from", "2026-05-02", "--to", "2026-05-01"]):
        assert org.refused(4, "goal", "create", "--kind", "key-result", "--title", "x", *wrong)
    org.refused(1, "goal", "create", "--kind", "key-result", "--title", "x", "--metric", "reach", "--target", "many", says="--target")
    for day in ("tomorrow", "2026-02-30", "2026-1-1"):
        org.refused(1, "goal", "create", "--kind", "objective", "--title", "x", "--from", day, says="--from")
    org.refused(1, "goal", "create", "--kind", "objective", "--title", "", says="empty")
    assert org.ok("goal", "list")["goals"] == []


def test_dates_default_to_the_quarter(org):
    key_result(org, "now")
    assert org.one("SELECT start_on = date_trunc('quarter', now() AT TIME ZONE 'Europe/Berlin')::date AND "
                   "end_on = start_on + interval '3 months' - interval '1 day' FROM goal")


def test_a_check_in_moves_everything_above_in_one_transaction(org):
    top = objective(org, "Top")
    middle = objective(org, "Middle", "--parent", top)
    a = key_result(org, "A", "--parent", middle)
    key_result(org, "B", "--parent", middle, "--weight", "25")
    org.ok("goal", "check-in", a, "--value", "40", "--note", "half way", "--by", "ada@example.org")
    assert [float(r[0]) for r in org.sql("SELECT progress FROM goal ORDER BY id")] == [30, 30, 40, 0]
    assert org.one("SELECT count(*) FROM outbox") == 1
    assert org.one("SELECT bool_and(actor = 'operator:goalsync_operator') FROM audit")
    shown = org("goal", "show", "A")
    assert "half way" in shown.out and "by ada@example.org" in shown.out and "40" in shown.out
    # An edited metric recomputes at once, ancestors included.
    org.ok("goal", "edit", a, "--target", "80")
    assert float(org.one("SELECT progress FROM goal WHERE id = %s", top)) == 37.5
    org.ok("goal", "unalign", "B", "--parent", "Middle")
    assert float(org.one("SELECT progress FROM goal WHERE id = %s", top)) == 50
    assert org.ok("goal", "show", top)["children"][0]["id"] == middle


def test_aligning_waits_for_a_number_that_is_on_its_way(org):
    """As the progress writer's transaction, begun before the edge was there: it cannot know the new parent."""
    top, kr = objective(org, "Top"), key_result(org, "KR")
    writer = psycopg2.connect(org.url("postgres"))
    with writer.cursor() as cursor:
        cursor.execute("UPDATE goal SET has_value = true, applied_value = 50, auto_value = 50, raw_progress = 50, progress = 50, "
                       "version = version + 1 WHERE id = %s", (kr,))
    aligning = subprocess.Popen([PROGRAM, "goal", "align", str(kr), "--parent", str(top)], env=org.environ, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while aligning.poll() is None and time.monotonic() < until and not org.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"):
        pass
    writer.commit()
    writer.close()
    assert aligning.wait(20) == 0
    assert float(org.one("SELECT progress FROM goal WHERE id = %s", top)) == 50


def test_circles_and_too_much_weight_are_refused_and_nothing_is_stored(org):
    top = objective(org, "Top")
    middle = objective(org, "Middle", "--parent", top)
    key_result(org, "A", "--parent", middle, "--weight", "60")
    org.refused(4, "goal", "align", top, "--parent", middle, says="circle")
    org.refused(4, "goal", "create", "--kind", "key-result", "--title", "B", "--metric", "reach", "--target", "5", "--parent", middle,
                "--weight", "50", says="100")
    assert org.one("SELECT count(*) FROM goal") == 3 and org.one("SELECT count(*) FROM goal_edge") == 2


def test_tasks_of_a_project_are_its_progress(org):
    p = org.ok("goal", "create", "--kind", "project", "--mode", "roll-up", "--title", "Handbook")["id"]
    org.ok("goal", "task", p, "--add", "Write", "--due", "2026-12-01")
    task = org.ok("goal", "task", p, "--add", "Print")["tasks"][0]["id"]
    org.ok("goal", "task", p, "--done", task)
    assert float(org.one("SELECT progress FROM goal")) == 50
    org.refused(3, "goal", "task", p, "--done", "999")
    org.refused(4, "goal", "task", key_result(org, "KR"), "--add", "x", says="project")


def test_names_stand_for_ids_unless_ambiguous(org):
    key_result(org, "Twin")
    key_result(org, "Twin")
    org.refused(1, "goal", "show", "Twin", says="several")
    org.refused(3, "goal", "show", "Nobody")


# ---------------------------------------------------------------- connections and their secrets

def test_secrets_are_sealed_and_shown_nowhere(org, tmp_path):
    c = connection(org, "--owner", "ada@example.org")
    sealed = bytes(org.one("SELECT sealed FROM credential"))
    assert sealed[:2] == b"GS" and SECRET.encode() not in sealed
    path = tmp_path / "secret.json"
    path.write_text(json.dumps({"user": "reader", "password": SECRET}))
    outputs = [org("connection", "show", c), org("connection", "edit", c, "--secret-file", path), org("connection", "list"),
               org("connection", "edit", c, "--secret-stdin", stdin=json.dumps({"user": "x", "password": SECRET, "more": SECRET})),
               org("connection", "edit", c, "--secret-stdin", stdin=SECRET)]
    assert [o.code for o in outputs] == [0, 0, 0, 1, 1]
    assert not any(SECRET in o.out + o.err for o in outputs)
    assert org.ok("connection", "show", c)["version"] == 2, "an edit that failed changes nothing"
    assert org.one("SELECT count(*) FROM audit WHERE detail::text LIKE %s", f"%{SECRET}%") == 0
    assert bytes(org.one("SELECT sealed FROM credential")) != sealed
    connection(org, name="Second")
    assert org.one("SELECT count(*) FROM data_key") == 1, "one data key for each organisation and category"


def test_a_plain_token_will_do(org):
    org.ok("integration", "enable", "github", "--accept-terms")
    org.ok("connection", "create", "--connector", "github", "--name", "Code", "--secret-stdin", stdin=f"{SECRET}\n")
    assert org.one("SELECT length(sealed) > 40 FROM credential")


def test_connections_are_checked_field_by_field(org):
    make = ["connection", "create", "--connector", "postgresql", "--name", "S", "--secret-stdin"]
    secret = json.dumps({"user": "u", "password": "p"})
    org.refused(4, *make, "--set", "host=db.example", stdin=secret, says="database")
    org.refused(4, *make, "--set", "host=db.example", "--set", "database=d", "--set", "databse=x", stdin=secret, says="databse")
    org.refused(4, *make, "--set", "host=db.example", "--set", "database=d", "--set", "password=x", stdin=secret, says="password")
    org.refused(1, *make, "--set", "host", stdin=secret, says="NAME=VALUE")
    org.refused(1, *make, "--set", "host=a", "--set", "host=b", stdin=secret, says="twice")
    org.refused(1, *make[:-1], "--set", "host=db.example", "--set", "database=d", says="--secret-stdin")
    good = [*make, "--set", "host=db.example", "--set", "database=d"]
    org.refused(1, *good, stdin=secret, says="GOALSYNC_KEY_THIRD_PARTY", GOALSYNC_KEY_THIRD_PARTY="k1:short")
    assert org.one("SELECT count(*) FROM connection") == 0
    org.ok(*good, stdin=secret)
    other = subprocess.check_output(["openssl", "rand", "-base64", "32"], text=True).strip()
    org.refused(4, "connection", "edit", "S", "--secret-stdin", stdin=secret, GOALSYNC_KEY_THIRD_PARTY=f"k2:{other}", says="data key")


# ---------------------------------------------------------------- links

def test_the_life_of_a_link(org):
    goal, c = key_result(org, "KR"), connection(org)
    link = org.ok("link", "create", "--goal", "KR", "--connection", "Shop", "--set", "query=SELECT 1", "--by", "ada@example.org")
    batch = "SELECT link_ids, revisions, EXISTS (SELECT FROM sync_request WHERE batch_id = id), next_due_at IS NOT NULL FROM link_batch"
    assert org.sql(batch) == [([link["id"]], [1], True, True)]
    assert org.one("SELECT mode::text FROM goal") == "data_source"
    org.refused(4, "link", "create", "--goal", goal, "--connection", c, "--set", "query=SELECT 2", says="already")
    org.refused(4, "connection", "delete", c, says="delete them first")
    org.ok("link", "edit", link["id"], "--set", "query=SELECT 2")
    assert org.sql(batch) == [([link["id"]], [2], True, True)]
    assert [r[0]["query"] for r in org.sql("SELECT settings FROM link_revision ORDER BY revision")] == ["SELECT 1", "SELECT 2"]
    org.ok("link", "pause", link["id"], "--reason", "the table moves")
    org.refused(4, "sync", link["id"], says="the table moves")
    assert "the table moves" in org("goal", "show", goal).out and org.sql(batch)[0][:2] == ([], [])
    org.ok("link", "resume", link["id"])
    assert org.sql(batch) == [([link["id"]], [2], True, True)]
    org.ok("link", "delete", link["id"])
    assert org.one("SELECT count(*) FROM link_batch") == 0 and org.one("SELECT mode::text FROM goal") == "manual"
    assert [f["kind"] for f in org.ok("goal", "show", goal)["feed"]] == ["unlinked", "link_edited", "linked"]
    org.ok("connection", "delete", c)


def test_an_edit_is_a_new_version_even_when_nothing_looks_different(org):
    """A progress writer that read the old definition must not store what it worked out from it."""
    goal = key_result(org, "KR")
    version = org.one("SELECT version FROM goal")
    org.ok("goal", "edit", goal, "--target", "80")
    assert org.one("SELECT version FROM goal") == version + 1
    assert org.one("SELECT count(*) FROM outbox") >= 1


def test_links_with_equal_settings_travel_together(org):
    connection(org)
    ids = [org.ok("link", "create", "--goal", key_result(org, f"KR {i}"), "--connection", "Shop", "--set", "query=SELECT 1")["id"] for i in range(3)]
    assert org.sql("SELECT link_ids FROM link_batch") == [(ids,)]
    org.refused(4, "link", "create", "--goal", key_result(org, "KR x"), "--connection", "Shop", "--set", "query= ", says="query")
    org.refused(4, "link", "create", "--goal", "KR x", "--connection", "Shop", says="query")


def test_a_preview_of_an_edit_holds_nothing_up(org):
    """The source may take its time; the progress writer must be able to store what the link said meanwhile."""
    connection(org)
    link = org.ok("link", "create", "--goal", key_result(org, "KR"), "--connection", "Shop", "--set", "query=SELECT 1")["id"]
    silent = socket.create_server(("127.0.0.1", 0))
    edit = subprocess.Popen([PROGRAM, "link", "edit", str(link), "--set", "query=SELECT 2", "--preview", "--timeout", "30"],
                            env={**org.environ, "GOALSYNC_KAFKA_BROKERS": f"127.0.0.1:{silent.getsockname()[1]}"}, stderr=subprocess.DEVNULL)
    try:
        silent.settimeout(20)
        kafka, _ = silent.accept()  # it waits for the answer now
        org.sql("SET lock_timeout = '2s'; UPDATE link SET failures = 1 WHERE id = %s", link)
        kafka.close()
    finally:
        edit.kill()
        edit.wait()
        silent.close()


def test_no_more_links_travel_together_than_fit_into_a_request(org):
    """A request with more would be nobody's: workers put it aside."""
    connection(org)
    create = ["link", "create", "--connection", "Shop", "--set", "query=SELECT 1", "--goal"]
    first = org.ok(*create, key_result(org, "KR"))["id"]
    goals = """INSERT INTO goal (org_id, kind, metric, mode, title, start_value, target_value, start_on, end_on)
               SELECT org_id, kind, metric, mode, 'g' || i, 0, 100, start_on, end_on FROM goal, generate_series(1, %s) i WHERE id = (SELECT min(id) FROM goal)"""
    org.sql(goals, 998)
    org.sql("""INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings)
               SELECT g.org_id, g.id, l.connection_id, l.batch_id, l.settings FROM goal g, link l WHERE l.id = %s AND g.title LIKE 'g%%'""", first)
    org.ok(*create, key_result(org, "the thousandth"))
    org.refused(4, *create, key_result(org, "one more"), says="1000")
    assert org.one("SELECT max(cardinality(link_ids)) FROM link_batch") == 1000
    assert org.one("SELECT mode::text FROM goal WHERE title = 'one more'") == "manual"


def test_sync_asks_once_and_says_when_nobody_answers(org):
    connection(org)
    link = org.ok("link", "create", "--goal", key_result(org, "KR"), "--connection", "Shop", "--set", "query=SELECT 1")["id"]
    asked = org.one("SELECT requested_at FROM sync_request")
    assert org.ok("sync", "--all")["links"][0]["outcome"] == "asked"
    assert org.one("SELECT requested_at FROM sync_request") == asked, "a request that waits already is not doubled"
    org.refused(5, "sync", link, "--wait=1", says="no answer")
    org.refused(3, "sync", "--goal", key_result(org, "Other"), says="link create")


def test_sync_wait_shows_what_was_applied(org):
    connection(org)
    goal = key_result(org, "KR")
    link = org.ok("link", "create", "--goal", goal, "--connection", "Shop", "--set", "query=SELECT 1")["id"]
    waiting = subprocess.Popen([PROGRAM, "sync", str(link), "--wait", "--json"], env=org.environ, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    while not org.one("SELECT count(*) FROM audit WHERE action = 'sync.requested'") and time.monotonic() < until:
        pass
    org.sql("UPDATE link SET outcome = 'ok'; UPDATE goal SET applied_value = 7, last_slot = now(), fetched_at = now()")
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0 and json.loads(out)["links"][0]["value"] == "7"


def test_status_goes_on_without_kafka(org):
    connection(org)
    org.ok("link", "create", "--goal", key_result(org, "Fragile"), "--connection", "Shop", "--set", "query=SELECT 1")
    org.sql("UPDATE link SET failures = 2, failing_since = now(), outcome = 'denied', error = 'the password is wrong'")
    org.sql("UPDATE link_batch SET next_due_at = now() - interval '10 minutes'")
    away = f"127.0.0.1:{free_port()}"
    done = org("status", GOALSYNC_KAFKA_BROKERS=away)
    assert done.code == 6, done.err
    for text in ("Kafka does not answer", "Fragile", "the password is wrong", "--secret-stdin", "5 minutes late"):
        assert text in done.out, done.out
    told = json.loads(org("status", "--json", GOALSYNC_KAFKA_BROKERS=away).out)
    assert told["healthy"] is False and told["slots"]["late_5_min"] == 1 and told["servers"] == {"postgresql": True, "kafka": False, "brokers": 0}


# ---------------------------------------------------------------- the live view

def read_until(fd, text, seconds=20):
    seen, until = b"", time.monotonic() + seconds
    while text not in seen and time.monotonic() < until:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:  # the other side is closed
                break
    assert text in seen, seen
    return seen


def test_the_live_view_follows_and_leaves_the_terminal_as_it_was(org):
    goal = key_result(org, "Customers")
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(PROGRAM, [str(PROGRAM), "goal", "list", "--watch", "--note", "By the way"], {**org.environ, "TERM": "xterm-256color"})
    try:
        first = read_until(fd, b"By the way")
        assert b"Customers" in first
        assert b"\x1b[?25l" in first
        org.ok("goal", "check-in", goal, "--value", "64")
        read_until(fd, b"64%")
        os.kill(pid, signal.SIGINT)
        read_until(fd, b"\x1b[?25h")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(fd)


def test_without_a_terminal_the_list_has_no_control_characters(org):
    key_result(org, "Evil \x1b[2J title")
    done = org("goal", "list")
    assert done.code == 0 and "\x1b" not in done.out and "Evil" in done.out


# ---------------------------------------------------------------- with Kafka and the services

def test_topics_are_made_once_and_listed(fleet):
    again = fleet.cli("topics", "create", "--json").json["topics"]
    assert not any(t["created"] for t in again)
    listed = {t["topic"]: t for t in fleet.cli("topics", "list", "--json").json["topics"]}
    assert {t["topic"] for t in again} <= set(listed)
    for name in ("fetch.completed", "fetch.answered", "goal.changed", "fetch.requested.third-party.github", "fetch.urgent.third-party.github",
                 "dlq.goalsync-progress-writer", "dlq.goalsync-fetch-in-boundary"):
        assert listed[name]["partitions"] >= 1 and listed[name]["ours"]


def test_sync_wait_tells_why_a_source_gave_no_number(scene):
    scene.source_sql("INSERT INTO metric VALUES (1, 10), (2, 20)")
    goal = scene.key_result("KR", "--metric", "increase", "--start", 0, "--target", 100)
    link = scene.link(goal, "SELECT value FROM metric")
    done = scene.fleet.cli("sync", link, "--wait", check=False)
    assert done.code == 4 and "2 rows" in done.err, done.err


def test_status_knows_the_lag_of_every_group(fleet):
    told = fleet.cli("status", "--json", check=False).json
    assert told["servers"]["kafka"] and told["servers"]["postgresql"]
    assert {lane["group"] for lane in told["lag"]} >= {"goalsync-fetch-third-party", "goalsync-progress-writer"}
    assert all(lane["lag"] >= 0 for lane in told["lag"])
