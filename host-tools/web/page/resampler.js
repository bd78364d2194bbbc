// Browsers whose microphone keeps its own rate: Hann-windowed sinc, which passes 90 % of the band that both rates have.

const CROSSINGS = 24; // zeros of the sinc on each side

/** Brings a stream from one sample rate to another. */
export class Resampler {
  constructor(from, to) {
    this.step = from / to;
    const band = 0.9 * Math.min(1, to / from);
    this.half = Math.ceil(CROSSINGS / band);
    this.band = band;
    this.kept = new Float32Array(this.half); // the stream begins after silence
    this.next = this.half; // the place of the next sample, among those that are kept
  }

  /** The weight of a sample that is so far away, in samples. */
  weight(distance) {
    const x = Math.PI * this.band * distance;
    const sinc = x === 0 ? 1 : Math.sin(x) / x;
    return this.band * sinc * (0.5 + 0.5 * Math.cos((Math.PI * distance) / this.half));
  }

  /** Takes samples, and returns those that are complete. */
  push(samples) {
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    const made = [];
    for (; this.next + this.half < all.length; this.next += this.step) {
      const first = Math.ceil(this.next - this.half);
      let sum = 0;
      for (let at = first; at <= this.next + this.half; at += 1) {
        sum += all[at] * this.weight(this.next - at);
      }
      made.push(sum);
    }
    const gone = Math.floor(this.next - this.half);
    this.kept = all.slice(gone);
    this.next -= gone;
    return Float32Array.from(made);
  }
}
