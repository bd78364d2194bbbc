"""python -m unittest discover models/train"""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

import phonemes
from alarms import peaks
from augment import Rooms, Voices, stretch
from config import COMMANDS, LABELS, SILENCE, UNKNOWN, WORDS, load
from corpus import Corpus, held_out, kept
from evaluate import answer, smooth
from export import Step, write_onnx
from features import MelPower, mel_filters, normalise, word_span
from lessons import Lessons, write
from mining import hardest
from model import BatchNorm, Conformer, Depthwise, Windows
from phonemes import SOUNDS
from quantize import SOFTMAX_ZERO, HardSwish, MaskedScores, Quantize, Weights, best_range, observe, of_range, switch, switch_ranges
from start import NEW_LABEL, centre, from_onnx
from streams import REWARD, Composer
from train import decision_loss, smoothed, sound_loss

FRONT, SHRUNK = load("shrunk")


def trained(profile) -> Conformer:
    """Random weights, statistics and biases: nothing may cancel by being zero or one."""
    torch.manual_seed(1)
    model = Conformer(profile, FRONT, len(LABELS)).eval()
    for module in model.modules():
        if isinstance(module, BatchNorm):
            for tensor in (module.weight.data, module.bias.data, module.mean, module.variance):
                tensor.add_(torch.rand_like(tensor))
        if hasattr(module, "distance"):
            module.distance.data.normal_()
    return model


def quantized():
    """A model with ranges, switched on, and 26 calls of features."""
    model = trained(SHRUNK).fold()
    features = -10.0 * torch.rand(26 * SHRUNK.step + SHRUNK.chunk - SHRUNK.step, FRONT.mels)
    observe(model, [features[None]])
    switch(model, True)
    return model, features


def steps_apart(model, a, b) -> float:
    """Mean difference of logits in steps of int8. A sum in another order may round the other way, now and then."""
    return ((a - b).abs().mean() / model.quantize_head.scale).item()


class Network(unittest.TestCase):
    def test_the_whole_stream_forward_equals_the_stepped_one(self):
        for name in ("shrunk", "low-latency", "low-power"):
            profile = load(name)[1]
            with self.subTest(name):
                model = trained(profile)
                # 68 calls: a multiple of those that attention takes side by side.
                frames = 68 * profile.step + profile.chunk - profile.step
                features = -10.0 * torch.rand(frames, FRONT.mels)
                whole = model(features[None])[0].detach()
                stepped = Step(model).stream(features)
                self.assertEqual(whole.shape, (68 * profile.step, len(LABELS)))
                self.assertLess((whole - stepped).abs().max().item(), 1e-4)

    def test_gradients_equal_those_of_plain_unfold(self):
        past = torch.randn(2, 14 + 3 * 5, 4, dtype=torch.float64, requires_grad=True)
        self.assertTrue(torch.autograd.gradcheck(lambda p: Windows.apply(p, 14, 5), past))

    def test_a_depthwise_is_a_convolution_with_its_gradients(self):
        window, taps = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((3, 9, 4), (4, 1, 5)))
        expected = torch.nn.functional.conv1d(window.transpose(1, 2), taps, groups=4).transpose(1, 2)
        torch.testing.assert_close(Depthwise.apply(window, taps), expected)
        self.assertTrue(torch.autograd.gradcheck(Depthwise.apply, (window, taps)))

    def test_no_frame_after_the_look_ahead_matters(self):
        model = trained(SHRUNK)
        features = -10.0 * torch.rand(1, 205, FRONT.mels)
        other = features.clone()
        other[:, 100:] = -1.0
        same = (model(features) == model(other)).all(-1)[0]
        # The calls up to n = 18 see frames before 100 only, and commit 95.
        self.assertTrue(same[:95].all())
        self.assertFalse(same[95:].any())


