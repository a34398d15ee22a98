"""Nodes that use the hands: filters and helpers for planners."""
