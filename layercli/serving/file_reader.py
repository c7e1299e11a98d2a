"""Read the images and texts in requests."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from layercli.config.data.section import DataConfig
from layercli.data.new_examples import split_new_examples, to_object_array
from layercli.data.types import Array
from layercli.errors import LayercliError
from layercli.formats.images.config import Images
from layercli.serving.example_reader import (
    ExampleReader,
    Prepared,
    Reading,
    Row,
    require_names,
)
from layercli.serving.request_errors import make_bad_request
from layercli.serving.tensors import BYTES, TensorSpec
from layercli.source.nodes import sanitize_text
from layercli.workflows.finished_run import FinishedRun
from layercli.workflows.predict import (
    iterate_files,
)


class FileReader(ExampleReader):
    """Reads images and texts, each of which is a file for ``predict``."""

    def __init__(self, finished_run: FinishedRun, data: DataConfig) -> None:
        self._run, self._data = finished_run, data
        self._is_image = isinstance(data, Images)
        self._key = "image" if self._is_image else "text"
        kind = "a PNG, JPEG, BMP, GIF, WebP or TIFF file" if self._is_image else "a text"
        self.inputs = (TensorSpec(self._key, BYTES, (-1,), kind),)

    def prepare_rows(self, rows: Sequence[Row]) -> Prepared:
        """Return the content of each file; the key ``file`` may have a name for it.

        Raises:
            RequestError: A row has other keys, or its value is not a text or base64.
        """
        contents, names = [], []
        for index, row in enumerate(rows):
            value, name = row.get(self._key), row.get("file", f"{self._key} {index + 1}")
            path = f"rows[{index}]"
            if not isinstance(value, str) or not isinstance(name, str) or set(row) - {self._key, "file"}:
                raise make_bad_request(
                    f"Row {index + 1} must have the key `{self._key}`, and may have the key `file`, a name.",
                    f"Write {json.dumps({self._key: 'base64' if self._is_image else 'a text'})}.",
                    path=path,
                )
            contents.append(self._decode_value(value, path, index))
            names.append(name)
        return Prepared(len(rows), contents, tuple(names))

    def _decode_value(self, value: str, path: str, index: int) -> bytes:
        if not self._is_image:
            return value.encode("utf-8", "replace")
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise make_bad_request(
                f"`image` of row {index + 1} must be the base64 of a file, in one line.",
                "Encode the bytes of the file: `base64 -w0 FILE`.",
                path=f"{path}.image",
            ) from None

    def prepare_tensors(self, tensors: Mapping[str, Array]) -> Prepared:
        """Return the content of each file, from bytes."""
        count = require_names(tensors, self.inputs)
        values = tensors[self._key].ravel().tolist()
        if len(values) != count or not all(isinstance(value, bytes) for value in values):
            raise make_bad_request(
                f"The input `{self._key}` must have the datatype BYTES and the shape [examples].",
                path="inputs",
            )
        return Prepared(count, values, tuple(f"{self._key} {index + 1}" for index in range(count)))

    def read(self, requests: Sequence[Prepared]) -> list[Reading | LayercliError]:
        """Return the images or texts of each request; those of all requests are decoded together."""
        contents = [content for request in requests for content in request.content]
        with TemporaryDirectory(prefix="layercli-") as folder:
            paths = []
            for index, content in enumerate(contents):
                path = Path(folder) / f"file-{index}"
                path.write_bytes(content)
                paths.append(str(path))
            pieces = list(iterate_files(self._run, self._data, paths, []))
            pieces = [replace(piece, columns={}) for piece in pieces]
            split = split_new_examples(pieces, [request.count for request in requests])
        names = (name for request in requests for name in request.file_names or ())
        readings: list[Reading | LayercliError] = []
        first = 0
        for piece in split:
            own = [next(names) for _ in range(len(piece))]
            errors = tuple(
                error and error.replace(paths[first + row], sanitize_text(own[row], limit=60))
                for row, error in enumerate(piece.errors)
            )
            first += len(piece)
            readings.append(Reading(replace(piece, errors=errors, columns={"file": to_object_array(own)})))
        return readings

    def describe_row(self) -> dict[str, Any]:
        """Return the JSON Schema of a row."""
        encoding = {"contentEncoding": "base64"} if self._is_image else {}
        value = {"type": "string", "description": self.inputs[0].description, **encoding}
        return {
            "type": "object",
            "required": [self._key],
            "properties": {self._key: value, "file": {"type": "string", "description": "a name for it"}},
            "additionalProperties": False,
        }
