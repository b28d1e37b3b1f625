"""A disk that keeps only what was synced: what a recorded run would have left, had the power failed in the midst of it.

`record` runs a command under strace; `Disk` plays the record, and `leave` writes the state after a power loss into a
folder: of each file what was in it at its last fsync, under the names that its folder had at its last fsync. What was
not synced is gone, or some of it is there.

Two things are as ext4, XFS and btrfs do them, and POSIX does not promise them: a rename from one folder to another is
one change, and syncing a folder makes the folder itself and those above it durable.
"""

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = (
    "openat open creat write pwrite64 writev pwritev fsync fdatasync rename renameat renameat2 link linkat unlink "
    "unlinkat rmdir mkdir mkdirat ftruncate truncate fallocate sendfile copy_file_range lseek"
).split()
_UNKNOWN = frozenset("writev pwritev truncate fallocate sendfile copy_file_range".split())
_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
_RESULT = re.compile(r"\) += (-?\d+)")
_PAGE = 4096
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded, by when it returned. `paths` are those of its descriptors and arguments."""

    name: str
    arguments: Sequence[str]
    result: int
    began: int  # number of the last call that had returned when this one was made


def record(command: Sequence[str], cwd: Path, trace: Path) -> None:
    """Run a command to its end, and write down what it and its children do with files. Raises AssertionError."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "99999999", "--seccomp-bpf", "-e", f"trace={','.join(_CALLS)}"]
    done = subprocess.run([*strace, "-o", str(trace), *command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def calls(trace: Path) -> Iterator[Call]:
    """The calls of a record, in the order in which they returned."""
    begun: dict[str, tuple[str, int]] = {}
    number = 0
    with trace.open() as lines:
        for line in lines:
            match = _LINE.match(line)
            if not match:
                continue
            thread, name, rest = match.groups()
            if rest.endswith("<unfinished ...>"):
                begun[thread] = rest.removesuffix("<unfinished ...>"), number
                continue
            head, began = begun.pop(thread, ("", number)) if "resumed>" in line[: match.start(3)] else ("", number)
            result = _RESULT.search(rest)
            if not result or result[1].startswith("-"):
                continue
            number += 1
            arguments = [it.strip() for it in (head + rest[: result.start()]).split(",")]
            yield Call(name, arguments, int(result[1]), began)


def text(argument: str) -> bytes:
    """A string argument, or the path of a descriptor."""
    return bytes.fromhex(argument.strip('"').replace("\\x", ""))


@dataclass(eq=False)
class _Node:
    """A file or a folder: as everybody sees it, and as it is on the disk."""

    folder: bool = False
    names: dict[str, "_Node"] = field(default_factory=dict)
    synced_names: dict[str, "_Node"] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    waiting: list[tuple[int, Callable[[bytearray], None]]] = field(default_factory=list)
    made: "_Change | None" = None  # the change of names that made a folder

    def half(self, kept: float, chance: random.Random) -> bytes:
        """What is on the disk when it had written some pages out by itself, as they were at some moment."""
        then, data = bytearray(self.synced), bytearray(self.synced)
        for _, do in self.waiting[: sum(chance.random() < kept for _ in self.waiting)]:
            do(then)
        if len(then) < len(data) and chance.random() < kept:
            del data[len(then) :]
        for at in range(0, len(then), _PAGE):
            page = then[at : at + _PAGE]
            if self.synced[at : at + _PAGE] != page and chance.random() < kept:
                data.extend(bytes(max(0, at - len(data))))
                data[at : at + len(page)] = page
        return bytes(data)


@dataclass(eq=False)
class _Change:
    """Names that come and go together."""

    at: int
    entries: Sequence[tuple[_Node, str, _Node | None]]


class Disk:
    """The tree below `root`, which is on the disk as it is when this is made."""

    def __init__(self, root: Path) -> None:
        self._root, self._tree, self._now = root, _load(root), 0
        self._changes: list[_Change] = []

    def play(self, call: Call) -> bool:
        """Do what a call did; whether it was in the tree."""
        self._now += 1
        arguments, name = call.arguments, call.name
        if name in ("open", "creat", "openat"):
            return self._open(arguments[1:] if name == "openat" else arguments)
        if name in ("fsync", "fdatasync"):
            return self._on(arguments[0], lambda node: self._sync(node, call.began))
        if name in ("write", "pwrite64"):
            data = text(arguments[1])[: call.result]
            place = int(arguments[3]) if name == "pwrite64" else None
            return self._on(arguments[0], lambda node: self._write(node, data, place))
        if name == "ftruncate":
            return self._on(arguments[0], lambda node: self._change(node, _cut(int(arguments[1]))))
        if name in ("rename", "renameat", "renameat2"):
            old, new = (arguments[0], arguments[1]) if name == "rename" else (arguments[1], arguments[3])
            return self._rename(old, new)
        if name in ("link", "linkat"):
            old, new = (arguments[0], arguments[1]) if name == "link" else (arguments[1], arguments[3])
            return self._link(old, new)
        if name in ("unlink", "unlinkat", "rmdir"):
            return self._enter(arguments[0] if name != "unlinkat" else arguments[1], None)
        if name in ("mkdir", "mkdirat"):
            return self._enter(arguments[0] if name == "mkdir" else arguments[1], _Node(folder=True))
        assert name not in _UNKNOWN or not any(map(self._inside, arguments)), (
            f"{name} in {self._root} is not known here"
        )
        return False

    def leave(self, target: Path, kept: float = 0.0, chance: random.Random | None = None) -> None:
        """Write what is on the disk into a new folder; of what was not synced, that share of names and pages."""
        chance = chance or random.Random(0)
        names: dict[tuple[int, str], _Node | None] = {}
        for change in self._changes:
            if chance.random() < kept:
                names.update({(id(folder), name): node for folder, name, node in change.entries})

        def write(node: _Node, path: Path) -> None:
            if not node.folder:
                path.write_bytes(node.half(kept, chance))
                return
            path.mkdir()
            entries: dict[str, _Node | None] = {**node.synced_names}
            entries.update({name: it for (of, name), it in names.items() if of == id(node)})
            for name, it in entries.items():
                if it:
                    write(it, path / name)

        write(self._tree, target)

    # --- what calls do ---

    def _open(self, arguments: Sequence[str]) -> bool:
        path, flags = arguments[0], arguments[1] if len(arguments) > 1 else ""
        if not self._inside(path):
            return False
        folder, name = self._place(path)
        if name not in folder.names and "O_CREAT" in flags:
            self._name([(folder, name, _Node())])
        if "O_TRUNC" in flags:
            self._change(folder.names[name], _cut(0))
        return True

    def _write(self, node: _Node, data: bytes, place: int | None) -> None:
        # Whoever does not say where adds to the end: all that is written here without pwrite is new or a log.
        at = len(node.data) if place is None else place

        def do(content: bytearray) -> None:
            if len(content) < at:
                content.extend(bytes(at - len(content)))
            content[at : at + len(data)] = data

        self._change(node, do)

    def _change(self, node: _Node, do: Callable[[bytearray], None]) -> None:
        do(node.data)
        node.waiting.append((self._now, do))

    def _sync(self, node: _Node, began: int) -> None:
        if not node.folder:
            data = bytearray(node.synced)
            for at, do in node.waiting:
                if at <= began:
                    do(data)
            node.synced = bytes(data)
            node.waiting = [(at, do) for at, do in node.waiting if at > began]
            return
        if node.made in self._changes:
            self._commit(node.made)
        for change in [it for it in self._changes if it.at <= began and any(of is node for of, _, _ in it.entries)]:
            self._commit(change)

    def _commit(self, change: "_Change | None") -> None:
        if change not in self._changes:
            return
        assert change
        self._changes.remove(change)
        places = {(id(folder), name) for folder, name, _ in change.entries}
        for earlier in list(self._changes):  # of the same names
            if earlier.at < change.at and places & {(id(folder), name) for folder, name, _ in earlier.entries}:
                self._commit(earlier)
        for folder, name, node in change.entries:
            if folder.made in self._changes:
                self._commit(folder.made)
            if node is None:
                folder.synced_names.pop(name, None)
            else:
                folder.synced_names[name] = node

    def _rename(self, old: str, new: str) -> bool:
        inside = self._inside(old), self._inside(new)
        assert inside[0] == inside[1], "nothing comes from outside, or goes there"
        if inside[0]:
            (source, name), (target, other) = self._place(old), self._place(new)
            self._name([(source, name, None), (target, other, source.names[name])])
        return inside[0]

    def _link(self, old: str, new: str) -> bool:
        assert self._inside(old) == self._inside(new), "nothing comes from outside, or goes there"
        if self._inside(old):
            folder, name = self._place(old)
            self._enter(new, folder.names[name])
        return self._inside(old)

    def _enter(self, path: str, node: _Node | None) -> bool:
        if self._inside(path):
            folder, name = self._place(path)
            self._name([(folder, name, node)])
        return self._inside(path)

    def _name(self, entries: Sequence[tuple[_Node, str, _Node | None]]) -> None:
        change = _Change(self._now, entries)
        self._changes.append(change)
        for folder, name, node in entries:
            if node is None:
                folder.names.pop(name, None)
            else:
                folder.names[name] = node
                node.made = change if node.folder else None

    # --- paths ---

    def _path(self, argument: str) -> Path:
        match = _PATH.search(argument)
        return Path(text(match[1] if match else argument).decode("utf-8", "surrogateescape"))

    def _inside(self, argument: str) -> bool:
        if not argument.startswith('"') and not _PATH.search(argument):
            return False
        return self._path(argument).is_relative_to(self._root)

    def _place(self, argument: str) -> tuple[_Node, str]:
        path = self._path(argument).relative_to(self._root)
        node = self._tree
        for part in path.parts[:-1]:
            node = node.names[part]
        return node, path.name

    def _on(self, descriptor: str, do: Callable[[_Node], None]) -> bool:
        # A file that has no name any more is nobody's.
        if not self._inside(descriptor) or descriptor.endswith("(deleted)"):
            return False
        folder, name = self._place(descriptor)
        do(folder.names[name] if name else self._tree)
        return True


def _load(path: Path) -> _Node:
    if not path.is_dir():
        return _Node(data=bytearray(path.read_bytes()), synced=path.read_bytes())
    names = {it.name: _load(it) for it in path.iterdir() if it.is_dir() or it.is_file()}
    return _Node(True, names, dict(names))


def _cut(size: int) -> Callable[[bytearray], None]:
    def do(content: bytearray) -> None:
        del content[size:]
        content.extend(bytes(size - len(content)))

    return do


def available() -> bool:
    """Whether strace is there and may trace."""
    strace = shutil.which("strace")
    return bool(strace) and subprocess.run([strace or "", "-f", "true"], capture_output=True).returncode == 0
