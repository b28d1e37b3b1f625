"""Disks that fail: folders that cannot be written to, and one of 4 MiB that is full."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# How to start a program that permissions bind: root may write everywhere, unless it gives that up.
BOUND = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def skip_unless_permissions_hold(folder: Path) -> None:
    """Skip where this process may write everywhere and cannot start one that may not. `folder` is made to try it."""
    if BOUND and not shutil.which(BOUND[0]):
        pytest.skip("root may write everywhere, and setpriv is not there to give that up")
    folder.mkdir(mode=0o555)
    tried = subprocess.run([*BOUND, "touch", folder / "file"], capture_output=True, text=True)
    if "Permission denied" not in tried.stderr:
        pytest.skip(f"read-only folders do not bind this user here: {tried.stderr.strip()}")


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Nothing can be made, renamed or removed in these folders by whoever is bound by that."""
    before = {folder: folder.stat().st_mode for folder in folders}
    for folder, mode in before.items():
        folder.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for folder, mode in before.items():
            folder.chmod(mode)


class SmallDisk:
    """A file system of its own, of 4 MiB, in `folder`. Skips the test where it cannot be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "atles-test", folder], capture_output=True, text=True
        )
        if mounted.returncode:
            pytest.skip(f"a disk of 4 MiB cannot be mounted here: {mounted.stderr.strip()}")

    def __enter__(self) -> "SmallDisk":
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not one byte is free, and what becomes free is taken at once, as by a log that runs wild."""
        filler, stop = self.folder / "filler", threading.Event()
        with open(filler, "ab", buffering=0) as file:

            def fill() -> None:
                while not stop.is_set():
                    try:
                        file.write(b"x" * 4096)
                    except OSError:  # it is full
                        stop.wait(0.002)

            thread = threading.Thread(target=fill)
            thread.start()
            try:
                while self.free_bytes:
                    time.sleep(0.01)
                yield
            finally:
                stop.set()
                thread.join()
                filler.unlink()

    @property
    def free_bytes(self) -> int:
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize
