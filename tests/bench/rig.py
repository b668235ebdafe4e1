"""The benchmarks' machinery: private servers, a vendor, the fleet's own programs, and clocks that the kernel keeps."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402

HERE = Path(__file__).resolve().parent
ACCOUNTS = 20
EVERY_S = 0.05  # between two looks at a counter

NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log warn; worker_rlimit_nofile 20000;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on; keepalive_requests 100000000; default_type application/json;
  client_body_temp_path {dir}/nginx-body; proxy_temp_path {dir}/nginx-proxy; fastcgi_temp_path {dir}/nginx-fastcgi;
  uwsgi_temp_path {dir}/nginx-uwsgi; scgi_temp_path {dir}/nginx-scgi;
  ssl_certificate {tls}/server.crt; ssl_certificate_key {tls}/server.key; ssl_protocols TLSv1.3;
  server {{ listen 127.0.0.1:{warm} ssl backlog=4096; keepalive_timeout 300s; location / {{ return 200 '{body}'; }} }}
  server {{ listen 127.0.0.1:{cold} ssl backlog=4096; keepalive_timeout 0; ssl_session_tickets off; location / {{ return 200 '{body}'; }} }}
  server {{ listen 127.0.0.1:{pooled} ssl backlog=4096; keepalive_timeout 300s; location / {{ proxy_pass http://127.0.0.1:{slow}; }} }}
}}
"""


def cpu_of(pids):
    """Seconds of CPU time of processes and all their threads, in nanosecond steps."""
    total = 0
    for pid in pids:
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(stat.read_text().split()[0])
            except OSError:
                pass
    return total / 1e9


