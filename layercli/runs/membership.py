"""The group of runs that a run belongs to, as its manifest records it: a sweep, a cross-validation, several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from layercli.source.nodes import sanitize_text

GroupKind: TypeAlias = Literal["sweep", "crossval", "seeds"]
MANIFEST_KEY: Final = "group"
_MAX_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class Membership:
    """The role of a run in its group."""

    kind: GroupKind
    directory: str
    """The directory of the group."""
    member: str
    """The number of the trial or the fold, or the seed."""

    def as_json(self) -> dict[str, str]:
        """Return the entry of the manifest."""
        return asdict(self)


def describe_membership(kind: GroupKind, run_dir: Path) -> Membership:
    """Return the membership of a run in the group whose directory contains it."""
    return Membership(kind, run_dir.parent.as_posix(), run_dir.name)


def parse_membership(manifest: Mapping[str, Any]) -> Membership | None:
    """Return the membership in a manifest; None if the run has no group, or the entry is not what layercli writes."""
    found = manifest.get(MANIFEST_KEY)
    if not isinstance(found, dict) or found.get("kind") not in get_args(GroupKind):
        return None
    directory, member = found.get("directory"), found.get("member")
    if not isinstance(directory, str) or not isinstance(member, str):
        return None
    return Membership(
        cast("GroupKind", found["kind"]),
        sanitize_text(directory, limit=_MAX_LENGTH),
        sanitize_text(member, limit=_MAX_LENGTH),
    )
