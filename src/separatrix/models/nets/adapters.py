"""Models of your own: plain PyTorch parameters, or a TransformerLens model, of one attention layer, as a `Model`.

What is read: logits = W_R (attention(x) + b_O [+ x]) + b_R, x = token vector [+ position vector], with biases on
queries, keys, values and output. The stream has no constant of its own, so where a query, key or value has a bias the
stream becomes one column wider: 1 in every token's vector, 0 in every position's. W_Q, W_K, W_V read the biases from
it, exactly; W_O writes nothing there and W_R does not read it, with or without a residual path. The output bias joins
the read-out's, b_R + W_R b_O, computed in float64: the one rounding here. Rotary
positions and soft caps are not of this form: such models are refused where that can be seen.

A ReLU layer and layer norms (before the attention, before the ReLU layer, and last) are read too, see `adapter_layers`.

A task speaks of its own ids: row t of the token table must be the task's token t, as many rows as its vocabulary;
output c must be its answer c; a table of positions must have as many rows as the task has positions. The arguments
`tokens`, `classes` and `positions` pick the model's rows in the task's order; leaving outputs out makes the claim one
about the greatest of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.core.errors import InputError
from separatrix.models.model import Model
from separatrix.models.nets.adapter_layers import Parts
from separatrix.models.nets.adapter_reading import Part, array, mlp_of, norm_of, pick, resolve, wider


def from_torch(
    module: nn.Module,
    *,
    token: Part,
    query: Part,
    key: Part,
    value: Part,
    output: Part,
    readout: Part,
    heads: int,
    position: Part | None = None,
    query_bias: Part | None = None,
    key_bias: Part | None = None,
    value_bias: Part | None = None,
    output_bias: Part | None = None,
    readout_bias: Part | None = None,
    hidden: Part | None = None,
    hidden_bias: Part | None = None,
    back: Part | None = None,
    back_bias: Part | None = None,
    activation: str | nn.Module = "relu",
    mlp_residual: bool = True,
    attention_norm: str | nn.Module | None = None,
    mlp_norm: str | nn.Module | None = None,
    final_norm: str | nn.Module | None = None,
    scale: float | None = None,
    residual: bool = False,
    mask: Literal["none", "causal"] = "none",
    positions: int | None = None,
    tokens: Sequence[int] | None = None,
    classes: Sequence[int] | None = None,
    ignore: Sequence[str] = (),
) -> Model:
    """The `Model` that computes what these parameters of `module` compute (in eval mode: no dropout).

    Args:
        token, position: tables (rows, d) as in nn.Embedding.
        query, key, value: (heads * width, d) as in nn.Linear, y = x W^T + b; head h has rows h * width onwards. Ours
            are (head, d, width), the transposed blocks.
        output: (d, heads * value width) as in nn.Linear; ours is (head, value width, d).
        readout: (outputs, d) as in nn.Linear (or nn.Embedding, for tied weights); ours is (d, outputs).
        *_bias: needed for parts given as tensors only; an nn.Linear brings its own.
        hidden, back: the two matrices of a ReLU layer after the attention, (F, d) and (d, F) as in nn.Linear.
        activation: between them; "relu" or nn.ReLU is what is handled.
        mlp_residual: whether the stream is added to the ReLU layer's output.
        attention_norm, mlp_norm, final_norm: nn.LayerNorm of what the heads, the ReLU layer and the read-out read.
        scale: of the scores; 1 / sqrt(key width) by default.
        residual: whether the stream is added to the attention's output.
        positions: keep the first rows of the table of positions (a table may be longer than the task's inputs).
        tokens, classes: rows of the token table and of the read-out, in the task's order; all by default.
        ignore: parameters of the module that are known to play no part.

    Raises InputError for shapes that contradict each other, a part that is missing, or a parameter of `module` that is
    none of the parts (a layer norm, say), since then the module computes something else.
    """
    found: list[Tensor] = []

    def read(part: Part | None, bias: Part | None, name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
        weight, own = resolve(module, part, name)
        if own is not None and bias is not None:
            raise InputError(f"{name} brings a bias of its own, and {name}_bias is given as well")
        own = resolve(module, bias, f"{name}_bias")[0] if bias is not None else own
        found.extend(t for t in (weight, own) if t is not None)
        return array(weight, name), array(own, f"{name}_bias")

    table, place = read(token, None, "token")[0], read(position, None, "position")[0]
    (q, b_q), (k, b_k) = read(query, query_bias, "query"), read(key, key_bias, "key")
    (v, b_v), (o, b_o) = read(value, value_bias, "value"), read(output, output_bias, "output")
    r, b_r = read(readout, readout_bias, "readout")
    (w_in, b_in), (w_out, b_out) = read(hidden, hidden_bias, "hidden"), read(back, back_bias, "back")
    norms = {"attention": attention_norm, "mlp": mlp_norm, "final": final_norm}
    made: dict[str, Any] = {
        f"{name}_norm": norm_of(module, part, f"{name}_norm", found) for name, part in norms.items()
    }
    if (w_in is None) != (w_out is None):
        raise InputError("hidden and back go together: the two matrices of a ReLU layer")
    if w_in is not None and not (activation == "relu" or isinstance(activation, nn.ReLU)):
        name = activation if isinstance(activation, str) else type(activation).__name__
        raise InputError(f"activation {name} is not handled; only ReLU is")
    assert table is not None and q is not None and k is not None and v is not None and o is not None and r is not None
    used = {tensor.untyped_storage().data_ptr() for tensor in found}
    extra = [n for n, p in module.named_parameters() if p.untyped_storage().data_ptr() not in used and n not in ignore]
    if extra:
        raise InputError(f"parameters {', '.join(extra)} are none of the parts; see `ignore`")
    if heads < 1 or any(part.ndim != 2 or part.shape[0] % heads for part in (q, k, v)):
        raise InputError(f"query, key and value must be matrices with a multiple of {heads} rows, one block a head")
    if o.ndim != 2 or o.shape[1] % heads or table.ndim != 2 or r.ndim != 2 or (place is not None and place.ndim != 2):
        raise InputError(f"token, position, readout and output must be matrices, output with blocks for {heads} heads")
    bias = np.zeros(len(r), dtype=r.dtype) if b_r is None else b_r
    if w_in is not None or any(made.values()):
        if place is not None and positions is not None:
            place = pick(place, range(positions), "positions")
        blocks = {"query": (q, b_q), "key": (k, b_k), "value": (v, b_v)}
        if any(b is not None and b.shape != w.shape[:1] for w, b in blocks.values()) or (
            b_o is not None and b_o.shape != o.shape[:1]
        ):
            raise InputError("a bias of the attention layer does not fit its matrix")
        by_head: dict[str, Any] = {
            name: w.reshape(heads, -1, w.shape[1]).transpose(0, 2, 1) for name, (w, _) in blocks.items()
        }
        parts = Parts(
            pick(table, tokens, "tokens"),
            place,
            **by_head,
            output=o.T.reshape(heads, -1, len(o)),
            biases={name: None if b is None else b.reshape(heads, -1) for name, (_, b) in blocks.items()}
            | {"output": b_o},
            readout=pick(r, classes, "classes").T,
            readout_bias=pick(bias, classes, "classes"),
            mlp=mlp_of(w_in, b_in, w_out, b_out, mlp_residual),
            **made,
        )
        size = len(q) // heads
        layers, tensors, width = parts.layers(1.0 / math.sqrt(size) if scale is None else float(scale), mask, residual)
        first = Table(len(parts.token), 0 if place is None else len(place))
        arch = Arch(width, first, layers, Readout(parts.readout.shape[1]))
        return Model(arch, {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()})
    if b_o is not None and b_o.any():
        if b_o.shape != r.shape[1:] or bias.shape != r.shape[:1]:
            raise InputError(f"output and read-out biases, {b_o.shape} and {bias.shape}, do not fit W_R, {r.shape}")
        bias = bias.astype(np.float64) + r.astype(np.float64) @ b_o.astype(np.float64)
    table, r, bias = pick(table, tokens, "tokens"), pick(r, classes, "classes"), pick(bias, classes, "classes")
    if place is not None and positions is not None:
        place = pick(place, range(positions), "positions")
    if any(b is not None and b.any() for b in (b_q, b_k, b_v)):
        table, r, o = wider(table, 1.0), wider(r, 0.0), wider(o.T, 0.0).T
        place = None if place is None else wider(place, 0.0)
        q, k, v = (wider(w, 0.0 if b is None else b) for w, b in ((q, b_q), (k, b_k), (v, b_v)))
    blocks = {"query": q, "key": k, "value": v}  # (heads * width, d) each
    tensors = {
        "embed.token": table,
        **{f"layers.0.{name}": w.reshape(heads, -1, w.shape[1]).transpose(0, 2, 1) for name, w in blocks.items()},
        "layers.0.output": o.T.reshape(heads, -1, len(o)),
        "readout.weight": r.T,
        "readout.bias": bias,
    }
    if place is not None:
        tensors["embed.position"] = place
    m, d_v = len(q) // heads, len(v) // heads
    scale = 1.0 / math.sqrt(m) if scale is None else float(scale)
    arch = Arch(
        width=table.shape[1],
        first=Table(len(table), 0 if place is None else len(place)),
        layers=(Attention(heads, m, d_v, mask=mask, scale=scale, residual=residual),),
        readout=Readout(len(r)),
    )
    return Model(arch, {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})


def multihead(attention: nn.MultiheadAttention) -> dict[str, Any]:
    """The parts of self-attention as keyword arguments of `from_torch`: query, key, value, their biases, output, heads.

    In `in_proj_weight` (3 d, d) queries come first, then keys, then values; so do the biases.
    """
    if not attention._qkv_same_embed_dim or attention.bias_k is not None or attention.add_zero_attn:
        raise InputError("this nn.MultiheadAttention has kdim, vdim, add_bias_kv or add_zero_attn; none is handled")
    weights, bias = attention.in_proj_weight.chunk(3), attention.in_proj_bias
    parts: dict[str, Any] = dict(zip(("query", "key", "value"), weights, strict=True))
    if bias is not None:
        parts |= dict(zip(("query_bias", "key_bias", "value_bias"), bias.chunk(3), strict=True))
    return parts | {"output": attention.out_proj, "heads": attention.num_heads}


def from_hooked(
    model: Any,
    *,
    positions: int | None = None,
    tokens: Sequence[int] | None = None,
    classes: Sequence[int] | None = None,
    last_position_only: bool = False,
) -> Model:
    """The `Model` of a TransformerLens HookedTransformer with one layer, with or without a ReLU MLP and layer norms.

    Reads W_E, W_pos, W_U (d, outputs), b_U, and of blocks[0].attn W_Q, W_K, W_V (head, d, width), W_O (head, width, d),
    b_Q, b_K, b_V (head, width), b_O; unless attn_only, of blocks[0].mlp W_in (d, F), b_in, W_out (F, d), b_out; for
    'LN' w and b of blocks[0].ln1, ln2 and ln_final, for 'LNPre' none of them. The residual paths are always there.
    Models with another activation than relu, RMS norms, a parallel MLP, other positions than `standard`, grouped or
    local attention or soft caps are refused. Inputs are the task's tokens: a BOS token is one only if the task has it.

    Args:
        last_position_only: the task scores the last position alone; there the causal mask of one layer hides nothing,
            and the model is written without it. Otherwise `attention_dir` decides.
    """
    cfg = model.cfg
    wanted: dict[str, Any] = {"n_layers": 1, "positional_embedding_type": "standard"}
    if not cfg.attn_only:
        wanted["act_fn"] = "relu"
    if other := [name for name, value in wanted.items() if getattr(cfg, name) != value]:
        raise InputError(f"{other[0]} is {getattr(cfg, other[0])!r}; only {wanted[other[0]]!r} is handled")
    if cfg.normalization_type not in (None, "LN", "LNPre"):
        raise InputError(f"normalization_type is {cfg.normalization_type!r}; None, 'LN' and 'LNPre' are handled")
    unread = (
        "parallel_attn_mlp",
        "gated_mlp",
        "use_local_attn",
        "post_embedding_ln",
        "use_qk_norm",
        "n_key_value_heads",
    )
    if other := [name for name in unread if getattr(cfg, name, None)]:
        raise InputError(f"{other[0]} is set, which is not handled")
    if max(getattr(cfg, "attn_scores_soft_cap", None) or 0.0, getattr(cfg, "output_logits_soft_cap", None) or 0.0) > 0:
        raise InputError("soft caps are not handled")
    if cfg.attention_dir not in ("causal", "bidirectional"):
        raise InputError(f"attention_dir {cfg.attention_dir!r} is not known")
    attention = model.blocks[0].attn
    divisor = float(getattr(cfg, "attn_scale", math.sqrt(attention.W_Q.shape[2]))) if cfg.use_attn_scale else 1.0

    def linear(weight: Tensor) -> Tensor:  # (head, d, width) -> (head * width, d)
        return weight.transpose(1, 2).flatten(end_dim=1)

    def norm(module: Any) -> nn.LayerNorm:
        made = nn.LayerNorm(model.W_E.shape[1], eps=cfg.eps, dtype=model.W_E.dtype)
        if cfg.normalization_type == "LN":
            made.weight, made.bias = nn.Parameter(module.w), nn.Parameter(module.b)
        return made

    more: dict[str, Any] = {}
    if not cfg.attn_only:
        mlp = model.blocks[0].mlp
        more |= {"hidden": mlp.W_in.T, "hidden_bias": mlp.b_in, "back": mlp.W_out.T, "back_bias": mlp.b_out}
    if cfg.normalization_type is not None:
        more |= {
            "attention_norm": norm(getattr(model.blocks[0], "ln1", None)),
            "final_norm": norm(getattr(model, "ln_final", None)),
        }
        more |= {} if cfg.attn_only else {"mlp_norm": norm(getattr(model.blocks[0], "ln2", None))}
    return from_torch(
        nn.Module(),
        **more,
        token=model.W_E,
        position=model.W_pos,
        query=linear(attention.W_Q),
        key=linear(attention.W_K),
        value=linear(attention.W_V),
        output=attention.W_O.flatten(end_dim=1).T,
        readout=model.W_U.T,
        query_bias=attention.b_Q.flatten(),
        key_bias=attention.b_K.flatten(),
        value_bias=attention.b_V.flatten(),
        output_bias=attention.b_O,
        readout_bias=model.b_U,
        heads=len(attention.W_Q),
        scale=1.0 / divisor,
        residual=True,
        mask="causal" if cfg.attention_dir == "causal" and not last_position_only else "none",
        positions=positions,
        tokens=tokens,
        classes=classes,
    )
