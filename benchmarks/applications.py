"""Import every architecture of keras.applications, and compare graph, shapes, parameters and outputs.

python benchmarks/applications.py [NAME ...]    writes one line for each; exit code 1 if any differs
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIST = """
import keras
print(*sorted(n for n in dir(keras.applications) if n[0].isupper() and callable(getattr(keras.applications, n))))
"""
DESCRIBE = """
import sys, keras
with keras.StatelessScope(initialize_variables=False):
    model = getattr(keras.applications, sys.argv[1])(weights=None)
open(sys.argv[2], "w").write(model.to_json())
"""


def python(code: str, *args: str) -> str:
    """Return what a new process prints."""
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    ).stdout


def main() -> int:
    names = sys.argv[1:] or python(LIST).split()
    failed = []
    print(
        f"{'architecture':<20}{'layers':>7}{'lines':>7}{'parameters':>14}{'shapes':>8}{'difference':>12}{'seconds':>9}"
    )
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            model, config = Path(folder, f"{name}.json"), Path(folder, f"{name}.yaml")
            python(DESCRIBE, name, str(model))
            start = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "layercli",
                "import",
                str(model),
                "--output",
                str(config),
                "--json",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - start
            found = (
                json.loads(done.stdout)
                if done.stdout
                else {"ok": False, "problems": [{"message": done.stderr[-300:]}]}
            )
            if not found["ok"]:
                failed.append(name)
                print(f"{name:<20} {found['problems'][0]['message']}", flush=True)
                continue
            lines = len(config.read_text().splitlines())
            print(
                f"{name:<20}{found['layers']:>7,}{lines:>7,}{found['parameters']:>14,}{found['shapes_compared']:>8,}"
                f"{found['largest_difference']:>12.1e}{seconds:>9.1f}",
                flush=True,
            )
    print(f"{len(names) - len(failed)} of {len(names)} are equal")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
