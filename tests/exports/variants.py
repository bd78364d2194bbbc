"""The table of the models that export.py writes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A name starts with the exporter, TorchScript's or dynamo's, and the opset."""

    name: str
    norm: str = "layer"        # before each block and the head
    norm_conv: str = "batch"   # after the depthwise convolution
    norm_layer: bool = False   # at the end of each layer too, as the Conformer's paper has it
    input: str = "cmvn"        # norm of the features
    activation: str = "silu"
    glu: str = "glu"           # F.glu of a linear or (conv) a pointwise convolution, or what is written in its place
    attention: str = "written"
    scale: str = "scores"      # what is scaled, or that scores are divided
    qkv: str = "three"         # linears, or how one linear's output is cut
    position: str = "none"     # what is added to scores beside the mask
    queries: str = "all"       # rows that the last layer computes: all, or the committed ones
    batch: str = "none"        # a dimension of 1: outside (on inputs and outputs), inside of the model only, none
    bias: bool = True          # of linears and convolutions
    fake: str = "none"         # quantization, as in quantization-aware training
    front: str = "none"        # before the first layer
    files: int = 1             # 2: weights beside the model, as dynamo writes them unless told otherwise
    stream: tuple = (4, 6, 2)  # frames: chunk C, cached L, step S
    layers: int = 1
    heads: int = 2
    hidden: int = 8
    ratio: int = 2             # of the feed-forward's width to hidden
    kernel: int = 3
    classes: int = 5
    mels: int = 40


