"""Recurrences that remember: orthogonal or identity matrices, chrono biases, a gated cell in place of a plain one.

## What it does

Does one of three things. It draws the recurrent weights again as orthogonal matrices, gate by gate (the identity for ReLU).
It sets the biases of the forget gate (LSTM) or update gate (GRU) for memories up to the length of the sequence. Or it puts a
GRU in place of a plain RNN.

## Mathematics

Every step back in time multiplies the gradient by the same matrix. The singular values of the matrix decide: (0.65)^100 is 19
decades. Orthogonal matrices have singular values 1. A gate with bias log U(1, T) keeps a unit for up to T steps (Tallec and
Ollivier 2018, equation 11). The draws are spread evenly: one in each of as many equal parts of (1, T) as there are units.

## What it changes

Orthogonal, identity and chrono change numbers only. A gated cell changes the function of the model. Its weights have other
shapes, so old checkpoints of the recurrence do not load.

## When it is wrong

Some recurrences are to forget. A decay in the code (state × 0.5) is not a weight and stays.

## References

- Saxe et al. 2014, arXiv:1312.6120; Le et al. 2015, arXiv:1504.00941 (identity); Arjovsky et al. 2016, arXiv:1511.06464.
- Gers et al. 2000 (forget gate); Jozefowicz et al. 2015; Tallec and Ollivier 2018, arXiv:1804.11188 (chrono).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.surgery.wire import parent_of
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Site

GROUP = "numbers"
SAFETY = "safe"
PHASE = 6
FINDINGS = ("SG104", "SG202", "SG101", "SG105", "SG106", "SG203", "SG204")
CANDIDATES = {
    "orthogonal-recurrence": ("numbers", "safe"),
    "identity-recurrence": ("numbers", "safe"),
    "chrono": ("numbers", "safe"),
    "gated-cell": ("activation", "unsafe"),
}
ORDER = -1
"""Where there is a recurrence, its weights come before those of the layers."""

LONGEST_ASSUMED = 100
"""Steps that chrono biases are set for where the trace has no length."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """Orthogonal, and chrono where there are gates; a GRU for a plain cell."""
    modules = _modules(copy)
    loose = _loose(copy)
    if not modules and not loose:
        return
    sites = tuple(Site(name, type(module).__name__, 0) for name, module in modules)
    steps = float(max((r.steps for r in copy.net.trace.recurrences), default=LONGEST_ASSUMED))
    gated = [m for _, m in modules if _gates(m) > 1]
    plain = [(n, m) for n, m in modules if _gates(m) == 1]
    edit = Edit("recurrent", "orthogonal", sites, value=steps)
    yield Candidate("orthogonal-recurrence", "orthogonal recurrence", GROUP, SAFETY, (edit,))
    identity = Edit("recurrent", "identity", sites, value=steps)
    if plain or loose:
        yield Candidate("identity-recurrence", "identity recurrence", GROUP, SAFETY, (identity,))
    if gated:
        edit = Edit("recurrent", "chrono", sites, value=steps)
        yield Candidate("chrono", "chrono biases, orthogonal recurrence", GROUP, SAFETY, (edit,))
    if plain:
        where = tuple(Site(name, type(module).__name__, 0) for name, module in plain)
        edit = Edit("recurrent", "gated", where, value=steps)
        yield Candidate("gated-cell", "GRU in place of the plain RNN", "activation", "unsafe", (edit,))


def _modules(copy: EditableCopy) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in copy.model.named_modules() if isinstance(m, (nn.RNNBase, nn.RNNCellBase))]


def _loose(copy: EditableCopy) -> list[tuple[str, nn.Parameter]]:
    """Weights of recurrences written by hand: square, and used at every step."""
    names = {recurrence.name for recurrence in copy.net.trace.recurrences}
    known = {n for n, m in _modules(copy)}
    return [
        (name, parameter)
        for name, parameter in copy.model.named_parameters()
        if (name in names or name.rpartition(".")[0] in names)
        and name.rpartition(".")[0] not in known
        and (
            (parameter.dim() == 1 and name in names)
            or (parameter.dim() == 2 and parameter.shape[0] == parameter.shape[1])
        )
    ]


def _gates(module: nn.Module) -> int:
    if isinstance(module, (nn.LSTM, nn.LSTMCell)):
        return 4
    return 3 if isinstance(module, (nn.GRU, nn.GRUCell)) else 1


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Set the recurrences, in place, from the subject's seed."""
    generator = torch.Generator().manual_seed(copy.subject.seed)
    steps = edit.value or LONGEST_ASSUMED
    if edit.to == "gated":
        return _gated(copy, edit, steps, generator)
    done = 0
    with torch.no_grad():
        for _, module in _modules(copy):
            done += _remember(module, edit.to, steps, generator)
        for _, parameter in _loose(copy):
            if parameter.requires_grad:
                parameter.copy_(
                    _matrix(parameter, edit.to, generator) if parameter.dim() == 2 else torch.ones_like(parameter)
                )
                done += 1
    if not done:
        raise CannotCureError("the recurrence's weights are frozen")
    return copy.numbers_changed(f"{numerals.count(done, 'recurrent weight')}")


