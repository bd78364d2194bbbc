// Draws waveform, posteriors, thresholds, windows and quiet spells over time.

const RATE = 16000;
const KEPT = 1 << 16; // frames and points of the waveform that are kept: about 11 minutes
const LIVE = 12; // seconds that are shown of what is spoken
const MOST = 60; // seconds that are shown of a recording
const NAMES = 16; // height of the names of detections
const WAVE = 64;
const ROW = 22;
const AXIS = 22;

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.open({ labels: [], hop: 160 });
  }

  /** Takes what an image is. */
  open(facts) {
    this.facts = facts;
    this.words = facts.labels.map((label, number) => ({ ...label, number })).filter((label) => label.threshold > 0);
    this.left = 12 + 8 * Math.max(4, ...this.words.map((word) => Math.min(word.name.length, 14)));
    this.begin();
  }

  /** Begins a stream; of a recording the length is known, in seconds. */
  begin(seconds) {
    this.span = seconds === undefined ? LIVE : Math.min(Math.max(seconds, 1), MOST);
    this.live = seconds === undefined;
    this.end = undefined;
    this.peaks = new Uint16Array(KEPT);
    this.points = 0;
    this.smoothed = new Uint8Array(KEPT * this.facts.labels.length);
    this.frames = 0;
    this.detections = [];
    this.windows = [];
    this.rests = this.facts.quiet ? [{ from: 0, to: Infinity }] : [];
    this.draw();
  }

  /** Takes what was heard. */
  take(news) {
    for (const peak of news.peaks) {
      this.peaks[this.points % KEPT] = peak;
      this.points += 1;
    }
    const labels = this.facts.labels.length;
    news.frames.forEach((number, n) => {
      // The network did not hear those before.
      for (let frame = Math.max(this.frames, number - KEPT); frame < number; frame += 1) {
        this.smoothed.fill(0, (frame % KEPT) * labels, (frame % KEPT) * labels + labels);
      }
      this.smoothed.set(news.smoothed[n], (number % KEPT) * labels);
      this.frames = number + 1;
    });
    news.events.forEach((event) => this.event(event));
  }

  event(event) {
    const window = this.windows.at(-1);
    if (event.kind === "detection") {
      this.detections.push(event);
    } else if (event.kind === "awake" && window && window.until >= event.at) {
      window.until = event.until;
    } else if (event.kind === "awake") {
      this.windows.push({ from: event.at, until: event.until });
    } else if (event.kind === "asleep" && window) {
      window.until = event.at;
    } else if (event.kind === "spell" && event.runs) {
      this.rests.at(-1).to = event.at;
    } else if (event.kind === "spell") {
      this.rests.push({ from: event.at, to: Infinity });
    }
  }

  /** The seconds that were heard. */
  get seconds() {
    return this.points / 100;
  }

  /** Draws what is there, up to `end` seconds if somebody chose them. */
  draw() {
    const height = NAMES + WAVE + ROW * this.words.length + AXIS;
    const [width, scale] = [this.canvas.clientWidth, devicePixelRatio];
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    const { pen } = this;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    this.colour = (name) => style.getPropertyValue(`--${name}`);
    pen.font = "12px system-ui, sans-serif";
    const last = this.end ?? Math.max(this.seconds, this.span);
    const [from, to] = [Math.max(0, last - this.span), Math.max(last, this.span)];
    const plot = { left: this.left, right: width, top: NAMES, bottom: height - AXIS };
    this.view = { from, to, plot, x: (s) => plot.left + ((s - from) / (to - from)) * (plot.right - plot.left) };
    pen.save();
    pen.beginPath();
    pen.rect(plot.left, 0, plot.right - plot.left, height);
    pen.clip();
    this.spans();
    this.waveform();
    this.words.forEach((word, row) => this.posterior(word, NAMES + WAVE + row * ROW));
    this.marks();
    pen.restore();
    this.legend();
    this.axis();
  }

  /** Draws the windows in which commands count, and the spells in which the network rests. */
  spans() {
    const { pen, view } = this;
    const band = (from, to, colour, top, bottom) => {
      const start = Math.max(view.x(from / 1000), view.plot.left);
      const end = Math.min(view.x(Math.min(to / 1000, this.seconds)), view.plot.right);
      pen.fillStyle = this.colour(colour);
      pen.fillRect(start, top, Math.max(0, end - start), bottom - top);
    };
    this.rests.forEach(({ from, to }) => band(from, to, "quiet", NAMES, view.plot.bottom));
    this.windows.forEach(({ from, until }) => band(from, until, "awake", NAMES, NAMES + WAVE));
  }

  waveform() {
    const { pen, view } = this;
    const middle = NAMES + WAVE / 2;
    pen.fillStyle = this.colour("line");
    pen.fillRect(view.plot.left, middle - 0.5, view.plot.right - view.plot.left, 1);
    pen.fillStyle = this.colour("wave");
    this.columns(this.points, 100, (x, first, last) => {
      let peak = 0;
      for (let point = first; point < last; point += 1) {
        peak = Math.max(peak, this.peaks[point % KEPT]);
      }
      // Speech is quieter than the most that there can be: roots show it.
      const high = Math.max(0.5, Math.sqrt(peak / 32768) * (WAVE / 2 - 3));
      pen.fillRect(x, middle - high, 1, 2 * high);
    });
  }

  posterior(word, top) {
    const { pen, view } = this;
    const labels = this.facts.labels.length;
    const high = (q) => (q / 256) * (ROW - 4);
    const [below, above] = [new Path2D(), new Path2D()];
    this.columns(this.frames, RATE / this.facts.hop, (x, first, last) => {
      let q = 0;
      for (let frame = first; frame < last; frame += 1) {
        q = Math.max(q, this.smoothed[(frame % KEPT) * labels + word.number]);
      }
      (q >= word.threshold ? above : below).rect(x, top + ROW - high(q), 1, high(q));
    });
    pen.fillStyle = this.colour("posterior");
    pen.fill(below);
    pen.fillStyle = this.colour("hit");
    pen.fill(above);
    pen.fillStyle = this.colour("line");
    pen.fillRect(view.plot.left, top + ROW - 1, view.plot.right - view.plot.left, 1);
    pen.strokeStyle = this.colour("faint");
    pen.setLineDash([2, 4]);
    pen.beginPath();
    pen.moveTo(view.plot.left, top + ROW - high(word.threshold) - 0.5);
    pen.lineTo(view.plot.right, top + ROW - high(word.threshold) - 0.5);
    pen.stroke();
    pen.setLineDash([]);
  }

  /** Calls `draw` for each column of the plot with the numbers of those that are in it, of `count` that come `rate` a second. */
  columns(count, rate, draw) {
    const { from, to, plot } = this.view;
    const each = ((to - from) * rate) / (plot.right - plot.left);
    for (let x = plot.left; x < plot.right; x += 1) {
      const first = Math.floor(from * rate + (x - plot.left) * each);
      const last = Math.max(first + 1, Math.floor(from * rate + (x + 1 - plot.left) * each));
      if (last > count) {
        break;
      }
      if (first >= count - KEPT) {
        draw(x, first, last);
      }
    }
  }

  /** Draws the names of detections above the waveform. */
  marks() {
    const { pen, view } = this;
    let free = -Infinity;
    for (const { name, start, end } of this.detections) {
      const [left, right] = [view.x(start / 1000), view.x(end / 1000)];
      if (right < view.plot.left || left > view.plot.right) {
        continue;
      }
      pen.fillStyle = this.colour("hit");
      pen.fillRect(left, NAMES, Math.max(2, right - left), 3);
      pen.fillStyle = this.colour("ink");
      if (left > free) {
        pen.fillText(name, left, NAMES - 4);
        free = left + pen.measureText(name).width + 4;
      }
    }
  }

  /** Names the rows on their left. */
  legend() {
    const { pen } = this;
    pen.fillStyle = this.colour("faint");
    pen.fillText("audio", 0, NAMES + WAVE / 2 + 4);
    this.words.forEach(({ name }, row) => {
      pen.fillText(name.slice(0, 14), 0, NAMES + WAVE + row * ROW + ROW - 6);
    });
  }

  axis() {
    const { pen, view } = this;
    const room = (view.plot.right - view.plot.left) / (view.to - view.from);
    const step = [0.5, 1, 2, 5, 10, 20].find((seconds) => seconds * room >= 48) ?? 30;
    pen.fillStyle = this.colour("faint");
    pen.textAlign = "center";
    for (let n = Math.ceil(view.from / step); n * step <= view.to; n += 1) {
      const x = view.x(n * step);
      const text = `${n * step} s`;
      const half = pen.measureText(text).width / 2;
      pen.fillRect(x, view.plot.bottom, 1, 4);
      pen.fillText(text, Math.min(x, view.plot.right - half), view.plot.bottom + 17);
    }
    pen.textAlign = "start";
  }
}
