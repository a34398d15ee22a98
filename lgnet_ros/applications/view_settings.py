"""The sliders of the page, connected to the parameters of the hands node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from lgnet_core.inference.tracking.settings import TrackerSettings

NAMES = tuple(field.name for field in fields(TrackerSettings))


class RemoteSettings:
    """Reads and sets the parameters of another node that :class:`TrackerSettings` names.

    Args:
        node: owner of the clients.
        target: resolved name of the other node.
        on_settings: gets the parameters when they are known or were changed by :meth:`change`; None when the node is
            gone. Called by the executor.
        report: gets the reason if the node refuses a change.
    """

    def __init__(
        self,
        node: Node,
        target: str,
        on_settings: Callable[[TrackerSettings | None], None],
        report: Callable[[str], Any],
    ) -> None:
        self._get: Client = node.create_client(GetParameters, f"{target}/get_parameters")
        self._set: Client = node.create_client(SetParameters, f"{target}/set_parameters")
        self._on_settings, self._report = on_settings, report
        self._known = False

    def update(self) -> None:
        """Look for the node; call periodically."""
        ready = self._get.service_is_ready() and self._set.service_is_ready()
        if ready and not self._known:
            self._read()
        elif not ready and self._known:
            self._known = False
            self._on_settings(None)

    def change(self, name: str, settings: TrackerSettings) -> None:
        """Set one parameter to its value in the settings. Any thread may call it."""
        parameter = Parameter(name, value=getattr(settings, name)).to_parameter_msg()
        self._set.call_async(SetParameters.Request(parameters=[parameter])).add_done_callback(self._on_set)

    def _on_set(self, future: Any) -> None:
        response = future.result()
        if response is None:
            return
        refused = [result.reason for result in response.results if not result.successful]
        if refused:
            self._report(f"The node refused a setting: {'; '.join(refused)}")
            self._read()

    def _read(self) -> None:
        self._get.call_async(GetParameters.Request(names=list(NAMES))).add_done_callback(self._on_read)

    def _on_read(self, future: Any) -> None:
        response = future.result()
        if response is None or len(response.values) != len(NAMES):
            return
        values: dict[str, Any] = dict(zip(NAMES, map(parameter_value_to_python, response.values)))
        if None not in values.values():  # of another node than ours
            self._known = True
            self._on_settings(TrackerSettings(**values))
