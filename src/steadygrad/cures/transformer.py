"""Transformers that train: the norm before each branch, branches scaled by depth, attention to more than one position.

## What it does

Does one of four things:

- It puts the norm of ``nn.TransformerEncoderLayer`` and ``DecoderLayer`` in front of each branch (pre-norm), with one norm at
  the end.
- It scales each branch's last weights by 1 ÷ √branches; in a loop h + f(h), whose steps add up, by less where the measured gain
  would let the gradient grow by more than one decade.
- It scales the queries down so that the attention's logits begin with deviation 1.
- It puts an RMS norm on queries and keys (QK-norm).

## Mathematics

Post-norm divides the skip by √2 at every sum, so the squared gradient halves at each block. Pre-norm leaves the skip alone.
The gradient of a softmax over logits of deviation σ falls as exp(−σ), because one weight takes all.

## What it changes

Pre-norm and QK-norm change the function of the model. Old keys stay; the norm at the end and the norms of queries and keys
are new keys. The scales change numbers only. A transformer needs warm-up too: raise the rate over the first few hundred
steps.

## When it is wrong

Pre-norm ends a little below post-norm where post-norm trains (shallow nets). A trained model may have learned sharp
attention: leave it there.

## References

- Xiong et al. 2020, arXiv:2002.04745 (pre-norm); Radford et al. 2019 (scaled by depth); Henry et al. 2020, arXiv:2010.04245.
- Liu et al. 2020, arXiv:2004.08249 (why post-norm is hard to train).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.initialise import last_of_branches
from steadygrad.cures.surgery import Wire
from steadygrad.cures.surgery.weights import Held, visit
from steadygrad.cures.through_time import GROWS
from steadygrad.errors import CannotCureError
from steadygrad.numerals import number
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Operation, Site

GROUP = "numbers"
SAFETY = "safe"
PHASE = 7
FINDINGS = ("SG101", "SG105", "SG106", "SG201", "SG202", "SG203", "SG204", "SG305")
CANDIDATES = {
    "attention-scale": ("numbers", "safe"),
    "qk-norm": ("normalisation", "unsafe"),
    "depth-scale": ("numbers", "safe"),
    "pre-norm": ("normalisation", "unsafe"),
}
ORDER = -1

SHARP = 2.0
"""Deviation of attention logits from which queries are scaled down: at N(0, 2²) over 64 keys, 8 share 2/3 of the weight."""

MASKED = -1e4
"""Logits under this are a mask's."""

ONE_SIDED = 0.5
"""Entropy of the attention weights, in log(keys), under which SG305 calls attention saturated."""

_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """What there is something to do for."""
    sharp = _sharp(copy)
    if sharp:
        sites = tuple(copy.net.site(operation) for operation in sharp)
        edit = Edit("transformer", "query scale", sites)
        yield Candidate("attention-scale", "queries scaled so that logits are N(0, 1)", GROUP, SAFETY, (edit,))
        wired = _queries_and_keys(copy, sharp)
        if wired:
            edit = Edit("transformer", "qk-norm", wired)
            yield Candidate("qk-norm", "RMS norm on queries and keys", "normalisation", "unsafe", (edit,))
    # Attention and feed-forward: two branches in a block whose skips the trunk does not show one by one.
    branches = copy.net.skips or 2 * len(_post_norm(copy))
    if branches > 1:
        factor, title = _factor(copy, branches)
        yield Candidate("depth-scale", title, GROUP, SAFETY, (Edit("transformer", "depth scale", value=factor),))
    if _post_norm(copy):
        sites = tuple(Site(name, type(layer).__name__, 0) for name, layer in _post_norm(copy))
        edit = Edit("transformer", "pre-norm", sites)
        yield Candidate("pre-norm", "pre-norm in place of post-norm", "normalisation", "unsafe", (edit,))


