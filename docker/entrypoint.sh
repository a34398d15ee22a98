#!/usr/bin/env bash
# Runs a command with ROS 2, lgnet_ros and the Python environment of its dependencies.
set -e
source /opt/hands/bin/activate
source /ws/install/setup.bash
exec "$@"
