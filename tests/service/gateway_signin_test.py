"""Signing in: people through a real, certified OpenID Connect server, programs by its tokens and by tokens of ours, and the first
way in. What no server would ever sign is signed here with that server's own key.
"""
import base64
import hashlib
import hmac
import json
import os
import re
import stat
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway, new_token  # noqa: E402
from oidc import AUDIENCE, Absent, Browser, Key, Provider, b64, challenge, claims_of, free_port  # noqa: E402

PUBLIC = "https://goals.test"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    try:
        with Provider(tmp_path_factory.mktemp("oidc"), [f"{PUBLIC}/auth/callback"], [f"{PUBLIC}/"]) as p:
            yield p
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as f:
        yield f


@pytest.fixture(scope="module")
def gateway(fleet, provider):
    with Gateway(fleet, GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC, GOALSYNC_TENANT_ADMINS="root@example.com", GOALSYNC_OIDC_ADMIN_CLAIM="groups",
                 GOALSYNC_OIDC_ADMIN_VALUE="okr-admins", **provider.settings()) as g:
        yield g


@pytest.fixture
def browser(provider, gateway):
    return browser_of(provider, gateway)


def browser_of(provider, gateway):
    host, port = gateway.address.rsplit(":", 1)
    return Browser(provider, {PUBLIC: (host, int(port))})


def query_of(url):
    return {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}


def sign_in(browser, login, return_to="/"):
    """All the way; returns the answer of the callback."""
    begun = browser.begin(f"{PUBLIC}/auth/login?return_to={urllib.parse.quote(return_to)}")
    assert begun.status == 302, begun.body
    return browser.get(browser.sign_in_there(begun.location, login))


def me(browser):
    return browser.get(f"{PUBLIC}/api/v1/me")


# ---------------------------------------------------------------- people

def test_a_person_signs_in_with_a_browser_and_out_again(gateway, provider, browser, fleet):
    owner = gateway.account("owner@example.org", "Owner")
    org = gateway.organisation(owner, "Acme")
    fleet.sql("INSERT INTO person (org_id, email, name, role) VALUES (%s, 'ADA@example.com', 'A place that is kept', 'admin')", org.row)

    begun = browser.begin(f"{PUBLIC}/auth/login?return_to=/goals%3Fx%3D1")
    assert begun.status == 302 and begun.headers["Cache-Control"] == "no-store"
    sent = query_of(begun.location)
    assert begun.location.startswith(provider.issuer + "/auth?")
    assert sent["response_type"] == "code" and sent["redirect_uri"] == f"{PUBLIC}/auth/callback" and "openid" in sent["scope"].split()
    assert sent["code_challenge_method"] == "S256" and len(sent["state"]) == len(sent["nonce"]) == 43
    cookie = begun.headers["Set-Cookie"]
    assert re.fullmatch(r"__Host-goalsync-sign-in=[\w-]{43}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure", cookie)
    row = fleet.sql("SELECT encode(state_hash, 'hex'), verifier FROM sign_in ORDER BY expires_at DESC LIMIT 1")[0]
    binding = sent["state"] + "." + browser.cookies[PUBLIC]["__Host-goalsync-sign-in"]
    assert row[0] == hashlib.sha256(binding.encode()).hexdigest(), "state and cookie are kept as one hash"
    assert sent["code_challenge"] == challenge(row[1])

    back = browser.sign_in_there(begun.location, "ada")
    assert back.startswith(f"{PUBLIC}/auth/callback?")
    done = browser.get(back)
    assert done.status == 303 and done.headers["Location"] == "/goals?x=1" and done.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"__Host-goalsync=[\w-]{43}; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure", done.headers["Set-Cookie"])
    value = browser.cookies[PUBLIC]["__Host-goalsync"]
    assert fleet.one("SELECT count(*) FROM session WHERE id_hash = %s", hashlib.sha256(value.encode()).digest()) == 1

    mine = me(browser).json
    assert mine["account"]["email"] == "ada@example.com" and mine["account"]["name"] == "Ada Lovelace"
    assert not mine["account"]["tenant_admin"] and mine["token"] is None
    assert [(m["organisation_id"], m["role"]) for m in mine["memberships"]] == [(org.id, "admin")], "the place kept for the address"
    assert fleet.sql("SELECT issuer, subject FROM account WHERE email = 'ada@example.com'") == [(provider.issuer, "ada")]

    assert browser.request("POST", f"{PUBLIC}/auth/logout", headers={"Origin": "https://other.goals.test"}).status == 403
    assert me(browser).status == 200
    out = browser.request("POST", f"{PUBLIC}/auth/logout", headers={"Origin": PUBLIC})
    assert out.status == 303 and out.location.startswith(f"{provider.issuer}/session/end?")
    assert query_of(out.location) == {"client_id": "goalsync", "post_logout_redirect_uri": f"{PUBLIC}/"}
    assert browser.get(out.location).status == 200, "the sign-in service knows what is asked of it"
    assert "__Host-goalsync" not in browser.cookies[PUBLIC]
    browser.cookies[PUBLIC]["__Host-goalsync"] = value
    assert me(browser).status == 401, "the session is gone, not only its cookie"
    assert fleet.sql("SELECT action FROM audit WHERE target LIKE 'account:%%' AND action LIKE 'account.%%' ORDER BY id DESC LIMIT 2") == [
        ("account.signed_out",), ("account.signed_in",)]


