"""Fixtures of the tests of the simulated agents."""

import os
import pathlib
import shutil
import subprocess

import pytest

from support.agent import FakeAgent
from support.lab import leave_out
from support.plainsnmp import Client


@pytest.fixture(scope="session")
def binary(tmp_path_factory):
    if os.environ.get("FAKEAGENT"):
        return os.environ["FAKEAGENT"]
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        leave_out("FAKEAGENT is not set and there is no C compiler to build it with")
    sources = sorted(str(p) for p in pathlib.Path(__file__).parent.glob("fakeagent/*.c"))
    path = str(tmp_path_factory.mktemp("bin") / "fakeagent")
    subprocess.run([compiler, "-std=gnu17", "-O1", "-o", path, *sources], check=True)
    return path


@pytest.fixture
def farm(binary):
    """farm(spec, ...): agents that end with the test."""
    started = []

    def start(spec, **kwargs):
        started.append(FakeAgent(spec, binary=binary, **kwargs))
        return started[-1]

    yield start
    for f in started:
        f.stop()


@pytest.fixture
def client(farm):
    """client(spec, ...): agents, and a socket to ask them."""
    clients = []

    def start(spec, **kwargs):
        clients.append(Client(farm(spec, **kwargs)))
        return clients[-1]

    yield start
    for c in clients:
        c.sock.close()
