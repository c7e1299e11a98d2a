"""A short training of an LSTM as a script written by hand.

python benchmarks/plain_lstm.py sequences.npz
"""

import sys

import keras
import numpy as np

keras.utils.set_random_seed(1)
arrays = np.load(sys.argv[1])
model = keras.Sequential(
    [
        keras.Input((64, 16)),
        keras.layers.LSTM(64),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(arrays["x"], arrays["y"], batch_size=32, epochs=5)
model.save("model.keras")
