"""The page in a real Chromium, from disk: it sorts, plays, switches, loops and tests blindly, without one complaint.

Needs chromium, chromedriver (apt: chromium chromium-driver) and selenium; skipped without any of them.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from audiosim import report
from audiosim.judge.summary import summarise
from audiosim.testing.signals import COMPILED

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
EVIL = '"><script>console.error(1)</script><img src=x onerror=console.error(2)>.wav'

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not installed"),
    pytest.mark.skipif(not COMPILED, reason="no kernels here, and it has run compiled"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("selenium", reason="selenium is not installed")
    from selenium import webdriver

    home = tmp_path_factory.mktemp("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={home / 'profile'}", "--window-size=1400,1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    service = webdriver.ChromeService(DRIVER, env=environment)
    started = webdriver.Chrome(options, service)
    started.set_script_timeout(30)
    yield started
    started.quit()


@pytest.fixture(scope="module")
def address(pair, tmp_path_factory):
    """The report of four pairs, the one with the evil name the worst."""
    pairs = [
        pair("near.wav", 0.01, seconds=2.0, require=("si-sdr>=5",)),
        pair(EVIL, 0.3, seconds=2.0, require=("si-sdr>=5", "mse<=1e-9"), gain=0.5),
        pair("far.wav", 0.1, seconds=2.0, require=("si-sdr>=5",)),
        pair("half.wav", 0.0, seconds=2.0, gain=0.5),
    ]
    place = {"start": 1.1, "end": 1.2, "test_start": 1.2, "test_end": 1.3, "channel": None, "low": None, "high": None}
    finding = {"cause": "dropout", "sentence": "a dropout", "share": 0.5, "places": [place], "count": 1}
    level = {"level": "different", "sentence": "plainly different", "reasons": ["it is"], "rule_version": 1}
    for row in pairs[1][0]:
        row.update(verdict=level, diagnosis={"findings": [finding], "null": None, "left_db": None}, contradictions=[])
    known = {rows[0]["test"]: compared for rows, compared in pairs}
    made = report.page([r for rows, _ in pairs for r in rows], lambda rows: known[rows[0]["test"]])
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(made.text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """The browser at the page; afterwards nothing may have been requested or complained about."""
    browser.get_log("browser")
    browser.get("about:blank")
    browser.get(address)
    yield browser
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name.slice(0, 10))")
    assert set(asked) <= {"data:image"}
    assert browser.get_log("browser") == []


def run(browser, script, *arguments):
    return browser.execute_script(f"const player = document.querySelector('.pair').player; {script}", *arguments)


def until(browser, script, seconds=10.0):
    """Wait for a condition of the page."""
    end = time.monotonic() + seconds
    while not run(browser, f"return {script}"):
        assert time.monotonic() < end, f"never true: {script}"
        time.sleep(0.02)


def click(browser, name):
    browser.find_element("css selector", f".pair [data-do='{name}']").click()


def press(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def hears(browser, *gains):
    """Wait until the gains of reference and test are these: a ramp takes 8 ms, on a busy machine what it takes."""
    wanted = " && ".join(f"Math.abs(player.nodes[{i}].gain.gain.value - {gain}) < 1e-3" for i, gain in enumerate(gains))
    until(browser, wanted)


def column(browser, i):
    return run(
        browser, f"return [...document.querySelector('#pairs').tBodies[0].rows].map(r => r.cells[{i}].innerText)"
    )


def test_it_loads_and_the_worst_comes_first(opened):
    assert run(opened, "return 'ready' in document.documentElement.dataset")
    assert column(opened, 0)[0] == EVIL
    assert run(opened, "return document.scripts.length") == 2 + 4 * 3
    assert run(opened, "return document.images.length") == 4 * 3


def test_columns_sort_both_ways(opened):
    head = opened.find_elements("css selector", "#pairs th button")[4]
    assert "si-sdr" in head.text
    head.click()
    first = [float(t.replace("\N{MINUS SIGN}", "-")) for t in column(opened, 4)]
    assert first == sorted(first)  # the worst first
    assert run(opened, "return document.querySelectorAll('#pairs th')[4].ariaSort") == "ascending"
    head.click()
    assert [float(t) for t in column(opened, 4)] == sorted(first, reverse=True)
    opened.find_elements("css selector", "#pairs th button")[0].click()
    assert column(opened, 0) == [EVIL, "far.wav", "half.wav", "near.wav"]


def test_rows_are_filtered(opened):
    opened.find_element("css selector", "input.filter").send_keys("near")
    assert run(opened, "return [...document.querySelectorAll('#pairs tbody tr')].filter(r => !r.hidden).length") == 1
    assert "1 shown" in opened.find_element("id", "shown").text


def test_a_link_opens_its_pair(opened):
    opened.find_element("link text", "near.wav").click()
    assert run(opened, "return document.querySelector(location.hash).open")


def test_it_plays_pauses_and_ends(opened):
    click(opened, "play")
    until(opened, "player.playing && player.now() > 0.3")
    click(opened, "play")
    until(opened, "!player.playing")
    stood = run(opened, "return player.now()")
    assert 0.3 < stood < 2.0
    time.sleep(0.2)
    assert run(opened, "return player.now()") == stood
    run(opened, "player.seek(1.8)")
    click(opened, "play")
    until(opened, "player.playing")
    until(opened, "!player.playing && player.now() === 0")


def test_both_recordings_are_decoded_in_step_and_the_difference_is_theirs(opened):
    click(opened, "play")
    until(opened, "player.playing")
    lengths, rates = run(opened, "return [player.buffers.map(b => b.length), player.buffers.map(b => b.sampleRate)]")
    assert lengths == [32000, 32000]
    assert rates == [16000, 16000]
    click(opened, "D")
    raw = run(opened, "return player.differencePeak")
    click(opened, "match")
    matched = run(opened, "return player.differencePeak")
    assert matched != raw
    ref, test = run(opened, "return player.gains('D')")
    match = 10 ** (run(opened, "return player.facts.match_db") / 20)
    assert (ref, test) == pytest.approx((-1, match))


def test_switching_ramps_the_gains(opened):
    click(opened, "play")
    until(opened, "player.playing && player.now() > 0.1")
    hears(opened, 1, 0)
    begin = run(opened, "return player.begin")
    click(opened, "B")
    hears(opened, 0, 1)
    press(opened, "d")
    hears(opened, -1, 1)
    press(opened, "m")
    match = 10 ** (run(opened, "return player.facts.match_db") / 20)
    assert match == pytest.approx(2, rel=0.1)  # the test has half the gain
    hears(opened, -1, match)
    press(opened, "b")
    hears(opened, 0, match)
    assert run(opened, "return player.begin") == begin  # the same sources play on
    shown = opened.find_element("css selector", "[data-do=match] output").text
    assert shown == f"test {20 * math.log10(match):+.2f} dB"


def test_what_is_heard_is_in_step_to_the_sample(opened):
    """Half the reference, its level matched, leaves nothing of the difference; one sample late it would leave noise."""
    opened.find_element("link text", "half.wav").click()
    levels = opened.execute_async_script(
        """const done = arguments[0], player = document.querySelector(location.hash).player;
        const wait = (ms) => new Promise((then) => setTimeout(then, ms));
        (async () => {
            player.matched = player.loop = true;
            await player.play();
            const ear = new AnalyserNode(player.nodes[0].source.context, { fftSize: 1024 });
            for (const node of player.nodes) node.gain.connect(ear);
            const wave = new Float32Array(1024), found = {};
            for (const [source, right] of [["A", (x) => x > 0.1], ["B", (x) => x > 0.1], ["D", (x) => x < 0.002]]) {
                player.switchTo(source);
                for (let tries = 0; tries < 100; tries++) {
                    await wait(50);
                    ear.getFloatTimeDomainData(wave);
                    found[source] = Math.max(...wave.map(Math.abs));
                    if (right(found[source])) break;
                }
            }
            done(found);
        })();"""
    )
    assert levels["A"] > 0.1
    assert levels["B"] > 0.1
    assert levels["D"] < 0.002  # the loudness is matched to a few hundredths of a decibel


def test_a_ramp_takes_its_time(opened):
    click(opened, "play")
    until(opened, "player.playing && player.now() > 0.1")
    half = opened.execute_async_script(
        """const done = arguments[0], player = document.querySelector('.pair').player;
        player.switchTo('B');
        const seen = [], look = () => {
            seen.push(player.nodes[1].gain.gain.value);
            seen.length < 4000 && seen.at(-1) < 1 ? setTimeout(look, 0) : done(seen);
        };
        look();"""
    )
    assert half[0] < 1
    assert half[-1] == 1
    assert half == sorted(half)


def test_keys_seek_and_play(opened):
    press(opened, " ")
    until(opened, "player.playing")
    press(opened, " ")
    until(opened, "!player.playing")
    run(opened, "player.seek(0.5)")
    press(opened, "\ue014")  # right
    assert run(opened, "return player.now()") == pytest.approx(1.5)
    press(opened, "\ue012")
    assert run(opened, "return player.now()") == pytest.approx(0.5)
    assert run(opened, "return Number(player.lanes.getAttribute('aria-valuenow'))") == pytest.approx(0.5)


def test_a_click_seeks_and_a_drag_loops(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    lanes = opened.find_element("css selector", ".pair .lanes")
    opened.execute_script("arguments[0].scrollIntoView()", lanes)
    width = lanes.size["width"]
    ActionChains(opened).move_to_element_with_offset(lanes, width // 4, 0).click().perform()
    assert run(opened, "return player.now()") == pytest.approx(1.5, abs=0.01)
    ActionChains(opened).move_to_element_with_offset(lanes, -width // 4, 0).click_and_hold().move_by_offset(
        width // 8, 0
    ).release().perform()
    assert run(opened, "return player.region") == pytest.approx([0.5, 0.75], abs=0.01)
    assert run(opened, "return player.loop")
    click(opened, "play")
    until(opened, "player.playing")
    time.sleep(0.6)  # twice the loop
    assert run(opened, "return player.playing")
    assert 0.49 < run(opened, "return player.now()") < 0.76
    press(opened, "\ue00c")  # escape
    assert run(opened, "return player.region") is None


def test_a_player_stops_the_other(opened):
    click(opened, "play")
    until(opened, "player.playing")
    run(
        opened, "document.querySelectorAll('.pair')[1].open = true; document.querySelectorAll('.pair')[1].player.play()"
    )
    until(opened, "document.querySelectorAll('.pair')[1].player.playing && !player.playing")


def test_a_diagnosed_place_is_visited_and_played(opened):
    button = opened.find_element("css selector", ".pair button.place")
    assert run(opened, "return player.source") == "A"
    button.click()
    until(opened, "player.playing && player.now() > 0.7")
    assert run(opened, "return player.source") == "B"  # what happened is heard in the test
    assert run(opened, "return player.from") == pytest.approx(0.7)  # half a second before 1.2 s
    assert run(opened, "return player.spot") == [1.2, 1.3]
    assert not run(opened, "return document.querySelector('.pair .region').hidden")
    click(opened, "A")
    button.send_keys("\ue007")
    until(opened, "player.playing && player.source === 'A' && Math.abs(player.from - 0.6) < 1e-3")
    press(opened, "\ue00c")
    assert run(opened, "return document.querySelector('.pair .region').hidden")


def test_the_blind_test_has_a_p_value(opened):
    from selenium.webdriver.support.select import Select

    click(opened, "abx")
    Select(opened.find_element("css selector", ".pair .trials")).select_by_visible_text("8")
    run(opened, "player.block.focus()")
    assert run(opened, "return player.source") == "X"
    assert run(opened, "return document.querySelector('.pair [data-do=D]').disabled")
    press(opened, " ")
    until(opened, "player.playing && player.now() > 0.1")
    secret = run(opened, "return player.trial.secret")
    match = 10 ** (run(opened, "return player.facts.match_db") / 20)
    hears(opened, *((1, 0) if secret == "A" else (0, match)))
    shown = run(opened, "return document.querySelector('.pair').outerHTML.replace(/<script.*?<\\/script>/gs, '')")
    run(opened, "player.trial.secret = player.trial.secret === 'A' ? 'B' : 'A'; player.show()")
    other = run(opened, "return document.querySelector('.pair').outerHTML.replace(/<script.*?<\\/script>/gs, '')")
    strip = str.maketrans("", "", "0123456789.")  # the time goes on
    assert shown.translate(strip) == other.translate(strip)  # nothing gives X away
    for _ in range(6):
        press(opened, run(opened, "return player.trial.secret === 'A' ? '1' : '2'"))
    for _ in range(2):
        press(opened, run(opened, "return player.trial.secret === 'A' ? '2' : '1'"))
    assert run(opened, "return player.trial") is None
    p = sum(math.comb(8, k) for k in range(6, 9)) / 2**8
    assert float(run(opened, "return player.block.dataset.p")) == pytest.approx(p)
    said = opened.find_element("css selector", ".pair .said").text
    assert "6 of 8 right, p = 0.14 (one-sided binomial): no difference was shown" in said


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_window(opened, width):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    try:
        assert run(opened, "return document.documentElement.scrollWidth") <= width
        inside = "[...player.block.querySelectorAll('.player button, .lanes')]"
        buttons = run(opened, f"return {inside}.map(b => b.getBoundingClientRect().right)")
        assert max(buttons) <= width
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def systems(batch, tmp_path_factory):
    """The report of two systems, with a ranking, a table of items, and a gate over all."""
    rows, recompute = batch
    verdict = {"require": "mean(mse)<=1", "spec": "mse", "value": 0.5, "passed": True, "missed_by": 0.0, "reason": None}
    scores = summarise(iter(rows)).table()
    made = report.page(
        rows, recompute, summary=scores, verdicts=[{**verdict, "system": "one"}], notes=["3 of 6 pairs: gain"]
    )
    path = tmp_path_factory.mktemp("systems") / "report.html"
    path.write_text(made.text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def alone(pair, tmp_path_factory):
    """The report of a recording without a reference."""
    rows, compared = pair("near.wav", 0.01, reference="", seconds=2.0)
    path = tmp_path_factory.mktemp("alone") / "report.html"
    path.write_text(report.page(rows, lambda _: compared).text, encoding="utf-8")
    return path.as_uri()


def test_without_a_reference_the_test_is_played_alone(browser, alone):
    browser.get(alone)
    shown = "[...document.querySelectorAll('.player button')].filter(b => b.checkVisibility()).map(b => b.dataset.do)"
    assert run(browser, f"return {shown}") == ["play", "loop"]
    assert run(browser, "return document.images.length") == 1
    press(browser, "a", "d", "m", "x", " ")
    until(browser, "player.playing")
    hears(browser, 0.0, 1.0)
    assert run(browser, "return [player.source, player.matched, player.trial]") == ["B", False, None]
    run(browser, "player.pause()")
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["address", "systems", "alone"])
def test_axe_finds_nothing(browser, request, page, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python", reason="axe-playwright-python, which brings axe, is not installed"
    )
    browser.get(request.getfixturevalue(page))
    told = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})
    browser.execute_script(resources.files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script(
        "axe.run().then(found => arguments[0](found.violations.map(v => [v.id, v.help, v.nodes.map(n => n.html)])))"
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found == []
