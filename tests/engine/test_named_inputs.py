"""Layers whose call takes several named inputs or masks."""

import keras
import numpy as np
import pytest

from layercli import api
from tests.running import invoke

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
PADDING = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]], dtype=bool)


def attention(tmp_path, arguments, inputs, extra=""):
    path = tmp_path / "attention.yaml"
    path.write_text(
        f"model:\n  inputs: {{x: [5, 4]{extra}}}\n  layers:\n"
        f"    - {{type: MultiHeadAttention, num_heads: 2, key_dim: 3{arguments}, inputs: {{query: x, value: x{inputs}}}}}\n"
    )
    return path


def by_hand(model, **masks):
    (layer,) = [each for each in model.layers if isinstance(each, keras.layers.MultiHeadAttention)]
    return np.asarray(layer(X, X, **masks))


def test_causal_mask_hides_later_timesteps(tmp_path):
    path = attention(tmp_path, ", use_causal_mask: true", "")
    path.write_text(
        path.read_text().replace("inputs: {x: [5, 4]}", "input: [5, 4]").replace(": x", ": input")
    )
    model = api.build(path)
    changed = X.copy()
    changed[:, 3:] += 1
    first, second = (np.asarray(model(x)) for x in (X, changed))
    np.testing.assert_array_equal(first[:, :3], second[:, :3])
    assert not np.allclose(first[:, 3:], second[:, 3:])
    np.testing.assert_allclose(first, by_hand(model, use_causal_mask=True), atol=1e-6)


def test_attention_mask_is_passed_to_keras(tmp_path):
    model = api.build(attention(tmp_path, "", ", attention_mask: m", ", m: {shape: [5, 5], dtype: int32}"))
    mask = np.tril(np.ones((2, 5, 5), "int32"))
    found = np.asarray(model({"x": X, "m": mask}))
    np.testing.assert_allclose(found, by_hand(model, attention_mask=mask), atol=1e-6)


def test_key_padding_mask_is_true_for_padding(tmp_path):
    model = api.build(attention(tmp_path, "", ", key_padding_mask: p", ", p: {shape: [5], dtype: bool}"))
    found = np.asarray(model({"x": X, "p": PADDING}))
    np.testing.assert_allclose(found, by_hand(model, key_mask=~PADDING), atol=1e-6)
    changed = np.where(PADDING[..., None], X + 9, X)
    kept = ~PADDING
    np.testing.assert_allclose(np.asarray(model({"x": changed, "p": PADDING}))[kept], found[kept], atol=1e-5)


@pytest.mark.usefixtures("warm_processes")
@pytest.mark.parametrize(
    ("arguments", "inputs", "extra"),
    [
        (", use_causal_mask: true", "", ""),
        ("", ", attention_mask: m", ", m: {shape: [5, 5], dtype: bool}"),
        (", use_causal_mask: true", ", key_padding_mask: p", ", p: {shape: [5], dtype: bool}"),
    ],
)
def test_script_and_saved_model_keep_masks(tmp_path, arguments, inputs, extra):
    path = attention(tmp_path, arguments, inputs, extra)
    saved = tmp_path / "model.keras"
    assert invoke("build", path, "--output", saved).exit_code == 0
    script = tmp_path / "script.py"
    result = invoke("export", path, "--format", "python", "--output", script)
    assert result.exit_code == 0, result.output
    names = {}
    exec(compile(script.read_text(), "script.py", "exec"), names)
    model = keras.saving.load_model(saved)
    rebuilt = names["build_model"]()
    rebuilt.set_weights(model.get_weights())
    x = {"x": X, "m": np.tril(np.ones((2, 5, 5), bool)), "p": PADDING}
    batch = {
        name: x[name] for name in ("x", *(["m"] if "m:" in extra else []), *(["p"] if "p:" in extra else []))
    }
    given = batch if len(batch) > 1 else X
    np.testing.assert_allclose(model(given), rebuilt(given), atol=1e-6)


def test_causal_mask_is_imported(tmp_path):
    x = keras.Input((5, 4))
    y = keras.layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    keras.Model(x, y).save(tmp_path / "causal.keras")
    result = invoke("import", tmp_path / "causal.keras", "--output", tmp_path / "causal.yaml")
    assert result.exit_code == 0, result.output
    assert "use_causal_mask: true" in (tmp_path / "causal.yaml").read_text()


@pytest.mark.parametrize(
    ("code", "inputs"),
    [
        ("def call(self, left, right):\n    return left + 2 * right", "{right: b, left: a}"),
        ("def call(self, left, right=None):\n    return left + 2 * right", "{right: b, left: a}"),
        ("def call(self, inputs):\n    return inputs['left'] + 2 * inputs['right']", "{right: b, left: a}"),
        ("def call(self, left, right):\n    return left + 2 * right", "[a, b]"),
        ("def call(self, inputs):\n    return inputs[0] + 2 * inputs[1]", "[a, b]"),
    ],
)
def test_custom_layers_take_named_inputs(tmp_path, layer_file, code, inputs):
    path = tmp_path / "custom.yaml"
    mine = layer_file(code)
    path.write_text(
        f"model:\n  inputs: {{a: [2], b: [2]}}\n  layers:\n    - {{type: '{mine}', inputs: {inputs}}}\n"
    )
    model = api.build(path, trust=True)
    found = np.asarray(model({"a": np.array([[1.0, 2.0]]), "b": np.array([[10.0, 20.0]])}))
    assert found.tolist() == [[21.0, 42.0]]
    assert invoke("inspect-shapes", path, "--trust").exit_code == 0
