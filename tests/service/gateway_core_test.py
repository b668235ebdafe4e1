"""The gateway's machinery on a real PostgreSQL: what every operation shares."""
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402


@pytest.fixture(scope="module")
def gateway():
    with Fleet() as fleet, Gateway(fleet) as g:
        yield g


@pytest.fixture(scope="module")
def ada(gateway):
    return gateway.account("ada@example.org", "Ada")


def test_the_document_is_served_to_anybody(gateway):
    answer = gateway.get("/openapi.json").expect(200)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["openapi"].startswith("3.1.")
    assert answer.json["paths"]["/api/v1/me"]["get"]["responses"]["401"]


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
    problem = json.loads(answer.body)
    assert problem["status"] == 401 and problem["instance"] == answer.headers["X-Request-Id"]
