"""The viser server of the page: bound to loopback by default, guarded, and without viser's share tunnel."""

from __future__ import annotations

import contextlib
import io
import socket
from typing import Any

import viser
import websockets.asyncio.server

from lgnet_core.io.output import reason_of
from lgnet_core.live.access import DEFAULT_PORT, LOOPBACK, AccessGuard, is_loopback

_PANEL_WIDTH = 480  # pixels


class LocalServer(viser.ViserServer):
    """A viser server that answers only the requests that its :class:`AccessGuard` accepts.

    Args:
        host: address to bind to; other machines reach it if that is not loopback.
        port: of the page; the next free one if it is taken, 0: any.

    Attributes:
        url: address of the page, with its token if it needs one.
        warning: what the user must know about a page that other machines can reach; empty on loopback.

    Raises:
        ValueError: if this machine does not have the address.
    """

    def __init__(self, host: str = LOOPBACK, port: int = DEFAULT_PORT) -> None:
        _check_address(host)
        guard = AccessGuard(host)
        serve = websockets.asyncio.server.serve

        def guarded(*args: Any, process_request: Any, **options: Any) -> Any:
            return serve(*args, process_request=guard.wrap(process_request), **options)

        # viser offers no access control; it calls this function while it is constructed, and prints a banner.
        websockets.asyncio.server.serve = guarded  # type: ignore[assignment, misc]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                super().__init__(host, port, verbose=False)
        finally:
            websockets.asyncio.server.serve = serve  # type: ignore[misc]
        if not guard.installed:
            self.stop()
            raise RuntimeError(
                f"viser {viser.__version__} starts its server differently from 1.1, so that access to the camera's "
                "page cannot be restricted: pip install 'viser<1.2'"
            )
        self.gui.configure_theme(show_logo=False, show_share_button=False)
        self.gui.main_panel.dock_right()
        self.gui.main_panel.set_width(_PANEL_WIDTH)
        name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self.get_port()}/" + (f"?token={guard.token}" if guard.token else "")
        self.warning = ""
        if not is_loopback(host):
            self.warning = (
                f"{host} is not loopback: whoever has this address with its token can see the camera over the "
                "network, and the connection is not encrypted. An SSH tunnel is safer: without --host, "
                f"ssh -L {self.get_port()}:localhost:{self.get_port()} HOST"
            )

    def request_share_url(self, verbose: bool = True) -> None:
        """Nothing: viser's pages can ask for a tunnel to the internet, but nothing may leave the machine."""

    def stop(self) -> None:
        """Close the port and end the server's thread."""
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


def _check_address(host: str) -> None:
    """viser would try for ever to bind to an address that this machine does not have."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except OSError as error:
        raise ValueError(
            f"host {host}: this machine has no such address ({reason_of(error)}); leave it out for this machine "
            "only, or give 0.0.0.0 for all of its addresses"
        ) from error
