"""The pytest plugin in small projects of its own, as its users run it."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiosim import audio
from audiosim.pytest_plugin import _file_name
from audiosim.testing import AudioDiffers, assert_audio_similar
from tests.conftest import PACKAGE

pytest_plugins = ["pytester"]

CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # of kernels; pytester sets another home

Run = Callable[..., pytest.RunResult]

HEAD = """
    import numpy as np
    import pytest
    from audiosim.testing import assert_audio_similar

    RATE = 16000
    SOUND = 0.1 * np.random.default_rng(1).standard_normal(1600)
    NOISE = 0.1 * np.random.default_rng(2).standard_normal(1600)
"""
TONE = (
    HEAD
    + """
    import os

    def test_tone(audio_golden):
        audio_golden(SOUND + float(os.environ.get("HISS", 0)) * NOISE, RATE, "snr>=20")
"""
)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """All that a failure needs, loaded once: pytester forgets what is loaded within it, and NumPy loads only once."""
    with pytest.raises(AudioDiffers) as failed:
        assert_audio_similar(-np.ones(400), np.ones(400), "snr>=20", "mse@100-1000<-1", rate=16000)
    failed.value.similarity.page()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """pytest in a fresh project, with this plugin and not that of an installed audiosim."""
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", CACHE)

    def call(*arguments: str, process: bool = False, hiss: float = 0) -> pytest.RunResult:
        monkeypatch.setenv("HISS", str(hiss))
        start = pytester.runpytest_subprocess if process else pytester.runpytest_inprocess
        return start("-p", "no:audiosim", "-p", "audiosim.pytest_plugin", "-p", "no:cacheprovider", *arguments)

    return call


def test_a_missing_golden_file_fails_with_the_command_to_run(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_synth=TONE)
    done = run()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "E *AudioDiffers: there is no golden file golden/test_synth/test_tone.flac",
            "E *accept    pytest test_synth.py::test_tone --audio-update",
            "*kept in audio-failures/test_synth/test_tone",
        ]
    )
    done.stdout.no_fnmatch_line("*pytest_plugin.py*")  # only the user's own lines are shown
    assert not Path("golden").exists()
    kept = audio.load("audio-failures/test_synth/test_tone/actual.flac")
    assert (kept.rate, kept.length) == (16000, 1600)


def test_the_life_of_a_golden_file(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_synth=TONE)
    golden = Path("golden/test_synth/test_tone.flac")
    kept = Path("audio-failures/test_synth/test_tone")

    done = run("--audio-update")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines([f"written {golden} (it was missing)"])
    assert soundfile.info(golden).subtype == "PCM_24"
    written = golden.read_bytes()

    run().assert_outcomes(passed=1)
    assert not kept.exists()
    run(hiss=0.01).assert_outcomes(passed=1)
    done = run("--audio-update", hiss=0.01)  # a sound that holds is not written again
    done.stdout.no_fnmatch_line("written *")
    assert golden.read_bytes() == written

    done = run(hiss=0.5)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "E *AudioDiffers: the audio is not as expected: snr>=20 failed",
            f"E *expected  {golden}: 0.100 s at 16000 Hz, mono",
            "E *failed    snr>=20: 5.99* dB, missed by 14.0*",
            "E *accept    pytest test_synth.py::test_tone --audio-update",
            f"*kept in {kept}",
        ]
    )
    assert sorted(p.name for p in kept.iterdir()) == ["actual.flac", "expected.flac", "report.html", "report.txt"]
    assert "snr&gt;=20" in (kept / "report.html").read_text(encoding="utf-8")
    assert (kept / "expected.flac").read_bytes() == written
    assert "test_synth.py::test_tone\nthe audio is not as expected" in (kept / "report.txt").read_text()
    assert Path("audio-failures/.gitignore").read_text() == "*\n"
    assert golden.read_bytes() == written

    done = run("--audio-update", hiss=0.5)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines([f"written {golden} (snr>=20 failed)"])
    assert not kept.exists()  # what is kept is of the last run
    run(hiss=0.5).assert_outcomes(passed=1)
    run().assert_outcomes(failed=1)


def test_only_what_is_missing_or_failing_is_written(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_many=HEAD
        + """
    import os

    @pytest.mark.parametrize("gain", [0.5, 1.0, 0.25])
    def test_tone(audio_golden, gain):
        hiss = float(os.environ["HISS"]) * (gain == 0.5)
        audio_golden(gain * SOUND + hiss * NOISE, RATE, "snr>=20")
    """
    )
    run("--audio-update", "-k", "not 0.25").assert_outcomes(passed=2, deselected=1)
    done = run("--audio-update", hiss=0.5)
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(
        [
            "written golden/test_many/test_tone-0.25.flac (it was missing)",
            "written golden/test_many/test_tone-0.5.flac (snr>=20 failed)",
        ]
    )
    done.stdout.no_fnmatch_line("written *test_tone-1.0*")


def test_every_test_has_a_file_of_its_own(pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        test_names=HEAD
        + """
    @pytest.mark.parametrize("name", ["a/b", "a_b", "..", "ü 音", "x" * 200, "x" * 201, "-1", "1", "a.b", ""])
    def test_it(audio_golden, name):
        audio_golden(SOUND * (1 + sum(name.encode()) % 97) / 100, RATE, "snr>=60")

    class TestGroup:
        def test_it(self, audio_golden):
            audio_golden(SOUND, RATE, "snr>=60")
            audio_golden(-SOUND, RATE, "snr>=60", name="turned over")
            audio_golden(-SOUND, RATE, "snr>=60", name="turned_over")
    """
    )
    run("--audio-update").assert_outcomes(passed=11)
    run().assert_outcomes(passed=11)
    files = sorted(p.name for p in Path("golden/test_names").iterdir())
    assert len(files) == 13
    assert {"test_it-1.flac", "test_it-a.b.flac", "TestGroup.test_it.flac"} <= set(files)
    assert all(len(name) < 120 and name.isascii() for name in files)


@pytest.mark.parametrize("test", ["test_a", "TestA::test_b", "test_a[1-2.5-x]", "test_a[-1]"])
def test_plain_names_have_no_hash(test: str) -> None:
    assert _file_name(test) == test.replace("::", ".").replace("[", "-").replace("]", "")


def test_two_nameless_goldens_in_one_test_are_refused(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        HEAD
        + """
    def test_twice(audio_golden):
        audio_golden(SOUND, RATE)
        audio_golden(SOUND, RATE)
    """
    )
    done = run("--audio-update")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["E *audio_golden was called twice*"])


def test_samples_beyond_full_scale_go_to_float_wav_and_back(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_loud=HEAD
        + """
    import os

    def test_it(audio_golden):
        audio_golden(np.array([SOUND, NOISE]) * float(os.environ["HISS"]), RATE, "snr>=60")
    """
    )
    run("--audio-update", hiss=40).assert_outcomes(passed=1)
    assert [p.name for p in Path("golden/test_loud").iterdir()] == ["test_it.wav"]
    assert audio.load("golden/test_loud/test_it.wav").channels == 2
    run(hiss=40).assert_outcomes(passed=1)
    run(hiss=1).assert_outcomes(failed=1)
    run("--audio-update", hiss=1).assert_outcomes(passed=1)
    assert [p.name for p in Path("golden/test_loud").iterdir()] == ["test_it.flac"]


def test_rules_and_folder_from_the_configuration(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_configured=HEAD
        + """
    import os

    def test_it(audio_golden):
        audio_golden(SOUND + float(os.environ["HISS"]) * NOISE, RATE)
    """
    )
    run("--audio-update").assert_outcomes(passed=1)
    run(hiss=1).stdout.fnmatch_lines(["E *mr-stft<=0.1: *missed by*"])  # the default
    pytester.makeini("[pytest]\naudio_golden_dir = sounds\naudio_rules =\n  snr>=-3\n  mse<1")
    run("--audio-update").assert_outcomes(passed=1)
    assert Path("sounds/test_configured/test_it.flac").exists()
    run(hiss=1).assert_outcomes(passed=1)
    run(hiss=2).stdout.fnmatch_lines(["E *snr>=-3: *missed by*", "E *held      mse<1: *"])
    pytester.makeini(f"[pytest]\naudio_golden_dir = {Path('sounds').absolute()}")
    run().stdout.fnmatch_lines(["E *is absolute*"])


def test_troubles_are_failures_in_a_few_lines(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_bad=HEAD
        + """
    def test_nan(audio_golden):
        audio_golden(SOUND / np.where(np.arange(1600) == 3, np.nan, 1), RATE)

    def test_silent(audio_golden):
        audio_golden(0 * SOUND, RATE, "snr>=20")

    def test_rule(audio_golden):
        audio_golden(SOUND, RATE, "srn>=20")

    def test_policy(audio_golden):
        audio_golden(SOUND, RATE, "snr>=20", aling="auto")

    def test_rate(audio_golden):
        audio_golden(SOUND)

    def test_broken(audio_golden):
        audio_golden(SOUND, RATE, "snr>=20")
    """
    )
    Path("golden/test_bad").mkdir(parents=True)
    Path("golden/test_bad/test_broken.flac").write_text("no sound")
    done = run()
    done.assert_outcomes(failed=6)
    done.stdout.no_fnmatch_line("*audiosim/*.py*")  # only the user's own lines are shown
    done.stdout.fnmatch_lines(["E *the golden file is broken: golden/test_bad/test_broken.flac: *"])
    done = run("--audio-update")
    done.assert_outcomes(failed=5, passed=1)
    done.stdout.fnmatch_lines(
        [
            "E *the audio is broken: actual: NaN or infinite is sample 3 *",
            "E *failed    snr>=20: undefined: *",
            "E *note      the golden file was written, but even it does not meet these rules",
            "E *unknown metric 'srn'*",
            "E *there is no option 'aling'*",
            "E *arrays need their sampling rate*",
            "written golden/test_bad/test_broken.flac (it could not be read)",
        ]
    )
    assert sorted(p.name for p in Path("golden/test_bad").iterdir()) == ["test_broken.flac", "test_silent.flac"]


def test_the_function_alone_keeps_its_audio_too(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_plain=HEAD
        + """
    import unittest

    def test_function():
        assert_audio_similar(SOUND + 0.5 * NOISE, SOUND, "snr>=20", rate=RATE)

    class TestOld(unittest.TestCase):
        def test_method(self):
            assert_audio_similar(100 * SOUND, SOUND, "snr>=20", rate=RATE)

    def test_other():
        assert False

    def test_mistake():
        assert_audio_similar(SOUND, SOUND, "srn>=20", rate=RATE)
    """
    )
    done = run("--audio-report", "out/kept")
    done.assert_outcomes(failed=4)
    done.stdout.no_fnmatch_line("*audiosim/*.py*")
    kept = Path("out/kept/test_plain")
    assert sorted(p.name for p in kept.iterdir()) == ["TestOld.test_method", "test_function"]
    assert np.abs(audio.load(kept / "TestOld.test_method/actual.wav").samples).max() > 1
    assert (kept / "test_function/expected.flac").exists()


def test_what_is_not_ours_in_the_report_folder_stays(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_synth=TONE)
    run()
    mine = Path("audio-failures/test_synth/test_tone/mine.txt")
    mine.write_text("keep")
    run("--audio-update").assert_outcomes(passed=1)
    assert [p.name for p in mine.parent.iterdir()] == ["mine.txt"]


def test_a_report_folder_that_cannot_be_written_is_said(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(test_synth=TONE)
    Path("file").write_text("")
    done = run("--audio-report", "file")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["kept in file/test_synth/test_tone, but not all: *"])


def test_scores_reach_junit(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_scores=HEAD
        + """
    def test_it(audio_golden):
        audio_golden(SOUND, RATE, "snr>=20", "mse@1000-2000<1")
        audio_golden(SOUND, RATE, "snr>=20", name="left")
    """
    )
    run("--audio-update").assert_outcomes(passed=1)
    run("--junit-xml=out.xml").assert_outcomes(passed=1)
    found = {p.get("name"): float(p.get("value") or "") for p in ET.parse("out.xml").iter("property")}
    assert sorted(found) == ["left: snr", "mse@1000-2000", "snr"]
    assert found["snr"] == found["left: snr"] > 60


def test_faulty_channels_are_told_though_the_rules_hold(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        test_stereo=HEAD
        + """
    import os

    def test_it(audio_golden):
        right = -NOISE if float(os.environ["HISS"]) else NOISE
        audio_golden(np.stack([SOUND, right]), RATE)
    """
    )
    run("--audio-update").assert_outcomes(passed=1)
    done = run()
    done.stdout.no_fnmatch_line("*audio faulty*")
    done = run(hiss=1)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*faulty in test_stereo.py::test_it: channel 2 (right) of the actual sound is inv*"])


def test_a_rule_on_channels() -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((2, 1600))
    y = x * [[1], [-1]]
    assert_audio_similar(x, x, "min_channel(snr)>=60", rate=16000)
    with pytest.raises(AudioDiffers, match=r"min_channel\(snr\)>=60: -6.02\d* dB in channel 2, missed by") as failed:
        assert_audio_similar(y, x, "min_channel(snr)>=60", rate=16000)
    assert "channel 2 (right) of the actual sound is inverted" in str(failed.value)


def test_the_command_is_right_from_another_directory(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]")
    pytester.mkdir("sub")
    pytester.makepyfile(**{"sub/test_[x]": TONE})
    pytester.mkdir("elsewhere")
    monkeypatch.chdir("elsewhere")
    done = run("../sub", "--rootdir=..")
    done.stdout.fnmatch_lines(
        [
            "*no golden file ../sub/golden/test_[[]x]/test_tone.flac",
            "*accept    pytest '../sub/test_[[]x].py::test_tone' --audio-update",
        ]
    )


def test_workers_of_xdist_write_and_tell(pytester: pytest.Pytester, run: Run) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(
        test_many=HEAD
        + """
    @pytest.mark.parametrize("gain", [0.25, 0.5, 0.75, np.nan])
    def test_tone(audio_golden, gain):
        audio_golden(gain * SOUND, RATE, "snr>=20")
    """
    )
    done = run("-n2", "--audio-update", process=True)
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(
        [
            "kept in audio-failures/test_many/test_tone-nan",
            *(f"written golden/test_many/test_tone-{gain}.flac (it was missing)" for gain in (0.25, 0.5, 0.75)),
        ]
    )
    assert sorted(p.name for p in Path("golden/test_many").iterdir()) == [
        f"test_tone-{gain}.flac" for gain in (0.25, 0.5, 0.75)
    ]


def test_a_project_without_sound_does_not_pay(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        """
    import sys

    def test_it():
        loaded = [m for m in sys.modules if m.split(".")[0] in ("numpy", "numba", "scipy", "soundfile", "typer")]
        assert not loaded
        assert not [m for m in sys.modules if m.startswith("audiosim.") and m != "audiosim.pytest_plugin"]
        assert False, "to come through the report too"
    """
    )
    done = run(process=True)
    done.stdout.fnmatch_lines(["E *to come through the report too"])
    assert not Path("audio-failures").exists()


def test_it_can_be_switched_off(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    pytester.makepyfile(
        HEAD
        + """
    def test_function():
        assert_audio_similar(SOUND + 0.5 * NOISE, SOUND, "snr>=20", rate=RATE)

    def test_fixture(audio_golden):
        pass
    """
    )
    done = pytester.runpytest_inprocess("-p", "no:audiosim")
    done.assert_outcomes(failed=1, errors=1)
    assert not Path("audio-failures").exists()


def test_a_signal_has_its_own_rate(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(
        HEAD
        + """
    from audiosim import Signal

    def test_it(audio_golden):
        audio_golden(Signal.of(SOUND, 8000), None, "snr>=20")
    """
    )
    run("--audio-update").assert_outcomes(passed=1)
    (golden,) = Path("golden").rglob("*.flac")
    assert audio.load(golden).rate == 8000
