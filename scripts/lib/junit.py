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


def main(command, paths):
    if command == "count":
        verdicts = [verdict(c) for c in cases(paths)]
        print(*(verdicts.count(v) for v in ("passed", "failed", "skipped")))
    else:
        reasons = {}
        for c in cases(paths):
            if c is not None and verdict(c) == "skipped":
                skipped = c.find("skipped")
                reasons.setdefault((skipped.get("message") if skipped is not None else None) or c.get("name"), c.get("name"))
        for reason in reasons:
            print(reason)


main(sys.argv[1], sys.argv[2:])
