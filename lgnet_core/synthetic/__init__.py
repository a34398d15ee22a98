"""Synthetic two-hand images with ground-truth labels: scene sampling, rendering, camera simulation and storage."""
