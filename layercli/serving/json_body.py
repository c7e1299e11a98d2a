"""Parse the JSON of a request, which may be hostile."""

from __future__ import annotations

import json
import re
from collections import Counter
from http import HTTPStatus
from typing import Any, Final, NoReturn

from layercli.io.regular import require_few_values
from layercli.serving.request_errors import RequestError, make_bad_request, make_request_error
from layercli.source.nodes import sanitize_text

_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_MAX_DEPTH: Final = 64
"""Deepest nesting: rows of arrays with as many axes as NumPy supports."""


def parse_json_body(content: bytes) -> dict[str, Any] | list[Any]:
    """Return the object or list of a request.

    Raises:
        RequestError: It is not JSON in UTF-8, has a name twice, NaN, deep nesting or too many values.
    """
    try:
        require_few_values(content)
    except ValueError as error:
        message = f"The JSON of the request cannot be read: {error}."
        hint = "Send fewer rows in a request, or large arrays as binary tensors to `/v2/models/NAME/infer`."
        raise make_request_error(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request-too-large", message, hint
        ) from None
    if not content.strip():
        raise make_bad_request("The request has no body.", 'Send JSON, such as {"rows": [...]}.')
    try:
        document = json.loads(
            content.decode("utf-8"), object_pairs_hook=_make_object, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise make_bad_request(
            f"The request must be UTF-8; byte {error.start + 1} is not.", "Encode the JSON as UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        message = f"The request is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        raise make_bad_request(message, "Write it with a JSON library.") from None
    except RecursionError:
        raise _make_depth_error() from None
    except ValueError:  # an integer with thousands of digits
        raise make_bad_request("The request has a number with too many digits.") from None
    if not isinstance(document, (dict, list)):
        raise make_bad_request("The request must be a JSON object or a list.")
    _check_depth(document)
    if _ESCAPED_SURROGATE.search(content):
        _check_characters(document)
    return document


def _check_characters(document: Any) -> None:
    """Check that texts have only complete characters: an escape can be half of one.

    Raises:
        RequestError: A text has half a character.
    """
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        message = f"The text of the request has `\\u{code:04x}`, which is only half of a character."
        raise make_bad_request(message, "Write texts with a JSON library.") from None


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        shown = sanitize_text(repeated, limit=60)
        raise make_bad_request(f"The name `{shown}` occurs twice in one object.", "Remove one of them.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise make_bad_request(
        f"{name} is not JSON.", "Write null for a missing number; binary tensors can contain NaN."
    )


def _check_depth(document: Any) -> None:
    """Check the nesting, so that no later step recurses deeply.

    Raises:
        RequestError: It is too deep.
    """
    level = [document]
    for _ in range(_MAX_DEPTH):
        values = [value for each in level for value in (each.values() if isinstance(each, dict) else each)]
        level = [value for value in values if isinstance(value, (dict, list))]
        if not level:
            return
    raise _make_depth_error()


def _make_depth_error() -> RequestError:
    return make_bad_request(
        f"The request is nested more than {_MAX_DEPTH} levels deep.", "Send flatter JSON."
    )