def _factor(copy: EditableCopy, branches: int) -> tuple[float, str]:
    """1 ÷ √branches; in a loop, whose steps add up, no more than what lets its gradient gain ``GROWS`` decades; its title."""
    factor, title = 1.0 / math.sqrt(branches), "branches scaled by 1 ÷ √branches"
    for loop in copy.net.trace.recurrences:
        if loop.kind == "loop" and loop.decades > GROWS:
            grows = math.pow(10.0, loop.decades_per_step) - 1.0
            bearable = (math.pow(10.0, GROWS / loop.steps) - 1.0) / grows
            if bearable < factor:
                factor, title = bearable, f"the loop's steps scaled by {number(bearable, 2)}"
    return factor, title


def _post_norm(copy: EditableCopy) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in copy.model.named_modules() if isinstance(m, _LAYERS) and not m.norm_first]


def _sharp(copy: EditableCopy) -> list[Operation]:
    return [
        operation
        for operation in copy.net.trace.operations
        if _logit_std(copy, operation) > SHARP
        or (operation.attention_entropy is not None and operation.attention_entropy < ONE_SIDED)
    ]


def _logit_std(copy: EditableCopy, operation: Operation) -> float:
    """Deviation of the logits, where they were measured; 0 where not, or where it is no attention."""
    if operation.attention_logit_std is not None:
        return operation.attention_logit_std
    logits = copy.net.operations.get(operation.parents[0]) if operation.parents else None
    if operation.attention_entropy is None or logits is None or logits.output is None:
        return 0.0
    return logits.output.std


def _last_layer_before(copy: EditableCopy, index: int) -> Operation | None:
    """The nearest multiplication by a weight on the way back, through shapes and scalings."""
    net = copy.net
    layers = {layer.operation.index for layer in net.layers}
    open_, seen = [index], set()
    while open_:
        operation = net.operations.get(open_.pop(0))
        if operation is None or operation.index in seen:
            continue
        seen.add(operation.index)
        if operation.index in layers:
            return operation
        if operation.kind in ("shape", "dropout", "arithmetic", "activation", "linear"):
            open_.extend(operation.parents[:1])
    return None


def _queries_and_keys(copy: EditableCopy, sharp: list[Operation]) -> tuple[Site, ...]:
    net = copy.net
    found: list[Site] = []
    for operation in sharp:
        product: Operation | None = operation
        while product is not None and len(product.parents) < 2:
            product = net.operations.get(product.parents[0]) if product.parents else None
        if product is None or product.kind not in ("linear", "attention"):
            return ()
        layers = [_last_layer_before(copy, parent) for parent in product.parents[:2]]
        if None in layers or layers[0] is layers[1]:
            return ()
        found += [net.site(layer) for layer in layers if layer is not None]
    return tuple(dict.fromkeys(found))


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Make the change, in place. Raises ``CannotCureError`` where the attention's queries cannot be found."""
    if edit.to == "pre-norm":
        return _pre_norm(copy, edit)
    if edit.to == "query scale":
        return _query_scale(copy)
    if edit.to == "depth scale":
        return _depth_scale(copy, edit.value or 1.0)
    operations = {copy.net.site(operation): operation for operation in copy.net.trace.operations}
    example = next(p for p in copy.model.parameters() if p.is_floating_point())
    for site in edit.sites:
        copy.wires.append(Wire("after", site, nn.RMSNorm(operations[site].output_shape[-1]).to(example)))
    adds = f"adds {numerals.count(len(edit.sites), 'RMS norm')} on queries and keys"
    return Change(adds, adds)


