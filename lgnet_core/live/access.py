"""Access control of the page: the local browser only, or clients that know the token.

Web pages of other sites run on this machine too, and a browser lets each of them open a WebSocket to a port of this
machine. So the guard compares the ``Origin`` that a browser states with the address of the page. On loopback it also
refuses other host names, behind which DNS can hide this machine (DNS rebinding). Elsewhere it asks for a token, which
the address that is printed contains and a cookie then keeps.
"""

from __future__ import annotations

import hmac
import http
import ipaddress
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8080
COOKIE = "lgnet_token"
"""Start of the cookie's name, which ends with the port, since browsers share cookies among the ports of a host."""

ProcessRequest = Callable[[Any, Any], Any]
"""Argument ``process_request`` of ``websockets.asyncio.server.serve``: a response to a request, or None to
accept it."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class AccessGuard:
    """Refuses the requests that must not reach the page.

    Args:
        host: to which the server is bound.

    Attributes:
        token: None on loopback.
        installed: whether a server uses the guard.
    """

    def __init__(self, host: str) -> None:
        self.token = None if is_loopback(host) else secrets.token_urlsafe(16)
        self.installed = False

    def wrap(self, process_request: ProcessRequest) -> ProcessRequest:
        """The handler of a server's requests, behind this guard."""
        self.installed = True

        def guarded(connection: Any, request: Any) -> Any:
            reason = self._refusal(request)
            if reason:
                return connection.respond(http.HTTPStatus.FORBIDDEN, f"lgnet: {reason}\n")
            response = process_request(connection, request)
            if response is not None and self.token is not None:
                name = _cookie_name(request)
                response.headers["Set-Cookie"] = f"{name}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            return response

        return guarded

    def _refusal(self, request: Any) -> str:
        """Why a request is refused; empty if it is not."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"pages of {origin} may not use this server"
        if self.token is None:
            name = urlsplit(f"//{host}").hostname or ""
            return "" if is_loopback(name) else f"this server answers to localhost only, not to {name}"
        given = [*parse_qs(urlsplit(request.path).query).get("token", []), _cookie(request)]
        if any(hmac.compare_digest(value.encode(), self.token.encode()) for value in given):
            return ""
        return "open the whole address that the terminal shows, with its token"


def _cookie_name(request: Any) -> str:
    return f"{COOKIE}_{request.headers.get('Host', '').rpartition(':')[2]}"


def _cookie(request: Any) -> str:
    """Value of the cookie, empty without one."""
    try:
        cookies = SimpleCookie(request.headers.get("Cookie", ""))
    except CookieError:
        return ""
    name = _cookie_name(request)
    return cookies[name].value if name in cookies else ""
