"""What only a real process shows: signals, closed pipes, full disks, terminals, locales, bytes in names."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from audiosim.testing.signals import COMPILED

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, pty and /dev are POSIX")


def terminal(process, *argv, env=None, columns=100):
    """(exit code, what a terminal received on stdout)."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {"TERM": "xterm-256color", "COLORTERM": "", "COLUMNS": "", **(env or {})}
    running = process(*argv, env=env, stdout=theirs)
    os.close(theirs)
    received = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        received += part
    os.close(ours)
    err = running.communicate(timeout=60)[1]
    assert b"Traceback" not in err, err
    return running.returncode, received


def test_ctrl_c_stops_at_once_with_130(process, sounds):
    running = process("compare", sounds / "ref.wav", "-", "-q", stdin=subprocess.PIPE, start_new_session=True)
    time.sleep(2.0)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=10) == 130
    assert b"Traceback" not in running.stderr.read()
    for pipe in (running.stdin, running.stdout, running.stderr):
        pipe.close()


def test_a_reader_that_goes_away_is_141(process, sounds):
    reading, writing = os.pipe()
    os.close(reading)
    running = process("compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-q", stdout=writing)
    os.close(writing)
    assert running.communicate(timeout=60)[1] == b""
    assert running.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("argv", [[], ["--format", "table"], ["--format", "json", "--map"]])
def test_a_full_disk_is_one_line_and_2(process, sounds, argv):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        running = process("compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-q", *argv, stdout=full)
        err = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 2
    assert err == "audiosim: error: cannot write the output: No space left on device\n"


def test_standard_input_is_read(process, sounds):
    with (sounds / "near.wav").open("rb") as near:
        running = process("compare", sounds / "ref.wav", "-", "-m", "mse", "--format", "value", stdin=near)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert float(out) > 0


def test_a_name_that_is_no_utf8_is_compared_and_printed(process, sounds, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    with open(name, "wb") as file:  # noqa: PTH123
        file.write((sounds / "near.wav").read_bytes())
    running = process("compare", os.fsencode(sounds / "ref.wav"), name, "-m", "mse", "--format", "json")
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert b"caf" in out
    running = process("compare", os.fsencode(sounds / "ref.wav"), name + b"x")
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err.count(b"\n")) == (3, b"", 1)


@pytest.mark.parametrize("argv", [["compare", "--bands", "--times", "-m", "mse"], ["explain", "mse"]])
def test_an_ascii_terminal_gets_ascii(process, sounds, argv):
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLORTERM": "truecolor"}
    code, received = terminal(process, *argv, sounds / "ref.wav", sounds / "near.wav", env=env)
    assert code == 0
    assert received.isascii()
    assert b"mse" in received


def test_a_terminal_gets_a_table_with_bars(process, sounds):
    code, received = terminal(
        process, "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "--bands", "--times",
        env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    text = received.decode()
    assert code == 0
    assert "█" in text
    assert "metric" in text
    assert "\t" not in text
    assert "\x1b[" in text


def test_no_color_is_honoured(process, sounds):
    _, received = terminal(
        process, "compare", sounds / "ref.wav", sounds / "near.wav", sounds / "far.wav", "-m", "mse", "-q",
        env={"NO_COLOR": "1", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert b"\x1b[32m" not in received
    assert b"32m" not in received


def test_truecolor_gets_a_picture(process, sounds):
    _, received = terminal(
        process, "explain", "mse", sounds / "ref.wav", sounds / "near.wav",
        env={"COLORTERM": "truecolor", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert "▀" in received.decode()
    assert b"38;2;" in received


def test_the_first_compilation_is_announced_once(process, sounds, tmp_path):
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        pytest.skip("nothing is compiled here")
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "--format", "value"
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    first = process(*argv, env=cache).communicate(timeout=120)
    again = process(*argv, env=cache).communicate(timeout=120)
    assert first[1].decode().count("compiling kernels") == 1
    assert again == (first[0], b"")


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_terminal_sees_the_kernels_counted_in_one_line(process, sounds, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "snr", "--format", "value"
    running = process(*argv, env={"XDG_CACHE_HOME": str(tmp_path)}, stderr=theirs)
    os.close(theirs)
    received = b""
    with contextlib.suppress(OSError):  # Linux: the other end is closed
        while part := os.read(ours, 65536):
            received += part
    os.close(ours)
    running.communicate(timeout=120)
    lines = [line.removeprefix("\x1b[K") for line in received.decode().split("\r")]
    counted = [line for line in lines if line]
    assert len(counted) > 1
    assert [re.search(r": (\d+) of (\d+)$", line).groups() for line in counted] == [
        (str(n + 1), str(len(counted))) for n in range(len(counted))
    ], "the number to come is right"
    assert lines[-1] == ""
    assert "\n" not in received.decode()


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_what_was_compiled_ahead_is_not_compiled_again(process, sounds, tmp_path):
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    warm = process("warm", "mse", "si-sdr", "-v", env=cache).communicate(timeout=120)
    assert warm[0] == b""
    assert b"compiling audiosim.engine.moments.error" in warm[1]
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-m", "si-sdr", "--format", "value"
    assert process(*argv, env=cache).communicate(timeout=120)[1] == b""


def test_what_warm_does_not_know_is_one_line(process):
    running = process("warm", "msee")
    _, err = running.communicate(timeout=60)
    assert running.returncode == 2
    assert err.decode().startswith("audiosim: error: unknown metric 'msee'")
    assert err.count(b"\n") == 1
