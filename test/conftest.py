"""What every test shares: one thread, one hand model, a ROS domain, and hypothesis without a wall clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings
from support.forged_mano import curled, write_mano
from support.rest_surface import RestHands

from lgnet_core.hand_model import HandLayer, convert_mano, load_hand_layer, read_asset
from lgnet_core.hand_model.asset import BUNDLED_ASSET
from lgnet_core.synthetic.body.segment_frames import SegmentFrames

if TYPE_CHECKING:
    from support.ros_domain import RosDomain

torch.set_num_threads(1)  # tests run side by side on few cores
settings.register_profile("lgnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("lgnet")


@pytest.fixture(scope="session")
def hand_model() -> HandLayer:
    """The bundled pair of hands, float32. Shared: a test that changes it (dtype, device) takes a deep copy."""
    return load_hand_layer()


@pytest.fixture(scope="session")
def rest_hands(hand_model: HandLayer) -> RestHands:
    """Surface of both rest hands, for tests of accessories."""
    return RestHands(hand_model)


@pytest.fixture(scope="session")
def segment_frames(hand_model: HandLayer, rest_hands: RestHands) -> SegmentFrames:
    """Segment frames of the rest hands."""
    return SegmentFrames(hand_model, rest_hands.arms)


@pytest.fixture(scope="session")
def mano_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted MANO with a mean pose, forged from the bundled hand."""
    folder = tmp_path_factory.mktemp("mano")
    convert_mano(*write_mano(folder, curled(read_asset(BUNDLED_ASSET))), folder)
    return folder


@pytest.fixture(scope="session")
def mano(mano_folder: Path) -> HandLayer:
    """Its hand model. Shared as ``hand_model`` is."""
    return load_hand_layer(mano_folder)


@pytest.fixture(scope="module")
def ros_domain() -> Iterator[RosDomain]:
    """Isolated ROS domain shared by the tests of a module."""
    from support.ros_domain import RosDomain  # imported here, since most tests do not need ROS
    from support.ros_domain_id import reserved_domain_id

    with reserved_domain_id() as domain_id:
        ros_domain = RosDomain(domain_id)
        yield ros_domain
        ros_domain.close()
