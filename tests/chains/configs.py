"""Random configs whose layers fit together most of the time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

from layercli.check import check_config
from layercli.errors import has_errors
from tests.chains.data_folders import MAKERS, Source, make_data
from tests.chains.values import draw_component, list_types
from tests.security.mutate import damage_bytes, damage_json

_SHAPES: tuple[Any, ...] = (
    [4], [6, 3], [None, 3], [8, 8, 3], [8, 8, 1], [4, 4, 4, 2], [1], [0], [None, None, 3],
    {"shape": [1], "dtype": "string"}, {"shape": [5], "dtype": "int32"},
)  # fmt: skip


def make_config(
    folder: Path,
    rng: random.Random,
    *,
    kind: str | None = None,
    wrong: float = 0.05,
    count: int | None = None,
) -> dict[str, Any]:
    """Return a config with the data of a type, or without data, and with ``count`` random layers and a training."""
    source = Source({}, {"input": rng.choice(_SHAPES)}) if kind is None else make_data(folder, kind, rng)
    document: dict[str, Any] = {
        "seed": rng.randrange(9),
        "model": {**source.model, "layers": [*source.first_layers]},
    }
    if kind is not None:
        document["data"] = source.section
    add_layers(document, folder, rng, count=rng.randint(1, 3) if count is None else count, wrong=wrong)
    if kind is not None:
        layers = document["model"]["layers"]
        layers += ["Flatten", {"type": "Dense", "units": source.classes or 1}]
        if source.classes:
            layers[-1]["activation"] = "softmax"
    if kind is not None or rng.random() < 0.3:
        document["train"] = draw_training(rng, source.classes > 0, wrong=wrong)
    return document


def add_layers(
    document: dict[str, Any], folder: Path, rng: random.Random, *, count: int, wrong: float
) -> None:
    """Append random layers of the catalogue; one that does not fit is mostly left out again."""
    names = list_types("layer")
    layers = document["model"]["layers"]
    if not count:
        return
    for _ in range(count * 6):
        layers.append(draw_component("layer", rng.choice(names), rng, wrong=wrong))
        if is_valid({"model": document["model"]}, folder) or rng.random() < wrong:
            count -= 1
            if not count:
                break
        else:
            layers.pop()
    if not layers:
        layers.append("Flatten")


def is_valid(document: dict[str, Any], folder: Path) -> bool:
    """Return whether the static check accepts a config."""
    return not has_errors(check_config(str(folder / "config.yaml"), text=dump(document)).problems)


def draw_training(rng: random.Random, has_classes: bool, *, wrong: float) -> dict[str, Any]:
    """Return a training of an epoch, in which one section may be drawn from the catalogues."""
    section: dict[str, Any] = {
        "epochs": 1,
        "batch_size": 8,
        "loss": "sparse_categorical_crossentropy" if has_classes else "mse",
    }
    match rng.randrange(7):
        case 0:
            section["optimizer"] = draw_component(
                "optimizer", rng.choice(list_types("optimizer")), rng, wrong=wrong
            )
        case 1:
            section["loss"] = draw_component("loss", rng.choice(list_types("loss")), rng, wrong=wrong)
        case 2:
            section["metrics"] = [
                draw_component("metric", rng.choice(list_types("metric")), rng, wrong=wrong)
            ]
        case 3:
            section["callbacks"] = [
                draw_component("callback", rng.choice(list_types("callback")), rng, wrong=wrong)
            ]
        case 4:
            schedule = draw_component("schedule", rng.choice(list_types("schedule")), rng, wrong=wrong)
            section["optimizer"] = {"type": "SGD", "learning_rate": schedule}
    return section


def dump(document: Any) -> str:
    """Return a document as YAML."""
    return yaml.safe_dump(document, sort_keys=False)


def write_text(path: Path, document: dict[str, Any], rng: random.Random, *, damage: float) -> None:
    """Write a config; with the probability ``damage`` a value of it, or its bytes, are damaged."""
    if rng.random() < damage:
        if rng.random() < 0.6:
            document = damage_json(document, rng)
        else:
            path.write_bytes(damage_bytes(dump(document).encode(), rng))
            return
    try:
        path.write_text(dump(document), encoding="utf-8", errors="surrogatepass")
    except yaml.YAMLError:
        path.write_text("model: {", encoding="utf-8")


def draw_data_kind(rng: random.Random) -> str:
    """Return a type of data."""
    return rng.choice(list(MAKERS))
