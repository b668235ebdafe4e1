"""The gateway's figures: reading a goal and checking in, in an organisation of 10,000 goals in a tree of five levels, beside a
reply of the same bytes by the same HTTP library. wrk asks, over connections that stay."""
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

from rig import HERE, cpu_of, memory_of

sys.path.insert(0, str(HERE.parent / "lib"))
from gateway import Gateway  # noqa: E402

LEVELS = [4, 6, 20, 20]  # children of each goal, level by level: 1 + 4 + 24 + 480 + 9,600 goals
CONNECTIONS, THREADS = 8, 1


class Wrk:
    """Runs wrk; what it measured beside the CPU time of other processes."""

    def __init__(self, rig, token):
        self.rig, self.token = rig, token

    def run(self, base, requests, seconds, pids, connections=CONNECTIONS):
        file = self.rig.fleet.dir / "requests"
        file.write_text("".join(f"{r}\n" for r in requests))
        before = [cpu_of(p()) for p in pids]
        done = subprocess.run(["wrk", "-t", str(THREADS), "-c", str(connections), "-d", f"{seconds}s", "-s", str(HERE / "requests.lua"), base],
                              env={**os.environ, "REQUESTS": str(file), "TOKEN": self.token}, capture_output=True, text=True, check=True)
        found = re.search(r'JSON \{"n":(\d+),"seconds":(\S+),"p50_ms":(\S+),"p99_ms":(\S+),"bad":(\d+)\}', done.stdout)
        if not found or int(found[5]):
            raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
        n = int(found[1])
        return {"rate": round(n / float(found[2])), "p50_ms": float(found[3]), "p99_ms": float(found[4]),
                "cpu_us": [1e6 * (cpu_of(p()) - b) / n for p, b in zip(pids, before)]}


def seed(gateway):
    """An organisation, and its goals level by level; the lowest are key results."""
    sql = gateway.fleet.sql
    for table in ("organisation", "person", "goal"):  # the other stages' rows came with their ids
        sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 1) FROM {table}))")
    token = gateway.account("bench@example.org", "Bench")
    org = gateway.organisation(token, "Bench " + secrets.token_hex(3))
    levels = [[sql("INSERT INTO goal (org_id, kind, mode, title, start_on, end_on) VALUES (%s, 'objective', 'roll_up', 'Top', '2026-01-01', "
                   "'2026-12-31') RETURNING id, public_id::text", org.row)[0]]]
    for depth, width in enumerate(LEVELS, 2):
        parents = [row for row, _ in levels[-1]]
        kind, mode = ("key_result", "manual") if depth == len(LEVELS) + 1 else ("objective", "roll_up")
        made = sql("WITH g AS (INSERT INTO goal (org_id, kind, mode, title, start_on, end_on) SELECT %s, %s, %s, 'Goal ' || n, '2026-01-01', "
                   "'2026-12-31' FROM generate_series(1, %s) n RETURNING id, public_id), "
                   "e AS (INSERT INTO goal_edge (parent_id, child_id, org_id) SELECT (%s::bigint[])[1 + (row_number() OVER (ORDER BY id) - 1) %% %s], "
                   "id, %s FROM g) SELECT id, public_id::text FROM g", org.row, kind, mode, len(parents) * width, parents, len(parents), org.row)
        levels.append(made)
    sql("VACUUM ANALYZE")
    return token, levels


def bench(rig, quick, stage):
    seconds = 5 if quick else 15
    gateway = Gateway(rig.fleet, GOALSYNC_GATEWAY_RATE="1000000", GOALSYNC_GATEWAY_BURST="1000000", GOALSYNC_LOG="info,access=warn")
    with gateway:
        token, levels = seed(gateway)
        wrk = Wrk(rig, token)
        leaves = [public for _, public in levels[-1]]
        reads = [f"GET\t/api/v1/goals/{public}" for public in leaves]
        check_ins = [f'POST\t/api/v1/goals/{public}/check-ins\t{{"value":"{i * 37 % 101}"}}' for i, public in enumerate(leaves)]
        length = len(gateway.get(f"/api/v1/goals/{leaves[0]}", token).expect(200).body)
        ours = [lambda: [gateway.process.pid], lambda: rig.backends("gateway")]
        bare = static(rig, wrk, length, seconds)
        for name, requests in (("read a goal", reads), ("check in, rolled up over 5 levels", check_ins)):
            wrk.run(gateway.url, requests, 1, ours)  # plans, caches
            many = wrk.run(gateway.url, requests, seconds, ours)
            alone = wrk.run(gateway.url, requests, seconds, ours, connections=1)
            yield stage(f"gateway, {name}", many["rate"], many["cpu_us"][0], bare["cpu_us"][0], memory_of(gateway.process.pid),
                        backend_us=round(many["cpu_us"][1], 1), p50_ms=many["p50_ms"], p99_ms=many["p99_ms"], alone_p99_ms=alone["p99_ms"],
                        alone_p50_ms=alone["p50_ms"], reference_rate=bare["rate"], reference_p99_ms=bare["p99_ms"])


def static(rig, wrk, length, seconds):
    """The bare reply of as many bytes."""
    process = subprocess.Popen([str(rig.bin / "reference-static"), str(length)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        return wrk.run(f"http://127.0.0.1:{int(process.stdout.readline())}", ["GET\t/"], seconds, [lambda: [process.pid]])
    finally:
        process.stdin.close()
        process.wait(10)