def test_the_same_person_is_the_same_account(gateway, provider, fleet):
    for _ in range(2):
        one = browser_of(provider, gateway)
        assert sign_in(one, "bob").status == 303
    assert fleet.one("SELECT count(*) FROM account WHERE subject = 'bob'") == 1
    again = sign_in(one, "bob")
    assert again.status == 303
    assert me(one).status == 200
    assert fleet.one("SELECT count(*) FROM session s JOIN account a ON a.id = s.account_id WHERE a.subject = 'bob'") == 2, \
        "a browser that signs in again replaces its session"


def test_an_address_that_nobody_verified_opens_no_door(gateway, provider, browser, fleet):
    owner = gateway.account("owner2@example.org", "Owner")
    org = gateway.organisation(owner, "Door")
    fleet.sql("INSERT INTO person (org_id, email, name, role) VALUES (%s, 'victim@example.com', 'Victim', 'owner')", org.row)
    assert sign_in(browser, "eve").status == 303
    mine = me(browser).json
    assert mine["account"]["email"] is None and mine["memberships"] == []


def test_settings_make_the_first_tenant_administrators(gateway, provider, fleet):
    for login in ("root", "grace"):
        one = browser_of(provider, gateway)
        assert sign_in(one, login).status == 303
        assert me(one).json["account"]["tenant_admin"], login
        public = fleet.one("SELECT public_id::text FROM account WHERE subject = %s", login)
        assert fleet.one("SELECT count(*) FROM audit WHERE action = 'tenant.admin_appointed' AND target = %s", f"account:{public}") == 1
        assert sign_in(one, login).status == 303
        assert fleet.one("SELECT count(*) FROM audit WHERE action = 'tenant.admin_appointed' AND target = %s", f"account:{public}") == 1
    one = browser_of(provider, gateway)
    assert sign_in(one, "bob").status == 303
    assert not me(one).json["account"]["tenant_admin"]


def test_an_answer_counts_once_and_in_one_browser(gateway, provider, browser, fleet):
    begun = browser.begin(f"{PUBLIC}/auth/login")
    back = browser.sign_in_there(begun.location, "bob")
    stranger = browser_of(provider, gateway)
    assert stranger.get(back).status == 403, "without the cookie"
    stranger.begin(f"{PUBLIC}/auth/login")
    refused = stranger.get(back)
    assert refused.status == 403 and refused.json["type"].endswith("sign-in-unknown"), "with another cookie"
    assert browser.get(back).status == 303
    assert browser.get(back).status == 403, "again"
    again = browser.begin(f"{PUBLIC}/auth/login")
    late = browser.sign_in_there(again.location, "bob")
    fleet.sql("UPDATE sign_in SET expires_at = now() - interval '1 second'")
    assert browser.get(late).status == 403, "too late"


def test_a_code_works_for_the_sign_in_it_was_made_for_only(gateway, provider, browser):
    first = browser.sign_in_there(browser.begin(f"{PUBLIC}/auth/login").location, "bob")
    second = browser.sign_in_there(browser.begin(f"{PUBLIC}/auth/login").location, "bob")
    injected = query_of(second)
    injected["code"] = query_of(first)["code"]
    refused = browser.get(f"{PUBLIC}/auth/callback?{urllib.parse.urlencode(injected)}")
    assert refused.status == 403 and "invalid_grant" in refused.json["detail"], "PKCE"
    assert "__Host-goalsync" not in browser.cookies[PUBLIC]


def test_the_answer_must_be_for_this_sign_in(gateway, provider, browser, fleet):
    back = browser.sign_in_there(browser.begin(f"{PUBLIC}/auth/login").location, "bob")
    fleet.sql("UPDATE sign_in SET nonce = 'another'")
    refused = browser.get(back)
    assert refused.status == 403 and "nonce" in refused.json["detail"]

    back = browser.sign_in_there(browser.begin(f"{PUBLIC}/auth/login").location, "bob")
    for change in ({"iss": "https://evil.example"}, {"iss": None}, {"state": "x" * 43}, {"state": "short"}):
        changed = {k: v for k, v in {**query_of(back), **change}.items() if v is not None}
        assert browser.get(f"{PUBLIC}/auth/callback?{urllib.parse.urlencode(changed)}").status == 403, change
    good = query_of(back)
    assert browser.get(f"{PUBLIC}/auth/callback?code={good['code']}").status == 400
    refused = browser.get(f"{PUBLIC}/auth/callback?" + urllib.parse.urlencode(
        {"state": good["state"], "iss": good["iss"], "error": "access_denied", "error_description": "no\x7f", "x": "1"}))
    assert refused.status == 400, "a control character"
    refused = browser.get(f"{PUBLIC}/auth/callback?" + urllib.parse.urlencode(
        {"state": good["state"], "iss": good["iss"], "error": "access_denied", "session_state": "whatever else comes"}))
    assert refused.status == 403 and "access_denied" in refused.json["detail"]
    assert browser.get(back + "&session_state=x").status == 303, "a refusal forgets nothing; further parameters are let pass"


@pytest.mark.parametrize("to", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/%09/evil.example", "/a%0d%0aX:%201",
                                "javascript:alert(1)", "\\\\evil.example", "/a%20b", "/" + "a" * 2000])
