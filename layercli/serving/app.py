"""The routes of the server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from layercli.data.predictions import iterate_json_rows
from layercli.errors import LayercliError, Problem
from layercli.io.bug_report import write_bug_report
from layercli.serving.compression import ENCODINGS, decompress_body
from layercli.serving.example_reader import Prepared, require_rows
from layercli.serving.json_body import parse_json_body
from layercli.serving.openapi import make_openapi_document
from layercli.serving.origins import require_known_origin
from layercli.serving.request_errors import (
    RequestError,
    make_bad_request,
    make_error_document,
    make_request_error,
)
from layercli.serving.served_model import Answer, ServedModel
from layercli.serving.service import Service
from layercli.serving.start_page import SECURITY_HEADERS, make_start_page
from layercli.serving.tensors import InferenceRequest, make_inference_response, parse_inference_request
from layercli.source.nodes import sanitize_text
from layercli.version import __version__

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
_JSON: Final = "application/json"
_BINARY: Final = "application/octet-stream"
_PLAIN: Final = "identity"
_SMALL_BYTES: Final = 1 << 14
"""Bodies up to this size are parsed at once, larger ones in another thread."""
_SMALL_ROWS: Final = 64
_MAX_ROW_PROBLEMS: Final = 20
_DISCARD_SECONDS: Final = 5
_DISCARD_FACTOR: Final = 16
_MAX_BUG_REPORTS: Final = 10
T = TypeVar("T")
Endpoint: TypeAlias = Callable[[Service, Request], Awaitable[Response]]


def make_app(service: Service) -> Starlette:
    """Return the application."""
    bugs: list[str] = []

    def route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        async def answer(request: Request) -> Response:
            start = time.perf_counter()
            with service.count_active():
                response = await _answer(service, endpoint, request, bugs)
            seconds = time.perf_counter() - start
            service.metrics.requests.labels(path, response.status_code).inc()
            service.metrics.request_seconds.labels(path).observe(seconds)
            return response

        return Route(path, answer, methods=[method])

    model_routes = [
        route(f"/v2/models/{{name}}{version}{suffix}", endpoint, method)
        for version in ("", "/versions/{version}")
        for suffix, endpoint, method in (
            ("", _get_metadata, "GET"),
            ("/ready", _get_model_ready, "GET"),
            ("/infer", _infer, "POST"),
        )
    ]
    app = Starlette(
        routes=[
            route("/", _get_page),
            route("/openapi.json", _get_openapi),
            route("/metrics", _get_metrics),
            route("/predict", _predict, "POST"),
            route("/v2", _get_server),
            route("/v2/health/live", _get_live),
            route("/v2/health/ready", _get_ready),
            *model_routes,
        ],
        exception_handlers={HTTPException: _refuse_address},
    )
    app.router.redirect_slashes = False
    return app


async def _answer(service: Service, endpoint: Endpoint, request: Request, bugs: list[str]) -> Response:
    """Return the response of an endpoint; every error has a response."""
    try:
        require_known_origin(request, service.limits.hosts)
        return await endpoint(service, request)
    except RequestError as error:
        return _make_error_response(error)
    except LayercliError as error:  # the model or the reader refuses the examples
        return _make_error_response(RequestError(HTTPStatus.BAD_REQUEST, error.problems))
    except ClientDisconnect:
        return Response(status_code=HTTPStatus.BAD_REQUEST)
    except Exception as error:
        log = write_bug_report(error) if len(bugs) < _MAX_BUG_REPORTS else bugs[-1]
        bugs.append(log)
        message = f"Internal error in layercli: {type(error).__name__}."
        print(f"{message} The traceback is in {log}", file=sys.stderr, flush=True)
        return _make_error_response(
            make_request_error(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", message)
        )


def _make_error_response(error: RequestError) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    closing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if error.status in closing or error.retry_after is not None:
        headers["Connection"] = "close"  # what the client still sends is not read
    return _make_json_response(make_error_document(error.problems), error.status, headers)


def _make_json_response(
    document: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    content = json.dumps(document, allow_nan=False, default=str).encode()
    return Response(content, status, headers, media_type=_JSON)


async def _refuse_address(request: Request, error: Exception) -> Response:
    """Return the response for an address or a method that no route has."""
    assert isinstance(error, HTTPException)
    path = sanitize_text(request.url.path, limit=80)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"`{path}` cannot be used with {sanitize_text(request.method, limit=20)}."
        hint = f"Use {allowed}."
    else:
        message, hint = f"The server has no `{path}`.", "See `/` for the addresses."
    response = _make_error_response(
        make_request_error(HTTPStatus(error.status_code), "unknown-address", message, hint)
    )
    response.headers.update(error.headers or {})
    return response


async def _get_page(service: Service, request: Request) -> Response:
    page = make_start_page(service.model, str(request.base_url).rstrip("/"))
    return Response(page, media_type="text/html; charset=utf-8", headers=SECURITY_HEADERS)


async def _get_openapi(service: Service, _request: Request) -> Response:
    return _make_json_response(make_openapi_document(service.model))


async def _get_metrics(service: Service, _request: Request) -> Response:
    service.metrics.waiting.set(service.batcher.waiting)
    return Response(service.metrics.format_text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _get_server(_service: Service, _request: Request) -> Response:
    return _make_json_response(
        {"name": "layercli", "version": __version__, "extensions": ["binary_tensor_data"]}
    )


async def _get_live(_service: Service, _request: Request) -> Response:
    return _make_json_response({"live": True})


def _check_readiness(service: Service) -> tuple[bool, HTTPStatus]:
    is_ready = not service.is_draining
    return is_ready, HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE


async def _get_ready(service: Service, _request: Request) -> Response:
    is_ready, status = _check_readiness(service)
    return _make_json_response({"ready": is_ready}, status)


async def _get_model_ready(service: Service, request: Request) -> Response:
    model = _find_model(service, request)
    is_ready, status = _check_readiness(service)
    return _make_json_response({"name": model.name, "ready": is_ready}, status)


async def _get_metadata(service: Service, request: Request) -> Response:
    return _make_json_response(_find_model(service, request).describe())


def _find_model(service: Service, request: Request) -> ServedModel:
    """Return the model that the address names.

    Raises:
        RequestError: It names another one.
    """
    model = service.model
    name, version = request.path_params["name"], request.path_params.get("version", model.version)
    if (name, version) != (model.name, model.version):
        shown = sanitize_text(name if name != model.name else f"{name}/versions/{version}", limit=80)
        raise make_request_error(
            HTTPStatus.NOT_FOUND,
            "unknown-address",
            f"The server has no model `{shown}`.",
            f"Its model is `{model.name}`, version `{model.version}`.",
        )
    return model


async def _predict(service: Service, request: Request) -> Response:
    """Answer rows of JSON."""
    service.require_open()
    _require_type(request, (_JSON,))
    model = service.model
    with _Body(service) as body:
        content = await body.read(request)
        async with service.limit_parsing(len(content)):
            prepared = await _call_function(len(content) <= _SMALL_BYTES, _prepare_rows, model, content)
        del content
        answer = await service.predict(model, prepared)
    return await _call_function(len(answer.errors) <= _SMALL_ROWS, _make_rows_response, answer)


async def _call_function(is_small: bool, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function, in another thread if that takes long."""
    return function(*arguments) if is_small else await asyncio.to_thread(function, *arguments)


