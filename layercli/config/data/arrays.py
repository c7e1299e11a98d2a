"""The base of the data types whose examples are arrays by name."""

from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import Field

from layercli.config.data.section import DataConfig, TargetTypeField, check_target_type
from layercli.schema.section_hints import ARRAYS_HINTS
from layercli.schema.strict_model import ArgumentError

ArrayName: TypeAlias = Annotated[str, Field(min_length=1)]


class ArraysConfig(DataConfig):
    """Arrays by name; the first axis of each is the batch axis."""

    hints: ClassVar[dict[str, str]] = ARRAYS_HINTS

    features: Annotated[
        ArrayName | None, Field(description="Array of the model's only input.", examples=["x"])
    ] = None
    inputs: Annotated[
        dict[str, ArrayName] | None,
        Field(
            description="Input of the model -> array, if the model has several inputs.",
            examples=[{"image": "images"}],
        ),
    ] = None
    target: Annotated[
        ArrayName | dict[str, ArrayName],
        Field(
            description="Array of the targets (texts are labels), or output of the model -> array, "
            "if the model has several outputs.",
            examples=["y"],
        ),
    ]
    target_type: TargetTypeField = None
    weights: Annotated[
        ArrayName | None, Field(description="Array of the weight of each example; null: all weights are 1.")
    ] = None

    may_have_positions: ClassVar[bool] = True
    array_keys: ClassVar[tuple[str, ...]] = ("features", "inputs", "target", "weights")
    """The keys that name arrays."""

    @classmethod
    def from_inputs(cls, path: str, input_names: list[str] | None) -> Self:
        """Return the section that reads only inputs from a file; ``input_names`` is None if the model has one input.

        The target, which must be named, is the first input.
        """
        raise NotImplementedError

    @classmethod
    def _input_arguments(cls, input_names: list[str] | None) -> dict[str, object]:
        first_input = "x" if input_names is None else input_names[0]
        return {
            "features": first_input if input_names is None else None,
            "inputs": None if input_names is None else {name: name for name in input_names},
            "target": first_input,
        }

    def check(self) -> None:
        super().check()
        check_target_type(self.target_type, self.target)
        if (self.features is None) == (not self.inputs):
            message = f"{self.title()} requires either `features` (the array of the only input) or `inputs` (several inputs)."
            raise ArgumentError("features", message, "For example `features: x`.")
