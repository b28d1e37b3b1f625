"""One request over HTTP(S), bounded in time and size. Knows sockets and proxies, nothing of models.

The standard library's http.client: 2.4 MB and 28 ms to import beside what the daemon has (urllib3 4.4 MB and 73 ms,
httpx 5.6 MB, requests 9.0 MB; 2026-11-24), paid only by who imports this. The
certificates of a first https call are 1.8 MB more.
"""

import base64
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 16


class TooLarge(Exception):
    """The server sends more than the limit."""


class Stopped(Exception):
    """`Sender.stop` was called."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Sender:
    """Sends to one URL. Redirects are not followed: they would carry the key and the chat to somebody else."""

    def __init__(self, url: str, timeout_seconds: float, max_bytes: int) -> None:
        self._url, self._timeout, self._max_bytes = urlsplit(url), timeout_seconds, max_bytes
        self._tls: ssl.SSLContext | None = None
        self._socket: socket.socket | None = None
        self._stopped = False

    def send(self, method: str, body: bytes | Path | None, headers: Mapping[str, str]) -> Response:
        """The server's response, whatever its status. A file is sent piece by piece, as long as it is now.

        Raises TimeoutError when the whole exchange takes longer than the timeout, OSError or
        http.client.HTTPException when the connection fails or the file cannot be read, TooLarge, Stopped.
        """
        if not isinstance(body, Path):
            return self._send(method, body, headers)
        with body.open("rb") as file:
            length = str(os.fstat(file.fileno()).st_size)  # without it, http.client sends chunks
            return self._send(method, file, {**headers, "Content-Length": length})

    def _send(self, method: str, body: bytes | BinaryIO | None, headers: Mapping[str, str]) -> Response:
        if self._stopped:
            raise Stopped
        deadline = time.monotonic() + self._timeout
        connection, target, extra = self._connection()
        expired = threading.Event()
        # A server that sends a byte now and then never runs into a socket's timeout; this ends it all the same.
        timer = threading.Timer(self._timeout, self._expire, (expired,))
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            self._socket = connection.sock
            if self._stopped or expired.is_set():
                raise TimeoutError("no connection in time")
            connection.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            connection.request(method, target, body, {**headers, **extra})
            response = connection.getresponse()
            content = self._read(response)
            if self._stopped or expired.is_set():  # a body without a length seems to end where we hung up
                raise TimeoutError("hung up")
            return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        except (OSError, http.client.HTTPException) as error:
            if self._stopped:
                raise Stopped from error
            if expired.is_set():
                raise TimeoutError(f"no answer within {self._timeout:g} s") from error
            raise
        finally:
            timer.cancel()
            self._socket = None
            connection.close()

    def stop(self) -> None:
        """End the call that is under way, from another thread, and every later one."""
        self._stopped = True
        self._hang_up()

    def _expire(self, expired: threading.Event) -> None:
        expired.set()
        self._hang_up()

    def _hang_up(self) -> None:
        connected = self._socket
        if connected is not None:
            try:
                # The plain socket's: TLS would first forget its state, under the feet of the thread that reads.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        parts, size = [], 0
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge
            parts.append(chunk)
        if response.length:  # read(n) does not say that the announced rest is missing
            raise http.client.IncompleteRead(b"".join(parts), response.length)
        return b"".join(parts)

    def _connection(self) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """The connection, what to ask for on it, and the headers that a proxy needs."""
        url, host = self._url, self._url.hostname or ""
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 80)
        proxy = self._proxy(host)
        seconds = min(self._timeout, _CONNECT_SECONDS)
        if secure and self._tls is None:
            self._tls = ssl.create_default_context()
        via, at = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        auth = _proxy_authorization(proxy) if proxy else {}
        if not secure:
            target = f"http://{url.netloc}{url.path}" if proxy else url.path
            return http.client.HTTPConnection(via, at, timeout=seconds), target, auth
        connection = http.client.HTTPSConnection(via, at, timeout=seconds, context=self._tls)
        if proxy:
            connection.set_tunnel(host, port, auth)
        return connection, url.path, {}

    def _proxy(self, host: str) -> SplitResult | None:
        """The proxy that the system's or the user's configuration names for the host; none for this machine."""
        if is_loopback(host):
            return None
        from urllib.request import getproxies, proxy_bypass  # half a megabyte that a local server never needs

        found = getproxies().get(self._url.scheme)
        if not found or proxy_bypass(host):
            return None
        return urlsplit(found if "://" in found else f"http://{found}")


class Post(Sender):
    """Sends messages to one URL."""

    def __call__(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """The server's response; see `send`."""
        return self.send("POST", body, headers)


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
