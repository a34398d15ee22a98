"""What every test shares: one thread, one hand model, a ROS domain, and hypothesis without a wall clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

from lgnet_core.hand_model import HandModel, load_hand_model

if TYPE_CHECKING:
    from ros_world import World

torch.set_num_threads(1)  # tests run side by side on few cores
settings.register_profile("lgnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("lgnet")


@pytest.fixture(scope="session")
def hand_model() -> HandModel:
    """The bundled pair of hands, float32. Shared: a test that changes it (dtype, device) takes a deep copy."""
    return load_hand_model()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A ROS domain of the module's own."""
    from ros_world import World  # not above: most tests do without ROS

    world = World()
    yield world
    world.close()