def test_nobody_is_sent_to_another_site(browser, to):
    answer = browser.get(f"{PUBLIC}/auth/login?return_to={to if '%' in to else urllib.parse.quote(to, safe='')}")
    assert answer.status in (400, 422) and "Location" not in answer.headers


def test_sessions_end(gateway, provider, browser, fleet):
    def session():
        assert sign_in(browser, "bob").status == 303 and me(browser).status == 200
        return hashlib.sha256(browser.cookies[PUBLIC]["__Host-goalsync"].encode()).digest()
    one = session()
    fleet.sql("UPDATE session SET used_at = now() - interval '2 minutes' WHERE id_hash = %s", one)
    assert me(browser).status == 200
    assert fleet.one("SELECT used_at > now() - interval '1 minute' FROM session WHERE id_hash = %s", one), "use is noted"
    fleet.sql("UPDATE session SET used_at = now() - idle - interval '1 second' WHERE id_hash = %s", one)
    assert me(browser).status == 401, "idle"
    two = session()
    fleet.sql("UPDATE session SET expires_at = now() - interval '1 second' WHERE id_hash = %s", two)
    assert me(browser).status == 401, "at last"
    three = session()
    assert fleet.one("SELECT count(*) FROM session WHERE id_hash = %s", two) == 0, "the browser's new one replaces it"
    assert fleet.one("SELECT expires_at - created_at = interval '7 days' AND idle = interval '8 hours' FROM session WHERE id_hash = %s", three)
    fleet.sql("UPDATE account SET deactivated_at = now() WHERE subject = 'bob'")
    try:
        assert me(browser).status == 401, "deactivated"
        refused = sign_in(browser, "bob")
        assert refused.status == 403 and "deactivated" in refused.json["detail"]
    finally:
        fleet.sql("UPDATE account SET deactivated_at = NULL WHERE subject = 'bob'")
    for wrong in ("", "x", "x" * 43, "x" * 5000, '"' + "a" * 41 + '"'):
        browser.cookies[PUBLIC]["__Host-goalsync"] = wrong
        assert me(browser).status in (401, 431), wrong


# ---------------------------------------------------------------- programs

def claims(provider, **changed):
    now = int(time.time())
    made = {"iss": provider.issuer, "aud": AUDIENCE, "sub": "forged", "iat": now, "exp": now + 300, "scope": "read write", **changed}
    return {k: v for k, v in made.items() if v is not None}


def test_programs_send_access_tokens(gateway, provider, fleet):
    token = provider.access_token("read")
    mine = gateway.get("/api/v1/me", token).expect(200).json
    assert mine["account"]["name"] == "machine" and mine["token"] is None
    assert fleet.sql("SELECT issuer FROM account WHERE subject = 'machine'") == [(provider.issuer,)]
    for _ in range(3):
        gateway.get("/api/v1/me", token).expect(200)
    assert fleet.one("SELECT count(*) FROM account WHERE subject = 'machine'") == 1
    made = gateway.post("/api/v1/tokens", {"name": "x", "scopes": ["read"]}, token)
    assert made.status == 403 and "write" in made.json["detail"], "the token's scopes bind"
    made = gateway.post("/api/v1/tokens", {"name": "x", "scopes": ["read", "admin"]}, provider.access_token("read write"))
    assert made.status == 403 and "admin" in made.json["detail"]
    gateway.post("/api/v1/tokens", {"name": "x", "scopes": ["read"]}, provider.access_token("read write")).expect(201)
    gateway.get("/api/v1/me", provider.keys[0].token(claims(provider, scope=None))).expect(403)
    fleet.sql("UPDATE account SET deactivated_at = now() WHERE subject = 'machine'")
    try:
        gateway.get("/api/v1/me", token).expect(401)
    finally:
        fleet.sql("UPDATE account SET deactivated_at = NULL WHERE subject = 'machine'")


def test_what_this_file_signs_is_as_good_as_the_servers(gateway, provider):
    """Without this, the refusals below would prove nothing."""
    gateway.get("/api/v1/me", provider.keys[0].token(claims(provider))).expect(200)


def hs256(provider, secret):
    text = b64(json.dumps({"alg": "HS256", "kid": provider.keys[0].kid})) + "." + b64(json.dumps(claims(provider)))
    return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())


