"""Who is answered: only the browser that was given the address, and only under the name of the loopback address.

A page from elsewhere can send requests to this machine, and by rebinding its own name even read the answers. But it
does not know the token in the path, its name is not the one in the header `Host`, and a browser says where a request
came from.
Nothing is cached on the disk, and the page may load nothing from anywhere else.
"""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class Guard:
    """Lets a request through to the app if it is for this server and from its own page; others get 404 or 403."""

    def __init__(self, app: App, token: str, port: int, heard: Callable[[], None]) -> None:
        """Take what answers, the secret first part of every path, and what to call for a request let through."""
        self._app = app
        self._token = token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._heard = heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        given = {name: value.decode("latin-1") for name, value in scope["headers"]}
        first = scope["path"].lstrip("/").partition("/")[0]
        if given.get(b"host") not in self._hosts or not hmac.compare_digest(first.encode(), self._token.encode()):
            await _refuse(send, 404)
        elif not self._is_own(scope["method"], given):
            await _refuse(send, 403)
        else:
            self._heard()
            await self._app(scope, receive, _with_headers(send))

    def _is_own(self, method: str, given: MutableMapping[bytes, str]) -> bool:
        origin = given.get(b"origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return False
        if given.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        # A form of another site cannot send this type without being asked about first.
        return method == "GET" or given.get(b"content-type", "").partition(";")[0] == "application/json"


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return sent


async def _refuse(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(_HEADERS)})
    await send({"type": "http.response.body", "body": b""})
