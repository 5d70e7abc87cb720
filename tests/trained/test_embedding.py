"""Embeddings of files of ONNX: what a sidecar says is done, what does not fit is one line. The networks are random, and
written by the tests."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from audiosim import Signal, compare
from audiosim.errors import InputError, MissingModel, UsageError
from audiosim.testing.signals import chord_music, noise, pink
from audiosim.trained import embedding, onnx, vectors
from tests.trained import graph

RATE = 16000
MEL = {"rate": RATE, "n_fft": 512, "hop": 256, "bands": 24}
LOG = {"kind": "log", "multiply": 1000.0, "add": 1.0}


def random(*shape):
    return np.random.default_rng(3).normal(size=shape).astype(np.float32) / 4


def kept(folder, sidecar, name="net"):
    """The path of the network, with a sidecar whose vector is what the network gives."""
    path = folder / f"{name}.onnx"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sidecar = {"rate": RATE, "input": "x", "output": "y", "sha256": digest} | sidecar
    if "vector" not in sidecar:
        told = embedding.sidecar_of({"vector": [0.0], **sidecar}, "the test")
        made = embedding.Embedder(name, told, onnx.network(path)).computed(vectors.sounds(told.rate)[0][0])
        sidecar["vector"] = made.numbers.mean(0).tolist()
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


@pytest.fixture
def waves(tmp_path):
    """ReLU of 400 samples times random weights: [1, 6]."""
    pytest.importorskip("onnxruntime")
    weights = random(400, 6)
    nodes = [("MatMul", ("x", "w"), "z"), ("Relu", ("z",), "y")]
    graph.written(tmp_path / "net.onnx", nodes, {"w": weights}, {"x": [1, 400]}, {"y": [1, 6]})
    path = kept(tmp_path, {"shape": [1, "sample"], "scale": 2.0, "window": {"size": 400, "hop": 300}})
    return path, weights


def test_halves_of_a_network_are_the_whole(tmp_path):
    """The second takes what the first makes, and the inputs that only it needs."""
    pytest.importorskip("onnxruntime")
    nodes = [("MatMul", ["x", "w"], "heard"), ("Relu", ["heard"], "kept"), ("Add", ["kept", "z"], "y")]
    path = tmp_path / "net.onnx"
    rng = np.random.default_rng(0)
    graph.written(path, nodes, {"w": rng.standard_normal((4, 3))}, {"x": [1, 4], "z": ["n", 3]}, {"y": ["n", 3]})
    x, z = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 4), (5, 3)))
    (whole,) = onnx.network(path)({"x": x, "z": z})
    for tensor in ("heard", "kept"):
        hear, judge = onnx.halves(path, tensor)
        (heard,) = hear({"x": x})
        assert np.array_equal(judge({tensor: heard, "z": z})[0], whole)
    with pytest.raises(InputError, match=r"net\.onnx: cannot be read .*: it has no tensor nothing$"):
        onnx.halves(path, "nothing")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as a network of ONNX"):
        onnx.halves(path, "heard")


def test_windows_of_samples(waves):
    path, weights = waves
    x = noise(RATE, 0.1, 1)[0]
    made = embedding.load(str(path))(x)
    wanted = [np.maximum(2 * x[k : k + 400] @ weights, 0) for k in range(0, 1201, 300)]
    np.testing.assert_allclose(made.numbers, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(made.times, (np.arange(5) * 300 + 200) / RATE)


def test_a_short_recording_is_filled_up(waves, tmp_path):
    path, weights = waves
    x = noise(RATE, 0.01, 1)[0]
    filled = {"zero": [np.pad(x, (0, 240))], "repeat": [np.resize(x, 400)]}
    filled["double"] = [np.resize(x, 640)[k : k + 400] for k in (0, 200)]
    for short, wanted in filled.items():
        kept(tmp_path, {"shape": [1, "sample"], "window": {"size": 400, "hop": 200}, "short": short})
        made = embedding.load(str(path))(x)
        np.testing.assert_allclose(made.numbers, np.maximum(wanted @ weights, 0), rtol=1e-4, atol=1e-5)
        assert made.times[0] == pytest.approx(0.005)


def test_of_whole_hops_what_is_heard():
    x = np.arange(1190)
    for cut, wanted in [
        ({}, [0, 300, 600]),
        ({"whole": True}, [0, 300]),  # of 900
        ({"whole": True, "heard": 350}, [0, 300]),
        ({"whole": True, "size": 1100}, [0]),  # at least one
    ]:
        size, heard = cut.get("size", 500), cut.get("heard", cut.get("size", 500))
        made = list(embedding.Cut(**{"size": size, "hop": 300} | cut)(x, "double"))
        assert [start for start, _ in made] == wanted
        assert all((piece == x[start : start + heard]).all() for start, piece in made)


@pytest.mark.parametrize("distance", ["cosine", "l2", "l1"])
@pytest.mark.parametrize("pool", ["mean", "gram", "frames+dtw"])
def test_distances_are_what_they_are_called(waves, distance, pool):
    path, _ = waves
    ref, test = noise(RATE, 0.1, 1), pink(RATE, 0.15, 2)
    x, y = (embedding.load(str(path))(z[0]).numbers for z in (ref, test))
    of = {
        "cosine": lambda a, b: 1 - a @ b / np.sqrt((a @ a) * (b @ b)),
        "l2": lambda a, b: np.sqrt(np.sum((a - b) ** 2)),
        "l1": lambda a, b: np.sum(np.abs(a - b)),
    }[distance]
    spec = f"embedding:model={path},distance={distance},pool={pool}"
    value = compare(ref, test, spec, RATE, length="keep")[spec].value
    if pool == "mean":
        assert value == pytest.approx(of(x.mean(0), y.mean(0)), rel=1e-9)
    elif pool == "gram":
        assert value == pytest.approx(of((x.T @ x / len(x)).ravel(), (y.T @ y / len(y)).ravel()), rel=1e-9)
    else:
        means = [of(a, b) for a, b in zip(x, y, strict=False)]
        assert 0 < value <= np.max([of(a, b) for a in x for b in y])
        assert value <= np.mean(means) * 2
    again = compare(ref, ref, spec, RATE, detail="profile")[spec]
    assert again.value == 0
    assert not again.per_time.any()


def test_mel_spectrograms_in_any_order_of_axes(tmp_path):
    pytest.importorskip("onnxruntime")
    weights = random(24, 5)
    nodes = [("Transpose", ("x",), "t", (0, 2, 1)), ("MatMul", ("t", "w"), "y")]
    graph.written(tmp_path / "net.onnx", nodes, {"w": weights}, {"x": [1, 24, "frames"]}, {"y": [1, "frames", 5]})
    path = kept(tmp_path, {"shape": [1, "band", "frame"], "mel": MEL, "compression": LOG})
    x = chord_music(RATE, 0.5, 1)[0]
    made = embedding.load(str(path))(x)
    np.testing.assert_allclose(made.numbers, _log_mel(x) @ weights, rtol=1e-3, atol=1e-4)
    assert len(made.times) == 1 + 8000 // 256
    patched = kept(
        tmp_path, {"shape": [1, "band", "frame"], "mel": MEL, "compression": LOG, "patch": {"size": 8, "hop": 4}}
    )
    made = embedding.load(str(patched))(x)
    np.testing.assert_allclose(made.numbers[8:16], _log_mel(x)[4:12] @ weights, rtol=1e-3, atol=1e-4)


def _log_mel(x):
    from audiosim.hearing.scales import mel_filters

    padded = np.pad(x, 256)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    frames = np.array([padded[k : k + 512] * window for k in range(0, len(padded) - 511, 256)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    return np.log10(1000 * power @ mel_filters(RATE, 512, 24)[0].T + 1)


def test_recordings_of_another_rate_are_resampled(waves):
    path, _ = waves
    spec = f"embedding:model={path}"
    high = Signal.of(noise(48000, 0.2, 1), 48000), Signal.of(pink(48000, 0.2, 2), 48000)
    from audiosim.dsp.resampling import to_rate

    low = [to_rate(s, RATE) for s in high]
    assert compare(*high, spec)[spec].value == compare(*low, spec)[spec].value > 0


def test_an_embedding_is_computed_once(waves, monkeypatch):
    path, _ = waves
    made = []
    computed = embedding.Embedder.computed
    monkeypatch.setattr(embedding.Embedder, "computed", lambda self, x: made.append(1) or computed(self, x))
    embedding.load(str(path))
    made.clear()
    ref, specs = noise(RATE, 0.1, 11), [f"embedding:model={path},distance={d}" for d in ("cosine", "l1")]
    for seed in (12, 13):
        compare(ref, noise(RATE, 0.1, seed), specs, RATE)
    assert len(made) == 3


WRONG = [
    ({"rate": "16000"}, "rate is a whole number, not '16000'"),
    ({"shape": [1, "frame"]}, "shape is of 1 and each of sample once, not"),
    ({"shape": [1, "sample", "sample"]}, "shape is of 1 and each of sample once, not"),
    ({"mel": MEL}, "shape is of 1 and each of band, frame once"),
    ({"mel": MEL | {"bandz": 1}, "shape": [1, "frame", "band"]}, "mel: there is no key 'bandz'; the keys are rate"),
    ({"mel": MEL | {"rate": 8000}, "shape": [1, "frame", "band"]}, "mel.rate is 8000, rate is 16000"),
    ({"mel": {}, "shape": [1, "frame", "band"]}, "mel: rate is missing"),
    ({"patch": {"size": 3, "hop": 1}}, "patch is of frames"),
    ({"window": {"size": 400, "hop": 0}}, "window has size and hop above 0"),
    ({"window": {"size": 400, "hop": 400, "heard": 401}}, "heard of at most its size"),
    ({"mel": MEL | {"hop": 0}, "shape": [1, "frame", "band"]}, "n_fft, hop and bands of mel, are above 0"),
    ({"window": 400}, "window is an object, not 400"),
    ({"compression": {"kind": "ln"}}, "compression: kind is one of none, log, db, not 'ln'"),
    ({"vector": []}, "vector is a list"),
    ({"vector": ["a"]}, "vector is a number"),
    ({"output": 3}, "output is text, not 3"),
    ({"extra": 3}, "there is no key 'extra'"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_a_wrong_sidecar_is_one_line(change, said):
    right = {"rate": RATE, "shape": [1, "sample"], "input": "x", "output": "y", "sha256": "", "vector": [1.0]}
    embedding.sidecar_of(right, "net.json")
    with pytest.raises(InputError, match=r"net\.json") as problem:
        embedding.sidecar_of(right | change, "net.json")
    assert said in str(problem.value)
    for key in right:
        with pytest.raises(InputError, match=f"{key} is missing"):
            embedding.sidecar_of({k: v for k, v in right.items() if k != key}, "net.json")


def test_the_sidecar_of_the_page_is_one():
    page = (Path(__file__).parents[2] / "docs" / "embeddings.md").read_text()
    told = json.loads(page.split("```json")[1].split("```")[0])
    embedding.sidecar_of(told, "docs/embeddings.md")
    for field in fields(embedding.Sidecar):
        assert f"`{field.name}`" in page, field.name


def test_a_front_end_that_is_not_the_trainings_is_found(waves, tmp_path):
    path, _ = waves
    right = json.loads(path.with_suffix(".json").read_text())
    embedding.load(str(path))
    for change, said in [
        ({"scale": 1.0}, "does not give the numbers of its test vector"),
        ({"rate": 8000}, "does not give the numbers of its test vector"),
        ({"vector": [1.0]}, "its vector has 1 numbers, the network gives 6"),
        ({"sha256": "0" * 64}, "sha256 is that of another file"),
        ({"input": "z"}, "the network refuses its input"),
        ({"output": "q"}, "the network refuses its input"),
    ]:
        path.with_suffix(".json").write_text(json.dumps(right | change))
        embedding._of_files.cache_clear()
        with pytest.raises(InputError, match=said) as problem:
            embedding.load(str(path))
        assert "\n" not in str(problem.value)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        embedding.load(str(path))
    path.with_suffix(".json").unlink()
    with pytest.raises(MissingModel, match="the sidecar that it needs"):
        embedding.load(str(path))
    with pytest.raises(MissingModel, match=r"there is no file nothing\.onnx"):
        embedding.load("nothing.onnx")
    with pytest.raises(UsageError, match="nisqa makes no embeddings; dnsmos-p808"):
        embedding.load("nisqa")


def test_what_is_no_network_is_one_line(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no network")
    kept(tmp_path, {"shape": [1, "sample"], "vector": [1.0]})
    with pytest.raises(InputError, match="cannot be read as a network of ONNX") as problem:
        embedding.load(str(path))
    assert "\n" not in str(problem.value)
