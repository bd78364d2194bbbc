//! Imports an ONNX model as a [`Graph`]: every value is a tensor of the graph, a strided view of one, or a
//! constant.
//!
//! Work that the device need not do is folded here: affines into the linear beside them, a hard sigmoid
//! into its linear's range, slices and transposes into views, concatenations into cache windows; what
//! exporters write in pieces (norms, SiLU, attention) is put together again. Everything else is an error
//! that says which node it is and what the nearest supported thing is.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::Tensor as Constant;
use zerda_quantize::functions::PROBABILITY;
use zerda_quantize::graph::{Function, Graph, Id, Linear, Op, Place, Quantization, Tensor, Window};
use zerda_support::error::{Error, Result};

use super::onnx::{Onnx, input_shape};
use super::view::{self, View};

mod activation;
mod attention;
mod centring;
mod contract;
mod elementwise;
mod fake;
mod linear;
mod messages;
mod norm;
mod shape;

/// A result whose error is a reason; the import adds file and node.
type Reason<T> = std::result::Result<T, String>;

/// Meaning that the name of an ONNX value has.
#[derive(Clone)]
enum Value {
    Constant(Arc<Constant>),
    Tensor(Operand),
    Gate(activation::Gate),
    Moment(norm::Moment),
    /// Is the graph's `mask` in any shape, plus a constant table if one was added.
    Mask(Option<Arc<Constant>>),
    /// Is a cache input before the new rows are put after it: its number, and how its elements are seen.
    Cache(usize, View),
}

/// Value that the graph computes, as the ONNX sees it.
#[derive(Clone)]
struct Operand {
    view: View,
    /// Says that nothing but its reader needs it, so that it may be changed instead of computed upon.
    sole: bool,
    /// Affine that is still to be applied: the linear that reads the value takes it in.
    affine: Option<linear::Affine>,
    /// Says whether the mask was added.
    masked: bool,
}

/// Cache that the ONNX has as an input.
struct Cache {
    name: String,
    elements: usize,
    window: Option<shape::CacheWindow>,
}

struct Importer<'a> {
    onnx: &'a Onnx,
    values: HashMap<String, Value>,
    caches: Vec<Cache>,
    graph: Graph,
    /// Number of keys that a query sees, L + C.
    keys: usize,
    /// Scores whose query nothing else reads.
    own_queries: Vec<Id>,
    /// Linears that take the mean off for layer norms.
    centrings: Vec<centring::Centring>,
    /// Tensors whose quantization the ONNX gives.
    given: HashSet<Id>,
    /// Scales that the ONNX gives for weights, by the constant's name.
    weight_scales: HashMap<String, fake::WeightScales>,
}

/// Imports an ONNX model; errors name the file `path` and the node. `scale` is that of the features
/// (`zerda.front_end` range / 255), whose zero point is 127.
pub fn import(path: &Path, onnx: &Onnx, scale: f32) -> Result<Graph> {
    let in_file = |reason: String| Error::usage(format!("{}: {reason}", path.display()));
    let mut importer = Importer::new(onnx, scale).map_err(in_file)?;
    for node in &onnx.graph.node {
        let at = importer.size();
        let outputs = importer.node(node);
        let outputs = outputs.and_then(|outputs| importer.within_limits(at).map(|()| outputs));
        let outputs = outputs.map_err(|reason| in_file(importer.at(node, &reason)))?;
        for (name, value) in node.output.iter().zip(outputs) {
            importer.values.insert(name.clone(), value);
        }
    }
    importer.finish().map_err(in_file)
}

