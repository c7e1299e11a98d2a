"""A folder of text files for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from layercli.config.files import Text
from layercli.data.arrays import Examples, RefusedDataError
from layercli.data.folders import classes_of
from layercli.data.tables import refuse
from layercli.graph.findings import Finding
from layercli.source.nodes import printable

_PATH = ("data", "path")


def read(data: Text, memory: int | None) -> Examples:
    """All texts as objects of shape (samples, 1), with the label of their folder.

    Raises:
        RefusedDataError: a file is no text in UTF-8; every such file is told.
    """
    names, files = classes_of(Path(data.path), [".txt"])
    size = sum(file.stat().st_size for file, _ in files)
    if memory is not None and size > memory // 4:
        refuse(
            f"The files have {size:,} bytes; this machine has {memory:,} of memory.",
            _PATH,
            "Use a part of them.",
        )
    texts, wrong = [], []
    for file, _ in files:
        try:
            texts.append(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            message = (
                f"{printable(str(file))} is no text that can be read: {printable(str(error), limit=150)}."
            )
            wrong.append(
                Finding(code="unreadable-data", message=message, path=_PATH, hint="Save it as UTF-8.")
            )
    if wrong:
        raise RefusedDataError(*wrong)
    labels = np.array([label for _, label in files], dtype=np.int32)
    return Examples(np.array(texts, dtype=object).reshape(-1, 1), labels, tuple(names))
