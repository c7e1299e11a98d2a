"""The root of a config file."""

from typing import Annotated, ClassVar

from pydantic import Field

from layercli.config.data.section import DataField
from layercli.config.language.blocks import BLOCKS_KEY
from layercli.config.language.variables import VARS_KEY
from layercli.config.model import ModelSection
from layercli.config.name_patterns import require_little_matching
from layercli.config.names import RunName
from layercli.config.training.section import TrainSection
from layercli.schema.section_hints import CONFIG_HINTS
from layercli.schema.strict_model import StrictModel
from layercli.source.extend import EXTENDS


class Config(StrictModel):
    """A config file."""

    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(ModelSection.model_fields, "It belongs under `model:`."),
        **dict.fromkeys(TrainSection.model_fields, "It belongs under `train:`."),
        **dict.fromkeys(("dataset", "path", "split", "target", "type"), "It belongs under `data:`."),
        "learning_rate": "It belongs to the optimizer: `train: {optimizer: {type: Adam, learning_rate: 0.001}}`.",
        **CONFIG_HINTS,
    }

    extra_keys: ClassVar[tuple[str, ...]] = (EXTENDS, VARS_KEY, BLOCKS_KEY)

    name: Annotated[
        RunName | None, Field(description="Name of the model and its runs; null: the file's name.")
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**31, description="Seed of all random numbers.")] = 0
    data: Annotated[DataField | None, Field(description="The data to train on.")] = None
    model: Annotated[ModelSection, Field(description="The layers.", examples=["{input: [4], layers: [...]}"])]
    train: Annotated[TrainSection | None, Field(description="The training settings.")] = None

    def check(self) -> None:
        """Check that matching the patterns of all stages takes little time."""
        stages = (self.train.stages if self.train is not None else None) or ()
        patterns = [pattern for stage in stages for pattern in stage.freeze]
        require_little_matching("train", patterns, self.model.layer_names)

    @classmethod
    def title(cls) -> str:
        return "A config"
