//! Writes out the operator Attention (opset 23) as exporters of older opsets write it: query and key to
//! scores, mask, softmax, context. What tract makes of the operator does not take every mask.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::Attributes;
use crate::onnx_builder::{OnnxBuilder, WithAttributes};

/// Writes out Attention(query, key, value, mask), of `[1, heads, rows, width]` or `[1, rows, heads * width]`;
/// causal ones and other variants stay.
pub fn write_out(graph: &mut GraphProto) -> Result<(), String> {
    let mut written = OnnxBuilder::default();
    for node in std::mem::take(&mut graph.node) {
        match is_plain(&node)? {
            true => write(&node, &mut written)?,
            false => written.graph.node.push(node),
        }
    }
    graph.node = written.graph.node;
    graph.initializer.extend(written.graph.initializer);
    Ok(())
}

fn is_plain(node: &NodeProto) -> Result<bool, String> {
    let given: Vec<_> = node.input.iter().map(|name| !name.is_empty()).collect();
    Ok(node.op_type == "Attention"
        && node.domain.is_empty()
        && node.output.len() == 1
        && given.len() >= 4
        && given
            .iter()
            .enumerate()
            .all(|(input, &given)| given == (input < 4))
        && node.int("is_causal", 0)? == 0
        && node.float("softcap", 0.0)? == 0.0)
}

fn write(node: &NodeProto, onnx: &mut OnnxBuilder) -> Result<(), String> {
    let output = &node.output[0];
    let part = |part: &str| format!("{output}.{part}");
    let [query, key, value] = [(0, "q_num_heads"), (1, "kv_num_heads"), (2, "kv_num_heads")]
        .map(|(input, attribute)| (node.input[input].clone(), node.int(attribute, 0), input));
    let joined = query.1.clone()? > 0;
    let mut heads_first = |(name, heads, input): (String, Result<i64, String>, usize)| {
        let heads = heads?;
        if heads == 0 {
            return Ok::<_, String>(name);
        }
        let [shape, split, first] =
            ["shape", "split", "first"].map(|part| format!("{output}.{part}_{input}"));
        onnx.ints(&shape, &[0, 0, heads, -1]);
        onnx.node("Reshape", &[&name, &shape], &split);
        let transpose = onnx.node("Transpose", &[&split], &first);
        transpose.ints("perm", &[0, 2, 1, 3]);
        Ok(first)
    };
    let (query, key, value) = (heads_first(query)?, heads_first(key)?, heads_first(value)?);
    // The query over the root of the width, or times what is given.
    let scaled = part("scaled");
    match node.float("scale", 0.0)? {
        0.0 => {
            let names = ["shape", "last", "end", "width", "float", "root"].map(part);
            let [shape, last, end, width, float, root] = &names;
            onnx.node("Shape", &[&key], shape);
            onnx.ints(last, &[-1]);
            onnx.ints(end, &[i64::MAX]);
            onnx.node("Slice", &[shape, last, end], width);
            onnx.node("Cast", &[width], float).int("to", 1);
            onnx.node("Sqrt", &[float], root);
            onnx.node("Div", &[&query, root], &scaled);
        }
        scale => {
            onnx.floats(&part("scale"), &[], &[scale]);
            onnx.node("Mul", &[&query, &part("scale")], &scaled);
        }
    }
    let names = [
        "keys",
        "scores",
        "masked",
        "probabilities",
        "heads",
        "rows",
        "joined",
    ]
    .map(part);
    let [keys, scores, masked, probabilities, heads, rows, shape] = &names;
    let transpose = onnx.node("Transpose", &[&key], keys);
    transpose.ints("perm", &[0, 1, 3, 2]);
    onnx.node("MatMul", &[&scaled, keys], scores);
    onnx.node("Add", &[scores, &node.input[3]], masked);
    let softmax = onnx.node("Softmax", &[masked], probabilities);
    softmax.int("axis", -1);
    if !joined {
        onnx.node("MatMul", &[probabilities, &value], output);
        return Ok(());
    }
    onnx.node("MatMul", &[probabilities, &value], heads);
    let transpose = onnx.node("Transpose", &[heads], rows);
    transpose.ints("perm", &[0, 2, 1, 3]);
    onnx.ints(shape, &[0, 0, -1]);
    onnx.node("Reshape", &[rows, shape], output);
    Ok(())
}
