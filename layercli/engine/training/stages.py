"""The stages of a training in Keras: frozen layers, the optimizer of each stage, callbacks that outlive a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from layercli.check import ValidConfig
from layercli.config.training.section import TrainSection
from layercli.engine.training.compile import compile_model
from layercli.graph.stages import find_stage_frozen_names


class StageLayers:
    """The layers of a model that stages freeze, with their state before the first stage."""

    def __init__(self, layers: Mapping[str, Any], train: TrainSection, valid: ValidConfig) -> None:
        self._layers = layers
        self._train = train
        self._frozen_names = [
            find_stage_frozen_names(train, valid.graph, index) for index in range(len(train.stages or ()))
        ]
        names = {name for frozen in self._frozen_names for name in frozen}
        parts = [part for name in sorted(names) for part in layers[name]._flatten_layers()]
        self._layer_states = [(part, part.trainable) for part in parts]
        self._weight_states = [(weight, weight.trainable) for part in parts for weight in part.weights]

    def freeze_stage(self, index: int) -> None:
        """Freeze the layers of a stage, counted from 0, and no others in addition to the model's own."""
        self._freeze_layers(self._frozen_names[index] if self._frozen_names else [])

    def freeze_for_optimizer(self, index: int) -> None:
        """Freeze the layers that no stage with the optimizer of a stage trains: it has no variables for them."""
        shared = [set(self._frozen_names[each]) for each in self._train.stages_with_optimizer_of(index)]
        self._freeze_layers(sorted(set.intersection(*shared)) if shared else [])

    def _freeze_layers(self, names: Sequence[str]) -> None:
        for part, state in self._layer_states:  # outer layers first: each one sets all its inner ones
            part.trainable = state
        for weight, state in self._weight_states:
            weight.trainable = state
        for name in names:
            self._layers[name].trainable = False


def compile_stage(
    model: Any, train: TrainSection, valid: ValidConfig, layers: StageLayers, index: int
) -> None:
    """Compile the model for a stage with a new optimizer, and create its variables.

    Raises:
        LayercliError: custom code cannot be loaded.
    """
    optimizer, _ = train.optimizer_in_stage(index)
    compile_model(model, train.model_copy(update={"optimizer": optimizer}), valid)
    layers.freeze_for_optimizer(index)
    model.optimizer.build(model.trainable_variables)


class WholeTraining(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """The callbacks of all stages as one, which begin with the first stage and end with the last."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._has_begun = False
        self.has_ended_training = False
        """Whether one of them stopped the training, and not only a stage."""
        self.is_ending: Callable[[], bool] = bool
        """A function that returns whether the training ends with the current stage."""

    def set_params(self, params: Any) -> None:
        super().set_params(params)
        for callback in self._callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if not self._has_begun:  # some create files
            for callback in self._callbacks:
                callback.set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._call("on_train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        if self.is_ending():
            self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._call("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def _call(self, hook: str, *arguments: Any) -> None:
        was_stopped = self.model.stop_training
        for callback in self._callbacks:
            method: Callable[..., Any] = getattr(callback, hook)
            method(*arguments)
        self.has_ended_training |= self.model.stop_training and not was_stopped
