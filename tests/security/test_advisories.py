"""The attacks of public advisories on Keras, from 2024 to 2026, rebuilt: ``import`` runs and reads nothing of them."""

import json
import zipfile

import keras
import pytest

from tests.running import invoke


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    text = keras.Input((1,), dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot", name="look")
    path = tmp_path_factory.mktemp("advisories") / "model.keras"
    keras.Model(text, keras.layers.Dense(2, name="head")(lookup(text))).save(path)
    return path


def function(name, module):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def record(name, config, module="keras.layers"):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wAAAAA=", "defaults": None, "closure": None}}
FOLDED = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": LAMBDA}}


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ("head", {"activation": LAMBDA}),  # CVE-2024-3660
        ("head", {"activation": function("system", "os")}),  # CVE-2025-1550
        ("head", {"activation": function("get_file", "keras.utils")}),  # CVE-2025-8747
        ("head", {"activation": function("enable_unsafe_deserialization", "keras.config")}),  # CVE-2025-9906
        ("head", {"activation": function("load_model", "keras.models")}),
        ("head", {"activation": "os.system"}),
        ("head", {"kernel_initializer": record("TorchModuleWrapper", {"module": "gASV"})}),  # CVE-2025-49655
        ("head", {"kernel_initializer": record("TFSMLayer", {"filepath": "/tmp"})}),  # CVE-2026-1462
        ("head", {"kernel_initializer": FOLDED}),
        ("head", {"lora_rank": 2**31 - 1}),
        ("head", {"quantization_config": record("Int8QuantizationConfig", {}, "keras.quantizers")}),
        ("head", {"dtype": "U1000000000"}),
        ("head", {"units": 2**31 - 1}),
        ("look", {"vocabulary": "/etc/passwd"}),  # CVE-2025-12058
        ("look", {"vocabulary": "https://169.254.169.254/latest"}),
        ("look", {"vocabulary": ["a"], "idf_weights": "/etc/passwd"}),
        ("look", {"num_oov_indices": 2**31 - 1}),
        ("look", {"name": "../../../evil"}),  # CVE-2026-12479
        ("look", {"name": "/tmp/evil"}),
    ],
)
def test_attack_on_the_architecture_is_refused(model_file, tmp_path, monkeypatch, layer, arguments):
    monkeypatch.chdir(tmp_path)

    def change(members):
        name = arguments.get("name", layer)
        document = json.loads(members["config.json"].decode().replace(f'"{layer}"', json.dumps(name)))
        (found,) = [item for item in document["config"]["layers"] if item["config"]["name"] == name]
        found["config"].update(arguments)
        members["config.json"] = json.dumps(document).encode()

    assert_refused(model_file, tmp_path, change)


@pytest.mark.parametrize("name", ["assets/../../evil", "assets//tmp/evil"])
def test_asset_with_a_path_elsewhere_is_refused(model_file, tmp_path, name):
    assert_refused(model_file, tmp_path, lambda members: members.update({name: b"x"}))


def test_folder_of_another_format_is_refused(tmp_path):
    """Keras would read such a folder as an Orbax checkpoint, and write its assets anywhere."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "_CHECKPOINT_METADATA").write_text("{}")
    result = invoke("import", tmp_path, "--output", tmp_path / "out.yaml", "--json")
    assert result.exit_code == 1
    assert "does not contain model.keras" in result.stdout


def assert_refused(model_file, folder, change):
    with zipfile.ZipFile(model_file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(folder / "attack.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    result = invoke("import", folder / "attack.keras", "--output", folder / "out.yaml", "--weights", "--json")
    assert result.exit_code == 1, result.output
    assert json.loads(result.stdout)["ok"] is False
    assert sorted(path.name for path in folder.iterdir()) == ["attack.keras"]
