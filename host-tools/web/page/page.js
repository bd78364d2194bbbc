// What a person does on the page, and what it shows.
import { listen } from "./listening.js";
import { Picture } from "./picture.js";
import { decode } from "./recording.js";
import { Report } from "./report.js";

const find = (id) => document.getElementById(id);
const worker = new Worker("hearing.js", { type: "module" });
const picture = new Picture(find("picture"));
const report = new Report();
/** Images by their names: the bytes, or nothing as long as they were not fetched. */
const images = new Map();
let opened; // the name of the image that hears
let recording; // what was heard last from a file: name, samples, exact
let microphone; // what is heard now
let stream = 0; // the number of what is heard now: news of another come too late
let drawing = false;

const on = {
  /** The module is there. */
  loaded() {
    find("choose").disabled = false;
    choose(find("image").value);
  },

  /** An image hears from now on. */
  opened({ name, facts }) {
    opened = name;
    select(name);
    report.problem("");
    report.image(name, facts);
    picture.open(facts);
    for (const id of ["microphone", "sample", "image"]) {
      find(id).disabled = false;
    }
    if (microphone) {
      begin({ rate: microphone.rate });
    } else if (recording) {
      hear(recording);
    }
  },

  /** The bytes are no image that could hear; the one before stays. */
  refused({ name, why }) {
    images.delete(name);
    [...find("image").options].find((option) => option.value === name)?.remove();
    if (opened !== undefined) {
      select(opened);
    }
    report.problem(`${name}: ${why}`);
  },

  /** Something was heard. */
  news(news) {
    if (news.stream !== stream) {
      return;
    }
    picture.take(news);
    report.take(news, microphone !== undefined);
    if (news.ended) {
      document.body.dataset.state = "idle";
      scrollable();
    }
    draw();
  },

  /** The module stopped, which it should not. */
  failed({ why }) {
    report.problem(`The recognizer stopped: ${why}. Reload the page; if it happens again, report it.`);
  },
};
worker.onmessage = ({ data }) => on[data.kind](data);
worker.onerror = () => report.problem("The page could not start its worker: reload it, in a browser from 2023 or later.");

function draw() {
  if (!drawing) {
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      picture.draw();
      report.time(picture.seconds);
    });
  }
}

/** Lets people look at what is no longer shown. */
function scrollable() {
  const longer = !microphone && picture.seconds > picture.span;
  find("scroll").hidden = !longer;
  if (longer) {
    const end = Math.ceil(picture.seconds);
    Object.assign(find("end"), { min: picture.span, max: end }).value = end;
    find("shown").value = `${end} s`;
  }
}

/** Begins a stream: a recording, or what is spoken at a rate. */
function begin({ name, samples, rate }) {
  const seconds = samples && samples.length / 16000;
  picture.begin(seconds);
  report.begin(name ?? "The microphone", seconds);
  find("scroll").hidden = true;
  document.body.dataset.state = samples ? "hearing" : "listening";
  stream += 1;
  worker.postMessage(samples ? { task: "hear", stream, samples } : { task: "listen", stream, rate });
}

function hear(next) {
  recording = next;
  begin(next);
  report.note(
    next.exact
      ? ""
      : "The browser decoded and resampled this file: the checksum may differ from that of `zerda run`, which takes WAV of 16 kHz, mono, 16 bit as it is.",
  );
}

/** Has the image of this name hear. */
async function choose(name) {
  try {
    if (!images.get(name)) {
      images.set(name, await fetched(name));
    }
    worker.postMessage({ task: "open", name, bytes: images.get(name) });
  } catch (error) {
    report.problem(`${name}: cannot be loaded (${error.message}); reload the page`);
  }
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) {
    throw new Error(`${response.status} ${response.statusText}`);
  }
  return response.arrayBuffer();
}

function select(name) {
  const list = find("image");
  if (![...list.options].some((option) => option.value === name)) {
    list.add(new Option(name.replace(/\.zerda$/, ""), name));
  }
  list.value = name;
}

