"""``layercli show``: show the resolved config."""

from __future__ import annotations

from typing import Annotated

import typer

from layercli.check import check_config, require_valid
from layercli.commands.options import ConfigArgument, JsonOption, SetOption
from layercli.graph.stages import plan_stages
from layercli.reports.console import make_console, print_json
from layercli.reports.model_shapes import describe_stages
from layercli.reports.problems import print_problems, problems_json
from layercli.reports.show import annotated_yaml, origins_json, print_yaml
from layercli.source.dump import to_yaml


def command(
    config: ConfigArgument,
    explain: Annotated[bool, typer.Option("--explain", help="Show the file and line of each value.")] = False,
    json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Show the resolved config: files merged, blocks expanded, every default included."""
    valid = require_valid(check_config(config, set_ or ()))
    stages = plan_stages(valid.config.train, valid.shapes)
    if json:
        origins = {"origins": origins_json(valid)} if explain else {}
        planned = {"stages": [stage.as_json() for stage in stages]} if stages else {}
        problems = problems_json(valid.check_result.problems)
        print_json({"ok": True, "config": valid.to_resolved_dict(), **planned, **origins, **problems})
        return
    print_problems(make_console(error=True), valid.check_result.problems)
    comments = "".join(f"# {line}\n" for line in describe_stages(stages))
    print_yaml((annotated_yaml(valid) if explain else to_yaml(valid.to_resolved_dict())) + comments)
