"""Features: what is kept, what is computed again, what is said of recordings that have none."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from audiosim import Signal, audio, metrics
from audiosim.batch.workers import Crash
from audiosim.collection import features
from audiosim.errors import InputError, UsageError
from audiosim.match import Policy
from audiosim.testing.signals import COMPILED, chord_music, pink

RATE = 22050
SPECS = ("timbre-kl", "timbre-js")
pytestmark = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")


class Here:
    """A pool in this process. crash: paths that kill it."""

    def __init__(self, terms, crash=()):
        self.bench, self.crash, self.done = terms.bench(), crash, []

    def run(self, take):
        jobs = deque()
        while jobs or (more := take()):
            jobs.extend(more if not jobs else ())
            more = take()
            jobs.extend(more or ())
            job = jobs.popleft()
            self.done.append(job)
            yield (
                job,
                Crash("it crashed") if job.path in self.crash else self.bench.work(job, jobs[0] if jobs else None),
            )


@pytest.fixture
def folder(tmp_path):
    for i in range(3):
        x = chord_music(RATE, 1.0, i) + 0.01 * pink(RATE, 1.0, i)
        audio.save(tmp_path / f"{i}.wav", Signal(x.astype(np.float32), RATE))
    audio.save(tmp_path / "silent.wav", Signal(np.zeros((1, RATE), np.float32), RATE))
    audio.save(tmp_path / "one.wav", Signal(np.ones((1, 1), np.float32), RATE))
    (tmp_path / "broken.wav").write_bytes(b"RIFF no")
    return tmp_path


def paths(folder):
    return [str(p) for p in sorted(folder.glob("*.wav"))]


def collected(folder, specs=SPECS, crash=(), file="features.jsonl"):
    """The jobs that were done, and the vectors of the first spec."""
    terms = features.Terms(specs=specs, policy=Policy())
    with features.Store(folder / file, terms.settings) as store:
        jobs = features.outstanding(paths(folder), terms, store)
        list(features.run(jobs, store, pool := Here(terms, crash)))
        return pool.done, features.vectors(paths(folder), specs[0], store)


def test_features_and_what_has_none(folder):
    done, found = collected(folder)
    assert len(done) == 6
    assert [n.rpartition("/")[2] for n in found.names] == ["0.wav", "1.wav", "2.wav"]
    wanted = metrics.get("timbre-kl").feature(audio.load(folder / "1.wav"))
    np.testing.assert_array_equal(found.rows[1], wanted)
    why = {path.rpartition("/")[2]: reason for path, reason in found.without.items()}
    assert "is silent" in why["silent.wav"]
    assert "is too short" in why["one.wav"]
    assert set(why) == {"silent.wav", "one.wav", "broken.wav"}
    assert {p.rpartition("/")[2] for p in found.broken} == {"broken.wav"}


def test_only_what_is_missing_is_computed(folder):
    collected(folder, SPECS[:1])
    done, _ = collected(folder)
    assert {job.specs for job in done if "broken" not in job.path} == {("timbre-js",)}
    audio.save(folder / "1.wav", Signal(chord_music(RATE, 1.0, 9).astype(np.float32), RATE))
    done, found = collected(folder)
    assert [job.path.rpartition("/")[2] for job in done] == ["1.wav", "broken.wav"]
    np.testing.assert_array_equal(found.rows[1], metrics.get("timbre-kl").feature(audio.load(folder / "1.wav")))


def test_a_crash_concerns_one_recording(folder):
    done, found = collected(folder, crash=(str(folder / "0.wav"),))
    assert len(found.names) == 2
    assert "it crashed" in found.without[str(folder / "0.wav")]
    done, found = collected(folder)
    assert str(folder / "0.wav") in [job.path for job in done]
    assert len(found.names) == 3


def test_a_journal_of_something_else(folder):
    (folder / "other.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"other\.jsonl: is not a journal of audiosim"):
        collected(folder, file="other.jsonl")
    terms = features.Terms(specs=SPECS, policy=Policy(damaged="allow"))
    collected(folder)
    with pytest.raises(UsageError, match=r"damaged=error \(now allow\); give the same again, .* --journal$"):
        features.Store(folder / "features.jsonl", terms.settings)


def test_a_row_that_was_cut_off_is_computed_again(folder):
    collected(folder)
    whole = (folder / "features.jsonl").read_bytes()
    (folder / "features.jsonl").write_bytes(whole[:-50])
    done, found = collected(folder)
    assert len(found.names) == 3
    assert len(done) == 2  # the one that was cut off, and the broken one
