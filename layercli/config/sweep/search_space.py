"""What a sweep draws for one place of its base config: a whole number, a number, or one of several values."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, PlainValidator

from layercli.schema.field_types import MAX_INT32
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, format_value, value_error
from layercli.schema.suggestions import find_closest
from layercli.source.nodes import quote_value, sanitize_text

_PARAMETER_EXAMPLE = (
    "For example `{int: [16, 256], log: true}`, `{float: [1e-4, 1e-1]}` or `{choice: [relu, tanh]}`."
)
_MAX_LABEL_LENGTH = 80


def _parse_bounds(value: Any, types: tuple[type, ...], noun: str) -> list[Any]:
    example = "[16, 256]" if int is types[0] else "[1e-4, 1e-1]"
    is_pair = isinstance(value, list) and len(value) == 2
    if not is_pair or any(isinstance(end, bool) or not isinstance(end, types) for end in value):
        message = f"{quote_value(value)} is no range of {noun}; it must be a list of its two ends."
        raise value_error("wrong-type", message, f"For example `{example}`.")
    if any(not -1e300 < end < 1e300 for end in value) or (
        int is types[0] and any(abs(end) > MAX_INT32 for end in value)
    ):
        raise value_error(
            "out-of-range", f"The range {quote_value(value)} is too wide.", f"For example `{example}`."
        )
    return list(value)


_IntBounds: TypeAlias = Annotated[
    list[int],
    PlainValidator(lambda value: _parse_bounds(value, (int,), "whole numbers")),
    ExpectedText("the two ends of a range"),
]
_FloatBounds: TypeAlias = Annotated[
    list[float],
    PlainValidator(lambda value: _parse_bounds(value, (float, int), "numbers")),
    ExpectedText("the two ends of a range"),
]
_IntStep: TypeAlias = Annotated[int, Field(gt=0, le=MAX_INT32, description="What lies between values.")]
_FloatStep: TypeAlias = Annotated[float, Field(gt=0, description="What lies between values.")]
_LogScale: TypeAlias = Annotated[
    bool, Field(description="Whether small values are drawn as often as large ones.")
]


def _check_range(argument: str, bounds: list[Any], step: float | None, *, log: bool) -> None:
    low, high = bounds
    if low > high:
        raise ArgumentError(
            argument, f"The range begins at {low} and ends at {high}.", f"Write [{high}, {low}]."
        )
    if log and low <= 0:
        raise ArgumentError(argument, f"A logarithmic range begins above 0; this one begins at {low}.")
    if log and step is not None:
        raise ArgumentError("step", "A logarithmic range has no step.", "Leave out `step` or `log`.")


class IntRange(StrictModel):
    """A whole number, both ends included."""

    int: Annotated[_IntBounds, Field(description="The least and the largest.", examples=[[16, 256]])]
    log: _LogScale = False
    step: _IntStep | None = None

    @classmethod
    def title(cls) -> str:
        return "A range of whole numbers"

    def check(self) -> None:
        _check_range("int", self.int, self.step, log=self.log)

    @property
    def probe_values(self) -> list[Any]:
        """Values that stand for all: the ends."""
        return list(dict.fromkeys(self.int))

    @property
    def grid_values(self) -> list[Any] | None:
        """All values, where they can be counted."""
        low, high = self.int
        return None if self.log else [*range(low, high + 1, self.step or 1)]

    def suggest_value(self, trial: Any, name: str) -> Any:
        """Draw a value."""
        return trial.suggest_int(name, *self.int, step=self.step or 1, log=self.log)


class FloatRange(StrictModel):
    """A number, both ends included."""

    float: Annotated[_FloatBounds, Field(description="The least and the largest.", examples=[[1e-4, 1e-1]])]
    log: _LogScale = False
    step: _FloatStep | None = None

    @classmethod
    def title(cls) -> str:
        return "A range of numbers"

    def check(self) -> None:
        _check_range("float", self.float, self.step, log=self.log)

    @property
    def probe_values(self) -> list[Any]:
        """Values that stand for all: the ends."""
        return [end * 1.0 for end in dict.fromkeys(self.float)]

    @property
    def grid_values(self) -> list[Any] | None:
        """All values, where they can be counted."""
        if self.step is None:
            return None
        low, high = self.float
        return [low + self.step * index for index in range(round((high - low) / self.step - 0.499999) + 1)]

    def suggest_value(self, trial: Any, name: str) -> Any:
        """Draw a value."""
        return trial.suggest_float(name, *self.float, step=self.step, log=self.log)


class Choice(StrictModel):
    """One of several values, which may be whole blocks."""

    choice: Annotated[
        list[Any],
        Field(min_length=1, max_length=200, description="The values.", examples=[["relu", "tanh"]]),
    ]

    @classmethod
    def title(cls) -> str:
        return "A choice"

    def check(self) -> None:
        texts = [format_value(value) for value in self.choice]
        for index, value in enumerate(texts):
            if value in texts[:index]:
                raise ArgumentError(
                    "choice", f"{quote_value(self.choice[index])} stands twice.", "Remove one."
                )

    @property
    def labels(self) -> list[str]:
        """Each value as text on one line, by which storages and tables know it."""
        texts = [sanitize_text(format_value(value), limit=_MAX_LABEL_LENGTH) for value in self.choice]
        return [
            f"{label} ({index})" if texts.count(label) > 1 else label for index, label in enumerate(texts)
        ]

    @property
    def probe_values(self) -> list[Any]:
        """All of them."""
        return self.labels

    @property
    def grid_values(self) -> list[Any] | None:
        """All of them."""
        return self.labels

    def suggest_value(self, trial: Any, name: str) -> Any:
        """Draw a value's label."""
        return trial.suggest_categorical(name, self.labels)


SearchParameter: TypeAlias = IntRange | FloatRange | Choice

_PARAMETER_TYPES: Final[Mapping[str, type[IntRange | FloatRange | Choice]]] = {
    "int": IntRange,
    "float": FloatRange,
    "choice": Choice,
}


def parse_search_parameter(value: Any) -> SearchParameter:
    """What a place of the space declares.

    Raises:
        ValidationError | PydanticCustomError: it declares nothing.
    """
    if not isinstance(value, dict):
        raise value_error("wrong-type", f"{quote_value(value)} says not what to draw.", _PARAMETER_EXAMPLE)
    kinds = [kind for kind in _PARAMETER_TYPES if kind in value]
    if len(kinds) == 1:
        return _PARAMETER_TYPES[kinds[0]].model_validate(value)
    if kinds:
        raise value_error(
            "bad-space", f"It is {' and '.join(kinds)} at once; write one of them.", _PARAMETER_EXAMPLE
        )
    suggestion = next(
        (match for key in value if (match := find_closest(str(key), [*_PARAMETER_TYPES]))), None
    )
    message = "It is neither `int` nor `float` nor `choice`."
    raise value_error(
        "bad-space", message, f"Did you mean `{suggestion}`?" if suggestion else _PARAMETER_EXAMPLE
    )


SearchParameterField: TypeAlias = Annotated[
    Any, PlainValidator(parse_search_parameter), ExpectedText("what to draw")
]
