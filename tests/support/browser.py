"""A page in headless Chromium, driven by the DevTools protocol over a pipe; nothing but the browser is needed.

    with Browser() as page:
        page.open(path)
        page.wait("document.documentElement.dataset.ready")
        page.click(100, 200)
        assert page.value("document.title") == "..." and page.messages == []
"""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import tempfile
import time

from .lab import LabError, leave_out

NAMES = ("chromium", "chromium-browser", "google-chrome")
DEADLINE_S = 60


def find_browser():
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    leave_out("chromium is not installed (Debian package chromium)")


class Browser:
    """One page. `messages` are what its console said, exceptions included; `requests` the addresses that it asked for."""

    def __init__(self, width=1400, height=900, dark=False):
        self.program = find_browser()
        self.size, self.dark = (width, height), dark
        self.messages, self.requests = [], []
        self._last, self._buffer, self._session, self.pid = 0, b"", None, None

    def __enter__(self):
        self._home = tempfile.TemporaryDirectory(prefix="browser")
        to_read, self._to = self._pipe()
        self._from, from_write = self._pipe()
        try:
            self._start(to_read, from_write)
            self._attach()
        except BaseException:
            self.__exit__()
            raise
        return self

    @staticmethod
    def _pipe():
        """Its descriptors are not among those that the browser gets."""
        low = os.pipe()
        high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low)
        for fd in low:
            os.close(fd)
        return high

    def _start(self, to_read, from_write):
        """The browser reads commands from its descriptor 3 and writes answers to 4."""
        command = [self.program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
                   "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                   "--remote-debugging-pipe", f"--user-data-dir={self._home.name}", "about:blank"]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        copies = [(null, 0), (null, 1), (null, 2), (to_read, 3), (from_write, 4)]
        self.pid = os.posix_spawn(self.program, command, {**os.environ, "HOME": self._home.name}, setpgroup=0,
                                  file_actions=[(os.POSIX_SPAWN_DUP2, old, new) for old, new in copies])
        os.close(null)
        os.close(to_read)
        os.close(from_write)

    def _attach(self):
        target, = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        width, height = self.size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = "dark" if self.dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def __exit__(self, *_):
        os.close(self._to)
        os.close(self._from)
        if self.pid:
            os.killpg(self.pid, 9)
            os.waitpid(self.pid, 0)
        for _ in range(100):  # its children may still write there
            try:
                self._home.cleanup()
                return
            except OSError:
                time.sleep(0.05)

    # ---- the protocol ----

    def _receive(self, until):
        while b"\0" not in self._buffer:
            if not select.select([self._from], [], [], max(0, until - time.monotonic()))[0]:
                raise LabError("the browser does not answer")
            piece = os.read(self._from, 1 << 20)
            if not piece:
                raise LabError("the browser has ended")
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.messages.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(a.get("value")) for a in params["args"]))
        elif method == "Log.entryAdded":
            self.messages.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def call(self, method, **params):
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + DEADLINE_S
        while True:
            answer = self._receive(until)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise LabError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    # ---- what a person does ----

    def open(self, path):
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def value(self, expression):
        """Of JavaScript, as JSON."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise LabError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression):
        """Until it is true."""
        until = time.monotonic() + DEADLINE_S
        while not self.value(expression):
            if time.monotonic() > until:
                raise LabError(f"did not become true: {expression}; console: {self.messages}")
            self.settle()

    def settle(self):
        """Until the page has drawn twice."""
        self.call("Runtime.evaluate", awaitPromise=True, expression="new Promise(done => requestAnimationFrame(() => "
                                                                     "requestAnimationFrame(() => done(1))))")

    def move(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x, y):
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1,
                      buttons=1 if kind == "mousePressed" else 0)
        self.settle()

    def click_on(self, selector):
        box = self.value(f"(b => b && ({{x: b.left + b.width / 2, y: b.top + b.height / 2}}))"
                         f"(document.querySelector({json.dumps(selector)})?.getBoundingClientRect())")
        if box is None:
            raise LabError(f"the page has no {selector}")
        self.click(box["x"], box["y"])

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.settle()

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        self.settle()

    def screenshot(self, path):
        self.settle()
        pathlib.Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
