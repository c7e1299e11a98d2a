"""A sweep file: what varies over a base config, what is sought, and how."""

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
    """What is sought."""

    example: ClassVar[str | None] = "objective: {metric: val_accuracy, direction: maximize}"

    metric: Annotated[
        str,
        Field(
            min_length=1,
            description="What training logs, and trials are judged by.",
            examples=["val_accuracy"],
        ),
    ]
    direction: Annotated[
        Literal["minimize", "maximize"] | None,
        Field(description="Which way it is better; null: as Keras tells by the metric."),
    ] = None

    @classmethod
    def title(cls) -> str:
        return "`objective`"


class SweepConfig(StrictModel):
    """What a sweep file declares."""

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
            min_length=1, description="The config that is varied, beside this file.", examples=["config.yaml"]
        ),
    ]
    space: Annotated[
        dict[str, SearchParameterField],
        Field(min_length=1, max_length=100, description="Places of the base config, and what to draw there.",
              examples=[{"model.layers.head.units": {"int": [16, 256]}}]),
    ]  # fmt: skip
    objective: Annotated[
        Objective, Field(description="What is sought.", examples=[{"metric": "val_accuracy"}])
    ]
    sampler: Annotated[
        NameOrComponent,
        PlainValidator(SAMPLERS.parse),
        ExpectedText("a sampler"),
        Field(description="How it draws."),
    ] = "TPESampler"
    pruner: Annotated[
        NameOrComponent,
        PlainValidator(PRUNERS.parse),
        ExpectedText("a pruner"),
        Field(description="What ends early."),
    ] = "MedianPruner"
    trials: Annotated[PositiveInt, Field(description="How many trials are finished.", examples=[50])] = 20
    timeout: Annotated[
        float | None, Field(gt=0, description="Seconds after which no trial begins; null: no limit.")
    ] = None

    @classmethod
    def title(cls) -> str:
        return "A sweep"

    @property
    def parameters(self) -> dict[str, SearchParameter]:
        """What is drawn for each place, as it is written."""
        return self.space

    @property
    def declared_sampler(self) -> Component:
        """The sampler, the default one, too."""
        return SAMPLERS.parse(self.sampler)

    @property
    def declared_pruner(self) -> Component:
        """The pruner, the default one, too."""
        return PRUNERS.parse(self.pruner)

    @property
    def combination_count(self) -> int | None:
        """How many there are, for a sampler that takes each once; None for others."""
        if self.declared_sampler.type_name() not in ("GridSampler", "BruteForceSampler"):
            return None
        count = 1
        for parameter in self.parameters.values():
            count *= len(parameter.grid_values or ())
        return count

    @property
    def trial_count(self) -> int:
        """Trials to finish."""
        return min(self.trials, self.combination_count or self.trials)
