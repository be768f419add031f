import copy
import inspect
import os
import pickle
import tempfile

import torch
from torch import nn


class Residual(nn.Module):
    """Defined in the script: it pickles as __main__.Residual."""

    def __init__(self, dim):
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, x):
        return x + self.body(x)


class State:
    def __init__(self, step):
        self.step = step


def fingerprint(model):
    return [float(v.double().sum()) for v in model.state_dict().values()]


if __name__ == "__main__":
    torch.manual_seed(1)
    model = nn.Sequential(Residual(8), Residual(8), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(12):
        x = torch.randn(16, 8)
        loss = model(x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 5:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "model.pt")
                torch.save(model, path)
                torch.save({"model": model.state_dict(), "optim": optimizer.state_dict()}, path + "2")
                model = torch.load(path, weights_only=False)
                state = torch.load(path + "2")
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
            optimizer.load_state_dict(state["optim"])
    twin = copy.deepcopy(model)
    print(pickle.loads(pickle.dumps(State(7))).step, State.__module__, Residual.__qualname__)
    print(inspect.getsource(State).splitlines()[0], fingerprint(model) == fingerprint(twin))
    print(fingerprint(model))
    print(__name__, __file__.endswith("checkpoint.py"), __spec__, __package__, sorted(globals())[:9])
