"""The sliders of the page: settings of the tracker, which act on the next image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import viser

from lgnet_core.inference.thresholds import PEOPLE_RANGE
from lgnet_core.inference.tracking.settings import TrackerSettings


@dataclass(frozen=True)
class Slider:
    """A slider of one field of :class:`TrackerSettings`; its step is an integer if the field is one."""

    name: str
    label: str
    minimum: float
    maximum: float
    step: float
    hint: str


SLIDERS = (
    Slider("presence_threshold", "presence", 0.05, 0.95, 0.01, "Minimum probability of a hand. Lower: more hands"),
    Slider("max_people", "people", *PEOPLE_RANGE, 1, "Whose hands are reported"),
    Slider("detection_interval", "detect every", 1, 60, 1, "Images between detections while all hands are tracked"),
    Slider("smoothing_min_cutoff", "cutoff, Hz", 0.1, 10.0, 0.1, "Of a hand at rest. Lower: less jitter, more lag"),
    Slider("smoothing_beta", "beta", 0.0, 100.0, 1.0, "Rise of the cutoff with speed. Higher: less lag in motion"),
)


class Controls:
    """Sliders and a checkbox in the current folder of a viser GUI.

    Args:
        on_change: called in a thread of the server with the name of the field that was changed, and all settings.

    Attributes:
        settings: the current ones.
    """

    def __init__(
        self, gui: viser.GuiApi, settings: TrackerSettings, on_change: Callable[[str, TrackerSettings], None]
    ) -> None:
        self.settings = settings
        self._on_change = on_change
        self._elements: dict[str, Any] = {}
        for slider in SLIDERS:
            value = getattr(settings, slider.name)
            self._add(
                slider.name,
                gui.add_slider(
                    slider.label,
                    min(slider.minimum, value),
                    max(slider.maximum, value),
                    slider.step,
                    value,
                    hint=slider.hint,
                ),
            )
        self._add("smoothing", gui.add_checkbox("smooth", settings.smoothing, hint="One euro filter of both hands"))

    def show(self, settings: TrackerSettings) -> None:
        """Move the sliders to settings that were changed elsewhere."""
        self.settings = settings
        for name, element in self._elements.items():
            element.value = getattr(settings, name)

    def enable(self, enabled: bool) -> None:
        """Set whether the sliders can be moved."""
        for element in self._elements.values():
            element.disabled = not enabled

    def _add(self, name: str, element: Any) -> None:
        kind = type(getattr(self.settings, name))
        self._elements[name] = element

        def on_update(event: Any) -> None:
            if event.client is None:  # moved by show()
                return
            self.settings = replace(self.settings, **{name: kind(element.value)})
            self._on_change(name, self.settings)

        element.on_update(on_update)
