//! Names what Zerda writes and reads of TensorFlow Lite's flatbuffers, file identifier `TFL3`.
//!
//! Tables, slots and numbers are those of TensorFlow's `schema.fbs` (version 3): a field's slot is 4 + 2 n, where n is
//! its place in the table, from 0. Only what is used is here, in place of the 22,000 lines that the schema's own
//! compiler generates: those come with a crate that needs all of tract.

use flatbuffers::{
    FlatBufferBuilder, Follow, ForwardsUOffset, InvalidFlatbuffer, TableFinishedWIPOffset, Vector,
    Verifiable, Verifier, WIPOffset,
};

/// Identifier that a file has at bytes 4 to 8.
pub const IDENTIFIER: &str = "TFL3";

/// Numbers that stand for the types of elements.
pub mod element {
    pub const FLOAT32: i8 = 0;
    pub const INT32: i8 = 2;
    pub const INT8: i8 = 9;
}

/// The padding of a convolution that adds nothing.
pub const VALID: i8 = 1;

/// Activation that is fused into an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation(pub i8);

impl Activation {
    pub const NONE: Activation = Activation(0);
    pub const RELU: Activation = Activation(1);
    pub const RELU_N1_TO_1: Activation = Activation(2);
    pub const RELU6: Activation = Activation(3);
}

/// Numbers that stand for the members of the union of the operators' options.
pub mod options {
    pub const NONE: u8 = 0;
    pub const DEPTHWISE_CONV_2D: u8 = 2;
    pub const FULLY_CONNECTED: u8 = 8;
    pub const SOFTMAX: u8 = 9;
    pub const CONCATENATION: u8 = 10;
    pub const ADD: u8 = 11;
    pub const RESHAPE: u8 = 17;
    pub const MUL: u8 = 21;
    pub const TRANSPOSE: u8 = 26;
    pub const MAXIMUM_MINIMUM: u8 = 39;
    pub const SLICE: u8 = 48;
    pub const HARD_SWISH: u8 = 91;
    pub const BATCH_MATMUL: u8 = 101;
}

/// Holds the slot that each field has in its table, table by table.
pub mod slot {
    /// Holds the slots that the fields of `Model` have.
    pub mod model {
        pub const VERSION: u16 = 4;
        pub const OPERATOR_CODES: u16 = 6;
        pub const SUBGRAPHS: u16 = 8;
        pub const BUFFERS: u16 = 12;
        pub const METADATA: u16 = 16;
    }
    /// Holds the slots that the fields of `SubGraph` have.
    pub mod subgraph {
        pub const TENSORS: u16 = 4;
        pub const INPUTS: u16 = 6;
        pub const OUTPUTS: u16 = 8;
        pub const OPERATORS: u16 = 10;
    }
    /// Holds the slots that the fields of `Tensor` have.
    pub mod tensor {
        pub const SHAPE: u16 = 4;
        pub const TYPE: u16 = 6;
        pub const BUFFER: u16 = 8;
        pub const NAME: u16 = 10;
        pub const QUANTIZATION: u16 = 12;
    }
    /// Holds the slots that the fields of `QuantizationParameters` have.
    pub mod quantization {
        pub const SCALE: u16 = 8;
        pub const ZERO_POINT: u16 = 10;
        pub const QUANTIZED_DIMENSION: u16 = 16;
    }
    /// Holds the slots that the fields of `Buffer` have.
    pub mod buffer {
        pub const DATA: u16 = 4;
    }
    /// Holds the slots that the fields of `OperatorCode` have.
    pub mod operator_code {
        pub const DEPRECATED_BUILTIN_CODE: u16 = 4;
        pub const CUSTOM_CODE: u16 = 6;
        pub const VERSION: u16 = 8;
        pub const BUILTIN_CODE: u16 = 10;
    }
    /// Holds the slots that the fields of `Operator` have.
    pub mod operator {
        pub const OPCODE_INDEX: u16 = 4;
        pub const INPUTS: u16 = 6;
        pub const OUTPUTS: u16 = 8;
        pub const OPTIONS_TYPE: u16 = 10;
        pub const OPTIONS: u16 = 12;
    }
    /// Holds the slots that tables of options have: of `AddOptions`, `FullyConnectedOptions` and `MulOptions` that of the activation.
    pub mod options {
        pub const ACTIVATION: u16 = 4;
        pub const CONCATENATION_AXIS: u16 = 4;
        pub const SOFTMAX_BETA: u16 = 4;
        pub const BATCH_MATMUL_ADJ_Y: u16 = 6;
    }
    /// Holds the slots that the fields of `DepthwiseConv2DOptions` have.
    pub mod depthwise_conv_2d {
        pub const PADDING: u16 = 4;
        pub const STRIDE_W: u16 = 6;
        pub const STRIDE_H: u16 = 8;
        pub const DEPTH_MULTIPLIER: u16 = 10;
        pub const ACTIVATION: u16 = 12;
    }
    /// Holds the slots that the fields of `Metadata` have.
    pub mod metadata {
        pub const NAME: u16 = 4;
        pub const BUFFER: u16 = 6;
    }
}

