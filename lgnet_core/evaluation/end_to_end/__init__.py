"""Evaluation of the complete pipeline on full images: engine, detector, association and tracker.

Only the public interface is evaluated: :class:`~lgnet_core.inference.HandEstimator` and
:class:`~lgnet_core.inference.HandTracker`. Networks on crops around true hands are evaluated by
:mod:`lgnet_core.evaluation.evaluate`.
"""