/** Takes files that somebody dropped or chose: images, then the last of the recordings. */
async function take(files) {
  report.problem("");
  const [models, sounds] = [[], []];
  for (const file of files) {
    (file.name.endsWith(".zerda") ? models : sounds).push(file);
  }
  for (const file of models) {
    images.set(file.name, await file.arrayBuffer());
    await choose(file.name);
  }
  const sound = sounds.at(-1);
  if (sound) {
    stop();
    await hearFile(sound.name, await sound.arrayBuffer());
  }
}

async function hearFile(name, bytes) {
  let decoded;
  try {
    decoded = await decode(bytes);
  } catch {
    report.problem(`${name}: this browser cannot decode it; choose a WAV, FLAC, MP3 or Ogg recording, or a .zerda image`);
    return;
  }
  if (decoded.samples.length === 0) {
    report.problem(`${name}: holds no samples; choose another recording`);
  } else if (opened !== undefined) {
    hear({ name, ...decoded });
  }
}

function stop() {
  if (microphone) {
    microphone.stop();
    microphone = undefined;
    find("microphone").textContent = "Listen to the microphone";
    worker.postMessage({ task: "stop" });
  }
}

async function toggle() {
  if (microphone) {
    stop();
    return;
  }
  report.problem("");
  find("microphone").disabled = true;
  try {
    const spoken = (floats) => worker.postMessage({ task: "spoken", floats }, [floats.buffer]);
    const gone = () => {
      stop();
      report.problem("The microphone is gone: plug it in, and listen again.");
    };
    microphone = await listen(spoken, gone);
    recording = undefined;
    report.note("");
    begin({ rate: microphone.rate });
    find("microphone").textContent = "Stop listening";
  } catch (error) {
    report.problem(error.message);
  } finally {
    find("microphone").disabled = false;
  }
}

async function sample() {
  stop();
  report.problem("");
  try {
    await hearFile(find("sample").dataset.file, await fetched(find("sample").dataset.file));
  } catch (error) {
    report.problem(`The sample cannot be loaded (${error.message}): reload the page.`);
  }
}

find("microphone").addEventListener("click", toggle);
find("sample").addEventListener("click", sample);
find("choose").addEventListener("click", () => find("files").click());
find("files").addEventListener("change", async ({ target }) => {
  await take([...target.files]);
  target.value = "";
});
find("image").addEventListener("change", ({ target }) => choose(target.value));
find("end").addEventListener("input", ({ target }) => {
  picture.end = Number(target.value);
  find("shown").value = `${target.value} s`;
  draw();
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) {
    document.body.classList.remove("dropping");
  }
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take([...event.dataTransfer.files]);
});

/** Waits until the service worker keeps the page, so that each file is loaded once; not for ever, for it may be refused. */
async function kept() {
  const service = navigator.serviceWorker;
  if (!service) {
    find("offline").textContent = "Without https or localhost it needs its server each time.";
    return;
  }
  const controlled = new Promise((go) => {
    if (service.controller) {
      go(true);
    }
    service.addEventListener("controllerchange", () => go(true));
  });
  controlled.then(() => (find("offline").textContent = "It works offline."));
  const registered = service.register("service.js").then(() => controlled);
  await Promise.race([registered, new Promise((go) => setTimeout(go, 5000))]).catch((error) => {
    find("offline").textContent = `It is not kept for offline use: ${error.message}`;
  });
}

async function start() {
  await kept();
  try {
    const list = await (await fetch("files.json")).json();
    list.images.forEach((name) => {
      images.set(name, undefined);
      select(name);
    });
    find("image").value = list.images[0];
    find("sample").dataset.file = list.sample;
    const bytes = await fetched("zerda.wasm");
    const none = "This browser has no WebAssembly with SIMD: take one from 2023 or later.";
    if (!(await WebAssembly.validate(bytes))) {
      report.problem(none);
      return;
    }
    worker.postMessage({ task: "load", bytes }, [bytes]);
  } catch (error) {
    report.problem(`The page is not whole (${error.message}): \`zerda web\` makes and serves it.`);
  }
}

document.body.dataset.state = "idle";
start();
