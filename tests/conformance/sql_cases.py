"""What every connector over a database's wire goes through: real servers, real statements, and a relay before them that cuts,
stalls and shows other certificates.

A wire is a class with `start`, `connection`, `statements` and so on, entered in WIRES; connectors come by their folder alone.
"""
import json
import shutil
import socket
import ssl
import tempfile
import threading
import time

from fleet import Fleet
from http_cases import DEADLINE_MS, SHORT_MS, TOKEN, Play, both, no_other_value, no_value, outcomes_differ
from vendor import certificates

CUTS = 16
NUMBER = "1234567890123"


# ---------------------------------------------------------------- between the wire and its server

class Relay:
    """Passes bytes on to a server: at most `limit` of its answers, then the connection is cut, or held (stall). With a TLS
    context it ends TLS itself, where the protocol begins it, and the server is asked without."""

    def __init__(self, target, limit=None, hold=False, context=None, prelude=None):
        self.target, self.limit, self.hold, self.context, self.prelude = target, limit, hold, context, prelude
        self.connections, self.passed = 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        server = None
        try:
            if self.context:
                self.prelude(client)
                client = self.context.wrap_socket(client, server_side=True)
            server = socket.create_connection(self.target)
            threading.Thread(target=self.copy, args=(client, server, None), daemon=True).start()
            self.copy(server, client, self.limit)
        except OSError:
            pass
        finally:
            if not self.hold:
                for sock in (client, server):
                    self.end(sock)

    def copy(self, source, sink, limit):
        passed = 0
        try:
            while (data := source.recv(65536)):
                if limit is not None:
                    data = data[:limit - passed]
                passed += len(data)
                sink.sendall(data)
                if limit is not None and passed >= limit:
                    return
        except OSError:
            pass
        finally:
            if source is not None and limit is None and sink is not None:
                self.passed = max(self.passed, passed)
                self.end(sink)

    @staticmethod
    def end(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass

    def close(self):
        self.listener.close()


# ---------------------------------------------------------------- wires

class Postgres:
    """One PostgreSQL server, made like the fleet's own; TLS is on."""

    statements = {
        "success": [f"SELECT {NUMBER}"],
        "slow, but in time": [f"SELECT {NUMBER} FROM pg_sleep(0.2)"],
        "no row": ["SELECT 1 WHERE false"],
        "two rows": ["SELECT generate_series(1, 2)", "SELECT 7 UNION ALL SELECT 7"],
        "endless rows": ["SELECT generate_series(1, 100000000)"],
        "two columns": ["SELECT 1, 2"],
        "no columns": ["SELECT", "SET search_path = public"],
        "text": ["SELECT '7'", "SELECT 'seven'::text", "SELECT true", "SELECT current_date"],
        "NULL": ["SELECT NULL::int8", "SELECT NULL", "SELECT sum(1) WHERE false"],
        "NaN": ["SELECT 'NaN'::float8", "SELECT 'NaN'::numeric", "SELECT 'Infinity'::float8"],
        "huge number": ["SELECT 1e30::numeric", "SELECT 1e300::float8", "SELECT 10::numeric ^ 1000"],
        "oversized": ["SELECT repeat('x', 50000000)", "SELECT 10::numeric ^ 100000"],
        "two statements": ["SELECT 1; SELECT 2", "COMMIT; SELECT 7"],
        "writing": ["CREATE TABLE mine (n int)", "INSERT INTO kept VALUES (7) RETURNING n", "DELETE FROM kept RETURNING 7"],
        "wrong statement": ["SELEKT 1", "SELECT no_such_column", "SELECT 1/0"],
        "no such table": ["SELECT count(*) FROM no_such_table"],
        "no rights": ["SELECT count(*) FROM hidden"],
        "slow": ["SELECT 1 FROM pg_sleep(30)"],
    }

    def __init__(self):
        self.fleet = Fleet(services=())
        self.user, self.password = "reader", TOKEN
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        self.fleet.shell("postgres_start")
        self.port = int(self.fleet.state("postgres"))
        self.ca = (self.fleet.dir / "tls" / "ca.crt").read_text()
        self.fleet.sql("CREATE DATABASE shop", database="postgres")
        self.fleet.sql(f"CREATE ROLE reader LOGIN PASSWORD '{TOKEN}'", database="postgres")
        for statement in ("CREATE TABLE hidden (n int)", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)",
                          "GRANT SELECT, INSERT, DELETE ON kept TO reader", "GRANT CREATE ON SCHEMA public TO reader"):
            self.fleet.sql(statement, database="shop")

    def connection(self, port=None, **changes):
        return {"host": "localhost", "port": str(port or self.port), "database": "shop", "ca_pem": self.ca, **changes}

    def undone(self):
        """What statements must not have done."""
        found = self.fleet.sql("SELECT (SELECT array_agg(n) FROM kept), to_regclass('mine')", database="shop")[0]
        return None if found == ([1], None) else f"the source was changed: {found}"

    @staticmethod
    def prelude(client):
        """The client asks for TLS before it begins."""
        client.recv(8)
        client.sendall(b"S")

    def close(self):
        self.fleet.close()


WIRES = {"postgres": Postgres}


class Servers:
    """Each wire's server, started when the first connector needs it."""

    def __enter__(self):
        self.running = {}
        return self

    def of(self, wire):
        if wire not in self.running:
            self.running[wire] = WIRES[wire]()
        return self.running[wire]

    def __exit__(self, *_):
        for server in self.running.values():
            server.close()


