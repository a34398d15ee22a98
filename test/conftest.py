"""What every test shares: one thread, one hand model, and hypothesis without a wall clock."""

import pytest
import torch
from hypothesis import settings

from lgnet_core.hand_model import HandModel, load_hand_model

torch.set_num_threads(1)  # tests run side by side on few cores
settings.register_profile("lgnet", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("lgnet")


@pytest.fixture(scope="session")
def hand_model() -> HandModel:
    """The bundled pair of hands, float32. Shared: a test that changes it (dtype, device) takes a deep copy."""
    return load_hand_model()
