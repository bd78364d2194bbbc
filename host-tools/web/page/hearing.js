// The worker that hears: the page sends it the module, images and samples, and gets back what is in them.
import { Resampler } from "./resampler.js";

const RATE = 16000;
const PEAK = 160; // samples that a point of the waveform stands for: 10 ms
const PIECE = 8000; // samples of a recording that are heard between two looks at what the page says

let module;
let heard;
let resampler;
let stream; // the number that the page gave to what is heard; another one ends a recording

/** An instance of the module, which hears one image. */
class Hearing {
  constructor() {
    this.parts = [];
    this.samples = 0;
    this.busy = 0;
    this.news = fresh();
    const decoder = new TextDecoder();
    const text = (at, bytes) => decoder.decode(new Uint8Array(this.module.memory.buffer, at, bytes));
    const event = (kind, more) => this.news.events.push({ kind, ...more });
    this.module = new WebAssembly.Instance(module, {
      page: {
        text: (at, bytes) => this.parts.push(text(at, bytes)),
        detection: (at, bytes, wake, score, start, end, decided) =>
          event("detection", { name: text(at, bytes), wake: wake !== 0, score, start, end, decided }),
        awake: (at, until) => event("awake", { at, until }),
        asleep: (at) => event("asleep", { at }),
        spell: (at, runs) => event("spell", { at, runs: runs !== 0 }),
        frame: (number, at, labels) => {
          this.news.frames.push(number);
          this.news.smoothed.push(new Uint8Array(this.module.memory.buffer, at, labels).slice());
        },
      },
    }).exports;
  }

  /** Opens an image. Returns its facts, or throws an error whose message is a line on what is wrong. */
  open(bytes) {
    const at = this.place(new Uint8Array(bytes));
    const opened = this.module.zerda_open(at, bytes.byteLength);
    const said = this.parts.join("");
    if (!opened) {
      throw new Error(said);
    }
    this.room = this.module.zerda_room(2 * PIECE);
    return JSON.parse(said);
  }

  /** Returns the place that bytes are put in, in the module's memory. */
  place(bytes) {
    const at = this.module.zerda_room(bytes.length);
    if (!at) {
      throw new Error("this browser has no memory left for it; close other pages");
    }
    new Uint8Array(this.module.memory.buffer).set(bytes, at);
    return at;
  }

  /** Begins a stream. */
  begin() {
    this.module.zerda_reset();
    this.samples = 0;
    this.busy = 0;
    this.news = fresh();
  }

  /** Hears samples, at most PIECE of them. */
  push(samples) {
    new Int16Array(this.module.memory.buffer, this.room, samples.length).set(samples);
    const start = performance.now();
    this.module.zerda_push(this.room, samples.length);
    this.busy += performance.now() - start;
    for (const sample of samples) {
      if (this.samples % PEAK === 0) {
        this.news.peaks.push(0);
      }
      this.samples += 1;
      const last = this.news.peaks.length - 1;
      if (last >= 0) {
        this.news.peaks[last] = Math.max(this.news.peaks[last], Math.abs(sample));
      }
    }
  }

  /** Decides what was said last. */
  finish() {
    const start = performance.now();
    this.module.zerda_finish();
    this.busy += performance.now() - start;
  }

  /** Tells the page of what happened since the last time. */
  tell(ended) {
    postMessage({
      kind: "news",
      stream,
      ...this.news,
      samples: this.samples,
      busy: this.busy,
      steps: this.module.zerda_steps(),
      logits: this.module.zerda_logits() >>> 0,
      ended,
    });
    this.news = fresh();
  }
}

function fresh() {
  return { events: [], frames: [], smoothed: [], peaks: [] };
}

/** Hears a whole recording, as long as the page sends nothing else. */
async function hear(samples) {
  const mine = stream;
  heard.begin();
  for (let at = 0; at < samples.length; at += PIECE) {
    heard.push(samples.subarray(at, at + PIECE));
    heard.tell(false);
    await new Promise((go) => setTimeout(go));
    if (stream !== mine) {
      return;
    }
  }
  heard.finish();
  heard.tell(true);
}

function asInt16(floats) {
  return Int16Array.from(floats, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768))));
}

const tasks = {
  /** Takes the module's bytes. */
  async load({ bytes }) {
    module = await WebAssembly.compile(bytes);
    postMessage({ kind: "loaded" });
  },

  /** Opens an image; the one before stays if it cannot be used. */
  open({ bytes, name }) {
    const next = new Hearing();
    try {
      const facts = next.open(bytes);
      stream = undefined;
      heard = next;
      postMessage({ kind: "opened", name, facts });
    } catch (error) {
      postMessage({ kind: "refused", name, why: error.message });
    }
  },

  /** Hears a recording of 16 kHz. */
  hear(task) {
    stream = task.stream;
    return hear(task.samples);
  },

  /** Begins to hear what is spoken, at any rate. */
  listen(task) {
    const { rate } = task;
    stream = task.stream;
    resampler = rate === RATE ? undefined : new Resampler(rate, RATE);
    heard.begin();
  },

  /** Hears what was spoken next. */
  spoken({ floats }) {
    const samples = asInt16(resampler ? resampler.push(floats) : floats);
    for (let at = 0; at < samples.length; at += PIECE) {
      heard.push(samples.subarray(at, at + PIECE));
    }
    heard.tell(false);
  },

  /** Decides what was spoken last. */
  stop() {
    heard.finish();
    heard.tell(true);
  },
};

onmessage = async ({ data }) => {
  try {
    await tasks[data.task](data);
  } catch (error) {
    postMessage({ kind: "failed", why: error.message });
  }
};
