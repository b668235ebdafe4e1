"""The gateway's machinery on a real PostgreSQL: what every operation shares. Most is asked of goalsync-gateway-probe, the same
gateway with operations that only tests want (tests/service/gateway)."""
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402

NOTHING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as f:
        yield f


@pytest.fixture(scope="module")
def gateway(fleet):
    with Gateway(fleet) as g:
        yield g


@pytest.fixture(scope="module")
def probe(fleet, gateway):
    with Gateway(fleet, "gateway.probe", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_LATER="1s", GOALSYNC_GATEWAY_WORKERS="4",
                 GOALSYNC_GATEWAY_CORS_ORIGINS="https://a.example, https://b.example",
                 GOALSYNC_GATEWAY_PUBLIC_URL="https://goals.example") as g:
        yield g


@pytest.fixture(scope="module")
def ada(gateway):
    return gateway.account("ada@example.org", "Ada")


@pytest.fixture(scope="module")
def tina(gateway):
    return gateway.account("tina@example.org", "Tina", tenant_admin=True)


class Lock:
    """Holds the lock that GET /probe/wait waits for."""

    def __init__(self, fleet):
        self.fleet = fleet

    def __enter__(self):
        self.connection = self.fleet.connect()
        self.connection.cursor().execute("SELECT pg_advisory_lock(4711)")
        return self

    def waiting(self, n):
        sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
        wait_for(f"{n} that wait", lambda: self.fleet.one(sql) == n)

    def __exit__(self, *_):
        self.connection.close()


# ---- the document


def test_the_document_is_served_to_anybody(gateway):
    answer = gateway.get("/openapi.json").expect(200)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["openapi"].startswith("3.1.")
    assert set(answer.json["paths"]["/api/v1/me"]["get"]["responses"]) >= {"200", "401", "403", "406", "429", "500", "503"}


def test_every_operation_of_the_document_exists_and_nothing_else_does(gateway):
    paths = gateway.get("/openapi.json").json["paths"]
    for path, item in paths.items():
        real = "/".join(NOTHING if part.startswith("{") else part for part in path.split("/"))
        allow = gateway.call("OPTIONS", real).expect(204).headers["Allow"].split(", ")
        methods = {m.upper() for m in item if m in ("get", "post", "put", "patch", "delete")}
        assert set(allow) == methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()), path
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
            refused = gateway.call(method, real).expect(405)
            assert refused.headers["Allow"].split(", ") == allow
        gateway.get(real + "/no/such/place").expect(404)
    for path in ("/", "/api", "/api/v1", "/api/v1/", "/api/v1/me/", "//api/v1/me", "/api/v1/Me", "/openapi.json/", "/api/v2/me"):
        assert gateway.get(path).status == 404, path


def test_the_caller_is_known_by_its_token(gateway, ada):
    me = gateway.get("/api/v1/me", ada).expect(200).json
    assert me["account"]["name"] == "Ada" and me["account"]["email"] == "ada@example.org"
    assert me["token"]["scopes"] == ["read", "write", "admin", "tenant"]
    org = gateway.organisation(ada, "Acme")
    assert gateway.get("/api/v1/me", ada).json["memberships"] == [
        {"organisation_id": org.id, "organisation_name": "Acme", "person_id": org.owner, "role": "owner"}]


def test_nobody_is_refused_with_a_problem(gateway):
    answer = gateway.get("/api/v1/me").expect(401)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["status"] == 401 and answer.json["instance"] == answer.headers["X-Request-Id"]
    assert answer.json["title"] == "Unauthorized" and answer.json["type"].endswith("/problems/unauthorized")


def test_a_revoked_and_an_expired_token_are_refused(gateway, fleet, ada):
    expired = gateway.token(ada, expires="now() - interval '1 second'")
    gateway.get("/api/v1/me", expired).expect(401)
    revoked = gateway.token(ada)
    gateway.get("/api/v1/me", revoked).expect(200)
    fleet.sql("UPDATE api_token SET revoked_at = now() WHERE account_id = %s AND id = (SELECT max(id) FROM api_token)",
              gateway.account_of(ada))
    gateway.get("/api/v1/me", revoked).expect(401)


# ---- access


