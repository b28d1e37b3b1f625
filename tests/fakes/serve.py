"""Stands in for `python -m atles.ml.serve spec.json`: the same line, the same addresses; it says which adapter it is.

    python serve.py CONTROL serve spec.json

CONTROL is a folder. `serve.modes` in it lists one mode a line, as for program.py: ok, slow (to start), slow_answer,
vanish, bad_data, hang (before it listens), deaf (listens, answers nothing), refuse (answers 500), chatty, dies (at
the second chat), unique (no two answers are the same, and one is streamed where that is asked for).
`serve.NAME.modes` is the same for the adapter NAME alone. Every run is noted in `serve.runs`.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STARTING, ANSWERING = 0.6, 0.3  # seconds of the slow


def main() -> None:
    control, spec_file = Path(sys.argv[1]), Path(sys.argv[3])
    threading.Thread(target=leash, daemon=True).start()
    spec = json.loads(spec_file.read_text())
    mode = noted(control, spec)
    if mode == "bad_data":
        error = {"kind": "bad_data", "message": "llama.cpp cannot serve it (fake)"}
        (spec_file.parent / "report.json").write_text(json.dumps({"error": error}))
        sys.exit(1)
    if mode == "vanish":
        print("Traceback: something odd", file=sys.stderr)
        sys.exit(3)
    if mode == "hang":
        time.sleep(600)
    if mode == "slow":
        time.sleep(STARTING)
    if mode == "chatty":
        sys.stdout.buffer.write(b"\xff\xfe{]\n[1, 2]\n17\nnull\n")
        sys.stdout.flush()
    server = Server(("127.0.0.1", 0), Handler)
    server.mode, server.name, server.chats, server.word = mode, spec["name"], 0, os.urandom(6).hex()
    url = f"http://127.0.0.1:{server.server_port}/{server.word}/v1"
    print(json.dumps({"event": "listening", "url": url}), flush=True)
    server.serve_forever()


def noted(control: Path, spec: dict) -> str:
    """Note the run; its mode."""
    with open(control / "serve.runs", "a+") as runs:
        runs.seek(0)
        names = [json.loads(line)["spec"]["name"] for line in runs]
        runs.write(json.dumps({"pid": os.getpid(), "spec": spec}) + "\n")
    own = control / f"serve.{spec['name']}.modes"
    modes, number = (own, names.count(spec["name"])) if own.exists() else (control / "serve.modes", len(names))
    listed = modes.read_text().split() if modes.exists() else ["ok"]
    return listed[min(number, len(listed) - 1)]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    mode, name, word, chats = "ok", "", "", 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.reply(200, {"status": "ok"} if self.path.endswith("/health") else {"data": [{"id": self.server.name}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.server.mode == "refuse":
            self.reply(500, {"error": {"message": "out of luck (fake)"}})
            return
        if self.path.endswith("/chat/completions"):
            self.server.chats += 1
            if self.server.mode == "dies" and self.server.chats == 2:
                os._exit(9)
            if self.server.mode == "slow_answer":
                time.sleep(ANSWERING)
            if self.server.mode == "unique":
                self.unique(stream=bool(asked.get("stream")))
                return
        self.reply(200, {"model": self.server.name, "choices": [{"message": {"content": f"I am {self.server.name}"}}]})

    def unique(self, stream: bool) -> None:
        pieces = [f"Answer {os.urandom(8).hex()}", f" of {self.server.name}", "."]
        if not stream:
            self.reply(200, {"choices": [{"message": {"content": "".join(pieces)}}]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            event = json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]})
            self.wfile.write(f"data: {event}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def reply(self, status: int, value: object) -> None:
        if self.server.mode == "deaf":
            time.sleep(600)
        if not self.path.startswith(f"/{self.server.word}/v1/"):
            status, value = 404, {"error": {"message": "not found (fake)"}}
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def leash() -> None:
    while os.read(0, 4096):
        pass
    os._exit(2)


if __name__ == "__main__":
    main()
