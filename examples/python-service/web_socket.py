"""A WebSocket as a client (RFC 6455): texts there and back, ping and pong, no extensions. For one thread at a time."""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import time
from urllib.parse import urlsplit

PATH = "/ws/task_updates"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE = 2 * 1024 * 1024
MAX_HEAD = 16 * 1024
CONNECT_S = 10.0
WRITE_S = 15.0
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class ClosedByHub(Exception):
    """The hub has closed the connection. `retry_after_s` is there when it said when to come back."""

    def __init__(self, code, reason):
        super().__init__(reason or f"closed with {code}")
        self.code = code
        self.retry_after_s = None
        try:
            self.retry_after_s = max(0.0, min(300.0, float(json.loads(reason)["retry_after_ms"]) / 1000))
        except (ValueError, KeyError, TypeError):
            pass


class WebSocket:
    def __init__(self, url):
        """Connects. Raises OSError or ValueError, as everything else here does when the connection is lost."""
        parts = urlsplit(url)
        secure = parts.scheme in ("wss", "https")
        port = parts.port or (443 if secure else 80)
        self.socket = socket.create_connection((parts.hostname, port), CONNECT_S)
        try:
            if secure:
                context = ssl.create_default_context()
                self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._received = b""
            self._parts = []  # of a message that comes in several frames
            self._texts = []
            self._heard_at = time.monotonic()
            self._asked_at = None  # when a ping went out that has no answer
            self.is_alive = False  # something has gone there and come back
            self._upgrade(parts)
        except BaseException:
            self.close()
            raise

    def _upgrade(self, parts):
        key = base64.b64encode(os.urandom(16))
        path = parts.path.rstrip("/")
        path = path if path.endswith(PATH) else path + PATH
        host = parts.netloc.rpartition("@")[2]
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._received:
            if len(self._received) > MAX_HEAD:
                raise ValueError("expected the head of an answer, got no end of it")
            self._received += self._some()
        head, self._received = self._received.split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if " 101" not in status or headers.get("sec-websocket-accept") != accept:
            raise ConnectionError(f"expected an upgrade to WebSocket, got {status!r}")
        self._parse()

    def send_text(self, payload):
        self._send(TEXT, payload)

    def say_goodbye(self):
        self._send(CLOSE, struct.pack("!H", 1000))

    def receive_text(self):
        """Waits for the next text, for as long as a connection may take."""
        self.socket.settimeout(CONNECT_S)
        while not self._texts:
            self._received += self._some()
            self._parse()
        return self._texts.pop(0)

    def has_pending(self):
        """Whether TLS holds something that a selector does not know of."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def read(self):
        """Reads what is there."""
        self.socket.settimeout(WRITE_S)
        self._received += self._some()
        self._parse()

    def received_texts(self):
        texts, self._texts = self._texts, []
        return texts

    def check_alive(self, silence_s):
        """A silent hub is asked whether it is there; one that does not answer is not."""
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at > silence_s:
            raise ConnectionError("no pong")
        if self._asked_at is None and now - self._heard_at > silence_s:
            self._asked_at = now
            self._send(PING, b"")

    def close(self):
        self.socket.close()

    def _some(self):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the link has ended")
        self._heard_at = time.monotonic()
        return part

    def _parse(self):
        """Takes the whole frames from what has come."""
        while True:
            frame = self._next_frame()
            if frame is None:
                return
            final, opcode, payload = frame
            if self._asked_at is not None:
                self._asked_at = None
                self.is_alive = True
            if opcode == PING:
                self._send(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                try:
                    self._send(CLOSE, payload[:2])
                except OSError:
                    pass
                raise ClosedByHub(code, payload[2:].decode(errors="replace"))
            elif opcode in (TEXT, CONTINUATION):
                self._parts.append(payload)
                if sum(map(len, self._parts)) > MAX_MESSAGE:
                    raise ValueError(f"expected at most {MAX_MESSAGE} bytes")
                if final:
                    self._texts.append(b"".join(self._parts).decode())
                    self._parts = []
            elif opcode != PONG:
                raise ValueError(f"expected a text, got opcode {opcode}")

    def _next_frame(self):
        data = self._received
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if data[1] & 0x80 or data[0] & 0x70:
            raise ValueError("expected a frame without mask and extensions")
        if size == 126:
            at = 4
            size = struct.unpack("!H", data[2:4])[0] if len(data) >= 4 else MAX_HEAD
        elif size == 127:
            at = 10
            size = struct.unpack("!Q", data[2:10])[0] if len(data) >= 10 else MAX_HEAD
        if size > MAX_MESSAGE:
            raise ValueError(f"expected at most {MAX_MESSAGE} bytes, got {size}")
        if len(data) < at + size:
            return None
        self._received = data[at + size :]
        return bool(data[0] & 0x80), data[0] & 0x0F, data[at : at + size]

    def _send(self, opcode, payload):
        mask = os.urandom(4)
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        masked = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
        self.socket.settimeout(WRITE_S)
        self.socket.sendall(head + mask + masked)