def test_roles_and_scopes(probe, ada, tina):
    org = probe.organisation(ada, "Roles")
    admin, member, stranger = (probe.account(f"{n}@example.org", n) for n in ("admin", "member", "stranger"))
    probe.member(org, admin, "admin")
    probe.member(org, member)
    path = f"/probe/organisations/{org.id}"
    expected = {ada: (200, 200, 200), admin: (200, 200, 403), member: (200, 403, 403), stranger: (404, 404, 404),
                tina: (403, 403, 403), None: (401, 401, 401)}
    for token, statuses in expected.items():
        assert tuple(probe.call(m, path, token=token).status for m in ("GET", "PUT", "DELETE")) == statuses
    reader = probe.token(ada, scopes=["read"])
    assert probe.get(path, reader).status == 200
    assert "scope" in probe.put(path, None, reader).expect(403).json["detail"]
    assert probe.get("/probe/tenant-only", tina).status == 200
    assert probe.get("/probe/tenant-only", ada).status == 403


def test_a_token_of_one_organisation_reaches_no_other(probe, ada):
    one, other = probe.organisation(ada, "One"), probe.organisation(ada, "Other")
    token = probe.token(ada, org=one.row)
    probe.get(f"/probe/organisations/{one.id}", token).expect(200)
    probe.get(f"/probe/organisations/{other.id}", token).expect(404)


def test_what_does_not_exist_and_what_is_no_id_are_the_same(probe, ada):
    for goal in (NOTHING, "1", "x", "%20", NOTHING + "0"):
        assert probe.get(f"/probe/goals/{goal}", ada).expect(404).json["detail"].startswith("There is no such goal")


def test_who_has_no_access_learns_nothing_of_what_the_request_should_hold(probe):
    probe.post("/probe/add", {"nonsense": 1}).expect(401)


# ---- parameters and bodies


def test_what_the_document_keeps_out_of_addresses_is_refused_there(gateway, probe, ada):
    paths = gateway.get("/openapi.json").json["paths"]
    emoji = next(p["schema"] for p in paths["/api/v1/goals/{goal}/reactions/{emoji}"]["parameters"] if p["name"] == "emoji")
    tag = next(p["schema"] for p in paths["/api/v1/organisations/{organisation}/goals"]["get"]["parameters"] if p.get("name") == "tag")
    for schema, kept_out in ((emoji, "/\0\n\x1f\x7f"), (tag, "\0\n\x1f\x7f")):
        assert re.search(schema["pattern"], "žluť & 👍\x80")
        assert not any(re.search(schema["pattern"], f"a{c}b") for c in kept_out)
    for c in "\0\n\x1f\x7f/":
        gateway.call("PUT", f"/api/v1/goals/{NOTHING}/reactions/{urllib.parse.quote(c, safe='')}", token=ada).expect(400)
        probe.get(f"/probe/params?text={urllib.parse.quote(c, safe='')}").expect(200 if c == "/" else 400)


@pytest.mark.parametrize("query, pointer", [
    ("n=6", "#query/n"), ("n=x", "#query/n"), ("n=1.0", "#query/n"), ("n=", "#query/n"), ("flag=yes", "#query/flag"),
    ("day=2026-02-30", "#query/day"), ("words=a,d", "#query/words"), ("words=a,a,a,a", "#query/words"),
    ("text=123456789012345678901", "#query/text"), ("other=1", "#query/other"), ("n=1&n=2", "#query/n")])
def test_parameters_are_as_the_document_says(probe, query, pointer):
    problem = probe.get(f"/probe/params?{query}").expect(400).json
    assert [e["pointer"] for e in problem["errors"]] == [pointer]


def test_right_parameters_are_taken(probe):
    answer = probe.get("/probe/params?n=-5&flag=true&day=2026-02-28&words=a,c&text=%C5%BElu%C5%A5+%26").expect(200).json
    assert answer == {"n": "-5", "flag": "true", "day": "2026-02-28", "words": "a,c", "text": "žluť &"}
    assert set(probe.get("/probe/params?").expect(200).json.values()) == {None}


