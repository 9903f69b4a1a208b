"""A service for an orchestrator in Python, standard library only.

    ORCHESTRATOR_URL=http://127.0.0.1:8000 SERVICE_TOKEN=… python3 text_service.py

`statistics` answers at once (200); `summarise` answers with a job (202) and reports on it: progress, then its outcome.
A call that is sent again, which happens when an answer was lost, has the same call_id and gets the same answer.
"""

import hmac
import json
import os
import re
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from task_notifier import OutboxFull, TaskNotifier

NAME = "text"
MAX_BODY = 1024 * 1024 + 16 * 1024
REMEMBERED = 1_000
MAX_JOBS = 100
SENTENCE_S = 0.05
STOP_S = 2.0


class Refused(Exception):
    """What is not done. A 4xx is final, so it is for what would fail again in the same way; 429 and 503 are sent again."""

    def __init__(self, status, code, title):
        super().__init__(title)
        self.status, self.code = status, code
        self.body = {"title": title, "status": status, "code": code}


class Stopped(Exception):
    """The job was given up half-way."""


def statistics(text):
    words = re.findall(r"\w+", text)
    return {"words": len(words), "sentences": len(re.findall(r"[^.!?]+[.!?]", text)), "characters": len(text)}


def summarise(text, progress, stopped):
    """The sentence with the most frequent words. Slow on purpose."""
    sentences = [sentence.strip() for sentence in re.findall(r"[^.!?]+[.!?]", text)]
    if not sentences:
        raise Refused(400, "invalid_request", "text: expected a sentence, got none")
    counts = {}
    for word in re.findall(r"\w{4,}", text.lower()):
        counts[word] = counts.get(word, 0) + 1
    scores = []
    for number, sentence in enumerate(sentences, 1):
        if stopped.wait(SENTENCE_S):
            raise Stopped
        words = re.findall(r"\w{4,}", sentence.lower()) or [""]
        scores.append(sum(counts.get(word, 0) for word in words) / len(words))
        progress("reading", {"percent": round(100 * number / len(sentences))})
    return {"summary": sentences[scores.index(max(scores))]}


class Job:
    def __init__(self, call):
        self.call = call
        self.id = f"job-{call['call_id']}"
        self.stopped = threading.Event()
        self.cancelled = False


class TextService:
    def __init__(self, url, token):
        self.token = token
        self._answers = {}  # (tenant_id, call_id) -> (what was asked, answer), oldest first
        self._jobs = {}  # call_id -> job, while it runs
        self._changed = threading.Condition()
        self._stopping = False
        self._notifier = TaskNotifier(url, NAME, token, on_cancel=self._cancel)

    def call(self, operation, call):
        if operation not in ("statistics", "summarise"):
            raise Refused(404, "not_found", f'operation: expected statistics or summarise, got "{operation[:64]}"')
        text = call["input"].get("text") if isinstance(call["input"], dict) else None
        if not isinstance(text, str):
            raise Refused(400, "invalid_request", "input.text: expected a string")
        key, asked = (call["tenant_id"], call["call_id"]), (operation, text)
        # Under one lock: the same call may come twice at the same moment.
        with self._changed:
            known = self._answers.get(key)
            if known and known[0] != asked:
                raise Refused(409, "idempotency_conflict", "the call_id was used for something else")
            if known:
                return known[1]
            answer = (200, {"result": statistics(text)}) if operation == "statistics" else self._accept(call, text)
            self._answers[key] = (asked, answer)
            while len(self._answers) > REMEMBERED:
                self._answers.pop(next(iter(self._answers)))
            return answer

    def stop(self):
        """Takes no more, lets jobs end for a while, gives the rest up, and waits for the orchestrator to know."""
        with self._changed:
            self._stopping = True
            self._changed.wait_for(lambda: not self._jobs, STOP_S)
            for job in self._jobs.values():
                job.stopped.set()
            self._changed.wait_for(lambda: not self._jobs, STOP_S)
        self._notifier.drain(STOP_S)
        self._notifier.close()

    def _accept(self, call, text):
        if self._stopping:
            raise Refused(503, "not_running", "the service stops")
        if len(self._jobs) >= MAX_JOBS:
            raise Refused(429, "rate_limited", f"expected at most {MAX_JOBS} jobs at a time")
        job = Job(call)
        self._jobs[call["call_id"]] = job
        threading.Thread(target=self._work, args=(job, text), daemon=True).start()
        return (202, {"job_id": job.id})

    def _work(self, job, text):
        try:
            result = summarise(text, lambda *told: self._progress(job, *told), job.stopped)
            self._notifier.completed(job.call, job.id, result)
        except Stopped:
            if not job.cancelled:
                error = "the service stopped before the job was done"
                self._notifier.failed(job.call, job.id, error, "not_running", retryable=True)
        except Refused as refused:
            self._notifier.failed(job.call, job.id, refused, refused.code)
        except Exception as error:
            # Something unforeseen may be gone the next time.
            self._notifier.failed(job.call, job.id, error, retryable=True)
        finally:
            with self._changed:
                self._jobs.pop(job.call["call_id"], None)
                self._changed.notify_all()

    def _progress(self, job, status, details):
        try:
            self._notifier.status(job.call, job.id, status, details)
        except OutboxFull:
            pass  # progress can be done without, an outcome can't

    def _cancel(self, frame):
        with self._changed:
            job = self._jobs.get(frame.get("call_id"))
            if job and job.call["tenant_id"] == frame.get("tenant_id"):
                job.cancelled = True
                job.stopped.set()


