"""Adds up JUnit files: `count FILE...` prints passed, failed, skipped; `skipped FILE...` prints each reason once.

A file that is missing or broken counts as one failure: its runner died.
"""
import sys
import xml.etree.ElementTree as ElementTree


def cases(paths):
    for path in paths:
        try:
            yield from ElementTree.parse(path).iter("testcase")
        except (OSError, ElementTree.ParseError):
            yield None


def verdict(case):
    if case is None or case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def reason(case):
    """Of ctest's tests the message only has their status: their last line says why."""
    skipped, said = case.find("skipped"), (case.findtext("system-out") or "").strip()
    message = skipped.get("message") if skipped is not None else None
    if said and (message or "").startswith("SKIP_RETURN_CODE"):
        return said.splitlines()[-1].removeprefix("skipped: ")
    return message or case.get("name")


def main(command, paths):
    if command == "count":
        verdicts = [verdict(c) for c in cases(paths)]
        print(*(verdicts.count(v) for v in ("passed", "failed", "skipped")))
    else:
        for why in dict.fromkeys(reason(c) for c in cases(paths) if c is not None and verdict(c) == "skipped"):
            print(why)


main(sys.argv[1], sys.argv[2:])
