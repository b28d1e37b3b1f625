"""What `share_one_arena` does is seen in a process's own map of its memory."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from atles.upkeep.heap import share_one_arena

if sys.argv[1] == "shared":
    share_one_arena()
kept, go, done = [], threading.Event(), threading.Barrier(9)

def work():
    kept.extend(bytearray(5000) for _ in range(200))
    done.wait()
    go.wait()

threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
done.wait()
# An arena of a thread reserves 64 MiB, of which little may be used: the rest shows as a map without any right.
sizes = []
for line in open("/proc/self/maps"):
    place, rights, *_ = line.split()
    begin, end = (int(it, 16) for it in place.split("-"))
    if rights == "---p" and 32 << 20 < end - begin < 64 << 20:
        sizes.append(end - begin)
print(len(sizes))
go.set()
"""


def arenas(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas for threads")
def test_threads_share_an_arena() -> None:
    assert arenas("shared") == 0 < arenas("as ever")
