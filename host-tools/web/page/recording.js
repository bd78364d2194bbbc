// Recordings as samples of 16 kHz.

const RATE = 16000;

/**
 * Returns the samples of a file, and whether they are those that `zerda run` would hear. A WAV file of 16 kHz, mono, 16 bit
 * is read here; the browser decodes and resamples all others, each in its own way.
 */
export async function decode(bytes) {
  const samples = wav(bytes);
  if (samples) {
    return { samples, exact: true };
  }
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, n) => audio.getChannelData(n));
  const mixed = new Int16Array(audio.length);
  for (let at = 0; at < mixed.length; at += 1) {
    const sum = channels.reduce((all, channel) => all + channel[at], 0);
    mixed[at] = Math.max(-32768, Math.min(32767, Math.round((sum / channels.length) * 32768)));
  }
  return { samples: mixed, exact: false };
}

/** Returns the samples of a WAV file of 16 kHz, mono, 16 bit; of any other, nothing. */
function wav(bytes) {
  const view = new DataView(bytes);
  const name = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  if (bytes.byteLength < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") {
    return undefined;
  }
  let fits = false;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    const body = at + 8;
    if (name(at) === "fmt " && body + 16 <= bytes.byteLength) {
      const [format, channels] = [view.getUint16(body, true), view.getUint16(body + 2, true)];
      const [rate, bits] = [view.getUint32(body + 4, true), view.getUint16(body + 14, true)];
      fits = format === 1 && channels === 1 && rate === RATE && bits === 16;
    }
    if (name(at) === "data") {
      const count = Math.floor(Math.min(length, bytes.byteLength - body) / 2);
      const sample = (_, n) => view.getInt16(body + 2 * n, true);
      return fits ? Int16Array.from({ length: count }, sample) : undefined;
    }
    at = body + length + (length % 2);
  }
  return undefined;
}
