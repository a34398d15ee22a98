"""What the commands ``check``, ``demo`` and ``predict`` do, without their command line."""
