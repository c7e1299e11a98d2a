"""The code of images data in a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from layercli.formats.images.config import IMAGE_FORMATS, IMAGE_SUFFIXES, PILLOW_MODES, Images
from layercli.script.data_script import DataScript, write_class_files
from layercli.script.python_source import INDENT, Brackets, quote_string, render_statement
from layercli.source.nodes import KeyPath


class Script(DataScript[Images]):
    """The code of one section of type images."""

    expressible_keys: ClassVar[frozenset[str]] = frozenset({"path", "size", "channels"})

    def find_inexpressible_values(self) -> Iterator[KeyPath]:
        if self.facts.has_float_inputs:
            yield ("data", "path")  # images of 16 bits, which Pillow reduces to 8 when it converts them

    def imports(self) -> set[str]:
        return super().imports() | {"from PIL import Image, ImageOps"}

    def write_load_data(self) -> list[str]:
        (tensor,) = self.valid.graph.inputs.values()
        channels = self.data.channels or tensor.shape[-1]
        mode = PILLOW_MODES.get(channels or 3, "RGB")
        axis = "[..., np.newaxis]" if channels == 1 else ""
        suffixes = Brackets("(", tuple(map(quote_string, IMAGE_SUFFIXES)), ")")
        formats = Brackets("[", tuple(map(quote_string, IMAGE_FORMATS)), "]")
        return [
            self.load_data_head,
            f'{INDENT}"""Read images; their labels number the folders in the order of their names."""',
            *render_statement(suffixes, INDENT, "suffixes = "),
            *render_statement(formats, INDENT, "formats = "),
            *write_class_files("path.suffix.lower() in suffixes", self.facts),
            f"{INDENT}images = []",
            f"{INDENT}for path in paths:",
            f"{2 * INDENT}with Image.open(path, formats=formats) as image:",
            *self._write_decoding(mode),
            f"{3 * INDENT}images.append(np.asarray(image))",
            f"{INDENT}return np.stack(images){axis}, np.array(labels)",
        ]

    def _write_decoding(self, mode: str) -> list[str]:
        """Return the lines that scale, convert and turn an opened image as the reader does."""
        indent = 3 * INDENT
        lines = []
        if self.data.size is not None:
            height, width = self.data.size
            size = f"({width}, {height})"
            if height != width:
                lines.append(f"{indent}is_turned = image.getexif().get(274, 1) > 4  # by a quarter")
                lines.append(f"{indent}size = ({height}, {width}) if is_turned else {size}")
                size = "size"
            # a JPEG is decoded at a half, a quarter or an eighth of its size
            lines.append(f"{indent}image.draft(None, {size})")
        lines.append(f"{indent}image.load()")
        if mode != "RGBA":
            lines.append(f'{indent}if image.mode == "P" and "transparency" in image.info:')
            lines.append(f'{indent}{INDENT}image = image.convert("RGBA")')
        lines.append(f'{indent}image = image.convert("{mode}")')
        if self.data.size is not None:
            lines.append(f"{indent}image = image.resize({size}, Image.Resampling.BILINEAR)")
        return [*lines, f"{indent}image = ImageOps.exif_transpose(image)"]
