"""The ROS 2 face of lgnet_core: messages, topics, TF and the node. No mathematics and no torch in here."""
