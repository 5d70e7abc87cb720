"""DNSMOS and PLCMOS are those of speechmos, on ten recordings with and without damage; the rule by which windows of
long recordings are left out; and the sidecars of the networks of DNSMOS, which stand for what comes before these."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare, load
from audiosim.metrics import dnsmos
from audiosim.trained import embedding, weights

# speechmos 0.0.1.1 with librosa 0.11.0, onnxruntime 1.32.0 and numpy 2.4.6, on samples as soundfile reads them:
# dnsmos.run(x, 16000), and numpy.random.seed(0); plcmos.run(x, 16000). Recordings of ../shared/audio/speech.
OUTPUTS = ("ovr", "sig", "bak", "p808", "plcmos")
GOLDEN = {
    "short__clean": (2.869078, 3.225382, 3.803413, 3.605235, 4.354714),
    "short__white10dB": (1.930900, 3.045098, 2.026450, 2.359587, 3.209159),
    "visqol__quant8bit": (2.572823, 3.122059, 3.331208, 3.161558, 3.113713),
    "itu__opus_12k": (3.257891, 3.559097, 4.058933, 3.915219, 3.840006),
    "clarity__clean": (3.141889, 3.442889, 3.965865, 3.693130, 4.210310),
    "clarity__lp3400": (3.135930, 3.437491, 3.959931, 3.254019, 4.149878),
    "clarity__dropout10pct": (1.718830, 1.710156, 3.240935, 2.925446, 2.421234),
    "vctk__gain-6dB": (3.285562, 3.561366, 4.052572, 3.998562, 3.842096),
    "sepm__clean": (3.449872, 3.662485, 4.196637, 4.148884, 4.273245),
    "sepm__white10dB": (2.287358, 3.498828, 2.328003, 2.801199, 1.960704),
}


@pytest.fixture(autouse=True)
def networks() -> None:
    pytest.importorskip("onnxruntime")
    for name in ("dnsmos-p835", "dnsmos-p808", "plcmos"):
        place = weights.located(name)
        if place is None or not weights.is_known(name, place):
            pytest.skip("the networks of speechmos are not installed")


def recording(shared, *names):
    return np.concatenate([load(shared / "audio" / "speech" / f"{name}.flac").samples for name in names], axis=1)


@pytest.mark.parametrize("name", GOLDEN)
def test_values_are_those_of_speechmos(name, shared):
    x = recording(shared, name)
    found = compare(x, x, ["dnsmos", "dnsmos:output=p808", "plcmos"], 16000)
    values = [found["dnsmos"].details[key] for key in OUTPUTS[:3]]
    values += [found[spec].value for spec in ("dnsmos:output=p808", "plcmos")]
    assert values == pytest.approx(GOLDEN[name], abs=1e-4)
    assert found["dnsmos"].value == values[0]


def test_windows_are_those_of_speechmos(shared):
    x = recording(shared, "sepm__white10dB", "sepm__clean", "clarity__clean")
    found = compare(x, x, "dnsmos:output=p808", 16000, detail="profile")["dnsmos:output=p808"]
    assert found.value == pytest.approx(3.118216, abs=1e-4)
    np.testing.assert_allclose(found.times, np.arange(7) + 4.505)  # those of 7 to 17 s are left out


@pytest.mark.parametrize(("model", "seconds"), [("dnsmos-p835", 6.3), *(("dnsmos-p808", s) for s in (3.1, 9.5, 14.7))])
def test_sidecars_give_what_the_metric_rates(model, seconds, shared):
    x = recording(shared, "sepm__white10dB", "sepm__clean", "clarity__clean")[:, : int(16000 * seconds)]
    spec, polynomials = {
        "dnsmos-p808": ("dnsmos:output=p808", {"p808": (1, 0)}),
        "dnsmos-p835": ("dnsmos", dnsmos.POLYNOMIALS),
    }[model]
    made, rated = embedding.load(model)(x[0]), compare(x, x, spec, 16000, detail="profile")[spec]
    if seconds > dnsmos.WINDOW:  # elsewhere the recording is doubled, and times are of what nobody played
        np.testing.assert_allclose(made.times, rated.times, atol=0.005)  # p808 hears 0.01 s less
    ratings = {name: np.polyval(p, raw) for (name, p), raw in zip(polynomials.items(), made.numbers.T, strict=True)}
    np.testing.assert_allclose(ratings[spec.partition("=")[2] or "ovr"], rated.per_time, atol=1e-6)
    for name, rating in ratings.items():
        assert rating.mean() == pytest.approx(rated.details[name], abs=1e-6)
