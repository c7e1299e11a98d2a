# ruff: noqa: ARG002 - callbacks and subsets have fixed signatures
"""Compare blocks of fused steps with Keras's ``fit``: equal weights, logs and callback calls."""

from functools import cache

import keras
import numpy as np
import pytest

from layercli.data.examples import Examples, ShuffleSeed, compute_epoch_order
from layercli.engine.training.feed import Span, make_feed
from layercli.engine.training.loop import Evaluator, Position, TrainingLoop

L = keras.layers
SAMPLES, BATCH, EPOCHS = 150, 32, 3  # the last batch has 22


def dense():
    return (13,), [L.Dense(16, activation="relu"), L.BatchNormalization(), L.Dropout(0.3)]


def lstm():
    return (12, 4), [L.LSTM(8, dropout=0.2), L.Dropout(0.3)]


def conv():
    return (8, 8, 1), [L.Conv2D(8, 3, activation="relu"), L.BatchNormalization(), L.Flatten(), L.Dropout(0.3)]


def embedding():
    return (9,), [L.Embedding(50, 8), L.Bidirectional(L.GRU(6)), L.GaussianNoise(0.1)]


def images():
    return (8, 8, 1), [L.RandomFlip(), L.RandomTranslation(0.1, 0.1), L.Conv2D(4, 3), L.GlobalMaxPooling2D()]


STACKS = [dense, lstm, conv, embedding, images]


def made(stack, **compiled):
    """Return a compiled model and its examples; deterministic."""
    keras.utils.set_random_seed(5)
    shape, layers = stack()
    model = keras.Sequential([keras.Input(shape), *layers, L.Dense(3, activation="softmax")])
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 12)
    model.compile(
        **{
            "optimizer": keras.optimizers.Adam(schedule, clipnorm=1.0),
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")],
        }
        | compiled
    )
    rng = np.random.default_rng(1)
    x = rng.integers(0, 50, (SAMPLES, *shape)) if stack is embedding else rng.normal(size=(SAMPLES, *shape))
    return model, Examples(x.astype("float32"), rng.integers(0, 3, SAMPLES))


def state(model):
    optimizer = model.optimizer
    return [np.asarray(variable) for variable in (*model.variables, *optimizer.variables)]


