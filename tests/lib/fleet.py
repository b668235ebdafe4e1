"""A whole goalsync of its own for a test: private servers and services, started by the same scripts a user runs.

    with Fleet(period="2s") as fleet:
        fleet.start()
        org = fleet.demo_free_org()
        fleet.cli("goal", "list", "--json")

Everything lives in a temporary folder and ends with the `with` block; only processes this object started are ended.
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("common", "install", "build", "servers", "services")
SERVICES = ("scheduler", "progress-writer", "fetch-in-boundary", "fetch-cross-boundary", "fetch-third-party", "notifier")


SHELL_SECONDS = 300


class FleetError(Exception):
    pass


class Result:
    """What a command of the command line gave."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)


def wait_for(what, check, seconds=30.0, every=0.02):
    """Waits for a condition of the outside world; returns its value."""
    until = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise FleetError(f"{what}: not within {seconds} s")
        time.sleep(every)


class Fleet:
    def __init__(self, services=SERVICES, period="1h", build=None, settings=None):
        self.dir = Path(tempfile.mkdtemp(prefix="goalsync-test-", dir=os.environ.get("TMPDIR", "/tmp")))
        self.dir.chmod(0o711)
        self.services = list(services)
        self.build = Path(build or os.environ.get("GOALSYNC_BUILD_DIR", ROOT / "build"))
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_") or k == "GOALSYNC_CACHE_DIR"}
        self.environ.update(GOALSYNC_RUN_DIR=str(self.dir), GOALSYNC_BUILD_DIR=str(self.build), GOALSYNC_PERIOD=period,
                            GOALSYNC_SERVICES=" ".join(self.services), **(settings or {}))
        self.connections = []
        self.operator = None  # settings of the command line, once asked for

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(keep=kind is not None and bool(os.environ.get("GOALSYNC_TEST_KEEP")))

    # ---- the scripts' functions

    def shell(self, command, check=True, **settings):
        """Runs functions of scripts/lib; returns what they print."""
        libs = "; ".join(f'. "{ROOT}/scripts/lib/{p}.sh"' for p in PARTS)
        # In a session of its own, as ^C is not for it: what it has begun to start would be known to nobody.
        process = subprocess.Popen(["bash", "-c", f"set -u; {libs}; {command}"], env={**self.environ, **settings}, text=True,
                                   start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=SHELL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        except BaseException:
            process.communicate(timeout=SHELL_SECONDS)
            raise
        if check and process.returncode:
            raise FleetError(f"{command}: status {process.returncode}\n{out}\n{err}")
        return out.strip()

    def start_servers(self):
        self.shell("postgres_start; redis_start; broker_start; make_keys; migrate && make_topics")

    def make_schema(self):
        """The newest schema in an empty database, without a service's binary."""
        self.sql("CREATE DATABASE goalsync", database="postgres")
        for migration in sorted((ROOT / "common/migrations").glob("*.sql")):
            self.sql(migration.read_text())

    def start_services(self):
        self.shell("services_start")

    def start(self):
        self.start_servers()
        self.start_services()

    def start_one(self, name, ready=True):
        """A server or service by name, e.g. "kafka" or "scheduler.2"."""
        starter = {"postgres": "postgres_start", "redis": "redis_start", "kafka": "kafka_start"}.get(name, f"service_start {name}")
        self.shell(starter)
        if ready and name not in ("postgres", "redis", "kafka"):
            self.await_ready(name)

    def await_ready(self, name, seconds=60):
        wait_for(f"{name} ready", (self.dir / "ready" / name).exists, seconds)

    def stop_one(self, name, sig="TERM", seconds=30):
        self.shell(f"end {name} {sig} {seconds}")

    def pid(self, name):
        try:
            return int((self.dir / "pid" / name).read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def kill(self, name):
        """SIGKILL to the process and, for PostgreSQL, to its children, as the kernel's out-of-memory killer could."""
        pid = self.pid(name)
        victims = [pid]
        if name == "postgres":
            victims += [int(p) for p in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(f"{name} gone", lambda: not Path(f"/proc/{pid}").exists(), 10)
        (self.dir / "ready" / name).unlink(missing_ok=True)

    def log(self, name):
        return (self.dir / "log" / f"{name}.log").read_text(errors="replace")

    def state(self, name):
        return (self.dir / "state" / name).read_text().strip()

    def health(self, name, path="/metrics"):
        address = (self.dir / "ready" / name).read_text().strip()
        return subprocess.run(["curl", "-sS", "-m", "5", f"http://{address}{path}"], capture_output=True, text=True, check=True).stdout

    # ---- the database

    def url(self, role="goalsync_owner", database="goalsync"):
        if role == "goalsync_owner":
            password, port = (self.dir / "secret" / "postgres").read_text().strip(), self.state("postgres")
            return f"postgresql://goalsync_owner:{password}@127.0.0.1:{port}/{database}"
        return self.shell(f"database_url {role} {database}")

    def connect(self, role="goalsync_owner", database="goalsync"):
        connection = psycopg2.connect(self.url(role, database))
        connection.autocommit = True
        self.connections.append(connection)
        return connection

    def sql(self, statement, *params, database="goalsync"):
        """Rows of one statement as the owner."""
        connection = psycopg2.connect(self.url(database=database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, params or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def one(self, statement, *params, **more):
        rows = self.sql(statement, *params, **more)
        return rows[0][0] if rows else None

    # ---- the command line

    def cli(self, *args, stdin="", check=True):
        """`goalsync ARGS` with the operator's settings."""
        if self.operator is None:
            settings = self.shell("settings_of operator | tr '\\0' '\\n'").splitlines()
            self.operator = {k: v for k, v in self.environ.items() if not k.startswith("GOALSYNC_")}
            self.operator.update(s.split("=", 1) for s in settings if not s.startswith("GOALSYNC_READY_FILE="))
        done = Result(subprocess.run([str(self.build / "bin" / "goalsync"), *map(str, args)], env=self.operator, input=stdin, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120))
        if check and done.code:
            raise FleetError(f"goalsync {' '.join(map(str, args))}: status {done.code}\n{done.out}{done.err}")
        return done

    def create(self, *args, stdin=""):
        """Runs a create command and returns the new id."""
        return self.cli(*args, "--json", stdin=stdin).json["id"]

    # ---- topics

    def messages(self, topic):
        """Every message of a topic, from the beginning: (partition, offset, key, value, headers)."""
        done = subprocess.run(["kcat", "-C", "-e", "-q", "-b", self.state("kafka"), "-t", topic, "-o", "beginning",
                               "-f", "%p %o %K %S %h\\n%k%s\\n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if done.returncode:
            raise FleetError(f"kcat {topic}: {done.stderr.decode(errors='replace')}")
        data, at, found = done.stdout, 0, []
        while at < len(data):
            head, at = data[at:data.index(b"\n", at)], data.index(b"\n", at) + 1
            partition, offset, key_len, value_len, headers = (head.split(b" ", 4) + [b""])[:5]
            key_len, value_len = max(0, int(key_len)), max(0, int(value_len))
            found.append((int(partition), int(offset), data[at:at + key_len], data[at + key_len:at + key_len + value_len],
                          headers.decode(errors="replace")))
            at += key_len + value_len + 1
        return found

    def close(self, keep=False):
        for connection in self.connections:
            connection.close()
        self.shell("services_stop; servers_stop", check=False)
        if keep:
            print(f"kept: {self.dir}")
            return
        home = self.dir / "state" / "postgres_home"
        if home.exists() and home.read_text().startswith("/var/tmp/goalsync-postgres."):
            shutil.rmtree(home.read_text().strip(), ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)