def _pre_norm(copy: EditableCopy, edit: Edit) -> Change:
    added = []
    for site in edit.sites:
        layer = copy.model.get_submodule(site.module)
        layer.norm_first = True  # type: ignore[assignment]
    for name, stack in copy.model.named_modules():
        if isinstance(stack, (nn.TransformerEncoder, nn.TransformerDecoder)) and stack.norm is None:
            first = stack.layers[0]
            example = next(first.parameters())
            stack.norm = nn.LayerNorm(first.norm1.normalized_shape[0]).to(example).train(stack.training)
            added += [f"{name}.norm.{key}" for key in stack.norm.state_dict()]
    copy.hold_parameters()
    moved = f"{len(edit.sites)} blocks with the norm in front of each branch"
    return Change(f"{moved}, one norm at the end", moved, added=tuple(added))


class _Logits(TorchFunctionMode):
    """Deviation over the keys of what goes into each softmax, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.deviations: list[float] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") == "softmax" and isinstance(args[0], Tensor):
            logits = args[0].detach().double()
            given = (kwargs or {}).get("dim", args[1] if len(args) > 1 else None)
            keys = -1 if given is None else int(given)
            seen = logits.masked_fill(logits < MASKED, math.nan)
            centred = seen - seen.nanmean(keys, keepdim=True)
            self.deviations.append(float(centred.square().nanmean().sqrt()))
        return func(*args, **(kwargs or {}))


def _measured(copy: EditableCopy) -> dict[int, float]:
    """Deviation of the logits of every softmax in the trace, by its index: those that a sum or factor by hand made."""
    softmaxes = [o.index for o in copy.net.trace.operations if o.name == "softmax"]
    with _Logits() as seen:
        copy.run()
    return dict(zip(softmaxes, seen.deviations, strict=False)) if len(softmaxes) == len(seen.deviations) else {}


def _query_scale(copy: EditableCopy) -> Change:
    done = 0
    measured = _measured(copy)
    for operation in _sharp(copy):
        deviation = measured.get(operation.index, _logit_std(copy, operation))
        if not 1.0 < deviation < math.inf:
            continue
        factor = 1.0 / deviation
        attention = _attention_module(copy, operation.module)
        if attention is not None and attention.in_proj_weight is not None:
            with torch.no_grad():
                attention.in_proj_weight[: attention.embed_dim] *= factor
                if attention.in_proj_bias is not None:
                    attention.in_proj_bias[: attention.embed_dim] *= factor
            done += 1
            continue
        layer = _last_layer_before(copy, operation.parents[0]) if operation.parents else None
        if layer is None:
            continue
        done += _scale(copy, {layer.weight or layer.module}, factor)
    if not done:
        raise CannotCureError("the weights that make the attention's logits large cannot be found")
    return copy.numbers_changed(f"{numerals.count(done, 'query weight')} scaled")


def _attention_module(copy: EditableCopy, path: str) -> nn.MultiheadAttention | None:
    module = copy.model.get_submodule(path) if path in dict(copy.model.named_modules()) else None
    return module if isinstance(module, nn.MultiheadAttention) else None


def _depth_scale(copy: EditableCopy, factor: float) -> Change:
    names = {
        operation.weight or operation.module
        for operation in (copy.net.operations[index] for index in last_of_branches(copy.net))
    }
    done = _scale(copy, names, factor) if names else 0
    with torch.no_grad():
        for _, layer in [(n, m) for n, m in copy.model.named_modules() if isinstance(m, _LAYERS)]:
            for weight in (layer.self_attn.out_proj.weight, layer.linear2.weight):
                if not any(weight is p for n, p in copy.model.named_parameters() if n in names):
                    weight.mul_(factor)
                    done += 1
    if not done:
        raise CannotCureError("no residual branch that ends in a weight")
    return copy.numbers_changed(f"the last weights of {numerals.count(done, 'branch')} × {factor:.3g}")


def _scale(copy: EditableCopy, names: set[str], factor: float) -> int:
    done = 0

    def visitor(held: Held) -> None:
        nonlocal done
        if held.name in names and not held.frozen:
            held.write(held.matrices() * factor)
            if held.bias is not None:
                held.write_bias(held.bias.detach() * factor)
            done += 1

    visit(copy.model, copy.run, visitor)
    return done
