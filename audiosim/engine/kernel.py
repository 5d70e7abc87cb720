"""The one way in which audiosim compiles a loop."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import llvmlite.binding
import numba
from llvmlite.binding import Linkage
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(r"^from (\.*)([\w.]*) import (\([^)]*\)|[^\n(]+)", re.MULTILINE)  # at module level alone
_DAYS_UNUSED = 30
TARGET = "x86-64-v3"  # of kernels that a package carries, and what a processor needs for them
TARGET_NEEDS = ("avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt", "xsave")
_setting = Lock()  # while the folder of the cache is set: terms are compiled when threads first use them


def kernel(function: F) -> F:
    """Compile on first call, without the interpreter lock; sums may be reordered, so that loops vectorise.

    Nothing else is relaxed: equal inputs stay equal, nan and inf stay what they are (but x - x may be 0 unseen).
    """
    return _compile(function, {"reassoc", "nsz"})


def fused_kernel(function: F) -> F:
    """As kernel, and products may be fused with sums: where a difference of equals need not be exactly 0."""
    return _compile(function, {"reassoc", "nsz", "contract"})


def exact_kernel(function: F) -> F:
    """As kernel, but every operation in the order written: for differences of sums that must cancel exactly."""
    return _compile(function, False)


def vector_kernel(function: F) -> F:
    """As exact_kernel, of a text with vectors of longest_vector(): those that a package carries may be shorter."""
    return _compile(function, False, carried=longest_vector() == 32)


def kernel_of(function: F, *sources: str) -> F:
    """As kernel, of a function that also depends on other files than its own."""
    return _compile(function, {"reassoc", "nsz"}, sources)


def _compile(function: F, fastmath: Any, sources: Iterable[str] = (), carried: bool = True) -> F:
    """Machine code goes to a folder of our own: beside the source it may not be writable, and numba would not notice a
    change in a kernel of another file that this one calls.

    sources: files that the function depends on beside its own. carried: whether the package's own machine code will do.
    """
    with _setting:
        ours = not numba.config.CACHE_DIR
        folder = _cache_folder(function.__code__.co_filename, *sources) if ours else numba.config.CACHE_DIR
        if ours and folder:
            numba.config.CACHE_DIR = folder
        try:
            # error_model: a division that may raise does not vectorise
            compiled: Any = numba.njit(
                function,
                nogil=True,
                fastmath=fastmath,
                error_model="numpy",
                pipeline_class=_Compiler,
            )
            if folder and not numba.config.DISABLE_JIT:
                compiled._cache = _Cache(function, Path(folder).name if ours and carried else "")
        finally:
            if ours:
                numba.config.CACHE_DIR = ""
    return compiled  # type: ignore[no-any-return]


@cache
def carried() -> Path | None:
    """Where the kernels are that this package was built with, if this machine can run them."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES or not (folder := build_folder()).is_dir():
        return None
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:
        return None
    return folder if all(features.get(name) for name in TARGET_NEEDS) else None


@cache
def longest_vector() -> int:
    """Bytes of a vector on the processor that kernels are compiled for: 64 where it has AVX-512, else 32."""
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES:
        return 64 if "+avx512f" in (numba.config.CPU_FEATURES or "") else 32
    try:
        return 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32
    except RuntimeError:
        return 32


def build_folder() -> Path:
    """Of kernels compiled for TARGET, this Python, numba and operating system: audiosim.build_cache fills it."""
    python = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    return _PACKAGE / "kernels" / f"{python}-numba-{numba.__version__}-{sysconfig.get_platform()}"


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's, which first looks among the kernels that the package carries."""

    def __init__(self, function: Any, folder: str) -> None:
        super().__init__(function)
        self._carried = None
        home = carried()
        if folder and home is not None and (home / folder).is_dir():
            self._carried = IndexDataCacheFile(str(home / folder), self._impl.filename_base, TARGET)

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        if self._carried is not None:
            function = self._index_key(sig, target_context.codegen())[2]
            data = self._carried.load((sig, TARGET, function))
            if data is not None:
                return self._impl.rebuild(target_context, data)
        return super()._load_overload(sig, target_context)


class _Compiler(Compiler):  # type: ignore[misc]
    """numba's, for kernels that run the functions they were compiled with.

    A kernel holds copies of the functions that it calls, each optimised together with it, and so with other last
    digits than its own. numba gives these copies one name, of which a process runs whatever it happened to load first.
    """

    def define_pipelines(self) -> Any:
        state = self.state
        if state.library is None:
            state.library = _Library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().define_pipelines()


class _Library(JITCodeLibrary):  # type: ignore[misc]
    """Machine code whose copies of other functions are its own."""

    def _finalize_final_module(self) -> None:
        self._shared_module = _relinked(self._final_module.clone(), Linkage.external, Linkage.linkonce_odr)
        _relinked(self._final_module, Linkage.linkonce_odr, Linkage.internal)
        super()._finalize_final_module()


def _relinked(module: Any, old: Linkage, new: Linkage) -> Any:
    """The module, in which functions of one linkage have another."""
    for function in module.functions:
        if not function.is_declaration and function.linkage == old:
            function.linkage = new
    return module


@cache
def _stamp(file: Path) -> str:
    """Of a source and of all that it imports from this package when it is imported itself."""
    source = file.read_bytes()
    digest = hashlib.sha256(source)
    for dots, module, names in _IMPORT.findall(source.decode()):
        if dots:
            home = file.parents[len(dots) - 1]
        elif module.split(".")[0] == _PACKAGE.name:
            home = _PACKAGE.parent
        else:
            continue
        place = home.joinpath(*filter(None, module.split(".")))
        modules = {place / name for name in re.findall(r"\w+", names)} | {place}
        for path in sorted(p.with_suffix(".py") for p in modules):
            if path.is_file():
                digest.update(_stamp(path).encode())
    return digest.hexdigest()


@cache
def _cache_folder(*sources: str) -> str:
    """A folder for exactly these sources that nobody else can write; "" where there is none to be had."""
    try:
        stamp = hashlib.sha256("".join(_stamp(Path(s)) for s in sources).encode()).hexdigest()[:16]
    except OSError:  # typed into an interpreter
        return ""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    for place in (home / "audiosim", Path(tempfile.gettempdir(), f"audiosim-{user}")):
        try:
            parent = place.expanduser()
            folder = parent / f"kernels-{Path(sources[0]).stem}-{stamp}"
            new = not folder.exists()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if hasattr(os, "getuid") and {parent.stat().st_uid, folder.stat().st_uid} != {user}:
                continue  # compiled code of somebody else is not to be trusted
            os.utime(folder)
            if new:
                _remove_unused(parent)
        except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    return ""


def _remove_unused(parent: Path) -> None:
    """Kernels of sources that have not been run for a month."""
    import shutil

    for folder in parent.glob("kernels-*"):
        if time.time() - folder.stat().st_mtime > _DAYS_UNUSED * 86400:
            shutil.rmtree(folder, ignore_errors=True)
