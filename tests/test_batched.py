"""audiosim.Metric: each item of a batch has the bits that compare gives it, whatever lies beside and behind it."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest

import audiosim
from audiosim import Metric, compare
from audiosim.errors import InputError, UsageError
from audiosim.testing.signals import COMPILED, noise, speech_like

RATE = 16000
SECONDS = 0.6 if COMPILED else 0.3
REF = np.stack([speech_like(RATE, SECONDS, seed=i, channels=2) for i in range(4)]).astype(np.float32)
TEST = REF + np.stack([0.03 * (i + 1) * noise(RATE, SECONDS, i, 2) for i in range(4)]).astype(np.float32)
FULL = REF.shape[-1]
LENGTHS = [FULL, FULL // 2, FULL - 1, FULL - 333]
SPECS = ["si-sdr:zero_mean=true", "log-mel:bands=20", "esr:weighting=hp", *(["mr-stft"] if COMPILED else [])]


def alone(spec: str, ref: Any, test: Any, **options: Any) -> float:
    return compare(ref, test, spec, RATE, **options)[spec].value


@pytest.mark.parametrize("spec", SPECS)
def test_items_have_the_bits_that_they_have_alone(spec: str) -> None:
    expected = [alone(spec, r[:, :n], t[:, :n]) for r, t, n in zip(REF, TEST, LENGTHS, strict=True)]
    padded = REF.copy(), TEST.copy()
    for batch, odd in zip(padded, (7.0, -3.0), strict=True):
        for item, length in zip(batch, LENGTHS, strict=True):
            item[:, length:] = odd
    cut = [[x[:, :n] for x, n in zip(batch, LENGTHS, strict=True)] for batch in (REF, TEST)]
    for threads in (1, 3, None):
        metric = Metric(spec, RATE, threads=threads)
        values = metric(*padded, lengths=LENGTHS)
        assert values.dtype == np.float64
        assert values.tolist() == metric(*cut).tolist() == expected


def test_compare_takes_batches() -> None:
    specs = ["si-sdr", "mse"]
    done = compare(REF, TEST, specs, RATE, lengths=LENGTHS)
    assert len(done) == 4
    for i, (results, n) in enumerate(zip(done, LENGTHS, strict=True)):
        one = compare(REF[i, :, :n], TEST[i, :, :n], specs, RATE)
        assert {s: r.value for s, r in results.items()} == {s: r.value for s, r in one.items()}
        assert (results.reference, results.test, results.duration_s) == (f"ref[{i}]", f"test[{i}]", n / RATE)
    whole: Any = compare(REF, TEST, "mse", RATE)
    assert [r["mse"].value for r in whole] == Metric("mse", RATE)(REF, TEST).tolist()
    mono = compare(list(REF[:, 0]), list(TEST[:, 0]), "mse", RATE, lengths=LENGTHS)
    assert [r["mse"].value for r in mono] == Metric("mse", RATE)(REF[:, 0], TEST[:, 0], LENGTHS).tolist()
    with pytest.raises(UsageError, match="sampling rate"):
        compare(REF, TEST, "mse")
    with pytest.raises(UsageError, match="ref has 4 items and test 3"):
        compare(REF, TEST[:3], "mse", RATE)
    with pytest.raises(UsageError, match=r"lengths\[1\] is 0"):
        compare(REF, TEST, "mse", RATE, lengths=[1, 0, 1, 1])


def test_every_form_of_a_batch() -> None:
    metric = Metric("mse", RATE)
    whole = metric(REF, TEST)
    mono = metric(REF[:, 0], TEST[:, 0])
    assert whole.shape == mono.shape == (4,)
    assert mono.tolist() == [alone("mse", r, t) for r, t in zip(REF[:, 0], TEST[:, 0], strict=True)]
    assert metric(list(REF[:, 0]), tuple(TEST[:, 0])).tolist() == mono.tolist()
    assert metric(REF[0, 0], TEST[0, 0]).tolist() == mono[:1].tolist()
    assert metric(REF[0, 0].tolist(), TEST[0, 0].tolist()).shape == (1,)
    assert metric([], []).shape == metric(REF[:0], TEST[:0]).shape == (0,)
    integers = (32768 * REF).astype(np.int16)
    assert metric(integers, integers).tolist() == [0.0] * 4
    assert metric(REF[..., ::2], TEST[..., ::2]).tolist() == [
        alone("mse", r, t) for r, t in zip(REF[..., ::2], TEST[..., ::2], strict=True)
    ]


def test_tensors_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    metric = Metric("mse", RATE)
    assert metric(torch.tensor(REF), torch.tensor(TEST), torch.tensor(LENGTHS)).tolist() == (
        metric(REF, TEST, LENGTHS).tolist()
    )
    with pytest.raises(InputError, match=r"^ref: is no array of samples: .*requires grad"):
        metric(torch.tensor(REF).requires_grad_(), torch.tensor(TEST))


def test_results_say_why_and_where() -> None:
    metric = Metric("snr", RATE)
    assert (metric.name, metric.unit, metric.better) == ("snr", "dB", "higher")
    ref = np.stack([REF[0], 0 * REF[1]])
    first, second = metric.results(ref, TEST[:2], detail="map")
    assert first.status == "ok"
    assert first.map is not None
    assert second.status == "undefined"
    assert second.reason
    values = metric(ref, TEST[:2])
    assert values[0] == first.value
    assert np.isnan(values[1])


def test_policies_are_those_of_compare() -> None:
    loud = 2 * TEST
    assert Metric("mse", RATE, gain="match")(REF, loud).tolist() == [
        alone("mse", r, t, gain="match") for r, t in zip(REF, loud, strict=True)
    ]
    apart = [REF[0], REF[1][:, : FULL // 2]], [TEST[0][:, : FULL // 2], TEST[1]]
    values = Metric("mse", RATE, length="trim")(*apart)
    assert values.tolist() == [alone("mse", r, t, length="trim") for r, t in zip(*apart, strict=True)]
    spec = "auditory"
    quiet, usual = (Metric(spec, RATE, **options)(REF[:1], TEST[:1]) for options in ({"level": 60.0}, {}))
    assert quiet.tolist() == [alone(spec, REF[0], TEST[0], level=60.0)]
    assert quiet != usual


def test_it_is_plain_data() -> None:
    metric = Metric("esr:weighting=hp", RATE, threads=2, gain="match")
    assert repr(metric) == "Metric('esr:weighting=hp', rate=16000)"
    assert pickle.loads(pickle.dumps(metric))(REF, TEST).tolist() == metric(REF, TEST).tolist()
    assert audiosim.Metric is Metric


BROKEN = TEST.copy()
BROKEN[2, 1, 5] = np.nan


@pytest.mark.parametrize(
    ("ref", "test", "lengths", "error", "said"),
    [
        (REF, TEST[:3], None, UsageError, "ref has 4 items and test 3"),
        (REF[None], TEST[None], None, UsageError, "ref is .* not 4-dimensional"),
        (REF, TEST, [1], UsageError, "one for each of 4 items, not int64 of shape [1]"),
        (REF, TEST, [0.5] * 4, UsageError, "lengths are whole numbers of samples"),
        (REF, TEST, [5, 5, 0, 5], UsageError, "lengths[2] is 0, but the item has 1 to"),
        (REF, TEST, [5, 5, 5, FULL + 1], UsageError, f"lengths[3] is {FULL + 1}"),
        (REF, BROKEN, None, InputError, "test[2]: NaN or infinite is sample 5 of channel 2"),
        (list(REF), [*TEST[:3], TEST[3, :1]], None, InputError, "ref[3] has 2, test[3] has 1"),
        (REF.mT, TEST.mT, None, InputError, "ref[0]: .* pass the transpose"),
        ([["a"]], [[0.0]], None, InputError, "ref[0]: samples must be real numbers"),
        ([[[0.0], [0.0, 1.0]]], [[0.0]], None, InputError, "ref[0]: is no array of samples"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    ref: Any, test: Any, lengths: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as wrong:
        Metric("mse", RATE)(ref, test, lengths)
    assert re.search(re.escape(said).replace(r"\.\*", ".*"), str(wrong.value))
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("spec", "rate", "options", "said"),
    [
        ("sisdr", RATE, {}, "unknown metric 'sisdr'"),
        ("mse", 0, {}, "rate is a whole number"),
        ("mse", RATE, {"threads": 0}, "threads must be at least 1"),
        ("mse", RATE, {"gain": "double"}, "gain='double' is not possible"),
        ("mse", RATE, {"loudness": "match"}, "there is no option 'loudness'"),
    ],
)
def test_it_refuses_at_once(spec: str, rate: int, options: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Metric(spec, rate, **options)
