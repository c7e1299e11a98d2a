"""The meaning of each target, as sentences and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from layercli.graph.target_meaning import TargetMeaning
from layercli.source.nodes import sanitize_text

Meanings: TypeAlias = Mapping[str | None, TargetMeaning]
"""The meaning of each target by its output; None is the name of the only target."""
ClassNames: TypeAlias = Callable[[str | None], Sequence[str] | None]
"""Return the names of the classes of a target, in the order of their labels, if they have names."""
_MAX_SHOWN_CLASSES: Final = 8
_DESCRIPTIONS: Final = {
    "labels": "one of {classes}",
    "one-hot": "one of {classes}, as a one-hot vector",
    "probabilities": "a probability for each of {classes}",
    "multi-label": "{classes}, each 0 or 1",
    "binary": "0 or 1",
    "signs": "-1 or 1",
    "numbers": "numbers",
}


def describe_targets(meanings: Meanings, class_names_of: ClassNames) -> list[str]:
    """Return a sentence for each target, and one for each mapping of its labels."""
    lines = []
    for target, meaning in meanings.items():
        of = f" of {sanitize_text(target, limit=40)}" if target is not None else ""
        count = "several classes" if meaning.classes is None else f"{meaning.classes} classes"
        description = _DESCRIPTIONS[meaning.kind].format(classes=count)
        each = " for each position" if meaning.has_positions and meaning.kind != "numbers" else ""
        made = " that is made from the labels" if meaning.is_converted else ""
        lines.append(f"Target{of}: {description}{made}{each}.")
        if names := class_names_of(target):
            pairs = [f"{sanitize_text(name, limit=40)} = {label}" for label, name in enumerate(names)]
            more = f", ... ({len(names)} classes)" if len(pairs) > _MAX_SHOWN_CLASSES else ""
            lines.append(f"Labels{of}: {', '.join(pairs[:_MAX_SHOWN_CLASSES])}{more}.")
    return lines


def targets_json(meanings: Meanings, class_names_of: ClassNames) -> dict[str, dict[str, Any]]:
    """Return the meaning of each target by its name; the only target has the name "target"."""
    return {
        target or "target": {
            "meaning": meaning.kind,
            "positions": meaning.has_positions,
            "one_hot_from_labels": meaning.is_converted,
            "labels": list(class_names_of(target) or ()),
        }
        for target, meaning in meanings.items()
    }
