"""Healthy runs that change on their way: resumed, frozen and let go, fine-tuned, with longer texts or larger batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.faults.healthy.shared import STEPS, Losses, Tokens, batches, fit, in_turns
from bench.faults.training import CLASSES, Net, Watch, classes


def resumed(watch: Watch, seed: int, factor: float) -> Losses:
    """Watched only after a checkpoint was loaded: it begins where others end."""
    before = Net()
    first = torch.optim.AdamW(before.parameters(), lr=3e-3 * factor)
    losses = fit(before, first, batches(seed))
    kept = copy.deepcopy((before.state_dict(), first.state_dict()))
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.load_state_dict(kept[0])
    optimizer.load_state_dict(kept[1])
    watch(model, [optimizer])
    return losses + fit(model, optimizer, (classes(STEPS + s, seed=seed) for s in range(STEPS)))


def resumed_in_place(watch: Watch, seed: int, factor: float) -> Losses:
    """Watched from the start, and the checkpoint loaded meanwhile, as scripts do that build first and load then."""
    before = Net()
    first = torch.optim.AdamW(before.parameters(), lr=3e-3 * factor)
    losses = fit(before, first, batches(seed))
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    losses += fit(model, optimizer, batches(seed, 1))
    model.load_state_dict(before.state_dict())
    optimizer.load_state_dict(first.state_dict())
    return losses + fit(model, optimizer, (classes(STEPS + s, seed=seed) for s in range(STEPS)))


def unfrozen(watch: Watch, seed: int, factor: float) -> Losses:
    """A trained body on new labels: the head alone, then the layers from the last to the first."""
    model = Net()
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), batches(seed, 400))
    nn.init.normal_(model.layers[-1].weight, std=0.02)
    for layer in model.layers[:-1]:
        layer.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(1000):
            if step and step % 200 == 0:
                model.layers[-1 - step // 200].requires_grad_(True)
            x, y = classes(step, seed=seed + 10)
            yield x, (y * 3 + 1) % CLASSES

    return fit(model, optimizer, own())


def frozen_midway(watch: Watch, seed: int, factor: float) -> Losses:
    """The first half of the layers frozen on purpose, and let go again."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(STEPS):
            if step in (300, 500):
                for layer in model.layers[:3]:
                    layer.requires_grad_(step == 500)
            yield classes(step, seed=seed)

    return fit(model, optimizer, own())


def resumed_with_state(watch: Watch, seed: int, factor: float) -> Losses:
    """Model, optimizer and guard are saved, made anew and go on."""
    before = Net()
    first = torch.optim.AdamW(before.parameters(), lr=3e-3 * factor)
    guard = watch(before, [first])
    losses = fit(before, first, batches(seed, 400))
    kept = copy.deepcopy((before.state_dict(), first.state_dict(), guard.state_dict()))
    guard.detach()
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.load_state_dict(kept[0])
    optimizer.load_state_dict(kept[1])
    watch(model, [optimizer]).load_state_dict(kept[2])
    return losses + fit(model, optimizer, (classes(400 + s, seed=seed) for s in range(400)))


def new_head(watch: Watch, seed: int, factor: float) -> Losses:
    """A trained body on new labels with a new head, at two rates."""
    model = Net()
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), batches(seed, 400))
    model.layers[-1] = nn.Linear(32, CLASSES)
    body = [p for layer in model.layers[:-1] for p in layer.parameters()]
    groups = [{"params": body, "lr": 1e-4 * factor}, {"params": model.layers[-1].parameters(), "lr": 3e-3 * factor}]
    optimizer = torch.optim.AdamW(groups)
    watch(model, [optimizer])
    return fit(model, optimizer, ((x, (y * 3 + 1) % CLASSES) for x, y in batches(seed + 10, 500)))


def added_groups(watch: Watch, seed: int, factor: float) -> Losses:
    """The head alone at first; each layer in front of it joins the optimizer when its time has come."""
    model = Net()
    fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), batches(seed, 400))
    model.layers[-1] = nn.Linear(32, CLASSES)
    for layer in model.layers[:-1]:
        layer.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.layers[-1].parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(600):
            if step and step % 150 == 0:
                layer = model.layers[-1 - step // 150].requires_grad_(True)
                optimizer.add_param_group({"params": list(layer.parameters()), "lr": 5e-4 * factor})
            x, y = classes(step, seed=seed + 10)
            yield x, (y * 3 + 1) % CLASSES

    return fit(model, optimizer, own())


def curriculum(watch: Watch, seed: int, factor: float) -> Losses:
    """Easy samples first and few of them; then harder ones in larger batches."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    stages = ((0.3, 16), (0.6, 32), (0.9, 64), (1.1, 128))

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(STEPS):
            noise, size = stages[step // 200]
            yield classes(step, size, noise=noise, seed=seed)

    return fit(model, optimizer, own())


def growing_texts(watch: Watch, seed: int, factor: float) -> Losses:
    """Texts of two words in turns get longer and batches smaller: tokens a step stay the same."""
    model = Tokens(layers=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    lengths = (8, 16, 32, 64)
    return fit(model, optimizer, (in_turns(s, seed, lengths[s // 150]) for s in range(600)))


RUNS = (
    resumed,
    resumed_in_place,
    unfrozen,
    frozen_midway,
    resumed_with_state,
    new_head,
    added_groups,
    curriculum,
    growing_texts,
)
