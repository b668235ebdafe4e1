"""Loaded into Schemathesis: half of the ids in paths are of things that exist, so that more than 404 is met.

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
