"""LGNet with one crop of both hands: attention, graph layers and the three stages of the paper."""