def same(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


class Calls(keras.callbacks.Callback):
    """Records the calls of a callback."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch begins", epoch))

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("batch begins", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("batch ends", batch, logs))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch ends", epoch, logs))

    def on_test_batch_end(self, batch, logs=None):
        self.calls.append(("test batch ends", batch, logs))

    def on_train_end(self, logs=None):
        self.calls.append(("training ends", logs))


def fitted_by_keras(model, examples, order, epochs=EPOCHS, callbacks=(), validation=None):
    """Train with Keras's ``fit`` over the same shuffled examples."""

    def batches():
        for epoch in range(epochs):
            for first in range(0, len(examples), BATCH):
                taken = examples.take(order(epoch)[first : first + BATCH])
                yield (taken.x, taken.y) if taken.weights is None else (taken.x, taken.y, taken.weights)

    validation_data = None if validation is None else (validation.x, validation.y)
    model.fit(
        batches(),
        epochs=epochs,
        steps_per_epoch=-(-len(examples) // BATCH),
        verbose=0,
        callbacks=list(callbacks),
        validation_data=validation_data,
        shuffle=False,
        validation_batch_size=BATCH,
    )


def loop(model, examples, *, most=3, stream=False, validation=None, seed=7, **options):
    feed = make_feed(examples, BATCH, stream=stream)
    held_out = None if validation is None else make_feed(validation, BATCH, stream=stream)
    return TrainingLoop(model, feed, max_steps_per_call=most, seed=seed, validation=held_out, **options)


def order_of(epoch):
    return compute_epoch_order(SAMPLES, ShuffleSeed(7, epoch))


@cache
def state_by_keras(stack):
    """Return the state of a stack after Keras's ``fit``; each is trained once."""
    model, examples = made(stack)
    fitted_by_keras(model, examples, order_of)
    return state(model)


@pytest.mark.parametrize("stream", [False, True], ids=["memory", "stream"])
@pytest.mark.parametrize("stack", STACKS)
def test_fused_steps_equal_keras_bit_for_bit(stack, stream):
    ours, examples = made(stack)
    before = state(ours)
    loop(ours, examples, stream=stream).run([], epochs=EPOCHS)
    assert same(state(ours), state_by_keras(stack))
    assert not same(state(ours)[:1], before[:1])


class BatchCounter(keras.metrics.Metric):
    """Counts batches in a variable that it creates at the first one."""

    batches = None

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.batches is None:
            self.batches = self.add_variable((), "zeros")
        self.batches.assign_add(1.0)

    def result(self):
        return self.batches


@pytest.mark.parametrize("stream", [False, True], ids=["memory", "stream"])
@pytest.mark.parametrize("metrics", [["accuracy"], [BatchCounter(name="batches")]], ids=["own", "late"])
def test_training_step_is_traced_once(stream, metrics):
    model, examples = made(dense, metrics=metrics)
    traces, train_step = [], model.train_step
    model.train_step = lambda batch: (traces.append(batch), train_step(batch))[1]
    loop(model, examples, stream=stream).run([], epochs=2)
    assert len(traces) == 1
    if metrics != ["accuracy"]:
        assert float(model.get_metrics_result()["batches"]) == 5.0


def test_start_calls_the_model_once():
    calls = []

    class Noted(L.Layer):
        def call(self, inputs):
            calls.append(inputs)
            return inputs

    model, examples = made(lambda: ((13,), [Noted()]))
    calls.clear()
    loop(model, examples)
    assert len(calls) == 1


@pytest.mark.parametrize(("limit", "calls"), [(4, 4), (3, 1)])
def test_short_evaluation_needs_no_graph(limit, calls):
    model, examples = made(dense)
    held_out, steps = examples.take(np.arange(100)), []

    def step(batch):
        steps.append(batch)
        model.test_step(batch)

    evaluator = Evaluator(model, max_steps_per_call=2, step=step, max_eager_steps=limit)
    found = evaluator.evaluate(make_feed(held_out, BATCH, stream=False))
    assert len(steps) == calls
    expected = model.evaluate(held_out.x, held_out.y, batch_size=BATCH, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-6)


def test_callback_calls_equal_keras_once_per_block():
    runs = []
    for fit in (
        lambda model, examples, calls, held_out: loop(model, examples, most=1, validation=held_out).run(
            [calls], epochs=2
        ),
        lambda model, examples, calls, held_out: fitted_by_keras(
            model, examples, order_of, 2, [calls], validation=held_out
        ),
    ):
        model, examples = made(dense)
        calls = Calls()
        fit(model, examples, calls, examples.take(np.arange(50)))
        runs.append(calls.calls)
    assert runs[0] == runs[1]
    model, examples = made(dense)
    calls = Calls()
    loop(model, examples, most=3).run([calls], epochs=1)
    assert [call[:2] for call in calls.calls if "batch" in call[0]] == [
        ("batch begins", 0),
        ("batch ends", 2),
        ("batch begins", 3),
        ("batch ends", 4),
    ]


def test_sample_weights_count_as_in_keras():
    ours, examples = made(dense)
    weighted = Examples(examples.x, examples.y, weights=np.linspace(0, 2, SAMPLES).astype("float32"))
    loop(ours, weighted).run([], epochs=EPOCHS)
    theirs, _ = made(dense)
    fitted_by_keras(theirs, weighted, order_of)
    assert same(state(ours), state(theirs))
    assert not same(state(ours), state_by_keras(dense))


@pytest.mark.parametrize(("stack", "stream"), [(dense, False), (lstm, True)], ids=["dense", "lstm"])
def test_xla_equals_keras_up_to_rounding(stack, stream):
    ours, examples = made(stack)
    loop(ours, examples, stream=stream, jit_compile=True).run([], epochs=EPOCHS)
    for a, b in zip(state(ours), state_by_keras(stack), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stream", [False, True], ids=["memory", "stream"])
def test_resumed_epoch_equals_uninterrupted_epoch(stream):
    whole, examples = made(dense)
    loop(whole, examples, stream=stream).run([], epochs=1)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    halves, _ = made(dense)
    looped = loop(halves, examples, most=2, stream=stream)
    looped.run([Stop()], epochs=1)
    looped.run([], epochs=1, start=Position(0, 2))
    assert same(state(whole), state(halves))


def test_evaluation_equals_keras():
    model, examples = made(dense)
    found = []
    for most in (1, 4, 100):
        looped = loop(model, examples, most=most)
        looped.evaluate(make_feed(examples.take(np.arange(40)), BATCH, stream=False))
        found.append(looped.evaluate(make_feed(examples, BATCH, stream=False)))
    expected = model.evaluate(examples.x, examples.y, batch_size=BATCH, verbose=0, return_dict=True)
    assert found == [pytest.approx(expected, rel=1e-6)] * 3


def test_blocks_end_at_checkpoints():
    model, examples = made(dense)
    looped = loop(model, examples, most=3, checkpoint_every=4)
    assert looped._epoch_spans(0, 0) == [Span(0, 3), Span(3, 4), Span(4, 5)]
    assert looped._epoch_spans(1, 0) == [Span(0, 3), Span(3, 5)]
    assert looped._epoch_spans(2, 1) == [Span(1, 2), Span(2, 5)]


def test_stream_error_is_raised_at_its_block():
    class Broken(Examples):
        def batches(self, size, *, shuffle=None, start=0):
            yield self.take(np.arange(size))
            raise OSError(5, "Input/output error")

    _, examples = made(dense)
    feed = make_feed(Broken(examples.x, examples.y), BATCH, stream=True)
    blocks = feed.blocks([Span(0, 1), Span(1, 2)], None)
    assert next(blocks)[0].shape[0] == BATCH
    with pytest.raises(OSError, match="Input/output error"):
        next(blocks)


def test_accuracy_of_texts_is_that_of_their_real_shape():
    texts = np.array([["a"], ["b"], ["c"], ["b"]], dtype=object)
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    vectors = L.TextVectorization(output_mode="multi_hot", vocabulary=["a", "b", "c"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), vectors, L.Dense(3)])
    model.layers[-1].set_weights([np.eye(4, 3, -1), np.zeros(3)])
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.0), metrics=["accuracy"])
    TrainingLoop(
        model, make_feed(Examples(texts, labels), 4, stream=False), max_steps_per_call=1, seed=None
    ).run([], epochs=1)
    assert (
        float(model.get_metrics_result()["accuracy"]) == 0.75
    )  # the last text is "b", its label that of "a"
