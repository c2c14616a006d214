#!/bin/sh
# MariaDB's command-line client and Connector/C 3.3 (Debian 12: mariadb-client-core 1:10.11.19-0+deb12u1)
#
# Behaviour: when the queue of a server's Unix socket is full, connect() says EAGAIN at once and the library
# tries again after pauses of its own.  The time-out that was asked for is looked at between them only, so
# that a connection with --connect-timeout=1 is given up after 2 seconds and more, one with 2 after 3.  The
# message names errno 11 ("try again"), and no time-out.
# Output seen: "ERROR 2002 (HY000): Can't connect to local server through socket '...' (11)", 1.1 s late.
. "$(dirname "$0")/common.sh"
install mariadb-client-core=1:10.11.19-0+deb12u1 libmariadb3=1:10.11.19-0+deb12u1
cat >"$work/full.py" <<'PYTHON'
import socket
import subprocess
import sys
import time

path, client = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(0)  # and nobody accepts
queued = []
while True:
    queued.append(socket.socket(socket.AF_UNIX))
    queued[-1].setblocking(False)
    try:
        queued[-1].connect(path)
    except BlockingIOError:
        break
for seconds in (1, 2):
    began = time.monotonic()
    run = subprocess.run([client, "--no-defaults", "-S", path, f"--connect-timeout={seconds}", "-e", "SELECT 1"],
                         capture_output=True, text=True)
    late = time.monotonic() - began - seconds
    print(f"asked for {seconds} s:", "a second late or more" if late >= 0.9 else "in time",
          run.stderr.replace(path, "...").strip())
PYTHON
lib=$(dirname "$(find "$work/root" -name 'libmariadb.so.3' | head -n 1)")
seen=$(LD_LIBRARY_PATH="$lib" python3 "$work/full.py" "$work/s" "$work/root/usr/bin/mariadb")
expect "$seen" "asked for 1 s: a second late or more ERROR 2002 (HY000): Can't connect to local server through socket '...' (11)
asked for 2 s: a second late or more ERROR 2002 (HY000): Can't connect to local server through socket '...' (11)"