impl<'a> Importer<'a> {
    fn new(onnx: &'a Onnx, scale: f32) -> Reason<Self> {
        let graph = Graph::empty();
        let values = onnx.initializers()?;
        let values = values
            .into_iter()
            .map(|(name, tensor)| (name, Value::Constant(tensor)));
        let (values, caches) = (values.collect(), Vec::new());
        let mut importer = Importer {
            onnx,
            values,
            caches,
            graph,
            keys: 0,
            own_queries: Vec::new(),
            centrings: Vec::new(),
            given: HashSet::new(),
            weight_scales: HashMap::new(),
        };
        for input in &onnx.graph.input {
            if importer.values.contains_key(&input.name) {
                continue;
            }
            let shape = input_shape(input)?;
            let wrong = |expected: &str| {
                let name = &input.name;
                format!("input `{name}` is {shape:?}; expected {expected}, after dimensions of 1")
            };
            let elements = view::elements(&shape);
            onnx.budget.take(elements as u64)?;
            let value = match (input.name.as_str(), &shape[..]) {
                ("features", &[.., rows, cols]) if rows.saturating_mul(cols) == elements => {
                    let view = importer.features(rows, cols, scale);
                    importer.named("features", view.reshape(&shape).ok_or("no view")?)
                }
                ("features", _) => return Err(wrong("[C, mels]")),
                ("mask", &[.., cols]) if cols == elements => {
                    importer.keys = cols;
                    Value::Mask(None)
                }
                ("mask", _) => return Err(wrong("[1, L + C]")),
                (name, _) => {
                    importer.caches.push(Cache {
                        name: name.into(),
                        elements,
                        window: None,
                    });
                    let view = View::all(0, 1, elements).reshape(&shape).ok_or("no view")?;
                    Value::Cache(importer.caches.len() - 1, view)
                }
            };
            importer.values.insert(input.name.clone(), value);
        }
        if importer.graph.windows.is_empty() || importer.keys < importer.chunk() {
            return Err("expected the inputs `features` [C, mels] and `mask` [1, L + C]".into());
        }
        importer.within_limits((0, 0))?;
        Ok(importer)
    }

    fn features(&mut self, rows: usize, cols: usize, scale: f32) -> View {
        let place = Place::Window {
            window: 0,
            first: 0,
        };
        let id = self.add_tensor(rows, cols, place);
        self.graph.windows.push(Window {
            tensor: id,
            newest: id,
        });
        self.graph.features = id;
        self.graph.tensors[id].fixed = Some(Quantization {
            scale,
            zero_point: 127,
        });
        View::all(id, rows, cols)
    }

    fn chunk(&self) -> usize {
        self.graph.tensors[self.graph.features].rows
    }

