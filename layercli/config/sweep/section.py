"""A sweep file: search space, objective, sampler and pruner for a base config."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator, field_validator

from layercli.config.names import RunName
from layercli.config.sweep.pruners import PRUNERS
from layercli.config.sweep.samplers import SAMPLERS
from layercli.config.sweep.search_space import SearchParameter, SearchParameterField
from layercli.schema.component import Component
from layercli.schema.field_types import NameOrComponent, PositiveInt
from layercli.schema.section_hints import OBJECTIVE_HINTS, SWEEP_HINTS
from layercli.schema.strict_model import ArgumentError, ExpectedText, StrictModel, value_error
from layercli.source.nodes import quote_value

STATIC_METRICS: Final = ("parameters", "flops")
"""Objectives that follow from the config; training does not log them."""

_DIRECTIONS: Final = {"max": "maximize", "maximize": "maximize", "min": "minimize", "minimize": "minimize"}


class Limits(StrictModel):
    """The largest model that a sweep trains."""

    example: ClassVar[str | None] = "limits: {parameters: 100_000, flops: 2_000_000, memory_mib: 512}"

    parameters: Annotated[
        PositiveInt | None,
        Field(description="Most parameters of a model; null: no limit.", examples=[100_000]),
    ] = None
    flops: Annotated[
        int | None,
        Field(
            ge=1,
            le=10**18,
            description="Most FLOPs for one example; null: no limit.",
            examples=[2_000_000],
        ),
    ] = None
    memory_mib: Annotated[
        float | None,
        Field(
            gt=0,
            description="Most MiB of the weights and of the outputs of all layers for a batch; null: no limit.",
            examples=[512],
        ),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`limits`"

    @field_validator("*", mode="before")
    @classmethod
    def _parse_separators(cls, value: Any) -> Any:
        """Read ``100_000``, which is a string in YAML 1.2, as a number."""
        is_grouped = isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,2}(_[0-9]{3}){1,6}", value)
        return int(value) if is_grouped else value

    @property
    def declared(self) -> dict[str, float]:
        """Return the limits that are set, by name."""
        return {name: value for name, value in self.arguments().items() if value is not None}


class Objective(StrictModel):
    """The objective of a sweep."""

    example: ClassVar[str | None] = "objective: {metric: val_accuracy, direction: maximize}"
    hints: ClassVar[dict[str, str]] = OBJECTIVE_HINTS

    metric: Annotated[
        str,
        Field(
            min_length=1,
            description="Logged value that ranks the trials.",
            examples=["val_accuracy"],
        ),
    ]
    direction: Annotated[
        Literal["minimize", "maximize"] | None,
        Field(description="The better direction; null: Keras's direction of the metric."),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`objective`"


def _require_mapping(value: Any) -> Any:
    """Refuse an objective that is only a name, with the mapping to write.

    Raises:
        PydanticCustomError: It is a text.
    """
    if not isinstance(value, str):
        return value
    direction = _DIRECTIONS.get(value.lower())
    name = value if re.fullmatch(r"\w{1,60}", value, re.ASCII) and direction is None else "val_accuracy"
    end = "" if direction is None else f", direction: {direction}"
    message = f"`objective` must be a mapping, got the string {quote_value(value)}."
    raise value_error("wrong-type", message, f"Write {{metric: {name}{end}}}.")


ObjectiveField = Annotated[Objective, BeforeValidator(_require_mapping)]


class SweepConfig(StrictModel):
    """A sweep file."""

    hints: ClassVar[dict[str, str]] = SWEEP_HINTS

    name: Annotated[RunName | None, Field(description="Name of the sweep; null: the file's name.")] = None
    base: Annotated[
        str,
        Field(
            min_length=1, description="The config to vary, relative to this file.", examples=["config.yaml"]
        ),
    ]
    space: Annotated[
        dict[str, SearchParameterField],
        Field(
            min_length=1,
            max_length=100,
            description="Paths in the base config, and the values to draw for them.",
            examples=[{"model.layers.head.units": {"int": [16, 256]}}],
        ),
    ]
    objective: Annotated[
        ObjectiveField | None,
        Field(description="The value to optimize.", examples=[{"metric": "val_accuracy"}]),
    ] = None
    objectives: Annotated[
        list[ObjectiveField] | None,
        Field(
            min_length=1,
            max_length=8,
            description="Several values to optimize together, instead of `objective`.",
            examples=[[{"metric": "val_accuracy"}, {"metric": "parameters"}]],
        ),
    ] = None
    limits: Annotated[
        Limits | None,
        Field(description="The largest model to train; null: no limit.", examples=[{"parameters": 100_000}]),
    ] = None
    sampler: Annotated[
        NameOrComponent,
        PlainValidator(SAMPLERS.parse),
        ExpectedText("a sampler"),
        Field(description="The sampler, which draws values."),
    ] = "TPESampler"
    pruner: Annotated[
        NameOrComponent,
        PlainValidator(PRUNERS.parse),
        ExpectedText("a pruner"),
        Field(description="The pruner, which stops trials early."),
    ] = "MedianPruner"
    trials: Annotated[PositiveInt, Field(description="Number of trials to finish.", examples=[50])] = 20
    timeout: Annotated[
        float | None, Field(gt=0, description="Seconds after which no new trial starts; null: no limit.")
    ] = None

    @classmethod
    def title(cls) -> str:
        return "A sweep"

    def check(self) -> None:
        if self.objective is not None and self.objectives is not None:
            raise ArgumentError(
                "objectives",
                "`objective` and `objectives` must not both be set.",
                "Move the metric of `objective` into the list `objectives`, and remove `objective`.",
            )
        if "pruner" in self.model_fields_set and self.has_several_objectives and self._has_active_pruner:
            raise ArgumentError(
                "pruner",
                f"`pruner` must be NopPruner with several objectives, got {PRUNERS.parse(self.pruner).type_name()}.",
                "Remove `pruner`: no trial is pruned with several objectives.",
            )

    @property
    def _has_active_pruner(self) -> bool:
        return PRUNERS.parse(self.pruner).type_name() != "NopPruner"

    @property
    def declared_objectives(self) -> Sequence[Objective]:
        """Return all objectives."""
        return self.objectives or [self.objective or Objective(metric="loss")]

    @property
    def has_several_objectives(self) -> bool:
        """Whether the result is a Pareto set instead of a best trial."""
        return len(self.objectives or ()) > 1

    @property
    def parameters(self) -> dict[str, SearchParameter]:
        """Return the search parameter of each path."""
        return self.space

    @property
    def declared_sampler(self) -> Component:
        """Return the sampler as a component."""
        return SAMPLERS.parse(self.sampler)

    @property
    def declared_pruner(self) -> Component:
        """Return the pruner as a component; Optuna cannot prune trials with several objectives."""
        return PRUNERS.parse("NopPruner" if self.has_several_objectives else self.pruner)

    @property
    def combination_count(self) -> int | None:
        """Return the number of combinations for a sampler that tries each once; None for other samplers."""
        if self.declared_sampler.type_name() not in ("GridSampler", "BruteForceSampler"):
            return None
        count = 1
        for parameter in self.parameters.values():
            count *= parameter.grid_size or 0
        return count

    @property
    def trial_count(self) -> int:
        """Return the number of trials to finish."""
        return min(self.trials, self.combination_count or self.trials)
