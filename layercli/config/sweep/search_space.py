"""The search space of a sweep: integers, numbers and choices for values of the base config."""

import builtins
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, PlainValidator

from layercli.schema.component import is_plain
from layercli.schema.field_types import MAX_INT32
from layercli.schema.flow_style import format_value
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.schema.suggestions import find_closest, list_names
from layercli.source.nodes import quote_value, sanitize_text

_PARAMETER_EXAMPLE = (
    "For example `{int: [16, 256], log: true}`, `{float: [1e-4, 1e-1]}` or `{choice: [relu, tanh]}`."
)
_MAX_LABEL_LENGTH = 80


def _parse_bounds(value: Any, types: tuple[type, ...], noun: str) -> list[Any]:
    example = "[16, 256]" if int is types[0] else "[1e-4, 1e-1]"
    is_pair = isinstance(value, list) and len(value) == 2
    if not is_pair or any(isinstance(end, bool) or not isinstance(end, types) for end in value):
        message = f"A range of {noun} must be a list of two {noun}, got {quote_value(value)}."
        raise value_error("wrong-type", message, f"For example `{example}`.")
    if any(not -1e300 < end < 1e300 for end in value) or (
        int is types[0] and any(abs(end) > MAX_INT32 for end in value)
    ):
        raise value_error(
            "out-of-range",
            f"The range must be narrower, got {quote_value(value)}.",
            f"For example `{example}`.",
        )
    return list(value)


_IntBounds: TypeAlias = Annotated[
    list[int],
    PlainValidator(lambda value: _parse_bounds(value, (int,), "integers")),
    ExpectedText("the two ends of a range"),
]
_FloatBounds: TypeAlias = Annotated[
    list[float],
    PlainValidator(lambda value: _parse_bounds(value, (float, int), "numbers")),
    ExpectedText("the two ends of a range"),
]
_IntStep: TypeAlias = Annotated[int, Field(gt=0, le=MAX_INT32, description="Distance between values.")]
_FloatStep: TypeAlias = Annotated[float, Field(gt=0, description="Distance between values.")]
_LogScale: TypeAlias = Annotated[bool, Field(description="Whether to draw on a logarithmic scale.")]


def _check_range(argument: str, bounds: list[Any], step: float | None, *, log: bool) -> None:
    low, high = bounds
    if low > high:
        raise ArgumentError(
            argument, f"A range must be in ascending order, got [{low}, {high}].", f"Write [{high}, {low}]."
        )
    if log and low <= 0:
        raise ArgumentError(argument, f"A logarithmic range must start above 0, got {low}.")
    if log and step is not None:
        raise ArgumentError("step", "A logarithmic range must not have a step.", "Remove `step` or `log`.")


class IntRange(StrictModel):
    """A range of integers, including both ends."""

    int: Annotated[_IntBounds, Field(description="The minimum and the maximum.", examples=[[16, 256]])]
    log: _LogScale = False
    step: _IntStep | None = None

    @classmethod
    def title(cls) -> str:
        return "A range of integers"

    def check(self) -> None:
        _check_range("int", self.int, self.step, log=self.log)

    @property
    def probe_values(self) -> list[Any]:
        """Return representative values: the ends."""
        return list(dict.fromkeys(self.int))

    @property
    def grid_values(self) -> list[Any] | None:
        """Return all values if they are finite in number."""
        return None if self.log else list(self._grid_range)

    @property
    def grid_size(self) -> builtins.int | None:
        """Return the number of all values if they are finite in number."""
        return None if self.log else len(self._grid_range)

    @property
    def _grid_range(self) -> range:
        return range(self.int[0], self.int[1] + 1, self.step or 1)

    def suggest_value(self, trial: Any, name: str) -> Any:
        """Return a value that a trial draws."""
        return trial.suggest_int(name, *self.int, step=self.step or 1, log=self.log)


