"""Copies, pickles, scripts and exports of model and optimizer made in mid-run and after it; their digests are printed."""

import copy
import hashlib
import io
import pickle
import pickletools
import sys

import torch
from torch import nn


class KeepsAll(torch.optim.SGD):
    """An optimizer whose copies and pickles take along whatever it has, hooks too."""

    def __getstate__(self):
        return self.__dict__.copy()

    def __setstate__(self, state):
        self.__dict__.update(state)


def digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


def saved(thing):
    file = io.BytesIO()
    torch.save(thing, file)
    return file.getvalue()


def words(content):
    """What a pickle says, without the addresses of storages that are in it."""
    return [str(argument) for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)]


def tell(when):
    twin = copy.deepcopy(model)
    for one in (model, twin):
        print(when, words(pickle.dumps(one)), digest(saved(one)), sorted(vars(one)))
        print([len(hooks) for name, hooks in sorted(vars(one).items()) if "hooks" in name])
    print(digest(saved(model.state_dict())), digest(saved(optimizer.state_dict())), words(pickle.dumps(optimizer)))
    again = copy.deepcopy(optimizer)
    print(sorted(vars(again)), len(again._optimizer_step_pre_hooks), [p._backward_hooks for p in twin.parameters()])
    scripted = torch.jit.script(twin)
    exported = torch.export.export(copy.deepcopy(model).eval(), (torch.ones(2, 8),))
    print(str(scripted.graph), str(torch.jit.script(model).graph) == str(scripted.graph), exported.graph_module.code)
    print(torch.fx.symbolic_trace(model).code)


torch.manual_seed(0)
torch.serialization.add_safe_globals([nn.Sequential, nn.Linear, nn.ReLU, set])
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
other_model = nn.Linear(8, 4)
other = KeepsAll(other_model.parameters(), lr=1e-3)
for step in range(12):
    x, y = torch.randn(16, 8), torch.randint(0, 4, (16,))
    for each in (optimizer, other):
        each.zero_grad()
    loss = nn.functional.cross_entropy(model(x) + other_model(x), y)
    if step == 5:
        tell("between forward and backward")
    loss.backward()
    if step == 6:
        tell("before the step")
    for each in (optimizer, other):
        each.step()
    if step in (0, 7):
        tell("after the step")
        copied = copy.deepcopy(other)
        assert copied.param_groups[0]["params"][0] is not other.param_groups[0]["params"][0]
        torch.save([copy.deepcopy(model), model], sys.argv[1] + f"-{step}.pt")
        torch.save([model.state_dict(), optimizer.state_dict()], sys.argv[1] + f"-{step}.states")
        torch.jit.save(torch.jit.script(model), sys.argv[1] + f"-{step}.scripted")
        torch.export.save(torch.export.export(copy.deepcopy(model).eval(), (torch.ones(2, 8),)), sys.argv[1] + f"-{step}.pt2")
        with open(sys.argv[1] + f"-{step}.pkl", "wb") as file:
            pickle.dump(copied.param_groups[0]["lr"], file)
            pickle.dump([copy.deepcopy(optimizer), copied._optimizer_step_pre_hooks, other._optimizer_step_pre_hooks], file)
        assert len(torch.load(sys.argv[1] + f"-{step}.pt", weights_only=True)) == 2
        copied.step()
tell("at the end")
