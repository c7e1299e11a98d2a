"""``train.seeds``: the seeds of several trainings of one config."""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import PlainValidator, WithJsonSchema

from layercli.schema.strict_model import ExpectedText, mismatch_error, value_error

MAX_SEEDS: Final = 1000
MAX_SEED: Final = 2**31 - 1
"""The largest seed of a config."""
_EXPECTED: Final = "a number of seeds (1 to 1000) or a list of seeds"
_EXAMPLE: Final = "For example 5, or [1, 2, 3]."


def parse_seeds(value: Any) -> int | list[int]:
    """Return a number of seeds, or a list of different seeds.

    Raises:
        PydanticCustomError: It is neither.
    """
    if isinstance(value, (list, tuple)):
        return _parse_list(list(value))
    if isinstance(value, bool) or not isinstance(value, int):
        hint = (
            f"Remove the quotes: `{value.strip()[:20]}`."
            if isinstance(value, str) and value.strip().isdigit()
            else _EXAMPLE
        )
        raise mismatch_error("wrong-type", _EXPECTED, value, hint)
    if not 1 <= value <= MAX_SEEDS:
        raise mismatch_error(
            "out-of-range",
            _EXPECTED,
            value,
            f"To train with the seed {value} only, write [{value}]." if value >= 0 else _EXAMPLE,
        )
    return value


def _parse_list(seeds: list[Any]) -> list[int]:
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
            code = "wrong-type" if isinstance(seed, bool) or not isinstance(seed, int) else "out-of-range"
            hint = f"A seed is an integer from 0 to {MAX_SEED:,}."
            raise mismatch_error(code, "a list of seeds", seed, hint, container=seeds)
    if not 1 <= len(seeds) <= MAX_SEEDS:
        hint = _EXAMPLE if not seeds else f"At most {MAX_SEEDS:,} seeds can be trained."
        raise mismatch_error("wrong-length", "a list of 1 to 1000 seeds", seeds, hint)
    repeated = next((seed for index, seed in enumerate(seeds) if seed in seeds[:index]), None)
    if repeated is not None:
        message = f"`seeds` must be different integers, got {repeated} more than once."
        hint = f"Remove the second {repeated}: its training would be the same again."
        raise value_error("bad-argument", message, hint)
    return seeds


def list_seeds(seeds: int | list[int], first: int) -> list[int]:
    """Return the seeds of the list, or a number of seeds from ``first`` on; after the largest seed follows 0."""
    if isinstance(seeds, list):
        return seeds
    return [(first + offset) % (MAX_SEED + 1) for offset in range(seeds)]


SeedsField: TypeAlias = Annotated[
    int | list[int],
    PlainValidator(parse_seeds),
    WithJsonSchema({"type": ["integer", "array"]}),
    ExpectedText(_EXPECTED),
]