def tricks(provider):
    key, stranger, now = provider.keys[0], Key(provider.keys[0].kid), int(time.time())
    good = key.token(claims(provider))
    head, body, signature = good.split(".")
    pem = key.private.public_key().public_bytes(*pem_format())
    yield "expired", key.token(claims(provider, exp=now - 3600, iat=now - 7200)), "expired"
    yield "never expires", key.token(claims(provider, exp=None)), "expires"
    yield "not yet", key.token(claims(provider, nbf=now + 3600)), "not valid yet"
    yield "of the future", key.token(claims(provider, iat=now + 3600)), "future"
    yield "wrong audience", key.token(claims(provider, aud="https://other.example")), "audience"
    yield "no audience", key.token(claims(provider, aud=None)), "audience"
    yield "audience in a list in a list", key.token(claims(provider, aud=[[AUDIENCE]])), "audience"
    yield "wrong issuer", key.token(claims(provider, iss=provider.issuer + "/")), "issuer"
    yield "no subject", key.token(claims(provider, sub=None)), "subject"
    yield "wrong key under the right name", stranger.token(claims(provider)), "signature"
    yield "unknown key", Key("nobody's").token(claims(provider)), "key"
    yield "alg none", b64('{"alg":"none"}') + f".{body}.", "none"
    yield "alg none with a signature", b64('{"alg":"none"}') + f".{body}.{signature}", "none"
    yield "alg NonE", b64(json.dumps({"alg": "NonE", "kid": key.kid})) + f".{body}.{signature}", "NonE"
    yield "HS256 with the public key (JWK)", hs256(provider, json.dumps(key.jwk(private=False)).encode()), "HS256"
    yield "HS256 with the public key (PEM)", hs256(provider, pem), "HS256"
    yield "HS256 with nothing", hs256(provider, b""), "HS256"
    yield "the wrong kind of algorithm", key.token(claims(provider), alg="ES256"), "fit"
    yield "another algorithm of the same key", key.token(claims(provider), alg="PS256"), "fit"
    yield "crit", key.token(claims(provider), crit=["b64"], b64=True), "crit"
    yield "its own key", stranger.token(claims(provider), jwk=stranger.jwk(private=False)), "signature"
    yield "its own address of keys", stranger.token(claims(provider), jku="https://evil.example/keys"), "signature"
    yield "another type", key.token(claims(provider), typ="logout+jwt"), "type"
    changed = b64(json.dumps(claims(provider, sub="root")))
    yield "tampered body", f"{head}.{changed}.{signature}", "signature"
    yield "tampered head", b64(json.dumps({"alg": key.algorithm, "kid": key.kid})) + f".{body}.{signature}", "signature"
    yield "no signature", f"{head}.{body}.", "signature"
    yield "half a signature", f"{head}.{body}.{signature[:100]}", "signature"
    yield "a bad digit", f"{head}.{body[:20]}*{body[21:]}.{signature}", "base64url"
    yield "padding", f"{head}.{body}=.{signature}", "base64url"
    yield "two parts", f"{head}.{body}", "three parts"
    yield "five parts", f"{good}.AAAA.AAAA", "three parts"
    yield "a body that is a list", key.token([claims(provider)]), "object"
    yield "deep", key.token(claims(provider, x=json.loads("[" * 50 + "]" * 50))), "deep"
    yield "huge", key.token(claims(provider, x="x" * 10000)), "bytes"


def pem_format():
    from cryptography.hazmat.primitives import serialization
    return serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


def test_no_trick_with_a_token_works(gateway, provider, fleet):
    for what, token, says in tricks(provider):
        answer = gateway.get("/api/v1/me", token)
        assert answer.status == 401 and says in answer.json["detail"], (what, answer)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert token.split(".")[-1][:20] not in answer.text or len(token.split(".")[-1]) < 20, "no part of it comes back"
    assert fleet.one("SELECT count(*) FROM account WHERE subject = 'root' AND name = 'root'") == 0
    for header in ("Basic YTpi", "Bearer", "Bearer ", "bearer x", "gst_", "Bearer gst_", "Bearer " + new_token(), "Bearer " + new_token()[:-1]):
        gateway.call("GET", "/api/v1/me", headers={"Authorization": header}).expect(401)
    gateway.get("/api/v1/me", provider.access_token()).expect(200)


def test_unknown_keys_do_not_become_a_stream_of_requests(gateway, provider):
    """Made-up key ids are refused, by keys that were just fetched or without asking again, and everybody else goes on."""
    ada = gateway.account("stream@example.org", "Stream")
    token = provider.access_token()
    stranger = Key("x")
    for n in range(30):
        gateway.get("/api/v1/me", stranger.token(claims(provider), kid=f"made up {n}")).expect(401)
        gateway.get("/api/v1/me", token).expect(200)
        gateway.get("/api/v1/me", ada).expect(200)


def test_keys_rotate(fleet, provider):
    """A gateway of its own: the one before has used up what it may ask for."""
    with Gateway(fleet, name="gateway.2", GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC, **provider.settings()) as gateway:
        first = provider.access_token()
        gateway.get("/api/v1/me", first).expect(200)
        old = provider.keys[0]
        try:
            for key in (Key("two", "ES256"), Key("three", "PS256")):
                provider.rotate(key)
                gateway.get("/api/v1/me", provider.access_token()).expect(200)
                assert sign_in(browser_of(provider, gateway), "ada").status == 303, key.algorithm
            refused = gateway.get("/api/v1/me", first).expect(401)
            assert "key" in refused.json["detail"], "signed with a key that its issuer took back"
        finally:
            provider.rotate(old)


def test_an_issuer_that_is_away_stops_nobody_else(fleet, provider):
    provider.stop()
    try:
        with Gateway(fleet, name="gateway.3", GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC, **provider.settings()) as gateway:
            ada = gateway.account("away@example.org", "Ada")
            forged = provider.keys[0].token(claims(provider))
            for _ in range(3):
                answer = gateway.get("/api/v1/me", forged).expect(503)
                assert int(answer.headers["Retry-After"]) > 0
                gateway.get("/api/v1/me", ada).expect(200)
            assert gateway.get("/auth/login").expect(503).json["type"].endswith("sign-in-unavailable")
            assert "does not answer" in gateway.log()
            provider.start()
            wait_for("the issuer is found again", lambda: gateway.get("/api/v1/me", forged).status == 200, 60)
            provider.stop()
            gateway.get("/api/v1/me", forged).expect(200)
            gateway.get("/api/v1/me", Key("new").token(claims(provider))).expect(503)
            gateway.get("/api/v1/me", ada).expect(200)
    finally:
        provider.stop()
        provider.start()


