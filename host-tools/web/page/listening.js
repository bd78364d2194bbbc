// The microphone.

const RATE = 16000;
const PATIENCE_MS = 5000; // that audio takes to start, at most
const HEARD = {
  channelCount: 1,
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};
const PROBLEMS = {
  NotAllowedError: "The microphone may not be used: allow it for this page, then listen again.",
  NotFoundError: "There is no microphone: plug one in, or open a recording.",
  NotReadableError: "The microphone cannot be read: another program may use it; close that, then listen again.",
};

/**
 * Begins to listen, with all of the browser's own processing off. Calls `spoken` with samples as they come, and `gone` if the
 * microphone ends. Returns the rate of the samples, and how to stop.
 */
export async function listen(spoken, gone) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("A page may listen only if it comes by https or from localhost: `zerda web` serves it so.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: HEARD });
  } catch (error) {
    throw new Error(PROBLEMS[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
  const { context, source } = await connect(stream);
  await context.audioWorklet.addModule("microphone.js");
  const node = new AudioWorkletNode(context, "microphone", { channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => spoken(data);
  source.connect(node);
  node.connect(context.destination); // silence, without which some browsers do not run it
  const [track] = stream.getAudioTracks();
  if (!(await starts(context))) {
    track.stop();
    context.close();
    throw new Error("This browser starts no audio, as Firefox does without a loudspeaker: plug one in, then listen again.");
  }
  track.addEventListener("ended", gone);
  const stop = () => {
    node.port.onmessage = null;
    track.removeEventListener("ended", gone);
    track.stop();
    context.close();
  };
  return { rate: context.sampleRate, stop };
}

/** Starts audio, and returns whether it did: where there is nothing to play it by, some browsers wait for ever. */
function starts(context) {
  const started = context.resume().then(() => true);
  return Promise.race([started, new Promise((go) => setTimeout(() => go(false), PATIENCE_MS))]);
}

/** Has the browser bring the stream to 16 kHz; some keep the microphone's own rate. */
async function connect(stream) {
  const wanted = new AudioContext({ sampleRate: RATE });
  try {
    return { context: wanted, source: wanted.createMediaStreamSource(stream) };
  } catch {
    await wanted.close();
    const context = new AudioContext();
    return { context, source: context.createMediaStreamSource(stream) };
  }
}
