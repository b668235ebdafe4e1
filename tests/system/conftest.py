"""One fleet for all system tests of a session; each test makes organisations and sources of its own."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet  # noqa: E402
from scene import Scene  # noqa: E402


@pytest.fixture(scope="session")
def fleet():
    with Fleet(period=os.environ.get("GOALSYNC_TEST_PERIOD", "2s")) as fleet:
        fleet.start()
        yield fleet


@pytest.fixture
def scene(fleet, request):
    return Scene(fleet, source="s_" + request.node.name.replace("[", "_").replace("]", "").replace("-", "_").lower()[:40])


@pytest.fixture(autouse=True)
def quiet_logs(request):
    """After each test: no service reported a sanitizer's finding."""
    yield
    if "fleet" in request.fixturenames:
        fleet = request.getfixturevalue("fleet")
        for name in fleet.services:
            log = fleet.log(name)
            assert "Sanitizer" not in log and "runtime error:" not in log, f"{name} has a finding: {log[-3000:]}"
