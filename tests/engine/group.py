"""One process of a group, for tests: trains several configs one after the other, each into a directory of its own."""

import json
import sys
from pathlib import Path

from layercli import process


def main() -> None:
    task = json.loads(sys.argv[1])
    process.is_ours = True
    process.cluster = process.Cluster(task["rank"], task["size"]) if task["size"] > 1 else None
    from layercli.check import check, require
    from layercli.commands.training import train

    for config in task["configs"]:
        valid = require(check(config))
        train(valid, run_dir=str(Path(task["place"]) / str(task["rank"]) / Path(config).stem))


if __name__ == "__main__":
    main()
