"""python -m unittest discover models/train"""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import phonemes
from alarms import peaks
from augment import Rooms, Voices, stretch
from config import COMMANDS, LABELS, SILENCE, UNKNOWN, WORDS, load
from corpus import Corpus, held_out, kept
from evaluate import answer, smooth
from lessons import Lessons, write
from losses import COLD, EARLY, cold_starts, decision_loss, kept_answers, smoothed, sound_loss
from mining import hardest
from phonemes import SOUNDS
from streams import REWARD, Composer

FRONT, SHRUNK = load("shrunk")


class Sounds(unittest.TestCase):
    def test_a_text_is_the_sounds_of_its_words_and_a_long_one_is_none(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "phonemes.json").write_text(json.dumps({"jarvis": "ʤɑɹvɪs", "long": "ta" * 30}))
            found = phonemes.numbers(["jarvis", "", "long"], Path(folder))
        self.assertEqual("".join(SOUNDS[n - 1] for n in found[0] if n), "ʤɑɹvɪs")
        self.assertFalse(found[1:].any())


class Augmentation(unittest.TestCase):
    def test_a_word_spoken_slower_has_its_middle_later_and_as_loud(self):
        ramp = np.arange(50, dtype=np.float32)[:, None] * np.ones((1, 40), np.float32)
        slow = stretch(ramp, 1.2)
        self.assertEqual(slow.shape, (60, 40))
        np.testing.assert_allclose(slow[36], 30.0, rtol=1e-6)
        np.testing.assert_array_equal(stretch(ramp, 1.0), ramp)

    def test_a_shorter_vocal_tract_moves_a_formant_up(self):
        voices = Voices(FRONT, spread=0.1, steps=21)
        formant = np.zeros((1, 40), np.float32)
        formant[0, 20] = 1.0
        centre = lambda power: (power @ np.arange(40)).item() / power.sum()
        # Filter 20 is at 1885 Hz (see the front end's test); over 0.9 that is 2095 Hz = 1560 mel, and 1560 = 92.5 + 65.7 * (i + 1).
        self.assertAlmostEqual(centre(formant @ voices.warps[0]), 21.3, delta=0.3)
        np.testing.assert_allclose(formant @ voices.warps[10], formant, atol=1e-4)

    def test_a_room_adds_to_a_sound_and_only_after_it(self):
        rooms, click = Rooms(FRONT), np.zeros((100, 40))
        click[10] = 1.0
        heard = np.stack([rooms(np.random.default_rng(i), click) for i in range(20)])
        self.assertTrue((heard[:, :10] == 0.0).all())
        self.assertTrue((heard[:, 10] >= 1.0).all())
        # 60 dB in 0.1 to 1 s is 36 to 3.6 dB in 60 ms: none rings on, none is dead.
        fall = 10.0 * np.log10(heard[:, 20, 5] / heard[:, 26, 5])
        self.assertTrue((fall > 2.0).all() and (fall < 40.0).all(), fall)


class FalseAlarms(unittest.TestCase):
    def test_a_detection_is_one_event_however_long(self):
        posteriors = np.zeros((400, len(LABELS)), np.float32)
        posteriors[100:115, 0], posteriors[110, 1], posteriors[300, 2] = 0.8, 0.9, 0.3
        posteriors[200, UNKNOWN] = 1.0
        np.testing.assert_allclose(peaks(posteriors[:, : len(WORDS)]), [(0.9, 110), (0.3, 300)])


