"""The named sets of metrics. Rankings go by the first of a set; each takes stereo at any rate."""

from __future__ import annotations

from collections.abc import Mapping

PRESETS: Mapping[str, tuple[str, ...]] = {
    # Fast, and says something for any sound: what is heard, then waveform, spectrum, timbre.
    "default": ("auditory", "snr", "si-sdr", "log-mel", "lsd", "mfcc"),
    # Quality of speech: the standard, one that bears delays, one for generative codecs, noise and artefacts apart.
    "speech": ("pesq", "visqol-speech", "warp-q", "composite"),
    # Music at full bandwidth: what is heard, quality, timbre, and whether it is as loud.
    "music": ("auditory", "two-f", "zimtohrli", "mfcc", "lufs"),
    # Coded sound of any kind: what is heard, how much does it annoy, is it masked? vnsim needs no trained model.
    "codec": ("auditory", "peaq", "nmr", "visqol:output=vnsim", "zimtohrli"),
    # Words understood: correlation of envelopes for steady and for fluctuating noise, information, models of the ear.
    "intelligibility": ("stoi", "stoi:extended=true", "siib-gauss", "csii", "haspi"),
    # What models are trained on; all have exact gradients.
    "loss": ("mr-stft", "mel-stft", "log-mel", "complex-stft", "si-sdr", "esr"),
    # What is left when one is taken from the other: its size, relative to the reference, without a gain, its offset.
    "null": ("rmse", "snr", "si-sdr", "dc"),
}
