"""DPAM, CDPAM, NISQA and Resemblyzer give the originals' numbers, where their weights are found.

The sounds of the first two are those of a checkout of pranaymanocha/PerceptualAudio at 4bd0a84, which
PERCEPTUAL_AUDIO names; of the others, recordings of ../shared/audio.
"""

import os
from pathlib import Path

import pytest

from audiosim import compare, load, metrics
from audiosim.trained import weights

EXAMPLES = {
    # README of PerceptualAudio: metric_use_simple.py, scratch: 0.1929 for 2.wav; its own checkpoints, run as they say
    ("dpam", "2.wav"): 0.192886,
    ("dpam", "4.wav"): 0.888548,
    # cdpam 0.0.6 with torch 2.13.0: cdpam.CDPAM(dev="cpu").forward(load_audio(ref), load_audio(test)); README: 0.1696
    ("cdpam", "2.wav"): 0.169629,
    ("cdpam", "4.wav"): 0.235573,
}
# gabrielmittag/NISQA at fe84f0f, weights/nisqa.tar, in double with torch 2.13.0 and librosa 0.11.0: NISQA_DIM of
# segment_specs(get_librosa_melspec(file, sr=None)), in the order that it has
RATINGS = ("mos", "noisiness", "discontinuity", "coloration", "loudness")
NISQA = {
    "speech/clarity__clean.flac": (4.341163, 4.354091, 4.506776, 4.082168, 4.476900),
    "speech/clarity__white10dB.flac": (1.296114, 1.454637, 2.711703, 1.778011, 2.302719),
    "speech/clarity__lp3400.flac": (3.704951, 4.084123, 4.227744, 2.990677, 3.872937),
    "speech/itu__opus_12k.flac": (4.101249, 3.833000, 4.297387, 3.827934, 4.250132),
    "codecmushra/stim_01/audiodec_8.flac": (4.686498, 4.373405, 4.531125, 4.376265, 4.367269),
    "codecmushra/stim_02/lyra_6.flac": (4.503065, 4.634083, 4.508471, 4.272052, 4.323527),
    "clean/speech/lyra_sample1_48kHz.wav": (4.964868, 4.473331, 4.949716, 4.589033, 4.747717),
    "clean/speech/lyra_sample2_48kHz.wav": (3.570863, 2.406670, 3.939769, 3.575577, 3.638788),
    "clean/speech/sms_speech-male.wav": (4.305509, 3.853602, 4.575241, 4.243159, 3.813844),
    "clean/env/sms_rain.wav": (0.810748, 1.176066, 2.808676, 1.414839, 1.537253),
}
# Resemblyzer 0.1.4 with torch 2.13.0 and librosa 0.11.0: VoiceEncoder("cpu").embed_utterance(normalize_volume(x, -30,
# increase_only=True)), cosine with the first
SPEAKER = {
    "speech/clarity__clean.flac": 1.000000,
    "speech/clarity__white10dB.flac": 0.658679,
    "speech/clarity__lp3400.flac": 0.974867,
    "speech/clarity__reverb0.4s.flac": 0.905341,
    "speech/itu__clean.flac": 0.590317,
    "speech/itu__opus_12k.flac": 0.627987,
    "clean/speech/103-1240-0000.flac": 0.570520,
    "clean/speech/1088-129236-0000.flac": 0.722124,
    "clean/speech/163-121908-0000.flac": 0.551642,
    "clean/speech/1970-10594-0000.flac": 0.652746,
}


def skip_without(name):
    place = weights.located(name)
    if place is None or not weights.is_known(name, place):
        pytest.skip(f"the weights of {name} are not here")


@pytest.mark.parametrize(("metric", "file"), EXAMPLES)
def test_published_examples(metric, file):
    skip_without(metric)
    folder = Path(os.environ.get("PERCEPTUAL_AUDIO", "PerceptualAudio"), "sample_audio")
    if not folder.is_dir():
        pytest.skip("PERCEPTUAL_AUDIO does not name a checkout")
    found = compare(folder / "ref.wav", folder / file, metric)[metric]
    assert found.value == pytest.approx(EXAMPLES[metric, file], abs=1e-5)


@pytest.mark.parametrize("file", NISQA)
def test_ratings_are_nisqa_s(file, shared):
    skip_without("nisqa")
    x = load(shared / "audio" / file)
    found = metrics.get("nisqa").compute(x.samples, x.samples, x.rate)
    assert [found.details[name] for name in RATINGS] == pytest.approx(NISQA[file], abs=1e-5)


@pytest.mark.parametrize("file", SPEAKER)
def test_cosines_are_resemblyzer_s(file, shared):
    skip_without("resemblyzer")
    first, x = (load(shared / "audio" / name).samples for name in (next(iter(SPEAKER)), file))
    assert metrics.get("speaker").compute(first, x, 16000).value == pytest.approx(SPEAKER[file], abs=1e-5)
