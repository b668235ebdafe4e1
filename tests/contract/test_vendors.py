"""What every connector asks in its cases, against its vendor's own description (vendors.py), served by Prism."""
import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from prism import Absent, Description, Prism, install
from vendors import VENDORS, all_editions

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("GOALSYNC_SPECS", ROOT / ".." / "shared" / "specs"))
CONNECTORS = ROOT / "services/fetch/connectors"
RUNNER = Path(os.environ.get("GOALSYNC_BUILD_DIR", ROOT / "build")) / "bin" / "goalsync-cases"

needs_specs = pytest.mark.skipif(not SPECS.is_dir(), reason="the vendors' descriptions are not here (GOALSYNC_SPECS)")
editions = pytest.mark.parametrize("name,edition", [pytest.param(n, e, id=f"{n}:{Path(e.description).stem}") for n, e in all_editions()])


def folder_of(name):
    return next(CONNECTORS.glob(f"*/{name}"))


def requests_of(name, edition):
    """Everything the connector asks in its cases, as the description writes it: (method, path and query, headers, body)."""
    base = edition.base or "-"
    done = subprocess.run([RUNNER, "--requests", base, name, folder_of(name) / "cases"], capture_output=True, text=True, check=True)
    found = []
    for command in sorted(set(done.stdout.split("\0"))):
        words = shlex.split(command)
        if not words or edition.match not in words[-1]:
            continue
        assert words[:2] == ["curl", "-X"], command
        headers = dict(w.split(": ", 1) for flag, w in zip(words, words[1:]) if flag == "-H")
        body = next((w for flag, w in zip(words, words[1:]) if flag == "--data-binary"), None)
        path = "/" + words[-1].split("://", 1)[1].partition("/")[2]
        assert path.startswith(edition.prefix), f"{path} does not begin with {edition.prefix}"
        found.append((words[2], path.removeprefix(edition.prefix), headers, body))
    return found


def test_every_connector_over_http_has_an_entry():
    for path in sorted(CONNECTORS.glob("*/*/*.c")):
        if path.stem.replace("_", "-") != path.parent.name:
            continue
        done = subprocess.run([RUNNER, "--json", path.parent.name, path.parent / "cases"], capture_output=True, text=True, check=True)
        connector = json.loads(done.stdout.splitlines()[0])
        if connector["wire"] == "http" and not connector["pushed"]:
            assert VENDORS.get(path.parent.name), f"enter {path.parent.name} in tests/contract/vendors.py, with its description or the reason for none"


@pytest.fixture(scope="module")
def program():
    try:
        return install()
    except Absent as absent:
        pytest.skip(str(absent))


@needs_specs
@editions
def test_every_request_passes_the_vendors_description(name, edition, program, tmp_path):
    requests = requests_of(name, edition)
    assert requests
    with Prism(program, SPECS / edition.description, tmp_path) as prism:
        for method, path, headers, body in requests:
            before = len(prism.violations())
            status = prism.send(method, path, {"Authorization": edition.authorization, **headers}, body)
            said = [v for v in prism.violations()[before:] if not any(text in v for text, _ in edition.tolerated)]
            passed = 200 <= status < 300 or (status == 500 and not edition.answers)
            assert not said and (passed or prism.violations()[before:]), f"{method} {path}: {status}\n" + "\n".join(said)
        for method, path in [*edition.refused, ("GET", "/no/such/path")]:
            assert prism.send(method, path, {"Authorization": edition.authorization}) >= 400, f"{method} {path} was not refused"


@needs_specs
@editions
def test_every_query_key_is_declared(name, edition):
    """Prism does not look at it."""
    description = Description(SPECS / edition.description)
    for method, path, _, _ in requests_of(name, edition):
        assert description.undeclared_keys(method, path) == set(), f"{method} {path}"
        more = path + ("&" if "?" in path else "?") + "zz-undeclared=1"
        assert description.undeclared_keys(method, more) == {"zz-undeclared"}
    assert description.undeclared_keys("GET", "/no/such/path") is None
