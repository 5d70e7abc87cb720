"""Metrics under the names that they have elsewhere, and those that there are not."""

from __future__ import annotations

import pytest

from audiosim import metrics
from audiosim.errors import UsageError
from audiosim.metrics import parse
from audiosim.metrics._elsewhere import ABSENT, ALIASES, plain

ANSWERS = {  # what people ask for, and what the answer must name
    **dict.fromkeys(["ESTOI", "e-stoi"], "'stoi:extended=true'"),
    **dict.fromkeys(["sisdr", "SI-SNR", "si_snr"], "'si-sdr'"),
    **dict.fromkeys(["msstft", "multi-resolution-stft", "MS_STFT"], "'mr-stft'"),
    **dict.fromkeys(["visqolaudio", "visqol-audio"], "'visqol'"),
    **dict.fromkeys(["lpips", "ssim", "MS-SSIM"], "pictures"),
    **dict.fromkeys(["utmos", "clap"], "trained network"),
    **{"mos": "people", "fad": "audiosim sets", "polqa": "licensed", "psnr": "snr", "mcd13": "'mcd'", "l1": "'mae'"},
    **{"pesq-nb": "'pesq:band=narrow'", "2f-model": "'two-f'", "wer": "stoi"},
    **{"NSIM": "visqol:output=vnsim", "MUSHRA": "people", "THD+N": "test tones", "RT60": "srmr"},
    **{"chromaprint": "same song", "NISQA-MOS": "'nisqa'", "SECS": "'speaker'"},
}


@pytest.mark.parametrize(("asked", "said"), ANSWERS.items())
def test_names_of_the_field_are_answered(asked: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(asked)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_answers_are_for_one_name_each_and_name_metrics_that_there_are() -> None:
    asked = [name for names in (*ALIASES.values(), *ABSENT.values()) for name in names]
    assert len(set(asked)) == len(asked)
    assert all(plain(name) == name for name in asked)
    assert not set(asked) & {plain(name) for name in metrics.own_names()}
    for spec in ALIASES:
        parse(spec)
    for reason in ABSENT:
        assert {word.strip(",;") for word in reason.split()} & set(metrics.own_names())


@pytest.mark.parametrize("name", ["nope", "foo", "xyz", "quality", "loss", "delay", "metric", "mp3", "similarity"])
def test_nonsense_has_no_nearest_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"^unknown metric '{name}'; `audiosim explain`"):
        parse(name)
