"""Writes a file as torch.save does, so that tests need no torch: a zip archive of a pickle and of the numbers."""

import pickle
import zipfile

import numpy as np


def written(tensors, path, under):
    """A file with {under: {name: array}}; arrays are kept as float32."""
    program, numbers = b"", []
    for key, (name, array) in enumerate(tensors.items()):
        flat = np.ascontiguousarray(array, "<f4")
        steps = tuple(step // 4 for step in flat.strides)
        storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(str(key)) + _text("cpu")
        program += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _plain(flat.size) + b"tQ"
        program += _plain(0) + _plain(flat.shape) + _plain(steps) + _plain(False) + _plain(None) + b"tR"
        numbers.append(flat.tobytes())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}" + _text(under) + b"}(" + program + b"us.")
        for key, data in enumerate(numbers):
            archive.writestr(f"x/data/{key}", data)


def _plain(value):
    """The opcodes of a plain value, without the frame of a whole pickle."""
    return pickle.dumps(value, 2)[2:-1]


def _text(value):
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data
