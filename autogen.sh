#!/bin/sh
# Make ./configure out of configure.ac. Needed in a git checkout, not in a release archive.
set -eu
cd "$(dirname "$0")"

for tool in autoconf automake autoreconf; do
    command -v "$tool" >/dev/null || {
        echo "autogen.sh: $tool not found; install the packages autoconf and automake" >&2
        exit 1
    }
done

autoreconf --force --install
echo "Now run ./configure (see ./configure --help) and make."
