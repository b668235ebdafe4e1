"""What somebody tries who has a foot in the door already, and what happens when two things come at once: nobody sees, does or
holds up more than their own."""
import http.client
import json
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402
from goals import World  # noqa: E402


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as f:
        yield f


@pytest.fixture(scope="module")
def gateway(fleet):
    with Gateway(fleet, GOALSYNC_GATEWAY_WORKERS="4") as g:
        yield g


@pytest.fixture
def world(gateway):
    w = World(gateway)
    w.person("bob")
    w.person("carl", "admin")
    return w


class Transaction:
    """One of another connection, open until it is committed."""

    def __init__(self, fleet):
        self.connection = fleet.connect()
        self.connection.autocommit = False
        self.cursor = self.connection.cursor()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def run(self, sql, *params):
        self.cursor.execute(sql, params)


def someone_waits(fleet):
    """Somebody's statement waits for a lock."""
    wait_for("a statement that waits", lambda: fleet.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                                         "'goalsync-gateway' AND wait_event_type = 'Lock'"))


# ---- who holds up whom


def test_a_long_request_holds_up_nobody_of_the_same_token(gateway, fleet):
    token = gateway.account("slow@example.org", "Slow")
    with Transaction(fleet) as slow:  # a request that is under way noted the use of its token first
        slow.run("SELECT FROM gateway_enter((SELECT token_hash FROM api_token WHERE account_id = %s), NULL, NULL, NULL, NULL)",
                 gateway.account_of(token))
        slow.run("SELECT FROM api_token WHERE account_id = %s AND last_used_at IS NOT NULL", gateway.account_of(token))
        assert slow.cursor.rowcount == 1
        gateway.get("/api/v1/me", token).expect(200)


def test_a_long_request_holds_up_nobody_of_the_same_session(gateway, fleet):
    value = "B" * 42 + "A"
    account = gateway.account_of(gateway.account("browser@example.org", "Browser"))
    fleet.sql("INSERT INTO session (id_hash, account_id, used_at, idle, expires_at) VALUES (sha256(%s), %s, now() - interval '5 minutes', "
              "'1 hour', now() + interval '1 hour')", value.encode(), account)
    with Transaction(fleet) as slow:
        slow.run("SELECT FROM gateway_enter(NULL, sha256(%s), NULL, NULL, NULL)", value.encode())
        slow.run("SELECT FROM session WHERE account_id = %s AND used_at > now() - interval '1 minute'", account)
        assert slow.cursor.rowcount == 1
        gateway.get("/api/v1/me", headers={"Cookie": f"goalsync={value}"}).expect(200)
    gateway.get("/api/v1/me", headers={"Cookie": f"goalsync={value}"}).expect(200)
    assert fleet.one("SELECT used_at > now() - interval '2 minutes' FROM session WHERE account_id = %s", account)


def test_one_caller_takes_neither_all_workers_nor_the_whole_queue(fleet, gateway):
    greedy, other = (gateway.account(f"{name}@example.org", name) for name in ("greedy", "other"))
    with Gateway(fleet, "gateway.shares", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_WORKERS="4", GOALSYNC_GATEWAY_QUEUE="8",
                 GOALSYNC_GATEWAY_STATEMENT="60s") as g, ThreadPoolExecutor(9) as pool:
        for token in (greedy, other):
            g.get("/probe/page", token).expect(200)
        with Transaction(fleet) as lock:  # what GET /probe/wait waits for
            lock.run("SELECT pg_advisory_xact_lock(4711)")
            running = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
            under_way = [pool.submit(g.get, "/probe/wait", greedy) for _ in range(3)]
            wait_for("three that run", lambda: fleet.one(running) == 3)
            under_way += [pool.submit(g.get, "/probe/wait", greedy) for _ in range(6)]
            wait_for("six that wait", lambda: g.metric("goalsync_gateway_queue") == 6)
            assert "of yours" in g.get("/probe/wait", greedy).expect(503).json["detail"]
            for _ in range(10):
                g.get("/probe/page", other).expect(200)
            assert fleet.one(running) == 3
        assert [f.result().status for f in under_way] == 9 * [200]
        assert g.metric("goalsync_gateway_queue") == 0
        g.get("/probe/page", greedy).expect(200)


# ---- limits


def test_one_caller_has_one_bucket_however_it_writes_who_it_is(gateway, fleet):
    value = "C" * 42 + "A"
    token = gateway.account("many@example.org", "Many")
    fleet.sql("INSERT INTO session (id_hash, account_id, idle, expires_at) VALUES (sha256(%s), %s, '1 hour', now() + interval '1 hour')",
              value.encode(), gateway.account_of(token))
    spellings = ("Bearer {}", "bearer {}", "BEARER {}", "Bearer  {}", "Bearer   {}")
    with Gateway(fleet, "gateway.spelt", GOALSYNC_GATEWAY_RATE="1", GOALSYNC_GATEWAY_BURST="5") as g:
        tokens = [g.get("/api/v1/me", headers={"Authorization": s.format(token)}) for s in 4 * spellings]
        cookies = [g.get("/api/v1/me", headers={"Cookie": f"goalsync={value}; x={i % 5}"}) for i in range(20)]
    for answers in (tokens, cookies):
        assert [a.status for a in answers].count(200) < 12, answers
        assert answers[-1].status == 429 and answers[-1].headers["RateLimit"].startswith('"caller"')


def last_address(gateway):
    return [line for line in gateway.log().splitlines() if "operation=me_get" in line][-1].rsplit("address=", 1)[1].split()[0]