@pytest.mark.parametrize("body, status, pointer", [
    ({"email": "a@b", "more": 1}, 422, "/more"), ({}, 422, "/email"), ({"email": 1}, 422, "/email"), ({"email": "nobody"}, 422, "/email"),
    ([], 422, ""), ('{"email":"a@b","email":"c@d"}', 422, "/email"), ('{"email":"a\\u0000@b"}', 422, "/email"),
    ("{", 400, None), ("", 400, None), (b'{"email":"\xff@b"}', 400, None), ("[" * 100 + "]" * 100, 400, None)])
def test_bodies_are_as_the_document_says(probe, ada, body, status, pointer):
    problem = probe.post("/probe/add", body, ada).expect(status).json
    assert [e["pointer"] for e in problem.get("errors", [])] == ([] if pointer is None else [pointer])


def test_every_mistake_is_told(probe, tina):
    problem = probe.patch("/probe/tenant", {"org_creation": "nobody", "x": 1, "y/z": 2}, tina).expect(422).json
    assert sorted(e["pointer"] for e in problem["errors"]) == ["/org_creation", "/x", "/y~1z"]


def test_media_types(probe, ada):
    probe.post("/probe/add", "email=a", ada, headers={"Content-Type": "application/x-www-form-urlencoded"}).expect(415)
    probe.post("/probe/import", "a,b", ada, headers={"Content-Type": "text/csv; charset=utf-8"}).expect(200)
    probe.get("/probe/csv", headers={"Accept": "application/json"}).expect(406)
    probe.get("/probe/csv", headers={"Accept": "text/*;q=0.2, application/json"}).expect(200)
    probe.get("/probe/params", headers={"Accept": "text/csv"}).expect(406)
    probe.get("/probe/params", headers={"Accept": "*/*, application/json;q=0"}).expect(406)


# ---- answers


def test_head_is_get_without_the_body(probe):
    got, head = probe.get("/probe/csv").expect(200), probe.call("HEAD", "/probe/csv").expect(200)
    assert head.body == b"" and head.headers["Content-Length"] == str(len(got.body)) == "5"
    assert head.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_the_request_is_named(probe):
    mine = probe.get("/probe/params", headers={"X-Request-Id": "mine-1.2_3"})
    assert mine.headers["X-Request-Id"] == "mine-1.2_3"
    for bad in ("a b", "x" * 65, "é".encode().decode("latin-1"), "<script>"):
        assert probe.get("/probe/params", headers={"X-Request-Id": bad}).headers["X-Request-Id"] != bad


def test_security_headers(probe, gateway):
    headers = probe.get("/probe/params").headers
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "max-age" in headers["Strict-Transport-Security"]  # its public URL is https
    assert "Strict-Transport-Security" not in gateway.get("/openapi.json").headers


def test_mistakes_of_ours_tell_nothing_but_their_number(probe, ada):
    problem = probe.post("/probe/break", token=ada, body=None).status
    assert problem == 400  # it takes no body
    answer = probe.call("POST", "/probe/break", token=ada).expect(500)
    assert "nowhere" not in answer.text and "SELECT" not in answer.text
    assert answer.headers["X-Request-Id"] in probe.log() and "nowhere" in probe.log()


def test_pages(probe, ada):
    assert [i["n"] for i in probe.pages("/probe/page?upto=7", ada, limit=3)] == [1, 2, 3, 4, 5, 6, 7]
    assert [i["n"] for i in probe.pages("/probe/page?upto=6", ada, limit=3)] == [1, 2, 3, 4, 5, 6]
    assert probe.get("/probe/page?upto=0", ada).json == {"items": [], "next_cursor": None}
    assert len(probe.get("/probe/page?upto=1000", ada).json["items"]) == 50
    probe.get("/probe/page?limit=201", ada).expect(400)


def test_cursors_are_ours_alone(probe, ada, fleet):
    cursor = probe.get("/probe/page?limit=1", ada).json["next_cursor"]
    changed = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for bad, status in ((cursor[:-1], 400), (cursor + "A", 422), (changed, 422), ("A" * len(cursor), 422), ("3", 400), ("x" * 38, 400), ("%2B" * 40, 400)):
        problem = probe.get(f"/probe/page?cursor={bad}", ada).expect(status).json
        assert problem["errors"][0]["pointer"] == "#query/cursor"
    probe.get(f"/probe/other-page?cursor={cursor}", ada).expect(422)
    with Gateway(fleet, "gateway.probe2", program="goalsync-gateway-probe") as replica:
        assert replica.get(f"/probe/page?limit=1&cursor={cursor}", ada).expect(200).json["items"] == [{"n": 2}]


