"""A training from its beginning: a config in, a run directory out."""

from __future__ import annotations

import time
from typing import Any

from layercli.check import Valid
from layercli.distribution.run_paths import tell_run
from layercli.reports.progress import Silent
from layercli.runs import directory as runs
from layercli.runs import manifest as manifests
from layercli.runs.lock import locked
from layercli.workflows.prepare import prepare, require_trainable
from layercli.workflows.run_writer import disk_watched
from layercli.workflows.training_run import Going


def train(
    valid: Valid,
    *,
    run_dir: str | None = None,
    trust: bool = False,
    progress: Silent | None = None,
    interruptible: bool = False,
) -> dict[str, Any]:
    """Train a config and leave a run directory; the summary that is returned stands in it, too.

    With ``interruptible``, Ctrl-C and SIGTERM end it between two steps, with a checkpoint.

    Raises:
        LayercliError: nothing to train on, code that is not trusted, a machine too small, an infinite loss.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    require_trainable(valid, trust=trust)
    run = runs.create(valid.checked.name, run_dir)
    tell_run(run)
    with locked(run):
        progress.say(f"Run {run}: loading TensorFlow and the data.")
        from layercli.data.reader_state import Learned

        try:
            with disk_watched(run, valid, begun=False):
                material = prepare(valid, progress, begins=True, trust=trust)
                runs.write_config(run, valid)
                runs.write_json(run / runs.LEARNED, Learned.of(material.parts).to_json())
                from layercli.engine.training.execution_plan import plan

                execution = plan(valid, material.parts.train)
                manifest = manifests.begun(
                    valid,
                    counts=material.counts,
                    fingerprint=material.parts.fingerprint(),
                    execution=execution.as_json(),
                )
                if material.transfer is not None:
                    manifest["weights"] = material.transfer.as_json()
                manifests.write_manifest(run, manifest)
        except BaseException:
            runs.discard(run)  # so that the same command works once the mistake is mended
            raise
        runs.point_latest(run)
        going = Going(run, material, execution, manifest, began)
        return going.carry_out(progress, interruptible=interruptible)
