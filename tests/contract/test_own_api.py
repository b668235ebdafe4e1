"""The gateway against its own description: Schemathesis (PyPI) makes requests from /openapi.json, valid and broken ones, and judges
every answer: no 5xx, no status, header or shape that the description does not have, nothing broken accepted."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "isolation")]
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402
from world import KINDS, World  # noqa: E402

VERSION = "4.32.5"
EXAMPLES = os.environ.get("GOALSYNC_TEST_EXAMPLES", "6")  # of each operation and phase
SECONDS = 900
THINGS = 60  # of each kind

# A request may be right by its schema and still be refused by a rule that no schema can say: the target equals the start,
# the weights are more than 100 %, somebody else was faster.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412", "413", "422"]
"""


def install():
    """Schemathesis in an environment of its own in the tests' cache; its program, or None and why not."""
    cache = Path(os.environ.get("GOALSYNC_TEST_CACHE", Path.home() / ".cache" / "goalsync-test")) / f"schemathesis-{VERSION}"
    program = cache / "bin" / "st"
    if program.exists():
        return program, None
    for command in ([sys.executable, "-m", "venv", str(cache)],
                    [str(cache / "bin" / "pip"), "install", "-q", f"schemathesis=={VERSION}"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as e:
            done = subprocess.CompletedProcess(command, 1, "", str(e))
        if done.returncode:
            shutil.rmtree(cache, ignore_errors=True)
            return None, f"Schemathesis could not be installed: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}"
    return program, None


@pytest.fixture(scope="module")
def program():
    found, why = install()
    if not found:
        pytest.skip(why)
    return found


def test_every_answer_is_as_described(program, tmp_path):
    with Fleet(services=[]) as fleet:
        fleet.start_servers()
        world = World(fleet)
        gateway = Gateway(fleet, GOALSYNC_GATEWAY_RATE="1000000", GOALSYNC_GATEWAY_PREVIEW_TIMEOUT="1s")  # nobody answers previews here
        gateway.start()
        # An owner who is a tenant administrator, too: behind every door, so that what is behind is met.
        fleet.sql("UPDATE account SET tenant_admin = true WHERE name = 'Owner'")
        (tmp_path / "ids.json").write_text(json.dumps({kind: [world.make(kind) for _ in range(THINGS)] for kind in KINDS}))
        (tmp_path / "schemathesis.toml").write_text(CONFIG)
        command = [str(program), "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{gateway.url}/openapi.json",
                   "-H", f"Authorization: Bearer {world.tokens['owner']}", "--checks", "all", "--max-examples", EXAMPLES, "--seed", "7",
                   "--phases", "examples,coverage,fuzzing", "--workers", "2", "--request-timeout", "30", "--continue-on-failure",
                   "--suppress-health-check", "all", "--report", "junit", "--report-junit-path", str(tmp_path / "junit.xml"), "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS,
                              env={**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
                                   "GOALSYNC_TEST_IDS": str(tmp_path / "ids.json")})
        text = re.sub(r"gst_[A-Za-z0-9_-]+", "[token]", done.stdout + done.stderr)
        assert done.returncode == 0, text[-20000:]
        assert gateway.process.poll() is None
