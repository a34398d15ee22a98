"""Metadata live in pyproject.toml; this file lets tools that look for a setup.py find the package."""

from setuptools import setup

setup()
