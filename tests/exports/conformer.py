"""A streaming Conformer with the choices of a Variant, each written as one meets it."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from variants import Variant


class BatchNorm(nn.BatchNorm1d):
    """Of rows, [T, H] or [1, T, H]."""

    def forward(self, x):
        return super().forward(x) if x.dim() == 2 else super().forward(x.transpose(1, 2)).transpose(1, 2)


class RMSNorm(nn.Module):
    def __init__(self, hidden: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class LayerNorm(nn.Module):
    def __init__(self, hidden: int, variance: bool = False):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))
        self.variance = variance

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        if self.variance:
            variance = x.var(-1, keepdim=True, unbiased=False)
        else:
            variance = (x - mean).pow(2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class Cmvn(nn.Module):
    """Mean and variance of the features over some training set."""

    def __init__(self, mels: int):
        super().__init__()
        self.register_buffer("mean", torch.rand(mels) - 5.5)
        self.register_buffer("istd", 0.3 + 0.1 * torch.rand(mels))

    def forward(self, x):
        return (x - self.mean) * self.istd


class HardSwish(nn.Module):
    def forward(self, x):
        return x * F.relu6(x + 3) / 6


def norm(kind: str, width: int) -> nn.Module:
    return {
        "batch": BatchNorm, "cmvn": Cmvn, "layer": nn.LayerNorm, "layer-written": LayerNorm,
        "layer-variance": lambda width: LayerNorm(width, variance=True), "none": nn.Identity,
        "rms": nn.RMSNorm, "rms-written": RMSNorm,
    }[kind](width)


def activation(v: Variant) -> nn.Module:
    return {"silu": nn.SiLU, "hardswish": nn.Hardswish, "hardswish-written": HardSwish, "relu": nn.ReLU,
            "relu6": nn.ReLU6, "gelu": nn.GELU}[v.activation]()


class FeedForward(nn.Sequential):
    def __init__(self, v: Variant):
        wide = v.ratio * v.hidden
        super().__init__(norm(v.norm, v.hidden), nn.Linear(v.hidden, wide, v.bias), activation(v),
                         nn.Linear(wide, v.hidden, v.bias))


class Attention(nn.Module):
    def __init__(self, v: Variant):
        super().__init__()
        (chunk, cached, _), hidden = v.stream, v.hidden
        self.v, self.norm = v, norm(v.norm, hidden)
        if v.qkv == "three":
            self.query, self.key, self.value = (nn.Linear(hidden, hidden, v.bias) for _ in range(3))
        else:
            self.qkv = nn.Linear(hidden, 3 * hidden, v.bias)
        self.out = nn.Linear(hidden, hidden, v.bias)
        apart = torch.arange(chunk)[:, None] - torch.arange(cached + chunk) + cached + chunk - 1
        self.register_buffer("apart", apart, persistent=False)
        if v.position == "table":
            self.table = nn.Parameter(torch.randn(v.heads, chunk, cached + chunk))
        elif v.position == "gathered":
            self.table = nn.Parameter(torch.randn(v.heads, cached + 2 * chunk - 1))
        elif v.position == "embedding":
            self.table = nn.Embedding(cached + 2 * chunk - 1, v.heads)

    def split(self, rows):
        return rows.reshape(*rows.shape[:-1], self.v.heads, -1).transpose(-3, -2)

    def added(self, mask, queries):
        """What is added to scores [..., heads, queries, L+C]."""
        v, apart = self.v, self.apart[:queries]
        if v.batch != "none":
            mask = mask[:, None, None, :]
        if v.attention == "sdpa-expanded":
            mask = mask.expand(queries or v.stream[0], -1)
        if v.position == "table":
            return self.table[:, :queries] + mask
        if v.position == "gathered":
            return self.table[:, apart] + mask
        if v.position == "embedding":
            return self.table(apart).permute(2, 0, 1) + mask
        return mask

    def attend(self, query, key, value, added):
        width = query.shape[-1]
        if self.v.attention != "written":
            if query.dim() == 4:
                return F.scaled_dot_product_attention(query, key, value, attn_mask=added)
            # Dynamo's exporter takes four dimensions alone.
            return F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=added)[0]
        if self.v.scale == "query":
            scores = (query * width**-0.5) @ key.transpose(-2, -1)
        elif self.v.scale == "divide":
            scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(width)
        else:
            scores = query @ key.transpose(-2, -1) * width**-0.5
        return torch.softmax(scores + added, dim=-1) @ value

    def forward(self, x, mask, keys, values, queries):
        x = self.norm(x)
        if self.v.qkv == "three":
            query, key, value = self.query(x[..., :queries, :]), self.key(x), self.value(x)
        else:
            qkv = self.qkv(x)
            query, key, value = qkv.chunk(3, -1) if self.v.qkv == "chunk" else qkv.split(self.v.hidden, -1)
            query = query[..., :queries, :]
        keys, values = torch.cat([keys, key], dim=-2), torch.cat([values, value], dim=-2)
        context = self.attend(self.split(query), self.split(keys), self.split(values), self.added(mask, queries))
        return self.out(context.transpose(-3, -2).flatten(-2)), keys, values


class Convolution(nn.Module):
    """Linears on rows, [T, H] or [1, T, H], about the depthwise convolution on channels [1, H, T]."""

    def __init__(self, v: Variant):
        super().__init__()
        hidden = v.hidden
        self.v, self.norm, self.out = v, norm(v.norm, hidden), nn.Linear(hidden, hidden, v.bias)
        if v.glu in ("linears", "hard", "relu6"):
            self.up, self.gate = nn.Linear(hidden, hidden, v.bias), nn.Linear(hidden, hidden, v.bias)
        else:
            self.up = nn.Linear(hidden, 2 * hidden, v.bias)
        padding = v.kernel // 2 if v.glu == "padded" else 0
        self.depthwise = nn.Conv1d(hidden, hidden, v.kernel, groups=hidden, bias=v.bias, padding=padding)
        self.norm_out = nn.BatchNorm1d(hidden) if v.norm_conv == "batch" else norm(v.norm_conv, hidden)
        self.activation = activation(v)

    def gated(self, x):
        if self.v.glu == "chunk":
            a, b = self.up(x).chunk(2, dim=-1)
            return a * torch.sigmoid(b)
        if self.v.glu == "linears":
            return self.up(x) * torch.sigmoid(self.gate(x))
        if self.v.glu == "hard":
            return self.up(x) * F.hardsigmoid(self.gate(x))
        if self.v.glu == "relu6":
            return self.up(x) * (F.relu6(self.gate(x) + 3) / 6)
        return F.glu(self.up(x), dim=-1)

    def forward(self, x, cache):
        window = self.gated(self.norm(x))
        if cache is not None:
            window = torch.cat([cache, window], dim=-2)
        x = window.transpose(-2, -1)
        x = self.depthwise(x if x.dim() == 3 else x.unsqueeze(0))
        if self.v.norm_conv == "batch":
            x = self.norm_out(x)
        x = (x if window.dim() == 3 else x.squeeze(0)).transpose(-2, -1)
        if self.v.norm_conv != "batch":
            x = self.norm_out(x)
        return self.out(self.activation(x)), window


class PointwiseConvolution(nn.Module):
    """Channels [1, H, T] all the way, as in the Conformer's paper."""

    def __init__(self, v: Variant):
        super().__init__()
        hidden = v.hidden
        self.norm, self.norm_out, self.activation = norm(v.norm, hidden), nn.BatchNorm1d(hidden), activation(v)
        self.up = nn.Conv1d(hidden, 2 * hidden, 1, bias=v.bias)
        self.depthwise = nn.Conv1d(hidden, hidden, v.kernel, groups=hidden, bias=v.bias)
        self.out = nn.Conv1d(hidden, hidden, 1, bias=v.bias)

    def forward(self, x, cache):
        x = F.glu(self.up(self.norm(x).transpose(1, 2)), dim=1)
        window = torch.cat([cache.transpose(1, 2), x], dim=2)
        x = self.activation(self.norm_out(self.depthwise(window)))
        return self.out(x).transpose(1, 2), window.transpose(1, 2)


