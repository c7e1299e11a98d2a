"""An attempt with a batch size that is killed above 16 examples, as by the system when memory is short."""

import json
import os
import signal
import sys
from pathlib import Path

task = json.loads(sys.stdin.readline())
size = int(task["set"][0].removeprefix("train.batch_size="))
if size > 16:
    os.kill(os.getpid(), signal.SIGKILL)
Path(task["result"]).write_text(json.dumps({"fits": size != 16, "peak_bytes": size}))
