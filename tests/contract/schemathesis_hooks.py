"""Loaded into Schemathesis: most requests are made to be about things that exist, so that more is met than refusals: ids become those
of things, cursors ones that the list gave out, If-Match any revision; names and Idempotency-Keys are not used twice. What becomes of a
request follows from the request alone. Only what is right already is replaced: what is broken on purpose stays broken.

GOALSYNC_TEST_KNOWN names a JSON file:
    ids      kind, or operationId/member where another or not every one is fit -> outer ids; of integrations their names
    paths    names of a path's parameters, "goal/parent" -> lists of ids that belong together
    cursors  operationId -> cursors
    members  operationId -> members of query or body -> values that fit what is there"""
import json
import os
import re
import zlib

import schemathesis

with open(os.environ["GOALSYNC_TEST_KNOWN"], encoding="utf-8") as file:
    KNOWN = json.load(file)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CURSOR = re.compile(r"[A-Za-z0-9_-]{39,4096}")
NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,100}")
# Members whose name does not begin with their kind.
KIND_OF = {"owner": "person", "manager": "person", "delegate": "person", "check_in_owner": "person", "creator": "person", "mention": "person",
           "viewer": "person", "transfer_to": "person", "root": "goal", "parent": "objective", "connection": "shared_connection"}
# Of 8 requests, how many are about something that exists; fewer where it would soon be gone.
SHARE, SHARE_OF_DELETE = 7, 3


class Chooser:
    """Chooses for one request, by what it says. What is deleted is every other thing, so that some last."""

    def __init__(self, operation, *said):
        self.number = zlib.crc32(repr((operation.label, *said)).encode("utf-8", "surrogatepass"))
        self.deletes = operation.method.upper() == "DELETE"
        self.id = operation.definition.raw["operationId"]

    def any(self, values, otherwise):
        self.number = zlib.crc32(b"%d" % self.number)
        share = SHARE_OF_DELETE if self.deletes else SHARE
        return values[self.number // 8 % len(values)] if values and self.number % 8 < share else otherwise

    def thing(self, name, otherwise):
        name = re.sub(r"_ids?$", "", name)
        known = KNOWN["ids"].get(f"{self.id}/{name}") or KNOWN["ids"].get(KIND_OF.get(name, name), [])
        return self.any(known[self.deletes::2], otherwise)

    def path(self, parameters):
        together = KNOWN["paths"].get("/".join(parameters or ()), [])[self.deletes::2]
        if together and all(isinstance(v, str) and UUID.fullmatch(v) for v in parameters.values()):
            return dict(zip(parameters, self.any(together, list(parameters.values()))))
        return self.value("", parameters)

    def members(self, value):
        known = KNOWN["members"].get(self.id, {})
        value = {k: self.any([known[k]], v) if k in known and isinstance(v, type(known[k])) else v for k, v in value.items()}
        return {k: self.value(k, v) for k, v in value.items()}

    def value(self, name, value):
        if isinstance(value, dict):
            return self.members(value)
        if isinstance(value, list):
            return [self.value(name, v) for v in value]
        if isinstance(value, str) and (UUID.fullmatch(value) or (name == "integration" and NAME.fullmatch(value))):
            return self.thing(name, value)
        if isinstance(value, str) and name in ("name", "external_id") and value.strip() and len(value) < 40:
            return self.any([f"{value} {self.number:08x}".strip()], value)
        return value

    def query(self, query):
        """A list that gave out no cursor begins at its start."""
        query = self.value("", query)
        cursor = (query or {}).get("cursor")
        if isinstance(cursor, str) and CURSOR.fullmatch(cursor):
            query = {**query, "cursor": self.any(KNOWN["cursors"].get(self.id, [None]), cursor)}
        return query and {k: v for k, v in query.items() if k != "cursor" or v is not None}

    def header(self, name, value):
        if name.lower() == "if-match" and value.isprintable():
            return self.any(["*"], value)
        if name.lower() == "idempotency-key" and value.isprintable() and 0 < len(value) <= 255:
            return self.any([f"{self.number:08x}"], value)
        return value


def put(case, part, value):
    """What is set is judged anew, and a body that may be left out and is would be taken for a wrong one."""
    if value != getattr(case, part):
        setattr(case, part, value)


@schemathesis.hook
def map_case(context, case):
    chooser = Chooser(case.operation, case.path_parameters, case.query, case.body)
    put(case, "query", chooser.query(case.query))
    put(case, "body", chooser.value("", case.body))
    for name in case.headers or {}:
        case.headers[name] = chooser.header(name, case.headers[name])
    if case.meta and case.meta.phase.name == "coverage":
        put(case, "path_parameters", chooser.path(case.path_parameters))
    return case


# Of all phases but that one: there paths are in escapes when a case is made, and would be taken for too long, were they changed then.
@schemathesis.hook
def map_path_parameters(context, path_parameters):
    return Chooser(context.operation, path_parameters).path(path_parameters)
