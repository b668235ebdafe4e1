"""scripts/new-connector in a copy of the tree: what it writes builds and passes, and so does the worked example of CONNECTORS.md."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "services/fetch/CONNECTORS.md"
BUILD_SECONDS = 900


class Tree:
    """A copy of what git knows, with a build folder of its own."""

    def __init__(self, folder):
        self.root, self.build = folder / "source", folder / "build"
        names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)

    def new(self, *args):
        return subprocess.run([self.root / "scripts/new-connector", *args], capture_output=True, text=True)

    def made(self, *args):
        done = self.new(*args)
        assert done.returncode == 0, done.stderr
        return self.root / "services/fetch/connectors" / args[-2] / args[-1]

    def make(self):
        subprocess.run(["cmake", "-S", self.root, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug"], check=True, capture_output=True)
        done = subprocess.run(["ninja", "-C", self.build, "goalsync-cases", "goalsync-fetch-once"], capture_output=True, text=True, timeout=BUILD_SECONDS)
        assert done.returncode == 0, done.stdout[-4000:]

    def passes(self, folder):
        done = subprocess.run([self.build / "bin/goalsync-cases", folder.name, folder / "cases"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        report = self.build / "report.json"
        done = subprocess.run([self.root / "tests/conformance/run", "--build", self.build, "--json", report, folder.name],
                              capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != "GOALSYNC_BUILD_DIR"})
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return [c["result"] for c in json.loads(report.read_text())["connectors"][0]["cases"]]


def example():
    """The files of the guide's example: fenced blocks whose first line names one."""
    return dict(re.findall(r"^```\w+ (\S+\.\w+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("args,says", [
    (["third-party", "Jira"], "identifier"), (["--wire", "third-party", "x"], "option"), (["third", "x"], "in-boundary"), (["third-party"], "CATEGORY"),
    (["third-party", "github"], "already"), (["third-party", "../x"], "identifier"), (["--label", "a/b", "third-party", "x"], "label"),
])
def test_what_it_cannot_make_is_said(tree, args, says):
    done = tree.new(*args)
    assert done.returncode == 1 and says in done.stderr


def test_new_connectors_build_and_pass_and_so_does_the_guides_example(tree):
    http = tree.made("--label", "Acme Lists", "in-boundary", "acme-lists")
    sql = tree.made("--sql", "cross-boundary", "acme-sql")
    npm = tree.made("third-party", "npm-downloads")
    assert '"npm-downloads"' in (tree.root / "tests/contract/vendors.py").read_text()
    files = example()
    assert set(files) == {"npm-downloads.c", *(f"cases/{n}.case" for n in ("week", "day", "unknown", "other-package", "limit", "path"))}
    shutil.rmtree(npm / "cases")
    (npm / "cases").mkdir()
    for name, text in files.items():
        (npm / name).write_text(text, encoding="utf-8")
    subprocess.run(["clang-format", "--dry-run", "--Werror", http / "acme-lists.c", sql / "acme-sql.c", npm / "npm-downloads.c"], check=True)
    tree.make()
    for folder, wanted in ((http, 45), (sql, 25), (npm, 45)):
        results = tree.passes(folder)
        assert results.count("ok") >= wanted, (folder.name, results)