def test_claims_of_an_id_token_are_enough_where_it_has_them(fleet, provider):
    """Most services tell the address in the ID token; this server did so far at its userinfo endpoint only."""
    provider.stop()
    provider.userinfo_only = False
    provider.start()
    try:
        with Gateway(fleet, name="gateway.4", GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC, GOALSYNC_OIDC_EMAIL_CLAIM="email",
                     **provider.settings()) as gateway:
            browser = browser_of(provider, gateway)
            assert sign_in(browser, "eve").status == 303
            assert me(browser).json["account"]["email"] == "victim@example.com", "the operator said that this claim is to be trusted"
    finally:
        fleet.sql("UPDATE account SET email = NULL WHERE subject = 'eve'")
        provider.stop()
        provider.userinfo_only = True
        provider.start()


@pytest.mark.parametrize("way", ["client_secret_post", "none"])
def test_every_way_in_which_a_client_is_known(fleet, provider, way):
    """The server takes a client's secret in the one way that was registered; the others are Basic, as everywhere else here."""
    provider.stop()
    provider.client_auth = way
    provider.start()
    try:
        with Gateway(fleet, name="gateway.9", GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC, **provider.settings()) as gateway:
            assert sign_in(browser_of(provider, gateway), "ada").status == 303
        if way == "none":
            return
        with Gateway(fleet, name="gateway.9", GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC,
                     **{**provider.settings(), "GOALSYNC_OIDC_CLIENT_SECRET": "wrong"}) as gateway:
            refused = sign_in(browser_of(provider, gateway), "ada")
            assert refused.status == 500 and "settings" in refused.json["detail"] and "wrong" not in refused.json["detail"]
    finally:
        provider.stop()
        provider.client_auth = "client_secret_basic"
        provider.start()


@pytest.mark.parametrize("settings, says", [
    ({"GOALSYNC_OIDC_ISSUER": "http://localhost:1", "GOALSYNC_OIDC_AUDIENCE": "x"}, "GOALSYNC_OIDC_ISSUER does not begin with https://"),
    ({"GOALSYNC_OIDC_ISSUER": "https://localhost:1"}, "of no use"),
    ({"GOALSYNC_OIDC_CLIENT_ID": "x"}, "GOALSYNC_OIDC_ISSUER is not"),
    ({"GOALSYNC_OIDC_ISSUER": "https://localhost:1", "GOALSYNC_OIDC_CLIENT_ID": "x", "GOALSYNC_GATEWAY_PUBLIC_URL": ""}, "PUBLIC_URL"),
    ({"GOALSYNC_OIDC_ISSUER": "https://localhost:1", "GOALSYNC_OIDC_CLIENT_ID": "x", "GOALSYNC_OIDC_SCOPES": "email"}, "openid"),
    ({"GOALSYNC_GATEWAY_PUBLIC_URL": "http://goals.example.com"}, "must begin with https://"),
    ({"GOALSYNC_GATEWAY_PUBLIC_URL": "https://goals.example.com/base"}, "no path"),
    ({"GOALSYNC_GATEWAY_PUBLIC_URL": "https://a@goals.example.com"}, "no path"),
    ({"GOALSYNC_OIDC_ADMIN_CLAIM": "groups"}, "belong together"),
])
def test_settings_that_cannot_work_end_the_start(fleet, settings, says):
    gateway = Gateway(fleet, name="gateway.5", **settings)
    gateway.start_servers()
    gateway.start(ready=False)
    assert gateway.process.wait(30) != 0
    assert says in gateway.log()


# ---------------------------------------------------------------- tokens of the operator's making

def made_for(fleet, *args):
    return fleet.cli("token", "create", *args, "--out", "-").out.strip()


def test_who_signs_in_later_is_whom_the_operator_meant(gateway, provider, fleet):
    owner = gateway.account("first-owner@example.org", "Owner")
    first, second = gateway.organisation(owner, "First of Grace"), gateway.organisation(owner, "Second of Grace")
    gateway.post(f"/api/v1/organisations/{first}/people", {"email": "grace@example.com"}, owner).expect(201)
    token = made_for(fleet, "--email", "grace@example.com")
    account = gateway.get("/api/v1/me", token).expect(200).json["account"]["id"]
    gateway.post(f"/api/v1/organisations/{second}/people", {"email": "grace@example.com"}, owner).expect(201)

    def organisations(answer):
        return {m["organisation_id"] for m in answer.json["memberships"]}
    assert organisations(gateway.get("/api/v1/me", token)) == {first.id, second.id}, "also where they are added later"
    browser = browser_of(provider, gateway)
    assert sign_in(browser, "grace").status == 303
    assert me(browser).json["account"]["id"] == account and organisations(me(browser)) == {first.id, second.id}
    assert fleet.sql("SELECT issuer, subject FROM account WHERE email = 'grace@example.com'") == [(provider.issuer, "grace")]
    assert gateway.get("/api/v1/me", token).expect(200).json["account"]["id"] == account, "the token goes on"


