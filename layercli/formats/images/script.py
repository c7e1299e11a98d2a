"""The code of images data in a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from layercli.formats.images.config import IMAGE_FORMATS, IMAGE_SUFFIXES, PILLOW_MODES, Images
from layercli.script.data_script import INDENT, DataScript
from layercli.script.python_source import quote_string
from layercli.source.nodes import KeyPath


class Script(DataScript[Images]):
    """The code of one section of type images."""

    expressible_keys: ClassVar[frozenset[str]] = frozenset({"path", "size", "channels"})

    def imports(self) -> set[str]:
        return super().imports() | {"from PIL import Image"}

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        if self.facts.has_float_inputs:
            yield ("data", "path")  # images of 16 bits, which Pillow reduces to 8 when it converts them

    def write_load_data(self) -> list[str]:
        (tensor,) = self.valid.graph.inputs.values()
        channels = self.data.channels or tensor.shape[-1]
        mode = PILLOW_MODES.get(channels or 3, "RGB")
        axis = "[..., np.newaxis]" if channels == 1 else ""
        resize = []
        if self.data.size is not None:
            height, width = self.data.size
            resize = [f"{3 * INDENT}image = image.resize(({width}, {height}), Image.Resampling.BILINEAR)"]
        return [
            "def load_data():",
            f'{INDENT}"""Read images; their labels number the folders in the order of their names."""',
            f"{INDENT}suffixes = ({', '.join(map(quote_string, IMAGE_SUFFIXES))})",
            f'{INDENT}paths = sorted(DATA.glob("[!.]*/[!.]*"))',
            f"{INDENT}paths = [path for path in paths if path.suffix.lower() in suffixes]",
            f"{INDENT}names = sorted({{path.parent.name for path in paths}})",
            f"{INDENT}images = []",
            f"{INDENT}for path in paths:",
            f"{2 * INDENT}with Image.open(path, formats=[{', '.join(map(quote_string, IMAGE_FORMATS))}]) as image:",
            f'{3 * INDENT}image = image.convert("{mode}")',
            *resize,
            f"{3 * INDENT}images.append(np.asarray(image))",
            f"{INDENT}labels = [names.index(path.parent.name) for path in paths]",
            f"{INDENT}return np.stack(images){axis}, np.array(labels)",
        ]
