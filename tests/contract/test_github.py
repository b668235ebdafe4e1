"""The GitHub connector against GitHub's recorded answers; its requests are held against GitHub's description in test_vendors.py."""
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(os.environ.get("GOALSYNC_SPECS", ROOT / ".." / "shared" / "specs")) / "github"
RUNNER = Path(os.environ.get("GOALSYNC_BUILD_DIR", ROOT / "build")) / "bin" / "goalsync-cases"

pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="GitHub's recorded answers are not here (GOALSYNC_SPECS)")

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
