"""The whole pipeline judged as it ships: engine, detector, association and tracker, on full images.

What is judged is the facade alone: :class:`~lgnet_core.inference.HandEstimator` and
:class:`~lgnet_core.inference.HandTracker`. Networks on crops around true hands are judged by
:mod:`lgnet_core.evaluation.evaluate`.
"""
