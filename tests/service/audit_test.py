"""The audit's chain against a real PostgreSQL: whole under concurrency, and every way of tampering is found and named."""
import concurrent.futures
import sys
from pathlib import Path

import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402

ATTENTION = 6


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as f:
        f.shell("postgres_start; make_keys; migrate")
        yield f


@pytest.fixture
def audit(fleet):
    """An empty audit with five rows, made past the triggers that keep it."""
    tampering(fleet, "TRUNCATE audit_chain, audit")
    for i in range(5):
        fleet.sql("INSERT INTO audit (actor, action, target, detail) VALUES ('operator:test', 'thing.made', %s, '{\"n\": 1.50}')", f"thing:{i}")
    return fleet


def tampering(fleet, *statements):
    """As somebody who may do anything in the database: triggers are off, and the foreign keys with them."""
    connection = psycopg2.connect(fleet.url())
    with connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("ALTER TABLE audit DISABLE TRIGGER audit_keep_all; ALTER TABLE audit_chain DISABLE TRIGGER audit_keep_all")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("ALTER TABLE audit ENABLE TRIGGER audit_keep_all; ALTER TABLE audit_chain ENABLE TRIGGER audit_keep_all")
    connection.close()


def verify(fleet, *more):
    return fleet.cli("audit", "verify", *more, check=False)


def head(fleet):
    return fleet.cli("audit", "verify", "--json").json["head"]


def row(fleet, seq):
    return fleet.one("SELECT audit_id FROM audit_chain WHERE seq = %s", seq)


def test_whole_chain(audit):
    done = verify(audit)
    assert done.code == 0 and "5 rows" in done.out
    assert head(audit).startswith("5:")


def test_head_is_computed_not_read(audit):
    assert head(audit).split(":")[1] == audit.one("SELECT encode(hash, 'hex') FROM audit_chain ORDER BY seq DESC LIMIT 1")


@pytest.mark.parametrize("column, value", [("actor", "'operator:other'"), ("action", "'thing.unmade'"), ("target", "'thing:9'"),
                                           ("at", "at + interval '1 microsecond'"), ("org_id", "7"), ("detail", "'{}'"),
                                           ("detail", "'{\"n\": 1.5}'")])
def test_changed_row_is_named(audit, column, value):
    third = row(audit, 3)
    tampering(audit, f"UPDATE audit SET {column} = {value} WHERE id = {third}")
    done = verify(audit)
    assert done.code == ATTENTION and f"row {third} of the audit, number 3," in done.err


def test_changed_hash_is_named(audit):
    tampering(audit, "UPDATE audit_chain SET hash = sha256('x') WHERE seq = 2")
    done = verify(audit)
    assert done.code == ATTENTION and "number 2," in done.err


def test_removed_row_is_named(audit):
    second = row(audit, 2)
    tampering(audit, f"DELETE FROM audit WHERE id = {second}")
    done = verify(audit)
    assert done.code == ATTENTION and f"row {second} of the audit, number 2, is gone" in done.err


def test_removed_row_and_link_leave_a_gap(audit):
    tampering(audit, f"DELETE FROM audit WHERE id = {row(audit, 2)}", "DELETE FROM audit_chain WHERE seq = 2")
    done = verify(audit)
    assert done.code == ATTENTION and "number 2 of the audit is missing" in done.err


def test_row_put_past_the_chain_is_named(audit):
    tampering(audit, "INSERT INTO audit (actor, action, target) VALUES ('operator:x', 'thing.made', 'thing:x')")
    stray = audit.one("SELECT max(id) FROM audit")
    done = verify(audit)
    assert done.code == ATTENTION and f"row {stray} of the audit stands outside the chain" in done.err


def test_deleted_tail_needs_the_kept_head(audit):
    kept = head(audit)
    tampering(audit, f"DELETE FROM audit WHERE id = {row(audit, 5)}", "DELETE FROM audit_chain WHERE seq = 5")
    assert verify(audit).code == 0, "a chain without its end is a whole chain: only the kept head tells"
    done = verify(audit, "--expect", kept)
    assert done.code == ATTENTION and "its end was taken away" in done.err


