"""LGNet with one upright crop per hand."""
