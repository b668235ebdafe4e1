"""Loaded into Schemathesis: half of the ids in paths are of things that exist, so that more than 404 is met. Two things that no schema
can say are left out: text in an address holds no control characters, and a cursor is one that a list gave out.

GOALSYNC_TEST_IDS names a JSON file: kind -> outer ids."""
import json
import os
import random

import schemathesis

IDS = json.loads(open(os.environ["GOALSYNC_TEST_IDS"], encoding="utf-8").read())


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    for name in path_parameters or {}:
        if IDS.get(name) and random.random() < 0.5:
            path_parameters[name] = random.choice(IDS[name])
    return path_parameters


def printable(values):
    return all(c.isprintable() for v in (values or {}).values() if isinstance(v, str) for c in v)


@schemathesis.hook
def filter_path_parameters(context, path_parameters):
    return printable(path_parameters)


@schemathesis.hook
def filter_query(context, query):
    return printable(query) and "cursor" not in (query or {})
