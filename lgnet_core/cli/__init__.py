"""The command line ``lgnet``: one module for each command, put together in :mod:`lgnet_core.cli.app`."""