def test_revisions(probe, ada, tina):
    etag = probe.get("/probe/tenant", ada).expect(200).headers["ETag"]
    same = probe.get("/probe/tenant", ada, headers={"If-None-Match": f'"x", W/{etag}'}).expect(304)
    assert same.body == b"" and same.headers["ETag"] == etag
    edit = {"org_creation": "administrators"}
    probe.patch("/probe/tenant", edit, tina, headers={"If-Match": '"0"'}).expect(412)
    probe.patch("/probe/tenant", edit, tina, headers={"If-Match": f"W/{etag}"}).expect(412)
    assert probe.patch("/probe/tenant", edit, tina, headers={"If-Match": f'"0", {etag}'}).expect(204).body == b""
    probe.patch("/probe/tenant", edit, tina, headers={"If-Match": etag}).expect(412)
    probe.patch("/probe/tenant", {"org_creation": "everyone"}, tina, headers={"If-Match": "*"}).expect(204)
    assert probe.get("/probe/tenant", ada, headers={"If-None-Match": etag}).expect(200).headers["ETag"] != etag


# ---- races


def test_lost_races_are_run_again(probe, ada):
    for how in ("serialization", "lost"):
        assert probe.call("POST", f"/probe/clash?times=2&how={how}", token=ada).expect(200).json == {"tried": 3}
        assert probe.call("POST", f"/probe/clash?times=3&how={how}", token=ada).expect(503).headers["Retry-After"]
        assert probe.call("POST", f"/probe/clash?times=0&how={how}", token=ada).expect(200)


def test_what_exists_already_is_a_conflict(probe, ada):
    probe.post("/probe/add", {"email": "twice@example.org"}, ada).expect(201)
    assert "email" in probe.post("/probe/add", {"email": "twice@example.org"}, ada).expect(409).json["detail"]


# ---- Idempotency-Key


def count(fleet, email):
    return fleet.one("SELECT count(*) FROM tenant_creator WHERE email = %s", email)


