"""What a metric receives from training: the form of the targets and of the predictions of one output."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

TargetForm: TypeAlias = Literal[
    "labels", "one-hot", "probabilities", "multi-label", "binary", "signs", "numbers"
]
PredictionForm: TypeAlias = Literal["probabilities", "order", "values", "margins"]
"""What a metric reads in the predictions: probabilities; only which unit is largest; numbers to compare with the target; or
distances to a decision boundary."""
LogitsActivation: TypeAlias = Literal["sigmoid", "softmax"]

FORM_TITLES: Final[dict[TargetForm, str]] = {
    "labels": "labels",
    "one-hot": "one-hot targets",
    "probabilities": "a probability for each class",
    "multi-label": "several labels for each example",
    "binary": "targets of 0 and 1",
    "signs": "targets of -1 and 1",
    "numbers": "numbers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInputs:
    """The targets and predictions of one output, as a metric receives them."""

    form: TargetForm
    units: int | None
    """Size of the output's last axis."""
    position_axes: int = 0
    """Number of axes of positions, such as pixels or timesteps, that each have such a value."""
    activation: str | None = None
    """The activation of the last layer; None if it is unknown."""
    logits: LogitsActivation | None = None
    """The function that makes probabilities of the predictions; None if they are not logits."""
    has_one_class: bool = False
    """Whether the units are the classes of one choice, not separate yes-or-no questions."""
    is_converted: bool = False
    """Whether the loss requires the one-hot targets, and the data has class numbers."""
    ignore_class: int | None = None
    """The label that the loss ignores."""
    are_fractions: bool = False
    """Whether the numbers are from 0 to 1, for a loss that takes each of them for a probability."""
    is_weighted: bool = False
    """Whether the metric uses the weights of the examples."""

    @property
    def title(self) -> str:
        """The form of the targets in messages."""
        return FORM_TITLES[self.form] + (", because the loss requires them" if self.is_converted else "")

    @property
    def has_two_classes(self) -> bool:
        """Whether the two units are the classes of one choice."""
        return self.has_one_class and self.units == 2 and self.form in ("labels", "one-hot")

    @property
    def form_as_binary(self) -> TargetForm:
        """The form of the targets if they are converted to 0 and 1 for each unit."""
        if self.units == 1:
            return "binary"
        return "one-hot" if self.form == "one-hot" else "multi-label"


class MetricMismatchError(Exception):
    """A metric that cannot measure what it receives."""

    def __init__(self, message: str, hint: str, argument: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.argument = argument
        """The argument that is wrong; None if the metric is."""