def test_an_address_that_nobody_verified_takes_nothing_over(gateway, provider, fleet):
    owner = gateway.account("second-owner@example.org", "Owner")
    org = gateway.organisation(owner, "Of a victim")
    gateway.post(f"/api/v1/organisations/{org}/people", {"email": "victim@example.com"}, owner).expect(201)
    token = made_for(fleet, "--email", "victim@example.com")
    browser = browser_of(provider, gateway)
    assert sign_in(browser, "eve").status == 303
    assert me(browser).json["account"]["id"] != gateway.get("/api/v1/me", token).json["account"]["id"]
    assert org.id not in {m["organisation_id"] for m in me(browser).json["memberships"]}
    assert fleet.one("SELECT issuer FROM account WHERE email = 'victim@example.com'") is None


def test_a_token_for_the_first_administrator_does_not_use_up_the_way_in(fleet):
    emptied(fleet)
    file = fleet.dir / "kept"
    with Gateway(fleet, name="gateway.9", GOALSYNC_BOOTSTRAP_TOKEN_FILE=str(file)) as gateway:
        token = made_for(fleet, "--tenant-admin")
        made = gateway.post("/api/v1/bootstrap", {}, file.read_text().strip()).expect(201)
        both = [gateway.get("/api/v1/me", t).expect(200).json["account"] for t in (token, made.json["token"])]
        assert both[0] == both[1] and both[0]["tenant_admin"]


# ---------------------------------------------------------------- the first way in

def emptied(fleet):
    fleet.sql("TRUNCATE account, session, api_token CASCADE")


def bootstrap_tokens(fleet):
    return fleet.one("SELECT count(*) FROM api_token WHERE scopes = '{bootstrap}' AND revoked_at IS NULL AND expires_at <= now() + "
                     "interval '24 hours'")


def test_the_first_start_leaves_a_way_in():
    with Fleet() as fleet:
        file = fleet.dir / "bootstrap"
        first = Gateway(fleet, GOALSYNC_BOOTSTRAP_TOKEN_FILE=str(file))
        first.start_servers()
        replicas = [first] + [Gateway(fleet, name=f"gateway.{n}", GOALSYNC_BOOTSTRAP_TOKEN_FILE=str(file)) for n in (2, 3, 4)]
        threads = [threading.Thread(target=r.start) for r in replicas]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        try:
            for r in replicas[1:]:
                r.stop()
            assert bootstrap_tokens(fleet) == 1 == fleet.one("SELECT count(*) FROM account"), "several at once make one"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600 and not list(fleet.dir.glob("bootstrap.*"))
            token = file.read_text().strip()
            assert re.fullmatch(r"gst_[0-9A-Za-z]{49}", token)
            assert all(token not in r.log() for r in replicas)

            for method, path in (("GET", "/api/v1/me"), ("GET", "/api/v1/tokens"), ("POST", "/api/v1/tokens")):
                body = {"name": "x", "scopes": ["read"]} if method == "POST" else None
                assert first.call(method, path, body, token).status == 403, "it can do nothing but be changed"
            made = first.post("/api/v1/bootstrap", {}, token).expect(201)
            assert made.headers["Cache-Control"] == "no-store"
            assert sorted(made.json["scopes"]) == ["admin", "read", "tenant", "write"]
            first.post("/api/v1/bootstrap", {}, token).expect(401)
            lasting = made.json["token"]
            assert first.get("/api/v1/me", lasting).expect(200).json["account"]["tenant_admin"]
            days = fleet.one("SELECT extract(day FROM expires_at - now()) FROM api_token WHERE revoked_at IS NULL")
            assert 89 <= days <= 90, "not the bootstrap token's day"

            first.stop()
            file.unlink()
            first.start()
            assert not file.exists(), "somebody can administer"
            fleet.sql("UPDATE api_token SET expires_at = now()")
            first.stop()
            first.start()
            assert file.exists() and bootstrap_tokens(fleet) == 1 == fleet.one("SELECT count(*) FROM account"), "nobody can any more"
            first.post("/api/v1/bootstrap", {"name": "second", "expires_in_days": 7}, file.read_text().strip()).expect(201)
        finally:
            for r in replicas:
                r.stop(check=False)


