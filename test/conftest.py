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

from lgnet_core.hand_model import HandModel, convert_mano, load_hand_model, read_asset
from lgnet_core.hand_model.layer import BUNDLED_ASSET
from lgnet_core.synthetic.body.tubes import Tubes

if TYPE_CHECKING:
    from support.ros_world import World

torch.set_num_threads(1)  # tests run side by side on few cores
settings.register_profile("lgnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("lgnet")


@pytest.fixture(scope="session")
def hand_model() -> HandModel:
    """The bundled pair of hands, float32. Shared: a test that changes it (dtype, device) takes a deep copy."""
    return load_hand_model()


@pytest.fixture(scope="session")
def rest_hands(hand_model: HandModel) -> RestHands:
    """What is worn on hands is tried on these."""
    return RestHands(hand_model)


@pytest.fixture(scope="session")
def tubes(hand_model: HandModel, rest_hands: RestHands) -> Tubes:
    """Fingers, wrists and arms of the rest hands."""
    return Tubes(hand_model, rest_hands.arms)


@pytest.fixture(scope="session")
def mano_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted MANO with a mean pose, forged from the bundled hand."""
    folder = tmp_path_factory.mktemp("mano")
    convert_mano(*write_mano(folder, curled(read_asset(BUNDLED_ASSET))), folder)
    return folder


@pytest.fixture(scope="session")
def mano(mano_folder: Path) -> HandModel:
    """Its hand model. Shared as ``hand_model`` is."""
    return load_hand_model(mano_folder)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A ROS domain of the module's own."""
    from support.ros_world import World  # not above: most tests do without ROS

    world = World()
    yield world
    world.close()
