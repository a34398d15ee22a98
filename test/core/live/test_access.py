"""Who may open the page."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lgnet_core.live.access import AccessGuard, is_loopback


class Connection:
    @staticmethod
    def respond(status: int, text: str) -> SimpleNamespace:
        return SimpleNamespace(status=status, text=text, headers={})


def answer(guard: AccessGuard, path: str = "/", **headers: str) -> SimpleNamespace:
    """The response to a request behind the guard; the server itself answers 200."""
    handler = guard.wrap(lambda connection, request: SimpleNamespace(status=200, headers={}))
    return handler(Connection(), SimpleNamespace(path=path, headers=headers))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    assert AccessGuard(host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "robot", "localhost.evil.org", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
    assert AccessGuard(host).token


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_this_machine_may(host: str) -> None:
    guard = AccessGuard("127.0.0.1")
    assert answer(guard, Host=host).status == 200
    assert answer(guard, Host=host, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize("origin", ["https://evil.org", "http://localhost:3000", "null", "http://127.0.0.1"])
def test_pages_of_other_sites_may_not(origin: str) -> None:
    response = answer(AccessGuard("127.0.0.1"), Host="127.0.0.1:8080", Origin=origin)
    assert response.status == 403
    assert origin in response.text


def test_dns_that_points_to_this_machine_may_not() -> None:
    """The origin is then the same as the host."""
    response = answer(AccessGuard("127.0.0.1"), Host="evil.org:8080", Origin="http://evil.org:8080")
    assert response.status == 403


def test_elsewhere_the_token_is_asked_for_once() -> None:
    guard = AccessGuard("0.0.0.0")
    assert answer(guard, Host="robot:8080").status == 403
    assert answer(guard, "/?token=guess", Host="robot:8080").status == 403
    response = answer(guard, f"/?token={guard.token}", Host="robot:8080")
    assert response.status == 200
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    assert answer(guard, Host="robot:8080", Cookie=f"other=1; {cookie}").status == 200
    assert answer(guard, Host="robot:8081", Cookie=cookie).status == 403, "of another server of the same host"
    assert answer(guard, Host="robot:8080", Origin="http://evil.org", Cookie=cookie).status == 403


@pytest.mark.parametrize("cookie", ["lgnet_token_8080=wrong", "lgnet_token_8080=", "=;=,", "\x00"])
def test_wrong_cookies(cookie: str) -> None:
    assert answer(AccessGuard("0.0.0.0"), Host="robot:8080", Cookie=cookie).status == 403


def test_tokens_differ() -> None:
    assert AccessGuard("0.0.0.0").token != AccessGuard("0.0.0.0").token
