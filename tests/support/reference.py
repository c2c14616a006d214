"""Debian's own spine, run as a black box beside ours: downloaded into the cache, never installed, never read.

Its version is that of the machine's release, as that of Cacti (cacti.py). $REFERENCE may name the program instead.
"""

import os

from . import packages
from .poller import Binary


def binary():
    """The reference program as a Binary; LabError where it is not available."""
    return Binary(os.environ.get("REFERENCE") or packages.unpacked("cacti-spine") / "usr/sbin/spine")