def memory_of(pid, field="VmHWM"):
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Rig:
    def __init__(self, build, links):
        self.fleet = Fleet(services=[], period="1h", build=build)
        self.bin = Path(build) / "bin"
        self.links = links
        self.programs = {}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        f = self.fleet
        f.shell("postgres_start; redis_start; kafka_install && kafka_start && make_keys && migrate")
        self.ports = {name: int(f.shell("free_port")) for name in ("warm", "cold", "pooled", "slow")}
        self.ca = f.dir / "tls" / "ca.crt"
        text = "x" * 1400
        body = f'{{"data":{{"kind":"metric","value":4711.25,"text":"{text}"}},"meta":{{"version":"1.0","more":[1,2,3]}}}}'
        (f.dir / "nginx.conf").write_text(NGINX.format(dir=f.dir, tls=f.dir / "tls", body=body, **self.ports))
        self.spawn("nginx", ["/usr/sbin/nginx", "-c", str(f.dir / "nginx.conf"), "-p", str(f.dir), "-e", str(f.dir / "nginx.log")])
        self.operator("topics", "create", "--partitions", "4")

    def __exit__(self, *_):
        for name in list(self.programs):
            self.stop(name)
        self.fleet.close()

    # ---- processes

    def settings(self, service, **more):
        lines = self.fleet.shell(f"settings_of {service} | tr '\\0' '\\n'").splitlines()
        environ = {k: v for k, v in os.environ.items() if not k.startswith("GOALSYNC_")}
        environ.update(line.split("=", 1) for line in lines)
        environ.update(GOALSYNC_LOG="warn", GOALSYNC_CA_FILE=str(self.ca), GOALSYNC_FETCH_ALLOW_PRIVATE="yes",
                       GOALSYNC_FETCH_ALLOW_PLAIN="yes", **more)
        return environ

    def operator(self, *args, stdin=""):
        done = subprocess.run([str(self.bin / "goalsync-bench"), *map(str, args)], env=self.settings("operator", GOALSYNC_READY_FILE=""),
                              input=stdin, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"goalsync {args}: {done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, name, args, env=None):
        log = open(self.fleet.dir / f"{name}.log", "ab")
        self.programs[name] = subprocess.Popen(args, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self.programs[name]

    def service(self, service, program=None, **more):
        """Starts one service and waits until it is ready; returns its process and the seconds that took."""
        ready = self.fleet.dir / "ready" / service
        ready.unlink(missing_ok=True)
        began = time.monotonic()
        process = self.spawn(service, [str(self.bin / (program or f"goalsync-{service}"))], env=self.settings(service, **more))
        wait_for(service, lambda: ready.exists() or process.poll() is not None, 60, 0.005)
        if process.poll() is not None:
            raise RuntimeError(f"{service}: {(self.fleet.dir / f'{service}.log').read_text()[-2000:]}")
        return process, time.monotonic() - began

    def stop(self, name):
        process = self.programs.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run(self, program, *args):
        """A program of the benchmarks that prints one line of JSON."""
        done = subprocess.run([str(self.bin / program), *map(str, args)], capture_output=True, text=True, env=self.settings("operator"))
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout else None

    def metric(self, service, pattern):
        """Sum of the series that match."""
        address = (self.fleet.dir / "ready" / service).read_text().strip()
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(pattern, line))

    def drain(self, service, group, program=None):
        """Lets a service finish what earlier stages left in its topics, so that a stage measures its own messages only."""
        def lag():
            done = subprocess.run([str(self.bin / "goalsync-bench"), "status", "--json"], env=self.settings("operator", GOALSYNC_READY_FILE=""),
                                  capture_output=True, text=True)
            lanes = [lane for lane in json.loads(done.stdout)["lag"] if lane["group"] == group] if done.stdout else []
            return sum(lane["lag"] for lane in lanes) if lanes else None  # Kafka has just been started
        self.service(service, program)
        wait_for(f"{service} has caught up", lambda: lag() == 0, 120, 0.5)
        self.stop(service)

    # ---- the database

    def owner(self):
        return self.fleet.url()

    def seed(self, base_url):
        """One organisation, ACCOUNTS connections to base_url, a key result and a link for each item."""
        self.operator("org", "create", "--name", "Bench")
        self.operator("person", "add", "--org", 1, "--name", "Bench", "--email", "bench@example.org", "--role", "owner")
        self.operator("integration", "enable", "bench_items", "--org", 1, "--by", "bench@example.org", "--accept-terms")
        for i in range(ACCOUNTS):
            self.operator("connection", "create", "--org", 1, "--connector", "bench_items", "--name", f"Account {i}", "--owner",
                          "bench@example.org", "--set", f"base_url={base_url}", "--secret-stdin", stdin=f'{{"token":"token-{i}"}}')
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", f"n={self.links}", "-v", f"accounts={ACCOUNTS}",
                        "-f", str(HERE / "participant" / "seed.sql"), self.owner()], check=True, stdout=subprocess.DEVNULL)

    def point_at(self, base_url):
        """All connections to another vendor."""
        self.fleet.sql("UPDATE connection SET settings = jsonb_build_object('base_url', %s::text), version = version + 1", base_url)

    def settle(self):
        self.fleet.sql("VACUUM ANALYZE")
        self.fleet.sql("CHECKPOINT")

    def backends(self, name):
        """Processes of PostgreSQL that serve this service."""
        return [pid for pid, in self.fleet.sql("SELECT pid FROM pg_stat_activity WHERE application_name = %s", f"goalsync-{name}")]

    def all_of(self, name):
        pid = self.fleet.pid(name)
        return [pid, *map(int, subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split())]


class Watch:
    """CPU time per item between a warm-up and the end of a run."""

    def __init__(self, count, groups):
        self.count, self.groups = count, groups  # () -> items done; {name: () -> pids}

    def look(self):
        return self.count(), time.monotonic(), {name: cpu_of(pids()) for name, pids in self.groups.items()}

    def run(self, warm, total, settled=lambda: True, seconds=300):
        """settled: what still belongs to the last item, besides, has ended."""
        wait_for("warm-up", lambda: self.count() >= warm, seconds, EVERY_S)
        n0, t0, cpu0 = self.look()
        wait_for("all items", lambda: self.count() >= total, seconds, EVERY_S)
        t1 = time.monotonic()
        wait_for("the end of the last item", settled, seconds, EVERY_S)
        n1, _, cpu1 = self.look()
        n = n1 - n0
        return {"n": int(n), "rate": round(n / (t1 - t0)), "cpu_us": {k: round(1e6 * (cpu1[k] - cpu0[k]) / n, 2) for k in cpu1}}
