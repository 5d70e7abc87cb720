"""audiosim.torchmetrics: values of compare, accumulated, synchronised and moved as torchmetrics does it."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from math import inf, isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

import torch
import torchmetrics
from torchmetrics import MetricCollection, MetricTracker

from audiosim import compare
from audiosim.errors import InputError, UsageError
from audiosim.testing.signals import COMPILED, noise, speech_like
from audiosim.torchmetrics import AudiosimMetric

RATE = 16000
SECONDS = 0.5 if COMPILED else 0.15
TARGET = torch.tensor(np.stack([speech_like(RATE, SECONDS, seed=i, channels=2) for i in range(6)])).float()
NOISE = torch.tensor(np.stack([noise(RATE, SECONDS, 10 + i, 2) for i in range(6)])).float()
PREDS = TARGET + torch.linspace(0.02, 0.2, 6)[:, None, None] * NOISE


def alone(spec: str, preds: Any = PREDS, target: Any = TARGET) -> list[float]:
    """What compare gives each item."""
    pairs = zip(target.numpy(), preds.numpy(), strict=True)
    return [compare(ref, test, spec, RATE)[spec].value for ref, test in pairs]


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize("spec", ["si-sdr:zero_mean=true", "log-mel:bands=20", *(["mr-stft"] if COMPILED else [])])
def test_compute_is_the_mean_of_what_compare_gives(spec: str) -> None:
    metric, each = AudiosimMetric(spec, RATE), AudiosimMetric(spec, RATE, reduction="none")
    expected = alone(spec)
    for batch in (slice(0, 3), slice(3, 5), slice(5, 6)):
        for m in (metric, each):
            m.update(PREDS[batch], TARGET[batch])
    assert each.compute().tolist() == expected
    assert metric.compute().item() == pytest.approx(np.mean(expected), rel=1e-14)
    assert metric.compute().dtype == torch.float64
    assert metric.counts == {"numbers": 6, "infinitely_good": 0, "infinitely_bad": 0, "undefined": 0}
    metric.reset()
    each.reset()
    assert metric.counts["numbers"] == 0
    assert each.compute().shape == (0,)


def test_it_agrees_with_torchmetrics() -> None:
    ours = AudiosimMetric("si-sdr:zero_mean=true,channels=mean", RATE)
    theirs = torchmetrics.audio.ScaleInvariantSignalDistortionRatio(zero_mean=True)
    for m in (ours, theirs):
        m.update(PREDS, TARGET)
    assert ours.compute().item() == pytest.approx(theirs.compute().item(), abs=1e-3)  # theirs in float32


def test_the_three_shapes() -> None:
    each = AudiosimMetric("mse", RATE, reduction="none")
    each.update(PREDS, TARGET)
    each.update(PREDS[:, 0], TARGET[:, 0])
    each.update(PREDS[0, 0], TARGET[0, 0])
    assert each.compute().tolist() == [*alone("mse"), *(mono := alone("mse", PREDS[:, 0], TARGET[:, 0])), mono[0]]


def test_padding_does_not_count() -> None:
    lengths = torch.tensor([TARGET.shape[-1] - 100 * i for i in range(6)])
    padded = PREDS.clone()
    for item, length in zip(padded, lengths, strict=True):
        item[:, length:] = 1
    each = AudiosimMetric("mse", RATE, reduction="none")
    each.update(padded, TARGET, lengths=lengths)
    cut = [alone("mse", p[None, :, :n], t[None, :, :n])[0] for p, t, n in zip(PREDS, TARGET, lengths, strict=True)]
    assert each.compute().tolist() == cut


def test_forward_gives_the_batch_and_counts_it() -> None:
    metric = AudiosimMetric("mse", RATE)
    first, second = metric(PREDS[:2], TARGET[:2]), metric(PREDS[2:], TARGET[2:])
    expected = alone("mse")
    assert first.item() == pytest.approx(np.mean(expected[:2]), rel=1e-14)
    assert second.item() == pytest.approx(np.mean(expected[2:]), rel=1e-14)
    assert metric.compute().item() == pytest.approx(np.mean(expected), rel=1e-14)


def test_a_collection_keeps_metrics_apart_that_begin_alike() -> None:
    """Of identical signals mse and mae are both 0: torchmetrics would take them for one metric."""
    collection = MetricCollection({name: AudiosimMetric(name, RATE) for name in ("mse", "mae", "log-mel")})
    collection.update(TARGET[:1], TARGET[:1])
    collection.update(PREDS[1:], TARGET[1:])
    for name, value in collection.compute().items():
        assert value.item() == pytest.approx(sum(alone(name)[1:]) / 6, rel=1e-14)
    collection.reset()
    collection.update(preds=PREDS, target=TARGET, lengths=[TARGET.shape[-1]] * 6)
    assert collection.compute()["mse"].item() == pytest.approx(np.mean(alone("mse")), rel=1e-14)


def test_the_same_metric_twice_is_computed_once() -> None:
    collection = MetricCollection({"a": AudiosimMetric("mse", RATE), "b": AudiosimMetric("mse", RATE)})
    collection.update(PREDS, TARGET)
    assert len(collection.compute_groups) == 1
    assert collection.compute()["a"] == collection.compute()["b"]


def test_which_way_is_better() -> None:
    for spec, higher in (("si-sdr", True), ("mse", False), ("warp-q:output=normalised", True), ("warp-q", False)):
        assert AudiosimMetric(spec, RATE).higher_is_better is higher
    tracker = MetricTracker(AudiosimMetric("si-sdr", RATE))
    for gain in (0.5, 0.1, 0.9):
        tracker.increment()
        tracker.update(TARGET + gain * (PREDS - TARGET), TARGET)
    assert tracker.best_metric(return_step=True)[1] == 1


def test_it_is_no_loss() -> None:
    metric = AudiosimMetric("mse", RATE)
    assert not metric.is_differentiable
    estimate = PREDS.clone().requires_grad_()
    assert not metric(estimate, TARGET).requires_grad


SILENT = TARGET.clone()
SILENT[0] = 0


def test_items_without_a_value() -> None:
    known = alone("snr", PREDS[1:], TARGET[1:])
    skip, keep = AudiosimMetric("snr", RATE), AudiosimMetric("snr", RATE, undefined="nan")
    each, strict = AudiosimMetric("snr", RATE, reduction="none"), AudiosimMetric("snr", RATE, undefined="error")
    for metric in (skip, keep, each):
        metric.update(PREDS, SILENT)
        assert metric.counts == {"numbers": 5, "infinitely_good": 0, "infinitely_bad": 0, "undefined": 1}
    assert skip.compute().item() == pytest.approx(np.mean(known), rel=1e-14)
    assert isnan(keep.compute())
    assert isnan(each.compute()[0])
    assert each.compute()[1:].tolist() == known
    with pytest.raises(InputError, match=r"^item 0: snr has no value: "):
        strict.update(PREDS, SILENT)
    assert strict.counts["numbers"] == 0


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_the_mean_of_nothing_is_nan() -> None:
    metric = AudiosimMetric("snr", RATE)
    assert isnan(metric.compute())
    metric.update(PREDS[:1], SILENT[:1])
    assert isnan(metric.compute())


def test_infinite_values_count_as_in_a_batch() -> None:
    """Infinitely good ones do not hide the others; infinitely bad ones are what they are."""
    metric = AudiosimMetric("sdr:taps=16", RATE)
    metric.update(TARGET[:1], TARGET[:1])
    assert metric.compute() == inf
    metric.update(PREDS[1:], TARGET[1:])
    assert metric.counts == {"numbers": 5, "infinitely_good": 1, "infinitely_bad": 0, "undefined": 0}
    assert metric.compute().item() == pytest.approx(np.mean(alone("sdr:taps=16")[1:]), rel=1e-14)
    bad = AudiosimMetric("lufs", RATE)
    second = torch.cat([TARGET[0]] * 10, -1)[:1, : RATE // 2]
    bad.update(second, second)
    assert bad.compute() == 0
    bad.update(0 * second, second)
    assert bad.compute() == inf


def test_a_metric_that_breaks_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from audiosim.metrics import mae

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(mae, "measure", broken)
    metric = AudiosimMetric("mae", RATE)
    with pytest.warns(UserWarning, match="item 0: mae has no value: ZeroDivisionError: no luck"):
        metric.update(PREDS, TARGET)
    metric.update(PREDS, TARGET)
    assert metric.counts["undefined"] == 12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_of_signals(dtype: torch.dtype) -> None:
    metric = AudiosimMetric("mse", RATE, reduction="none")
    metric.update(PREDS.to(dtype), TARGET.to(dtype))
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert metric.compute().tolist() == alone("mse", PREDS.to(dtype).to(wide), TARGET.to(dtype).to(wide))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_it_is_moved_copied_and_saved(reduction: Any) -> None:
    metric = AudiosimMetric("mse", RATE, reduction=reduction)
    metric.update(PREDS[:3], TARGET[:3])
    expected = metric.compute()
    for other in (pickle.loads(pickle.dumps(metric)), metric.clone(), metric.to("cpu").half().double()):
        assert torch.equal(other.compute(), expected)
        assert other.compute().dtype == torch.float64
    metric.persistent(True)
    again = AudiosimMetric("mse", RATE, reduction=reduction)
    again.persistent(True)
    again.load_state_dict(metric.state_dict())
    again.update(PREDS[3:], TARGET[3:])
    metric.update(PREDS[3:], TARGET[3:])
    assert torch.equal(again.compute(), metric.compute())
    metric.set_dtype(torch.float32)
    assert metric.compute().dtype == torch.float32
    assert metric.counts["numbers"] == 6
    metric.reset()
    metric.to("meta")


@pytest.mark.parametrize(
    ("preds", "target", "said"),
    [
        (PREDS.numpy(), TARGET, "are torch tensors; for arrays there is audiosim.Metric"),
        (PREDS, TARGET[:2], r"preds \[6, 2, \d+\] and target \[2, 2, \d+\] must be of one shape"),
        (PREDS[None], TARGET[None], "must be of one shape"),
    ],
)
def test_shapes_that_do_not_fit(preds: Any, target: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        AudiosimMetric("mse", RATE).update(preds, target)


def test_options_are_checked_at_once() -> None:
    with pytest.raises(UsageError, match="unknown metric"):
        AudiosimMetric("sisdr", RATE)
    with pytest.raises(UsageError, match="reduction='sum' is not possible; one of: mean, none"):
        AudiosimMetric("mse", RATE, reduction="sum")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one of: skip, nan, error"):
        AudiosimMetric("mse", RATE, undefined="drop")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nonsense"):
        AudiosimMetric("mse", RATE, nonsense=1)
    assert AudiosimMetric("mse", RATE, gain="match", sync_on_compute=False).sync_on_compute is False
    matched = AudiosimMetric("mse", RATE, gain="match", reduction="none")
    matched.update(0.5 * TARGET, TARGET)
    assert matched.compute().max() < 1e-12


def test_its_repr_is_its_spec() -> None:
    assert repr(AudiosimMetric("si-sdr:zero_mean=true", rate=RATE)) == (
        "AudiosimMetric('si-sdr:zero_mean=true', rate=16000)"
    )


def _process(rank: int, meeting: str, folder: str) -> None:
    """One of two: the first has two batches, the second one, and none of the metric `late`."""
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    try:
        metrics = {
            "mean": AudiosimMetric("snr", RATE),
            "each": AudiosimMetric("snr", RATE, reduction="none"),
            "late": AudiosimMetric("snr", RATE, reduction="none"),
        }
        for batch in ((slice(0, 2), slice(2, 3)), (slice(3, 6),))[rank]:
            for name, metric in metrics.items():
                if name != "late" or rank == 0:
                    metric.update(PREDS[batch], SILENT[batch])
        metrics["late"].to("cpu")
        found = {name: metric.compute() for name, metric in metrics.items() if name != "late" or rank == 0}
        if rank == 1:
            with pytest.warns(UserWarning, match="before the ``update``"):
                found["late"] = metrics["late"].compute()
        torch.save((found, metrics["mean"].counts), f"{folder}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_processes_have_one_answer(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    meeting = (tmp_path / "meeting").as_uri()
    both = [context.Process(target=_process, args=(rank, meeting, str(tmp_path))) for rank in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    known = alone("snr", PREDS[1:], TARGET[1:])
    for rank in (0, 1):
        found, counts = torch.load(tmp_path / f"{rank}.pt")
        assert found["mean"].item() == pytest.approx(np.mean(known), rel=1e-14)
        assert isnan(found["each"][0])
        assert found["each"][1:].tolist() == known
        assert found["late"][1:].tolist() == known[:2]
        assert counts["numbers"] == 2 + rank  # of this process: what was synchronised is undone


def test_without_torchmetrics_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['torchmetrics'] = None; import audiosim; audiosim.torchmetrics"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        "audiosim.torchmetrics needs torch and torchmetrics: pip install 'audiosim[torchmetrics]'"
    )
