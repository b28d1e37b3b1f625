"""The demo's last step: what an OpenAI client gets from the gateway of a daemon on the home that has learned."""

import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import NamedTuple

from atles.daemon import LearningDaemon
from atles.errors import AtlesError
from atles.layout import Home
from atles.settings import Settings

_SECONDS = 180.0  # for the model server to start on a busy machine, and one answer


class Answered(NamedTuple):
    """An answer, and the adapter that gave it ("base": none)."""

    text: str
    adapter: str


def chat(home: Home, settings: Settings, question: str) -> Answered:
    """Ask the model `atles` over HTTP, as any client does. Raises AtlesError."""
    settings = replace(
        settings,
        gateway=replace(settings.gateway, enabled=True, host="127.0.0.1", port=0),
        train=replace(settings.train, enabled=False),
    )
    daemon = LearningDaemon(home, settings, embedded=False, gateway=True)
    daemon.start()
    try:
        body = {"model": "atles", "messages": [{"role": "user", "content": question}], "temperature": 0}
        request = urllib.request.Request(
            f"{daemon.gateway_url}/v1/chat/completions",
            data=json.dumps(body | {"max_tokens": settings.model.max_tokens}).encode(),
            headers={"Content-Type": "application/json"},
        )
        # No proxy of the system's stands between this process and itself.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=_SECONDS) as response:
            message = json.load(response)["choices"][0]["message"]["content"]
            return Answered(message, response.headers["X-Atles-Adapter"])
    except urllib.error.HTTPError as error:
        raise AtlesError(f"the gateway answered {error.code}: {error.read().decode('utf-8', 'replace')}") from error
    except (OSError, ValueError, LookupError) as error:
        raise AtlesError(f"the gateway did not answer: {error}") from error
    finally:
        daemon.stop()