class Hard(unittest.TestCase):
    def corpus(self):
        """French, of which frames 2300 to 2320 are loudest in filter 5, and English in which commands are said, 100 to 120."""
        power = np.ones((4000, FRONT.mels), np.float32) * 1e6
        power[2300:2320, 5] = power[3100:3120, 5] = 1e9
        entries = [("speech", "fr", "a", 0), ("spoken", "train", "b", 0), ("word", "bed", "c", 0)]
        rows = np.array([[0, 3000, 0, 2999], [3000, 500, 0, 499], [3500, 500, 0, 499]])
        corpus = Corpus.__new__(Corpus)
        corpus.entries, corpus.rows, corpus.power = entries, rows, power
        return corpus

    def test_it_is_where_the_model_hears_a_word_and_a_command_said_is_none(self):
        class Heard(torch.nn.Module):
            profile = SHRUNK

            def __init__(self, label):
                super().__init__()
                self.label = label

            def forward(self, features):
                calls = (features.shape[1] - SHRUNK.chunk + SHRUNK.step) // SHRUNK.step
                logits = torch.zeros(len(features), calls * SHRUNK.step, len(LABELS))
                logits[..., SILENCE] = 8.0
                logits[..., self.label] = 16.0 * (features[:, : calls * SHRUNK.step, 5] > features[:, : calls * SHRUNK.step, 6])
                return logits

        places = lambda word: hardest(Heard(WORDS.index(word)), self.corpus(), FRONT, 5, "cpu").tolist()
        wake = places("jarvis")
        self.assertEqual([entry for entry, _ in wake], [1, 0])
        self.assertTrue(100 <= wake[0][1] < 120 and 2300 <= wake[1][1] < 2320, wake)
        self.assertEqual([entry for entry, _ in places("left")], [0])

    def test_a_crop_holds_the_place(self):
        composer = Composer.__new__(Composer)
        composer.corpus, composer.hard = self.corpus(), np.array([[0, 2310], [1, 110]])
        random = np.random.default_rng(1)
        for _ in range(50):
            power, spoken = composer.hard_crop(random, 200)
            self.assertEqual(len(power), 200)
            self.assertGreater(power[:, 5].max(), 1e8)
        self.assertIsInstance(spoken, bool)


class ColdStarts(unittest.TestCase):
    # Of stream 0 `yes` in frames 59 to 79, and silence; of stream 1 `no` in 4 to 20, and in 89 to 119.
    ITEMS = torch.tensor([[0, 0, 0, 120, 69, 87, 0, -1], [0, SILENCE, 120, 320, 0, 0, 0, -1], [1, 1, 0, 60, 12, 28, 0, -1], [1, 1, 60, 320, 104, 127, 0, -1]])

    class Counts(torch.nn.Module):
        """Answers by how many frames it has heard, but for `late` of them."""

        def __init__(self, late=0.0):
            super().__init__()
            self.late = torch.nn.Parameter(torch.tensor(late))

        def forward(self, features):
            logits = torch.zeros(len(features), features.shape[1] - 5, len(LABELS))
            return logits + torch.eye(len(LABELS))[1] * (features[:, :-5, :1].cumsum(1) * 0.01 - self.late)

    def test_one_begins_with_a_step_before_a_word_and_after_the_word_before(self):
        random, seen = np.random.default_rng(3), set()
        for _ in range(200):
            starts = cold_starts(self.ITEMS, 320, 5, random)
            self.assertEqual(starts[:, 0].tolist(), [0, 1])
            for (_, start, word), first, before in zip(starts.tolist(), (59, 89), (0, 20)):
                self.assertEqual((start % 5, start + word), (0, first))
                self.assertTrue(0 < word < EARLY[1] and before <= start <= 320 - COLD)
            seen.add(tuple(starts[:, 1]))
        self.assertGreater(len(seen), 10)
        self.assertEqual(cold_starts(self.ITEMS[1:2], 320, 5, random).shape, (0, 3))

    def test_answers_are_kept_cold_as_well_as_warm(self):
        features = torch.zeros(2, 325, 40)
        told = lambda student: kept_answers(self.Counts(), student, features, self.ITEMS, 5, np.random.default_rng(3)).item()
        self.assertAlmostEqual(told(self.Counts()), 0.0, places=6)
        # From another start it has counted fewer.
        features[..., 0] = 1.0
        self.assertGreater(told(self.Counts()), 0.001)
        features[..., 0] = 0.0
        student = self.Counts(1.0)
        loss = kept_answers(self.Counts(), student, features, self.ITEMS, 5, np.random.default_rng(3))
        loss.backward()
        self.assertGreater(student.late.grad.item(), 0.0)
        # Both parts are the divergence of one softmax of 14 from another: ln((13 + 1/e) / 14) + 1/14 each.
        self.assertAlmostEqual(loss.item(), 2.0 * (np.log((13.0 + np.exp(-1.0)) / 14.0) + 1.0 / 14.0), places=5)


