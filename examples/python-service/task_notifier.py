"""Reports the outcomes of a service's work to an orchestrator, over its service socket. Standard library only.

A notification is kept until the hub has acknowledged it, and is sent again, with the same message_id, over the next
connection: at least once while this process lives. Nothing is dropped: when there is no room, a call raises OutboxFull.
"""

import json
import random
import selectors
import socket
import sys
import threading
import time
import uuid
from datetime import datetime, timezone

from web_socket import ClosedByHub, WebSocket

SILENCE_S = 15.0
MAX_FRAME = 1024 * 1024
WINDOW = 256
FIRST_PAUSE_S, LONGEST_PAUSE_S, REFUSED_PAUSE_S = 0.5, 30.0, 60.0


class OutboxFull(Exception):
    """So many notifications wait for their ack that there is no room for another."""


class Unauthorized(Exception):
    """The hub does not take the token."""


class _Entry:
    def __init__(self, text):
        self.text = text
        self.not_before = 0.0  # the hub has put it off until then


class TaskNotifier:
    """One thread does everything on the socket; the others only put something into the outbox and wake it."""

    def __init__(self, url, service_name, token, on_cancel=None, max_waiting=10_000, max_bytes=64 * MAX_FRAME):
        """`on_cancel(frame)` is called on the notifier's own thread for cancelled work."""
        self._url, self._name, self._token = url, service_name, token
        self._on_cancel = on_cancel or (lambda frame: None)
        self._max_waiting, self._max_bytes = max_waiting, max_bytes
        self._changed = threading.Condition()
        self._outbox = {}  # message_id -> entry, oldest first: everything that has no ack
        self._bytes = 0
        self._seq = 0
        self._closed = False
        self._wake_up, self._woken = socket.socketpair()
        self._wake_up.setblocking(False)
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="task-notifier", daemon=True)
        self._thread.start()

    def status(self, call, job_id, status, details=None):
        """Progress: ends nothing."""
        self._put("task_status_update", call, job_id, {"status": status[:200], "details": details or {}})

    def completed(self, call, job_id, result):
        """The work is done. `result` is any JSON, None and 0 included."""
        self._put("task_completed", call, job_id, result)

    def failed(self, call, job_id, error, error_type=None, retryable=False):
        """The work has failed. `retryable` says that another try may succeed."""
        data = {"error": str(error)[:10_000], "error_type": (error_type or type(error).__name__)[:200]}
        self._put("task_failed", call, job_id, {**data, "retryable": retryable})

    def drain(self, timeout_s=5.0):
        """Waits until everything is acknowledged; False if it was not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._outbox or self._closed, timeout_s) and not self._outbox

    def close(self):
        """Ends the connection. What has no ack yet is lost: `drain` first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._wake()
        self._thread.join(2.0)

    def _put(self, event, call, job_id, data):
        frame = {
            "event": event,
            "service": self._name,
            "task_id": job_id,
            "call_id": call["call_id"],
            "global_task_id": call["task_id"],
            "tenant_id": call["tenant_id"],
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "message_id": str(uuid.uuid4()),
            "data": data,
        }
        with self._changed:
            if self._closed:
                raise RuntimeError("the notifier is closed")
            # From the clock, so that a service which starts again does not go back in its jobs.
            self._seq = max(self._seq + 1, int(time.time() * 1000))
            text = json.dumps({**frame, "seq": self._seq}, allow_nan=False, ensure_ascii=False).encode()
            if len(text) > MAX_FRAME:
                raise ValueError(f"expected at most {MAX_FRAME} bytes, got {len(text)}")
            if len(self._outbox) >= self._max_waiting or self._bytes + len(text) > self._max_bytes:
                raise OutboxFull(f"{len(self._outbox)} notifications ({self._bytes} bytes) wait for their ack")
            self._outbox[frame["message_id"]] = _Entry(text)
            self._bytes += len(text)
        self._wake()

    def _wake(self):
        try:
            self._wake_up.send(b"x")
        except OSError:
            pass  # it has been woken often enough already, or has ended

    def _run(self):
        """Connects again and again, until it is closed."""
        self._failures = 0
        while not self._closed:
            pause_s = None
            try:
                self._use(WebSocket(self._url))
            except Unauthorized as error:
                pause_s = self._refused(error)
            except ClosedByHub as closed:
                if closed.code in (4401, 4403):
                    pause_s = self._refused(closed)
                elif closed.retry_after_s is not None:
                    pause_s = closed.retry_after_s + random.uniform(0, FIRST_PAUSE_S)
            except OSError:
                pass  # it is lost
            except Exception as error:  # what came makes no sense, and must not end this thread
                print(f"the link to the orchestrator broke: {error!r}", file=sys.stderr, flush=True)
            self._failures += 1
            if pause_s is None:
                # Full jitter: a thousand services do not come back at the same moment.
                pause_s = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10)))
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause_s)
        self._wake_up.close()
        self._woken.close()

    def _refused(self, error):
        """A token that was refused will be refused again, but may be exchanged: ask now and then."""
        print(f"the orchestrator refused the token of {self._name}: {error}", file=sys.stderr, flush=True)
        return random.uniform(REFUSED_PAUSE_S / 2, REFUSED_PAUSE_S)

    def _use(self, link):
        """Says hello, then sends and listens until the link ends."""
        try:
            link.send_text(json.dumps({"service_token": self._token, "service_name": self._name}).encode())
            answer = json.loads(link.receive_text())
            if not isinstance(answer, dict) or answer.get("status") != "authenticated":
                raise Unauthorized(answer.get("message") if isinstance(answer, dict) else "no reason given")
            under_way = {}  # message_id -> entry: sent over this link
            with selectors.DefaultSelector() as selector:
                selector.register(link.socket, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                while not self._closed:
                    next_at = self._send_what_waits(link, under_way)
                    self._wait(link, selector, next_at)
                    for text in link.received_texts():
                        self._heard(json.loads(text), under_way)
                    link.check_alive(SILENCE_S)
                    if link.is_alive:
                        self._failures = 0
            link.say_goodbye()
        finally:
            link.close()

    def _send_what_waits(self, link, under_way):
        """The oldest first. Returns when something that was put off may be sent; no later than the next look around."""
        now = time.monotonic()
        next_at = now + SILENCE_S / 3
        ready = []
        with self._changed:
            for message_id, entry in self._outbox.items():
                if len(under_way) + len(ready) >= WINDOW:
                    break
                if message_id in under_way:
                    continue
                if entry.not_before <= now:
                    ready.append((message_id, entry))
                else:
                    next_at = min(next_at, entry.not_before)
        for message_id, entry in ready:
            under_way[message_id] = entry
            link.send_text(entry.text)
        return next_at

    def _wait(self, link, selector, until):
        if link.has_pending():
            link.read()
            return
        for key, _ in selector.select(max(0.0, until - time.monotonic())):
            if key.fileobj is link.socket:
                link.read()
            else:
                try:
                    self._woken.recv(4096)
                except BlockingIOError:
                    pass

    def _heard(self, frame, under_way):
        if not isinstance(frame, dict):
            return
        if frame.get("event") == "task_cancel":
            try:
                self._on_cancel(frame)
            except Exception as error:  # whatever it is, it must not end the connection
                print(f"on_cancel failed: {error!r}", file=sys.stderr, flush=True)
        elif frame.get("event") == "ack":
            self._acknowledged(frame, under_way)

    def _acknowledged(self, ack, under_way):
        message_id, outcome = ack.get("message_id"), ack.get("outcome")
        entry = under_way.pop(message_id, None)
        if entry is None:
            return
        self._failures = 0
        if outcome == "retry_later":
            asked_s = (ack.get("retry_after_ms") or 1000) / 1000
            entry.not_before = time.monotonic() + asked_s * random.uniform(1, 1.5)
            return
        if outcome in ("invalid", "forbidden", "unknown_task"):
            errors = json.dumps(ack.get("errors", []))
            print(f"a notification was not taken: {outcome} {errors}", file=sys.stderr, flush=True)
        with self._changed:
            if self._outbox.pop(message_id, None):
                self._bytes -= len(entry.text)
            self._changed.notify_all()
