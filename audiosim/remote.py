"""Files that a URL names, through fsspec (extra `remote`): http, s3, gs, sftp, memory and whatever else it knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from .errors import AudiosimError, InputError, MissingExtra, UsageError

_URL = re.compile(r"[a-z][a-z0-9+.-]+(?:::[a-z0-9+.-]+)*://", re.IGNORECASE)
_PASSWORD = re.compile(r"(?<=://)([^/?#\s:@]*):[^/?#\s]*@")
_USER_OF_HTTP = re.compile(r"(?<=http://|ttps://)[^/?#\s]*@", re.IGNORECASE)  # may be an access token
_SECRET = re.compile(
    r"([?&][^=&#\s]*(?:sig|token|key|secret|passw|credential)[^=&#\s]*=)[^&#\s]*", re.IGNORECASE
)  # of addresses that were signed to be handed on
# What fsspec's file systems say of a file's version, the surest first.
_STAMPS = (
    *("ETag", "etag", "Content-MD5", "md5Hash", "checksum"),
    *("mtime", "LastModified", "Last-Modified", "updated", "modified", "created"),
)


def is_url(path: object) -> bool:
    """Whether this is the address of a file elsewhere; `./a://b` would be a file here."""
    return isinstance(path, str) and _URL.match(path) is not None


def without_secrets(text: str) -> str:
    """The text as it may be printed and stored: no password in its URLs, nor the signature of a signed one."""
    return _SECRET.sub(r"\1***", _USER_OF_HTTP.sub("", _PASSWORD.sub(r"\1@", text)))


def read(url: str) -> bytes:
    """All of the file. InputError when it cannot be had, MissingExtra without the packages that its protocol needs."""
    with _explained(url, InputError, "read"):
        system, path = _opened(url)
        data: bytes = system.cat_file(path)
        return data


def walk(url: str) -> dict[str, str]:
    """The files below a folder, in all depths: {path relative to it: URL}, sorted. Errors as in `read`."""
    with _explained(url, InputError, "listed"):
        system, root = _opened(url.rstrip("/") + "/")
        if not system.isdir(root):
            raise InputError(f"{without_secrets(url)}: is no folder that can be listed; check the address")
        root = root.rstrip("/") + "/"
        found = (p for p in system.find(root) if p.startswith(root) and not p.endswith("/"))
        below = sorted(p.removeprefix(root) for p in found)
    http = url.lower().startswith("http")
    return {unquote(p) if http else p: f"{url.rstrip('/')}/{p}" for p in below}


def stat(url: str) -> tuple[int, str] | None:
    """(bytes, what changes with each version: ETag or time), None where the file system does not tell both.

    Errors as in `read`.
    """
    with _explained(url, InputError, "read"):
        system, path = _opened(url)
        info = system.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError
    stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), None)
    size = info.get("size")
    return None if stamp is None or size is None else (int(size), stamp)


def check_writable(url: str) -> None:
    """UsageError when no file can be written there, as far as the protocol tells: nothing is sent."""
    with _explained(url, UsageError, "written"):
        system, _ = _opened(url)
        if system.protocol == "http" or "http" in system.protocol:
            raise UsageError(f"{without_secrets(url)}: nothing can be written over http; write to a file")


def write_file(url: str, data: bytes) -> None:
    """Write the file at once. UsageError when it cannot be written."""
    check_writable(url)
    with _explained(url, UsageError, "written"):
        system, path = _opened(url)
        system.pipe_file(path, data)


def _opened(url: str) -> tuple[Any, str]:
    """(fsspec's file system, the path in it)."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtra(
            f"{without_secrets(url)}: is a URL, which needs fsspec: pip install 'audiosim[remote]'"
        ) from None
    system, path = url_to_fs(url)
    return system, str(path)


@contextmanager
def _explained(url: str, kind: type[AudiosimError], verb: str) -> Iterator[None]:
    """One line of the given kind for whatever a file system raises; what they raise is their own affair."""
    name = without_secrets(url)
    try:
        yield
    except AudiosimError:
        raise
    except ImportError as missing:  # fsspec says what to install
        mend = " (pip install 'audiosim[remote]')" if url.lower().startswith("http") else ""
        raise MissingExtra(f"{name}: {' '.join(str(missing).split())}{mend}") from None
    except Exception as broken:  # noqa: BLE001
        raise kind(f"{name}: {_reason(broken, verb)}") from None


def _reason(broken: BaseException, verb: str) -> str:
    cause = broken.__cause__
    if isinstance(broken, FileNotFoundError) and (hasattr(cause, "status") or isinstance(cause, OSError)):
        broken = cause or broken  # over http, any trouble is called that
    status = getattr(broken, "status", None)  # of a web server
    if isinstance(broken, FileNotFoundError) or status in (404, 410):
        return "no such file; check the address"
    if isinstance(broken, IsADirectoryError):
        return "is a directory; give a sound file"
    if isinstance(broken, PermissionError) or status in (401, 403):
        return f"no permission to have it {verb}; check the credentials"
    if isinstance(broken, ValueError) and "Protocol not known" in str(broken):
        return "fsspec knows no such protocol; check what stands before ://"
    if isinstance(broken, NotImplementedError):
        return f"cannot be {verb}: its protocol does not allow that"
    if isinstance(broken, TimeoutError):
        return f"cannot be {verb}: no answer in time; check the address and the network"
    if isinstance(broken, OSError) and broken.errno is not None and broken.errno > 0:
        return f"cannot be {verb} ({os.strerror(broken.errno)}); check the address and the network"
    said = without_secrets(" ".join(str(broken).split())) or type(broken).__name__
    return f"cannot be {verb} ({said}); check the address"
