//! Writes TensorFlow Lite flatbuffers (`TFL3`): a [`Graph`] of tensors and operators becomes bytes.
//!
//! The writer has only what the export and the operator tests need: one subgraph, int8 activations, int8
//! and int32 constants. Tables and numbers are those of `schema.rs`, operator versions those that TFLite's
//! `op_version.cc` gives the int8 forms.

mod operator;

use flatbuffers::{FlatBufferBuilder, Push, Vector, WIPOffset};
pub use operator::{Activation, Operator, activation_range};

use crate::schema::{self, element, slot, table};

/// Number that a tensor has in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorIndex(i32);

/// Quantization that states `real = scale * (q - zero_point)`, for the whole tensor or for each index along
/// `axis`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    scales: Vec<f32>,
    zero_point: i8,
    axis: i32,
}

impl Quantization {
    pub fn per_tensor(scale: f32, zero_point: i8) -> Self {
        Self {
            scales: vec![scale],
            zero_point,
            axis: 0,
        }
    }

    /// Makes a symmetric quantization with a scale for each index along `axis`, for weights and biases.
    pub fn per_axis(scales: Vec<f32>, axis: i32) -> Self {
        Self {
            scales,
            zero_point: 0,
            axis,
        }
    }
}

struct TensorRecord {
    name: String,
    shape: Vec<i32>,
    /// Type of the elements, of [`element`].
    element: i8,
    quantization: Option<Quantization>,
    /// Little-endian bytes that a constant holds.
    data: Option<Vec<u8>>,
}

struct OperatorRecord {
    operator: Operator,
    inputs: Vec<i32>,
    output: i32,
}

/// Model under construction, whose operators run in the order in which they were added.
#[derive(Default)]
pub struct Graph {
    tensors: Vec<TensorRecord>,
    operators: Vec<OperatorRecord>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

impl Graph {
    /// Adds an int8 tensor that an operator computes.
    pub fn activation(&mut self, name: &str, shape: &[i32], q: Quantization) -> TensorIndex {
        self.tensor(name, shape, element::INT8, Some(q), None)
    }

    /// Adds an int8 input of the model.
    pub fn input(&mut self, name: &str, shape: &[i32], q: Quantization) -> TensorIndex {
        let tensor = self.activation(name, shape, q);
        self.inputs.push(tensor.0);
        tensor
    }

    /// Marks a tensor as the model's next output.
    pub fn output(&mut self, tensor: TensorIndex) {
        self.outputs.push(tensor.0);
    }

    /// Marks a tensor as the model's next output, and gives it a name.
    pub fn named_output(&mut self, name: &str, tensor: TensorIndex) {
        self.tensors[tensor.0 as usize].name = name.to_string();
        self.output(tensor);
    }

    pub fn constant_i8(
        &mut self,
        name: &str,
        shape: &[i32],
        q: Quantization,
        data: &[i8],
    ) -> TensorIndex {
        let bytes = data.iter().map(|&value| value as u8).collect();
        self.tensor(name, shape, element::INT8, Some(q), Some(bytes))
    }

    /// Adds a bias (quantized), or a shape, permutation or the like (not quantized).
    pub fn constant_i32(
        &mut self,
        name: &str,
        shape: &[i32],
        q: Option<Quantization>,
        data: &[i32],
    ) -> TensorIndex {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, shape, element::INT32, q, Some(bytes))
    }

    pub fn operator(&mut self, operator: Operator, inputs: &[TensorIndex], output: TensorIndex) {
        self.operators.push(OperatorRecord {
            operator,
            inputs: inputs.iter().map(|tensor| tensor.0).collect(),
            output: output.0,
        });
    }

    fn tensor(
        &mut self,
        name: &str,
        shape: &[i32],
        element: i8,
        quantization: Option<Quantization>,
        data: Option<Vec<u8>>,
    ) -> TensorIndex {
        self.tensors.push(TensorRecord {
            name: name.to_string(),
            shape: shape.to_vec(),
            element,
            quantization,
            data,
        });
        TensorIndex(self.tensors.len() as i32 - 1)
    }

