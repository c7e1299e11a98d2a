"""What came of an import, as JSON and for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercli.check import ValidConfig
from layercli.errors import Problem
from layercli.reports.problems import problems_json

if TYPE_CHECKING:
    from layercli.engine.import_check import ModelComparison


class Imported:
    """A config that was written, and what is known of it."""

    def __init__(
        self,
        config: Path,
        weights: Path | None,
        valid: ValidConfig,
        blocks: int,
        proof: ModelComparison,
        problems: list[Problem],
    ) -> None:
        self.config, self.weights, self.valid, self.blocks = config, weights, valid, blocks
        self.proof, self.problems = proof, problems

    def as_json(self) -> dict[str, Any]:
        """What ``import --json`` prints."""
        return {
            "model": self.valid.check_result.name,
            "config": str(self.config),
            "weights": None if self.weights is None else str(self.weights),
            "layers": self.proof.layer_count,
            "blocks": self.blocks,
            "parameters": self.proof.parameter_count,
            "shapes_compared": self.proof.shapes_compared,
            "largest_difference": self.proof.largest_difference,
            **problems_json(self.problems),
        }

    def told(self) -> list[str]:
        """The same for a person, line by line."""
        proof = self.proof
        if proof.largest_difference is None:
            outputs = "outputs not compared"
        else:
            outputs = (
                f"outputs within {proof.largest_difference:.1g}"
                if proof.largest_difference
                else "outputs equal in every bit"
            )
        count = "1 block" if self.blocks == 1 else f"{self.blocks} blocks"
        blocks = f", with {count}" if self.blocks else ""
        lines = [
            f"Wrote {self.config}: {proof.layer_count} layers{blocks}.",
            f"Rebuilt and compared: the same layers and wiring, {proof.parameter_count:,} parameters, {outputs}.",
        ]
        if self.weights is not None:
            lines.append(f"Weights: {self.weights}")
        return lines
