"""The real server: what it answers to whom, and that it opens no tunnel."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest
from support.viser_client import ViserClient, open_connection
from support.waiting import wait_for
from viser import _messages
from websockets.exceptions import InvalidStatus

from lgnet_core.live.access import AccessGuard
from lgnet_core.live.server import LocalServer

StartServer = Callable[..., LocalServer]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    with ExitStack() as stack:

        def start(*args: object) -> LocalServer:
            server = LocalServer(*args)
            stack.callback(server.stop)
            return server

        yield start


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_page_is_on_loopback(start_server: StartServer) -> None:
    server = start_server("127.0.0.1", 0)
    assert server.url == f"http://127.0.0.1:{server.get_port()}/"
    assert not server.warning
    with urllib.request.urlopen(server.url) as response:
        assert b"<html" in response.read()


def test_a_page_of_another_site_gets_no_connection(start_server: StartServer) -> None:
    port = start_server("127.0.0.1", 0).get_port()
    with pytest.raises(InvalidStatus, match="403"):
        open_connection(port, origin="https://evil.org")
    with ViserClient(port, origin=f"http://127.0.0.1:{port}"):
        pass


def test_other_host_names_get_no_page(start_server: StartServer) -> None:
    connection = HTTPConnection("127.0.0.1", start_server("127.0.0.1", 0).get_port())
    connection.request("GET", "/", headers={"Host": "evil.org"})
    assert connection.getresponse().status == 403


def test_elsewhere_a_token_and_a_warning(start_server: StartServer) -> None:
    server = start_server("0.0.0.0", 0)
    port = server.get_port()
    token = server.url.partition("?token=")[2]
    assert "can see the camera" in server.warning
    assert status(f"http://127.0.0.1:{port}/") == 403
    assert status(f"http://127.0.0.1:{port}/?token={token}") == 200
    with pytest.raises(InvalidStatus, match="403"):
        open_connection(port)
    with ViserClient(port, additional_headers={"Cookie": f"lgnet_token_{port}={token}"}):
        pass


def test_no_tab_can_open_a_tunnel(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """viser itself would open one to share.viser.studio at a click."""
    tunnels: list[object] = []
    monkeypatch.setattr("viser._viser.ViserTunnel", lambda *args: tunnels.append(args))
    server = start_server("127.0.0.1", 0)
    button = server.gui.add_checkbox("after", False)
    with ViserClient(server.get_port()) as tab:
        tab.send(_messages.ShareUrlRequest())
        tab.set("after", True)
        wait_for(lambda: button.value, "the message after it")
    assert server.request_share_url() is None
    server._thread_executor.shutdown(wait=True)
    assert not tunnels


def test_the_next_free_port_is_used(start_server: StartServer) -> None:
    first = start_server("127.0.0.1", 0)
    second = start_server("127.0.0.1", first.get_port())
    assert second.get_port() > first.get_port()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=f"host {host}: this machine has no such address"):
        LocalServer(host, 0)


def test_a_server_without_the_guard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a viser that starts its server differently."""
    monkeypatch.setattr(AccessGuard, "wrap", lambda guard, process_request: process_request)
    with pytest.raises(RuntimeError, match="access to the camera's page cannot be restricted"):
        LocalServer("127.0.0.1", 0)


def test_the_port_is_free_after_stop() -> None:
    server = LocalServer("127.0.0.1", 0)
    server.stop()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", server.get_port()))
