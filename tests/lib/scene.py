"""An organisation with a real source, made through the command line: what most tests of a whole fleet start from."""

OWNER = "ada@example.org"


class Scene:
    """Organisation, PostgreSQL source database and a connection to it; goals and links on demand."""

    def __init__(self, fleet, source="source", schema="CREATE TABLE metric (id int PRIMARY KEY, value numeric NOT NULL)"):
        self.fleet, self.source = fleet, source
        fleet.sql(f"CREATE DATABASE {source}", database="postgres")
        fleet.sql(schema, database=source)
        self.password = fleet.shell(f"secret {source}_reader")
        fleet.sql(f"CREATE ROLE {source}_reader LOGIN PASSWORD '{self.password}'; "
                  f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {source}_reader", database=source)
        self.org = fleet.create("org", "create", "--name", f"Org of {source}")
        fleet.cli("person", "add", "--org", self.org, "--name", "Ada", "--email", OWNER, "--role", "owner")
        fleet.cli("integration", "enable", "postgresql", "--org", self.org, "--by", OWNER, "--accept-terms")
        self.connection = self.connect()

    def connect(self, name="Source", password=None, **settings):
        """A connection to the source database; settings replace the good ones."""
        good = {"host": "127.0.0.1", "port": self.fleet.state("postgres"), "database": self.source, "sslmode": "verify-full",
                "ca_pem": (self.fleet.dir / "tls" / "ca.crt").read_text(), **settings}
        secret = f'{{"user":"{self.source}_reader","password":"{password or self.password}"}}'
        sets = [x for k, v in good.items() for x in ("--set", f"{k}={v}")]
        return self.fleet.create("connection", "create", "--org", self.org, "--connector", "postgresql", "--name", name,
                                 "--owner", OWNER, *sets, "--secret-stdin", stdin=secret)

    def objective(self, title, *more):
        return self.fleet.create("goal", "create", "--org", self.org, "--owner", OWNER, "--kind", "objective", "--mode", "roll-up",
                                 "--title", title, *more)

    def key_result(self, title, *more):
        return self.fleet.create("goal", "create", "--org", self.org, "--owner", OWNER, "--kind", "key-result", "--title", title, *more)

    def link(self, goal, query, connection=None):
        return self.fleet.create("link", "create", "--goal", goal, "--connection", connection or self.connection,
                                 "--set", f"query={query}")

    def source_sql(self, statement, *params):
        return self.fleet.sql(statement, *params, database=self.source)

    def goal(self, goal):
        """The row of a goal as a dictionary."""
        columns = "applied_value, progress, status::text, version, has_value, fetched_at, last_slot"
        values = self.fleet.sql(f"SELECT {columns} FROM goal WHERE id = %s", goal)[0]
        return dict(zip((c.strip().partition("::")[0] for c in columns.split(",")), values))
