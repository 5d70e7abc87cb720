"""Files of weights: what torch, safetensors and TensorFlow write is read; what is damaged or malicious is one line."""

import collections
import contextlib
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from audiosim import trained
from audiosim.errors import InputError
from audiosim.trained import pickles, tensorflow
from tests.trained.checkpoint import written

NUMBERS = {"a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "a.steps": np.array(7, dtype=np.int64)}


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_writes_is_read(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = {
        "state": collections.OrderedDict(whole=whole, turned=whole.T, part=whole[1:3, 2:4], one=torch.tensor(7)),
        "parameter": torch.nn.Parameter(torch.ones(2, dtype=torch.float64)),
        "mask": torch.tensor([True, False]),
        "plain": [1, 2.5, "name", None, (True,), {"size": torch.Size([2, 3])}],
    }
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = trained.read(tmp_path / "x.pth")
    for name, tensor in state["state"].items():
        np.testing.assert_array_equal(found["state"][name], tensor.numpy())
        assert found["state"][name].dtype == tensor.numpy().dtype
    np.testing.assert_array_equal(found["parameter"], np.ones(2))
    np.testing.assert_array_equal(found["mask"], [True, False])
    assert found["plain"] == [1, 2.5, "name", None, (True,), {"size": (2, 3)}]


class _Malicious:
    def __init__(self, call, *given):
        self.reduced = call, given

    def __reduce__(self):
        return self.reduced


def _as_file(folder, program, zipped):
    path = folder / "x.pth"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", program)
    else:
        path.write_bytes(pickle.dumps(pickles.MAGIC) + pickle.dumps(pickles.PROTOCOL) + pickle.dumps({}) + program)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "thing", [_Malicious(os.system, "touch owned"), _Malicious(eval, "open('owned', 'w')"), _Malicious(print, "owned")]
)
def test_code_in_a_pickle_is_not_run(tmp_path, monkeypatch, capsys, thing, protocol, zipped):
    monkeypatch.chdir(tmp_path)
    file = _as_file(tmp_path, pickle.dumps({"weight": thing}, protocol), zipped)
    with pytest.raises(InputError, match=r"it asks for \S+, and only tensors and plain values are read") as problem:
        trained.read(file)
    assert "\n" not in str(problem.value)
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b"not a pickle",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00K\x05\x85K\x01\x85tR.",  # of no storage
        b"\x80\x02ctorch\nBFloat16Storage\n.",
        b"\x80\x02U\x01aQ.",  # a reference to text
        b"(" * 100000,
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_pickles_are_one_line(tmp_path, program, zipped):
    with pytest.raises(InputError, match=r"x\.pth: cannot be read as a file of torch\.save") as problem:
        trained.read(_as_file(tmp_path, program, zipped))
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_every_cut_of_a_file_is_one_line(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"w": torch.ones(3, 2)}, file, _use_new_zipfile_serialization=zipped)
    path = tmp_path / "x.pth"
    for size in range(0, len(file.getvalue()), 17):
        path.write_bytes(file.getvalue()[:size])
        with pytest.raises(InputError):
            pickles.read(path)


def test_a_tensor_is_no_larger_than_its_storage():
    for offset, size, stride in [(0, (7,), (1,)), (1, (6,), (1,)), (0, (2, 3), (4, 1)), (0, (1 << 40,), (0,))]:
        with pytest.raises(pickle.UnpicklingError, match="larger"):
            pickles._tensor(np.zeros(6), offset, size, stride)
    with pytest.raises(pickle.UnpicklingError, match="not possible"):
        pickles._tensor(np.zeros(6), 0, (3,), (-1,))


def test_checkpoints_are_read(tmp_path):
    written(NUMBERS, tmp_path / "x")
    for path in (tmp_path / "x.index", tmp_path / "x"):
        found = tensorflow.read(path)
        assert found.keys() == NUMBERS.keys()
        for name, numbers in NUMBERS.items():
            np.testing.assert_array_equal(found[name], numbers)
            assert found[name].dtype == numbers.dtype


def test_every_cut_of_a_checkpoint_is_one_line(tmp_path):
    written(NUMBERS, tmp_path / "x")
    index, data = ((tmp_path / f"x.{end}").read_bytes() for end in ("index", "data-00000-of-00001"))
    for size in range(len(index)):
        (tmp_path / "x.index").write_bytes(index[:size])
        with pytest.raises(InputError, match="cannot be read as a checkpoint"):
            trained.read(tmp_path / "x.index")
    (tmp_path / "x.index").write_bytes(index)
    (tmp_path / "x.data-00000-of-00001").write_bytes(data[:-1])
    with pytest.raises(InputError, match="not as many numbers"):
        trained.read(tmp_path / "x.index")
    (tmp_path / "x.data-00000-of-00001").unlink()
    with pytest.raises(InputError, match="cannot read the model"):
        trained.read(tmp_path / "x.index")


def test_changed_bytes_of_a_checkpoint_never_break_the_reader(tmp_path):
    written(NUMBERS, tmp_path / "x")
    index = (tmp_path / "x.index").read_bytes()
    for at in range(len(index)):
        for byte in (0, 127, 255):
            (tmp_path / "x.index").write_bytes(index[:at] + bytes([byte]) + index[at + 1 :])
            with contextlib.suppress(InputError):
                tensorflow.read(tmp_path / "x")


def _safetensors(header, numbers=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def test_safetensors_are_read(tmp_path):
    entry = {"dtype": "F32", "shape": [2, 3, 4], "data_offsets": [0, 96]}
    file = tmp_path / "x.safetensors"
    file.write_bytes(_safetensors({"__metadata__": {"by": "hand"}, "w": entry}, NUMBERS["a.weight"].tobytes()))
    np.testing.assert_array_equal(trained.read(file)["w"], NUMBERS["a.weight"])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 40,
        _safetensors([]),
        _safetensors({"w": 1}),
        _safetensors({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
        _safetensors({"w": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}}, bytes(8)),
        _safetensors({"w": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}, bytes(8)),
    ],
)
def test_damaged_safetensors_are_one_line(tmp_path, data):
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.safetensors: ") as problem:
        trained.read(tmp_path / "x.safetensors")
    assert "\n" not in str(problem.value)
