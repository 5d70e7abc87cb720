"""Trained metrics beside the programs of their networks: deviation, CPU time and memory. `python -m
tests.benchmarks.trained [METRIC...]`.

Needs recordings in ../shared, weights (`audiosim models`), and of the originals those that are installed: speechmos
0.0.1.1 (with librosa and requests), cdpam 0.0.6, nisqa 2.0.post2 (with librosa, pandas and tqdm), Resemblyzer 0.1.4
(with webrtcvad-wheels); --no-deps will do for all. DPAM's needs TensorFlow 1, so its network is built plainly in torch.
Both run on one thread, and in turns; memory is the peak of a process of its own for up to 10 s, the network's and
the program's together.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np

from audiosim import compare, load
from audiosim.trained import dpam, read, weights
from tests.benchmarks.process import peak_mebibytes

SPEECH = Path(__file__).parents[3] / "shared" / "audio" / "speech"
FILES = ("short__clean", "visqol__quant8bit", "itu__opus_12k", "clarity__lp3400", "sepm__white10dB")
LONG = "sepm__white10dB"  # 10 s
ROUNDS = 3

Values = Callable[[Any, Any], list[float]]


class Original(NamedTuple):
    """make() imports it and gives its values of reference and test [sample]; models: the weights that ours need."""

    specs: tuple[str, ...]
    models: tuple[str, ...]
    told: str  # "" for none
    make: Callable[[], Values] | None
    rate: int = 16000  # that the samples are taken to have
    files: Sequence[str] = FILES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metric", nargs="*", help="only these")
    parser.add_argument("--peak", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print(memory(ORIGINALS[given.metric[0]], given.peak == "ours"))
        return
    print(
        "| metric | original | deviation | CPU s a second of sound | of the original | ratio | MiB | of the original |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in given.metric or ORIGINALS:
        row(name, ORIGINALS[name])


def row(name: str, original: Original) -> None:
    if missing := [model for model in original.models if weights.located(model) is None]:
        print(f"{name}: skipped, the weights of {missing[0]} are not here", file=sys.stderr)
        return
    try:
        theirs = original.make() if original.make else None
    except ImportError as absent:
        print(f"{name}: skipped, {original.told} is not installed ({absent})", file=sys.stderr)
        return
    sounds = [sound(file) for file in original.files]
    runs = [lambda ref, test: rated(original, ref, test), *([theirs] if theirs else [])]
    for run in runs:  # kernels are compiled
        cpu(run, sounds[:1])
    rounds = []
    for k in range(1, ROUNDS + 1):  # embeddings are kept: sounds at other levels are others
        others = [x * np.float32(0.99**k) for x in sounds]
        rounds.append([cpu(run, others) for run in runs])
    seconds = sum(x.size for x in sounds) / original.rate
    took = [f"{min(one[k][0] for one in rounds) / seconds:.4f}" for k in range(len(runs))]
    peaks = [in_process(name, side) for side in ("ours", "theirs")[: len(runs)]]
    off = ratio = ""
    if theirs:
        (_, x), (_, y) = rounds[-1]
        off = f"{np.abs(np.array(x) - np.array(y)).max():.1e}"
        ratio = f"{np.median([a / b for (a, _), (b, _) in rounds]):.2f}"
    else:
        took, peaks = [*took, ""], [*peaks, ""]
    print("|", " | ".join([name, original.told, off, *took, ratio, *peaks]), "|", flush=True)


def rated(original: Original, ref: Any, test: Any) -> list[float]:
    return [result.value for result in compare(ref, test, original.specs, original.rate, jobs=1).values()]


def sound(file: str) -> Any:
    return load(SPEECH / f"{file}.flac").samples[0]


def cpu(run: Values, sounds: list[Any]) -> tuple[float, list[list[float]]]:
    """Of each sound behind itself played backwards."""
    start = time.process_time()
    found = [run(np.ascontiguousarray(x[::-1]), x) for x in sounds]
    return time.process_time() - start, found


# Memory


def in_process(name: str, side: str) -> str:
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name if __spec__ else __name__, name, "--peak", side]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


def memory(original: Original, ours: bool) -> str:
    """MiB beyond what there is when the large packages that either needs are imported."""
    for package in ("numba", "torch", "onnxruntime", "librosa"):
        with suppress(ImportError):
            importlib.import_module(package)
    x = sound(LONG)[: 10 * original.rate]
    before = np.ascontiguousarray(x[::-1])

    def run() -> None:
        if ours:
            rated(original, before, x)
        elif original.make:
            original.make()(before, x)

    return f"{peak_mebibytes(run):.0f}"


# Originals


def speechmos(name: str) -> ModuleType:
    """Its module, on one thread."""
    import onnxruntime

    class Session(onnxruntime.InferenceSession):
        """On one thread. The output of PLCMOS has one element, of which numpy 2.4 makes no float any more."""

        def __init__(self, path: str) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 4
            super().__init__(path, options)
            self.single = "plcmos" in path

        def run(self, *given: Any) -> Any:
            found = super().run(*given)
            return [np.squeeze(found[0])] if self.single else found

    module = importlib.import_module(f"speechmos.{name}")
    module.ort = SimpleNamespace(InferenceSession=Session)  # type: ignore[attr-defined]
    return module


def dnsmos() -> Values:
    module = speechmos("dnsmos")

    def values(_: Any, test: Any) -> list[float]:
        found = module.run(test, 16000)
        return [float(found["ovrl_mos"]), float(found["p808_mos"])]

    return values


def plcmos() -> Values:
    module = speechmos("plcmos")

    def values(_: Any, test: Any) -> list[float]:
        np.random.seed(0)  # noqa: NPY002  the raters that it draws
        return [float(module.run(test, 16000)["plcmos"])]

    return values


def speaker() -> Values:
    import torch
    from resemblyzer import VoiceEncoder, audio

    torch.set_num_threads(1)
    encoder = VoiceEncoder("cpu", verbose=False)

    def values(ref: Any, test: Any) -> list[float]:
        a, b = (encoder.embed_utterance(audio.normalize_volume(x, -30, increase_only=True)) for x in (ref, test))
        return [float(a @ b)]

    return values


def cdpam() -> Values:
    """Without its constructor, which asks torch to run what the file of the weights says."""
    import torch

    sys.modules.setdefault("resampy", ModuleType("resampy"))  # for reading files
    warnings.filterwarnings("ignore", message=".*matlib")
    from cdpam.cdpam import CDPAM
    from cdpam.models import FINnet

    torch.set_num_threads(1)
    judge = CDPAM.__new__(CDPAM)
    judge.device = torch.device("cpu")
    judge.model = FINnet(
        dev=judge.device, encoder_layers=16, encoder_filters=64, ndim=[16, 6], classif_dp=0.05, classif_BN=0,
        classif_act="no", input_size=512,
    )  # fmt: skip
    state = read(weights.find("cdpam"))["state"]
    judge.model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
    judge.model.eval()

    def values(ref: Any, test: Any) -> list[float]:
        with torch.no_grad():
            return [float(judge.forward(*(32768 * x[None] for x in (ref, test))))]

    return values


def nisqa() -> Values:
    import librosa
    import torch
    from nisqa.NISQA_lib import NISQA_DIM, segment_specs

    torch.set_num_threads(1)
    file = read(weights.find("nisqa"))
    known = inspect.signature(NISQA_DIM).parameters
    model = NISQA_DIM(**{name: value for name, value in file["args"].items() if name in known})
    state = {name: torch.from_numpy(np.array(array)) for name, array in file["model_state_dict"].items()}
    model.load_state_dict(state)
    model.eval()

    def values(_: Any, test: Any) -> list[float]:
        sizes = {"n_fft": 4096, "hop_length": 160, "win_length": 320, "n_mels": 48, "fmax": 20000}
        levels = librosa.feature.melspectrogram(y=test, sr=16000, power=1.0, pad_mode="reflect", **sizes)
        x, moments = segment_specs("", librosa.amplitude_to_db(levels, ref=1.0, amin=1e-4, top_db=80.0), 15, 4)
        with torch.no_grad():
            return [float(model(x[None].float(), torch.from_numpy(moments)[None])[0, 0])]

    return values


def dpam_in_torch() -> Values:
    """In float32, as TensorFlow has it."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    known = {name: torch.from_numpy(array).float() for name, array in dpam.weights(read(weights.find("dpam"))).items()}

    def features(x: Any) -> list[Any]:
        x = 32768 * torch.from_numpy(x).float()[None, None]
        found = []
        for i in range(14):
            stride = 1 if i == 13 else 2
            missing = max((-(-x.shape[-1] // stride) - 1) * stride + 3 - x.shape[-1], 0)
            x = functional.pad(x, (missing // 2, missing - missing // 2))
            x = functional.instance_norm(functional.conv1d(x, known[f"kernel{i}"], stride=stride), eps=1e-3)
            x = functional.leaky_relu(x + known[f"beta{i}"], 0.2)
            found.append(x)
        return found

    def values(ref: Any, test: Any) -> list[float]:
        with torch.no_grad():
            pairs = zip(features(ref), features(test), strict=True)
            return [sum(float(abs(known[f"weight{i}"] * (b - a)).mean()) for i, (a, b) in enumerate(pairs))]

    return values


ORIGINALS = {
    "dnsmos": Original(("dnsmos", "dnsmos:output=p808"), ("dnsmos-p835", "dnsmos-p808"), "speechmos 0.0.1.1", dnsmos),
    "plcmos": Original(("plcmos",), ("plcmos",), "speechmos 0.0.1.1", plcmos),
    "speaker": Original(("speaker",), ("resemblyzer",), "Resemblyzer 0.1.4", speaker),
    "nisqa": Original(("nisqa",), ("nisqa",), "nisqa 2.0.post2", nisqa),
    "embedding": Original(("embedding:model=musicnn-mtt",), ("musicnn-mtt",), "", None),
    "dpam": Original(("dpam",), ("dpam",), "its network in torch", dpam_in_torch, dpam.RATE),
    "cdpam": Original(("cdpam",), ("cdpam",), "cdpam 0.0.6", cdpam, dpam.RATE, FILES[:1]),
}


if __name__ == "__main__":
    main()