def _prepare_rows(model: ServedModel, content: bytes) -> Prepared:
    return model.reader.prepare_rows(require_rows(parse_json_body(content)))


def _make_rows_response(answer: Answer) -> Response:
    problems = [*answer.warnings, *answer.list_row_problems()[:_MAX_ROW_PROBLEMS]]
    is_ok = None in answer.errors
    document = {
        "ok": is_ok,
        "rows": list(iterate_json_rows(answer.columns)),
        "problems": [problem.as_json() for problem in problems],
    }
    if not is_ok:
        document["error"] = make_error_document(problems)["error"]
    return _make_json_response(document, HTTPStatus.OK if is_ok else HTTPStatus.BAD_REQUEST)


async def _infer(service: Service, request: Request) -> Response:
    """Answer tensors of the Open Inference Protocol."""
    model = _find_model(service, request)
    service.require_open()
    _require_type(request, (_JSON, _BINARY))
    with _Body(service) as body:
        content = await body.read(request)
        length = request.headers.get(HEADER_LENGTH)
        async with service.limit_parsing(len(content)):
            parsed, prepared = await _call_function(
                len(content) <= _SMALL_BYTES, _prepare_tensors, model, content, length
            )
        del content
        answer = await service.predict(model, prepared)
    return await _call_function(
        len(answer.errors) <= _SMALL_ROWS, _make_tensors_response, model, parsed, answer
    )


