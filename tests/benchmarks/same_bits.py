"""Same input, same bits: `python -m tests.benchmarks.same_bits` prints what differs, and exits with 1 if anything does.

Every metric, or those of -m, in processes that share a fresh cache: the first compiles, the next ones load its kernels,
in the same order of metrics and in the reverse one. Then the reverse order compiles, in another fresh cache.
--alone: each metric in a process of its own too. --options: each choice of each option.
In one process: value, profile, map, loss and gradient of other memory layouts and alignments, on 1, 2 and 8 threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import audiosim
from audiosim import metrics
from audiosim.errors import AudiosimError
from tests.benchmarks import values

ROOT = Path(__file__).parents[2]
THREADS = (1, 2, 8)
SECONDS = 1.3

Array = NDArray[Any]
Bits = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--metric", action="append", help="only these")
    parser.add_argument("--options", action="store_true", help="each choice of each option too")
    parser.add_argument("--alone", action="store_true", help="each metric in a process of its own too")
    parser.add_argument("--no-layouts", action="store_true", help="only the order of compiling and loading")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.metric or metrics.without_weights()
    if given.child:
        print(json.dumps(_child(names, given.options)))
        return 0
    differ = 0
    for line in orders(names, options=given.options, alone=given.alone):
        differ += 1
        print(line, flush=True)
    if not given.no_layouts:
        for name in names:
            for line in layouts(name):
                differ += 1
                print(line, flush=True)
    print(f"{len(names)} metrics: {differ} differences")
    return int(differ > 0)


# Compiling and loading


def orders(names: list[str], *, options: bool = False, alone: bool = False) -> Iterator[str]:
    """What depends on which process compiled a kernel, and on which kernels were loaded before."""
    back = names[::-1]
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        known = in_process(names, first, options)
        runs = [("loaded", names, first), ("loaded in reverse", back, first), ("compiled in reverse", back, second)]
        runs += [(f"loaded alone: {n}", [n], first) for n in names] if alone else []
        for what, asked, home in runs:
            for key, found in in_process(asked, home, options).items():
                if found != known[key]:
                    yield f"{what}: {key}: {known[key]} -> {found}"


def in_process(names: list[str], cache: str, options: bool = False) -> Bits:
    """All values of these metrics from a process with this folder as its cache."""
    command = [sys.executable, "-m", "tests.benchmarks.same_bits", "--child", *(["--options"] if options else [])]
    for name in names:
        command += ["-m", name]
    places = {"XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": ""}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **places}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: Bits = json.loads(done.stdout)
    return found


def _child(names: list[str], options: bool) -> Bits:
    found: Bits = {}
    for spec, pair in values.cases(names):
        if options or ":" not in spec:
            found.update(values.measured(spec, pair))
    return found


# Memory


def layouts(name: str, seconds: float = SECONDS) -> Iterator[str]:
    """What depends on how the samples lie in memory, and on threads."""
    card = metrics.get(name).card
    pair = "speech" if card.rate == 16000 else "music"
    signals = values.signals(pair, card.rate, card.shortest)
    seconds = max(seconds, 2 * card.shortest)
    rate = signals[0].rate
    for kind in (np.float32, np.float64):
        ref, test = (_stereo(s.samples, int(seconds * rate) | 1).astype(kind) for s in signals)  # an odd length

        def numbers(lay: Callable[[Array], Array], jobs: int, ref: Array = ref, test: Array = test) -> Bits:
            result = audiosim.compare(lay(ref), lay(test), name, rate, "map", jobs=jobs)[name]
            arrays = {f: digest(getattr(result, f)) for f in values.FIELDS}
            return {"value": repr(result.value), "details": repr(sorted(result.details.items())), **arrays}

        known = numbers(np.copy, 1)
        cases: list[tuple[str, Callable[[Array], Array], int]] = [(f"{j} threads", np.copy, j) for j in THREADS]
        for what, lay, jobs in [*cases, *((what, lay, 2) for what, lay in ARRAYS.items())]:
            yield from _differences(f"{name} {kind.__name__}, {what}", known, numbers(lay, jobs))
        if card.gradient != "none":
            yield from _loss_layouts(name, rate, ref, test)


def _loss_layouts(name: str, rate: int, ref: Array, test: Array) -> Iterator[str]:
    import torch

    try:
        loss = audiosim.Loss(name, rate, reduction="none")
    except AudiosimError:  # not for this rate
        return
    for form, channels in {"one element": [0, 1], "two elements": [0, 1, 1, 0]}.items():
        r, t = (torch.from_numpy(x[channels].reshape(-1, 2, x.shape[1])) for x in (ref, test))

        def numbers(lay: Callable[[Any], Any], r: Any = r, t: Any = t) -> Bits:
            x, y = lay(r).detach(), lay(t).detach().requires_grad_()
            found = loss(y, x)
            torch.autograd.backward(found.sum())
            return {"loss": repr(found.tolist()), "gradient": digest(y.grad.numpy())}

        before = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            known = numbers(torch.clone)
            for threads in THREADS:
                torch.set_num_threads(threads)
                found = numbers(torch.clone)
                yield from _differences(f"Loss {name} {ref.dtype} {form}, {threads} threads", known, found)
            torch.set_num_threads(2)
            for what, lay in tensors().items():
                yield from _differences(f"Loss {name} {ref.dtype} {form}, {what}", known, numbers(lay))
        finally:
            torch.set_num_threads(before)


def _stereo(x: Array, samples: int) -> Array:
    x = x[:, :samples] if len(x) > 1 else np.concatenate([x[:, :samples], x[:, -samples:]])
    return np.ascontiguousarray(x[:2])


def _differences(what: str, known: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for key, value in known.items():
        if found[key] != value:
            yield f"{what}: {key}: {value} -> {found[key]}"


def digest(array: Any) -> str | None:
    """Of the numbers, whatever the layout."""
    return None if array is None else hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def _every_second(x: Array) -> Array:
    wide = np.full((x.shape[0], 2 * x.shape[1]), 0.25, x.dtype)
    wide[:, ::2] = x
    return wide[:, ::2]


def _reversed(x: Array) -> Array:
    return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]


def _shifted(x: Array, by: int) -> Array:
    """At an address of any alignment."""
    room = np.zeros(x.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64 + by
    out = room[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def _read_only(x: Array) -> Array:
    y = x.copy()
    y.setflags(write=False)
    return y


ARRAYS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "every second sample of an array": _every_second,
    "reversed view": _reversed,
    "one sample behind an aligned address": lambda x: _shifted(x, x.itemsize),
    "one byte behind an aligned address": lambda x: _shifted(x, 1),
    "read-only": _read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "rows of a larger array": lambda x: np.pad(x, ((1, 1), (3, 2)))[1:-1, 3:-2],
}


def tensors() -> dict[str, Callable[[Any], Any]]:
    """The same for tensors [batch, channel, sample]."""
    import torch

    def every_second(x: Any) -> Any:
        return torch.stack([x, x + 1], -1)[..., 0]

    def shifted(x: Any) -> Any:
        return torch.cat([x.new_zeros(1), x.reshape(-1)])[1:].reshape(x.shape)

    return {
        "samples first": lambda x: x.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        "channels last": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
        "every second sample of a tensor": every_second,
        "one sample behind an aligned address": shifted,
        "part of a larger tensor": lambda x: torch.nn.functional.pad(x, (3, 2))[..., 3:-2],
    }


if __name__ == "__main__":
    sys.exit(main())
