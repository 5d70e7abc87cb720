// Tables that sort and filter, and a player per pair. No library, no request: everything is in the page.
"use strict";
(() => {
const RAMP = 0.008; // s, of a change of gain: no click, and no gap that is heard
const AHEAD = 0.03; // s between deciding to play and playing, so that both sources start at one context time
const STEP = 1; // s of an arrow key; a tenth of it with Shift
const SHORTEST = 0.05; // s of a loop
const LEAD = 0.5; // s that are played before a place

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const decibels = (gain) => `${gain < 0 ? "\u2212" : "+"}${Math.abs(gain).toFixed(2)} dB`;

function clock(seconds) {
  const whole = Math.max(0, seconds);
  return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(2).padStart(5, "0")}`;
}

// Tables

function sort(table, column, direction) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const numeric = table.tHead.rows[0].cells[column].dataset.kind === "number";
  const rows = [...body.rows].map((row, place) => ({ row, place, key: key(row) }));
  rows.sort((a, b) => {
    if (numeric) {
      const [x, y] = [Number(a.key), Number(b.key)];
      if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "") || a.place - b.place; // none: last
      return (x === y ? 0 : x < y ? -direction : direction) || a.place - b.place;
    }
    return direction * a.key.localeCompare(b.key, undefined, { numeric: true }) || a.place - b.place;
  });
  body.append(...rows.map((entry) => entry.row));
  all("th", table.tHead).forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
}

function setUpTable(table) {
  all("th", table.tHead).forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first === "descending" ? -1 : 1; // the worst first
      sort(table, column, now ? (now === "ascending" ? -1 : 1) : first);
    });
  });
}

function setUpFilter(field) {
  const table = document.getElementById(field.getAttribute("aria-controls"));
  const count = document.getElementById("shown");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = words.length ? `${shown} shown` : "";
  });
}

// Of the tables of items, that of the chosen metric is shown.
function setUpMetric(select) {
  select.addEventListener("change", () => {
    for (const box of all(".items")) box.hidden = box.dataset.metric !== select.value;
  });
}

// Player

let context = null; // one for the page; made by the first gesture, made anew where the sampling rate differs
let current = null; // the player that the keys work on
let sounding = null;

function contextAt(rate) {
  if (context && context.wanted === rate) return context;
  context?.close(); // whoever played has been paused
  try {
    context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  } catch {
    context = new AudioContext(); // a rate that this browser does not play; it resamples
  }
  context.wanted = rate;
  return context;
}

const bytes = (text) => Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0)).buffer;

function peak(buffer, other, gain = 1) {
  let most = 0;
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const x = buffer.getChannelData(channel);
    const y = other ? other.getChannelData(channel) : null;
    for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(y ? gain * (y[i] ?? 0) - x[i] : x[i]));
  }
  return most;
}

// P(at least so many right of n by guessing), the one-sided binomial test
function guessing(right, n) {
  let term = 2 ** -n; // C(n, 0) / 2^n
  let sum = 0;
  for (let k = 0; k <= n; k++) {
    if (k >= right) sum += term;
    term *= (n - k) / (k + 1);
  }
  return Math.min(sum, 1);
}

class Player {
  constructor(block) {
    this.block = block;
    this.facts = JSON.parse(block.querySelector("script.facts").textContent);
    [this.viewStart, this.viewEnd] = this.facts.view;
    [this.start, this.end] = this.facts.sound;
    this.length = this.end - this.start;
    this.source = this.facts.alone ? "B" : "A";
    this.matched = false;
    this.boost = 0; // dB, wanted of the difference
    this.loop = false;
    this.region = null; // [from, to] in seconds of the recording
    this.spot = null; // the same, of the place that was last visited
    this.position = this.start; // where it stands while nothing plays
    this.nodes = null;
    this.trial = null; // of the blind test
    this.lanes = block.querySelector(".lanes");
    this.find = (name) => block.querySelector(`[data-do="${name}"]`);
    this.listen();
    this.show();
  }

  // Sound

  get playing() {
    return this.nodes !== null;
  }

  async load() {
    const rate = contextAt(this.facts.rate);
    this.loading ??= Promise.all(
      (this.facts.alone ? ["B", "B"] : ["A", "B"]).map((name) => rate.decodeAudioData(bytes(this.block.querySelector(`script.audio-${name}`).textContent)))
    );
    try {
      this.buffers = await this.loading;
    } catch {
      this.loading = null;
      throw new Error("this browser cannot decode the FLAC in this page");
    }
    this.peaks ??= this.buffers.map((buffer) => peak(buffer));
    return rate;
  }

  // Gains of reference and test. The difference is the test minus the reference, after the level match.
  gains(source = this.source) {
    const match = this.matched || this.trial ? 10 ** ((this.facts.match_db ?? 0) / 20) : 1;
    const [a, b] = this.peaks ?? [1, 1];
    const room = 1 / Math.max(1, a, b * match); // both lowered alike where the match would clip
    if (source === "X") source = this.trial?.secret ?? "A";
    if (source === "A") return [room, 0];
    if (source === "B") return [0, room * match];
    if (this.differenceMatch !== match) {
      this.differenceMatch = match;
      this.differencePeak = this.buffers ? peak(this.buffers[0], this.buffers[1], match) : 1;
    }
    const gain = Math.min(10 ** (this.boost / 20), 1 / Math.max(this.differencePeak, 1e-9));
    return [-gain, gain * match];
  }

  async play(from = this.now()) {
    if (sounding && sounding !== this) sounding.pause();
    current = sounding = this;
    this.say("");
    const asked = (this.asked = (this.asked ?? 0) + 1);
    try {
      const audio = await this.load();
      await audio.resume();
      if (asked !== this.asked) return; // something else was asked for while it was decoded
      this.stop();
      const [low, high] = this.looped();
      if (from < low || from >= high - 0.005) from = low;
      const begin = audio.currentTime + AHEAD;
      const gains = this.gains();
      const nodes = this.buffers.map((buffer, i) => {
        const source = new AudioBufferSourceNode(audio, {
          buffer, loop: this.loop, loopStart: low - this.start, loopEnd: high - this.start,
        });
        const gain = new GainNode(audio, { gain: 0 });
        gain.gain.setValueAtTime(0, begin);
        gain.gain.linearRampToValueAtTime(gains[i], begin + RAMP);
        source.connect(gain).connect(audio.destination);
        if (this.loop) source.start(begin, from - this.start);
        else source.start(begin, from - this.start, high - from);
        return { source, gain };
      });
      nodes[0].source.onended = () => {
        if (this.nodes === nodes) this.halt(this.looped()[0]);
      };
      Object.assign(this, { nodes, begin, from });
      this.follow();
    } catch (problem) {
      this.say(problem.message);
      this.halt();
    }
    this.show();
  }

  // Ends what sounds, with a ramp.
  stop() {
    if (!this.nodes) return;
    const end = context.currentTime + RAMP;
    for (const { source, gain } of this.nodes) {
      this.ramp(gain.gain, 0);
      source.onended = null;
      source.stop(end + 0.005);
    }
    this.nodes = null;
  }

  halt(position = this.now()) {
    this.asked = (this.asked ?? 0) + 1;
    this.stop();
    this.position = clamp(position, this.start, this.end);
    if (sounding === this) sounding = null;
    this.show();
  }

  pause() {
    this.halt(this.now());
  }

  ramp(param, value) {
    const now = context.currentTime;
    const held = param.value;
    param.cancelScheduledValues(now);
    param.setValueAtTime(held, now);
    param.linearRampToValueAtTime(value, now + RAMP);
  }

  now() {
    if (!this.nodes) return this.position;
    const heard = context.currentTime - this.begin - (context.outputLatency || 0);
    const [low, high] = this.looped();
    const at = this.from + Math.max(0, heard);
    return this.loop && at > high ? low + ((at - low) % (high - low)) : Math.min(at, high);
  }

  // What is played: the region that was drawn, else everything there is.
  looped() {
    return this.region ?? [this.start, this.end];
  }

  switchTo(source) {
    if (this.trial && source === "D") return;
    this.source = source;
    if (this.nodes) this.gains().forEach((gain, i) => this.ramp(this.nodes[i].gain.gain, gain));
    this.show();
  }

  seek(seconds) {
    this.position = clamp(seconds, this.start, this.end);
    const [low, high] = this.looped();
    if (this.region && (seconds < low || seconds > high)) this.region = null;
    if (this.nodes) this.play(this.position);
    this.show();
  }

  // Plays a place that the diagnosis names, a little before it first; the test, unless something else is chosen.
  visit(button) {
    if (!this.trial && this.source === "A" && !this.chosen) this.switchTo("B");
    const [from, to] = (this.source === "A" ? button.dataset.a : button.dataset.b).split(" ").map(Number);
    this.region = null;
    this.loop = false;
    this.spot = [from, to];
    this.play(clamp(from - LEAD, this.start, Math.max(this.end - LEAD, this.start)));
  }

  again() {
    if (this.nodes) this.play(this.now());
    this.show();
  }

  setRegion(from, to) {
    this.spot = null;
    const [low, high] = [from, to].sort((a, b) => a - b).map((t) => clamp(t, this.start, this.end));
    this.region = high - low >= SHORTEST ? [low, high] : null;
    if (this.region) {
      this.loop = true;
      if (!this.nodes) this.position = low;
    }
    this.again();
  }

  // Page

  listen() {
    const actions = {
      play: () => (this.playing ? this.pause() : this.play()),
      A: () => {
        this.chosen = true; // the reference, which is there at first without being asked for
        this.switchTo("A");
      },
      B: () => this.switchTo("B"),
      D: () => this.switchTo("D"),
      match: () => {
        this.matched = !this.matched;
        this.switchTo(this.source);
      },
      loop: () => {
        this.loop = !this.loop;
        this.again();
      },
      abx: () => (this.trial ? this.endTest() : this.startTest()),
      X: () => this.switchTo("X"),
      "is-A": () => this.answer("A"),
      "is-B": () => this.answer("B"),
    };
    this.act = (name) => {
      current = this;
      actions[name]?.();
    };
    for (const button of all("button[data-do]", this.block)) {
      button.addEventListener("click", (event) => {
        this.act(button.dataset.do);
        if (event.detail) this.block.focus({ preventScroll: true }); // by mouse: let Space mean play again
      });
    }
    for (const button of all("button.place", this.block)) button.addEventListener("click", () => this.visit(button));
    this.find("boost").addEventListener("change", (event) => {
      current = this;
      this.boost = Number(event.target.value);
      this.switchTo(this.source);
    });
    this.block.querySelector(".trials").addEventListener("change", () => this.startTest());
    for (const select of all("select", this.block)) {
      let pointed = false;
      select.addEventListener("pointerdown", () => (pointed = true));
      select.addEventListener("change", () => pointed && this.block.focus({ preventScroll: true }));
      select.addEventListener("keydown", () => (pointed = false));
    }
    this.block.addEventListener("focusin", () => (current = this));

    let pressed = null;
    const at = (event) => {
      const box = this.lanes.getBoundingClientRect();
      return this.viewStart + clamp((event.clientX - box.left) / box.width, 0, 1) * (this.viewEnd - this.viewStart);
    };
    this.lanes.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      current = this;
      pressed = { x: event.clientX, at: at(event), touch: event.pointerType === "touch", dragged: false };
      if (!pressed.touch) this.lanes.setPointerCapture(event.pointerId); // a finger scrolls the page
    });
    this.lanes.addEventListener("pointermove", (event) => {
      if (!pressed || pressed.touch) return;
      if (Math.abs(event.clientX - pressed.x) > 5) pressed.dragged = true;
      if (pressed.dragged) this.mark([pressed.at, at(event)].sort((a, b) => a - b));
    });
    this.lanes.addEventListener("pointerup", (event) => {
      if (!pressed) return;
      if (pressed.dragged) this.setRegion(pressed.at, at(event));
      else this.seek(at(event));
      pressed = null;
    });
    this.lanes.addEventListener("pointercancel", () => {
      pressed = null;
      this.show();
    });
  }

  key(event) {
    const step = event.shiftKey ? STEP / 10 : STEP;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (name === "x" && this.facts.alone) return false;
    if (name === "x") this.trial ? this.act("X") : this.act("abx");
    else if (name === "ArrowLeft") this.seek(this.now() - step);
    else if (name === "ArrowRight") this.seek(this.now() + step);
    else if (name === "Home") this.seek(this.looped()[0]);
    else if (name === "End") this.seek(this.looped()[1]);
    else if (name === "[") this.setRegion(this.now(), this.looped()[1]);
    else if (name === "]") this.setRegion(this.looped()[0], this.now());
    else if (name === "Escape") {
      if (this.trial) this.endTest();
      else if (this.region || this.spot) {
        this.region = this.spot = null;
        this.again();
      }
    } else {
      const does = { " ": "play", a: "A", b: "B", d: "D", l: "loop", m: "match", 1: "is-A", 2: "is-B" }[name];
      if (!does || this.find(does).hidden || (does.startsWith("is-") && !this.trial)) return false;
      this.act(does);
    }
    return true;
  }

  place(seconds) {
    return `${(100 * clamp((seconds - this.viewStart) / (this.viewEnd - this.viewStart), 0, 1)).toFixed(3)}%`;
  }

  mark(region) {
    const box = this.block.querySelector(".region");
    box.hidden = !region;
    if (region) {
      box.style.left = this.place(region[0]);
      box.style.right = `calc(100% - ${this.place(region[1])})`;
    }
  }

  showTime() {
    const now = this.now();
    this.block.querySelector(".cursor").style.left = this.place(now);
    this.block.querySelector(".clock").textContent = clock(now);
    this.lanes.setAttribute("aria-valuenow", now.toFixed(2));
    this.lanes.setAttribute("aria-valuetext", `${now.toFixed(2)} seconds`);
  }

  follow() {
    const step = () => {
      if (!this.nodes) return;
      this.showTime();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  show() {
    const { block } = this;
    block.dataset.source = this.source;
    block.dataset.playing = this.playing;
    block.dataset.blind = Boolean(this.trial);
    for (const name of ["A", "B", "D", "X"]) {
      all(`[data-do="${name}"]`, block).forEach((b) => b.setAttribute("aria-pressed", this.source === name));
    }
    this.find("D").disabled = this.find("boost").disabled = Boolean(this.trial);
    this.find("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
    this.find("loop").setAttribute("aria-pressed", this.loop);
    const match = this.find("match");
    match.setAttribute("aria-pressed", Boolean(this.matched || this.trial));
    match.disabled = this.facts.match_db === null || Boolean(this.trial);
    this.find("abx").setAttribute("aria-expanded", Boolean(this.trial));
    this.mark(this.region ?? this.spot);
    this.showTime();
  }

  say(text) {
    this.block.querySelector(".said").textContent = text;
  }

  // Blind test: X is A or B, drawn anew for every trial; how it went is said only at the end, so that nobody can stop
  // when it looks good.

  startTest() {
    this.trial = { number: 0, right: 0, of: Number(this.block.querySelector(".trials").value) };
    this.block.querySelector(".abx").hidden = false;
    this.say("");
    this.nextTrial();
  }

  nextTrial() {
    this.trial.number += 1;
    this.trial.secret = crypto.getRandomValues(new Uint8Array(1))[0] & 1 ? "A" : "B";
    this.block.querySelector(".trial").textContent = `Trial ${this.trial.number} of `;
    this.switchTo("X");
  }

  answer(name) {
    if (!this.trial) return;
    const { trial } = this;
    trial.right += trial.secret === name;
    if (trial.number < trial.of) {
      this.nextTrial();
      return;
    }
    const p = guessing(trial.right, trial.of);
    const verdict = p < 0.05 ? "you hear a difference" : "no difference was shown";
    this.block.dataset.right = trial.right;
    this.block.dataset.p = p;
    this.endTest();
    this.say(`ABX: ${trial.right} of ${trial.of} right, p = ${p.toPrecision(2)} (one-sided binomial): ${verdict}.`);
  }

  endTest() {
    this.trial = null;
    this.block.querySelector(".abx").hidden = true;
    this.switchTo("A");
  }
}

function nearestPlayer() {
  const seen = (block) => {
    const box = block.getBoundingClientRect();
    return Math.min(box.bottom, innerHeight) - Math.max(box.top, 0);
  };
  if (current?.block.open && seen(current.block) > 0) return current;
  const blocks = all(".pair[open]").filter((block) => block.player && seen(block) > 0);
  return blocks.sort((a, b) => seen(b) - seen(a))[0]?.player ?? null;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const tag = event.target.closest("input, select, textarea, button, summary, a")?.tagName;
  if (tag === "INPUT" || tag === "SELECT" || tag === "TEXTAREA") return;
  if (tag && (event.key === " " || event.key === "Enter")) return; // the focused control's own
  if (nearestPlayer()?.key(event)) event.preventDefault();
});

function open() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target?.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView();
  }
}

all("table.sortable").forEach(setUpTable);
all("input.filter").forEach(setUpFilter);
all("select.by-metric").forEach(setUpMetric);
all(".pair").forEach((block) => {
  if (block.querySelector("script.facts")) block.player = new Player(block);
});
addEventListener("hashchange", open);
addEventListener("beforeprint", () => all("details").forEach((block) => (block.open = true)));
open();
document.documentElement.dataset.ready = "";
})();
