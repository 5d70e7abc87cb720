"""Files of torch.save, read without torch and without running anything in them.

A file of torch.save holds a pickle, a program that builds objects and may call what it likes. Here it may build
numbers, text, tuples, lists, dicts, sets, OrderedDict and tensors; any other name in it is an error. The formats are
those of torch/serialization.py: a zip archive since torch 1.6, before that pickles in a row and numbers behind them.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the old format
PROTOCOL = 1001  # the second one
TYPES = {
    "Double": "f8",
    "Float": "f4",
    "Half": "f2",
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}


def read(path: str | Path) -> Any:
    """What torch.save wrote, tensors as arrays; InputError for what is damaged, or holds anything else."""
    try:
        with Path(path).open("rb") as file:
            return _zipped(file) if zipfile.is_zipfile(file) else _in_a_row(file)
    except OSError as problem:
        raise InputError(f"cannot read the model {path}: {problem.strerror or problem}") from None
    except Exception as broken:  # noqa: BLE001  whatever a damaged pickle makes of the reader
        said = " ".join(str(broken).split()) or type(broken).__name__
        raise InputError(f"{path}: cannot be read as a file of torch.save: {said[:200]}") from None


class _Reader(pickle.Unpickler):
    """storage: of a key, a type and a count, the numbers that tensors are made of."""

    def __init__(self, file: IO[bytes], storage: Callable[[str, np.dtype[Any], int], Array]) -> None:
        super().__init__(file)
        self._storage = storage
        # Made anew for each file, so that none can change what the next one is read with.
        self._known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "Size"): lambda sizes=(): tuple(sizes),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *given: _tensor(*given[:4]),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        }

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name.endswith("Storage"):
            if name.removesuffix("Storage") not in TYPES:
                raise pickle.UnpicklingError(f"numbers of the type {name} are not read")
            return _Type(TYPES[name.removesuffix("Storage")])
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only tensors and plain values are read")
        return self._known[module, name]

    def persistent_load(self, pid: Any) -> Array:
        kind, of, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(of, _Type) or not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("it refers to something that is no storage")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("it has views of storages, which are not read")
        return self._storage(str(key), np.dtype(f"<{of}"), count)


class _Type(str):
    """The type of the numbers in a storage, as numpy calls it."""

    __slots__ = ()


def _tensor(storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """The view of these sizes and steps of a storage."""
    if min((offset, *size, *stride)) < 0 or len(size) != len(stride) or not isinstance(storage, np.ndarray):
        raise pickle.UnpicklingError("a tensor has a shape that is not possible")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = prod(int(n) for n in size)
    if count > storage.size or (count and last >= storage.size):
        raise pickle.UnpicklingError("a tensor is larger than its storage")
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)


def _zipped(file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        top = next((name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")), None)
        if top is None:
            raise ValueError("the archive has no data.pkl")
        if f"{top}byteorder" in names and archive.read(f"{top}byteorder") != b"little":
            raise ValueError("its numbers are big-endian, which is not read")
        storages: dict[str, Array] = {}

        def storage(key: str, kind: np.dtype[Any], count: int) -> Array:
            if key not in storages:
                entry = archive.getinfo(f"{top}data/{key}")
                if entry.file_size != count * kind.itemsize:
                    raise ValueError(f"storage {key} has {entry.file_size} bytes, {count * kind.itemsize} are told of")
                storages[key] = np.frombuffer(archive.read(entry), kind)
            return storages[key]

        return _Reader(io.BytesIO(archive.read(f"{top}data.pkl")), storage).load()


def _in_a_row(file: IO[bytes]) -> Any:
    room = file.seek(0, io.SEEK_END)
    file.seek(0)
    storages: dict[str, Array] = {}

    def storage(key: str, kind: np.dtype[Any], count: int) -> Array:
        nonlocal room
        if key not in storages:
            room -= count * kind.itemsize
            if room < 0:
                raise ValueError("the file ends before its numbers")
            storages[key] = np.empty(count, kind)
        return storages[key]

    def load() -> Any:
        return _Reader(file, storage).load()

    if load() != MAGIC or load() != PROTOCOL:
        raise ValueError("it is neither of the two formats")
    told = load()
    if isinstance(told, Mapping) and told.get("little_endian") is False:
        raise ValueError("its numbers are big-endian, which is not read")
    found = load()
    for key in load():
        numbers = storages[str(key)]
        (count,) = struct.unpack("<q", file.read(8))
        data = file.read(numbers.nbytes)
        if count != numbers.size or len(data) != numbers.nbytes:
            raise ValueError("the file ends before its numbers")
        numbers[:] = np.frombuffer(data, numbers.dtype)
    return found
