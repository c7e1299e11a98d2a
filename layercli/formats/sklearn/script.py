"""The code of sklearn data in a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from layercli.formats.sklearn.config import Sklearn
from layercli.script.data_script import DataScript
from layercli.script.python_source import INDENT


class Script(DataScript[Sklearn]):
    """The code of one section of type sklearn."""

    expressible_keys: ClassVar[frozenset[str]] = frozenset({"dataset", "shape", "target_type"})

    def imports(self) -> set[str]:
        return super().imports() | {"from sklearn import datasets"}

    def data_paths(self, data: Sklearn) -> Sequence[str]:  # noqa: ARG002 - the package contains the data
        return []

    def write_load_data(self) -> list[str]:
        dataset, shape = self.data.dataset, self.data.shape
        is_vector = shape is None or len(shape) == 1
        reshape = "" if is_vector else f".reshape(-1, {', '.join(map(str, shape or []))})"
        dtype = '"int32"' if self.facts.first_target.is_labels else '"float32"'
        return [
            "def load_data():",
            f'{INDENT}"""Load the data set {dataset} of scikit-learn."""',
            f"{INDENT}x, y = datasets.load_{dataset}(return_X_y=True)",
            f'{INDENT}x = x.astype("float32"){reshape}',
            f"{INDENT}return x, y.astype({dtype})",
        ]