def _remember(module: nn.Module, scheme: str, steps: float, generator: torch.Generator) -> int:
    gates, done = _gates(module), 0
    size = int(module.get_parameter(next(iter(dict(module.named_parameters())))).shape[0]) // gates
    for name, parameter in module.named_parameters(recurse=False):
        if not parameter.requires_grad:
            continue
        if name.startswith("weight_hh"):
            for part in parameter.chunk(gates):
                part.copy_(_matrix(part, scheme, generator))
            done += 1
        elif name.startswith("weight_ih") and scheme == "identity":
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator).to(parameter))
        elif name.startswith("bias"):
            parameter.zero_()
            if scheme == "chrono" and gates > 1 and name.startswith("bias_ih"):
                memory = (1.0 + (max(steps, 3.0) - 2.0) * _spread(size, generator)).log().to(parameter)
                parameter[size : 2 * size] = memory
                if gates == 4:
                    parameter[:size] = -memory
    return done


def _spread(size: int, generator: torch.Generator) -> Tensor:
    """Uniform on (0, 1), one draw in each of ``size`` equal parts, in any order: no draw leaves a length of memory out."""
    return (torch.randperm(size, generator=generator) + torch.rand(size, generator=generator)) / size


def _matrix(like: Tensor, scheme: str, generator: torch.Generator) -> Tensor:
    if scheme == "identity" and like.shape[0] == like.shape[1]:
        return torch.eye(like.shape[0]).to(like)
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    wide = drawn.shape[0] < drawn.shape[1]
    q, r = torch.linalg.qr(drawn.T if wide else drawn)
    q = q * torch.sign(torch.diagonal(r))
    matrix: Tensor = q.T if wide else q
    return matrix.to(like)


def _gated(copy: EditableCopy, edit: Edit, steps: float, generator: torch.Generator) -> Change:
    removed: list[str] = []
    for site in edit.sites:
        old = copy.model.get_submodule(site.module)
        example = next(old.parameters())
        if isinstance(old, nn.RNN):
            new: nn.Module = nn.GRU(
                old.input_size,
                old.hidden_size,
                old.num_layers,
                bias=old.bias,
                batch_first=old.batch_first,
                dropout=old.dropout,
                bidirectional=old.bidirectional,
            )
        elif isinstance(old, nn.RNNCell):
            new = nn.GRUCell(old.input_size, old.hidden_size, bias=old.bias)
        else:
            raise CannotCureError(f"{type(old).__name__} has gates already")
        new = new.to(example).train(old.training)
        with torch.no_grad():
            for name, parameter in new.named_parameters():
                if name.startswith("weight_ih"):
                    bound = (6.0 / (parameter.shape[0] / 3 + parameter.shape[1])) ** 0.5
                    parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) * bound)
            _remember(new, "chrono", steps, generator)
        parent, name = parent_of(copy.model, site.module)
        setattr(parent, name, new)
        removed += [f"{site.module}.{key}" for key in old.state_dict()]
    copy.hold_parameters()
    exchanged = f"{numerals.count(len(edit.sites), 'GRU')} for plain cells"
    return Change(exchanged, exchanged, removed=tuple(removed), added=tuple(removed))
