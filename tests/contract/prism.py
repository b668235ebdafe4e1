"""Prism (npm @stoplight/prism-cli) serves a vendor's own description and judges every request made to it.

It does not check that query keys are declared; undeclared_keys() does.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

VERSION = "5.14.2"
START_SECONDS = 60
INSTALL_SECONDS = 300


class Absent(Exception):
    """Prism cannot be had here; the text says why in one line."""


def install():
    """Installs Prism once into the cache of the tests; returns its program."""
    cache = Path(os.environ.get("GOALSYNC_TEST_CACHE", Path.home() / ".cache" / "goalsync-test")) / f"prism-{VERSION}"
    program = cache / "node_modules" / ".bin" / "prism"
    if not program.exists():
        npm = shutil.which("npm")
        if not npm:
            raise Absent("npm is not installed, so the vendor's description cannot be served")
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(cache), "--no-audit", "--no-fund", f"@stoplight/prism-cli@{VERSION}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            raise Absent("npm did not install Prism in time") from None
        if done.returncode or not program.exists():
            lines = (done.stderr.strip() or "no reason given").splitlines()
            raise Absent(f"npm could not install Prism: {lines[-1]}")
    return program


class Prism:
    """A running Prism:  with Prism(program, description, folder) as p: p.send("GET", "/path?x=1", {})"""

    def __init__(self, program, description, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log_path = Path(folder) / "prism.log"
        self.command = [str(program), "mock", "-h", "127.0.0.1", "-p", str(self.port), str(description)]

    def __enter__(self):
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while "Prism is listening" not in self.log():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise AssertionError(f"Prism did not start:\n{self.log()[-2000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def violations(self):
        return [line for line in self.log().splitlines() if "Violation" in line]

    def send(self, method, path, headers, body=None):
        """Returns the status; what Prism thinks of the request is in violations()."""
        data = body.encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


class Description:
    """What an OpenAPI document declares (JSON or YAML; references into its own file and into those beside it)."""

    def __init__(self, path):
        self.path, self.files = Path(path), {}
        self.document = self.file(self.path)

    def file(self, path):
        if path not in self.files:
            text = path.read_text(encoding="utf-8")
            self.files[path] = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        return self.files[path]

    def operation(self, method, path):
        """(the path's item, the operation); of several templates that fit, the one with the fewest places to fill."""
        templates = sorted(self.document["paths"], key=lambda t: t.count("{"))
        for template in templates:
            item = self.document["paths"][template]
            pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", template))
            if re.fullmatch(pattern, path) and method.lower() in item:
                return item, item[method.lower()]
        return None, None

    def undeclared_keys(self, method, path_and_query):
        """Query keys that the operation does not declare; None when there is no such operation."""
        path, _, query = path_and_query.partition("?")
        item, operation = self.operation(method, path)
        if operation is None:
            return None
        parameters = [self.resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
        declared = {p["name"] for p in parameters if p["in"] == "query"}
        return {key for key, _ in urllib.parse.parse_qsl(query, keep_blank_values=True)} - declared

    def resolve(self, parameter):
        if "$ref" not in parameter:
            return parameter
        name, _, place = parameter["$ref"].partition("#/")
        node = self.file(self.path.parent / name) if name else self.document
        for part in place.split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return self.resolve(node)
