"""Walls that a process builds around itself, by Linux's own system calls: no library, no privileges.

Covers: files (Landlock: what is not listed cannot be opened, the house's data and other processes' memory in
/proc included), sockets, new processes, signals to others and the kernel's odder doors (seccomp), root's
privileges, memory, CPU time, sizes of files and descriptors (rlimits), outliving its parent.
Does not cover: kernels before 5.13 (no Landlock), other processors than x86-64 and ARM64 (no filter): there
`foundation.jail.state` tells what does not hold.

Sources: landlock(7), seccomp(2), <linux/landlock.h>, <linux/seccomp.h>, <linux/filter.h>, the tables of
system calls. Runs inside the jail: the standard library only.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 38, 22, 2
CAPABILITY_VERSION = 0x20080522
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
BITS_OF_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}  # rights on files that a version knows; later ones 16
NET_RIGHTS, SCOPES = 0b11, 0b11  # TCP: bind and connect; abstract sockets and signals

# instruction codes of classic BPF, places in struct seccomp_data, verdicts
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # with EPERM, with ENOSYS
CLONE_THREAD = 0x00010000
CLONE3 = 435
X32 = 0x40000000  # another set of numbers for the same calls
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
REFUSED = {
    # socket fork vfork kill tkill tgkill ptrace process_vm_readv process_vm_writev unshare setns mount bpf
    # keyctl add_key request_key perf_event_open userfaultfd
    "x86_64": (41, 57, 58, 62, 200, 234, 101, 310, 311, 272, 308, 165, 321, 250, 248, 249, 298, 323),
    "aarch64": (198, -1, -1, 129, 130, 131, 117, 270, 271, 97, 268, 40, 280, 219, 217, 218, 241, 282),
}
REFUSED_EVERYWHERE = (424, 425, 434, 438)  # pidfd_send_signal io_uring_setup pidfd_open pidfd_getfd

MOST_DESCRIPTORS = 128


def build(
    *, readable: list[str], writable: list[str], memory_bytes: int, cpu_s: int, file_bytes: int
) -> None:
    """Build all walls there are around this process, for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    end_with_parent(libc)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # what root may do beyond others; without new privileges, no program gives it back
    libc.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24))
    _wall_off_files(libc, readable, writable)
    if not _refuse_calls(libc):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # then threads are refused with the processes
    for kind, amount in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, MOST_DESCRIPTORS),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        resource.setrlimit(kind, (amount, amount))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))  # SIGXCPU says why, SIGKILL comes after it


def end_with_parent(libc: ctypes.CDLL) -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _wall_off_files(libc: ctypes.CDLL, readable: list[str], writable: list[str]) -> None:
    version = libc.syscall(LANDLOCK_CREATE, None, 0, LANDLOCK_VERSION)
    if version < 1:
        return
    every = (1 << BITS_OF_VERSION.get(version, 16)) - 1
    rules = struct.pack("QQQ", every, NET_RIGHTS if version >= 4 else 0, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(LANDLOCK_CREATE, rules, size, 0)
    for paths, rights in ((readable, EXECUTE | READ_FILE | READ_DIR), (writable, every)):
        for path in paths:
            _allow(libc, ruleset, path, rights & every)
    libc.syscall(LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    if not Path(path).exists():
        return
    if not Path(path).is_dir():
        rights &= EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    libc.syscall(LANDLOCK_ADD, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    os.close(descriptor)


def _refuse_calls(libc: ctypes.CDLL) -> bool:
    """A filter on system calls: no socket, no process, no signal to another."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (JUMP_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSE),
        (JUMP_EQUAL, 0, 1, CLONE3),
        (RETURN, 0, 0, UNKNOWN),  # the C library uses clone then, whose flags a filter can see
    ]
    for number in (*REFUSED[machine], *REFUSED_EVERYWHERE):
        if number >= 0:
            program += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    program += [
        (JUMP_EQUAL, 1, 0, CLONE[machine]),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (JUMP_IF_SET, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("H6xQ", len(program), ctypes.addressof(buffer))
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) == 0