def test_the_same_key_gives_the_same_answer(probe, ada, fleet):
    key = {"Idempotency-Key": "same"}
    first = probe.post("/probe/add", {"email": "key@example.org"}, ada, headers=key).expect(201)
    again = probe.post("/probe/add", {"email": "key@example.org"}, ada, headers=key).expect(201)
    assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
    assert again.body == first.body and again.headers["Location"] == first.headers["Location"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert count(fleet, "key@example.org") == 1
    probe.post("/probe/add", {"email": "other@example.org"}, ada, headers=key).expect(422)
    bob = probe.account("bob@example.org", "Bob")
    probe.post("/probe/add", {"email": "bobs@example.org"}, bob, headers=key).expect(201)
    assert "key@example.org" not in str(fleet.sql("SELECT * FROM idempotency"))  # what it holds is sealed


@pytest.mark.parametrize("key", ["", "\xff", "\xc3\xa9", "x" * 256])
def test_a_key_that_is_none_is_refused(gateway, probe, ada, key):
    problem = probe.post("/probe/add", {"email": "key@example.org"}, ada, headers={"Idempotency-Key": key}).expect(400).json
    assert problem["errors"][0]["pointer"] == "#header/Idempotency-Key"
    assert "Idempotency-Key" in gateway.call("POST", "/auth/logout", headers={"Idempotency-Key": key}).expect(400).json["detail"]


def test_refusals_are_kept_and_what_led_to_them_is_not(probe, ada, fleet):
    key = {"Idempotency-Key": "refused"}
    first = probe.post("/probe/refuse", {"email": "no@example.org"}, ada, headers=key).expect(409)
    again = probe.post("/probe/refuse", {"email": "no@example.org"}, ada, headers=key).expect(409)
    assert again.headers["Idempotent-Replayed"] == "true" and again.json == first.json
    assert again.headers["Content-Type"] == "application/problem+json"
    assert count(fleet, "no@example.org") == 0


def test_failures_of_ours_are_not_kept(probe, ada, fleet):
    key = {"Idempotency-Key": "broken"}
    for _ in range(2):
        answer = probe.call("POST", "/probe/break", token=ada, headers=key).expect(500)
        assert "Idempotent-Replayed" not in answer.headers
    assert fleet.one("SELECT count(*) FROM idempotency WHERE key = 'broken'") == 0


def test_a_request_that_was_never_run_is_not_kept(probe, ada):
    key = {"Idempotency-Key": "invalid first"}
    probe.post("/probe/add", {"email": 5}, ada, headers=key).expect(422)
    probe.post("/probe/add", {"email": "then@example.org"}, ada, headers=key).expect(201)


def test_the_same_key_many_times_at_once_has_one_effect(probe, ada, fleet):
    def send(_):
        return probe.post("/probe/add", {"email": "race@example.org"}, ada, headers={"Idempotency-Key": "race"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(24)))
    assert {a.status for a in answers} <= {201, 409} and any(a.status == 201 for a in answers)
    assert all(a.json["type"].endswith("/in-progress") for a in answers if a.status == 409)
    assert count(fleet, "race@example.org") == 1


def test_a_key_is_kept_for_a_day(probe, ada, fleet):
    key = {"Idempotency-Key": "old"}
    probe.post("/probe/add", {"email": "old@example.org"}, ada, headers=key).expect(201)
    fleet.sql("UPDATE idempotency SET created_at = now() - interval '25 hours' WHERE key = 'old'")
    probe.post("/probe/add", {"email": "new@example.org"}, ada, headers=key).expect(201)


def test_a_race_lost_under_a_key_is_run_again(probe, ada):
    answer = probe.call("POST", "/probe/clash?times=1&how=lost", token=ada, headers={"Idempotency-Key": "lost"}).expect(200)
    assert answer.json == {"tried": 2}


# ---- answers that come later


@pytest.mark.parametrize("how", ["loop", "thread"])
def test_somebody_else_answers(probe, ada, how):
    key = {"Idempotency-Key": f"later {how}"}
    assert probe.post("/probe/later", {"how": how}, ada).expect(200).json == {"later": True}
    assert probe.post("/probe/later", {"how": how}, ada, headers=key).expect(200).json == {"later": True}
    assert probe.post("/probe/later", {"how": how}, ada, headers=key).expect(200).headers["Idempotent-Replayed"] == "true"


def test_nobody_answers_in_time(probe, ada):
    problem = probe.post("/probe/later", {"how": "hold"}, ada).expect(504)
    assert problem.headers["Content-Type"] == "application/problem+json" and problem.json["status"] == 504
    assert probe.call("POST", "/probe/release", token=ada).json == {"released": 1}
    probe.get("/probe/params").expect(200)


def test_a_client_that_goes_away_harms_nobody(probe, ada):
    for _ in range(5):
        connection = http.client.HTTPConnection(probe.address)
        connection.request("POST", "/probe/later", '{"how":"hold"}', {"Content-Type": "application/json", "Authorization": f"Bearer {ada}"})
        connection.close()
    released = 0

    def all_released():
        nonlocal released
        released += probe.call("POST", "/probe/release", token=ada).json["released"]
        return released == 5
    wait_for("five held calls", all_released)
    probe.get("/probe/params").expect(200)


# ---- browsers


def test_cors_is_for_listed_origins_alone(probe, gateway):
    good = probe.get("/probe/params", headers={"Origin": "https://b.example"}).headers
    assert good["Access-Control-Allow-Origin"] == "https://b.example" and good["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in good
    for origin in ("https://b.example.evil", "https://B.example", "null", "http://b.example", "https://c.example"):
        assert "Access-Control-Allow-Origin" not in probe.get("/probe/params", headers={"Origin": origin}).headers
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    preflight = probe.call("OPTIONS", "/probe/add", headers=asked).expect(204).headers
    assert "POST" in preflight["Access-Control-Allow-Methods"] and "Idempotency-Key" in preflight["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in gateway.call("OPTIONS", "/api/v1/me", headers=asked).headers


def test_sessions_change_things_from_their_own_pages_only(probe, fleet, ada):
    value = "A" * 43
    fleet.sql("INSERT INTO session (id_hash, account_id, idle, expires_at) VALUES (sha256(%s), %s, '1 hour', now() + interval '1 hour')",
              value.encode(), probe.account_of(ada))
    cookie = {"Cookie": f"other=1; __Host-goalsync={value}"}
    echo = {"a": 1}
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "https://goals.example"}):
        probe.post("/probe/echo", echo, headers={**cookie, **headers}).expect(200)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
                    {"Sec-Fetch-Site": "cross-site", "Origin": "https://goals.example"}):
        probe.post("/probe/echo", echo, headers={**cookie, **headers}).expect(403)
    probe.get("/probe/tenant", headers={**cookie, "Sec-Fetch-Site": "cross-site"}).expect(200)
    probe.post("/probe/echo", echo, headers=cookie).expect(200)  # no browser: those say where a request comes from


