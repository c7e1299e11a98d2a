"""A layer from scratch: weights made in ``build()``, the step forward in ``call()``."""

import keras


@keras.saving.register_keras_serializable(package="simple_dense")
class SimpleDense(keras.layers.Layer):
    """``y = activation(x W + b)``: inputs of shape (batch, ..., features), outputs of shape (batch, ..., units)."""

    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        features = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(features, self.units), initializer="random_normal"
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        return self.activation(keras.ops.matmul(inputs, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """What ``__init__`` needs to make this layer again when a saved model is loaded."""
        config = super().get_config()
        return {**config, "units": self.units, "activation": keras.activations.serialize(self.activation)}
