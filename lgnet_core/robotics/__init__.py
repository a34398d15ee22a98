"""Hands as robotics software expects them: joint angles and URDF, and capsules for collision checking."""
