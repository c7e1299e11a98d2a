"""``layercli show``: show the resolved config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layercli.check import check_config, require_valid
from layercli.command_line.options import JsonOption, SetOption
from layercli.graph.stages import plan_stages
from layercli.reports.console import make_console, print_json
from layercli.reports.model_shapes import describe_stages
from layercli.reports.problems import ALL_ADVICE, print_problems, problems_json
from layercli.reports.provenance import describe_provenance
from layercli.reports.show import origins_json, print_yaml, render_annotated_yaml
from layercli.runs.listing import is_run
from layercli.runs.manifest import require_manifest
from layercli.runs.open_run import check_recorded_config
from layercli.source.dump import to_yaml


def command(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RUN", help="The config file, or the directory of a run; - reads standard input."
        ),
    ],
    explain: Annotated[bool, typer.Option("--explain", help="Show the file and line of each value.")] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Show the resolved config: files merged, blocks expanded, every default included.

    For a run, it also shows the commit, the machine and the versions of its training.
    """
    path = Path(config)
    provenance = {}
    if path.is_dir() and is_run(path):
        if set_:
            raise typer.BadParameter("cannot be used with the directory of a run.", param_hint="--set")
        provenance = describe_provenance(require_manifest(path))
        valid = check_recorded_config(path)
    else:
        valid = require_valid(check_config(config, set_ or ()))
    stages = plan_stages(valid.config.train, valid.shapes)
    if json:
        origins = {"origins": origins_json(valid)} if explain else {}
        planned = {"stages": [stage.as_json() for stage in stages]} if stages else {}
        origin = {"provenance": provenance} if provenance else {}
        problems = problems_json(valid.check_result.problems)
        print_json(
            {"ok": True, "config": valid.to_resolved_dict(), **planned, **origins, **origin, **problems}
        )
        return
    print_problems(make_console(error=True), valid.check_result.problems, advice=ALL_ADVICE)
    lines = [*describe_stages(stages), *(f"{title}: {value}" for title, value in provenance.items())]
    comments = "".join(f"# {line}\n" for line in lines)
    print_yaml((render_annotated_yaml(valid) if explain else to_yaml(valid.to_resolved_dict())) + comments)