@pytest.mark.parametrize("lines, address", [
    (["203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
    (["203.0.113.9", "198.51.100.7"], "198.51.100.7"),  # a proxy that adds a line of its own
    (["203.0.113.9", "198.51.100.7, 127.0.0.1"], "198.51.100.7"),
    (["203.0.113.9,", "2001:db8::7"], "2001:db8::7"),
    (["203.0.113.9, 198.51.100.7:4711"], "198.51.100.7"),
    (["203.0.113.9, [2001:db8::7]:4711"], "2001:db8::7"),
    (["203.0.113.9", "unknown"], "127.0.0.1"),
    (["198.51.100.7, a=\"b"], "127.0.0.1")])
def test_only_what_our_own_proxy_wrote_down_is_believed(proxied, lines, address):
    host, port = proxied.address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.putrequest("GET", "/api/v1/me")
    for line in lines:
        connection.putheader("X-Forwarded-For", line)
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()
    assert last_address(proxied) == address


@pytest.fixture(scope="module")
def proxied(fleet, gateway):
    with Gateway(fleet, "gateway.proxied", GOALSYNC_GATEWAY_PROXIES="127.0.0.1") as g:
        yield g


# ---- kept answers


def test_a_kept_answer_is_for_whoever_asked(gateway, fleet):
    """A token that may less, of the same account, does not get the one that may more by its key."""
    strong = gateway.account("keys@example.org", "Keys")
    weak = gateway.token(strong, scopes=("read", "write"))
    key = {"Idempotency-Key": "deploy-1"}
    body = {"name": "by the strong one", "scopes": ["read", "admin"]}
    made = gateway.post("/api/v1/tokens", body, strong, headers=key).expect(201).json
    gateway.post("/api/v1/tokens", body, strong, headers=key).expect(201)
    stolen = gateway.post("/api/v1/tokens", body, weak, headers=key)
    assert stolen.status == 403 and made["token"] not in stolen.text


# ---- private goals


def test_the_audit_names_no_private_goal(gateway, world):
    secret = world.create("Merge with Initech", by="bob", private=True)
    plain = world.create("Open the books", by="bob")
    for goal in (secret, plain):
        world.call("DELETE", f"/api/v1/goals/{goal}", by="bob", expect=204)
    rows = gateway.pages(f"/api/v1/organisations/{world.org}/audit?action=goal.deleted", world.tokens["carl"])
    assert {r["target"] for r in rows} == {f"goal:{secret}", f"goal:{plain}"}
    assert "Open the books" in json.dumps(rows) and "Initech" not in json.dumps(rows)


def test_a_key_result_that_comes_while_its_parent_becomes_private_is_private(gateway, fleet, world):
    parent = world.create("Objective", by="bob")
    with Transaction(fleet) as editing, ThreadPoolExecutor(1) as pool:
        editing.run("SELECT FROM goal WHERE public_id = %s FOR NO KEY UPDATE", parent)
        coming = pool.submit(world.create, "Key result", "bob", kind="key_result", parents=[parent])
        someone_waits(fleet)
        editing.run("UPDATE goal SET private = true WHERE public_id = %s", parent)
        editing.connection.commit()
        key_result = coming.result()
    assert world.goal(key_result, "bob")["private"]
    world.call("GET", f"/api/v1/goals/{key_result}", by="carl", expect=404)


def test_an_alignment_that_comes_while_the_parent_becomes_private_makes_private(gateway, fleet, world):
    parent, key_result = world.create("Objective", by="bob"), world.create("Key result", by="bob", kind="key_result")
    with Transaction(fleet) as editing, ThreadPoolExecutor(1) as pool:
        editing.run("SELECT FROM goal WHERE public_id = %s FOR NO KEY UPDATE", parent)
        coming = pool.submit(world.call, "POST", f"/api/v1/goals/{key_result}/parents", {"parent_id": parent}, "bob")
        someone_waits(fleet)
        editing.run("UPDATE goal SET private = true WHERE public_id = %s", parent)
        editing.connection.commit()
        coming.result().expect(201)
    assert world.goal(key_result, "bob")["private"]


def test_an_administrator_postpones_a_private_goal_that_they_were_shown(world):
    goal = world.create("Secret", by="bob", private=True, viewer_ids=[world.people["carl"]])
    body = {"starts_on": "2091-01-01", "ends_on": "2091-12-31"}
    copy = world.call("POST", f"/api/v1/goals/{goal}/postpone", body, "carl", expect=200).json["copy_id"]
    assert world.goal(copy, "carl")["private"] and world.goal(copy, "bob")["private"]
    world.call("GET", f"/api/v1/goals/{copy}", expect=404)


# ---- the second wall


def test_other_roles_learn_nothing_of_accounts(fleet, gateway):
    """A worker's role cannot ask, in anybody's name, for what is the gateway's alone to know."""
    token = gateway.account(f"{uuid.uuid4()}@example.org", "Known")
    gateway.organisation(token, "Known to few")
    account = gateway.account_of(token)
    for role in ("goalsync_fetch_third_party", "goalsync_scheduler"):
        for call in ("SELECT * FROM own_memberships()", "SELECT * FROM own_organisations()",
                     "SELECT private_goal_visible(1, 1, 1, 1, 1)"):
            with Transaction(fleet) as t:
                t.run(f"SET LOCAL ROLE {role}")
                t.run("SELECT set_config('goalsync.account', %s, true)", str(account))
                with pytest.raises(Exception, match="permission denied"):
                    t.run(call)
