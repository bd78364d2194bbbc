//! Reads what Vela makes of a model: a TFLite file with one operator `ethos-u`, and beside it those that it
//! leaves to the CPU.

use crate::schema;

/// Command stream that Vela made, and what it works on.
#[derive(Debug)]
pub struct Compiled {
    /// Payload that the driver reads: `COP1`, driver actions, command stream.
    pub payload: Vec<u8>,
    /// Constants that region 0 holds: weights, scales, tables.
    pub constants: Vec<u8>,
    /// Bytes of the one buffer that all else lies in, regions 1 and 2.
    pub scratch_bytes: u32,
    /// Inputs that the model has, then its outputs: name, offset in the scratch buffer, and bytes of each.
    pub io: Vec<(String, u32, u32)>,
}

impl Compiled {
    /// Reads a file of Vela's.
    ///
    /// # Errors
    ///
    /// Names the operators that are left to the CPU, or says what is not as Vela 5.2.0 writes it.
    pub fn read(bytes: &[u8]) -> Result<Compiled, String> {
        let model = schema::model(bytes).map_err(|error| format!("its TFLite: {error}"))?;
        let graph = model.subgraphs().and_then(|graphs| graphs.iter().next());
        let file = File {
            model,
            graph: graph.ok_or("its TFLite has no graph")?,
        };
        let operators: Vec<_> = file.graph.operators().into_iter().flatten().collect();
        let left = operators.iter().filter(|operator| !file.is_npu(operator));
        let left: Vec<_> = left.map(|operator| file.describe(operator)).collect();
        if !left.is_empty() {
            return Err(format!(
                "{} of the step's operators would be left to the CPU: {}",
                left.len(),
                left.join(", ")
            ));
        }
        let [operator] = operators[..] else {
            return Err(format!("{} operators ethos-u, expected 1", operators.len()));
        };
        let inputs = indices(operator.inputs());
        let [payload, constants, scratch, fast, ..] = inputs[..] else {
            return Err("its operator lacks inputs".into());
        };
        if fast != scratch {
            return Err("it wants a second buffer for its scratch memory".into());
        }
        let offsets = file.offsets()?;
        let io = [file.graph.inputs(), file.graph.outputs()].map(indices);
        let io = io.concat().into_iter().map(|index| {
            let tensor = file.tensor(index)?;
            let name = tensor.name().unwrap_or_default().to_string();
            let offset = offsets.get(index as usize).copied();
            let offset = offset.and_then(|offset| u32::try_from(offset).ok());
            let offset = offset.ok_or_else(|| format!("its {name} has no place"))?;
            Ok((name, offset, elements(&tensor)?))
        });
        Ok(Compiled {
            payload: file.data(payload)?,
            constants: file.data(constants)?,
            scratch_bytes: elements(&file.tensor(scratch)?)?,
            io: io.collect::<Result<_, String>>()?,
        })
    }
}

struct File<'a> {
    model: schema::Model<'a>,
    graph: schema::SubGraph<'a>,
}

impl<'a> File<'a> {
    fn code(&self, operator: &schema::Operator<'_>) -> Option<schema::OperatorCode<'a>> {
        let mut codes = self.model.operator_codes()?.iter();
        codes.nth(operator.opcode_index().unwrap_or(0) as usize)
    }

    fn is_npu(&self, operator: &schema::Operator<'_>) -> bool {
        let code = self.code(operator);
        code.is_some_and(|code| code.custom_code() == Some("ethos-u"))
    }

    /// Returns the operator's name and that of its first output.
    fn describe(&self, operator: &schema::Operator<'_>) -> String {
        let code = self.code(operator);
        let name = code.and_then(|code| schema::builtin_name(code.builtin_code().unwrap_or(0)));
        let output = indices(operator.outputs()).first().copied();
        let output = output.and_then(|output| self.tensor(output).ok()?.name());
        format!("{} ({})", name.unwrap_or("?"), output.unwrap_or("?"))
    }

    fn tensor(&self, index: i32) -> Result<schema::Tensor<'a>, String> {
        let index = usize::try_from(index).ok();
        let tensor = index.and_then(|index| self.graph.tensors()?.iter().nth(index));
        tensor.ok_or_else(|| "its TFLite lacks a tensor".into())
    }

    fn data(&self, index: i32) -> Result<Vec<u8>, String> {
        let data = self.buffer(self.tensor(index)?.buffer().unwrap_or(0));
        data.ok_or_else(|| "its operator lacks data".into())
    }

    fn buffer(&self, index: u32) -> Option<Vec<u8>> {
        let buffer = self.model.buffers()?.iter().nth(index as usize)?;
        Some(buffer.data()?.bytes().to_vec())
    }

    /// Returns the offset of each tensor in the scratch buffer: i32 numbers, behind version, graph and
    /// their count.
    fn offsets(&self) -> Result<Vec<i32>, String> {
        const NAME: &str = "OfflineMemoryAllocation";
        let mut records = self.model.metadata().into_iter().flatten();
        let record = records.find(|record| record.name() == Some(NAME));
        let bytes = record.and_then(|record| self.buffer(record.buffer().unwrap_or(0)));
        let bytes = bytes.ok_or_else(|| format!("its TFLite lacks {NAME}"))?;
        let (words, _) = bytes.as_chunks();
        let words = words.iter().map(|&word| i32::from_le_bytes(word));
        Ok(words.skip(3).collect())
    }
}

fn indices(list: Option<flatbuffers::Vector<'_, i32>>) -> Vec<i32> {
    list.into_iter().flatten().collect()
}

fn elements(tensor: &schema::Tensor<'_>) -> Result<u32, String> {
    let mut shape = tensor.shape().into_iter().flatten();
    let elements = shape.try_fold(1u32, |n, side| n.checked_mul(side.try_into().ok()?));
    elements.ok_or_else(|| "a tensor of its TFLite is too large".into())
}
