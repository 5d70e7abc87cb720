"""Networks of others: each against a second text of its own, written in torch's modules or by hand; on small random
weights, read from files as the authors' are."""

import os
import warnings

import numpy as np
import pytest

from audiosim import Signal, compare, metrics
from audiosim.errors import InputError, MissingModel
from audiosim.testing.signals import added_noise, speech_like
from audiosim.trained import arrays, cdpam, dpam, nisqa, resemblyzer, weights
from audiosim.trained.networks import network
from tests.trained import archive, checkpoint, random_networks

NETWORKS = {
    "dpam": (dpam, random_networks.dpam),
    "cdpam": (cdpam, random_networks.cdpam),
    "nisqa": (nisqa, random_networks.nisqa),
    "resemblyzer": (resemblyzer, random_networks.resemblyzer),
}
METRICS = {"dpam": "dpam", "cdpam": "cdpam", "nisqa": "nisqa", "resemblyzer": "speaker"}


@pytest.fixture(autouse=True)
def stand_in_networks(monkeypatch, random_networks):
    """The random ones, and no others."""
    monkeypatch.setenv("XDG_DATA_HOME", str(random_networks))


def pair(rate, seconds=0.4):
    x = speech_like(rate, seconds, 5, 1)
    return x[0], added_noise(x, rate, 0.1, 6)[0]


def double(weights):
    return {name: array.astype(np.float64) for name, array in weights.items()}


# Layers


def test_layers_are_torch_s():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = np.random.default_rng(0)

    def same(found, expected):
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-12)

    x, kernel = rng.standard_normal((3, 2500)), rng.standard_normal((4, 3, 15))
    given = torch.from_numpy(x)[None], torch.from_numpy(kernel)
    for stride in (1, 2):
        same(arrays.conv1d(x, kernel, stride, (7, 7)), functional.conv1d(*given, stride=stride, padding=7)[0])
    same(arrays.leaky_relu(x, 0.1), functional.leaky_relu(given[0][0], 0.1))
    same(arrays.unit(x), functional.normalize(given[0][0], dim=-1))
    same(arrays.softmax(x), functional.softmax(given[0][0], dim=-1))
    square, kernel = rng.standard_normal((5, 2, 12, 9)), rng.standard_normal((4, 2, 3, 3))
    given = torch.from_numpy(square), torch.from_numpy(kernel)
    same(arrays.conv2d(square.swapaxes(0, 1), kernel, (1, 0)).swapaxes(0, 1), functional.conv2d(*given, padding=(1, 0)))
    for sizes in ((6, 3), (5, 4), (12, 7)):
        same(arrays.adaptive_max_pool(square, sizes), functional.adaptive_max_pool2d(given[0], sizes))
    weight, bias = rng.standard_normal((2, 9))
    norm = functional.layer_norm(given[0], (9,), torch.from_numpy(weight), torch.from_numpy(bias))
    same(arrays.layer_norm(square, weight, bias), norm)
    layer = torch.nn.LSTM(6, 5, batch_first=True, dtype=torch.float64)
    given = [p.detach().numpy() for p in layer.parameters()]
    steps = rng.standard_normal((3, 7, 6))
    first = arrays.Memory(given[0], given[1], given[2] + given[3])
    same(arrays.lstm(steps, [first]), layer(torch.from_numpy(steps))[0])
    layers = torch.nn.LSTM(6, 5, 2, batch_first=True, dtype=torch.float64)
    given = [p.detach().numpy() for p in layers.parameters()]
    both = [arrays.Memory(*given[i : i + 2], given[i + 2] + given[i + 3]) for i in (0, 4)]
    for items, count in ((1, 1), (4, 3), (9, 70)):
        steps = 30 * rng.standard_normal((items, count, 6))  # some gates are all open or all shut
        same(arrays.lstm(steps, both), layers(torch.from_numpy(steps))[0])


def test_a_recording_s_memory_is_the_same_alone_and_among_others():
    """So values do not depend on how many parts are computed at once."""
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in ((48, 40), (48, 12), (48,))]
    x = rng.standard_normal((7, 20, 40)).astype(np.float32)
    whole = arrays.lstm(x, [arrays.Memory(*weights)])
    for k in (0, 3, 6):
        assert np.array_equal(arrays.lstm(x[k : k + 1], [arrays.Memory(*weights)])[0], whole[k])


