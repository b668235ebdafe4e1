"""The GitHub connector against GitHub's own description (served by Prism) and GitHub's recorded answers."""
import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from prism import Absent, Description, Prism, install

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("GOALSYNC_SPECS", ROOT / ".." / "shared" / "specs")) / "github"
CASES = ROOT / "services/fetch/connectors/third-party/github/cases"
RUNNER = Path(os.environ.get("GOALSYNC_BUILD_DIR", ROOT / "build")) / "bin" / "goalsync-cases"

pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="GitHub's description and recorded answers are not here (GOALSYNC_SPECS)")

EDITIONS = {
    "github.com": ("api.github.com.mock.json", ""),
    "enterprise": ("ghes-3.19.mock.json", "/api/v3"),
}


def requests_of(base_path):
    """Everything the connector asks in its cases: (method, path and query, headers)."""
    host = "https://api.example.com"
    done = subprocess.run([RUNNER, "--requests", host + base_path, "github", CASES], capture_output=True, text=True, check=True)
    requests = []
    for line in sorted(set(done.stdout.splitlines())):
        words = shlex.split(line)
        assert words[:2] == ["curl", "-X"] and words[-1].startswith(host), line
        headers = dict(w.split(": ", 1) for flag, w in zip(words, words[1:]) if flag == "-H")
        requests.append((words[2], words[-1].removeprefix(host), headers))
    return requests


@pytest.fixture(scope="module")
def program():
    try:
        return install()
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_request_passes_the_vendors_description(edition, program, tmp_path):
    name, base_path = EDITIONS[edition]
    requests = requests_of(base_path)
    assert len(requests) >= 15
    assert any("/milestones/" in path for _, path, _ in requests) and any("/search/" in path for _, path, _ in requests)
    with Prism(program, SPECS / name, tmp_path) as prism:
        for method, path, headers in requests:
            assert prism.send(method, path, headers) == 200, f"{method} {path}\n" + "\n".join(prism.violations()[-3:])
        assert prism.violations() == []
        # The judge is awake: a search without a query, a page size that is no number, an address of the other edition.
        assert prism.send("GET", base_path + "/search/issues?per_page=1", {}) >= 400
        assert len(prism.violations()) == 1
        assert prism.send("GET", base_path + "/search/issues?q=x&per_page=one", {}) >= 400
        assert prism.send("GET", ("" if base_path else "/api/v3") + "/search/issues?q=x", {}) == 404


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_query_key_is_declared(edition):
    name, base_path = EDITIONS[edition]
    description = Description(SPECS / name)
    for method, path, _ in requests_of(base_path):
        assert description.undeclared_keys(method, path) == set(), f"{method} {path}"
    assert description.undeclared_keys("GET", base_path + "/search/issues?q=x&perpage=1") == {"perpage"}
    assert description.undeclared_keys("GET", base_path + "/no/such/thing") is None


def case_of(recorded, outcome):
    headers = "".join(f"header {k}: {v}\n" for k, v in recorded["headers"].items() if "\n" not in str(v))
    return (
        "link repository=acme/app\n"
        "expect GET https://api.github.com/search/issues\nquery q=repo:acme/app is:issue\nquery per_page=1\n"
        f"reply {recorded['status']}\n"
        + "".join(line + "\n" for line in headers.splitlines() if "ratelimit" in line or "retry" in line)
        + f"body {json.dumps(recorded['response'])}\n{outcome}\n"
    )


def test_recorded_answers_give_their_numbers_or_nothing(tmp_path):
    numbers = 0
    for file in sorted((SPECS / "fixtures").glob("*.json")):
        for i, recorded in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            outcome = "reject"
            if recorded["path"].startswith("/search/issues") and recorded["status"] == 200:
                outcome = f"emit {recorded['response']['total_count']}"
                numbers += 1
            if len(json.dumps(recorded["response"])) > 20000:
                # What is cut at every byte is quadratic; two of the recorded issues are as good as thirteen.
                recorded["response"] = recorded["response"][:2]
            (tmp_path / f"{file.stem}-{i}.case").write_text(case_of(recorded, outcome), encoding="utf-8")
    done = subprocess.run([RUNNER, "github", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert numbers >= 1
