"""python -m unittest discover models/train"""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from config import LABELS, UNKNOWN, load
from export import Step, write_onnx
from features import MelPower, mel_filters, normalise, word_span
from model import BatchNorm, Conformer, Depthwise, Windows
from quantize import SOFTMAX_ZERO, HardSwish, Linear, MaskedScores, Quantize, Weights, best_range, observe, of_range, round_weights, switch, switch_ranges
from start import NEW_LABEL, averaged, centre, from_onnx

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

    def test_a_linears_weights_take_thirty_one_values_that_int8_holds(self):
        linear = Linear(200, 3)
        before, largest = linear.weight.detach().clone(), linear.weight.detach().abs().amax(1, keepdim=True)
        round_weights(linear)
        steps = linear.weight / (largest / 127.0)
        self.assertLess((steps - steps.round()).abs().max().item(), 1e-3)
        # The largest of each row is 127 or -127, and from value to value are 127 / 15 steps, or the whole ones beside.
        self.assertEqual(steps.abs().amax(1).round().tolist(), [127.0] * 3)
        self.assertTrue({abs(step) for step in steps.round().flatten().tolist()} <= {round(k * 127 / 15) for k in range(16)})
        self.assertLess(((linear.weight - before).abs() / largest).max().item(), 0.5 / 15 + 0.5 / 127)
        switch(linear, True)
        self.assertTrue(torch.allclose(linear.rounding(linear.weight), linear.weight, rtol=1e-6))

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

    def test_training_from_several_begins_at_the_mean_of_their_weights(self):
        other = onnx.ModelProto()
        other.CopyFrom(self.onnx)
        bias = next(i for i in other.graph.initializer if i.name == "head.bias")
        bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 4.0, bias.name))
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("one.onnx", "other.onnx")]
            onnx.save(self.onnx, paths[0]), onnx.save(other, paths[1])
            one, mean = (averaged(some, SHRUNK, FRONT, LABELS) for some in (paths[:1], paths))
        torch.testing.assert_close(mean.head.bias, one.head.bias + 2.0)
        torch.testing.assert_close(mean.head.weight, one.head.weight)

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


if __name__ == "__main__":
    unittest.main()