class FakeQuantization(unittest.TestCase):
    def test_values_round_to_the_nearest_step_and_saturate(self):
        quantize = Quantize((0.5, 10))
        x = torch.tensor([0.24, 0.26, -0.8, 0.75, 58.4, 60.0, -69.2, -100.0], requires_grad=True)
        self.assertTrue((quantize(x) == x).all())
        switch(quantize, True)
        # 127 is 0.5 * (127 - 10) = 58.5, -128 is 0.5 * (-128 - 10) = -69; 0.75 is 1.5 steps, which go to the even 2.
        rounded = quantize(x)
        self.assertEqual(rounded.tolist(), [0.0, 0.5, -1.0, 1.0, 58.5, 58.5, -69.0, -69.0])
        rounded.sum().backward()
        self.assertEqual(x.grad.tolist(), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0])

    def test_each_output_channel_has_weights_of_its_own_scale(self):
        weights = Weights()
        switch(weights, True)
        # Steps of 1/16 and of 2: 127 times that is the largest of each row.
        rows = torch.tensor([[7.9375, 0.03, -0.1], [-254.0, 3.1, 0.9], [0.0, 0.0, 0.0]], requires_grad=True)
        self.assertEqual(weights(rows).tolist(), [[7.9375, 0.0, -0.125], [-254.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
        weights(rows).sum().backward()
        self.assertTrue((rows.grad == 1.0).all())

    def test_a_range_is_widened_to_hold_zero(self):
        for (low, high), (scale, zero_point) in (((1.0, 51.0), (0.2, -128)), ((-1.0, 1.55), (0.01, -28)), ((-25.5, -3.0), (0.1, 127))):
            self.assertAlmostEqual(of_range(low, high)[0], scale)
            self.assertEqual(of_range(low, high)[1], zero_point)

    def test_a_lone_outlier_is_clipped(self):
        # Steps of h/255 for 100 000 values and 10 clipped to h cost 0.13 h^2 + (10 - h)^2, least at 8.9.
        low, high = best_range(np.append(np.arange(100_000) / 100_000, 10.0))
        self.assertEqual(low, 0.0)
        self.assertTrue(8.6 < high < 9.2, high)

    def test_an_absent_key_saturates_where_softmax_gives_zero(self):
        scores, mask = 8.0 * torch.randn(2, 5, 10, 40), torch.zeros(5, 1, 40)
        mask[:2, :, :30] = -10000.0
        masked = MaskedScores()
        masked.seen = []
        masked(scores, mask)
        masked.settle()
        bottom = (masked.scale * (-128 - masked.zero_point)).item()
        lowest_peak = min(scores[:, :2, :, 30:].amax(-1).min().item(), scores[:, 2:].amax(-1).min().item())
        self.assertLessEqual(bottom, lowest_peak - SOFTMAX_ZERO - 1.0)

    def test_a_hard_swish_has_an_output_scale_that_tflite_can_compute(self):
        swish = HardSwish()
        # Inputs below -3 alone: outputs of 0.
        observe(swish, [-3.0 - torch.rand(1000)])
        self.assertGreater(swish.output.scale.item(), swish.input.scale.item() / 128.0)

    def test_the_whole_stream_forward_equals_the_stepped_one(self):
        model, features = quantized()
        stepped, rounded = Step(model).stream(features), model(features[None])[0]
        self.assertLess(steps_apart(model, stepped, rounded), 0.1)
        switch(model, False)
        self.assertGreater(steps_apart(model, model(features[None])[0], rounded), 0.4)


class Exported(unittest.TestCase):
    """The ONNX of a quantized model."""

    @classmethod
    def setUpClass(cls):
        cls.model, cls.features = quantized()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step.onnx"
            cls.step = write_onnx(cls.model, FRONT, path)
            cls.onnx = onnx.load(path)

    def both(self, model):
        """Each step's logits by torch and by onnxruntime, from the same caches."""
        options = onnxruntime.SessionOptions()
        # Node by node: its optimised kernels do not round at every pair.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        names, logits = [value.name for value in session.get_inputs()], []

        def step(*inputs):
            outputs = self.step(*inputs)
            other = session.run(["logits"], {name: value.numpy() for name, value in zip(names, inputs)})
            logits.append((outputs[0].numpy(), other[0]))
            return outputs

        self.step.stream(self.features, step)
        return map(np.stack, zip(*logits))

    def test_a_pair_follows_each_tensor_whose_range_is_the_models_own(self):
        nodes = self.onnx.graph.node
        constants = {c.name: onnx.numpy_helper.to_array(c) for c in self.onnx.graph.initializer}
        makers = {name: node for node in nodes for name in node.output}
        readers = lambda node: [n for n in nodes if node.output[0] in n.input]
        found = {}
        for node in nodes:
            if node.op_type == "QuantizeLinear":
                (pair,) = readers(node)
                self.assertEqual((pair.op_type, list(pair.input[1:])), ("DequantizeLinear", list(node.input[1:])))
                scale, zero_point = (constants[name] for name in node.input[1:])
                self.assertEqual([(c.dtype, c.shape) for c in (scale, zero_point)], [(np.float32, ()), (np.int8, ())])
                maker = makers[node.input[0]]
                self.assertEqual(len(readers(maker)), 1)
                found[maker.op_type] = found.get(maker.op_type, 0) + 1
        # A layer: up and down twice, query, key, value, out, value, out; scores and context; four residual sums and the
        # scores with their table; a product; a depthwise; three hard swishes. Then the input and the head.
        each = {"Gemm": 10, "MatMul": 2, "Add": 5, "Mul": 1, "Conv": 1, "HardSwish": 3}
        self.assertEqual(found, {op: count * SHRUNK.layers + 2 * (op == "Gemm") for op, count in each.items()})

    def test_training_starts_from_its_function_and_new_labels_from_unknown(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "step.onnx"
            onnx.save(self.onnx, path)
            labels = [*LABELS[:3], "marvin", *LABELS[3:]]
            model = centre(from_onnx(path, SHRUNK, FRONT, labels), [self.features[None]])
        switch(self.model, False)
        expected, found = (m(self.features[None])[0].detach() for m in (self.model, model.eval()))
        known = [i for i, label in enumerate(labels) if label != "marvin"]
        torch.testing.assert_close(found[:, known], expected, atol=2e-3, rtol=0)
        torch.testing.assert_close(found[:, 3], expected[:, UNKNOWN] + NEW_LABEL, atol=2e-3, rtol=0)
        # Training sees statistics that are the batch's own: about those that were set.
        apart = (model.train()(self.features[None])[0][:, known] - expected).abs().max()
        self.assertLess(apart, 0.05)

    def test_onnxruntime_computes_what_torch_does(self):
        switch_ranges(self.step)
        torch_logits, other = self.both(self.onnx)
        # A sum in another order may round to the next step, but seldom.
        same = (np.abs(torch_logits - other) < 1e-4).all((1, 2))
        self.assertGreater(same.mean(), 0.7)

    def test_without_the_pairs_it_is_the_float_network(self):
        bare, same = onnx.ModelProto(), {}
        bare.CopyFrom(self.onnx)
        del bare.graph.node[:]
        for node in self.onnx.graph.node:
            node.input[:] = [same.get(name, name) for name in node.input]
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                same[node.output[0]] = node.input[0]
            else:
                bare.graph.node.append(node)
        bare.graph.node[-1].output[0] = "logits"
        used = {name for node in bare.graph.node for name in node.input}
        constants = [constant for constant in bare.graph.initializer if constant.name in used]
        del bare.graph.initializer[:]
        bare.graph.initializer.extend(constants)
        switch(self.step, False)
        torch_logits, other = self.both(bare)
        self.assertLess(np.abs(torch_logits - other).max(), 1e-4)


class FrontEnd(unittest.TestCase):
    def test_a_filter_peaks_at_its_own_frequency(self):
        filters = mel_filters(FRONT)
        # The middle of 42 mel points from 60 to 7600 Hz: mel(60) = 92.5, mel(7600) = 2787.1, so point 21 at 1472.6 mel = 1885.1 Hz.
        self.assertEqual(filters[20].argmax(), round(1885.1 / 31.25))
        self.assertTrue((filters >= 0).all() and (filters <= 1).all())

    def test_the_level_follows_the_recursion(self):
        random = np.random.default_rng(0)
        power = np.exp(random.uniform(-3, 30, (200, FRONT.mels)) * random.random((200, 1)))
        memory, energies, expected = FRONT.level_floor, [0.0] * FRONT.level_frames, []
        for frame in power:
            energies.append(np.log(max(frame.sum(), 1.0)))
            memory = max(min(energies[-FRONT.level_frames :]), memory - FRONT.level_decay, FRONT.level_floor)
            level = max(energies[-1], memory)
            expected.append(np.clip(np.log(np.maximum(frame, 1.0)) - level, -10.0, 0.0))
        np.testing.assert_allclose(normalise(power, FRONT), expected, atol=1e-5)

    def test_a_click_leaves_no_trace_in_the_level_and_a_vowel_does(self):
        power = np.full((60, FRONT.mels), np.exp(8.0))
        shorter, longer = power.copy(), power.copy()
        shorter[20 : 20 + FRONT.level_frames - 1] = 1e12
        longer[20 : 20 + FRONT.level_frames] = 1e12
        plain, click, vowel = (normalise(p, FRONT)[40] for p in (power, shorter, longer))
        np.testing.assert_array_equal(click, plain)
        self.assertTrue((vowel < plain).all())

    def test_frames_are_whole_and_silence_is_the_bottom_of_the_range(self):
        features = normalise(MelPower(FRONT)(np.zeros(16000, np.float32)), FRONT)
        self.assertEqual(features.shape, (98, 40))
        self.assertTrue((features == -10.0).all())

    def test_a_word_is_found_between_its_loud_hops(self):
        samples = np.zeros(16000)
        samples[4000:8000] = 1000.0 * np.sin(np.arange(4000))
        self.assertEqual(word_span(samples, 160), (25, 49))


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