class HeldOut(unittest.TestCase):
    def test_it_is_every_fifth_file_and_of_speakers_every_fifth_speaker(self):
        files = [Path(f"noise/{n:02}.flac") for n in range(11)]
        self.assertEqual([f.stem for f in held_out(files)], ["04", "09"])
        spoken = [Path(f"train/{speaker}/{speaker}-7-{n}.opus") for speaker in "abcdef" for n in range(3)]
        self.assertEqual([f.parent.name for f in held_out(spoken)], ["e"] * 3)
        self.assertEqual(sorted(kept(spoken) + held_out(spoken)), spoken)


def loss_of(logits, talk=0, target=None, label=3, **more):
    """Of one stream, in which a command, that of label 3 unless said, is spoken in frames 20 to 52."""
    items = torch.tensor([[0, label, 0, 100, 40, 60, talk, -1]])
    target = torch.eye(len(LABELS))[[label]] if target is None else target
    return decision_loss(logits, items, torch.zeros(1, 100), target, **more).item()


class Decision(unittest.TestCase):
    def test_smoothing_counts_frames_before_the_stream_as_zero(self):
        posteriors = np.ones((7, 2), np.float32)
        expected = [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0]
        np.testing.assert_allclose(smooth(posteriors, 5)[:, 0], expected, rtol=1e-6)
        np.testing.assert_allclose(smoothed(torch.from_numpy(posteriors)[None])[0, :, 0], expected, rtol=1e-6)

    def test_a_clip_without_a_clear_label_is_silence(self):
        peaks = np.zeros((3, len(LABELS)))
        peaks[:, SILENCE], peaks[1, UNKNOWN] = 0.9, 0.49
        self.assertEqual(answer(peaks), SILENCE)
        peaks[2, 0] = 0.51
        self.assertEqual(LABELS[answer(peaks)], COMMANDS[0])

    def test_the_loss_rewards_a_word_in_its_window_and_not_after(self):
        def loss(frame):
            logits = torch.zeros(1, 100, len(LABELS))
            logits[..., SILENCE] = 8.0
            logits[:, frame : frame + 10, 3] = 16.0
            return loss_of(logits)

        self.assertLess(loss(50), 0.1)
        self.assertGreater(loss(70), 2.0)

    def test_other_words_may_be_heard_where_others_talk_but_no_other_command(self):
        def loss(label, talk):
            logits = torch.zeros(1, 100, len(LABELS))
            logits[..., SILENCE] = 8.0
            logits[:, 50:60, 3] = 16.0
            logits[:, 20:30, label] = 16.0
            return loss_of(logits, talk)

        self.assertGreater(loss(UNKNOWN, 0), 2.0)
        self.assertLess(loss(UNKNOWN, 1), 0.1)
        self.assertGreater(loss(5, 1), 2.0)

    def test_a_wake_word_may_not_be_heard_where_commands_are_said_too_and_costs_more_each_stage(self):
        def loss(label, **more):
            logits = torch.zeros(1, 100, len(LABELS))
            logits[..., SILENCE] = 8.0
            logits[:, 50:60, 3] = 16.0
            logits[:, 20:30, label] = 16.0
            return loss_of(logits, 2, **more)

        wake = WORDS.index("computer")
        self.assertLess(loss(5), 0.1)
        self.assertGreater(loss(wake), 2.0)
        self.assertAlmostEqual(loss(wake, false_wakes=10.0) / loss(wake), 10.0, delta=0.5)

    def test_a_command_heard_in_other_speech_costs_what_the_stage_says_and_in_a_commands_place_as_ever(self):
        def loss(label, **more):
            logits = torch.zeros(1, 100, len(LABELS))
            logits[..., UNKNOWN] = 8.0
            logits[:, 20:30, 5] = 16.0
            return loss_of(logits, label=label, **more)

        self.assertAlmostEqual(loss(UNKNOWN, false_words=3.0) / loss(UNKNOWN), 3.0, delta=0.5)
        self.assertEqual(loss(3, false_words=3.0), loss(3))

    def test_sounds_are_told_within_their_words_frames(self):
        said = torch.zeros(2, 40, dtype=torch.uint8)
        said[0, :3] = torch.tensor([SOUNDS.index(s) + 1 for s in "jɛs"])
        # The word lasts from frame 30 to 60; its text is known only where it is entry 0.
        items = lambda entry: torch.tensor([[0, 0, 10, 100, 45, 60 + REWARD + 1, 0, entry]])

        def loss(at, entry=0):
            logits = torch.zeros(1, 100, len(SOUNDS) + 1)
            logits[..., 0] = 16.0
            for frame, sound in zip(at, said[0]):
                logits[0, frame, int(sound)] = 32.0
            return sound_loss(logits, items(entry), said).item()

        self.assertLess(loss((35, 45, 60)), 0.05)
        self.assertGreater(loss((45, 35, 60)), 2.0)
        self.assertGreater(loss((35, 45, 80)), 2.0)
        self.assertEqual(loss((45, 35, 60), entry=-1), 0.0)

    def test_every_frame_that_ends_a_word_answers(self):
        def loss(begin):
            logits = torch.zeros(1, 100, len(LABELS))
            logits[..., SILENCE] = 8.0
            logits[:, begin:60, 3] = 16.0
            return loss_of(logits)

        self.assertLess(loss(50), 0.1)
        self.assertGreater(loss(55), 1.0)

    def test_a_doubtful_word_costs_least_by_its_shares(self):
        def loss(share):
            logits = torch.full((1, 100, len(LABELS)), -8.0)
            logits[..., SILENCE] = 0.0
            logits[:, 48:60, [3, UNKNOWN]] = torch.log(torch.tensor([share, 1.0 - share])) + 8.0
            target = torch.zeros(1, len(LABELS))
            target[0, [3, UNKNOWN]] = torch.tensor([0.7, 0.3])
            return loss_of(logits, target=target)

        self.assertLess(loss(0.7), loss(0.99))
        self.assertLess(loss(0.7), loss(0.3))


