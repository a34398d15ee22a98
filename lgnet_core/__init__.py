"""LGNet for two hands: hand model, network, data, training, evaluation and inference; no ROS in here."""

__version__ = "0.1.0"
