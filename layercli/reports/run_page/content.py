"""What is known of a run, from its files and from its model and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layercli.errors import Problem
from layercli.runs.listing import Run

if TYPE_CHECKING:
    from layercli.check import ValidConfig
    from layercli.data.evaluation.calibration import CalibrationRow
    from layercli.data.evaluation.curves import ScoreCurves, ThresholdRow
    from layercli.data.example_cards import ExampleCard
    from layercli.data.summary import FeatureSummary
    from layercli.engine.importance import Importance
    from layercli.graph.output_kind import OutputKind


@dataclass(slots=True)
class OutputContent:
    """The results of one output of the model."""

    title: str | None
    """Its name; None for the only one."""
    kind: OutputKind
    document: Mapping[str, Any]
    """Its part of ``evaluate --json``."""
    curves: ScoreCurves | None = None
    thresholds: Sequence[ThresholdRow] = ()
    class_curves: Sequence[tuple[str, ScoreCurves]] = ()
    """Class name and the curves of its probability."""
    calibration: Sequence[CalibrationRow] = ()
    calibration_error: float | None = None
    pairs: Sequence[tuple[float, float]] = ()
    """Predicted and true numbers of a random sample."""
    wrong: Sequence[ExampleCard] = ()
    uncertain: Sequence[ExampleCard] = ()
    importance: Importance | None = None
    position_interval: tuple[float, float] | None = None
    """For an output with a class for each position: the confidence interval of the share of correct positions."""
    has_positions: bool = False
    """Whether it has a class for each position, such as a pixel."""
    class_keys: Sequence[tuple[str, str]] = ()
    """The color of each class in the pictures of masks: names and CSS colors."""


@dataclass(slots=True)
class EvaluationContent:
    """The results over one set of the data."""

    split: str
    examples: int
    metrics: Mapping[str, Any]
    outputs: Sequence[OutputContent]
    notes: list[str] = field(default_factory=list)
    """Why something is not shown."""


@dataclass(slots=True)
class DataContent:
    """The summary of the data."""

    features: Sequence[FeatureSummary]
    targets: Sequence[FeatureSummary]
    counts: tuple[int, int, int]
    """Training, validation and test examples."""
    class_counts: Mapping[str | None, Sequence[tuple[str, tuple[int, int, int]]]]
    sentences: Sequence[str]
    """What the targets mean."""


@dataclass(slots=True)
class RunContent:
    """Everything that the page shows of a run."""

    run: Run
    history: Sequence[Mapping[str, Any]] = ()
    """A record for each epoch."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """The content of summary.json; empty if it cannot be read."""
    manifest: Mapping[str, Any] | None = None
    config_text: str | None = None
    diagnostics: Sequence[Mapping[str, Any]] = ()
    valid: ValidConfig | None = None
    evaluation: EvaluationContent | None = None
    data: DataContent | None = None
    commands: Sequence[str] = ()
    """Commands that use the model."""
    problems: list[Problem] = field(default_factory=list)
    """Why parts are missing."""
    notes: list[str] = field(default_factory=list)
    """How the training ended."""

    @property
    def title(self) -> str:
        """The directory of the run."""
        return self.run.path.as_posix()
