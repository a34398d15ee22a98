"""Rendering: rasterization, shading, shadows, backgrounds, and visibility labels."""
