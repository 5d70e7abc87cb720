"""What a batch costs: `python -m tests.benchmarks.batch` prints

- the overhead of a pair beyond decoding and its metric (one process, beside a plain loop in this one, in turns),
- what a second process brings, beside two processes that only compute,
- how long a journal of 100,000 rows takes to be resumed and exported,
- the memory of this process and of a worker after 1,000 and after 10,000 pairs,
- the same 200 pairs by a plain loop over the peers' packages (pesq, pystoi), and by VERSA's scorer where
  --versa names a checkout of it: pairs per second and CPU time, in turns.

Ratios are of one run side by side; absolute times are this machine's. No test depends on them.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import soundfile

from audiosim import audio
from audiosim.batch import pairing, workers
from audiosim.batch.journal import Content, Journal
from audiosim.comparison import compare_signals
from audiosim.match import Policy
from audiosim.testing import signals


def folders(root: Path, count: int, rate: int, seconds: float, channels: int = 1) -> list[pairing.Pair]:
    """So many pairs of speech-like sound with some noise, in files."""
    for name in ("ref", "test"):
        (root / name).mkdir()
    for i in range(count):
        ref = signals.speech_like(rate, seconds, i % 50, channels)
        test = ref + 0.02 * signals.noise(rate, seconds, i, channels)
        for name, samples in (("ref", ref), ("test", test)):
            soundfile.write(root / name / f"{i:05d}.wav", samples.T, rate)
    return pairing.folders(str(root / "ref"), [str(root / "test")]).pairs


def run(pairs: Iterable[pairing.Pair], terms: workers.Terms, path: Path, count: int) -> float:
    """Seconds from the first answer to the last, a pair."""
    path.unlink(missing_ok=True)
    with Journal(path, terms.settings) as journal, closing(workers.Processes(terms, count)) as pool:
        jobs = workers.outstanding(pairs, terms, journal)
        times = [time.perf_counter() for _ in workers.run(jobs, terms, journal, pool)]
    return (times[-1] - times[count - 1]) / (len(times) - count)


def loop(pairs: Iterable[pairing.Pair], terms: workers.Terms) -> float:
    """Seconds a pair of decoding and comparing, and of nothing else."""
    pairs = list(pairs)
    begun = time.perf_counter()
    for pair in pairs:
        compare_signals(audio.load(pair.reference), audio.load(pair.test), terms.specs, terms.policy, jobs=1)
    return (time.perf_counter() - begun) / len(pairs)


def in_turns(repeats: int, *calls: Callable[[], float]) -> list[float]:
    """The median of each."""
    for call in calls:
        call()  # compiled
    return [statistics.median(times) for times in zip(*([c() for c in calls] for _ in range(repeats)), strict=True)]


def overhead(root: Path, repeats: int) -> None:
    pairs, terms = folders(root, 500, 16000, 1.0), workers.Terms(specs=("mse",), policy=Policy())
    one, bare = in_turns(repeats, lambda: run(pairs, terms, root / "j", 1), lambda: loop(pairs, terms))
    print(f"| overhead a pair (mse of 1 s, 16 kHz) | {1000 * (one - bare):.2f} ms | at most 2 ms |")


def cores(root: Path, repeats: int) -> None:
    pairs, terms = folders(root, 60, 48000, 5.0, 2), workers.Terms(specs=("log-mel", "mr-stft"), policy=Policy())
    spin = "import time\nx = time.process_time() + 2\nwhile time.process_time() < x: pass"

    def spinning() -> float:
        """How much two processes that only compute get done, in processes."""
        begun = time.perf_counter()
        both = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2)]
        for process in both:
            process.wait()
        return 4.0 / (time.perf_counter() - begun)

    one, two, bare = in_turns(
        repeats, lambda: run(pairs, terms, root / "j", 1), lambda: run(pairs, terms, root / "j", 2), spinning
    )
    print(f"| two processes beside one | {one / two:.2f}x (two that only spin: {bare:.2f}x) | at least 1.8x |")


def resume(root: Path) -> None:
    count, specs = 20_000, ("snr", "si-sdr", "log-mel", "lsd", "mfcc")
    terms = workers.Terms(specs=specs, policy=Policy())
    sound = root / "sound.wav"
    soundfile.write(sound, signals.noise(8000, 0.01)[0], 8000)
    for name in ("ref", "test"):
        (root / name).mkdir()
        for i in range(count):
            (root / name / f"{i:05d}.wav").write_bytes(sound.read_bytes())
    pairs = pairing.folders(str(root / "ref"), [str(root / "test")]).pairs
    bench = workers.Bench(terms)
    with Journal(root / "j", terms.settings) as journal:
        made = bench.work(workers.Job(pairs[0], specs))
        for pair in pairs:
            for row in made:
                names = {"reference": pair.reference, "test": pair.test, "id": pair.id}
                states = [os.stat(path) for path in (pair.reference, pair.test)]  # noqa: PTH116
                digest = row["content"]["test"][2]
                content = [list(Content(s.st_size, s.st_mtime_ns, digest)) for s in states]
                key = terms.key(pair, row["spec"], digest, digest)
                journal.write({**row, **names, "content": dict(zip(names, content, strict=False)), "key": key})
    command = [sys.executable, "-m", "audiosim", "batch", str(root / "ref"), str(root / "test")]
    for spec in specs:
        command += ["-m", spec]
    command += ["-o", str(root / "j"), "--format", "jsonl", "-q"]
    begun = time.perf_counter()
    with Journal(root / "j", terms.settings) as journal:
        left = workers.outstanding(pairs, terms, journal)
    seconds = time.perf_counter() - begun
    assert not left
    print(f"| 100,000 rows resumed | {seconds:.1f} s | at most 3 s |")
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"| and paired, summed up and exported, as a process | {time.perf_counter() - begun:.1f} s | |")


def memory(root: Path) -> None:
    pairs, terms = folders(root, 10_000, 8000, 0.1), workers.Terms(specs=("mse", "log-mel"), policy=Policy())
    shown = {}
    with Journal(root / "j", terms.settings) as journal, closing(workers.Processes(terms, 2)) as pool:
        jobs = workers.outstanding(pairs, terms, journal)
        for i, _ in enumerate(workers.run(jobs, terms, journal, pool), 1):
            if i in (1_000, 10_000 - 4):
                resident = [_resident(w.process.pid) for w in pool._workers]
                shown[i] = _resident(os.getpid()), max(resident)
    (ours, theirs), (ours_after, theirs_after) = shown.values()
    print(
        f"| memory after 1,000 and after 10,000 pairs | {ours:.0f} and {ours_after:.0f} MB, "
        f"a worker {theirs:.0f} and {theirs_after:.0f} MB | flat |"
    )


def _resident(pid: Any) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000


PR_SET_CHILD_SUBREAPER = 36  # of Linux
PEERS = """
import sys, soundfile
from pathlib import Path
from pesq import pesq
from pystoi import stoi
for test in sorted(Path(sys.argv[1], "test").iterdir()):
    ref, rate = soundfile.read(Path(sys.argv[1], "ref", test.name))
    deg, _ = soundfile.read(test)
    print(pesq(rate, ref, deg, "wb"), stoi(ref, deg, rate))
