"""Sizes that keep the code readable: prints every function or file beyond the limit; exit status 1 if there is one."""
import json
import subprocess
import sys

FUNCTION_LINES = 100
FILE_LINES = {".c": 800, ".h": 260}


def tracked(*patterns):
    return subprocess.run(["git", "ls-files", *patterns], check=True, capture_output=True, text=True).stdout.split()


def long_functions(paths):
    tags = subprocess.run(["ctags", "--output-format=json", "--fields=+ne", "--c-kinds=f", "-f", "-", *paths], check=True,
                          capture_output=True, text=True).stdout
    for line in tags.splitlines():
        tag = json.loads(line)
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        if length > FUNCTION_LINES:
            yield f'{tag["path"]}:{tag["line"]}: {tag["name"]} has {length} lines; the limit is {FUNCTION_LINES}'


def long_files(paths):
    for path in paths:
        limit = FILE_LINES.get(path[path.rfind("."):])
        with open(path, encoding="utf-8") as f:
            lines = sum(1 for _ in f)
        if limit and lines > limit:
            yield f"{path}: {lines} lines; the limit is {limit}"


found = [*long_functions(tracked("*.c")), *long_files(tracked("*.c", "*.h"))]
print("\n".join(found), end="\n" if found else "")
sys.exit(bool(found))
