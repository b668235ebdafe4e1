"""An organisation with people and goals, over HTTP, and short ways to what one does there.

    world = World(gateway)
    world.person("ada")
    goal = world.create("Grow", by="ada", mode="roll_up")
    world.check_in(world.create(kind="key_result", parents=[goal]), 40)
    assert world.state(goal) == ("40.0000", "behind", "40")
"""
import itertools

PAST = {"starts_on": "2020-01-01", "ends_on": "2020-12-31"}  # expected at 100
FUTURE = {"starts_on": "2090-01-01", "ends_on": "2090-12-31"}  # expected at 0
PARENT = {"mode": "roll_up", **PAST}
NOBODY = "00000000-0000-4000-8000-000000000000"
names = (f"Organisation {i}" for i in itertools.count())


class World:
    def __init__(self, gateway):
        self.gateway, self.people = gateway, {}
        self.name = next(names)
        self.token = gateway.account(f"owner@{self.slug}.example", "Owner")
        self.org = gateway.organisation(self.token, self.name)
        self.people["owner"] = self.org.owner
        self.tokens = {"owner": self.token}

    @property
    def slug(self):
        return self.name.replace(" ", "-").lower()

    def person(self, name, role="member", **columns):
        token = self.gateway.account(f"{name}@{self.slug}.example", name)
        self.people[name] = self.gateway.member(self.org, token, role)
        self.tokens[name] = token
        for column, value in columns.items():
            self.gateway.fleet.sql(f"UPDATE person SET {column} = %s WHERE public_id = %s", value, self.people[name])
        return self.people[name]

    def row(self, person):
        return self.gateway.person_row(self.people[person])

    def call(self, method, path, body=None, by="owner", expect=None, **headers):
        answer = self.gateway.call(method, path, body, self.tokens[by], {k.replace("_", "-"): v for k, v in headers.items()})
        if expect is not None:
            answer.expect(expect)
        return answer

    def create(self, title="Goal", by="owner", expect=201, parents=(), **members):
        body = {"kind": "objective", "title": title, "parents": [p if isinstance(p, dict) else {"goal_id": p} for p in parents], **members}
        answer = self.call("POST", f"/api/v1/organisations/{self.org}/goals", body, by, expect)
        return answer.json["id"] if expect == 201 else answer

    def goal(self, goal, by="owner"):
        return self.call("GET", f"/api/v1/goals/{goal}", by=by, expect=200).json

    def edit(self, goal, by="owner", expect=200, **members):
        return self.call("PATCH", f"/api/v1/goals/{goal}", members, by, expect)

    def check_in(self, goal, value=None, by="owner", expect=201, **members):
        if value is not None:
            members["value"] = str(value)
        return self.call("POST", f"/api/v1/goals/{goal}/check-ins", members, by, expect)

    def feed(self, goal, by="owner"):
        return self.gateway.pages(f"/api/v1/goals/{goal}/feed", self.tokens[by])

    def state(self, goal):
        """progress, status, value: what people see first."""
        g = self.goal(goal)
        return g["progress"], g["status"], g["value"]

    def setting(self, **columns):
        for column, value in columns.items():
            self.gateway.fleet.sql(f"UPDATE organisation SET {column} = %s WHERE id = %s", value, self.org.row)

    def at_noon(self):
        """Lets it be about noon where the organisation is: no day ends in the middle of a test."""
        hour = self.gateway.fleet.one("SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::int")
        self.setting(time_zone=f"Etc/GMT{hour - 12:+d}")  # such names count from Greenwich to the west

    def day(self, offset=0):
        """So many days from the organisation's today, as 2026-10-01."""
        return self.gateway.fleet.one("SELECT ((now() AT TIME ZONE time_zone)::date + %s)::text FROM organisation WHERE id = %s", offset,
                                      self.org.row)

    def row_of(self, goal):
        return self.gateway.fleet.one("SELECT id FROM goal WHERE public_id = %s", goal)


def shares(goal):
    return [child["share"] for child in goal["children"]]