def _prepare_tensors(
    model: ServedModel, content: bytes, length: str | None
) -> tuple[InferenceRequest, Prepared]:
    size = len(content)
    if length is not None:
        if not (length.isascii() and length.isdigit() and len(length) < 19) or int(length) > size:
            raise make_bad_request(
                f"The header {HEADER_LENGTH} must be the number of bytes of the JSON, at most {size:,}."
            )
        size = int(length)
    request = parse_inference_request(parse_json_body(content[:size]), content[size:])
    known = {spec.name for spec in model.outputs}
    for name in request.output_names or ():
        if name not in known and model.reader.has_fixed_rows:
            raise make_bad_request(
                f"The model has no output `{sanitize_text(name, limit=60)}`.",
                f"Its outputs are {', '.join(sanitize_text(spec.name) for spec in model.outputs)}.",
                path="outputs",
            )
    return request, model.reader.prepare_tensors(request.tensors)


def _make_tensors_response(model: ServedModel, request: InferenceRequest, answer: Answer) -> Response:
    if any(answer.errors):
        problems: Sequence[Problem] = answer.list_row_problems()[:_MAX_ROW_PROBLEMS]
        return _make_error_response(RequestError(HTTPStatus.BAD_REQUEST, problems))
    head = {"model_name": model.name, "model_version": model.version}
    document, parts = make_inference_response(answer.outputs, request, head)
    if not parts:
        return _make_json_response(document)
    text = json.dumps(document, allow_nan=False, default=str).encode()
    return Response(b"".join([text, *parts]), media_type=_BINARY, headers={HEADER_LENGTH: str(len(text))})


def _require_type(request: Request, allowed: Sequence[str]) -> None:
    """Check the type and the compression of a body, if the request names them.

    Raises:
        RequestError: It is another one.
    """
    found = request.headers.get("Content-Type", allowed[0]).partition(";")[0].strip().lower()
    encoding = request.headers.get("Content-Encoding", _PLAIN).lower()
    if found not in allowed:
        message = (
            f"The type of the body must be {' or '.join(allowed)}, got {sanitize_text(found, limit=60)}."
        )
        hint = f"Send the header `Content-Type: {allowed[0]}`."
    elif encoding not in (_PLAIN, *ENCODINGS):
        known = " or ".join(ENCODINGS)
        message = f"The body can be compressed as {known}, got {sanitize_text(encoding, limit=60)}."
        hint = "Remove the header `Content-Encoding`, and send the JSON as it is."
    else:
        return
    raise make_request_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-type", message, hint)


class _Body:
    """The body of a request, which counts as memory of the service until the request is answered."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._size = 0

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *_: object) -> None:
        self._service.add_body_bytes(-self._size)

    async def read(self, request: Request) -> bytes:
        """Return the body.

        Raises:
            RequestError: It is too large, or comes too slowly.
        """
        limits = self._service.limits
        length = request.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > limits.max_body:
            if "Expect" not in request.headers:
                await self._discard_body(request)
            raise self._make_size_error()
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(limits.batches.timeout):
                async for part in request.stream():
                    self._size += len(part)
                    self._service.add_body_bytes(len(part))
                    if self._size > limits.max_body:
                        parts.clear()
                        await self._discard_body(request)
                        raise self._make_size_error()
                    parts.append(part)
        except TimeoutError:
            message = f"The body did not arrive within {limits.batches.timeout:g} seconds."
            raise make_request_error(
                HTTPStatus.REQUEST_TIMEOUT, "request-timeout", message, "Send it faster, or fewer rows."
            ) from None
        content = b"".join(parts)
        if request.headers.get("Content-Encoding", _PLAIN).lower() == _PLAIN:
            return content
        decompressed = await asyncio.to_thread(decompress_body, content, limits.max_body)
        if decompressed is None:
            raise self._make_size_error()
        self._size += len(decompressed)
        self._service.add_body_bytes(len(decompressed))
        return decompressed

    async def _discard_body(self, request: Request) -> None:
        """Read the rest of a body that is too large: many clients read the response only after they have sent it."""
        limit = _DISCARD_FACTOR * self._service.limits.max_body
        count = 0
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                async for part in request.stream():
                    count += len(part)
                    if count > limit:
                        return
        except TimeoutError:
            return

    def _make_size_error(self) -> RequestError:
        limit = self._service.limits.max_body
        return make_request_error(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "request-too-large",
            f"The body of the request is larger than {limit / 2**20:g} MiB.",
            "Send fewer rows, or start the server with a larger `--max-body-mib`.",
        )
