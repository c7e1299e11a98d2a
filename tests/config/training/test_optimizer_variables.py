import keras
import pytest

from layercli.config.training.registry import OPTIMIZERS
from layercli.graph.training_memory import count_optimizer_bytes
from layercli.layers.base import Weight

SHAPES = {"kernel": (20, 30), "embeddings": (40, 5), "conv": (3, 3, 2, 4), "bias": (30,)}
ARGUMENTS = [{}, {"use_ema": True, "gradient_accumulation_steps": 2}]
OWN_ARGUMENTS = {
    "SGD": [{"momentum": 0.5}],
    "RMSprop": [{"momentum": 0.5}, {"centered": True}],
    "Adam": [{"amsgrad": True}],
}


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_optimizers_have_the_variables_of_keras(name):
    for arguments in [*ARGUMENTS, *OWN_ARGUMENTS.get(name, [])]:
        variables = [keras.Variable(keras.ops.zeros(shape), name=each) for each, shape in SHAPES.items()]
        optimizer = getattr(keras.optimizers, name)(**arguments)
        optimizer.build(variables)
        actual = sum(
            4 * variable.value.shape.num_elements() for variable in optimizer.variables if len(variable.shape)
        )
        component = OPTIMIZERS.parse({"type": name, **arguments})
        assert actual == sum(
            count_optimizer_bytes(component, Weight(each, shape), 4) for each, shape in SHAPES.items()
        )
