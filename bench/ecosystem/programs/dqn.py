# Shape: DQN: replay memory drawn with random.sample, epsilon-greedy, a soft target network, clip_grad_value_
# Expected: no error
import math
import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.optim as optim

random.seed(0)
torch.manual_seed(0)
Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1, self.layer2, self.layer3 = nn.Linear(3, 64), nn.Linear(64, 64), nn.Linear(64, 2)

    def forward(self, x):
        return self.layer3(torch.relu(self.layer2(torch.relu(self.layer1(x)))))


policy_net, target_net = DQN(), DQN()
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=3e-3, amsgrad=True)
memory = deque([], maxlen=1000)
steps_done = 0


def observe(x):
    return torch.tensor([[x, math.sin(x), 1.0]], dtype=torch.float32)


def select_action(state):
    global steps_done
    eps = 0.05 + 0.85 * math.exp(-steps_done / 60)
    steps_done += 1
    if random.random() > eps:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(2)]], dtype=torch.long)


def optimize_model():
    if len(memory) < 32:
        return None
    batch = Transition(*zip(*random.sample(memory, 32)))
    mask = torch.tensor([s is not None for s in batch.next_state], dtype=torch.bool)
    later = torch.cat([s for s in batch.next_state if s is not None])
    values = policy_net(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
    next_values = torch.zeros(32)
    with torch.no_grad():
        next_values[mask] = target_net(later).max(1).values
    expected = next_values * 0.9 + torch.cat(batch.reward)
    loss = nn.SmoothL1Loss()(values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()
    return loss.item()


for episode in range(10):
    x, total = random.uniform(-1, 1), 0.0
    for t in range(15):
        state = observe(x)
        action = select_action(state)
        x += 0.25 if action.item() else -0.25
        reward = math.exp(-((x - 1) ** 2))
        total += reward
        memory.append(Transition(state, action, None if t == 14 else observe(x), torch.tensor([reward])))
        loss = optimize_model()
        slow, fast = target_net.state_dict(), policy_net.state_dict()
        for key in fast:
            slow[key] = fast[key] * 0.05 + slow[key] * 0.95
        target_net.load_state_dict(slow)
    print(episode, round(total, 4), loss)