# ---------------------------------------------------------------- cases

class Asking:
    """Makes plays of statements for one connector."""

    def __init__(self, connector, server):
        self.connector, self.server, self.relays = connector, server, []
        self.folder = tempfile.mkdtemp(prefix="goalsync-conformance-")
        self.certificates = certificates(self.folder, ["localhost"])

    def close(self):
        for relay in self.relays:
            relay.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def play(self, statement, judge, relay=None, links=1, password=None, deadline_ms=DEADLINE_MS, group="", **connection):
        port = relay.port if relay else connection.pop("port", None)
        case = {"case": statement, "now_us": int(time.time()) * 1000000, "links": [{self.query(): statement}] * links,
                "connection": self.server.connection(port, **connection),
                "outcomes": [{"outcome": "ok", "value": NUMBER, "text": "", "percent": False, "until_us": 0, "seen": -1}]}
        play = Play(case, relay, judge, deadline_ms=deadline_ms, group=group, what=statement[:40])
        play.user, play.password = self.server.user, password or self.server.password
        return play

    def query(self):
        return self.connector["query_field"]

    def relay(self, **more):
        relay = Relay(("127.0.0.1", self.server.port), **more)
        self.relays.append(relay)
        return relay

    def front(self, kind):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates[kind])
        return self.relay(context=context, prelude=self.server.prelude)


def own_value(play, result):
    return outcomes_differ(play.case, result)


REFUSED = {"wrong statement": ("rejected", "gone"), "no such table": ("gone", "rejected"), "no rights": ("denied", "rejected"),
           "slow": ("retry", "rejected")}


def statement_cases(a):
    for name, statements in a.server.statements.items():
        good = name in ("success", "slow, but in time")
        judge = own_value if good else no_value(*REFUSED.get(name, ("rejected",)))
        more = {"deadline_ms": SHORT_MS} if name == "slow" else {}
        yield name, [a.play(s, judge, **more) for s in statements]


def other_cases(a):
    one = f"SELECT {NUMBER}"
    yield "requests as declared", [a.play(one, both(own_value, asked_once), relay=a.relay())]
    yield "several links in one", [a.play(one, both(own_value, asked_once), relay=a.relay(), links=3)]
    yield "wrong password", [a.play(one, no_value("denied"), password="conformance-wrong")]
    yield "no such database", [a.play(one, no_value("gone", "rejected", "denied", "retry"), database="no_such_database")]
    yield "server gone", [a.play(one, no_value("retry"), port=closed_port())]
    yield "silent", [a.play(one, no_value("retry"), relay=a.relay(limit=0, hold=True), deadline_ms=SHORT_MS)]
    yield "stalled in the answer", [a.play(one, no_value("retry"), relay=a.relay(limit=n, hold=True), deadline_ms=SHORT_MS)
                                    for n in (1, 100, 1000)]
    yield "cut at any byte", [a.play(one, no_other_value, relay=a.relay(limit=n)) for n in cuts()]
    yield "TLS: as it should be", [a.play(one, own_value, relay=a.front("good"), ca_pem=a.certificates["ca"].read_text())]
    for kind in ("wrong host", "expired", "self-signed"):
        yield f"TLS: {kind}", [a.play(one, no_value("retry", "rejected", "denied"), relay=a.front(kind),
                                      ca_pem=a.certificates["ca"].read_text())]
    yield "TLS: another authority", [a.play(one, no_value("retry", "rejected", "denied"), ca_pem=a.certificates["ca"].read_text())]
    yield "no TLS", [a.play(one, no_value("rejected"), sslmode="disable", ca_pem="")]
    yield "address inside", [a.play(one, no_value("rejected"), group="inside")]


def asked_once(play, result):
    if play.script.connections != 1 or result["exchanges"] != 1:
        return f"{play.script.connections} connections and {result['exchanges']} exchanges instead of one"
    return None


def cuts():
    """Over the greeting, the handshake, signing in and the answer: some four thousand bytes, later ones closer together."""
    return [1, 2, 50, 300] + [700 + 200 * i for i in range(CUTS)]


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch_of(play, number):
    case = play.case
    fetch = {"id": str(number), "now_us": str(case["now_us"]), "deadline_ms": str(play.deadline_ms), "user": play.user,
             "password": play.password, "connection": json.dumps(case["connection"])}
    fetch.update((f"link.{i}", json.dumps(link)) for i, link in enumerate(case["links"]))
    return fetch


def run(build, connector, cases, servers, judged):
    if connector["wire"] not in WIRES:
        raise AssertionError(f"the suite knows no server for the wire {connector['wire']}; enter one in sql_cases.WIRES")
    if not connector["query_field"]:
        raise AssertionError("its link form has no field of a long text, which a statement needs")
    server = servers.of(connector["wire"])
    a = Asking(connector, server)
    try:
        plays = [*statement_cases(a), *other_cases(a)]
        groups, results, number = {}, {}, 0
        for _, some in plays:
            for play in some:
                number += 1
                play.number = str(number)
                groups.setdefault(play.group, []).append(fetch_of(play, number))
        for group, fetches in groups.items():
            results.update(build.once(connector["name"], fetches, {"GOALSYNC_FETCH_ALLOW_PRIVATE": "no" if group == "inside" else "yes"}))
        report = [judged(name, some, results) for name, some in plays]
        wrong = server.undone()
        if wrong:
            report = [{**c, "result": "failed", "detail": wrong} if c["case"] == "writing" else c for c in report]
        return report
    finally:
        a.close()
