"""ViSQOL, audio and speech mode: the original's numbers, its plain formula, its edges, its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosim import compare, load, metrics
from audiosim.engine import cache
from audiosim.errors import InputError, UsageError
from audiosim.metrics.visqol_speech import fit
from audiosim.models.visqol import mos, support_vectors
from audiosim.models.visqol.support_vectors import installed_model
from audiosim.testing.signals import COMPILED, Array, added_noise, chord_music, delay, dropout, pink, speech_like
from tests import naive

VISQOL, SPEECH = metrics.get("visqol"), metrics.get("visqol-speech")
MODEL = installed_model()  # that of the package visqol-python, which is what test models stand in for
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
with_model = pytest.mark.skipif(MODEL is None, reason="visqol-python is not installed")


# The original


def formula(rate: int, seed: int, amount: float) -> tuple[Array, Array]:
    """16-bit recordings of 2.5 s, the test 10 ms early."""
    t = np.arange(int(2.5 * rate)) / rate
    x = 0.5 * np.sin(2 * np.pi * 90 * seed * t * (1 + t)) * (1 + np.sin(2 * np.pi * 3 * t)) / 2
    x += 0.2 * np.sin(2 * np.pi * 1300 * seed * t) * (np.sin(2 * np.pi * 2 * t) > 0)
    late = t[int(0.01 * rate) :]
    y = 0.7 * x[-len(late) :] + 0.05 * amount * np.sin(2 * np.pi * 2100 * late * (1 + 0.3 * late))
    return np.round(32767 * x)[None] / 32768, np.round(32767 * y)[None] / 32768


@compiled
@pytest.mark.parametrize(
    ("seed", "amount", "vnsim", "mos"),
    [
        (1, 0.1, 0.838325887451202, 4.58042974645095),
        (2, 0.5, 0.853923579659964, 4.45991984547113),
        (3, 2.0, 0.80446170991352, 3.98569341387353),
    ],
)
def test_numbers_of_the_original(seed: int, amount: float, vnsim: float, mos: float) -> None:
    """google/visqol at 38d0b01, built with g++ 12: VisqolManager with its defaults on these as WAV files."""
    ref, test = formula(48000, seed, amount)
    result = VISQOL.compute(ref, test, 48000, output="vnsim")
    assert result.value == pytest.approx(vnsim, abs=1e-10)
    assert result.details["alignment_lag_s"] == 0.01
    if MODEL:
        assert VISQOL.compute(ref, test, 48000, model=str(MODEL)).value == pytest.approx(mos, abs=1e-9)


@compiled
@pytest.mark.parametrize(
    ("seed", "amount", "vnsim", "mos"),
    [
        (1, 0.1, 0.811757554511427, 4.0363021360778),
        (2, 0.5, 0.840506032606776, 4.18329749323259),
        (3, 2.0, 0.818163577448962, 4.0690514633785),
    ],
)
def test_numbers_of_the_original_for_speech(seed: int, amount: float, vnsim: float, mos: float) -> None:
    """google/visqol at 38d0b01 with --use_speech_mode --use_lattice_model=false."""
    result = SPEECH.compute(*formula(16000, seed, amount), 16000)
    assert result.details["vnsim"] == pytest.approx(vnsim, abs=1e-10)
    assert result.value == pytest.approx(mos, abs=1e-9)


@compiled
def test_recorded_numbers(shared: Path) -> None:
    """google/visqol at 38d0b01; oracles/visqol_zimtohrli.json names the calls. The shortest and the unequal ones of its
    pairs here; tests/recorded.py has all."""
    folder, wanted, count = shared / "audio" / "visqol", ("CA01_01.wav", "castanets48_stereo.wav"), 0
    for pair in json.loads((shared / "oracles" / "visqol_zimtohrli.json").read_text())["pairs"]:
        files = [folder / Path(pair[end]).with_suffix(".flac").name for end in ("ref", "deg")]
        if not pair["deg"].endswith(wanted) or not all(file.exists() for file in files):
            continue
        (ref, test), expected = (load(file) for file in files), pair["measured"]
        speech, metric = pair["mode"] == "speech", SPEECH if pair["mode"] == "speech" else VISQOL
        options: dict[str, Any] = {"scale": "unscaled"} if "--unscaled" in pair["options"] else {}
        if not speech:
            options = {"model": str(MODEL)} if MODEL else {"output": "vnsim"}
        x, y = ref.samples, test.samples
        if len(x) != len(y):
            x, y = (z.mean(0, np.float64, keepdims=True) for z in (x, y))
        result = metric.compute(x, y, ref.rate, detail="profile", band_edges="bins", threads=2, **options)
        assert result.details["vnsim"] == pytest.approx(expected["vnsim"], abs=1e-6)
        np.testing.assert_allclose(result.per_band, expected["fvnsim"], atol=1e-6)
        assert result.details["alignment_lag_s"] == pytest.approx(expected["alignment_lag_s"], abs=1e-9)
        if speech or MODEL:
            assert result.value == pytest.approx(expected["moslqo"], abs=1e-3)
        count += 1
    assert count >= 4


# The plain formula


@compiled
@pytest.mark.parametrize("case", ["noisy", "shorter", "dropout"])
def test_plain_formula(case: str) -> None:
    ref = chord_music(48000, 1.6, 3, 2)
    test = {
        "noisy": lambda: added_noise(ref, 48000, 0.2, 1)[:, 3001:],
        "shorter": lambda: ref[:, : int(0.8 * ref.shape[1])],
        "dropout": lambda: dropout(ref, 48000, 1.0, 1),
    }[case]()
    result = VISQOL.compute(ref, test, 48000, output="vnsim", detail="profile", band_edges="bins")
    expected = naive.visqol_bands(ref, test, 48000)
    np.testing.assert_allclose(result.per_band, expected.mean(0), atol=1e-9)
    np.testing.assert_allclose(result.per_time, expected.mean(1), atol=1e-9)


@compiled
@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_plain_formula_for_speech(rate: int) -> None:
    ref = speech_like(rate, 1.9, 3)
    for test in (added_noise(ref, rate, 0.1, 1), delay(ref, rate, 1.0), ref[:, : ref.shape[1] // 2]):
        result = SPEECH.compute(ref, test, rate, output="vnsim", detail="profile", band_edges="bins")
        expected = naive.visqol_bands(ref, test, rate, speech=True)
        np.testing.assert_allclose(result.per_band, expected.mean(0), atol=1e-9)


def test_scores_of_similarities() -> None:
    assert mos.held(fit(1.0, "scaled"), 1.0) == pytest.approx(5, abs=1e-6)
    assert mos.held(fit(1.0, "unscaled"), 1.0) == pytest.approx(4.0158611692238, abs=1e-9)
    assert mos.held(fit(0.1499, "scaled"), 0.1499) == mos.held(3.3, 0.1499) == 1
    assert mos.held(5.2, 0.9) == 5
    assert mos.held(0.7, 0.9) == 1


@with_model
def test_scores_of_the_original_model() -> None:
    """google/visqol at 38d0b01, of bands that are all alike."""
    regression = support_vectors.load(str(MODEL), 32)
    for similarity, score in ((1, 4.732101253), (0.9, 4.353), (0.5, 2.871), (0.1, 1.748), (0, 1.5575)):
        assert regression(np.full(32, float(similarity))) == pytest.approx(score, abs=5e-4)


# The model


@compiled
def test_without_a_model_all_but_the_score_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_vectors, "installed_model", lambda: None)
    ref = pink(48000, 1.0, 1)
    test = added_noise(ref, 48000, 0.3, 1)
    result = VISQOL.compute(ref, test, 48000, detail="map")
    assert result.status == "undefined"
    assert "pip install 'audiosim[visqol]'" in (result.reason or "")
    assert "\n" not in (result.reason or "")
    alone = VISQOL.compute(ref, test, 48000, output="vnsim", detail="map")
    assert alone.status == "ok"
    assert (alone.unit, result.unit) == ("NSIM", "MOS")
    assert result.details == alone.details
    assert alone.value == alone.details["vnsim"] == pytest.approx(np.mean(result.per_band))
    for field in ("per_band", "per_time", "map"):
        np.testing.assert_array_equal(getattr(result, field), getattr(alone, field))


@compiled
def test_a_model_by_name_is_used_and_a_bad_one_refused(tmp_path: Path) -> None:
    ref = pink(48000, 1.0, 1)
    (file := tmp_path / "constant.txt").write_text(
        "svm_type nu_svr\nkernel_type rbf\ngamma 1\nnr_class 2\ntotal_sv 1\nrho -3.25\nSV\n0 1:1\n"
    )
    assert compare(ref, ref, f"visqol:model={file}", 48000)[f"visqol:model={file}"].value == 3.25
    file.write_text(file.read_text() + "1 33:1\n")
    with pytest.raises(InputError, match="line 9: index 33 after 0; they ascend from 1 to 32"):
        compare(ref, ref, f"visqol:model={file}", 48000)


# The edges


@compiled
@pytest.mark.parametrize("metric", [VISQOL, SPEECH])
def test_silence_and_lengths(metric: Any) -> None:
    x = speech_like(48000, 1.2, 1, 6)
    silent = np.zeros_like(x)
    for ref in (silent, 0 * x[:1]):
        for test in (x, silent):
            assert metric.compute(ref, test[: len(ref)], 48000).reason == "the reference is silent"
    result = metric.compute(x, silent, 48000, detail="map")
    assert result.status == "ok"
    assert result.value < 3
    assert len(result.per_channel) == 1
    assert metric.compute(x[:, :1], x[:, :1], 48000).reason.startswith("too short: a patch takes")
    assert metric.compute(x, x[:, :1000], 48000).reason.startswith("too short: a frame takes 3841 samples, the test")
    one_frame = metric.compute(x, x[:, :3841], 48000)
    assert one_frame.status == "ok"
    assert one_frame.details["patches"] == 1
    with pytest.raises(UsageError, match="search must be 1 or more, not 0"):
        metric.compute(x, x, 48000, search=0)


@compiled
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_cached_of_a_recording_gives_the_same_and_goes_with_it(channels: int, dtype: Any) -> None:
    ref = pink(48000, 1.0, 1, channels).astype(dtype)
    test = added_noise(ref, 48000, 0.3, 1).astype(dtype)
    specs = ["visqol:output=vnsim", "visqol-speech:output=vnsim"]
    together = compare(ref, test, specs, 48000)
    assert [compare(ref, test, s, 48000)[s].value for s in specs] == [together[s].value for s in specs]
    assert not cache._memories


def test_speech_at_hardly_any_rate_is_refused() -> None:
    x = np.ones((1, 2000))
    assert "1000 Hz or more, not 900 Hz" in (SPEECH.compute(x, x, 900).reason or "")


@compiled
@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_rates_are_resampled(rate: int) -> None:
    x = speech_like(rate, 1.2, 1, 2)
    same, other = (compare(x, y, "visqol:output=vnsim", rate) for y in (x, added_noise(x, rate, 0.3, 1)))
    assert same["visqol:output=vnsim"].value == pytest.approx(1, abs=1e-9)
    assert other["visqol:output=vnsim"].value < 0.95


@compiled
def test_a_narrow_search_gives_the_same_where_nothing_is_displaced() -> None:
    ref = chord_music(48000, 3.5, 1)
    test = added_noise(ref, 48000, 0.1, 1)
    near, far = (VISQOL.compute(ref, test, 48000, output="vnsim", search=s).value for s in (1, 60))
    assert near == pytest.approx(far, abs=1e-12)


@compiled
def test_the_table_names_what_it_shows(cli: Any, tmp_path: Path) -> None:
    import soundfile

    x = pink(48000, 1.0, 1)
    for name, y in (("a.wav", x), ("b.wav", added_noise(x, 48000, 0.3, 1))):
        soundfile.write(tmp_path / name, y.T, 48000, "FLOAT")
    shown = cli("compare", tmp_path / "a.wav", tmp_path / "b.wav", "-m", "visqol:output=vnsim", "--format", "json")
    row = json.loads(shown.out)["results"][0]
    assert (row["unit"], row["details"]["lost"]) == ("NSIM", 0)
    page = cli("explain", "visqol:output=vnsim", tmp_path / "a.wav", tmp_path / "b.wav")
    assert page.code == 0
    assert "distance" in page.err


# The loss


@compiled
@pytest.mark.parametrize("case", ["late", "lost", "beyond the end"])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_loss_is_the_value_along_the_alignment_that_was_found(case: str, rate: int) -> None:
    """Where patches are moved, lost, and reach beyond the end of the test."""
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    ref = chord_music(rate, 2.2, 1, 2)
    test = {
        "late": lambda: delay(added_noise(ref, rate, 0.1, 1), rate, 1.0),
        "lost": lambda: dropout(ref, rate, 1.0),
        "beyond the end": lambda: np.concatenate([0 * ref[:, : rate // 2], ref[:, : -(rate // 2)]], axis=1),
    }[case]()
    metric = VISQOL if rate == 48000 else SPEECH
    for output, sign in (("mos", -1), ("vnsim", -1)):
        y = torch.tensor(test[None], requires_grad=True)
        loss = Loss(f"{metric.name}:output={output}", rate)(y, torch.tensor(ref[None]))
        loss.backward()
        assert sign * loss.item() == pytest.approx(metric.compute(ref, test, rate, output=output).value, rel=1e-9)
        assert torch.isfinite(y.grad).all()
        assert y.grad.any()


def test_loss_without_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from audiosim.loss import Loss

    monkeypatch.setattr(support_vectors, "installed_model", lambda: None)
    with pytest.raises(UsageError, match="no model for a score: pip install"):
        Loss("visqol", 48000)
    Loss("visqol:output=vnsim", 48000)