class Layer(nn.Module):
    def __init__(self, v: Variant):
        super().__init__()
        self.before, self.after = FeedForward(v), FeedForward(v)
        self.attention = Attention(v)
        self.convolution = PointwiseConvolution(v) if v.glu == "conv" else Convolution(v)
        self.norm = norm(v.norm if v.norm_layer else "none", v.hidden)

    def forward(self, x, mask, queries, keys, values, conv=None):
        x = x + 0.5 * self.before(x)
        attended, keys, values = self.attention(x, mask, keys, values, queries)
        x = x[..., :queries, :] + attended
        convolved, conv = self.convolution(x, conv)
        x = x + convolved
        x = x + 0.5 * self.after(x)
        return self.norm(x), keys, values, conv


class Front(nn.Module):
    """What Zerda has no operator for."""

    def __init__(self, v: Variant):
        super().__init__()
        self.lstm = nn.LSTM(v.mels, v.hidden, batch_first=True) if v.front == "lstm" else None
        self.conv = nn.Conv2d(1, 1, 7, padding=3) if v.front == "conv2d" else None

    def forward(self, x):
        if self.lstm is not None:
            return self.lstm(x)[0]
        return x if self.conv is None else self.conv(x[None, None])[0, 0]


class Conformer(nn.Module):
    """Inputs features [C, mels], mask [1, L+C], then keys, values [L, H] and conv [kernel-1, H] of each layer."""

    def __init__(self, v: Variant):
        super().__init__()
        self.v, self.norm_in, self.front = v, norm(v.input, v.mels), Front(v)
        self.input = nn.Linear(v.hidden if v.front == "lstm" else v.mels, v.hidden)
        self.layers = nn.ModuleList(Layer(v) for _ in range(v.layers))
        self.norm, self.head = norm(v.norm, v.hidden), nn.Linear(v.hidden, v.classes)
        # Rows of each cache. A padded convolution has none.
        self.rows = [v.stream[1], v.stream[1]] + ([] if v.glu == "padded" else [v.kernel - 1])

    def caches(self):
        """Names and shapes."""
        batch, names = [1] * (self.v.batch == "outside"), ["keys", "values", "conv"]
        return {f"{name}_{i}": batch + [rows, self.v.hidden]
                for i in range(self.v.layers) for name, rows in zip(names, self.rows)}

    def committed(self, window, rows: int):
        chunk, _, step = self.v.stream
        return window[..., -rows:, :] if chunk == step else window[..., step : step + rows, :]

    def forward(self, features, mask, *caches):
        x, following, step = self.input(self.front(self.norm_in(features))), [], self.v.stream[2]
        for i, layer in enumerate(self.layers):
            last = self.v.queries == "committed" and i + 1 == len(self.layers)
            caches_of = caches[i * len(self.rows) :][: len(self.rows)]
            x, *windows = layer(x, mask, step if last else None, *caches_of)
            following += [self.committed(window, rows) for window, rows in zip(windows, self.rows)]
        return self.head(self.norm(x))[..., :step, :], *following


class Unbatched(nn.Module):
    """A step of one stream, of a model of batches."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, features, mask, *caches):
        outputs = self.model(features.unsqueeze(0), mask, *(cache.unsqueeze(0) for cache in caches))
        return tuple(output.squeeze(0) for output in outputs)
