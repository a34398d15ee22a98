"""End-to-end prediction of real images with the bundled weights. Accuracy is measured by ``lgnet eval``, not here."""

from __future__ import annotations

import numpy as np
from support.paths import SHARED, requires

from lgnet_core.commands.predict import predict
from lgnet_core.inference import HandEstimator
from lgnet_core.io.sources import ImageSource
from lgnet_core.types import Side

DATA = SHARED / "testdata"

pytestmark = requires(DATA)


def test_predictions_are_finite(tmp_path):
    """And meshes are not larger than a hand."""
    estimator = HandEstimator.load(device="cpu", threads=1)
    for folder, count in (("interhand2.6m", 4), ("hands", 1)):
        done = predict(estimator, ImageSource(DATA / folder), tmp_path)
        assert (done.images, done.failures) == (count, [])
        assert sum(done.hands.values()) > 0
    for path in tmp_path.glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            for side in Side:
                if np.isfinite(file["presence"][side]):
                    numbers = [file[name] for name in file.files if name.startswith(side.label)]
                    assert all(np.isfinite(values).all() for values in numbers)
                    assert (np.ptp(file[f"{side.label}_vertices"], axis=0) < 0.4).all()
