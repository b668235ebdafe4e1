"""Valid requests from the API's description: a schema's `examples` or `example` first, else the least that it accepts."""
import json
import secrets
import urllib.parse
from collections import namedtuple

Request = namedtuple("Request", "body content_type")

# What a schema alone does not tell: operation -> members of the body, laid over the generated ones. "@kind" is the outer id of
# a fresh thing of the first organisation. The helpers of the table are functions of the world.
SPECIAL = {
    "check_in_create": {"note": "x"},
    "goal_postpone": {"period_id": "@period"},
    "connection_create": {"integration": "postgresql", "settings": {"host": "db.example", "database": "none"},
                          "secret": {"user": "reader", "password": "x"}},
    "tenant_admin_appoint": {"email": "owner@example.org"},
    "preview_create": {"settings": {"query": "SELECT 1"}},
    "link_create": {"settings": {"query": "SELECT 1"}},
    "link_edit": {"settings": {"query": "SELECT 1"}},
}
# Members whose name says more than their schema: a plain value, or a kind of thing.
PLAIN = {"weight": "50", "value": "1"}
KIND_OF = {"owner_id": "person", "manager_id": "person", "delegate_id": "person", "check_in_owner_id": "person", "parent_id": "objective",
           "connection_id": "shared_connection"}
# Further path parameters that are no uuid of a kind: name -> value.
NAMES = {"integration": "postgresql", "emoji": urllib.parse.quote("👍")}


class Body:
    def __init__(self, document, world):
        self.document, self.world = document, world

    def resolve(self, schema):
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].lstrip("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    def of_name(self, name, first):
        """A path parameter behind the first one, `first`: something that belongs to that."""
        if name in NAMES:
            return NAMES[name]
        made = getattr(self.world, "make_" + name)(first)
        return made[1] if isinstance(made, tuple) else made

    def of_operation(self, operation, first):
        content = self.resolve(operation.get("requestBody", {})).get("content", {})
        if not content:
            return Request(None, None)
        kind = "application/json" if "application/json" in content else next(iter(content))
        media = content[kind]
        special = SPECIAL.get(operation["operationId"])
        if kind != "application/json" and "json" not in kind:
            return Request(special or media.get("example", "x"), kind)
        value = media["example"] if "example" in media else self.value(self.resolve(media["schema"]), "")
        for name, made in (special or {}).items():
            value[name] = self.place(made)
        return Request(json.dumps(value), kind)

    def place(self, made):
        if isinstance(made, str) and made.startswith("@"):
            return self.world.make(made[1:])
        if isinstance(made, list):
            return [self.place(m) for m in made]
        if isinstance(made, dict):
            return {k: self.place(v) for k, v in made.items()}
        return made

    def query(self, operation):
        given = {}
        for parameter in operation.get("parameters", []):
            parameter = self.resolve(parameter)
            if parameter["in"] == "query" and parameter.get("required"):
                given[parameter["name"]] = self.value(self.resolve(parameter["schema"]), parameter["name"])
        return "?" + urllib.parse.urlencode(given) if given else ""

    def value(self, schema, name):
        schema = self.resolve(schema)
        for key in ("const", "default", "example"):
            if key in schema:
                return schema[key]
        if "examples" in schema:
            return schema["examples"][0]
        if "enum" in schema:
            return schema["enum"][0]
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self.value(schema[key][0], name)
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        return getattr(self, "make_" + kind)(schema, name)

    def make_object(self, schema, name):
        properties = schema.get("properties", {})
        wanted = list(schema.get("required", []))
        if len(wanted) < schema.get("minProperties", 0):
            wanted += [p for p in properties if p not in wanted][:schema["minProperties"] - len(wanted)]
        return {p: self.value(properties[p], p) for p in wanted}

    def make_array(self, schema, name):
        return [self.value(schema["items"], name.removesuffix("s")) for _ in range(schema.get("minItems", 0))]

    def make_string(self, schema, name):
        form = schema.get("format")
        if form == "uuid":
            return self.world.make(KIND_OF.get(name, name.removesuffix("_id")))
        if name in PLAIN:
            return PLAIN[name]
        made = {"decimal": "1", "date": "2026-06-30", "date-time": "2026-06-30T12:00:00Z", "email": f"{secrets.token_hex(6)}@example.org",
                "uri": "https://hook.example/x"}.get(form)
        return made or ("x" + secrets.token_hex(8))[:schema.get("maxLength", 20)].ljust(schema.get("minLength", 0), "x")

    def make_integer(self, schema, name):
        return max(schema.get("minimum", 1), 1) if schema.get("maximum", 1) >= 1 else schema["maximum"]

    make_number = make_integer

    def make_boolean(self, schema, name):
        return True

    def make_null(self, schema, name):
        return None
