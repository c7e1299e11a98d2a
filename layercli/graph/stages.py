"""The stages of a training: which layers each one trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layercli.config.name_patterns import find_matching_names
from layercli.config.training.section import TrainSection
from layercli.graph.build import Graph
from layercli.graph.shapes import ModelShapes, sum_if_known
from layercli.schema.component import Component


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The planned epochs of a stage, and what it trains; epochs count from 1."""

    number: int
    """Counted from 1."""
    first_epoch: int
    epochs: int
    trainable: int | None
    """The number of scalars that it trains."""
    frozen: tuple[str, ...]
    """The names of the layers that are frozen only by this stage."""
    optimizer: str
    is_new_optimizer: bool
    """Whether the optimizer starts with this stage."""

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "stage": self.number,
            "first_epoch": self.first_epoch,
            "epochs": self.epochs,
            "trainable": self.trainable,
            "frozen": list(self.frozen),
            "optimizer": self.optimizer,
            "is_new_optimizer": self.is_new_optimizer,
        }


def find_stage_frozen_names(train: TrainSection, graph: Graph, index: int) -> list[str]:
    """Return the layers that a stage, counted from 0, freezes in addition to the model, in their order."""
    if train.stages is None:
        return []
    names = [node.name for node in graph.nodes if node.reuse_of is None and node.layer.is_trainable]
    frozen = set(find_matching_names(train.stages[index].freeze, names))
    return [name for name in names if name in frozen]


def plan_stages(train: TrainSection | None, shapes: ModelShapes) -> list[StagePlan]:
    """Return the stages of a training; an empty list if `stages` is not given."""
    plans: list[StagePlan] = []
    if train is None:
        return plans
    first_epoch = 1
    for index, stage in enumerate(train.stages or ()):
        frozen = find_stage_frozen_names(train, shapes.graph, index)
        optimizer, _ = train.optimizer_in_stage(index)
        plans.append(
            StagePlan(
                index + 1,
                first_epoch,
                stage.epochs,
                _count_trained(shapes, frozen),
                tuple(frozen),
                optimizer.type_name() if isinstance(optimizer, Component) else optimizer,
                is_new_optimizer=train.stages_with_optimizer_of(index).start == index,
            )
        )
        first_epoch += stage.epochs
    return plans


def _count_trained(shapes: ModelShapes, frozen: Sequence[str]) -> int | None:
    names = set(frozen)
    return sum_if_known(row.trainable for row in shapes.rows if row.node.name not in names)
