"""The model, data and training of configs/digits_cnn.yaml as a script written by hand.

python benchmarks/plain_script.py [--build]
"""

import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Rescaling(0.0625),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.summary()
if "--build" in sys.argv:
    sys.exit()

digits = load_digits()
order = np.random.default_rng(1).permutation(len(digits.target))
x = digits.data.astype("float32").reshape(-1, 8, 8, 1)[order]
y = digits.target[order]
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    x[:1437],
    y[:1437],
    batch_size=32,
    epochs=20,
    validation_data=(x[1437:1617], y[1437:1617]),
    callbacks=[keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)],
)
print(model.evaluate(x[1617:], y[1617:], return_dict=True))
model.save("model.keras")
