"""``train.stages``: parts of a training that train other layers, with other optimizers and callbacks."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from layercli.config.name_patterns import require_short_patterns
from layercli.config.training.types import CallbackField, OptimizerField
from layercli.schema.field_types import PositiveInt
from layercli.schema.strict_model import StrictModel

_SHARED_KEYS: Final = (
    *("batch_size", "loss", "loss_weights", "class_weight", "metrics", "weighted_metrics"),
    *("distribution", "diagnostics", "until", "seeds", "execution", "checkpoints"),
)
"""Keys of ``train`` that are the same in all stages."""


class StageConfig(StrictModel):
    """A stage of a training: other layers are frozen, or another optimizer trains them."""

    example: ClassVar[str | None] = "{epochs: 3, freeze: [backbone]}"
    hints: ClassVar[dict[str, str]] = {
        **{
            key: f"A stage can change only `epochs`, `freeze`, `optimizer` and `callbacks`; move `{key}` to `train`."
            for key in _SHARED_KEYS
        },
        "learning_rate": "It belongs to the optimizer: `optimizer: {type: Adam, learning_rate: 0.00001}`.",
        "unfreeze": "A stage trains all layers that are not under its `freeze`; list the others there.",
        "trainable": "List the layers that the stage does not train under `freeze`.",
    }

    epochs: Annotated[PositiveInt, Field(description="Number of epochs of this stage.", examples=[3])]
    freeze: Annotated[
        list[str],
        Field(
            description="Names of layers whose weights stay fixed in this stage, in addition to `model.freeze`; * and ? match "
            "any text.",
            examples=[["backbone*"]],
        ),
    ] = []  # noqa: RUF012
    optimizer: Annotated[
        OptimizerField | None,
        Field(
            description="A new optimizer from this stage on; null: that of the stage before with its state, in the first stage "
            "`train.optimizer`.",
            examples=[{"type": "Adam", "learning_rate": 1e-5}],
        ),
    ] = None
    callbacks: Annotated[
        list[CallbackField],
        Field(description="Callbacks of this stage, in addition to `train.callbacks`.", max_length=100),
    ] = []  # noqa: RUF012

    @classmethod
    def title(cls) -> str:
        return "A stage"

    def check(self) -> None:
        """Check that matching the patterns takes little time."""
        require_short_patterns("freeze", self.freeze)
