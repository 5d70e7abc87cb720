"""What decoders written in C print, caught: nothing but audiosim writes to standard error."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.RLock()  # one decoder at a time, so that it is known who spoke
_caught: tuple[int, Any, int] | None = None  # process, C's file, its descriptor
_before: int | None = None  # C's own file, while another one is in its place
MOST = 1 << 16  # bytes that are looked at
_PLACE = re.compile(r"^\[[^\]]*\]\s*")


@contextmanager
def muffled() -> Iterator[list[str]]:
    """Within, lines that C code prints to standard error come into the list, at the end, and go nowhere else.

    In glibc the variable `stderr` is changed, not the descriptor: other threads' Python code, and programs that are
    started meanwhile, go on writing where they did. Elsewhere the descriptor is changed.
    """
    global _before
    said: list[str] = []
    with _lock:
        where = _glibc() if platform.libc_ver()[0] == "glibc" else None
        if where is not None:
            stream, file, descriptor = where
            os.ftruncate(descriptor, 0)
            _before, stream.value = stream.value, file
            try:
                yield said
            finally:
                stream.value, _before = _before, None
                text = os.pread(descriptor, MOST, 0)
                os.ftruncate(descriptor, 0)
                said += _lines(text)
        else:
            yield from _by_descriptor(said)


def _glibc() -> tuple[Any, int, int] | None:
    """(C's variable, a file of C's to put there, its descriptor); None where they cannot be had."""
    global _caught
    try:
        libc = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(libc, "stderr")
        if _caught is None or _caught[0] != os.getpid():
            with tempfile.TemporaryFile() as made:
                descriptor = os.dup(made.fileno())
            os.set_inheritable(descriptor, False)
            libc.fdopen.restype = ctypes.c_void_p
            file = libc.fdopen(descriptor, b"a")
            if not file:
                os.close(descriptor)
                return None
            libc.setvbuf(ctypes.c_void_p(file), None, 2, ctypes.c_size_t(0))  # _IONBF
            _caught = os.getpid(), file, descriptor
    except (OSError, ValueError, AttributeError):
        return None
    return stream, _caught[1], _caught[2]


def _by_descriptor(said: list[str]) -> Iterator[list[str]]:
    """The same where all that the process writes is caught: what is not a decoder's is written out afterwards."""
    try:
        real = os.dup(2)
    except OSError:  # there is no standard error
        yield said
        return
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield said
            finally:
                if sys.stderr is not None:
                    sys.stderr.flush()
                os.dup2(real, 2)
                caught.seek(0)
                text = caught.read()
                lines = text.decode("utf-8", "replace").splitlines()
                ours = [line for line in lines if not _of_decoder(line)]
                if ours:
                    os.write(2, ("\n".join(ours) + "\n").encode())
                said += _lines("\n".join(line for line in lines if _of_decoder(line)).encode())
    finally:
        os.close(real)


def _of_decoder(line: str) -> bool:
    return bool(re.search(r"mpg123|^\s*(?:Note|Warning|warning|error):|\[\w+/", line)) or not line.strip()


def _lines(text: bytes) -> list[str]:
    """Each thing that was said, once, without the place in the source."""
    lines = (_PLACE.sub("", line).strip() for line in text.decode("utf-8", "replace").splitlines())
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("Note:")))


def _after_fork() -> None:
    """A child knows nothing of the decoder that another thread of its parent was busy with."""
    global _lock, _before
    _lock = threading.RLock()
    if _before is not None:
        ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr").value, _before = _before, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
