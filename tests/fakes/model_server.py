"""vLLM and Ollama as far as adapters are concerned: they answer on loopback as the real ones do, in their words.

After vLLM's entrypoints/openai/models/serving.py and serve/lora/api_router.py (0.20), Ollama's server/create.go and
server/routes.go (0.33 and 0.34.2), as of November 2026.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Reply = tuple[int, Any]  # status, and JSON or text
BASE = "base-1b"


class FakeServer:
    """`calls` are the requests that came, as "METHOD /path"; `keys` what they were authorised with."""

    def __init__(self, key: str = "") -> None:
        self.calls: list[str] = []
        self.keys: list[str] = []
        self.mute: set[str] = set()  # models that are there and fail to answer
        self.go_on = threading.Event()  # what is slow waits for it
        self.go_on.set()
        self._key, self._port = key, 0
        self.start()

    def start(self) -> None:
        """Again on the same port, if it was stopped."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.calls.append(f"{self.command} {self.path}")
                fake.keys.append(self.headers.get("Authorization", ""))
                if fake._key and fake.keys[-1] != f"Bearer {fake._key}":
                    status, said = 401, {"error": "Unauthorized"}
                else:
                    status, said = fake.answer(self.command, self.path, body)
                data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
                self.close_connection = True

            do_GET = do_HEAD = do_POST = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """It is down: nobody listens."""
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        raise NotImplementedError

    def chat(self, model: str, there: bool, missing: dict[str, Any]) -> Reply:
        if not there:
            return 404, {"error": missing}
        if model in self.mute:
            return 500, {"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}}
        message = {"role": "assistant", "content": "1"}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        return 200, {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [choice]}


class FakeVLLM(FakeServer):
    """`adapters`: name -> the folder it was loaded from; forgotten by `restart`."""

    def __init__(self, key: str = "", *, updating: bool = True, lora: bool = True, max_rank: int = 16) -> None:
        self.adapters: dict[str, str] = {}
        self._updating, self._lora, self._max_rank = updating, lora, max_rank
        super().__init__(key)

    def has(self, name: str) -> bool:
        return name in self.adapters

    def lose(self) -> None:
        """A restart: what was loaded while it ran is gone."""
        self.adapters.clear()

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        if (method, path) == ("GET", "/v1/models"):
            cards = [{"id": name, "object": "model"} for name in (BASE, *self.adapters)]
            return 200, {"object": "list", "data": cards}
        document = json.loads(body) if body else {}
        if (method, path) == ("POST", "/v1/chat/completions"):
            model = document["model"]
            missing = {"message": f"The model `{model}` does not exist.", "type": "NotFoundError", "code": 404}
            return self.chat(model, model in (BASE, *self.adapters), missing)
        if self._updating and method == "POST" and path.endswith("load_lora_adapter"):
            return (self._unload if "unload" in path else self._load)(document)
        return 404, {"detail": "Not Found"}

    def _load(self, document: dict[str, Any]) -> Reply:
        name, folder = document["lora_name"], Path(document["lora_path"])
        self.go_on.wait(30)
        if name in self.adapters:
            said = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set"
            return _error(400, f"{said} 'load_inplace' to True.", "InvalidUserInput")
        if not self._lora:
            return _error(500, "LoRA is not enabled. Use --enable-lora to enable LoRA.", "InternalServerError")
        if not (folder / "adapter_config.json").exists():
            said = f"Loading lora {name} failed: No adapter found for {folder}"
            return _error(404, said, "NotFoundError")
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
        if rank > self._max_rank:
            said = f"LoRA rank {rank} is greater than max_lora_rank {self._max_rank}."
            return _error(500, said, "InternalServerError")
        self.adapters[name] = str(folder)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unload(self, document: dict[str, Any]) -> Reply:
        name = document["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        return 200, f"Success: LoRA adapter '{name}' removed successfully."


class FakeOllama(FakeServer):
    """`models`: name -> the request that made it; `blobs`: digest -> content. With `adapters=False` it is of 0.34.2."""

    def __init__(self, key: str = "", *, adapters: bool = True, base: bool = True) -> None:
        self.models: dict[str, dict[str, Any]] = {BASE: {}} if base else {}
        self.blobs: dict[str, bytes] = {}
        self._adapters = adapters
        super().__init__(key)

    def has(self, name: str) -> bool:
        return name in self.models

    def lose(self) -> None:
        """Somebody deleted what was made here."""
        self.models = {BASE: {}}

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        if path.startswith("/api/blobs/"):
            return self._blob(method, path.removeprefix("/api/blobs/"), body)
        if (method, path) == ("GET", "/api/tags"):
            tags = [{"name": f"{name}:latest", "model": f"{name}:latest"} for name in self.models]
            return 200, {"models": tags}
        routes: dict[tuple[str, str], Callable[[dict[str, Any]], Reply]] = {
            ("POST", "/api/show"): self._show, ("POST", "/api/create"): self._create,
            ("DELETE", "/api/delete"): self._delete, ("POST", "/v1/chat/completions"): self._chat,
        }  # fmt: skip
        found = routes.get((method, path))
        return found(json.loads(body)) if found else (404, "404 page not found")

    def _blob(self, method: str, digest: str, body: bytes) -> Reply:
        if method == "HEAD":
            return (200, "") if digest in self.blobs else (404, {"error": f'blob "{digest}" not found'})
        got = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if got != digest:
            return 400, {"error": f'digest mismatch, expected "{digest}", got "{got}"'}
        self.blobs[digest] = body
        return 201, ""

    def _show(self, document: dict[str, Any]) -> Reply:
        return (200, {"details": {"family": "llama"}}) if document["model"] in self.models else self._no(document)

    def _create(self, document: dict[str, Any]) -> Reply:
        self.go_on.wait(30)
        if not self._adapters:
            return 400, {"error": "LoRA adapters are no longer supported"}
        if missing := [digest for digest in document["adapters"].values() if digest not in self.blobs]:
            return 400, {"error": f"open {missing[0].replace(':', '-')}: no such file or directory"}
        if any(not self.blobs[digest].startswith(b"GGUF") for digest in document["adapters"].values()):
            return 400, {"error": "supplied file was not in GGUF format"}
        self.models[document["model"]] = document
        return 200, {"status": "success"}

    def _delete(self, document: dict[str, Any]) -> Reply:
        return (200, "") if self.models.pop(document["model"], None) is not None else self._no(document)

    def _chat(self, document: dict[str, Any]) -> Reply:
        model = document["model"]
        missing = {"message": f"model '{model}' not found", "type": "not_found_error", "param": None, "code": None}
        return self.chat(model, model in self.models, missing)

    def _no(self, document: dict[str, Any]) -> Reply:
        return 404, {"error": f"model '{document['model']}' not found"}


def _error(status: int, said: str, kind: str) -> Reply:
    return status, {"error": {"message": said, "type": kind, "param": None, "code": status}}