V = Variant
VARIANTS = [
    # TorchScript: no HardSwish and no SDPA before opset 14, no LayerNormalization before 17, no RMSNorm ever.
    V("script11-batchnorm-hardswish", norm="batch", input="batch", activation="hardswish", glu="hard"),
    V("script11-layernorm-relu", norm_conv="layer", activation="relu", stream=(10, 100, 5), hidden=12, heads=4),
    V("script11-pointwise-conv", norm="batch", glu="conv", batch="inside", kernel=7, scale="divide"),
    V("script13-layernorm-silu", norm_layer=True, batch="outside", qkv="chunk", scale="query"),
    V("script13-hardswish-in-pieces", norm="batch", input="batch", activation="hardswish-written", glu="relu6",
      position="table", queries="committed", mels=23),
    V("script13-relu6-without-biases", norm="rms-written", activation="relu6", glu="linears", bias=False, heads=1),
    V("script15-layernorm-written", norm="layer-written", norm_conv="layer-written", glu="chunk", stream=(5, 50, 3)),
    V("script15-sdpa", norm_layer=True, attention="sdpa", position="gathered", stream=(16, 32, 8)),
    V("script15-one-frame", norm="rms-written", norm_conv="rms-written", qkv="split", stream=(1, 20, 1), kernel=15,
      classes=2),
    V("script17-layernorm-silu", batch="inside", position="gathered", stream=(5, 50, 3), heads=4, layers=2),
    V("script17-pointwise-conv-sdpa", norm_layer=True, glu="conv", attention="sdpa", qkv="chunk", batch="outside",
      classes=35),
    V("script17-three-layers", norm="batch", input="none", activation="hardswish", glu="linears", stream=(10, 100, 10),
      layers=3),
    V("script17-rmsnorm-relu", norm="rms-written", norm_conv="none", activation="relu", qkv="chunk", scale="query",
      queries="committed", stream=(10, 100, 5), kernel=31),
    V("script18-layernorm-sdpa", norm_conv="layer", input="layer", glu="linears", attention="sdpa", position="table",
      queries="committed", mels=64),
    V("script18-layernorm-variance", norm="layer-variance", norm_conv="layer", activation="hardswish", glu="hard",
      position="embedding", scale="divide", hidden=16, heads=8, ratio=1, mels=23),
    V("script18-batchnorm-batch", norm="batch", input="batch", glu="conv", batch="outside", queries="committed",
      bias=False, kernel=15),
    # Dynamo: RMSNormalization and Attention from opset 23 on.
    V("dynamo18-batchnorm-hardswish", norm="batch", input="batch", activation="hardswish", glu="hard",
      position="gathered", queries="committed", stream=(5, 50, 3), layers=2),
    V("dynamo18-layernorm-silu", norm_layer=True, qkv="chunk", stream=(10, 100, 5), layers=2),
    V("dynamo18-two-files", norm_layer=True, qkv="chunk", stream=(10, 100, 5), layers=2, files=2),
    V("dynamo18-layernorm-written", norm="layer-written", norm_conv="layer", glu="chunk", position="embedding",
      batch="inside"),
    V("dynamo18-layernorm-variance", norm="layer-variance", activation="hardswish-written", glu="relu6",
      scale="query", queries="committed"),
    V("dynamo18-pointwise-conv", input="batch", glu="conv", attention="sdpa", batch="outside", kernel=7, classes=12),
    V("dynamo18-rmsnorm-sdpa", norm="rms", norm_conv="rms", attention="sdpa", qkv="split", bias=False, mels=80),
    V("dynamo20-layernorm-relu", norm_conv="none", activation="relu", glu="linears", position="table", scale="divide",
      hidden=24, heads=4, ratio=1),
    V("dynamo20-rmsnorm-written", norm="rms-written", norm_conv="rms-written", batch="outside", stream=(16, 32, 8),
      heads=8, hidden=16, ratio=1),
    V("dynamo20-batchnorm-sdpa", norm="batch", input="batch", activation="relu6", attention="sdpa", batch="inside",
      stream=(10, 100, 10)),
    V("dynamo21-layernorm-sdpa", attention="sdpa", position="table", queries="committed", layers=2, ratio=4),
    V("dynamo21-one-frame", input="layer", activation="hardswish", glu="hard", stream=(1, 20, 1), kernel=31, heads=1,
      classes=2),
    V("dynamo21-rmsnorm-batch", norm="rms", norm_conv="layer", norm_layer=True, glu="linears", scale="query",
      batch="outside"),
    V("dynamo23-rmsnorm-attention", norm="rms", norm_conv="rms", norm_layer=True, attention="sdpa-expanded", layers=2),
    V("dynamo23-layernorm-attention", attention="sdpa", position="gathered", qkv="chunk", batch="outside",
      stream=(5, 50, 3)),
    V("dynamo23-batchnorm-relu", norm="batch", input="batch", activation="relu", glu="conv", batch="inside", kernel=15),
    V("dynamo24-layernorm-silu", norm_layer=True, glu="chunk", position="table", batch="inside", layers=3),
    V("dynamo24-rmsnorm-attention", norm="rms", activation="hardswish", attention="sdpa", position="embedding",
      queries="committed", bias=False),
    # Of quantization-aware training.
    V("script13-fake-int8", fake="int8", norm="batch", input="batch", activation="hardswish", glu="hard"),
    V("script17-fake-uint8-channels", fake="uint8", position="table", batch="inside"),
    V("dynamo18-fake-uint8-channels", fake="uint8", norm="batch", activation="relu", glu="conv", batch="outside"),
    V("dynamo21-fake-int8", fake="int8", norm="rms", glu="linears", attention="sdpa"),
    # To be refused, each for one thing.
    V("script17-unsupported-lstm", front="lstm"),
    V("dynamo18-unsupported-lstm", front="lstm"),
    V("script17-unsupported-conv2d", front="conv2d"),
    V("dynamo18-unsupported-conv2d", front="conv2d"),
    V("script17-unsupported-gelu", activation="gelu"),
    V("dynamo20-unsupported-gelu", activation="gelu"),
    V("dynamo18-unsupported-padded-conv", glu="padded"),
    V("script17-unsupported-dynamic-axes", front="dynamic"),
]
