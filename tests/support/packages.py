"""Debian packages that tests use without installing them: downloaded by apt into the cache directory and unpacked there.

Which version that is, is decided by the release of the machine, or by what the cache already holds.
"""

import os
import re
import shutil
import subprocess

from .lab import LabError, cache_directory, tail, tool


def unpacked(name, *more):
    """The directory NAME-VERSION of the cache with the files of the package, and of the packages `more`, which it needs:
    the newest that is there, else what apt offers. LabError where there is none."""
    found = _versions(name, cache_directory())
    return found[-1][1] if found else _fetch(name, more, cache_directory())


def _versions(name, directory):
    found = [(re.fullmatch(re.escape(name) + r"-(\d+(?:\.\d+)*)", path.name), path) for path in directory.iterdir()]
    return sorted((tuple(map(int, match[1].split("."))), path) for match, path in found if match)


def _fetch(name, more, directory):
    half = directory / f".{name}.{os.getpid()}"
    half.mkdir()
    try:
        packages = {each: _download(each, half) for each in (name, *more)}
        version = re.match(r"[^_]+_(?:\d+%3a)?(\d+(?:\.\d+)*)", packages[name].name)[1]
        tree = half / "tree"
        for package in packages.values():
            subprocess.run([tool("dpkg-deb", "dpkg"), "-x", str(package), str(tree)], check=True)
        whole = directory / f"{name}-{version}"
        if not whole.is_dir():
            tree.rename(whole)
        return whole
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _download(name, directory):
    apt = tool("apt-get", "apt")
    commands = [[apt, "-q", "-o", "APT::Sandbox::User=root", "download", name]]
    if os.geteuid() == 0:
        commands += [[apt, "-q", "update"], commands[0]]
    said = ""
    for command in commands:
        done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        said += done.stdout + done.stderr
        found = sorted(directory.glob(f"{name}_*.deb"))
        if found:
            return found[-1]
    raise LabError(f"Debian's package {name} could not be downloaded\n{tail(said)}")
