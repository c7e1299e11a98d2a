"""Weights are local files: an address is an error of the config."""

import pytest

from layercli.check import check_config
from tests.running import write_config

DENSE = {"type": "Dense", "units": 3}
BACKBONE = {"type": "MobileNet", "include_top": False}
HIDDEN = "https://me:secret@example.org/m.weights.h5"


@pytest.mark.parametrize("address", ["https://example.org/m.keras", "s3://bucket/m.keras", HIDDEN])
@pytest.mark.parametrize("is_of_layer", [False, True])
def test_address_of_weights_is_an_error(tmp_path, address, is_of_layer):
    model = {"input": [32, 32, 3], "layers": [DENSE], "weights": address}
    if is_of_layer:
        model = {"input": [32, 32, 3], "layers": [BACKBONE | {"weights": address}]}
    found = check_config(str(write_config(tmp_path, [], data=None, train=None, model=model))).problems
    [problem] = [problem for problem in found if problem.severity == "error"]
    assert problem.code == "bad-argument"
    assert problem.path == ("model.layers[0].weights" if is_of_layer else "model.weights")
    assert problem.message.startswith("`weights` must be a local path, got the address ")
    assert "secret" not in problem.message
    assert problem.hint == "Download the file, and write its local path."
