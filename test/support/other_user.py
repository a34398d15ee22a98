"""Programs run as a user who owns nothing, has no home folder and no passwd entry, as in many containers."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

USER = 12345


def as_other_user() -> list[str]:
    """Start of a command that runs the rest of it as :data:`USER`; skips the test if this user may not do that."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can run programs as another user, with setpriv")
    # This Python may be in the home folder of root: everything can be read, and nothing written.
    readable = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *readable]
    if reason := subprocess.run([*command, "true"], capture_output=True, text=True).stderr:
        pytest.skip(f"root may not change the user here: {reason.strip()}")
    return command