def test_chain_made_anew_needs_the_kept_head(audit):
    kept = head(audit)
    tampering(audit, f"UPDATE audit SET actor = 'operator:other' WHERE id = {row(audit, 1)}", "TRUNCATE audit_chain",
              """DO $$ DECLARE a audit; n bigint := 0; h bytea := decode(repeat('00', 32), 'hex'); BEGIN
                 FOR a IN SELECT * FROM audit ORDER BY id LOOP
                     n := n + 1; h := sha256(h || convert_to(audit_text(a), 'UTF8')); INSERT INTO audit_chain VALUES (n, a.id, h);
                 END LOOP; END $$""")
    assert verify(audit).code == 0
    done = verify(audit, "--expect", kept)
    assert done.code == ATTENTION and "number 5 of the audit has another hash than expected" in done.err


def test_kept_head_stays_valid_while_the_audit_grows(audit):
    kept = head(audit)
    audit.sql("INSERT INTO audit (actor, action, target) SELECT 'operator:test', 'thing.made', 'thing:' || i FROM generate_series(1, 12000) i")
    done = verify(audit, "--expect", kept)
    assert done.code == 0 and "12005 rows" in done.out  # more than two batches


@pytest.mark.parametrize("expect", ["", "5", "x:y", "5:abc", "-1:" + "0" * 64, "5:" + "G" * 64])
def test_nonsense_is_refused(audit, expect):
    done = verify(audit, "--expect", expect)
    assert done.code == 1 and "NUMBER:HASH" in done.err


def test_nobody_changes_or_removes_rows(audit):
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "UPDATE audit_chain SET seq = -seq", "DELETE FROM audit_chain",
                      "TRUNCATE audit CASCADE", "TRUNCATE audit_chain"):
        with pytest.raises(psycopg2.Error, match="append-only"):
            audit.sql(statement)


def test_many_sessions_make_one_chain(audit):
    """Each transaction also locks a row of its own after its audit row, in an order that would deadlock with an early chain lock."""
    sessions, each = 8, 40
    audit.sql("CREATE TABLE IF NOT EXISTS busy AS SELECT i, 0 AS n FROM generate_series(0, 1) i")

    def work(number):
        connection = psycopg2.connect(audit.url())
        for i in range(each):
            with connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO audit (actor, action, target) VALUES (%s, 'thing.made', %s)", (f"operator:{number}", f"thing:{i}"))
                cursor.execute("UPDATE busy SET n = n + 1 WHERE i = %s", (number % 2,))
                cursor.execute("INSERT INTO audit (actor, action, target) VALUES (%s, 'thing.named', %s)", (f"operator:{number}", f"thing:{i}"))
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(sessions) as pool:
        list(pool.map(work, range(sessions)))
    assert head(audit).startswith(f"{5 + 2 * sessions * each}:")


def test_rows_from_before_the_chain_are_its_beginning(fleet):
    """Migrating a database that has an audit already."""
    fleet.sql("CREATE DATABASE old", database="postgres")
    migrations = sorted((Path(__file__).resolve().parents[2] / "common/migrations").glob("*.sql"))
    fleet.sql(migrations[0].read_text(), database="old")
    for i in range(3):
        fleet.sql("INSERT INTO audit (actor, action, target) VALUES ('operator:test', 'thing.made', %s)", f"thing:{i}", database="old")
    for migration in migrations[1:]:
        fleet.sql(migration.read_text(), database="old")
    fleet.sql("INSERT INTO audit (actor, action, target) VALUES ('operator:test', 'thing.made', 'thing:3')", database="old")
    rows = fleet.sql("SELECT c.seq, a.target, c.hash = sha256(coalesce(lag(c.hash) OVER (ORDER BY c.seq), decode(repeat('00', 32), 'hex')) || "
                     "convert_to(audit_text(a), 'UTF8')) FROM audit_chain c JOIN audit a ON a.id = c.audit_id ORDER BY c.seq", database="old")
    assert rows == [(i + 1, f"thing:{i}", True) for i in range(4)]


