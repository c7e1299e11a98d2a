"""The form of ``data.json``, the state of a reader, which may come from anybody."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from layercli.graph.target_meaning import TargetKind

_Dtype = Annotated[str, Field(pattern=r"^(u?int\d{1,2}|b?float\d{1,2}|bool|object|string)$")]
_Size = Annotated[int, Field(ge=0, lt=2**31)]
_Names = list[str]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Input(_Document):
    name: str | None
    shape: list[_Size]
    dtype: _Dtype


class _Target(_Document):
    name: str | None
    kind: TargetKind
    columns: _Names = []


class _Plan(_Document):
    input: _Names | None
    inputs: dict[str, _Names]
    texts: _Names
    targets: list[
        Annotated[
            list[str | Annotated[int, Field(ge=0, lt=2**31)] | _Names | None],
            Field(min_length=4, max_length=4),
        ]
    ]
    labels: list[Annotated[list[str | _Names | None], Field(min_length=3, max_length=3)]] = []
    weights: str | None
    drop: _Names
    keys: _Names
    time: str | None = None
    fill: dict[str, float | str]
    integers: list[Annotated[list[str | None], Field(min_length=2, max_length=2)]]
    dates: dict[str, Annotated[list[str | float], Field(min_length=2, max_length=3)]] = {}
    conversions: dict[str, str] = {}


class ReaderStateDocument(_Document):
    """The document of ``ReaderState.to_json``; other keys are ignored."""

    inputs: list[_Input]
    class_names: _Names | dict[str, _Names] | None
    plan: _Plan | None
    targets: list[_Target] = []
