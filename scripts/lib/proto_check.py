"""Refuses a change of a message that an older version could not read.

proto/released.txt holds every field and enum value that was ever released, a line each. A line may never go or change:
a field that is not used any more is `reserved` in its message, by number and name. New fields are added to the file by
`scripts/lib/proto_check.py --accept`, which only adds.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "proto" / "released.txt"
TYPES = descriptor_pb2.FieldDescriptorProto


def described():
    files = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "proto").rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "--proto_path=.", f"--descriptor_set_out={out.name}", *files], check=True, cwd=ROOT)
        return descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())


def messages(scope, found):
    for message in found:
        name = f"{scope}.{message.name}"
        yield name, message
        yield from messages(name, message.nested_type)


def enums(file):
    yield from ((f"{file.package}.{e.name}", e) for e in file.enum_type)
    for name, message in messages(file.package, file.message_type):
        yield from ((f"{name}.{e.name}", e) for e in message.enum_type)


def now():
    """What stands in the files: {(owner, number): description}, and the reserved {(owner, number)}."""
    present, reserved = {}, set()
    for file in described().file:
        for name, message in messages(file.package, file.message_type):
            for f in message.field:
                kind = TYPES.Type.Name(f.type)[5:].lower() + (f.type_name and " " + f.type_name)
                repeated = "repeated " if f.label == TYPES.LABEL_REPEATED else ""
                present[name, f.number] = f"{repeated}{kind} {f.name}"
            for r in message.reserved_range:
                reserved.update((name, n) for n in range(r.start, min(r.end, r.start + 10000)))
        for name, enum in enums(file):
            for v in enum.value:
                present[name, v.number] = f"value {v.name}"
            for r in enum.reserved_range:
                reserved.update((name, n) for n in range(r.start, min(r.end, r.start + 10000) + 1))
    return present, reserved


def released():
    if not RELEASED.exists():
        return {}
    lines = (line.split(" ", 2) for line in RELEASED.read_text().splitlines() if line and not line.startswith("#"))
    return {(owner, int(number)): what for owner, number, what in lines}


def main():
    present, reserved = now()
    old = released()
    wrong = [f"{owner} {number}: was `{what}`, is `{present.get((owner, number), 'gone')}`"
             for (owner, number), what in old.items()
             if present.get((owner, number)) != what and not ((owner, number) in reserved and (owner, number) not in present)]
    if wrong:
        print("a released version could not read this any more:", *wrong,
              "add a field with a new number instead; reserve the number of one that is gone", sep="\n  ")
        return 1
    new = {k: v for k, v in present.items() if k not in old}
    if new and "--accept" not in sys.argv:
        print("new and not yet in proto/released.txt (run scripts/lib/proto_check.py --accept):",
              *(f"{o} {n} {w}" for (o, n), w in new.items()), sep="\n  ")
        return 1
    if new:
        head = "# Every field and enum value that was ever released: message number type name. Lines are only added.\n"
        merged = {**old, **new}
        RELEASED.write_text(head + "".join(f"{o} {n} {w}\n" for (o, n), w in sorted(merged.items())))
    return 0


sys.exit(main())