@pytest.mark.parametrize(("dtype", "off"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("samples", [1, 17, 18, 19, 500])
def test_a_kernel_s_spectrum_takes_its_place(samples, dtype, off):
    """One sample more than fills a window, one less, and 1; for every tap there is a window in which it counts."""
    rng = np.random.default_rng(samples)
    x = rng.standard_normal((3, samples)).astype(dtype)
    for taps in (15, 3, 1):
        kernel = rng.standard_normal((4, 3, taps)).astype(dtype)
        for stride, pad in ((1, (taps // 2, taps // 2)), (2, (taps - 1, 0))):
            expected = arrays.conv1d(x.astype(np.float64), kernel.astype(np.float64), stride, pad)
            found = arrays.conv1d(x, arrays.Spectrum(kernel), stride, pad)
            assert found.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=off * np.abs(expected).max())


# Networks, written once more


def test_dpam_is_its_definition():
    """Sample by sample, as the paper says it: every tap a loop."""
    checkpoint = random_networks.dpam()
    x, y = (s[:300] for s in pair(22050))

    def features(signal):
        rows = 32768 * signal[None]
        for i in range(14):
            kernel = checkpoint[f"loss_conv_{i}/weights"][0].astype(np.float64)  # [tap, in, out]
            step = 1 if i == 13 else 2
            count = -(-rows.shape[1] // step)
            before = max((count - 1) * step + 3 - rows.shape[1], 0) // 2
            out = np.zeros((kernel.shape[2], count))
            for n in range(count):
                for tap in range(3):
                    at = n * step + tap - before
                    if 0 <= at < rows.shape[1]:
                        out[:, n] += rows[:, at] @ kernel[tap]
            out = (out - out.mean(1, keepdims=True)) / np.sqrt(out.var(1, keepdims=True) + 1e-3)
            out += checkpoint[f"loss_conv_{i}/BatchNorm/beta"][:, None]
            rows = np.where(out > 0, out, 0.2 * out)
            yield rows

    expected = [
        np.abs((a - b) * checkpoint[f"weights_{i}"][:, None]).mean()
        for i, (a, b) in enumerate(zip(features(x), features(y), strict=True))
    ]
    result = metrics.get("dpam").compute(x[None], y[None], 22050)
    assert result.value == pytest.approx(sum(expected), rel=1e-9)
    assert list(result.details.values()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("samples", [5, 1024, 40001])
def test_blocks_of_dpam_change_nothing(samples, monkeypatch):
    """Long recordings take no more memory than these layers do."""
    known = dpam.weights(random_networks.dpam())
    ref, test = np.random.default_rng(3).standard_normal((2, samples))
    whole = list(dpam.differences(ref, test, known))
    monkeypatch.setattr(dpam, "BLOCK", 511)
    for held in (0, 3000):
        monkeypatch.setattr(dpam, "HELD", held)
        for expected, found in zip(whole, dpam.differences(ref, test, known), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_cdpam_is_its_definition():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    state = {name: torch.from_numpy(a).double() for name, a in random_networks.cdpam().items()}
    x, y = pair(22050, 2.0)

    def embedded(signal):
        rows = 32768 * torch.from_numpy(signal)[None, None]
        for i in range(16):
            name = f"base_encoder.encoder.{i}."
            rows = functional.conv1d(rows, state[f"{name}weight"], state[f"{name}bias"], padding=7)
            norm = [state[f"base_encoder.ebatch.{i}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
            rows = functional.leaky_relu(functional.batch_norm(rows, *norm), 0.1)
            rows = rows[..., ::2] if i % 4 == 3 else rows
        mean = rows.mean(-1)
        return functional.normalize(mean[:, : mean.shape[1] // 2])

    a, b, expected = embedded(x), embedded(y), 0.0
    for i in range(4):
        name = f"model_dist.convs.{i}.0."
        a, b = (functional.linear(h, state[f"{name}weight"], state[f"{name}bias"]) for h in (a, b))
        a, b = (functional.leaky_relu(h) if i < 3 else h for h in (a, b))
        expected += (state[f"model_dist.chan_w.{i}"] * (a - b)).abs().sum().item()
    for dtype, tolerance in ((np.float64, 1e-5), (np.float32, 1e-3)):  # merged weights are kept as float32
        given = (s[None].astype(dtype) for s in (x, y))
        assert metrics.get("cdpam").compute(*given, 22050).value == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("samples", [1, 15, 1024, cdpam.BLOCK, cdpam.BLOCK + 1, 2 * cdpam.BLOCK + 777])
def test_blocks_of_cdpam_change_nothing(samples):
    file = random_networks.cdpam()
    x = np.random.default_rng(1).standard_normal(samples)
    whole = cdpam.encoded(x, double(cdpam.weights(file)), arrays)
    parts, counts = cdpam.parts(x, cdpam.prepared(np.float64)(file, "")), cdpam.counts(samples)
    assert np.array_equal(parts, cdpam.parts(x, cdpam.prepared(np.float64)(file, ""), threads=3))
    assert counts.sum() == whole.shape[1]
    np.testing.assert_allclose(counts @ parts / counts.sum(), whole.mean(1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts[0], whole[:, : cdpam.PART].mean(1), rtol=1e-9, atol=1e-9)


def test_nisqa_is_its_definition():
    """The convolutions and the attention of torch itself."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    state = {name: torch.from_numpy(a).double() for name, a in random_networks.nisqa().items()}
    levels = np.random.default_rng(2).uniform(-80, 0, (67, 48))
    x = torch.from_numpy(levels).unfold(0, 15, 1)[::4][:, None]  # [moment, 1, band, frame]
    for i in range(1, 7):
        name = f"cnn.model.conv{i}."
        x = functional.conv2d(x, state[f"{name}weight"], state[f"{name}bias"], padding=(1, int(i < 6)))
        norm = [state[f"cnn.model.bn{i}.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
        x = functional.relu(functional.batch_norm(x, *norm))
        if i in (1, 2, 4):
            x = functional.adaptive_max_pool2d(x, {1: (24, 7), 2: (12, 5), 4: (6, 3)}[i])
    x = x.flatten(1)

    def dense(x, name):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    top = "time_dependency.model."
    x = norm(dense(x, f"{top}linear"), f"{top}norm1")
    for i in range(2):
        name = f"{top}layers.{i}."
        attention = torch.nn.MultiheadAttention(8, 1, dtype=torch.float64)
        own = {
            key.removeprefix(f"{name}self_attn."): a for key, a in state.items() if key.startswith(f"{name}self_attn")
        }
        attention.load_state_dict(own)
        x = norm(x + attention(x, x, x)[0], f"{name}norm1")
        x = norm(x + dense(functional.relu(dense(x, f"{name}linear1")), f"{name}linear2"), f"{name}norm2")
    expected = []
    for i in range(5):
        name = f"pool_layers.{i}.model."
        weight = dense(functional.relu(dense(x, f"{name}linear1")), f"{name}linear2").softmax(0)
        expected.append(dense((weight * x).sum(0), f"{name}linear3").item())
    found = nisqa.opinions(levels, double(nisqa.weights(random_networks.nisqa())))
    assert found.values.tolist() == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(found.attention.sum(1), 1)


def test_resemblyzer_is_its_definition():
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(a).double() for name, a in random_networks.resemblyzer().items()}
    layers = torch.nn.LSTM(40, 12, 3, batch_first=True, dtype=torch.float64)
    layers.load_state_dict({name.removeprefix("lstm."): a for name, a in state.items() if name.startswith("lstm.")})
    known = double(resemblyzer.weights(random_networks.resemblyzer()))
    x = pair(16000, 3.0)[0]
    first = resemblyzer.starts(x.size)
    levels = resemblyzer.spectrum(x, (int(first[-1]) + 160) * 160)
    cut = torch.from_numpy(np.stack([levels[i : i + 160] for i in first]))
    hidden = layers(cut)[1][0][-1]
    dense = torch.relu(torch.nn.functional.linear(hidden, state["linear.weight"], state["linear.bias"]))
    parts = torch.nn.functional.normalize(dense)
    expected = torch.nn.functional.normalize(parts.mean(0), dim=0)
    found = resemblyzer.voice(x, resemblyzer.Network.of(known))
    np.testing.assert_allclose(found.embedding, expected.detach().numpy(), rtol=1e-9)
    assert len(found.times) == len(first) == 3


@pytest.mark.parametrize(("samples", "parts"), [(1, 1), (25600, 1), (25600 + 12320, 2), (37000, 2), (30000, 1)])
def test_a_recording_is_cut_into_parts_as_resemblyzer_does(samples, parts):
    """The last part counts where the recording fills three quarters of it."""
    assert len(resemblyzer.starts(samples)) == parts


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_spectra_of_nisqa_are_librosa_s(rate):
    """Up to 20 kHz at any rate, as it calls librosa."""
    librosa = pytest.importorskip("librosa")
    x = pair(rate, 0.7)[0]
    sizes = {"n_fft": 4096, "hop_length": int(0.01 * rate), "win_length": int(0.02 * rate), "n_mels": 48}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty bands
        levels = librosa.feature.melspectrogram(y=x, sr=rate, power=1.0, pad_mode="reflect", fmax=20000.0, **sizes)
    expected = librosa.amplitude_to_db(levels, ref=1.0, amin=1e-4, top_db=80.0)
    np.testing.assert_allclose(nisqa.spectrum(x, rate), expected.T, rtol=0, atol=1e-4)


# Metrics


@pytest.mark.parametrize("name", METRICS)
def test_a_file_of_another_network_is_one_line(name, tmp_path):
    if name == "dpam":
        checkpoint.written({"weight": np.zeros(3)}, tmp_path / "other")
    else:
        archive.written({"weight": np.zeros(3)}, tmp_path / "other.pth", "state")
    file = tmp_path / ("other.index" if name == "dpam" else "other.pth")
    rate = metrics.get(METRICS[name]).card.rate or 48000
    ref, test = (x[None] for x in pair(rate))
    with pytest.raises(InputError, match=r"other\.\w+ holds no .*: it has no \S+$") as problem:
        metrics.get(METRICS[name]).compute(ref, test, rate, model=str(file))
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("name", METRICS)
def test_a_missing_model_says_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "_roots", lambda _: [])
    rate = metrics.get(METRICS[name]).card.rate or 48000
    ref, test = (Signal.of(x, rate) for x in pair(rate))
    with pytest.raises(MissingModel, match=f"audiosim models get {name}"):
        compare(ref, test, METRICS[name])


def test_a_wrong_shape_is_one_line():
    broken = random_networks.cdpam() | {"base_encoder.encoder.3.weight": np.zeros((2, 3))}
    with pytest.raises(InputError, match=r"encoder\.3\.weight has the shape \[2, 3\]"):
        cdpam.weights(broken)
    with pytest.raises(InputError, match=r"loss_conv_2/weights has the shape \[1\]"):
        dpam.weights(random_networks.dpam() | {"loss_conv_2/weights": np.zeros(1)})


def test_level_is_unheard_by_dpam_and_a_delay_is_not():
    x = pair(22050)[0]
    compute = metrics.get("dpam").compute
    delayed = np.roll(x, 1)
    assert compute(x[None], 0.5 * x[None], 22050).value < 1e-4 * compute(x[None], delayed[None], 22050).value


@pytest.mark.parametrize("output", ["mos", "noisiness", "coloration", "discontinuity", "loudness"])
def test_drop_is_reference_minus_test(output):
    ref, test = (x[None] for x in pair(48000))
    compute = metrics.get("nisqa").compute
    result = compute(ref, test, 48000, output=output, drop=True)
    alone = [compute(x, x, 48000, output=output).value for x in (ref, test)]
    assert result.value == pytest.approx(alone[0] - alone[1], rel=1e-12)
    assert result.better == "lower"
    assert result.value == result.details["reference"] - result.details["test"]
    assert result.details[output] == alone[1]
    short = ref[:, :4000]
    assert "the reference is too short" in compute(short, test, 48000, drop=True).reason
    assert compute(short, test, 48000).status == "ok"


def test_a_network_is_read_once_and_anew_when_its_file_changes(tmp_path):
    file = tmp_path / "x.pth"
    archive.written(random_networks.resemblyzer(1), file, "model_state")
    first = network("resemblyzer", str(file), resemblyzer.prepared)
    assert network("resemblyzer", str(file), resemblyzer.prepared) is first
    archive.written(random_networks.resemblyzer(2), file, "model_state")
    os.utime(file, ns=(1, 1))
    assert network("resemblyzer", str(file), resemblyzer.prepared) is not first