class LessonsOfATeacher(unittest.TestCase):
    def test_half_of_a_doubtful_clips_target_is_the_teachers(self):
        class Few:
            entries = [("command", "go", "a/go/one.wav", 0), ("word", "dog", "a/dog/one.wav", 1), ("command", "go", "a/go/two.wav", 2),
                       ("synth_word", "house", ["m1", 40, 150], 0), ("noise", "noise", "hum.wav", 0)]

        words, clips = [*COMMANDS, "cat", "dog"], ["cat/one", "go/one", "dog/one"]
        go, dog = COMMANDS.index("go"), len(COMMANDS) + 1
        logits = torch.full((3, len(words)), -20.0)
        # 3 : 1 for the dog; what the dog's clip is has no doubt.
        logits[1, [go, dog]], logits[2, dog] = torch.tensor([5.0, 5.0 + 1.125]), 5.0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lessons.npz"
            write(path, words, clips, logits)
            lessons = Lessons(Few(), path)
        items = torch.tensor([[0, label, 0, 9, 4, 8, 0, entry] for label, entry in
                              ((go, 0), (UNKNOWN, 1), (go, 2), (UNKNOWN, 3), (SILENCE, 4), (SILENCE, -1))])
        heard, taught, target = lessons.of(items, torch.eye(len(LABELS))[items[:, 1]])
        self.assertEqual(taught.tolist(), [True, True, False, False, False, False])
        self.assertEqual(heard[0, [go, dog]].tolist(), [-1.125, 0.0])
        doubt = 1.0 / (1.0 + np.exp(-1.125))
        np.testing.assert_allclose(target[0, [go, UNKNOWN]], [1.0 - 0.5 * doubt, 0.5 * doubt], atol=1e-5)
        np.testing.assert_allclose(target.sum(1), 1.0, rtol=1e-6)
        np.testing.assert_allclose(target[torch.arange(1, 6), items[1:, 1]], 1.0, atol=1e-5)


if __name__ == "__main__":
    unittest.main()
