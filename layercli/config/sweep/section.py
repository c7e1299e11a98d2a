"""A sweep file: search space, objective, sampler and pruner for a base config."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainValidator

from layercli.config.names import RunName
from layercli.config.sweep.pruners import PRUNERS
from layercli.config.sweep.samplers import SAMPLERS
from layercli.config.sweep.search_space import SearchParameter, SearchParameterField
from layercli.schema.component import Component
from layercli.schema.field_types import NameOrComponent, PositiveInt
from layercli.schema.strict_model import ExpectedText, StrictModel


class Objective(StrictModel):
    """The objective of a sweep."""

    example: ClassVar[str | None] = "objective: {metric: val_accuracy, direction: maximize}"

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


class SweepConfig(StrictModel):
    """A sweep file."""

    hints: ClassVar[dict[str, str]] = {
        "metric": "It belongs under `objective:`.",
        "direction": "It belongs under `objective:`.",
        "config": "Write `base: config.yaml`.",
        "parameters": "Write `space:`.",
        "n_trials": "Write `trials:`.",
        "jobs": "It is an option of the command: `--jobs 4`.",
        "storage": "It is an option of the command: `--storage postgresql://...`.",
    }

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
        Objective, Field(description="The value to optimize.", examples=[{"metric": "val_accuracy"}])
    ]
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
        """Return the pruner as a component."""
        return PRUNERS.parse(self.pruner)

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
