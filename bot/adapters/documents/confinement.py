"""The walls around a child that decodes: limits, no network, no files but libraries, no new programmes.

Each wall is put up by the child itself before it is told anything, needs no privilege and no tool, and is left out
where the kernel does not have it; which ones stand is reported.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.adapters.documents.limits import Limits

_CLONE_NEWNET, _CLONE_NEWUSER, _CLONE_NEWIPC = 0x40000000, 0x10000000, 0x08000000
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_LANDLOCK_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights over files the kernel knows, by the version of its interface from which on."""

_NO_TCP, _NO_SIGNALS = 0b11, 0b11
_TCP_VERSION, _SCOPE_VERSION = 4, 6

_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Processors whose numbers of system calls are known here, with the kernel's mark for each."""

_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3, _CLONE_THREAD = 435, 0x00010000
_PIDFD_AND_IO_URING = (424, 425, 426, 427, 434, 438)
_FORBIDDEN: Mapping[str, tuple[int, ...]] = {
    "x86_64": (
        *(41, 42, 49, 50, 57, 58, 59, 62, 101, 129, 155, 161, 165, 166, 248, 249, 250, 272, 298, 304, 308, 310, 311),
        *(321, 322, 323, *_PIDFD_AND_IO_URING),
    ),
    "aarch64": (
        *(198, 203, 200, 201, 221, 129, 117, 138, 41, 51, 40, 39, 217, 218, 219, 97, 241, 265, 268, 270, 271),
        *(280, 281, 282, *_PIDFD_AND_IO_URING),
    ),
}
"""By processor: socket, connect, bind, listen, (fork, vfork,) execve, kill, ptrace, rt_sigqueueinfo, pivot_root,
chroot, mount, umount2, add_key, request_key, keyctl, unshare, perf_event_open, open_by_handle_at, setns,
process_vm_readv and _writev, bpf, execveat, userfaultfd; pidfd_send_signal, io_uring's three, pidfd_open, pidfd_getfd.
"""

_EPERM, _ENOSYS = 1, 38


def confine(limits: Limits, code: Path) -> list[str]:
    """Put up the walls and return the names of those that stand; *code* is the folder of this programme's modules."""
    libc = ctypes.CDLL(None, use_errno=True)
    layers = ["limits"]
    if _without_network(libc):
        layers.append("network_namespace")
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if _libraries_only(libc, code):
        layers.append("landlock")
    if _without_programmes(libc):
        layers.append("seccomp")
    _limit(limits)
    return layers


def _without_network(libc: ctypes.CDLL) -> bool:
    """Move into a network of nobody: as root directly, else with a user namespace where the kernel lets one."""
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        return True
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) == 0)


def _libraries_only(libc: ctypes.CDLL, code: Path) -> bool:
    """Let only libraries be read and nothing be written, by name (Landlock); open descriptors stay usable."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = (1 << max(count for since, count in _FILE_RIGHTS.items() if version >= since)) - 1
    attributes = struct.pack(
        "=QQQ",
        rights,
        _NO_TCP if version >= _TCP_VERSION else 0,
        _NO_SIGNALS if version >= _SCOPE_VERSION else 0,
    )
    length = 24 if version >= _SCOPE_VERSION else 16 if version >= _TCP_VERSION else 8
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, length, 0)
    if rules < 0:
        return False
    try:
        for path in _readable(code):
            _allow(libc, rules, path)
        return bool(libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _readable(code: Path) -> Sequence[str]:
    """Return the folders of Python, of its libraries and of this programme."""
    system = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/dev/null")
    installed = {sys.prefix, sys.base_prefix, *(entry for entry in sys.path if "packages" in entry)}
    return (*system, *(entry for entry in installed if entry not in ("/", "/usr")), str(code))


def _allow(libc: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    right = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
    libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, struct.pack("=Qi", right, place), 0)
    os.close(place)


def _without_programmes(libc: ctypes.CDLL) -> bool:
    """Refuse the system calls that start processes, open sockets or reach other processes (seccomp)."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return False
    load, jump_equal, jump_not_less, jump_set, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | _EPERM, 0x00050000 | _ENOSYS
    lines = [
        *((load, 0, 0, 4), (jump_equal, 1, 0, _MACHINES[machine]), (give, 0, 0, refuse)),
        *((load, 0, 0, 0), (jump_not_less, 0, 1, 0x40000000), (give, 0, 0, refuse)),  # another ABI, other numbers
        *((jump_equal, 0, 1, _CLONE3), (give, 0, 0, unknown)),  # its flags cannot be seen: libc falls back to clone
        *((jump_equal, 0, 4, _CLONE[machine]), (load, 0, 0, 16), (jump_set, 1, 0, _CLONE_THREAD)),
        *((give, 0, 0, refuse), (give, 0, 0, allow)),  # threads yes, processes no
    ]
    for call in _FORBIDDEN[machine]:
        lines += [(jump_equal, 0, 1, call), (give, 0, 0, refuse)]
    lines.append((give, 0, 0, allow))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    programme = struct.pack("@HP", len(lines), ctypes.addressof(code))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, programme, 0, 0) == 0)


def _limit(limits: Limits) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.written),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 2))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.umask(0o077)
