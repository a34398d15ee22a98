"""Hands as robotics software expects them: joint angles and URDF, capsules, OpenXR, retargeting."""
