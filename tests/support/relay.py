"""A relay between the program under test and one agent, which sees and may change what passes.

    with UdpRelay(agent.port, before=lambda n, request: ...) as relay:
        ... relay.port ...
        relay.requests    # the datagrams that were sent to the agent, in their order

`before(n, datagram)` runs before request number n (from 1) is passed on; the program waits as long. Whatever it
raises is raised again at the end of the `with` block.
"""

import socket
import threading

from .lab import HANG_S


class _Relay:
    def __init__(self, kind, agent_port, before=None, address="127.0.0.1"):
        self.agent = (address, agent_port)
        self.before = before
        self.requests = []
        self._failure = None
        self._ended = threading.Event()
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.bind((address, 0))
        self._socket.settimeout(0.05)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def _guarded(self):
        try:
            self._run()
        except Exception as e:  # told to the test by __exit__
            self._failure = e

    def _note(self, request):
        self.requests.append(request)
        if self.before:
            self.before(len(self.requests), request)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *exc):
        self._ended.set()
        self._thread.join()
        self._socket.close()
        if self._failure and kind is None:
            raise self._failure


class UdpRelay(_Relay):
    def __init__(self, agent_port, before=None):
        super().__init__(socket.SOCK_DGRAM, agent_port, before)

    def _run(self):
        clients = {}
        while not self._ended.is_set():
            for onward, client in clients.items():
                try:
                    self._socket.sendto(onward.recv(65536, socket.MSG_DONTWAIT), client)
                except (BlockingIOError, ConnectionRefusedError):
                    continue
            try:
                self._socket.settimeout(0.002)
                request, client = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            self._note(request)
            onward = next((s for s, c in clients.items() if c == client), None)
            if onward is None:
                onward = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                clients[onward] = client
            onward.connect(self.agent)
            onward.send(request)
        for onward in clients:
            onward.close()


class TcpRelay(_Relay):
    """Answers come in pieces: change(answer) yields them; what it yields is sent, None closes the connection."""

    def __init__(self, agent_port, change=None):
        super().__init__(socket.SOCK_STREAM, agent_port)
        self.change = change or (lambda answer: [answer])
        self.connections = 0
        self._socket.listen()

    def _run(self):
        while not self._ended.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.connections += 1
            with client, socket.create_connection(self.agent) as onward:
                client.settimeout(0.05)
                onward.settimeout(HANG_S)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._serve(client, onward)

    def _serve(self, client, onward):
        while not self._ended.is_set():
            try:
                request = client.recv(65536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                return
            if not request:
                return
            self._note(request)
            onward.sendall(request)
            for piece in self.change(onward.recv(65536)):
                if piece is None:
                    return
                try:
                    client.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    return
