"""Makes music to be heard under words: beats, chords and melodies drawn from a seed, played by fluidsynth.

    python models/train/music.py --pieces 150 --output DIR

It takes `fluidsynth` with a General MIDI sound font (Debian: fluidsynth, fluid-soundfont-gm).
"""

import argparse
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mido
import numpy as np
import soundfile

from features import resample

SOUND_FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
RATE = 16000
BARS, BEATS, TICKS = 8, 4, 480
SCALES = [(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10)]
# General MIDI programs: pianos to guitars, basses, strings to synthesisers.
LEADS, BASSES, PADS = range(0, 32), range(32, 40), range(40, 104)
DRUMS, KICK, SNARE, HATS = 9, 36, 38, (42, 46, 51)


def piece(seed: int) -> mido.MidiFile:
    """Eight bars in one key: drums in three of four pieces, a bass, chords and a melody, each there or not."""
    random = np.random.default_rng(seed)
    file, track = mido.MidiFile(ticks_per_beat=TICKS), mido.MidiTrack()
    file.tracks.append(track)
    scale, root = SCALES[random.integers(len(SCALES))], int(random.integers(36, 48))
    pitch = lambda degree: root + 12 * (degree // len(scale)) + scale[degree % len(scale)]
    notes = []  # tick, length, channel, pitch, velocity

    def play(beat, beats, channel, note, loud):
        velocity = int(np.clip(random.normal(loud, 12), 20, 127))
        notes.append((round(beat * TICKS), round(beats * TICKS), channel, int(np.clip(note, 0, 127)), velocity))

    parts = random.random(4) < (0.75, 0.8, 0.8, 0.85)
    parts[random.integers(1, 4)] = True
    chords, step = random.integers(0, len(scale), BARS // 2), float(random.choice((0.5, 0.5, 1.0, 0.25)))
    degree = int(random.integers(2 * len(scale), 4 * len(scale)))
    for bar in range(BARS):
        chord, start = int(chords[bar // 2]), bar * BEATS
        for beat in range(BEATS):
            if parts[0]:
                play(start + beat, 0.1, DRUMS, KICK if beat % 2 == 0 else SNARE, 95)
                for half in (0.0, 0.5):
                    play(start + beat + half, 0.1, DRUMS, HATS[seed % len(HATS)], 70)
            if parts[1]:
                play(start + beat, 0.9, 0, pitch(chord), 90)
        if parts[2]:
            for third in (0, 2, 4):
                play(start, BEATS, 1, pitch(chord + third + len(scale)), 65)
        if parts[3]:
            for beat in np.arange(0, BEATS, step):
                if random.random() < 0.8:
                    degree = int(np.clip(degree + random.integers(-2, 3), len(scale), 5 * len(scale)))
                    play(start + beat, step, 2, pitch(degree), 90)
    events = [(0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(float(random.uniform(70, 160)))))]
    for channel, programs in enumerate((BASSES, PADS, LEADS)):
        events.append((0, mido.Message("program_change", channel=channel, program=int(random.choice(list(programs))))))
    for tick, length, channel, note, velocity in notes:
        events.append((tick, mido.Message("note_on", channel=channel, note=note, velocity=velocity)))
        events.append((tick + length, mido.Message("note_off", channel=channel, note=note)))
    now = 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    return file


def render(seed: int, sound_font: str, path: Path):
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        piece(seed).save(midi)
        subprocess.run(["fluidsynth", "-ni", "-q", "-F", wav, "-r", "32000", sound_font, midi], check=True, capture_output=True)
        samples, rate = soundfile.read(wav, dtype="float32", always_2d=True)
    samples = resample(samples.mean(1), RATE / rate)
    samples *= 0.5 / max(np.abs(samples).max(), 1e-6)
    partial = path.with_suffix(".partial")
    soundfile.write(partial, samples, RATE, format="FLAC", subtype="PCM_16")
    partial.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the pieces; those that are there are kept")
    parser.add_argument("--pieces", type=int, default=150, help="how many; piece N is the same in every run")
    parser.add_argument("--sound-font", default=SOUND_FONT, help="a General MIDI sound font")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    missing = [(n, path) for n in range(args.pieces) if not (path := args.output / f"piece_{n:03}.flac").is_file()]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda task: render(task[0], args.sound_font, task[1]), missing))


if __name__ == "__main__":
    main()
