// The audio worklet that brings what the microphone hears to the page, in pieces.

const PIECE = 1024;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(PIECE);
    this.filled = 0;
  }

  process([input]) {
    const [channel] = input;
    for (let at = 0; channel && at < channel.length; ) {
      const taken = channel.subarray(at, at + PIECE - this.filled);
      this.piece.set(taken, this.filled);
      this.filled += taken.length;
      at += taken.length;
      if (this.filled === PIECE) {
        this.port.postMessage(this.piece, [this.piece.buffer]);
        this.piece = new Float32Array(PIECE);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
