"""LiteLLM's proxy, in a virtual environment of its own. Knows how it is installed and started.

One worker, without a database, callbacks, telemetry or the price list that it fetches from elsewhere by default.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

from bench.figures import say

VERSION = "1.108.7"
_START_SECONDS = 120.0
# What would send something anywhere, or fetch it; and one log line for each request, which nobody asked for.
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR", "DISABLE_ADMIN_UI": "True", "NO_DOCS": "True",
}  # fmt: skip


def install(cache: Path) -> None:
    """Raises RuntimeError."""
    folder = cache / f"litellm-{VERSION}"
    if (folder / "complete").exists():
        return
    say(f"gateway: installing LiteLLM {VERSION} into {folder} (about 750 MB; once)")
    commands = (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", f"litellm[proxy]=={VERSION}"],
    )
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            raise RuntimeError(f"LiteLLM could not be installed; this failed: {' '.join(command)}")
    (folder / "complete").touch()


class LiteLLM:
    """How to start it before `upstream`, with its files in `folder`."""

    def __init__(self, cache: Path, folder: Path, upstream: str) -> None:
        self.key = f"sk-{secrets.token_hex(12)}"  # it does not start without one
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        models = [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": upstream, "api_key": "none"}}
            for name in ("fake", "fake-paced")
        ]
        config = folder / "litellm.yaml"  # YAML holds JSON
        settings = {"telemetry": False, "num_retries": 0}
        config.write_text(
            json.dumps(
                {"model_list": models, "litellm_settings": settings, "general_settings": {"master_key": self.key}}
            )
        )
        program = cache / f"litellm-{VERSION}/bin/litellm"
        self.command = [
            str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port),
            "--num_workers", "1", "--telemetry", "False",
        ]  # fmt: skip
        self.environment = {**os.environ, **_QUIET}
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.ready = f"http://127.0.0.1:{self.port}/health/liveliness"
        self.start_seconds = _START_SECONDS
