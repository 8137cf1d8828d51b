"""Serving the page: every answer is about a number in the queue, and nothing that a browser sends is part of a path."""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeGuard

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import PrepError, UsageError
from pipeline.review.agreement import agreements
from pipeline.review.faces import Faces
from pipeline.review.guard import Guard
from pipeline.review.session import Session

_PAGE: Final = Path(__file__).with_name("page")
_TYPES: Final = {
    "review.html": "text/html",
    "review.js": "text/javascript",
    "review.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_LOOPBACK: Final = "127.0.0.1"
_MAX_BODY: Final = 4096  # bytes of a decision
_CHECK_S: Final = 1.0  # between two looks at whether the server should end


class Review:
    """The answers of the server for one person's session."""

    def __init__(self, session: Session, faces: Faces, shown_terms: dict[str, str]) -> None:
        """Take the session, the pictures, and what the terms of each dataset say about showing faces."""
        self._session = session
        self._faces = faces
        self._terms = shown_terms
        self.closed = False

    def app(self, token: str) -> Starlette:
        """Return the application, all of whose paths begin with the token."""
        routes = [
            Route(f"/{token}/", self._static("review.html")),
            *(Route(f"/{token}/{name}", self._static(name)) for name in _TYPES),
            Route(f"/{token}/start", self._start),
            Route(f"/{token}/item/{{number:int}}", self._item),
            Route(f"/{token}/crop/{{number:int}}", self._crop),
            Route(f"/{token}/crop/{{number:int}}/{{neighbour:int}}", self._crop),
            Route(f"/{token}/picture/{{number:int}}", self._picture),
            Route(f"/{token}/agreement", self._agreement),
            Route(f"/{token}/decide", self._decide, methods=["POST"]),
            Route(f"/{token}/undo", self._undo, methods=["POST"]),
            Route(f"/{token}/close", self._close, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={PrepError: _explain})

    def _static(self, name: str) -> Callable[[Request], Any]:
        content = (_PAGE / name).read_bytes()

        async def answer(_: Request) -> Response:
            return Response(content, media_type=_TYPES[name])

        return answer

    async def _start(self, _: Request) -> Response:
        return JSONResponse(
            {**self._session.progress(), "by": self._session.by, "classes": list(CLASSES), "terms": self._terms}
        )

    async def _item(self, request: Request) -> Response:
        number = request.path_params["number"]
        item = self._at(number)
        whole = await run_in_threadpool(self._faces.whole, item.sample_id)
        said = self._session.verdict(number)
        return JSONResponse(
            {
                "number": number,
                "sample": item.sample_id,
                "dataset": item.sample_id.partition("/")[0],
                "reason": item.reason,
                "detail": item.detail,
                "score": item.score,
                "label": item.label,
                "answer": item.answer,
                "neighbours": list(item.neighbours),
                "face": self._faces.found(item.sample_id),
                "size": None if whole is None else [whole.width, whole.height],
                "said": None if said is None else {"kind": said.kind, "value": said.value},
            }
        )

    async def _crop(self, request: Request) -> Response:
        item = self._at(request.path_params["number"])
        neighbour = request.path_params.get("neighbour")
        if neighbour is not None and neighbour >= len(item.neighbours):
            return Response(status_code=404)
        name = item.sample_id if neighbour is None else item.neighbours[neighbour]
        return _picture(await run_in_threadpool(self._faces.crop, name))

    async def _picture(self, request: Request) -> Response:
        whole = await run_in_threadpool(self._faces.whole, self._at(request.path_params["number"]).sample_id)
        return _picture(None if whole is None else whole.content)

    async def _agreement(self, _: Request) -> Response:
        found = await run_in_threadpool(lambda: agreements(self._session.everyone()))
        names = ("first", "second", "samples", "same", "kappa")
        return JSONResponse([{name: getattr(pair, name) for name in names} for pair in found])

    async def _decide(self, request: Request) -> Response:
        given = await _body(request)
        number, kind, value, neighbour = (given.get(name) for name in ("number", "kind", "value", "neighbour"))
        if not _is_whole(number) or not isinstance(kind, str) or not isinstance(value or "", str):
            raise UsageError("expected a number, a kind and a value")
        other = neighbour if _is_whole(neighbour) else None
        await run_in_threadpool(self._session.decide, number, kind, value or "", other)
        return JSONResponse(self._session.progress())

    async def _undo(self, _: Request) -> Response:
        back = await run_in_threadpool(self._session.undo)
        return JSONResponse({**self._session.progress(), "number": back})

    async def _close(self, _: Request) -> Response:
        self.closed = True
        return JSONResponse({})

    def _at(self, number: int) -> Any:
        if number >= len(self._session.queue):
            raise UsageError(f"the queue has no sample {number}")
        return self._session.queue[number]


def serve(review: Review, *, port: int, idle_minutes: float, ready: Callable[[str], None]) -> None:
    """Serve the page on the loopback address until it is closed, or nobody used it for a while.

    Args:
        review: what to answer.
        port: to listen on; 0: any free one.
        idle_minutes: after so long without a request the server ends.
        ready: called with the address, which holds the secret, once the server listens.

    Raises:
        UsageError: the port is taken.
    """
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK, port))
    except OSError as error:
        listening.close()
        raise UsageError(f"--port {port}: {error.strerror}; leave it out for a free one") from None
    token, number = secrets.token_urlsafe(24), listening.getsockname()[1]
    last = [time.monotonic()]

    def heard() -> None:
        last[0] = time.monotonic()

    guard = Guard(review.app(token), token, number, heard)
    server = uvicorn.Server(uvicorn.Config(guard, log_level="error", access_log=False, lifespan="off", ws="none"))

    async def run() -> None:
        watch = asyncio.create_task(_watch(server, review, last, idle_minutes * 60))
        await server.serve(sockets=[listening])
        watch.cancel()

    listening.listen()
    ready(f"http://{_LOOPBACK}:{number}/{token}/")
    try:
        asyncio.run(run())
    finally:
        listening.close()


async def _watch(server: uvicorn.Server, review: Review, last: list[float], idle_s: float) -> None:
    while not review.closed and time.monotonic() - last[0] < idle_s:
        await asyncio.sleep(min(_CHECK_S, idle_s))
    server.should_exit = True


async def _body(request: Request) -> dict[str, Any]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_BODY:
            raise UsageError("too long for a decision")
    try:
        given = json.loads(content)
    except ValueError:
        raise UsageError("not JSON") from None
    return given if isinstance(given, dict) else {}


def _is_whole(number: Any) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool)


def _picture(content: bytes | None) -> Response:
    return Response(status_code=404) if content is None else Response(content, media_type="image/jpeg")


async def _explain(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