def test_list_filters(audit):
    audit.sql("INSERT INTO audit (actor, action, target) VALUES ('operator:other', 'thing.named', 'thing:1')")
    shown = audit.cli("audit", "list", "--json").json["audit"]
    assert [r["seq"] for r in shown] == [6, 5, 4, 3, 2, 1]
    assert [r["seq"] for r in audit.cli("audit", "list", "--action", "thing.n", "--json").json["audit"]] == [6]
    assert [r["seq"] for r in audit.cli("audit", "list", "--actor", "operator:test", "--limit", "2", "--json").json["audit"]] == [5, 4]
    assert [r["seq"] for r in audit.cli("audit", "list", "--target", "thing:1", "--json").json["audit"]] == [6, 2]
    assert audit.cli("audit", "list", "--to", "2020-01-01T00:00:00Z", "--json").json["audit"] == []
    assert len(audit.cli("audit", "list", "--from", "2020-01-01T00:00:00Z", "--json").json["audit"]) == 6
    refused = audit.cli("audit", "list", "--from", "yesterday", check=False)
    assert refused.code == 1 and "--from" in refused.err


def test_commands_of_the_command_line_are_in_the_chain(audit):
    audit.cli("org", "create", "--name", "Audited")
    audit.cli("person", "add", "--org", "Audited", "--name", "Ada", "--email", "ada@example.org", "--role", "owner")
    shown = audit.cli("audit", "list", "--org", "Audited", "--json").json["audit"]
    assert [r["action"] for r in shown] == ["person.added", "organisation.created"]
    assert verify(audit).code == 0


def test_credentials_used_once_an_hour(audit):
    org = audit.one("INSERT INTO organisation (name) VALUES ('Uses') RETURNING id")
    owner = audit.one("INSERT INTO person (org_id, email, name) VALUES (%s, 'o@example.org', 'O') RETURNING id", org)
    key = audit.one("INSERT INTO data_key (org_id, category) VALUES (%s, 'in_boundary') RETURNING id", org)
    for name in ("a", "b", "c"):
        connection = audit.one("INSERT INTO connection (org_id, connector, category, name, owner_id) "
                               "VALUES (%s, 'postgresql', 'in_boundary', %s, %s) RETURNING id", org, name, owner)
        audit.sql("INSERT INTO credential (connection_id, org_id, category, data_key_id, sealed) VALUES (%s, %s, 'in_boundary', %s, '')",
                  connection, org, key)
        batch = audit.one("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) VALUES (%s, %s, 0, 'k') RETURNING id", connection, org)
        for i in range(2):
            goal = audit.one("INSERT INTO goal (org_id, kind, start_on, end_on, title) VALUES (%s, 'key_result', now(), now(), %s) RETURNING id",
                             org, f"{name}{i}")
            audit.sql("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) VALUES (%s, %s, %s, %s, '{}')", org, goal, connection, batch)

    def used():
        after = 0
        while after is not None:  # in pieces of one, so that the pieces are tested too
            after = audit.one("SELECT audit_credential_use(%s, 1)", after)
        return audit.sql("SELECT c.name, (a.detail->>'links')::int, a.detail->>'owner_id' = p.public_id::text FROM audit a "
                         "JOIN connection c ON a.target = 'connection:' || c.public_id JOIN person p ON p.id = c.owner_id "
                         "WHERE a.action = 'credential.used' ORDER BY a.id")

    assert used() == []
    audit.sql("UPDATE goal SET fetched_at = now() WHERE title IN ('a0', 'a1', 'b0')")
    assert used() == [("a", 2, True), ("b", 1, True)]
    audit.sql("UPDATE goal SET fetched_at = now() + interval '1 minute' WHERE title = 'a0'")
    audit.sql("UPDATE credential_use SET written_at = date_trunc('hour', now()) + interval '1 hour'")  # should the hour end just now
    assert len(used()) == 2, "not again within the hour"
    audit.sql("UPDATE credential_use SET written_at = written_at - interval '2 hours'")
    audit.sql("UPDATE link SET failed_slot = now() + interval '2 minutes' WHERE goal_id = (SELECT id FROM goal WHERE title = 'c1')")
    assert used()[2:] == [("a", 1, True), ("c", 1, True)], "b was not used since; a refused answer used the credential too"
    assert verify(audit).code == 0