# ---- limits


def test_callers_have_buckets_of_their_own(fleet, gateway, ada):
    with Gateway(fleet, "gateway.limits", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_RATE="1", GOALSYNC_GATEWAY_BURST="5",
                 GOALSYNC_GATEWAY_ANONYMOUS_RATE="1", GOALSYNC_GATEWAY_ANONYMOUS_BURST="10") as g:
        other = g.account("limits@example.org", "Limits")
        g.get("/probe/page", ada).expect(200)
        g.get("/probe/page", other).expect(200)
        answers = [g.get("/probe/page", ada) for _ in range(20)]
        last = next(a for a in answers if a.status == 429)
        assert int(last.headers["Retry-After"]) >= 1 and last.headers["RateLimit-Policy"] == '"caller";q=5;w=5'
        assert last.headers["RateLimit"].startswith('"caller";r=0;')
        assert g.get("/probe/page", other).expect(200).headers["RateLimit"].startswith('"caller";r=4;')
        assert 429 in [g.get("/probe/params").status for _ in range(30)]


def test_guessing_tokens_counts_for_the_address(fleet, gateway, ada):
    with Gateway(fleet, "gateway.guess", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_ANONYMOUS_RATE="1",
                 GOALSYNC_GATEWAY_ANONYMOUS_BURST="10", GOALSYNC_GATEWAY_PROXIES="127.0.0.1") as g:
        g.get("/probe/page", ada, headers={"X-Forwarded-For": "192.0.2.1"}).expect(200)
        guesses = [g.get("/probe/page", f"guess{i}", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}).status for i in range(30)]
        assert set(guesses) == {401, 429}
        g.get("/probe/page", ada, headers={"X-Forwarded-For": "198.51.100.7"}).expect(200)  # known, so its own bucket
        g.get("/probe/params", headers={"X-Forwarded-For": "203.0.113.9"}).expect(200)  # what the client itself claims counts for nothing


def test_more_than_fit_in_the_queue_are_told_so(fleet, gateway, ada):
    with Gateway(fleet, "gateway.full", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_WORKERS="1", GOALSYNC_GATEWAY_QUEUE="2",
                 GOALSYNC_GATEWAY_STATEMENT="60s") as g, ThreadPoolExecutor(3) as pool:
        with Lock(fleet) as lock:
            first = pool.submit(g.get, "/probe/wait", ada)
            lock.waiting(1)
            waiting = [pool.submit(g.get, "/probe/wait", ada) for _ in range(2)]
            wait_for("two in the queue", lambda: g.metric("goalsync_gateway_queue") == 2)
            refused = g.get("/probe/wait", ada).expect(503)
            assert refused.headers["Retry-After"] == "1"
        assert [f.result().status for f in (first, *waiting)] == [200, 200, 200]


# ---- start and end


def test_a_statement_that_takes_too_long_is_ended(fleet, gateway, ada):
    with Gateway(fleet, "gateway.slow", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_STATEMENT="1s") as g, Lock(fleet):
        g.get("/probe/wait", ada).expect(503)