/// Writes one table: `fields` pushes its fields, the widest first, and leaves out those that have their default.
pub fn table<'f, T>(
    fbb: &mut FlatBufferBuilder<'f>,
    fields: impl FnOnce(&mut FlatBufferBuilder<'f>),
) -> WIPOffset<T> {
    let start: WIPOffset<flatbuffers::TableUnfinishedWIPOffset> = fbb.start_table();
    fields(fbb);
    let end: WIPOffset<TableFinishedWIPOffset> = fbb.end_table(start);
    WIPOffset::new(end.value())
}

/// Declares a table that is read: its fields, with type and slot; each is `None` where the file leaves it out.
macro_rules! read {
    ($(#[$doc:meta])* $name:ident<$life:lifetime> { $($field:ident: $kind:ty = $slot:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<$life>(flatbuffers::Table<$life>);

        impl<$life> Follow<$life> for $name<$life> {
            type Inner = Self;

            unsafe fn follow(bytes: &$life [u8], at: usize) -> Self {
                // SAFETY: the caller vouches that a table of this kind is at `at`.
                $name(unsafe { flatbuffers::Table::new(bytes, at) })
            }
        }

        impl<$life> Verifiable for $name<$life> {
            fn run_verifier(verifier: &mut Verifier, at: usize) -> Result<(), InvalidFlatbuffer> {
                let table = verifier.visit_table(at)?;
                $(let table = table.visit_field::<$kind>(stringify!($field), $slot, false)?;)*
                table.finish();
                Ok(())
            }
        }

        impl<$life> $name<$life> {
            $(pub fn $field(&self) -> Option<<$kind as Follow<$life>>::Inner> {
                // SAFETY: a value of this kind was verified to be in this slot.
                unsafe { self.0.get::<$kind>($slot, None) }
            })*
        }
    };
}

/// The type of a field that is a vector of scalars.
type Values<'a, T> = ForwardsUOffset<Vector<'a, T>>;
/// The type of a field that is a vector of tables.
type Tables<'a, T> = ForwardsUOffset<Vector<'a, ForwardsUOffset<T>>>;
/// The type of a field that is text.
type Text<'a> = ForwardsUOffset<&'a str>;

read! {
    /// The model that a file holds.
    Model<'a> {
        operator_codes: Tables<'a, OperatorCode<'a>> = slot::model::OPERATOR_CODES;
        subgraphs: Tables<'a, SubGraph<'a>> = slot::model::SUBGRAPHS;
        buffers: Tables<'a, Buffer<'a>> = slot::model::BUFFERS;
        metadata: Tables<'a, Metadata<'a>> = slot::model::METADATA;
    }
}
read! {
    /// A graph, which has tensors and operators.
    SubGraph<'a> {
        tensors: Tables<'a, Tensor<'a>> = slot::subgraph::TENSORS;
        inputs: Values<'a, i32> = slot::subgraph::INPUTS;
        outputs: Values<'a, i32> = slot::subgraph::OUTPUTS;
        operators: Tables<'a, Operator<'a>> = slot::subgraph::OPERATORS;
    }
}
read! {
    /// A tensor that a graph has.
    Tensor<'a> {
        shape: Values<'a, i32> = slot::tensor::SHAPE;
        buffer: u32 = slot::tensor::BUFFER;
        name: Text<'a> = slot::tensor::NAME;
    }
}
read! {
    /// The data that a constant tensor or metadata has.
    Buffer<'a> {
        data: Values<'a, u8> = slot::buffer::DATA;
    }
}
read! {
    /// A kind that operators are of.
    OperatorCode<'a> {
        custom_code: Text<'a> = slot::operator_code::CUSTOM_CODE;
        builtin_code: i32 = slot::operator_code::BUILTIN_CODE;
    }
}
read! {
    /// An operator that a graph has.
    Operator<'a> {
        opcode_index: u32 = slot::operator::OPCODE_INDEX;
        inputs: Values<'a, i32> = slot::operator::INPUTS;
        outputs: Values<'a, i32> = slot::operator::OUTPUTS;
    }
}
read! {
    /// Named bytes that whoever made the file left in it.
    Metadata<'a> {
        name: Text<'a> = slot::metadata::NAME;
        buffer: u32 = slot::metadata::BUFFER;
    }
}

/// Reads a file, and verifies all that can be read of it.
pub fn model(bytes: &[u8]) -> Result<Model<'_>, InvalidFlatbuffer> {
    flatbuffers::root::<Model<'_>>(bytes)
}

/// Returns the name of a builtin operator.
pub fn builtin_name(code: i32) -> Option<&'static str> {
    BUILTIN.split(' ').nth(usize::try_from(code).ok()?)
}

/// Returns the number of a builtin operator.
///
/// # Panics
///
/// Panics if there is none of that name.
pub fn builtin_code(name: &str) -> i32 {
    let place = BUILTIN.split(' ').position(|builtin| builtin == name);
    place.expect("a builtin operator") as i32
}

/// Names of the builtin operators, from number 0 on.
const BUILTIN: &str = "\
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE \
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D \
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 \
    RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM \
    EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND \
    TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN \
    EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX \
    MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV \
    SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT \
    REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV \
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU \
    SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU \
    REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE \
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL \
    PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS \
    HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE \
    READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM \
    MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX \
    UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT";
