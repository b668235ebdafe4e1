"""An administrator's first hour over HTTP (tests/tour/first_hour): with a certified sign-in service, and as people play it by hand."""
import http.server
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest
from fleet import SERVICES, Fleet, wait_for
from oidc import Absent, Browser, Provider, free_port

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "tour" / "first_hour"


@pytest.fixture(scope="module")
def tour():
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("first_hour", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("first_hour", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def server():
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def provider(server, tmp_path_factory):
    try:
        with Provider(tmp_path_factory.mktemp("oidc"), [f"{server}/auth/callback"]) as provider:
            yield provider
    except Absent as absent:
        yield str(absent)


@pytest.fixture(scope="module")
def hour(server, provider):
    """A fleet with a gateway, where it can be had with a sign-in service, and with the demonstration's shop."""
    settings = {} if isinstance(provider, str) else provider.settings()
    with Fleet(services=(*SERVICES, "gateway"), period="2s", settings=settings) as fleet:
        (fleet.dir / "state").mkdir()
        (fleet.dir / "state" / "gateway").write_text(server.removeprefix("http://") + "\n")
        fleet.start()
        fleet.shell("demo_source")
        yield fleet
        for name in fleet.services:
            assert "Sanitizer" not in fleet.log(name) and "runtime error:" not in fleet.log(name), fleet.log(name)[-3000:]


def by_browser(provider, server):
    """How Bob comes in: the sign-in service vouches for his address, and the session is his browser's."""
    browser = Browser(provider, {server: ("127.0.0.1", int(server.rsplit(":", 1)[1]))})

    def sign_in(story):
        begun = browser.begin(f"{server}/auth/login")
        assert begun.status == 302, begun.body
        done = browser.get(browser.sign_in_there(begun.location, "bob"))
        assert done.status == 303, done.body
        story.line("Bob", "signs in with a browser (OpenID Connect)", "GET /auth/login … /auth/callback", f"{done.status} {done.location}")
        return {"Cookie": "; ".join(f"{k}={v}" for k, v in browser.cookies[server].items()), "Origin": server}
    return sign_in


def test_the_first_hour_with_a_sign_in_service(tour, hour, provider, server):
    if isinstance(provider, str):
        pytest.skip(provider)

    def skipped():
        return sum(float(n) for n in re.findall(r"^goalsync_scheduler_skipped_total\S* (\S+)$", hour.health("scheduler"), re.M))

    def slots(n):
        begin = skipped()
        wait_for("slots that are passed over", lambda: skipped() >= begin + n, 60)
    story = tour.Story(server, hour.url("demo_shop", "demo_shop"), 2, hour.dir / "secret" / "bootstrap_token", None,
                       by_browser(provider, server), slots)
    story.play()
    assert story.steps > 35
    for name in hour.services:
        assert not any(secret in hour.log(name) for secret in story.secrets), name


def test_the_first_hour_as_people_play_it(hour):
    """With what scripts/run gives to shells that join in."""
    hour.shell("make_token")
    assert (hour.dir / "secret" / "token").stat().st_mode & 0o777 == 0o600
    exports = subprocess.run([ROOT / "scripts" / "run", "--env"], env=hour.environ, text=True, capture_output=True, check=True).stdout
    done = subprocess.run(["bash", "-c", f"{exports}\nexec {SCRIPT}"], env={"PATH": os.environ["PATH"]}, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].endswith(" s") and "all as they should be" in lines[-1] and len(lines) > 35
    assert any("paused: the integration is not enabled in this organisation; still 60, 30 %" in line for line in lines)
    # Again, by the token that the command line has.
    assert not (hour.dir / "secret" / "bootstrap_token").exists()
    again = subprocess.run(["bash", "-c", f"{exports}\nexec goalsync api me_get --json"], env={"PATH": os.environ["PATH"]}, text=True,
                           capture_output=True)
    assert json.loads(again.stdout)["account"]["tenant_admin"], again.stderr


def test_what_is_not_as_it_should_be_ends_it(tmp_path):
    """A fake server: a real one does not answer wrongly at will."""
    class Wrong(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"account": {"name": "Eve", "tenant_admin": False}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def play(**settings):
        return subprocess.run([SCRIPT], env={"PATH": os.environ["PATH"], **settings}, text=True, capture_output=True, timeout=60)
    (tmp_path / "token").write_text("gst_x\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as wrong:
        threading.Thread(target=wrong.serve_forever, daemon=True).start()
        there = {"GOALSYNC_SERVER": f"http://127.0.0.1:{wrong.server_port}", "GOALSYNC_TOKEN_FILE": str(tmp_path / "token"),
                 "GOALSYNC_DEMO_SOURCE_URL": "postgresql://nobody@127.0.0.1:1/none"}
        done = play(**there)
        assert done.returncode == 1 and done.stderr == "FAILED: Eve is no tenant administrator\n", done.stderr
        wrong.shutdown()
    gone = play(**there)
    assert gone.returncode == 1 and gone.stderr.startswith("FAILED: ")
    unset = play()
    assert unset.returncode == 1 and "scripts/run --detach" in unset.stderr
