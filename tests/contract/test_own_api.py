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
from body import SPECIAL  # noqa: E402
from fleet import Fleet  # noqa: E402
from gateway import Gateway  # noqa: E402
from world import KINDS, World  # noqa: E402

VERSION = "4.32.5"
EXAMPLES = os.environ.get("GOALSYNC_TEST_EXAMPLES", "6")  # of each operation when fuzzing
SEED = os.environ.get("GOALSYNC_TEST_SEED", "7")
SECONDS = 900
THINGS = 60  # of each kind
LINE, LINES = 300, 150  # of what is shown when it fails

# A request may be right by its schema and still be refused by a rule that no schema can say: the target equals the start,
# the weights are more than 100 %, somebody else was faster, each parameter is short enough and all together are not. One that
# is wrong may be too long as well.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412", "413", "414", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "414", "415", "422", "431"]
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


def cursors(gateway, token, ids):
    """operationId -> cursors that the list gave out, as far as it is longer than one."""
    found = {}
    for path, item in gateway.get("/openapi.json").json["paths"].items():
        parameters = [p.get("$ref", "") for p in item.get("get", {}).get("parameters", [])]
        names = re.findall(r"{(\w+)}", path)
        if not any(p.endswith("/cursor") for p in parameters):
            continue
        for name in names:
            path = path.replace("{" + name + "}", ids[name][0])
        cursor = gateway.get(path + "?limit=1", token).expect(200).json["next_cursor"]
        if cursor:
            found[item["get"]["operationId"]] = [cursor]
    return found


def known(world, gateway):
    """What schemathesis_hooks.py makes requests about."""
    kinds = [*KINDS, "account", "objective", "shared_connection"]
    ids = {kind: [world.make(kind) for _ in range(THINGS)] for kind in kinds}
    ids["webhook"] = ids["webhook"][:THINGS // 4]  # an organisation has 50 at most
    ids["goal"] += [world.make(kind) for kind in ("objective", "key_result") * (THINGS // 2)]
    for goal in ids["goal"][:THINGS // 2]:
        world.close(goal)
    ids["goal_link_get/goal"] = [goal for goal, in world.sql("SELECT public_id::text FROM goal WHERE id IN (SELECT goal_id FROM link)")]
    ids["goal"] += ids["goal_link_get/goal"]
    ids["integration"], ids["integration_disable/integration"] = ["postgresql", "zapier"], ["github"]
    ids["organisation_transfer/organisation"] = [world.other_org_public]  # or the owner here is none any more
    ids["task_create/goal"] = ids["goal"][THINGS // 2:THINGS]
    ids["goal_reopen/goal"] = ids["goal_score/goal"] = ids["goal"][:THINGS // 2]
    ids["team_create/parent"] = ids["team_edit/parent"] = ids["team"]
    ids["link_push/link"] = [world.make("link") for _ in range(THINGS // 6)]
    for link in ids["link_push/link"]:
        world.prepare_link_push(link)
    paths = {"goal/parent": [[goal, world.make_parent(goal)] for goal in ids["objective"]],
             "webhook/delivery": [[webhook, world.make_delivery(webhook)] for webhook in ids["webhook"]]}
    members = {operation: {k: v for k, v in values.items() if not str(v).startswith("@")} for operation, values in SPECIAL.items()}
    members |= {"tenant_edit": {"integrations": "all"}, "goal_import": {"fallback_owner": "owner@example.org"},
                "goal_graph_import": {"fallback_owner": "owner@example.org"}}
    return {"ids": ids, "paths": paths, "members": members, "cursors": cursors(gateway, world.tokens["owner"], ids)}


def findings(output):
    """What Schemathesis found, without its advice, in lines that can be read."""
    sections = re.split(r"^=+ ([A-Z ]+) =+$", output, flags=re.MULTILINE)
    shown = [text for title, text in zip(sections[1::2], sections[2::2]) if title in ("ERRORS", "FAILURES")] or [output[-5000:]]
    lines = [line[:LINE] for text in shown for line in text.splitlines() if line.strip()]
    return "\n".join(lines[:LINES] + ([f"... and {len(lines) - LINES} lines more"] if len(lines) > LINES else []))


def test_every_answer_is_as_described(program, tmp_path):
    with Fleet(services=["fetch-third-party"]) as fleet:
        fleet.start()  # a fetch worker, or previews would have no answer
        with Gateway(fleet) as gateway:
            world = World(fleet)
            token = world.tokens["owner"]
            # An owner who is a tenant administrator, too: behind every door, so that what is behind is met.
            fleet.sql("UPDATE account SET tenant_admin = true WHERE name = 'Owner'")
            (tmp_path / "known.json").write_text(json.dumps(known(world, gateway)))
            fleet.sql("ANALYZE")  # what autovacuum would have done, had the things come one by one
            (tmp_path / "schemathesis.toml").write_text(CONFIG)
            command = [str(program), "--config-file", str(tmp_path / "schemathesis.toml"), "run", f"{gateway.url}/openapi.json",
                       "-H", f"Authorization: Bearer {token}", "--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED,
                       "--phases", "examples,coverage,fuzzing", "--workers", "2", "--request-timeout", "30", "--continue-on-failure",
                       "--suppress-health-check", "all", "--report", "junit", "--report-junit-path", str(tmp_path / "junit.xml"), "--no-color"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS,
                                  env={**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py"),
                                       "GOALSYNC_TEST_KNOWN": str(tmp_path / "known.json")})
            text = re.sub(r"gst_[A-Za-z0-9_-]+", "[token]", done.stdout + done.stderr)
            (tmp_path / "output.txt").write_text(text)
            if done.returncode:
                pytest.fail(f"{findings(text)}\nAll of it: {tmp_path}/output.txt", pytrace=False)
            assert gateway.process.poll() is None
            assert fleet.one("SELECT role FROM person WHERE id = %s", world.owner) == "owner", "most requests were asked by somebody less"