def handler_of(service):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30  # limit of an incomplete request
        wbufsize = 64 * 1024  # head and body in one piece
        disable_nagle_algorithm = True

        def do_POST(self):
            try:
                try:
                    self._answer(*self._serve())
                except Refused as refused:
                    self._answer(refused.status, refused.body, "application/problem+json")
                except OSError:
                    raise
                except Exception as error:  # a bug: the call is resent, and the error is logged
                    print(f"{self.path}: {error!r}", file=sys.stderr, flush=True)
                    body = {"title": "an error inside", "status": 500, "code": "internal_error"}
                    self._answer(500, body, "application/problem+json")
            except OSError:
                self.close_connection = True  # the caller has disconnected

        def _serve(self):
            body = self._body()
            given = self.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, f"Bearer {service.token}".encode()):
                raise Refused(401, "unauthorized", "expected the service's token")
            return service.call(self.path.split("?")[0].strip("/"), self._read(body))

        def _body(self):
            size = self.headers.get("content-length", "")
            if not size.isascii() or not size.isdigit():
                self.close_connection = True
                raise Refused(411, "invalid_request", "expected a content-length")
            if int(size) > MAX_BODY:
                # What is not read would turn this answer into a broken connection, which is sent again.
                self.close_connection = True
                left = min(int(size), 16 * MAX_BODY)
                while left > 0 and (part := self.rfile.read(min(left, 65536))):
                    left -= len(part)
                raise Refused(413, "payload_too_large", f"the body: expected at most {MAX_BODY} bytes")
            return self.rfile.read(int(size))

        def _read(self, body):
            try:
                call = json.loads(body)
            except (ValueError, RecursionError):
                raise Refused(400, "invalid_request", "the body: expected JSON") from None
            for field in ("call_id", "task_id", "tenant_id"):
                if not isinstance(call, dict) or not isinstance(call.get(field), str):
                    raise Refused(400, "invalid_request", f"{field}: expected a string")
            if "input" not in call:
                raise Refused(400, "invalid_request", "input: expected a value, got nothing")
            return call

        def _answer(self, status, body, media_type="application/json"):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(text)))
            if status in (429, 503):
                self.send_header("retry-after", "1")
            self.end_headers()
            self.wfile.write(text)
            self.wfile.flush()

        def log_message(self, *_):
            pass

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # the caller has disconnected: not an error
            super().handle_error(request, client_address)


def main():
    url, token = os.environ.get("ORCHESTRATOR_URL"), os.environ.get("SERVICE_TOKEN")
    if not url or not token:
        print("expected ORCHESTRATOR_URL and SERVICE_TOKEN in the environment", file=sys.stderr)
        return 78
    service = TextService(url, token)
    address = (os.environ.get("SERVICE_HOST", "127.0.0.1"), int(os.environ.get("SERVICE_PORT", "0")))
    server = Server(address, handler_of(service))
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown).start())
    host, port = server.server_address[:2]
    print(json.dumps({"service": NAME, "url": f"http://{host}:{port}"}), flush=True)
    server.serve_forever()
    server.server_close()
    service.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
