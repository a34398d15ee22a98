"""InterHand2.6M v1.0 (Moon et al., ECCV 2020): annotation files, compact index, and data set of labelled crops."""

from lgnet_core.data.interhand26m.dataset import InterHand26M
from lgnet_core.data.interhand26m.layout import SPLITS, AnnotationSet, SplitFiles, Subset

__all__ = ["SPLITS", "AnnotationSet", "InterHand26M", "SplitFiles", "Subset"]
