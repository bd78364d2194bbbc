"""python -m unittest discover models/train"""

import unittest
from dataclasses import replace

import numpy as np
import torch

from config import COMMANDS, LABELS, SILENCE, UNKNOWN, load
from evaluate import answer, smooth
from export import Step
from features import MelPower, mel_filters, normalise, word_span
from model import BatchNorm, Conformer
from train import decision_loss, smoothed

FRONT, SHRUNK = load("shrunk")


def trained(profile) -> Conformer:
    """Random weights, statistics and biases: nothing may cancel by being zero or one."""
    torch.manual_seed(1)
    model = Conformer(profile, FRONT.mels, len(LABELS)).eval()
    for module in model.modules():
        if isinstance(module, BatchNorm):
            for tensor in (module.weight.data, module.bias.data, module.mean, module.variance):
                tensor.add_(torch.rand_like(tensor))
        if hasattr(module, "distance"):
            module.distance.data.normal_()
    return model


class Network(unittest.TestCase):
    def test_the_whole_stream_forward_equals_the_stepped_one(self):
        for name in ("shrunk", "low-latency", "low-power"):
            profile = load(name)[1]
            with self.subTest(name):
                model = trained(profile)
                frames = 66 * profile.step + profile.chunk - profile.step
                features = -10.0 * torch.rand(frames, FRONT.mels)
                whole = model(features[None])[0].detach()
                stepped = Step(model).stream(features)
                self.assertEqual(whole.shape, (66 * profile.step, len(LABELS)))
                self.assertLess((whole - stepped).abs().max().item(), 1e-4)

    def test_gradients_equal_those_of_plain_unfold(self):
        from model import Windows

        past = torch.randn(2, 14 + 3 * 5, 4, dtype=torch.float64, requires_grad=True)
        self.assertTrue(torch.autograd.gradcheck(lambda p: Windows.apply(p, 14, 5), past))

    def test_no_frame_after_the_look_ahead_matters(self):
        model = trained(SHRUNK)
        features = -10.0 * torch.rand(1, 205, FRONT.mels)
        other = features.clone()
        other[:, 100:] = -1.0
        same = (model(features) == model(other)).all(-1)[0]
        # The calls up to n = 18 see frames before 100 only, and commit 95.
        self.assertTrue(same[:95].all())
        self.assertFalse(same[95:].any())


class FrontEnd(unittest.TestCase):
    def test_a_filter_peaks_at_its_own_frequency(self):
        filters = mel_filters(FRONT)
        # The middle of 42 mel points from 60 to 7600 Hz: mel(60) = 92.5, mel(7600) = 2787.1, so point 21 at 1472.6 mel = 1885.1 Hz.
        self.assertEqual(filters[20].argmax(), round(1885.1 / 31.25))
        self.assertTrue((filters >= 0).all() and (filters <= 1).all())

    def test_the_level_follows_the_recursion(self):
        random = np.random.default_rng(0)
        power = np.exp(random.uniform(-3, 30, (200, FRONT.mels)) * random.random((200, 1)))
        level, expected = FRONT.level_floor, []
        for frame in power:
            level = max(np.log(max(frame.sum(), 1.0)), level - FRONT.level_decay, FRONT.level_floor)
            expected.append(np.clip(np.log(np.maximum(frame, 1.0)) - level, -10.0, 0.0))
        np.testing.assert_allclose(normalise(power, FRONT), expected, atol=1e-5)

    def test_frames_are_whole_and_silence_is_the_bottom_of_the_range(self):
        features = normalise(MelPower(FRONT)(np.zeros(16000, np.float32)), FRONT)
        self.assertEqual(features.shape, (98, 40))
        self.assertTrue((features == -10.0).all())

    def test_a_word_is_found_between_its_loud_hops(self):
        samples = np.zeros(16000)
        samples[4000:8000] = 1000.0 * np.sin(np.arange(4000))
        self.assertEqual(word_span(samples, 160), (25, 49))


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
            logits[:, frame : frame + 6, 3] = 16.0
            return decision_loss(logits, torch.tensor([[0, 3, 0, 100, 40, 60]]), torch.zeros(1, 100)).item()

        self.assertLess(loss(50), 0.1)
        self.assertGreater(loss(70), 2.0)


if __name__ == "__main__":
    unittest.main()