def test_what_runs_is_finished_before_the_end(fleet, gateway, ada):
    with Gateway(fleet, "gateway.drain", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_STATEMENT="60s") as g, \
            ThreadPoolExecutor(2) as pool:
        with Lock(fleet) as lock:
            running = pool.submit(g.get, "/probe/wait", ada)
            lock.waiting(1)
            g.process.terminate()

            def refused():
                try:
                    g.get("/probe/params", timeout=5)
                except OSError:
                    return True
            wait_for("no new connections", refused)
            assert g.process.poll() is None
        answer = running.result()
        assert answer.status == 200 and answer.headers["Connection"].lower() == "close"
        assert g.process.wait(30) == 0, g.log()


def test_an_end_that_cannot_wait_answers_what_runs(fleet, gateway, ada):
    with Gateway(fleet, "gateway.hurry", program="goalsync-gateway-probe", GOALSYNC_DRAIN_SECONDS="1", GOALSYNC_GATEWAY_LATER="10m") as g, \
            ThreadPoolExecutor(2) as pool:
        held = pool.submit(g.post, "/probe/later", {"how": "hold"}, ada)
        wait_for("a held call", lambda: g.metric("goalsync_gateway_in_flight") == 1)
        with socket.create_connection(g.address.rsplit(":", 1)) as begun:
            begun.sendall(b"GET /probe/params HTTP/1.1\r\nHost: here\r\n")
            wait_for("a request that has begun", lambda: g.metric("goalsync_gateway_in_flight") == 2)
            g.process.terminate()
            assert held.result().status == 504
            with contextlib.suppress(OSError):  # nobody is left to run it: told so, or closed, whichever is first
                begun.sendall(b"\r\n")
                assert begun.recv(100)[:13] in (b"HTTP/1.1 503 ", b"")
        assert g.process.wait(30) == 2, g.log()


def test_the_database_away_and_back(fleet, gateway, ada):
    gateway.get("/api/v1/me", ada).expect(200)
    fleet.stop_one("postgres", "INT")
    try:
        gateway.get("/openapi.json").expect(200)
        away = gateway.get("/api/v1/me", ada).expect(503)
        assert away.headers["Retry-After"]
    finally:
        fleet.start_one("postgres")
    gateway.get("/api/v1/me", ada).expect(200)


@pytest.mark.parametrize("settings, said", [
    ({"GOALSYNC_GATEWAY_SECRET": "short", "GOALSYNC_GATEWAY_SECRET_FILE": ""}, "GOALSYNC_GATEWAY_SECRET"),
    ({"GOALSYNC_GATEWAY_LISTEN": "nowhere"}, "GOALSYNC_GATEWAY_LISTEN"),
    ({"GOALSYNC_GATEWAY_WORKERS": "0"}, "GOALSYNC_GATEWAY_WORKERS")])
def test_wrong_settings_are_told(fleet, gateway, settings, said):
    g = Gateway(fleet, "gateway.wrong", **settings).start(ready=False)
    assert g.process.wait(30) == 1
    assert said in g.log()


def test_many_at_once(probe, ada):
    def many(n):
        connection = http.client.HTTPConnection(probe.address)
        for i in range(40):
            body = json.dumps({"n": n, "i": i, "text": "x" * (n * i)})
            connection.request("POST", "/probe/echo", body, {"Content-Type": "application/json", "Authorization": f"Bearer {ada}"})
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read().decode() == body
        connection.close()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(many, range(16)))
    assert threading.active_count() < 100


def test_metrics_and_the_log_tell_of_requests(probe, ada):
    before = probe.metric('goalsync_gateway_requests_total{operation="probe_page",class="2xx"}')
    probe.get("/probe/page?limit=3", ada).expect(200)
    assert probe.metric('goalsync_gateway_requests_total{operation="probe_page",class="2xx"}') == before + 1
    assert probe.metric('goalsync_gateway_request_seconds_count{operation="probe_page"}') == \
        sum(probe.metric(f'goalsync_gateway_requests_total{{operation="probe_page",class="{c}xx"}}') for c in (2, 3, 4, 5))
    assert ada not in probe.log() and "operation=probe_page status=200" in probe.log()


def test_settings_are_listed(fleet):
    listed = subprocess.run([str(fleet.build / "bin" / "goalsync-gateway"), "--env"], capture_output=True, text=True, check=True).stdout
    assert "GOALSYNC_GATEWAY_LISTEN" in listed and "GOALSYNC_OIDC_ISSUER" in listed