def test_the_bootstrap_token_is_printed_where_no_file_is_named(fleet):
    emptied(fleet)
    with Gateway(fleet, name="gateway.6", GOALSYNC_BOOTSTRAP_TOKEN_FILE="") as gateway:
        tokens = re.findall(r"gst_[0-9A-Za-z]{49}", gateway.log())
        assert len(tokens) == 1
        both = []
        threads = [threading.Thread(target=lambda: both.append(gateway.post("/api/v1/bootstrap", {}, tokens[0]).status)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(both)[0] == 201 and set(both[:]) - {201} <= {401, 409} and both.count(201) == 1, "one use, however many try"


def test_no_bootstrap_token_where_the_sign_in_service_makes_administrators(fleet, provider):
    emptied(fleet)
    with Gateway(fleet, name="gateway.7", GOALSYNC_GATEWAY_PUBLIC_URL=PUBLIC, GOALSYNC_TENANT_ADMINS="root@example.com",
                 **provider.settings()):
        assert fleet.one("SELECT count(*) FROM account") == 0


def test_a_bootstrap_file_that_cannot_be_written_ends_the_start(fleet):
    emptied(fleet)
    gateway = Gateway(fleet, name="gateway.8", GOALSYNC_BOOTSTRAP_TOKEN_FILE=str(fleet.dir / "nowhere" / "token"))
    gateway.start_servers()
    gateway.start(ready=False)
    assert gateway.process.wait(30) != 0
    assert "GOALSYNC_BOOTSTRAP_TOKEN_FILE" in gateway.log() and fleet.one("SELECT count(*) FROM account") == 0


# ---------------------------------------------------------------- tokens of ours

@pytest.fixture(scope="module")
def plain():
    """A gateway without any sign-in service."""
    with Fleet() as fleet, Gateway(fleet) as gateway:
        yield gateway


def days_of(token):
    made, ends = (time.mktime(time.strptime(token[k][:19], "%Y-%m-%dT%H:%M:%S")) for k in ("created_at", "expires_at"))
    return round((ends - made) / 86400, 2)


def make(gateway, by, status=201, path="/api/v1/tokens", **body):
    return gateway.post(path, {"name": "made", "scopes": ["read"], **body}, by).expect(status).json


def test_a_token_is_shown_once(plain):
    ada = plain.account("ada@example.org", "Ada")
    made = plain.post("/api/v1/tokens", {"name": "nightly import", "scopes": ["read", "write"]}, ada).expect(201)
    token = made.json
    assert made.headers["Location"] == f"/api/v1/tokens/{token['id']}" and made.headers["Cache-Control"] == "no-store"
    assert token["token"].startswith(token["hint"]) and len(token["hint"]) == 12 and days_of(token) == 90
    assert plain.get("/api/v1/me", token["token"]).expect(200).json["token"]["name"] == "nightly import"
    shown = plain.get(made.headers["Location"], ada).expect(200).json
    assert shown["last_used_at"] and {k: v for k, v in token.items() if k not in ("token", "last_used_at")} == {
        k: v for k, v in shown.items() if k != "last_used_at"}
    listed = plain.pages("/api/v1/tokens", ada, limit=1)
    assert [t["id"] for t in listed][0] == token["id"] and len(listed) == 2
    kept = plain.fleet.shell(f"owner_psql goalsync -At -c 'TABLE api_token; TABLE audit; TABLE idempotency'")
    assert token["token"] not in kept + plain.log(), "nobody keeps it"
    assert hashlib.sha256(token["token"].encode()).hexdigest() in kept


def test_a_repeated_request_makes_one_token_and_the_secret_is_not_readable_in_between(plain):
    ada = plain.account("again@example.org", "Ada")
    first, second = (plain.post("/api/v1/tokens", {"name": "once", "scopes": ["read"]}, ada, headers={"Idempotency-Key": "k1"}).expect(201).json
                     for _ in range(2))
    assert first == second and len(plain.pages("/api/v1/tokens", ada)) == 2
    assert first["token"] not in plain.fleet.shell("owner_psql goalsync -At -c 'TABLE idempotency'")


def test_tokens_end_when_they_say(plain):
    ada, root = plain.account("ends@example.org", "Ada"), plain.account("root@example.org", "Root", tenant_admin=True)
    assert days_of(make(plain, ada, expires_in_days=1)) == 1 and days_of(make(plain, ada, expires_in_days=365)) == 365
    for wrong in (0, 366, -1, 1.5, "7"):
        make(plain, ada, 422, expires_in_days=wrong)
    make(plain, ada, 403, never_expires=True)
    make(plain, root, 422, never_expires=True, expires_in_days=3)
    assert make(plain, root, never_expires=True)["expires_at"] is None
    token = make(plain, ada)
    plain.fleet.sql("UPDATE api_token SET expires_at = now() WHERE public_id = %s", token["id"])
    plain.get("/api/v1/me", token["token"]).expect(401)


def test_no_token_makes_more_than_itself(plain):
    root = plain.account("more@example.org", "Root", tenant_admin=True)
    small = make(plain, root, scopes=["read", "write"], expires_in_days=2)["token"]
    make(plain, small, 403, scopes=["read", "tenant"])
    make(plain, small, 403, scopes=["admin"])
    make(plain, make(plain, root)["token"], 403)  # without write
    child = make(plain, small, scopes=["read"], expires_in_days=300)
    assert days_of(child) <= 2, "it ends with its maker"
    assert days_of(make(plain, small, never_expires=True)) <= 2
    make(plain, root, 422, scopes=["values"])
    make(plain, root, 422, scopes=["bootstrap"])
    make(plain, root, 422, scopes=[])
    make(plain, plain.account("less@example.org", "Less"), 403, scopes=["tenant"])


def test_a_token_that_is_bound_stays_in_its_organisation(plain):
    ada = plain.account("bound@example.org", "Ada", tenant_admin=True)
    one, two = plain.organisation(ada, "One"), plain.organisation(ada, "Two")
    path = f"/api/v1/organisations/{one}/tokens"
    bound = make(plain, ada, path=path, scopes=["read", "write"])
    assert bound["organisation_id"] == one.id
    make(plain, ada, 422, path=path, scopes=["tenant"])
    assert plain.get(path, bound["token"]).expect(200).json["items"][0]["id"] == bound["id"]
    plain.get(f"/api/v1/organisations/{two}/tokens", bound["token"]).expect(404)
    make(plain, bound["token"], 403)
    assert make(plain, bound["token"], path=path)["organisation_id"] == one.id
    loose = make(plain, ada)
    assert {t["organisation_id"] for t in plain.pages("/api/v1/tokens", bound["token"])} == {one.id}
    plain.get(f"/api/v1/tokens/{loose['id']}", bound["token"]).expect(404)
    plain.delete(f"/api/v1/tokens/{loose['id']}", bound["token"]).expect(404)
    plain.delete(f"/api/v1/tokens/{loose['id']}", ada).expect(204)
    plain.get("/api/v1/me", loose["token"]).expect(401)


def test_who_sees_and_revokes_tokens(plain):
    ada, bob, eve = (plain.account(f"{n}.sees@example.org", n) for n in ("ada", "bob", "eve"))
    org = plain.organisation(ada, "Seen")
    plain.member(org, bob)
    path = f"/api/v1/organisations/{org}/tokens"
    of_bob, of_ada, loose = make(plain, bob, path=path), make(plain, ada, path=path), make(plain, bob)
    assert {t["id"] for t in plain.pages(path, ada, limit=1)} == {of_bob["id"], of_ada["id"]}, "administrators see all that are bound"
    assert {t["id"] for t in plain.pages(path, bob)} == {of_bob["id"]}, "members their own"
    plain.get(path, eve).expect(404)
    for token, by, status in ((of_ada, bob, 404), (of_bob, eve, 404), (loose, ada, 404), (loose, eve, 404), (of_bob, ada, 200), (loose, bob, 200)):
        plain.get(f"/api/v1/tokens/{token['id']}", by).expect(status)
        if status == 404:
            plain.delete(f"/api/v1/tokens/{token['id']}", by).expect(404)
    for _ in range(2):
        plain.delete(f"/api/v1/tokens/{of_bob['id']}", ada).expect(204)
    plain.get("/api/v1/me", of_bob["token"]).expect(401)
    assert plain.get(f"/api/v1/tokens/{of_bob['id']}", bob).expect(200).json["revoked_at"]
    rows = plain.fleet.sql("SELECT action, org_id, actor, detail FROM audit WHERE target = %s ORDER BY id", f"token:{of_bob['id']}")
    assert [r[0] for r in rows] == ["token.created", "token.revoked"] and rows[1][2] == f"person:{org.owner}"
    assert rows[0][1] == org.row and rows[0][3]["scopes"] == ["read"] and rows[0][3]["name"] == "made"
    assert of_bob["token"] not in json.dumps(rows[0][3])


def linked(gateway, owner, org):
    """A link whose goal the person owns; made by SQL, links are another test's."""
    sql = gateway.fleet.one
    person = gateway.person_row(owner)
    goal = sql("INSERT INTO goal (org_id, title, owner_id, kind, metric, mode, start_value, target_value, start_on, end_on) VALUES "
               "(%s, 'G', %s, 'key_result', 'reach', 'data_source', 0, 100, '2026-01-01', '2026-12-31') RETURNING id", org.row, person)
    connection = sql("INSERT INTO connection (org_id, connector, category, name, owner_id) VALUES "
                     "(%s, 'zapier', 'third_party', 'Z', %s) RETURNING id", org.row, person)
    batch = sql("INSERT INTO link_batch (connection_id, org_id, slot_hash, batch_key) VALUES (%s, %s, 0, 'k') RETURNING id", connection, org.row)
    return sql("INSERT INTO link (org_id, goal_id, connection_id, batch_id, settings) VALUES (%s, %s, %s, %s, '{}') RETURNING "
               "public_id::text", org.row, goal, connection, batch)


def test_a_links_token_pushes_and_does_nothing_else(plain):
    ada, bob, eve = (plain.account(f"{n}.link@example.org", n) for n in ("ada", "bob", "eve"))
    org = plain.organisation(ada, "Linked")
    person = plain.member(org, bob)
    plain.member(org, eve)
    link = linked(plain, person, org)
    path = f"/api/v1/links/{link}/tokens"
    plain.post(path, {"name": "zap"}, eve).expect(403)
    plain.get(path, eve).expect(403)
    plain.post(path, {"name": "zap"}, plain.account("nobody.link@example.org", "N")).expect(404)
    plain.post(path, {"name": "zap", "scopes": ["read"]}, bob).expect(422)
    made = plain.post(path, {"name": "zap"}, bob).expect(201).json
    assert made["scopes"] == ["values"] and made["link_id"] == link and made["organisation_id"] == org.id
    for method, other in (("GET", "/api/v1/me"), ("GET", path), ("POST", path), ("GET", f"/api/v1/tokens/{made['id']}"),
                          ("DELETE", f"/api/v1/tokens/{made['id']}"), ("GET", f"/api/v1/organisations/{org}/tokens")):
        body = {"name": "x"} if method == "POST" else None
        assert plain.call(method, other, body, made["token"]).status in (403, 404), (method, other)
    assert [t["id"] for t in plain.pages(path, ada)] == [made["id"]], "administrators see it"
    assert [t["link_id"] for t in plain.pages("/api/v1/tokens", bob) if t["id"] == made["id"]] == [link], "also from outside"
    plain.delete(f"/api/v1/tokens/{made['id']}", ada).expect(204)


def test_nobody_signs_in_with_a_browser_where_there_is_no_service(plain):
    for path in ("/auth/login", "/auth/callback?state=" + "x" * 43):
        assert plain.get(path).expect(404).json["type"].endswith("no-sign-in")
    answer = plain.get("/api/v1/me", "a.b.c").expect(401)
    assert "gst_" in answer.json["detail"]
    out = plain.call("POST", "/auth/logout").expect(303)
    assert out.headers["Location"] == "/"
