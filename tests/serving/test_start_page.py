"""The example on the page of the server."""

from types import SimpleNamespace

from layercli.serving.start_page import make_example_command
from layercli.serving.tensors import TensorSpec


def test_example_has_a_date_in_the_form_of_its_column():
    inputs = (
        TensorSpec("größe", "FP64", (-1,)),
        TensorSpec("wann", "BYTES", (-1,), "a date", "31.01.2024"),
        TensorSpec("ort", "BYTES", (-1, 2)),
    )
    model = SimpleNamespace(reader=SimpleNamespace(inputs=inputs))
    row = '{"größe": 0.0, "wann": "31.01.2024", "ort": ["text", "text"]}'
    assert make_example_command(model, "http://a").endswith(f"-d '{{\"rows\": [{row}]}}'")
