"""A gateway of its own for a test, on a Fleet's PostgreSQL.

    with Fleet() as fleet, Gateway(fleet) as gateway:
        token = gateway.account("ada@example.org", "Ada")
        org = gateway.organisation(token, "Acme")
        gateway.call("GET", "/api/v1/me", token=token).json

Gateway(fleet, servers=("postgres", "kafka", "redis")) starts more than PostgreSQL, where they are not up already. Settings of
the gateway are keyword arguments: Gateway(fleet, GOALSYNC_GATEWAY_RATE="5").
"""
import hashlib
import http.client
import json
import os
import re
import secrets
import signal
import string
import subprocess
import uuid
from urllib.parse import urlsplit

from fleet import Fleet, wait_for  # noqa: F401 (tests import them from here)

SCOPES = ("read", "write", "admin", "tenant")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, status):
        """This answer, when it has the status."""
        assert self.status == status, f"{self.status} instead of {status}: {self.text[:2000]}"
        return self

    def __repr__(self):
        return f"<{self.status} {self.text[:500]}>"


def new_token():
    """Text as the gateway's own tokens have: prefix, 43 random digits, 6 check digits."""
    text = "gst_" + "".join(secrets.choice(BASE62) for _ in range(43))
    value, check = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        check = BASE62[digit] + check
    return text + check


class Organisation:
    """id: as the API shows it; row: in the database."""

    def __init__(self, row, public, owner):
        self.row, self.id, self.owner = row, public, owner

    def __str__(self):
        return self.id


class Gateway:
    def __init__(self, fleet, name="gateway.1", servers=("postgres",), program="goalsync-gateway", **settings):
        self.fleet, self.name, self.servers, self.program, self.settings = fleet, name, servers, program, settings
        self.ready = fleet.dir / "ready" / name
        self.log_file = fleet.dir / "log" / f"{name}.log"
        self.process = self.address = None

    def __enter__(self):
        self.start_servers()
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    # ---- the process

    def start_servers(self):
        if (self.fleet.dir / "state" / "postgres").exists():
            return
        if set(self.servers) - {"postgres"}:
            self.fleet.start_servers()
        else:
            self.fleet.shell("postgres_start; make_keys; migrate")

    def environ(self):
        lines = self.fleet.shell(f"settings_of {self.name} | tr '\\0' '\\n'").splitlines()
        env = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
        env.update(line.split("=", 1) for line in lines)
        env["GOALSYNC_KAFKA_BROKERS"] = env.get("GOALSYNC_KAFKA_BROKERS") or "127.0.0.1:1"
        # Tests ask more often than people; those of the limits set their own.
        env.update(GOALSYNC_READY_FILE=str(self.ready), GOALSYNC_GATEWAY_LISTEN="127.0.0.1:0", GOALSYNC_LOG="info",
                   GOALSYNC_GATEWAY_RATE="100000", GOALSYNC_GATEWAY_BURST="100000", GOALSYNC_GATEWAY_ANONYMOUS_RATE="100000",
                   GOALSYNC_GATEWAY_ANONYMOUS_BURST="100000")
        env.update(self.settings)
        return env

    def start(self, ready=True):
        env = self.environ()
        self.log_file.parent.mkdir(exist_ok=True)
        begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        self.ready.unlink(missing_ok=True)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(self.fleet.build / "bin" / self.program)], env=env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        if not ready:
            return self
        wait_for("gateway ready", lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()
        self.address = re.findall(r'"listening" address=(\S+)', self.log()[begin:])[-1]
        return self

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, sig=signal.SIGTERM, check=True):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                status = self.process.wait(60)
            finally:
                self.kill()
            assert status == 0 or not check or sig == signal.SIGKILL, self.log()
        assert "Sanitizer" not in self.log() and "runtime error:" not in self.log(), self.log()

    def log(self):
        return self.log_file.read_text(errors="replace")

    def metric(self, series):
        text = subprocess.run(["curl", "-sS", f"http://{self.ready.read_text().strip()}/metrics"], capture_output=True, text=True).stdout
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series))

    @property
    def url(self):
        return f"http://{self.address}"

    # ---- requests

    def call(self, method, path, body=None, token=None, headers=None, timeout=60):
        """body: bytes or text as they are, anything else as JSON. path: may be a whole address, as in Location."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        parts = urlsplit(path)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request(method, target, body.encode() if isinstance(body, str) else body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, token=None, **more):
        return self.call("GET", path, token=token, **more)

    def post(self, path, body=None, token=None, **more):
        return self.call("POST", path, {} if body is None else body, token, **more)

    def patch(self, path, body, token=None, **more):
        return self.call("PATCH", path, body, token, **more)

    def put(self, path, body, token=None, **more):
        return self.call("PUT", path, body, token, **more)

    def delete(self, path, token=None, **more):
        return self.call("DELETE", path, token=token, **more)

    def pages(self, path, token, limit=None):
        """Every item of a list, page by page."""
        cursor, items = None, []
        while True:
            query = [f"limit={limit}"] if limit else []
            query += [f"cursor={cursor}"] if cursor else []
            page = self.get(path + ("&" if "?" in path else "?") + "&".join(query) if query else path, token).expect(200).json
            items += page["items"]
            cursor = page["next_cursor"]
            if not cursor:
                return items

    # ---- people, made by SQL: signing in is another test's

    def account(self, email, name, tenant_admin=False):
        """An account that has signed in once, and a token of it with every scope."""
        row = self.fleet.one("INSERT INTO account (issuer, subject, email, name, tenant_admin) VALUES ('https://test.invalid', %s, %s, %s, "
                             "%s) RETURNING id", str(uuid.uuid4()), email, name, tenant_admin)
        return self.token(row)

    def token(self, account, scopes=SCOPES, org=None, link=None, expires=None):
        """A token of an account (its row, or another token of it). org, link: rows; expires: SQL, like "now()"."""
        if isinstance(account, str):
            account = self.account_of(account)
        text = new_token()
        self.fleet.sql("INSERT INTO api_token (account_id, org_id, link_id, name, token_hash, hint, scopes, expires_at) VALUES (%s, %s, %s, "
                       f"'test', %s, %s, %s, {expires or 'NULL'})", account, org, link, hashlib.sha256(text.encode()).digest(), text[:12],
                       list(scopes))
        return text

    def account_of(self, token):
        """The row of the account whose token this is."""
        return self.fleet.one("SELECT account_id FROM api_token WHERE token_hash = %s", hashlib.sha256(token.encode()).digest())

    def organisation(self, token, name):
        """An organisation with the token's account as its owner."""
        row, public = self.fleet.sql("INSERT INTO organisation (name) VALUES (%s) RETURNING id, public_id::text", name)[0]
        return Organisation(row, public, self.member(row, token, "owner"))

    def member(self, org, token, role="member"):
        """Makes the token's account a member; returns the person's outside id."""
        row = org.row if isinstance(org, Organisation) else org
        return self.fleet.one("INSERT INTO person (org_id, account_id, email, name, role) SELECT %s, id, email, name, %s FROM account "
                              "WHERE id = %s RETURNING public_id::text", row, role, self.account_of(token))

    def person_row(self, person):
        """The row of a person by its outside id."""
        return self.fleet.one("SELECT id FROM person WHERE public_id = %s", person)
