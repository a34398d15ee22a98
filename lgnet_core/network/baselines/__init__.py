"""Baseline networks: EANet and InterShape."""
