"""The result of an import, as JSON and for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig
from layercli.errors import Problem
from layercli.reports.problems import problems_json

if TYPE_CHECKING:
    from layercli.engine.import_check import ModelComparison


class ImportReport:
    """A written config, and its comparison with the original model."""

    def __init__(
        self,
        config: Path,
        weights: Path | None,
        valid: ValidConfig,
        block_count: int,
        comparison: ModelComparison,
        problems: list[Problem],
    ) -> None:
        self.config, self.weights, self.valid, self.block_count = config, weights, valid, block_count
        self.comparison, self.problems = comparison, problems

    def as_json(self) -> dict[str, Any]:
        """Return the document of ``import --json``."""
        return {
            "model": self.valid.check_result.name,
            "config": str(self.config),
            "weights": None if self.weights is None else str(self.weights),
            "layers": self.comparison.layer_count,
            "blocks": self.block_count,
            "parameters": self.comparison.parameter_count,
            "shapes_compared": self.comparison.shapes_compared,
            "largest_difference": self.comparison.largest_difference,
            **problems_json(self.problems),
        }

    def summary_lines(self) -> list[str]:
        """Return the result in sentences."""
        comparison = self.comparison
        if comparison.largest_difference is None:
            outputs = "outputs not compared"
        else:
            outputs = (
                f"outputs within {comparison.largest_difference:.1g}"
                if comparison.largest_difference
                else "outputs equal in every bit"
            )
        count = "1 block" if self.block_count == 1 else f"{self.block_count} blocks"
        blocks = f", with {count}" if self.block_count else ""
        result = (
            f"Rebuilt and compared: the same layers and wiring, {comparison.parameter_count:,} parameters, {outputs}."
            if comparison.is_rebuilt
            else f"Not rebuilt: {comparison.parameter_count:,} parameters."
        )
        lines = [f"Wrote {self.config}: {comparison.layer_count} layers{blocks}.", result]
        if self.weights is not None:
            lines.append(f"Weights: {self.weights}")
        return lines