"""


def peers(root: Path, repeats: int, versa: str | None) -> None:
    count = 200
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # to be told what workers spent that outlive their parent
    folders(root, count, 16000, 4.0)
    ours = [sys.executable, "-m", "audiosim", "batch", str(root / "ref"), str(root / "test"), "-q"]
    ours += ["-m", "pesq", "-m", "stoi", "--format", "jsonl"]
    others = {"a loop over pesq and pystoi": ([sys.executable, "-c", PEERS, str(root)], None)}
    if versa:
        for name, side in (("gt.scp", "ref"), ("pred.scp", "test")):
            lines = [f"{p.stem} {p}\n" for p in sorted((root / side).iterdir())]
            (root / name).write_text("".join(lines))
        (root / "score.yaml").write_text("- name: pesq\n- name: stoi\n")
        scorer = [sys.executable, "-m", "versa.bin.scorer", "--score_config", str(root / "score.yaml")]
        scorer += ["--gt", str(root / "gt.scp"), "--pred", str(root / "pred.scp"), "--io", "soundfile"]
        others["VERSA's scorer"] = ([*scorer, "--output_file", str(root / "versa.jsonl")], versa)
    for name, (command, folder) in others.items():
        spent: dict[bool, list[float]] = {True: [], False: []}

        def timed(command: list[str], folder: str | None, spent: list[float]) -> float:
            begun, before = time.perf_counter(), _children()
            done = subprocess.run(command, check=False, capture_output=True, cwd=folder)
            assert done.returncode == 0, done.stderr.decode()[-2000:]
            spent.append(_children() - before)
            return time.perf_counter() - begun

        mine, theirs = in_turns(
            repeats,
            lambda s=spent[True]: timed(ours, None, s),  # type: ignore[misc]
            lambda c=command, f=folder, s=spent[False]: timed(c, f, s),  # type: ignore[misc]
        )
        less = statistics.median(spent[False][1:]) / statistics.median(spent[True][1:])
        print(
            f"| {count} pairs of 4 s beside {name} | {theirs / mine:.1f}x ({count / mine:.0f} and "
            f"{count / theirs:.0f} pairs/s); {less:.1f}x in CPU time | at least 5x |"
        )


def _children() -> float:
    """CPU seconds of all processes that were started from here, workers of batches with them, when all have ended."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--versa", help="a checkout of VERSA, whose scorer is run there")
    arguments.add_argument("--only", nargs="+", help="overhead, cores, resume, memory, peers")
    given = arguments.parse_args()
    print("| | measured | asked |\n|---|---|---|", flush=True)
    parts: dict[str, Callable[[Path], None]] = {
        "overhead": lambda root: overhead(root, given.repeats),
        "cores": lambda root: cores(root, given.repeats),
        "resume": resume,
        "memory": memory,
        "peers": lambda root: peers(root, given.repeats, given.versa),
    }
    for name, part in parts.items():
        if not given.only or name in given.only:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
