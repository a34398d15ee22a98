"""InterHand2.6M v1.0 (Moon et al., ECCV 2020): its files, an index of them, its images with all labels."""

from lgnet_core.data.interhand26m.dataset import InterHand26M
from lgnet_core.data.interhand26m.layout import SPLITS, AnnotationSet, Sources, Subset

__all__ = ["SPLITS", "AnnotationSet", "InterHand26M", "Sources", "Subset"]
