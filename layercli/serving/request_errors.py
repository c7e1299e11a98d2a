"""Errors of requests: a status of HTTP with the problems that the commands print."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from layercli.errors import Problem, find_first_error


class RequestError(Exception):
    """A request that cannot be answered."""

    def __init__(
        self, status: HTTPStatus, problems: Sequence[Problem], *, retry_after: int | None = None
    ) -> None:
        super().__init__(status, problems)
        self.status = status
        self.problems = list(problems)
        self.retry_after = retry_after
        """Seconds after which the client may send the request again."""


def make_request_error(
    status: HTTPStatus,
    code: str,
    message: str,
    hint: str | None = None,
    *,
    path: str = "",
    retry_after: int | None = None,
) -> RequestError:
    """Return an error with one problem; ``path`` is the place in the document of the request."""
    return RequestError(
        status, [Problem(code=code, message=message, hint=hint, path=path)], retry_after=retry_after
    )


def make_bad_request(message: str, hint: str | None = None, *, path: str = "") -> RequestError:
    """Return the error of a request whose content is wrong."""
    return make_request_error(HTTPStatus.BAD_REQUEST, "bad-request", message, hint, path=path)


def make_error_document(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the document of an error; ``error`` is the key of the Open Inference Protocol."""
    first = find_first_error(problems) if problems else None
    text = "Error." if first is None else " ".join(filter(None, (first.full_message, first.hint)))
    return {"ok": False, "error": text, "problems": [problem.as_json() for problem in problems]}
