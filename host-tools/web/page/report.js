// What the page says in words: facts of the image, detections, whether commands count, sums.

const RATE = 16000;
const ROWS = 500; // detections that the table keeps
const SAID = 20; // detections that are kept for screen readers

const find = (id) => document.getElementById(id);
const seconds = (ms) => (ms / 1000).toFixed(2);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

/** Makes an element with texts, or elements, in it. */
function make(name, ...inside) {
  const element = document.createElement(name);
  element.append(...inside);
  return element;
}

export class Report {
  /** Says in a line what went wrong; nothing takes it away. */
  problem(line) {
    find("problem").textContent = line;
  }

  /** Says what is to be known of what is heard. */
  note(line) {
    find("note").textContent = line;
  }

  /** Shows what an image is. */
  image(name, facts) {
    this.facts = facts;
    const ms = (samples) => (samples * 1000) / RATE;
    const wakes = facts.labels.filter((label) => label.wake).map((label) => label.name);
    this.wakes = wakes.join(" or ");
    const rows = [
      ["Image", name],
      ["Checksum", facts.checksum],
      ["In flash", kib(facts.bytes)],
      ["Caches and arena in RAM", kib(facts.memory)],
      ["A step commits", `${facts.step} frames, ${ms(facts.step * facts.hop)} ms`],
      ["It looks ahead", `${ms((facts.chunk - facts.step) * facts.hop)} ms`],
      ["Commands count", facts.wake ? `${facts.wake.window_ms / 1000} s after ${this.wakes}` : "at any time"],
      ["While nobody speaks", facts.quiet ? "the network rests" : "the network runs"],
      ["Kernels here", facts.kernels],
    ];
    if (facts.commands.length > 0) {
      rows.push(["Commands", facts.commands.join(", ")]);
    }
    find("facts").replaceChildren(...rows.map(([term, fact]) => make("div", make("dt", term), make("dd", fact))));
    const kind = (label) => {
      if (label.wake) {
        return "wake word";
      }
      return label.threshold > 0 ? "word" : "answer for all else";
    };
    const share = (label) => (label.threshold > 0 ? (label.threshold / 256).toFixed(3) : "–");
    const label = (of) => make("tr", make("td", of.name), make("td", share(of)), make("td", kind(of)));
    find("labels").tBodies[0].replaceChildren(...facts.labels.map(label));
    this.begin("Nothing yet");
  }

  /** Begins a stream. */
  begin(name, length) {
    this.until = undefined;
    this.resting = this.facts.quiet !== undefined;
    this.words = 0;
    find("source").textContent = length === undefined ? name : `${name}, ${length.toFixed(2)} s`;
    find("detections").replaceChildren();
    find("said").replaceChildren();
    find("none").hidden = false;
    for (const id of ["seconds", "steps", "rtf", "logits"]) {
      find(id).textContent = "–";
    }
    this.state();
  }

  /** Takes what was heard. */
  take(news, live) {
    for (const event of news.events) {
      this.event(event);
    }
    const length = news.samples / RATE;
    find("seconds").textContent = `${length.toFixed(2)} s`;
    find("steps").textContent = news.steps;
    find("rtf").textContent = length > 0 ? (news.busy / 1000 / length).toFixed(4) : "–";
    find("logits").textContent = news.ended ? news.logits.toString(16).padStart(8, "0") : "–";
    this.state();
    if (news.ended || live) {
      const heard = this.words === 1 ? "1 detection" : `${this.words} detections`;
      find("picture").setAttribute(
        "aria-label",
        `Waveform and posteriors of ${this.facts.labels.length} labels over ${Math.round(length)} s; ${heard}, listed below`,
      );
    }
  }

  event(event) {
    if (event.kind === "detection") {
      this.detection(event);
    } else if (event.kind === "awake") {
      this.until = event.until;
    } else if (event.kind === "asleep") {
      this.until = undefined;
    } else if (event.kind === "spell") {
      this.resting = !event.runs;
    }
  }

  detection({ name, score, start, end, decided }) {
    const share = (score / 256).toFixed(2);
    const cells = [name, share, seconds(start), seconds(end), seconds(decided)];
    const row = make("tr", ...cells.map((cell) => make("td", cell)));
    Object.assign(row.dataset, { name, score, start, end, decided });
    const [list, said] = [find("detections"), find("said")];
    list.append(row);
    said.append(make("p", `${name} at ${seconds(start)} s, score ${share}`));
    if (list.children.length > ROWS) {
      list.firstElementChild.remove();
    }
    if (said.children.length > SAID) {
      said.firstElementChild.remove();
    }
    this.words += 1;
    find("none").hidden = true;
    find("list").scrollTop = find("list").scrollHeight;
  }

  /** Says whether commands count. It is said anew only where it changes, since screen readers read it out. */
  state() {
    let text = "Every command counts";
    if (this.facts.wake) {
      text = this.until === undefined ? `Asleep: say ${this.wakes}` : "Awake";
    }
    if (this.resting) {
      text += ", resting: nobody speaks";
    }
    if (find("state").textContent !== text) {
      find("state").textContent = text;
      document.body.classList.toggle("awake", this.until !== undefined);
    }
  }

  /** Says how long commands still count, so many seconds into the stream. */
  time(now) {
    const left = this.until === undefined ? 0 : this.until / 1000 - now;
    find("left").textContent = left > 0 ? `${left.toFixed(1)} s` : "";
  }
}
