"""Run many chains of commands and print those with defects, with the commands that repeat them.

python -m tests.chains.run_chains --seed 0 --count 1000
python -m tests.chains.run_chains --seed 17 --count 1 --keep /tmp/chain    # repeat one, and keep its folder
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

CHAINS_PER_PROCESS = 250
"""TensorFlow keeps memory of every model, so that a process ends after so many chains."""


def run_here(first: int, count: int, keep: Path | None) -> int:
    """Run chains in this process and return how many have defects."""
    from tests.chains.chains import EXIT_CODES, run_chain
    from tests.warm_processes import start_processes_warm

    _show_bug_reports()
    failed = 0
    with tempfile.TemporaryDirectory() as place, start_processes_warm():
        os.environ["CHAIN_RUNS"] = str(Path(place, "stages"))
        os.environ["XDG_CACHE_HOME"] = str(Path(place, "cache"))
        for seed in range(first, first + count):
            folder = keep or Path(place, str(seed))
            folder.mkdir(parents=True, exist_ok=True)
            try:
                chain = run_chain(seed, folder)
            except Exception:
                print(f"== seed {seed}: the harness failed\n{traceback.format_exc()}", flush=True)
                failed += 1
                continue
            if keep is not None:
                print("\n".join(chain.lines))
            if chain.defects:
                failed += 1
                lines = [
                    f"== seed {seed}",
                    *chain.lines,
                    *(f"   DEFECT {defect}" for defect in chain.defects),
                ]
                print("\n".join(lines), flush=True)
            if keep is None:
                subprocess.run(["rm", "-rf", str(folder)], check=False)
    counts = ", ".join(
        f"{name} {code}: {number}" for (name, code), number in sorted(EXIT_CODES.items(), key=str)
    )
    print(f"exit codes: {counts}", flush=True)
    return failed


def _show_bug_reports() -> None:
    """Print the traceback of an internal error in place of writing it to a file."""
    from layercli.io import bug_report

    def show(error: BaseException) -> str:
        print("".join(traceback.format_exception(error)[-12:]), file=sys.__stdout__, flush=True)
        return "the report"

    bug_report.write_bug_report = show


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=int(os.environ.get("LAYERCLI_CHAINS", "100")))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--here", action="store_true", help="run all chains in this process")
    options = parser.parse_args()
    if options.here or options.count <= 1:
        return min(run_here(options.seed, options.count, options.keep), 100)
    failed = 0
    for first in range(options.seed, options.seed + options.count, CHAINS_PER_PROCESS):
        count = min(CHAINS_PER_PROCESS, options.seed + options.count - first)
        command = [
            sys.executable,
            "-m",
            "tests.chains.run_chains",
            "--here",
            f"--seed={first}",
            f"--count={count}",
        ]
        with contextlib.suppress(KeyboardInterrupt):
            code = subprocess.run(command, check=False).returncode
            failed += abs(code)
            print(f"-- chains {first} to {first + count - 1} ran, exit code {code}", flush=True)
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
