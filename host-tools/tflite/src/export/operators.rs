//! Exports each operator of the plan as operators of TFLite.

use zerda_firmware::plan::{Clamp, Dense, Op, Requantize, Tensor, TensorId};
use zerda_quantize::functions::{FUNCTIONS, PROBABILITY};
use zerda_quantize::graph::{self, Function};
use zerda_quantize::tflite_params::{
    add_scales, fully_connected_scale, product_scale, softmax_scale,
};
use zerda_support::operators::weight_scales;

use super::{Export, Value, dimensions};
use crate::writer::{Activation, Operator, Quantization, TensorIndex, activation_range};

impl Export<'_> {
    /// Adds an operator and returns its output.
    pub(super) fn operator(&mut self, op: Op) -> Result<Value, String> {
        match op {
            Op::FullyConnected(dense) => self.fully_connected(&dense),
            Op::DepthwiseConv(dense) => self.depthwise_conv(&dense),
            Op::Add {
                a,
                b,
                output,
                a_scale,
                b_scale,
                output_scale,
                clamp,
            } => {
                let [a_real, b_real, real] = self.scales([a, b, output])?;
                let scales = add_scales(a_real, b_real, real);
                same(scales.a, a_scale)?;
                same(scales.b, b_scale)?;
                same(scales.output, output_scale)?;
                let activation = self.activation(output, clamp)?;
                self.elementwise(Operator::Add(activation), a, b, output)
            }
            Op::Mul {
                a,
                b,
                output,
                output_scale,
                clamp,
            } => {
                let [a_real, b_real, real] = self.scales([a, b, output])?;
                same(product_scale(a_real, b_real, real), output_scale)?;
                let activation = self.activation(output, clamp)?;
                self.elementwise(Operator::Mul(activation), a, b, output)
            }
            Op::Lookup {
                input,
                output,
                table,
            } => self.lookup(input, output, table),
            Op::Scores {
                query,
                key,
                output,
                heads,
                output_scale,
            } => {
                let [query_real, key_real, real] = self.scales([query, key, output])?;
                same(product_scale(query_real, key_real, real), output_scale)?;
                let query = self.heads_first(query, heads)?;
                let key = self.key_heads_first(key, heads)?;
                let shape = [heads.into(), key.shape[1], query.shape[1]];
                let scores = self.output(output, &shape)?;
                let inputs = [key.tensor, query.tensor];
                let matmul = Operator::BatchMatMul { adj_y: true };
                self.graph.operator(matmul, &inputs, scores.tensor);
                Ok(self.transposed(scores, &[0, 2, 1]))
            }
            Op::Softmax {
                input,
                output,
                input_scale,
                diff_min,
            } => self.softmax(input, output, input_scale, diff_min),
            Op::Context {
                probs,
                value,
                output,
                heads,
                output_scale,
            } => {
                let [probs_real, value_real, real] = self.scales([probs, value, output])?;
                same(product_scale(probs_real, value_real, real), output_scale)?;
                let to = self.tensor(output)?;
                let (rows, heads) = (i32::from(to.rows), i32::from(heads));
                let value = self.read(value)?;
                let [keys, cols] = [value.shape[0], value.shape[1]];
                let value = self.transposed(value, &[1, 0]);
                let value = self.reshaped(value, &[heads, cols / heads, keys]);
                let probs = self.read(probs)?;
                let probs = self.reshaped(probs, &[heads, rows, keys]);
                let context = self.output(output, &[heads, cols / heads, rows])?;
                let inputs = [value.tensor, probs.tensor];
                let matmul = Operator::BatchMatMul { adj_y: true };
                self.graph.operator(matmul, &inputs, context.tensor);
                let context = self.reshaped(context, &[cols, rows]);
                Ok(self.transposed(context, &[1, 0]))
            }
        }
    }

    fn fully_connected(&mut self, dense: &Dense) -> Result<Value, String> {
        let input = self.read(dense.input)?;
        let weights = self.tensor(dense.weights)?;
        let k = usize::from(weights.cols);
        let data = self.image.constant_i8(weights);
        let sums = data
            .chunks_exact(k)
            .map(|row| row.iter().map(|&w| i32::from(w)).sum());
        let of = |scales: [f32; 3]| {
            let [input, weight, output] = scales;
            fully_connected_scale(weights.rows.into(), input, weight, output)
        };
        let constants = self.constants(dense, &dimensions(&weights), 0, sums.collect(), of)?;
        let shape = dimensions(&self.tensor(dense.output)?);
        self.dense(Operator::FullyConnected, dense, input, constants, &shape)
    }

    fn depthwise_conv(&mut self, dense: &Dense) -> Result<Value, String> {
        let window = self.read(dense.input)?;
        let weights = self.tensor(dense.weights)?;
        let [kernel, cols] = [weights.rows, weights.cols].map(i32::from);
        let input = self.reshaped(window.clone(), &[1, window.shape[0], 1, cols]);
        let data = self.image.constant_i8(weights);
        let column = |col| data.iter().skip(col).step_by(cols as usize);
        let sums = (0..cols as usize).map(|col| column(col).map(|&w| i32::from(w)).sum());
        let of = |[input, weight, output]: [f32; 3]| product_scale(input, weight, output);
        let constants = self.constants(dense, &[1, kernel, 1, cols], 3, sums.collect(), of)?;
        let rows = self.tensor(dense.output)?.rows.into();
        let shape = [1, rows, 1, cols];
        self.dense(Operator::DepthwiseConv2d, dense, input, constants, &shape)
    }

    fn dense(
        &mut self,
        operator: fn(Activation) -> Operator,
        dense: &Dense,
        input: Value,
        [weights, bias]: [TensorIndex; 2],
        shape: &[i32],
    ) -> Result<Value, String> {
        let activation = self.activation(dense.output, dense.clamp)?;
        let output = self.output(dense.output, shape)?;
        let inputs = [input.tensor, weights, bias];
        self.graph
            .operator(operator(activation), &inputs, output.tensor);
        Ok(output)
    }

    /// Returns weights and bias as TFLite has them. `sums` holds the sum of each channel's weights; `scale` is
    /// what TFLite computes from the scales of input, weight and output.
    fn constants(
        &mut self,
        dense: &Dense,
        shape: &[i32],
        channel_axis: i32,
        sums: Vec<i32>,
        scale: impl Fn([f32; 3]) -> Requantize,
    ) -> Result<[TensorIndex; 2], String> {
        let input = self.tensor(dense.input)?;
        let output = self.tensor(dense.output)?;
        let weights = self.tensor(dense.weights)?;
        let multipliers = self.image.constant_i32(self.tensor(dense.multiplier)?);
        let shifts = self.image.constant_i8(self.tensor(dense.shift)?);
        let biases = self.image.constant_i32(self.tensor(dense.bias)?);
        let mut scales = weight_scales(self.image, dense).ok_or("its scales are not there")?;
        for (weight, (&multiplier, &shift)) in scales.iter_mut().zip(multipliers.iter().zip(shifts))
        {
            let planned = Requantize { multiplier, shift };
            let requantize = |weight| scale([input.scale, weight, output.scale]);
            // Where TFLite rounded the product of scales, the one of the weights may be the next to this.
            let near = [*weight, weight.next_up(), weight.next_down()];
            let found = near.into_iter().find(|&near| requantize(near) == planned);
            *weight = found.unwrap_or(*weight);
            same(requantize(*weight), planned)?;
        }
        let bias_scales = scales.iter().map(|scale| input.scale * scale).collect();
        let unfold =
            |(&bias, sum): (&i32, i32)| bias.wrapping_add(i32::from(input.zero_point) * sum);
        let bias: Vec<i32> = biases.iter().zip(sums).map(unfold).collect();

        let q = Quantization::per_axis(scales, channel_axis);
        let name = format!("weights_{}", dense.weights);
        let data = self.image.constant_i8(weights);
        let weights = self.graph.constant_i8(&name, shape, q, data);
        let q = Some(Quantization::per_axis(bias_scales, 0));
        let name = format!("bias_{}", dense.bias);
        let bias = self
            .graph
            .constant_i32(&name, &[bias.len() as i32], q, &bias);
        Ok([weights, bias])
    }

    fn elementwise(
        &mut self,
        operator: Operator,
        a: TensorId,
        b: TensorId,
        output: TensorId,
    ) -> Result<Value, String> {
        let (a, b) = (self.read(a)?, self.read(b)?);
        let output = self.output(output, &a.shape)?;
        self.graph
            .operator(operator, &[a.tensor, b.tensor], output.tensor);
        Ok(output)
    }

    /// Exports the function that a table holds, as TFLite's operators; any other table is an error.
    fn lookup(
        &mut self,
        input: TensorId,
        output: TensorId,
        table: TensorId,
    ) -> Result<Value, String> {
        let quantization =
            |Tensor {
                 scale, zero_point, ..
             }: Tensor| graph::Quantization { scale, zero_point };
        let (from, to) = (self.tensor(input)?, self.tensor(output)?);
        let planned = self.image.constant_i8(self.tensor(table)?);
        let of = |function: &Function| function.table(quantization(from), quantization(to));
        let is = |function: &Function| of(function).is_some_and(|table| planned == table);
        let function = FUNCTIONS.into_iter().find(is).ok_or_else(|| {
            format!("table {table} is not HARD_SWISH, LOGISTIC, SiLU or RSQRT, which it can export")
        })?;
        let input = self.read(input)?;
        let operator = match function {
            Function::HardSwish => Operator::HardSwish,
            Function::Logistic => Operator::Logistic,
            Function::Rsqrt => Operator::Rsqrt,
            Function::Silu => {
                let q = Quantization::per_tensor(PROBABILITY.scale, PROBABILITY.zero_point);
                let gate = self.graph.activation("logistic", &input.shape, q);
                self.graph
                    .operator(Operator::Logistic, &[input.tensor], gate);
                let output = self.output(output, &input.shape)?;
                let mul = Operator::Mul(Activation::NONE);
                self.graph
                    .operator(mul, &[input.tensor, gate], output.tensor);
                return Ok(output);
            }
        };
        let output = self.output(output, &input.shape)?;
        self.graph
            .operator(operator, &[input.tensor], output.tensor);
        Ok(output)
    }

    fn softmax(
        &mut self,
        input: TensorId,
        output: TensorId,
        planned: Requantize,
        diff_min: i32,
    ) -> Result<Value, String> {
        let (from, to) = (self.tensor(input)?, self.tensor(output)?);
        let scale = softmax_scale(from.scale);
        same(scale.input, planned)?;
        if scale.diff_min != diff_min
            || (to.scale, to.zero_point) != (PROBABILITY.scale, PROBABILITY.zero_point)
        {
            return Err("its range is not that of TFLite's int8 SOFTMAX".into());
        }
        let mut scores = self.read(input)?;
        if from.keys {
            let mask = self.masks.pop_front().ok_or("there is no mask for it")?;
            let shape = scores.shape.clone();
            scores = self.derived(Operator::Minimum, scores, &[mask], &shape);
        }
        let output = self.output(output, &scores.shape)?;
        self.graph
            .operator(Operator::Softmax, &[scores.tensor], output.tensor);
        Ok(output)
    }

    /// Rearranges `[rows, heads * size]` to `[heads, rows, size]`.
    fn heads_first(&mut self, id: TensorId, heads: u8) -> Result<Value, String> {
        let value = self.read(id)?;
        let (rows, heads) = (value.shape[0], i32::from(heads));
        let size = value.shape[1] / heads;
        let split = self.reshaped(value, &[rows, heads, size]);
        Ok(self.transposed(split, &[1, 0, 2]))
    }

    /// Rearranges a window that lies in several values to `[heads, rows, size]`: head by head, the rows of
    /// each value are copied once.
    fn key_heads_first(&mut self, id: TensorId, heads: u8) -> Result<Value, String> {
        let tensor = self.tensor(id)?;
        let (rows, heads) = (i32::from(tensor.rows), i32::from(heads));
        let size = i32::from(tensor.cols) / heads;
        let parts = self.parts(&tensor)?;
        let mut split = Vec::new();
        for head in 0..heads {
            for part in &parts {
                split.push(self.slice(part, [0, head * size], [part.shape[0], size]));
            }
        }
        let joined = self.joined(split, tensor);
        Ok(self.reshaped(joined, &[heads, rows, size]))
    }

    pub(super) fn reshaped(&mut self, value: Value, shape: &[i32]) -> Value {
        if value.shape == shape {
            return value;
        }
        let to = self
            .graph
            .constant_i32("shape", &[shape.len() as i32], None, shape);
        self.derived(Operator::Reshape, value, &[to], shape)
    }

    fn transposed(&mut self, value: Value, axes: &[i32]) -> Value {
        let rank = axes.len() as i32;
        let permutation = self.graph.constant_i32("permutation", &[rank], None, axes);
        let shape: Vec<_> = axes
            .iter()
            .map(|&axis| value.shape[axis as usize])
            .collect();
        self.derived(Operator::Transpose, value, &[permutation], &shape)
    }

    /// Adds an operator that puts out the same numbers in another order, or some of them: there is no new
    /// scale.
    pub(super) fn derived(
        &mut self,
        operator: Operator,
        value: Value,
        others: &[TensorIndex],
        shape: &[i32],
    ) -> Value {
        let tensor = self.graph.activation("view", shape, value.quantization());
        let inputs = [&[value.tensor], others].concat();
        self.graph.operator(operator, &inputs, tensor);
        Value {
            tensor,
            shape: shape.to_vec(),
            ..value
        }
    }

    fn scales(&self, ids: [TensorId; 3]) -> Result<[f32; 3], String> {
        let [a, b, c] = ids.map(|id| self.tensor(id).map(|tensor| tensor.scale));
        Ok([a?, b?, c?])
    }

    /// Returns the fused activation that clamps to a quantized range.
    fn activation(&self, output: TensorId, clamp: Clamp) -> Result<Activation, String> {
        let Tensor {
            scale, zero_point, ..
        } = self.tensor(output)?;
        let all = [
            Activation::NONE,
            Activation::RELU,
            Activation::RELU6,
            Activation::RELU_N1_TO_1,
        ];
        let equal =
            |activation: &Activation| activation_range(*activation, scale, zero_point) == clamp;
        let Clamp { min, max } = clamp;
        let none = || format!("no activation of TFLite clamps to {min}..={max}");
        all.into_iter().find(equal).ok_or_else(none)
    }
}

/// Checks that what TFLite computes from the scales is what the device uses.
fn same(tflite: Requantize, plan: Requantize) -> Result<(), String> {
    if tflite == plan {
        return Ok(());
    }
    Err(format!(
        "TFLite computes {tflite:?} from its scales, the image says {plan:?}"
    ))
}
