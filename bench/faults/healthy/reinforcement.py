"""Healthy runs in which an agent learns from what its own actions bring: losses of either sign, that do not fall.

What falls is the return with its sign turned, which each of them gives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.healthy.shared import Losses, perceptron
from bench.faults.training import Watch

CELLS, HORIZON, EPISODES = 9, 16, 16


class Corridor:
    """A row of cells, walked by many at once: a step to the right brings one nearer to a reward, and costs a little."""

    def __init__(self, noise: torch.Generator) -> None:
        self.noise = noise

    def reset(self) -> Tensor:
        """Where each begins, as one-hot rows ``(episodes, cells)``."""
        self.at = torch.randint(CELLS - 3, (EPISODES,), generator=self.noise)
        return F.one_hot(self.at, CELLS).float()

    def step(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """The next cells and what they bring; one step in ten goes astray."""
        astray = torch.rand(EPISODES, generator=self.noise) < 0.1
        right = torch.where(astray, 1 - action, action)
        self.at = (self.at + 2 * right - 1).clamp(0, CELLS - 1)
        won = self.at == CELLS - 1
        reward = won.float() - 0.02
        self.at = torch.where(won, torch.zeros_like(self.at), self.at)
        return F.one_hot(self.at, CELLS).float(), reward


def _returns(rewards: list[Tensor], discount: float = 0.9) -> Tensor:
    total, found = torch.zeros(EPISODES), []
    for reward in reversed(rewards):
        total = reward + discount * total
        found.append(total)
    return torch.stack(found[::-1])


def _walk(world: Corridor, policy: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """States, actions and returns of one walk, ``(time, episodes, …)``."""
    x, states, actions, rewards = world.reset(), [], [], []
    with torch.no_grad():
        for _ in range(HORIZON):
            action = torch.multinomial(policy(x).softmax(1), 1, generator=world.noise)[:, 0]
            states.append(x)
            actions.append(action)
            x, reward = world.step(action)
            rewards.append(reward)
    return torch.stack(states), torch.stack(actions), _returns(rewards)


def _chosen(policy: nn.Module, states: Tensor, actions: Tensor) -> Tensor:
    return policy(states).log_softmax(-1).gather(-1, actions[..., None])[..., 0]


def reinforce(watch: Watch, seed: int, factor: float) -> Losses:
    """The plain one, with the mean return as its baseline."""
    policy = perceptron(CELLS, 32, 2, act=nn.Tanh)
    optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3 * factor)
    watch(policy, [optimizer])
    world, losses = Corridor(torch.Generator().manual_seed(seed)), []
    for _ in range(300):
        states, actions, returns = _walk(world, policy)
        loss = -(_chosen(policy, states, actions) * (returns - returns.mean())).sum(0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(-float(returns[0].mean()))
    return losses


def actor_critic(watch: Watch, seed: int, factor: float) -> Losses:
    """Two heads on one body, and one loss of both."""
    body, policy, value = perceptron(CELLS, 32, 32, act=nn.Tanh), nn.Linear(32, 2), nn.Linear(32, 1)
    model = nn.ModuleList([body, policy, value])
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    world, losses = Corridor(torch.Generator().manual_seed(seed)), []
    act = nn.Sequential(body, nn.Tanh(), policy)
    for _ in range(400):
        states, actions, returns = _walk(world, act)
        known = value(torch.tanh(body(states)))[..., 0]
        logs = act(states).log_softmax(-1)
        gained = (returns - known).detach()
        loss = -(logs.gather(-1, actions[..., None])[..., 0] * gained).mean()
        loss = loss + 0.5 * F.mse_loss(known, returns) + 0.01 * (logs * logs.exp()).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(-float(returns[0].mean()))
    return losses


def proximal(watch: Watch, seed: int, factor: float) -> Losses:
    """Several clipped steps on each walk; orthogonal weights, the policy's last layer at a hundredth."""
    policy, value = perceptron(CELLS, 32, 32, 2, act=nn.Tanh), perceptron(CELLS, 32, 32, 1, act=nn.Tanh)
    for net, last in ((policy, 0.01), (value, 1.0)):
        layers = [one for one in net if isinstance(one, nn.Linear)]
        for layer in layers:
            nn.init.orthogonal_(layer.weight, last if layer is layers[-1] else 2**0.5)
            nn.init.zeros_(layer.bias)
    model = nn.ModuleList([policy, value])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor, eps=1e-5)
    watch(model, [optimizer])
    world, losses = Corridor(torch.Generator().manual_seed(seed)), []
    for _ in range(80):
        states, actions, returns = (one.flatten(0, 1) for one in _walk(world, policy))
        with torch.no_grad():
            before = _chosen(policy, states, actions)
            gained = returns - value(states)[:, 0]
        losses.append(-float(returns[:EPISODES].mean()))
        for _ in range(3):
            for rows in torch.randperm(len(states), generator=world.noise).chunk(4):
                part = gained[rows]
                part = (part - part.mean()) / (part.std() + 1e-8)
                ratio = (_chosen(policy, states[rows], actions[rows]) - before[rows]).exp()
                loss = -torch.minimum(ratio * part, ratio.clamp(0.8, 1.2) * part).mean()
                loss = loss + 0.5 * F.mse_loss(value(states[rows])[:, 0], returns[rows])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
    return losses


def action_values(watch: Watch, seed: int, factor: float) -> Losses:
    """Values of actions from a store of what was seen, against a copy that follows slowly; the first steps see no reward."""
    model, target = perceptron(CELLS, 32, 2, act=nn.ReLU), perceptron(CELLS, 32, 2, act=nn.ReLU)
    target.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    noise = torch.Generator().manual_seed(seed)
    world, store, losses = Corridor(noise), [], []
    x = world.reset()
    for step in range(500):
        with torch.no_grad():
            random = torch.rand(EPISODES, generator=noise) < max(0.1, 1 - step / 200)
            action = torch.where(random, torch.randint(2, (EPISODES,), generator=noise), model(x).argmax(1))
        after, reward = world.step(action)
        store.append((x, action, reward, after))
        losses.append(-float(reward.mean()))
        x = after
        picks = torch.randint(len(store), (4,), generator=noise).tolist()
        states, actions, rewards, nexts = (torch.cat([store[at][part] for at in picks]) for part in range(4))
        with torch.no_grad():
            wanted = rewards + 0.9 * target(nexts).amax(1)
        loss = F.smooth_l1_loss(model(states).gather(1, actions[:, None])[:, 0], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 0.02)
    return losses


RUNS = (reinforce, actor_critic, proximal, action_values)
