"""The page, as tabs see it: scene, sliders, problems, recording; reloads and several tabs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import atan
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.fixed_hands import two_hands
from support.live import live_view
from support.viser_client import ViserClient
from support.waiting import wait_for

from lgnet_core.geometry.mesh_distance import surface_distance
from lgnet_core.hand_model import HandModel
from lgnet_core.inference.tracking.settings import TrackerSettings
from lgnet_core.live.page import HandsPage
from lgnet_core.live.server import LocalServer
from lgnet_core.types import TwoHands


@pytest.fixture(scope="module")
def hands(hand_model: HandModel) -> TwoHands:
    return two_hands(hand_model)


class OpenPage:
    """A page with its port, and what it reported and changed."""

    def __init__(self, out: Path) -> None:
        self.reported: list[str] = []
        self.changes: list[tuple[str, TrackerSettings]] = []
        server = LocalServer("127.0.0.1", 0)
        self.port = server.get_port()
        self.page = HandsPage(
            server, "camera 7", out, 30.0, self.reported.append, lambda *change: self.changes.append(change)
        )

    def tab(self) -> ViserClient:
        return ViserClient(self.port)

    def show(self, tab: ViserClient, *people: TwoHands, **changes: object) -> None:
        """Put views until the tab has got one of them: what was put before it counted as a tab is not shown."""
        shown = self.page.shown
        before = len(shown._events)

        def is_shown() -> bool:
            self.page.put(replace(live_view(*people), **changes))
            return len(shown._events) >= before + 2

        wait_for(is_shown, "a view on the page")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenPage]:
    opened = OpenPage(tmp_path)
    yield opened
    opened.page.stop()


def points(tab: ViserClient, name: str, key: str) -> np.ndarray:
    return tab.scene[name][key].reshape(-1, 3)


def has_hands(tab: ViserClient, hands: TwoHands) -> bool:
    """Whether both meshes, joints and bones of the tab are those of the hands."""
    for hand in hands.hands:
        name = hand.side.label + (f"_{hand.person}" if hand.person else "")
        mesh, joints = (tab.scene.get(f"/{part}/{name}", {}) for part in ("meshes", "joints"))
        if not (mesh.get("visible") and joints.get("visible")) or mesh["vertices"].size != hand.vertices.size:
            return False
        if not np.allclose(mesh["vertices"].reshape(-1, 3), hand.vertices, atol=1e-6):
            return False
        if not np.allclose(joints["points"].reshape(-1, 3), hand.joints, atol=1e-6):
            return False
    return True


def test_the_scene_is_that_of_the_hands(opened: OpenPage, hands: TwoHands) -> None:
    with opened.tab() as tab:
        opened.show(tab, hands)
        wait_for(lambda: has_hands(tab, hands), "the hands")
        np.testing.assert_array_equal(tab.scene["/meshes/right"]["faces"].reshape(-1, 3), hands.right.faces)
        bones = tab.scene["/joints/left_bones"]["points"].reshape(-1, 2, 3)
        np.testing.assert_allclose(bones[0], hands.left.joints[[0, 1]], atol=1e-6)
        assert len(bones) == 20
        closest = surface_distance(hands.right.vertices, hands.right.faces, hands.left.vertices, hands.left.faces)
        wait_for(lambda: tab.scene["/distance/label"]["visible"], "the distance")
        np.testing.assert_allclose(points(tab, "/distance/line", "points"), [closest.a, closest.b], atol=1e-6)
        assert tab.scene["/distance/label"]["text"] == f"{1000 * closest.distance:.0f} mm"
        frustum = tab.scene["/camera/frustum"]
        assert frustum["visible"]
        assert frustum["fov"] == pytest.approx(2 * atan(240 / 560))
        assert frustum["aspect"] == pytest.approx(640 / 480)


def test_the_image_shows_the_overlay(opened: OpenPage, hands: TwoHands) -> None:
    with opened.tab() as tab:
        opened.show(tab, hands)

        def overlay() -> np.ndarray | None:
            datas = [element["_data"] for element in tuple(tab.gui.values()) if "_data" in element]
            image = cv2.imdecode(np.frombuffer(datas[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1] if datas else None
            return image if image is not None and image.shape == (480, 640, 3) else None

        image = wait_for(lambda: overlay() is not None and [overlay()], "the overlay")[0]
        u, v = hands.right.joints_2d.mean(0).round().astype(int)
        red, _, blue = image[v, u].astype(int)
        assert red > blue + 50, "orange"
        assert np.abs(image[5, 5].astype(int) - 90).max() < 5


def test_hands_that_are_gone_disappear(opened: OpenPage, hands: TwoHands) -> None:
    with opened.tab() as tab:
        opened.show(tab, hands)
        wait_for(lambda: has_hands(tab, hands), "the hands")
        opened.show(tab, replace(hands, left=None, relative_translation=None))
        wait_for(lambda: not tab.scene["/meshes/left"]["visible"], "the left hand to disappear")
        assert tab.scene["/meshes/right"]["visible"]
        wait_for(lambda: not tab.scene["/distance/line"]["visible"], "the line to disappear")
        opened.show(tab, TwoHands(None, None, None, metric=True))
        wait_for(lambda: not tab.scene["/meshes/right"]["visible"], "the right hand to disappear")


def test_every_persons_hands_are_shown(opened: OpenPage, hands: TwoHands) -> None:
    """And disappear with the person."""
    shift = np.array([0.3, 0.1, 0.2])
    right, left = (
        replace(hand, person=2, vertices=hand.vertices + shift, joints=hand.joints + shift) for hand in hands.hands
    )
    other = replace(hands, right=right, left=left)
    with opened.tab() as tab:
        opened.show(tab, hands, other)
        wait_for(lambda: has_hands(tab, hands) and has_hands(tab, other), "the hands of both")
        wait_for(lambda: tab.scene["/distance/label_2"]["text"] == tab.scene["/distance/label"]["text"] != "", "both")
        opened.show(tab, hands)
        wait_for(lambda: not tab.scene["/meshes/left_2"]["visible"], "the other person to disappear")
        assert not tab.scene["/distance/line_2"]["visible"]
        assert has_hands(tab, hands)


def test_views_without_an_image_show_the_hands(opened: OpenPage, hands: TwoHands) -> None:
    with opened.tab() as tab:
        opened.show(tab, hands, image=None, camera=None)
        wait_for(lambda: has_hands(tab, hands), "the hands")
        assert not tab.scene["/camera/frustum"]["visible"]


def test_a_reloaded_and_a_second_tab_have_the_whole_state(opened: OpenPage, hands: TwoHands) -> None:
    with opened.tab() as first:
        opened.show(first, hands)
        first.set("presence", 0.8)
        wait_for(lambda: opened.changes, "the change")
        with opened.tab() as second:
            assert has_hands(second, hands), "before any further view"
            assert second.element("presence")["value"] == 0.8
            second.set("presence", 0.3)
            wait_for(lambda: first.element("presence")["value"] == 0.3, "the slider in the other tab")
    with opened.tab() as reloaded:
        assert has_hands(reloaded, hands)
        assert reloaded.element("presence")["value"] == 0.3
        opened.show(reloaded, replace(hands, left=None, relative_translation=None))
        wait_for(lambda: not reloaded.scene["/meshes/left"]["visible"], "further views")


@pytest.mark.parametrize(
    ("label", "value", "name"),
    [
        ("presence", 0.7, "presence_threshold"),
        ("people", 2, "max_people"),
        ("detect every", 4, "detection_interval"),
        ("cutoff, Hz", 2.5, "smoothing_min_cutoff"),
        ("beta", 7.0, "smoothing_beta"),
        ("smooth", False, "smoothing"),
    ],
)
def test_sliders_change_the_settings(opened: OpenPage, label: str, value: object, name: str) -> None:
    with opened.tab() as tab:
        assert tab.element(label)["value"] == getattr(TrackerSettings(), name)
        tab.set(label, value)
        wait_for(lambda: opened.changes, "the change")
    expected = replace(TrackerSettings(), **{name: value})
    assert opened.page.settings == expected
    assert opened.changes[-1] == (name, expected)
    assert type(getattr(opened.page.settings, name)) is type(getattr(TrackerSettings(), name))


def test_parts_can_be_hidden(opened: OpenPage) -> None:
    with opened.tab() as tab:
        for label in ("meshes", "joints", "camera", "distance"):
            tab.set(label, False)
            wait_for(lambda label=label: not tab.scene[f"/{label}"]["visible"], label)


def test_problems_are_shown_as_they_are(opened: OpenPage) -> None:
    with opened.tab() as tab:
        opened.page.set_problem("camera /dev/video_2*: delivers no images any more")
        wait_for(lambda: any("delivers no images any more" in text for text in tab.texts()), "the problem")
        (text,) = [text for text in tab.texts() if "delivers" in text]
        assert text == r"**camera /dev/video\_2\*: delivers no images any more**"
        opened.page.set_problem("")
        wait_for(
            lambda: not any("delivers no images any more" in text for text in tab.texts()), "the end of the problem"
        )


def test_without_a_tab_nothing_is_drawn(opened: OpenPage, hands: TwoHands, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr("lgnet_core.live.page.draw_overlay", lambda *args, **options: drawn.append(1) or args[0])
    for k in range(20):
        opened.page.put(live_view(hands, k=k))
    wait_for(lambda: opened.page._views.take(0) is None, "the page to be idle")
    assert not drawn
    with opened.tab() as tab:
        opened.show(tab, hands)
    assert drawn


def test_an_image_that_cannot_be_drawn_is_a_problem(opened: OpenPage, hands: TwoHands) -> None:
    with opened.tab() as tab:

        def is_shown() -> bool:
            opened.page.put(replace(live_view(hands), camera=None))
            return any("could not be shown" in text for text in tab.texts())

        wait_for(is_shown, "the problem")
        opened.show(tab, hands)


def test_recording_from_one_tab_and_stopping_in_another(opened: OpenPage, hands: TwoHands, tmp_path: Path) -> None:
    with opened.tab() as first, opened.tab() as second:
        assert not first.element("Stop recording")["visible"]
        first.set("Record", True)
        wait_for(lambda: second.element("Stop recording")["visible"], "the button in the other tab")
        assert not second.element("Record")["visible"]
        for k in range(5):
            opened.page.put(live_view(hands, k=k))
        second.set("Stop recording", True)
        wait_for(lambda: opened.reported, "the end")
        wait_for(lambda: first.element("Record")["visible"], "the button")
        wait_for(lambda: any("recorded 5 images" in text for text in first.texts()), "the names of the files")
    assert {path.suffix for path in tmp_path.iterdir()} == {".mp4", ".csv", ".npz"}


def test_a_folder_that_cannot_be_written_to_is_named(opened: OpenPage, tmp_path: Path) -> None:
    opened.page._out = tmp_path / "file"
    (tmp_path / "file").touch()
    with opened.tab() as tab:
        tab.set("Record", True)
        wait_for(lambda: opened.reported, "the reason")
        assert opened.reported[0].startswith(f"no recording: {tmp_path}/file")
        assert tab.element("Record")["visible"]


def test_the_end_of_the_page_completes_a_recording(hands: TwoHands, tmp_path: Path) -> None:
    opened = OpenPage(tmp_path)
    with opened.tab() as tab:
        tab.set("Record", True)
        wait_for(lambda: tab.element("Stop recording")["visible"], "the recording")
        opened.page.put(live_view(hands))
        opened.page.stop()
    (video,) = tmp_path.glob("*.mp4")
    assert cv2.VideoCapture(str(video)).read()[0]
    assert opened.reported[0].startswith("recorded 1 images")
