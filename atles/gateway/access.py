"""Who may come in. Knows keys, hosts, origins and rates; not what is asked.

On this machine's own address no key is needed, as long as none was made: then every caller is trusted like the user,
but not every web page that their browser shows (the Host of a rebound name and the Origin of another site are refused).
What changes models or shows what is remembered needs a key even there, or the socket in the home's folder, which only
its owner can open.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from atles.errors import ConfigError
from atles.gateway.refusal import Refusal
from atles.records import printable
from atles.serving.http import is_loopback
from atles.settings import GatewaySettings
from atles.store.keys import PREFIX, ApiKey, Keys

_KNOWN_SECONDS = 2.0  # for so long a removed key still works
_LONGEST_KEY = 200  # characters
_MOST_CALLERS = 10_000  # whose rates are counted


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `client` tells one program from another; `user` is the key's, None without a key."""

    client: str
    user: str | None
    admin: bool
    trusted: bool  # may see what is remembered

    @property
    def has_key(self) -> bool:
        return self.user is not None

    def user_of(self, request: web.Request, document: Mapping[str, Any]) -> str:
        """Whose conversation it is: the key's user, or whom an application without keys names."""
        if self.user is not None:
            return self.user
        named = request.headers.get("X-Atles-User") or document.get("user")
        return printable(named) if isinstance(named, str) else ""


class Access:
    """Raises ConfigError where the address is open to others and there is no key."""

    def __init__(self, settings: GatewaySettings, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._keys, self._clock = settings, keys, clock
        self._local = is_loopback(settings.host)
        self._known: dict[str, tuple[float, ApiKey | None]] = {}
        self._needed, self._needed_at = keys.any(), clock()
        self._rates: dict[str, tuple[float, float]] = {}  # client -> requests left, and when that was so
        if not self._local and not self._needed:
            raise ConfigError(
                f"gateway.host = {settings.host!r} lets other machines in, and there is no key: make one with "
                "`atles keys add NAME`, or keep 127.0.0.1"
            )

    def admit(self, request: web.Request) -> Caller:
        """The caller of a request. Raises Refusal."""
        by_socket = _is_unix(request)
        key = self._key(request)
        if not by_socket:
            self._check_host(request, key)
            if key is None and self._key_needed():
                raise Refusal(401, "invalid_api_key", "give a key of this gateway (`atles keys add NAME` makes one)")
        peer = request.remote or "socket"
        client = f"key {key.id}" if key else f"{peer} {request.headers.get('User-Agent', '')[:200]}"
        self._check_rate(key.id if key else peer)
        return Caller(
            client, key.user if key else None, by_socket or bool(key and key.admin), by_socket or key is not None
        )

    def may_read(self, request: web.Request) -> bool:
        """Whether a request comes from a web page that may read the answer."""
        origin = request.headers.get("Origin")
        return origin is not None and (_is_local_origin(origin) or self._key_needed())

    def _key(self, request: web.Request) -> ApiKey | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        text = token.strip() if scheme.lower() == "bearer" else request.headers.get("X-Api-Key", "")
        text = printable(text)
        if not text.startswith(PREFIX):
            return None  # a key of the model server's, which is passed on
        at, key = self._known.get(text, (-_KNOWN_SECONDS, None))
        if self._clock() - at > _KNOWN_SECONDS:
            key = self._keys.find(text) if len(text) <= _LONGEST_KEY else None
            if len(self._known) > _MOST_CALLERS:
                self._known.clear()
            if key:  # what others make up is not kept
                self._known[text] = (self._clock(), key)
        if key is None:
            self._check_rate(request.remote or "socket")
            raise Refusal(401, "invalid_api_key", "this key of the gateway is not known (any more); see `atles keys`")
        return key

    def _key_needed(self) -> bool:
        if self._clock() - self._needed_at > _KNOWN_SECONDS:
            self._needed, self._needed_at = self._keys.any(), self._clock()
        return self._needed or not self._local

    def _check_host(self, request: web.Request, key: ApiKey | None) -> None:
        if self._local and not _is_local_name(request.headers.get("Host", "")):
            raise Refusal(403, "wrong_host", f"this gateway is {self._settings.host}, whatever name leads to it")
        origin = request.headers.get("Origin")
        if origin and key is None and not _is_local_origin(origin):
            raise Refusal(403, "wrong_origin", "a web page of another site may not use this gateway without a key")

    def _check_rate(self, name: str) -> None:
        most = self._settings.requests_per_minute
        if not most:
            return
        now = self._clock()
        left, at = self._rates.get(name, (float(most), now))
        left = min(float(most), left + (now - at) * most / 60)
        if left < 1:
            wait = max(1, round((1 - left) * 60 / most))
            raise Refusal(429, "rate_limit_exceeded", f"more than {most} requests a minute", {"Retry-After": str(wait)})
        if len(self._rates) > _MOST_CALLERS:
            self._rates.clear()
        self._rates[name] = (left - 1, now)


def _is_unix(request: web.Request) -> bool:
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport else None
    return connection is not None and connection.family == getattr(socket, "AF_UNIX", None)


def _is_local_origin(origin: str) -> bool:
    try:
        return _is_local_name(urlsplit(origin).netloc)
    except ValueError:
        return False


def _is_local_name(netloc: str) -> bool:
    """Whether a Host header or an origin's host names this machine."""
    try:
        host = urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return is_loopback(host)
