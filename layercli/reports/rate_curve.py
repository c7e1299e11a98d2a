"""Show the losses of a learning-rate range test in a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from layercli.reports.chart import draw_chart
from layercli.reports.formatting import format_number

if TYPE_CHECKING:
    from rich.console import Console

    from layercli.graph.rate_proposal import RateCurve

_WIDTH: Final = 60
_HEIGHT: Final = 10
_LABEL_WIDTH: Final = 10
_SHOWN_RISE: Final = 0.5
"""How far above the first loss the chart goes, as a part of the fall."""


def print_rate_curve(console: Console, curve: RateCurve) -> None:
    """Print the smoothed loss over the rate, whose axis is logarithmic, without the rise at its end."""
    count = count_shown_steps(curve)
    points = [(math.log(rate), loss) for rate, loss in zip(curve.rates, curve.smoothed, strict=True)][:count]
    width = max(10, min(_WIDTH, console.width - _LABEL_WIDTH - 2))
    chart = draw_chart([points], width=width, height=_HEIGHT)
    if chart is None:
        return
    labels = {0: format_number(chart.high), _HEIGHT - 1: format_number(chart.low)}
    for number, row in enumerate(chart.rows):
        line = "".join(character for character, _ in row).rstrip()
        console.print(f"{labels.get(number, ''):>{_LABEL_WIDTH}} {line}".rstrip(), soft_wrap=True)
    first, last = f"{curve.rates[0]:.2g}", f"{curve.rates[count - 1]:.2g}"
    console.print(f"{'rate':>{_LABEL_WIDTH}} {first}{last:>{width - len(first)}}", soft_wrap=True)


def count_shown_steps(curve: RateCurve) -> int:
    """Return the number of steps before the loss rises so far that its fall would not be seen."""
    finite = [loss for loss in curve.smoothed if math.isfinite(loss)]
    if not finite:
        return len(curve.smoothed)
    limit = finite[0] + _SHOWN_RISE * (finite[0] - min(finite))
    low_steps = [step for step, loss in enumerate(curve.smoothed, start=1) if loss <= limit]
    return max(low_steps, default=len(curve.smoothed))
