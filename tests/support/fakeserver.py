#!/usr/bin/python3
"""A script server that behaves as badly as it is told to.

Started like Cacti's script_server.php (python3 takes the -q that PHP gets):

    python3 -q fakeserver.py --environ=spine --poller=1

FAKESERVER_START says how it starts (see start() below; a list with commas: the poller id says which,
from 1, or, if FAKESERVER_STARTS is an empty directory, each start takes the next and later ones start well);
FAKESERVER_LIFE after how many requests it ends.  A request is "FILE WORD ARGUMENTS", as for
Cacti; WORD says what to do with it (see Server).
"""

import os
import signal
import sys
import time

HELLO = b"PHP Script Server has Started - Parent is cmd\n"


def say(data):
    os.write(1, data)


def wait_for_ever():
    while True:
        signal.pause()


class Server:
    """One method per WORD; arguments are words, the last answer ends in a line feed."""

    def value(self, *words):
        say(" ".join(words).encode() + b"\n")

    def nap(self, seconds, *words):
        time.sleep(float(seconds))
        self.value(*words)

    def chunks(self, *words):
        for word in words:
            say(word.encode())
            time.sleep(0.02)
        say(b"\n")

    def empty(self):
        say(b"\n")

    def crlf(self, word):
        say(word.encode() + b"\r\n")

    def two(self, first, second):
        say(f"{first}\n{second}\n".encode())

    def delayed(self, seconds, first, second):
        """What must not become the next answer: the second line comes when the client has long taken the first."""
        say(first.encode() + b"\n")
        time.sleep(float(seconds))
        say(second.encode() + b"\n")

    def stray(self, seconds, first, second):
        """A helper in the background prints when the server is already idle."""
        say(first.encode() + b"\n")
        if os.fork() == 0:
            time.sleep(float(seconds))
            say(second.encode() + b"\n")
            os._exit(0)

    def parse(self):
        say(b"ERROR: Parse error attempting to parse string ''a'\n")
        say(b"U\n")

    def backtick(self):
        say(b"ERROR: Backtic (`) characters not allowed '`'\n")
        time.sleep(0.03)
        say(b"U\n")

    def error(self):
        """A function may return such a text itself: one line only."""
        say(b"ERROR: Parse error attempting to parse string of its own\n")

    def partial(self, word):
        say(word.encode())
        wait_for_ever()

    def partdie(self, word):
        say(word.encode())
        os._exit(1)

    def big(self, megabytes):
        line = b"9" * 1000000
        for _ in range(int(megabytes)):
            say(line)
        say(b"\n")

    def nul(self):
        say(b"12\0" + b"34\n")

    def binary(self):
        say(bytes(range(128, 256)) + b"\n")

    def die(self):
        os._exit(255)

    def dieonce(self, path, *words):
        """Ends the first server that gets it."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            self.value(*words)
            return
        os._exit(1)

    def lastword(self, *words):
        self.value(*words)
        os._exit(255)

    def silent(self):
        wait_for_ever()

    def wedge(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait_for_ever()

    def close(self):
        os.close(1)
        wait_for_ever()

    def deaf(self, word):
        """Answers, and never reads again."""
        say(word.encode() + b"\n")
        wait_for_ever()

    def length(self, *words):
        say(str(len(" ".join(words))).encode() + b"\n")

    def pid(self):
        say(str(os.getpid()).encode() + b"\n")

    def fds(self):
        say(" ".join(sorted(os.listdir("/proc/self/fd"))).encode() + b"\n")

    def args(self):
        say(" ".join(sys.argv[1:]).encode() + b"\n")


def start(how):
    if how == "die":
        sys.exit(1)
    if how == "diehello":
        say(HELLO)
        sys.exit(1)
    if how == "silent":
        wait_for_ever()
    if how == "wedged":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait_for_ever()
    if how == "babble":
        while True:
            say(b"no hello\n" * 100)
    if how == "gather":  # waits for all servers that gather: one alone would wait forever
        while len(os.listdir(os.environ["FAKESERVER_STARTS"])) < os.environ["FAKESERVER_START"].count("gather"):
            time.sleep(0.01)
    if how == "gate":
        while not os.path.exists(os.environ["FAKESERVER_GATE"]):
            time.sleep(0.01)
    if how == "slow":
        time.sleep(0.5)
    if how == "warn":
        say(b"PHP Warning:  Module \"x\" is already loaded in Unknown on line 0\n\n")
    say(HELLO)
    if how == "more":
        say(b"PHP Notice:  one more thing\n")
    if how == "deaf":
        wait_for_ever()
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def which():
    hows = os.environ.get("FAKESERVER_START", "").split(",")
    directory = os.environ.get("FAKESERVER_STARTS")
    if directory is None:
        return hows[(int(sys.argv[-1].rpartition("=")[2]) - 1) % len(hows)]
    for number, how in enumerate(hows):
        try:
            os.mkdir(f"{directory}/{number}")
            return how
        except FileExistsError:
            continue
    return ""


def main():
    how = which()
    start(how)
    life = int(os.environ.get("FAKESERVER_LIFE", "0"))
    server = Server()
    while True:
        line = sys.stdin.buffer.readline(1023)
        if not line:
            wait_for_ever()  # as the real one, only quieter
        words = line.decode(errors="replace").split()
        if words[:1] == ["quit"]:
            if how == "stubborn":
                wait_for_ever()
            say(b"PHP Script Server Shutdown request received, exiting\n")
            sys.exit(0)
        if not words:
            continue
        getattr(server, words[1])(*words[2:])
        life -= 1
        if life == 0:
            os._exit(255)


main()
