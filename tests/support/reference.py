"""Debian's own spine 1.2.24, run as a black box beside ours: downloaded into the cache, never installed, never read.

$REFERENCE may name the program instead.
"""

import os
import pathlib
import subprocess

from .lab import LabError, cache_directory, tail, tool
from .poller import Binary

PACKAGE = "cacti-spine"
VERSION = "1.2.24"


def binary():
    """The reference program as a Binary; LabError where it is not available."""
    if os.environ.get("REFERENCE"):
        return Binary(os.environ["REFERENCE"])
    path = cache_directory() / f"{PACKAGE}-{VERSION}" / "usr" / "sbin" / "spine"
    if not path.is_file():
        _fetch(cache_directory(), path.parents[2])
    return Binary(path)


def _fetch(directory, tree):
    apt = tool("apt-get", "apt")
    done = subprocess.run([apt, "-q", "download", PACKAGE], cwd=directory, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    found = sorted(pathlib.Path(directory).glob(f"{PACKAGE}_{VERSION}*.deb"))
    if not found:
        raise LabError(f"Debian's package {PACKAGE} {VERSION} could not be downloaded\n{tail(done.stderr)}")
    subprocess.run([tool("dpkg-deb", "dpkg"), "-x", str(found[-1]), str(tree)], check=True)
    found[-1].unlink()
