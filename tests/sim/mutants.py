#!/usr/bin/env python3
"""Does the simulation find faults?  Plants those of tests/sim/faults, one at a time, in a copy of the tree.

    mutants.py --config-status BUILD/config.status [--seeds N] [--jobs N] [NAME ...]

The copy is configured as the build directory is, and built once; then each patch is applied, what depends on it is built, and
simulated cycles run until one fails.  Prints a table.  Exit status 1: a patch does not apply or does not build, or the fault
was not found, or the tree without a fault fails.
"""

import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
#: What the simulation is built of.
PARTS = ("src", "include", "tests", "build-aux", "m4", "configure", "configure.ac", "Makefile.am", "Makefile.in",
         "aclocal.m4", "config.h.in", "spine.conf.dist", "README.md", "CHANGELOG.md", "docs", "share", "scripts")
SECONDS = 600


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **more)


def copy_tree(to):
    for part in PARTS:
        source = TOP / part
        if source.is_dir():
            shutil.copytree(source, to / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, to / part)


def configure(tree, build, config_status):
    """As the build directory is, but that a fault may cause a warning."""
    told = run([config_status, "--config"])
    arguments = [a for a in shlex.split(told.stdout) if a != "--enable-werror"]
    build.mkdir()
    done = run([str(tree / "configure"), "-C", *arguments], cwd=build)
    if done.returncode != 0:
        sys.exit(f"cannot configure the copy:\n{done.stdout[-2000:]}")


def make(build, jobs):
    return run(["make", f"-j{jobs}", "tests/sim/simulate"], cwd=build)


def simulate(build, seeds, jobs):
    try:
        return run(["tests/sim/simulate", "--quick", f"--cycles={seeds}", f"--jobs={jobs}"], cwd=build, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None


def explain(output):
    """The seed, and what did not hold."""
    seed = re.search(r"found by seed (\d+)", output)
    what = re.search(r"^FAILED.*?: (.*)$", output, re.M)
    return (seed[1] if seed else "?", what[1] if what else "it crashes")


def plant(patch, tree, build, options):
    """(found, what to print)"""
    before = time.monotonic()
    applied = run(["patch", "-p1", "--no-backup-if-mismatch", "-i", str(patch)], cwd=tree)
    try:
        if applied.returncode != 0:
            return False, "does not apply"
        built = make(build, options.jobs)
        if built.returncode != 0:
            return False, "does not build: " + built.stdout[-300:]
        done = simulate(build, options.seeds, options.jobs)
        if done is None or done.returncode == 0:
            return False, "NOT FOUND"
        seed, what = explain(done.stdout)
        return True, f"seed {seed:>5}  {time.monotonic() - before:5.1f} s  {what[:90]}"
    finally:
        if applied.returncode == 0:
            run(["patch", "-p1", "-R", "--no-backup-if-mismatch", "-i", str(patch)], cwd=tree)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config-status", required=True)
    parser.add_argument("--seeds", type=int, default=10000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("names", nargs="*")
    return parser.parse_args()


def main():
    options = read_options()
    patches = sorted((TOP / "tests/sim/faults").glob("*.patch"))
    patches = [p for p in patches if not options.names or p.stem in options.names]
    if not patches:
        sys.exit("there is no such fault")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="spine-mutants-") as name:
        tree, build = pathlib.Path(name) / "tree", pathlib.Path(name) / "build"
        tree.mkdir()
        copy_tree(tree)
        configure(tree, build, os.path.abspath(options.config_status))
        built = make(build, options.jobs)
        if built.returncode != 0:
            sys.exit(f"cannot build the copy:\n{built.stdout[-2000:]}")
        sound = simulate(build, 300, options.jobs)
        if sound is None or sound.returncode != 0:
            sys.exit("the tree fails without a fault; make check-sim")
        for patch in patches:
            found, text = plant(patch, tree, build, options)
            missed += not found
            print(f"{patch.stem:28} {text}", flush=True)
    print(f"{len(patches)} faults, {len(patches) - missed} found")
    return missed > 0


if __name__ == "__main__":
    sys.exit(main())
