"""systemd as the keeper of the daemon: a unit, and `systemctl`. Knows the format, and what each line is for."""

import glob
import json
import re
from collections.abc import Sequence
from pathlib import Path

from atles.layout import Home
from atles.upkeep.service import Keeper, Service

SYSTEM_UNITS = Path("/etc/systemd/system")

_PLAIN = re.compile(r"[A-Za-z0-9_%+=:,./-]+\Z")
_MARK = "# Written by `atles install`; `atles uninstall` removes it, `systemctl edit` changes it. Home: "
_UNIT = """\
{mark}
[Unit]
Description=ATLES, learning on "{shown}"
{order}\
# Never give up: a full disk, or a database that is away, may be there again tomorrow.
StartLimitIntervalSec=0

[Service]
# It is ready once it learns and its gateway answers. Before that, a large database of an older version takes time.
Type=notify
TimeoutStartSec=15min
{user}\
ExecStart={command}
WorkingDirectory={folder}
# Secrets as NAME=value, such as the variable that memory.llm_api_key_env names. For you alone: chmod 600.
EnvironmentFile=-{secrets}

Restart=on-failure
RestartSec=10
# The settings are wrong: trying again helps nobody.
RestartPreventExitStatus=2
# It is heard of three times as often, unless a thread has died or the database does not answer.
WatchdogSec=5min
# More than it takes to finish what is short, and to bring a training to its checkpoint.
TimeoutStopSec={stop_seconds:.0f}
# The daemon ends its programs itself: the trainer at a checkpoint, the model server after the last answer.
KillMode=mixed
# A training for which memory ran out is tried again later; it must not take the daemon with it.
OOMPolicy=continue
# A core file would hold chats.
LimitCORE=0
UMask=0077

# What follows takes rights away which neither the daemon nor PyTorch, llama.cpp and CUDA need. Not here, on purpose:
# MemoryDenyWriteExecute, for PyTorch and its libraries write code as they run; PrivateDevices, which hides the GPU;
# ProcSubset, for load and memory are read from /proc; PrivateNetwork and IPAddressDeny, for the gateway and for model
# servers (if all of yours are on this machine, add IPAddressDeny=any and IPAddressAllow=localhost).
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
# Netlink: who resolves a name asks the kernel for this machine's own addresses.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
# Without ~@resources: the trainer makes itself nice, and threads are bound to cores.
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
{system}\

[Install]
WantedBy={wanted_by}
"""
# A user's systemd lacks the rights for some of these, and many systems forbid it the namespaces for the others.
_SYSTEM = """\
KeyringMode=private
CapabilityBoundingSet=
AmbientCapabilities=
# Nothing can be written but the home, and the folders that the settings named when this was written.
ProtectSystem=strict
ReadWritePaths={writable}
# Not hidden: Python, a model, or the home itself may lie there.
ProtectHome=read-only
# Models that are fetched by name (model.base = "hf:…") are kept where they can be written.
Environment={cache}
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
# No device but GPUs: NVIDIA's, those that DRM knows, and AMD's for computing.
DevicePolicy=closed
DeviceAllow=char-nvidia* rw
DeviceAllow=char-drm rw
DeviceAllow=char-kfd rw
"""


class Systemd(Keeper):
    """The systemd of the whole `system`, or a user's; `units` is the folder that it reads."""

    def __init__(self, units: Path, *, system: bool = False) -> None:
        self._units, self._system = units, system
        self._control = ["systemctl"] if system else ["systemctl", "--user"]

    def file(self, name: str) -> Path:
        return self._units / f"{name}.service"

    def definition(self, service: Service) -> bytes:
        program, *arguments = service.command
        home = _percent(str(service.home))
        system = _SYSTEM.format(
            writable=" ".join([_word(str(service.home)), *(_word(f"-{path}") for path in service.writes)]),
            cache=_word(f"HF_HOME={Home(service.home).models / 'huggingface'}"),
        )
        unit = _UNIT.format(
            mark=f"{_MARK}{json.dumps(str(service.home))}",
            shown=home,
            order="After=network-online.target\nWants=network-online.target\n" if self._system else "",
            user=f"User={service.user}\n" if service.user else "",
            command=" ".join([_word(program), *(_word(argument).replace("$", "$$") for argument in arguments)]),
            folder=f"{home}/",  # a line's last space would be dropped, and its last backslash goes on with the next
            secrets=glob.escape(_percent(str(Home(service.home).secrets)).replace("\\", "\\\\")),  # it may be a pattern
            stop_seconds=service.stop_seconds,
            system=system if self._system else "",
            wanted_by="multi-user.target" if self._system else "default.target",
        )
        return unit.encode("utf-8", "surrogateescape")

    def home_of(self, definition: bytes) -> str | None:
        found = re.match(rf"{re.escape(_MARK)}(.*)", definition.decode("utf-8", "surrogateescape"))
        return json.loads(found[1]) if found else None

    def begin(self, name: str) -> Sequence[Sequence[str]]:
        return [*self.gone(), [*self._control, "enable", "--now", name]]

    def end(self, name: str) -> Sequence[Sequence[str]]:
        return [[*self._control, "disable", "--now", name]]

    def gone(self) -> Sequence[Sequence[str]]:
        return [[*self._control, "daemon-reload"]]

    def look(self, name: str) -> Sequence[str]:
        return [*self._control, "status", name]


def _percent(text: str) -> str:
    """Where no word is unquoted: a percent sign would begin one of systemd's specifiers."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """One word of a line that holds several."""
    if _PLAIN.match(text):
        return _percent(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_percent(escaped)}"'