class FloatRange(StrictModel):
    """A range of numbers, including both ends."""

    float: Annotated[_FloatBounds, Field(description="The minimum and the maximum.", examples=[[1e-4, 1e-1]])]
    log: _LogScale = False
    step: _FloatStep | None = None

    @classmethod
    def title(cls) -> str:
        return "A range of numbers"

    def check(self) -> None:
        _check_range("float", self.float, self.step, log=self.log)

    @property
    def probe_values(self) -> list[Any]:
        """Return representative values: the ends."""
        return [end * 1.0 for end in dict.fromkeys(self.float)]

    @property
    def grid_values(self) -> list[Any] | None:
        """Return all values if they are finite in number."""
        if self.step is None or self.grid_size is None:
            return None
        return [self.float[0] + self.step * index for index in range(self.grid_size)]

    @property
    def grid_size(self) -> Any:
        """Return the number of all values if they are finite in number."""
        if self.step is None:
            return None
        low, high = self.float
        steps = (high - low) / self.step
        return round(steps - 0.499999) + 1 if steps < MAX_INT32 else MAX_INT32

    def suggest_value(self, trial: Any, name: str) -> Any:
        """Return a value that a trial draws."""
        return trial.suggest_float(name, *self.float, step=self.step, log=self.log)


class Choice(StrictModel):
    """A choice of several values of any type."""

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
                    "choice",
                    f"`choice` must not contain a value twice, got {quote_value(self.choice[index])}.",
                    "Remove one.",
                )

    @cached_property
    def labels(self) -> list[str]:
        """Return a unique one-line label for each value, for storages and tables."""
        texts = [sanitize_text(format_value(value), limit=_MAX_LABEL_LENGTH) for value in self.choice]
        return [
            f"{label} ({index})" if texts.count(label) > 1 else label for index, label in enumerate(texts)
        ]

    @property
    def probe_values(self) -> list[Any]:
        """Return all labels."""
        return self.labels

    @property
    def grid_values(self) -> list[Any] | None:
        """Return all labels."""
        return self.labels

    @property
    def grid_size(self) -> builtins.int | None:
        """Return the number of values."""
        return len(self.choice)

    def suggest_value(self, trial: Any, name: str) -> Any:
        """Return the label of a value that a trial draws."""
        return trial.suggest_categorical(name, self.labels)


SearchParameter: TypeAlias = IntRange | FloatRange | Choice

PARAMETER_TYPES: Final[Mapping[str, type[IntRange | FloatRange | Choice]]] = {
    "int": IntRange,
    "float": FloatRange,
    "choice": Choice,
}


def parse_search_parameter(value: Any) -> SearchParameter:
    """Return the search parameter that a value declares.

    Raises:
        ValidationError | PydanticCustomError: the value is invalid.
    """
    if not isinstance(value, dict):
        is_choice = isinstance(value, list) and len(value) > 1 and all(map(is_plain, value))
        raise value_error(
            "wrong-type",
            f"Expected a mapping with `int`, `float` or `choice`, got {quote_value(value)}.",
            f"Write `{{choice: {format_value(value)}}}`." if is_choice else _PARAMETER_EXAMPLE,
        )
    kinds = [kind for kind in PARAMETER_TYPES if kind in value]
    if len(kinds) == 1:
        return PARAMETER_TYPES[kinds[0]].model_validate(value)
    if kinds:
        raise value_error(
            "bad-space",
            f"Expected only one of `int`, `float` and `choice`, got {' and '.join(kinds)}.",
            _PARAMETER_EXAMPLE,
        )
    bounds = [value.get("min"), value.get("max")]
    if all(type(bound) in (int, float) for bound in bounds):
        kind = "int" if all(type(bound) is int for bound in bounds) else "float"
        rest = {key: item for key, item in value.items() if key in ("log", "step")}
        message = f"Expected one of `int`, `float` and `choice`, got {list_names(map(str, value))}."
        raise value_error("bad-space", message, f"Write `{format_value({kind: bounds} | rest)}`.")
    suggestion = next((match for key in value if (match := find_closest(str(key), [*PARAMETER_TYPES]))), None)
    given = list_names(str(key) for key in value)
    message = f"Expected one of `int`, `float` and `choice`, got {given or 'none'}."
    raise value_error(
        "bad-space", message, f"Did you mean `{suggestion}`?" if suggestion else _PARAMETER_EXAMPLE
    )


SearchParameterField: TypeAlias = Annotated[
    Any, PlainValidator(parse_search_parameter), ExpectedText("a range or a choice")
]