    fn node(&mut self, node: &NodeProto) -> Reason<Vec<Value>> {
        if node.output.is_empty() {
            return Err("it has no output".into());
        }
        let one = |value| vec![value];
        if let ("Identity", Some(fake)) = (&*node.op_type, self.onnx.fakes.get(&node.output[0])) {
            return self.fake_quantized(node, fake).map(one);
        }
        let constant = |name: &String| match self.values.get(name) {
            Some(Value::Constant(constant)) => Some(constant.clone()),
            _ => None,
        };
        let inputs = node.input.iter().filter(|name| !name.is_empty());
        if node.op_type != "Identity"
            && let Some(inputs) = inputs.map(constant).collect::<Option<Vec<_>>>()
            && let Some(outputs) = self.onnx.evaluate(node, &inputs)?
        {
            self.keep_weight_scales(node)?;
            return Ok(outputs.into_iter().map(Value::Constant).collect());
        }
        match node.op_type.as_str() {
            "Identity" | "Dropout" | "Cast" => self.take(node, 0).map(one),
            "Shape" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Slice"
            | "Gather" | "Expand" => self.reshaping(node).map(one),
            "Split" => self.split(node),
            "Concat" => self.window(node).map(one),
            "Gemm" => self.gemm(node).map(one),
            "MatMul" => self.mat_mul(node).map(one),
            "Conv" => self.conv(node).map(one),
            "BatchNormalization" => self.batch_norm(node).map(one),
            "LayerNormalization" | "RMSNormalization" => self.norm(node).map(one),
            "ReduceMean" | "Pow" | "Sqrt" | "Reciprocal" => self.moment(node).map(one),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node).map(one),
            "Clip" | "Relu" | "HardSigmoid" | "HardSwish" | "Sigmoid" | "Swish" => {
                self.activation(node).map(one)
            }
            "Softmax" => self.softmax(node).map(one),
            other => Err(messages::unsupported(other)),
        }
    }

    /// Returns the value of an input.
    fn take(&self, node: &NodeProto, input: usize) -> Reason<Value> {
        let name = node
            .input
            .get(input)
            .ok_or_else(|| format!("it has no input {input}"))?;
        let value = self.values.get(name).cloned();
        let mut value =
            value.ok_or_else(|| format!("its input `{name}` is not computed before it"))?;
        if let Value::Tensor(operand) = &mut value {
            operand.sole &= self.is_read_once(name);
        }
        Ok(value)
    }

    /// Says whether one node alone reads a value; asking for its shape does not count.
    fn is_read_once(&self, name: &str) -> bool {
        self.onnx.uses.get(name) == Some(&1)
    }

    fn constant(&self, node: &NodeProto, input: usize) -> Reason<Option<Arc<Constant>>> {
        match node
            .input
            .get(input)
            .filter(|name| !name.is_empty())
            .map(|_| self.take(node, input))
        {
            None => Ok(None),
            Some(Ok(Value::Constant(constant))) => Ok(Some(constant)),
            Some(Ok(_)) => Err(format!("input `{}` must be a constant", node.input[input])),
            Some(Err(reason)) => Err(reason),
        }
    }

    /// Returns the value of an input as a tensor; a gate or a piece of a norm is computed first.
    fn operand(&mut self, node: &NodeProto, input: usize) -> Reason<Operand> {
        match self.take(node, input)? {
            Value::Tensor(operand) => Ok(operand),
            Value::Gate(gate) => {
                let operand = self.gate_value(gate)?;
                Ok(self.remember(&node.input[input], operand))
            }
            Value::Moment(moment) => {
                let operand = self.moment_value(moment)?;
                Ok(self.remember(&node.input[input], operand))
            }
            Value::Constant(_) => Err(format!("input `{}` is a constant", node.input[input])),
            Value::Mask(_) => Err("`mask` can only be added to attention scores".into()),
            Value::Cache(cache, _) => Err(format!(
                "cache `{}` is read before new rows are concatenated to it; \
                 supported is Concat(cache, rows) along the rows, read as a whole",
                self.caches[cache].name
            )),
        }
    }

    /// Lets the name of a value stand for `operand` from now on.
    fn remember(&mut self, name: &str, operand: Operand) -> Operand {
        let sole = operand.sole && self.is_read_once(name);
        let value = Value::Tensor(operand.clone());
        self.values.insert(name.into(), value);
        Operand { sole, ..operand }
    }

    /// Returns an operand with nothing left to fold.
    fn settled(&mut self, node: &NodeProto, input: usize) -> Reason<Operand> {
        let operand = self.operand(node, input)?;
        match operand.affine {
            None => Ok(operand),
            Some(_) => {
                let operand = self.channelwise(&node.input[input], operand)?;
                Ok(self.remember(&node.input[input], operand))
            }
        }
    }

    fn add_tensor(&mut self, rows: usize, cols: usize, place: Place) -> Id {
        let (name, fixed, keys) = (String::new(), None, false);
        self.graph.tensors.push(Tensor {
            name,
            rows,
            cols,
            place,
            fixed,
            keys,
        });
        self.graph.tensors.len() - 1
    }

    /// Adds a tensor, all of which the ONNX value `name` sees through `view` (of tensor 0 so far).
    fn computed(&mut self, name: &str, rows: usize, cols: usize, view: View) -> (Id, Value) {
        let id = self.add_tensor(rows, cols, Place::Own);
        (id, self.named(name, View { tensor: id, ..view }))
    }

    /// Returns the value `name`, which is all of a tensor and which nothing reads so far.
    fn named(&mut self, name: &str, view: View) -> Value {
        Value::Tensor(self.named_operand(name, view))
    }

    fn named_operand(&mut self, name: &str, view: View) -> Operand {
        self.graph.tensors[view.tensor].name = name.into();
        Operand {
            view,
            sole: true,
            affine: None,
            masked: false,
        }
    }

    fn shape(&self, id: Id) -> (usize, usize) {
        (self.graph.tensors[id].rows, self.graph.tensors[id].cols)
    }

    /// Returns the rows that an operand views, as a tensor.
    fn rows(&mut self, operand: &Operand) -> Reason<Id> {
        let of = operand.view.tensor;
        let (rows, cols) = (self.graph.tensors[of].rows, self.graph.tensors[of].cols);
        let Some((first, count)) = operand.view.as_rows(cols) else {
            return Err(format!(
                "it reads {:?} out of [{rows}, {cols}] in an order that would need a copy; \
                 supported are whole rows [frames, channels]",
                operand.view.shape()
            ));
        };
        Ok(self.rows_of(of, first, count))
    }

    fn rows_of(&mut self, of: Id, first: usize, count: usize) -> Id {
        let Tensor {
            rows, cols, keys, ..
        } = self.graph.tensors[of];
        if (first, count) == (0, rows) {
            return of;
        }
        let place = Place::Rows { of, first };
        let same = |tensor: &Tensor| tensor.place == place && tensor.rows == count;
        match self.graph.tensors.iter().position(same) {
            Some(id) => id,
            None => {
                let id = self.add_tensor(count, cols, place);
                self.graph.tensors[id].keys = keys;
                id
            }
        }
    }
}
