"""The changes of a transformer's cures in the source."""

from __future__ import annotations

from functools import partial

from torch import nn

from steadygrad._fix import functions, names
from steadygrad._fix.draft import Draft, paths_of
from steadygrad._fix.expressions import out_features, pre_norm, wrap_layer
from steadygrad._fix.numbers import add_function
from steadygrad.cures.initialise import last_of_branches
from steadygrad.errors import CannotFixError
from steadygrad.record import Edit


def transformer(draft: Draft, edit: Edit) -> None:
    if edit.to == "pre-norm":
        pre_norm(draft, edit)
    elif edit.to == "qk-norm":
        for site in edit.sites:
            wrap_layer(
                draft, site.module, lambda source, call: f"{names.nn(source)}.RMSNorm({out_features(source, call)})"
            )
    elif edit.to == "depth scale":
        last = set(last_of_branches(draft.net))
        layers = [layer for layer in draft.net.layers if layer.operation.index in last]
        paths = paths_of(layers)
        for path, module in draft.subject.model.named_modules():
            if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
                paths += [f"{path}.self_attn.out_proj", f"{path}.linear2"]
        factor = edit.value or 1.0
        words = f"Residual branches scaled by {factor:.3g}, by 1 / sqrt(branches) or less (Radford et al. 2019)."
        scale_ = partial(functions.scaled, factor=factor, words=words)
        add_function(draft, lambda torch, _, lists: scale_(lists.of(paths), lists.rows, torch=torch))
    else:
        raise CannotFixError("the queries' scale depends on the batch")
