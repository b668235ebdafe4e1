"""The project's messages for Python, generated from proto/ at import, never committed."""
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_out = tempfile.mkdtemp(prefix="goalsync-proto-")
subprocess.run(["protoc", f"--proto_path={ROOT}", f"--python_out={_out}",
                *(str(p) for p in sorted((ROOT / "proto").rglob("*.proto")))], check=True)
sys.path.insert(0, _out)
fetch = importlib.import_module("proto.goalsync.v1.fetch_pb2")
goal = importlib.import_module("proto.goalsync.v1.goal_pb2")
outbox = importlib.import_module("proto.goalsync.v1.outbox_pb2")