    /// Returns the flatbuffer, in which constants are 16-byte aligned.
    pub fn finish(&self) -> Vec<u8> {
        let fbb = &mut FlatBufferBuilder::new();
        // Buffer 0 is by convention the empty one of all tensors without data.
        let mut buffers = vec![table::<schema::Buffer<'_>>(fbb, |_| {})];
        let mut tensors = Vec::new();
        for tensor in &self.tensors {
            let buffer = match &tensor.data {
                None => 0,
                Some(bytes) => {
                    let data = create_aligned_vector(fbb, bytes);
                    buffers.push(table(fbb, |fbb| {
                        fbb.push_slot_always(slot::buffer::DATA, data);
                    }));
                    buffers.len() as u32 - 1
                }
            };
            tensors.push(create_tensor(fbb, tensor, buffer));
        }

        let mut codes: Vec<Operator> = Vec::new();
        let mut operators = Vec::new();
        for record in &self.operators {
            let builtin = record.operator.builtin();
            let opcode_index = codes.iter().position(|code| code.builtin() == builtin);
            let opcode_index = opcode_index.unwrap_or_else(|| {
                codes.push(record.operator);
                codes.len() - 1
            }) as u32;
            let (options_type, options) = record.operator.create_options(fbb);
            let inputs = fbb.create_vector(&record.inputs);
            let outputs = fbb.create_vector(&[record.output]);
            operators.push(table::<schema::Operator<'_>>(fbb, |fbb| {
                use slot::operator as field;
                if let Some(options) = options {
                    fbb.push_slot_always(field::OPTIONS, options);
                }
                fbb.push_slot_always(field::OUTPUTS, outputs);
                fbb.push_slot_always(field::INPUTS, inputs);
                fbb.push_slot(field::OPCODE_INDEX, opcode_index, 0);
                fbb.push_slot(field::OPTIONS_TYPE, options_type, schema::options::NONE);
            }));
        }
        let codes: Vec<_> = codes
            .iter()
            .map(|code| {
                let (builtin_code, version) = code.builtin();
                table::<schema::OperatorCode<'_>>(fbb, |fbb| {
                    use slot::operator_code as field;
                    fbb.push_slot(field::BUILTIN_CODE, builtin_code, 0);
                    fbb.push_slot(field::VERSION, version, 1);
                    // The field of old readers; all of ours are below 127.
                    let old = builtin_code as i8;
                    fbb.push_slot(field::DEPRECATED_BUILTIN_CODE, old, 0);
                })
            })
            .collect();

        let tensors = fbb.create_vector(&tensors);
        let inputs = fbb.create_vector(&self.inputs);
        let outputs = fbb.create_vector(&self.outputs);
        let operators = fbb.create_vector(&operators);
        let subgraph = table::<schema::SubGraph<'_>>(fbb, |fbb| {
            use slot::subgraph as field;
            fbb.push_slot_always(field::OPERATORS, operators);
            fbb.push_slot_always(field::OUTPUTS, outputs);
            fbb.push_slot_always(field::INPUTS, inputs);
            fbb.push_slot_always(field::TENSORS, tensors);
        });
        let codes = fbb.create_vector(&codes);
        let subgraphs = fbb.create_vector(&[subgraph]);
        let buffers = fbb.create_vector(&buffers);
        let model = table::<schema::Model<'_>>(fbb, |fbb| {
            use slot::model as field;
            fbb.push_slot_always(field::BUFFERS, buffers);
            fbb.push_slot_always(field::SUBGRAPHS, subgraphs);
            fbb.push_slot_always(field::OPERATOR_CODES, codes);
            fbb.push_slot(field::VERSION, 3u32, 0);
        });
        fbb.finish(model, Some(schema::IDENTIFIER));
        fbb.finished_data().to_vec()
    }
}

fn create_tensor<'f>(
    fbb: &mut FlatBufferBuilder<'f>,
    tensor: &TensorRecord,
    buffer: u32,
) -> WIPOffset<schema::Tensor<'f>> {
    let quantization = tensor.quantization.as_ref().map(|q| {
        let zero_points = vec![i64::from(q.zero_point); q.scales.len()];
        let scale = fbb.create_vector(&q.scales);
        let zero_point = fbb.create_vector(&zero_points);
        table::<()>(fbb, |fbb| {
            use slot::quantization as field;
            fbb.push_slot(field::QUANTIZED_DIMENSION, q.axis, 0);
            fbb.push_slot_always(field::ZERO_POINT, zero_point);
            fbb.push_slot_always(field::SCALE, scale);
        })
    });
    let shape = fbb.create_vector(&tensor.shape);
    let name = fbb.create_string(&tensor.name);
    table(fbb, |fbb| {
        use slot::tensor as field;
        if let Some(quantization) = quantization {
            fbb.push_slot_always(field::QUANTIZATION, quantization);
        }
        fbb.push_slot_always(field::NAME, name);
        fbb.push_slot(field::BUFFER, buffer, 0);
        fbb.push_slot_always(field::SHAPE, shape);
        fbb.push_slot(field::TYPE, tensor.element, element::FLOAT32);
    })
}

/// Block of 16 bytes at a 16-byte boundary: the schema's `force_align: 16`, which the generated code leaves
/// to its caller.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; 16]);

impl Push for Block {
    type Output = Block;

    // SAFETY: nothing unsafe is done; the trait only asks its caller for `dst` to be long enough.
    unsafe fn push(&self, dst: &mut [u8], _written_len: usize) {
        dst[..16].copy_from_slice(&self.0);
    }
}

fn create_aligned_vector<'f>(
    fbb: &mut FlatBufferBuilder<'f>,
    bytes: &[u8],
) -> WIPOffset<Vector<'f, u8>> {
    fbb.start_vector::<Block>(bytes.len().div_ceil(16));
    // A flatbuffer is built from its end; the last block is padded with zeros.
    for chunk in bytes.chunks(16).rev() {
        let mut block = Block([0; 16]);
        block.0[..chunk.len()].copy_from_slice(chunk);
        fbb.push(block);
    }
    WIPOffset::new(fbb.end_vector::<Block>(bytes.len()).value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_lie_at_16_byte_boundaries_and_read_back() {
        let mut graph = Graph::default();
        let data: Vec<Vec<i8>> = [1, 15, 16, 17, 33].map(|n| (0..n).collect()).to_vec();
        for constant in &data {
            let q = Quantization::per_tensor(0.5, 3);
            graph.constant_i8("constant", &[constant.len() as i32], q, constant);
        }
        let bytes = graph.finish();
        assert_eq!(&bytes[4..8], b"TFL3");
        let model = schema::model(&bytes).unwrap();
        let buffers = model.buffers().unwrap();
        assert_eq!(buffers.len(), 1 + data.len());
        for (buffer, expected) in buffers.iter().skip(1).zip(&data) {
            let stored = buffer.data().unwrap().bytes();
            assert_eq!(
                stored.iter().map(|&b| b as i8).collect::<Vec<_>>(),
                *expected
            );
            assert_eq!((stored.as_ptr() as usize - bytes.as_ptr() as usize) % 16, 0);
        }
    }
}
