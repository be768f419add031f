# Shape: siamese network whose pairs are drawn with Python's random, at every item
# Expected: no error
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

random.seed(0)
torch.manual_seed(0)
kinds = torch.randn(5, 1, 20, 20)


class Matcher(Dataset):
    def __init__(self):
        self.pictures = [kinds[i % 5] + 0.5 * torch.randn(1, 20, 20) for i in range(200)]

    def __len__(self):
        return 400

    def __getitem__(self, index):
        kind = random.randint(0, 4)
        one = self.pictures[random.randrange(40) * 5 + kind]
        if index % 2 == 0:
            other, target = self.pictures[random.randrange(40) * 5 + kind], 1.0
        else:
            away = random.choice([k for k in range(5) if k != kind])
            other, target = self.pictures[random.randrange(40) * 5 + away], 0.0
        return one, other, torch.tensor(target)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.Flatten())
        self.fc = nn.Sequential(nn.Linear(16 * 9 * 2, 64), nn.ReLU(inplace=True), nn.Linear(64, 1))
        self.sigmoid = nn.Sigmoid()
        self.fc.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward(self, a, b):
        return self.sigmoid(self.fc(torch.cat((self.body(a), self.body(b)), 1))).squeeze(1)


model = SiameseNetwork()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
loader = DataLoader(Matcher(), batch_size=32, shuffle=True)
for epoch in range(4):
    right = 0
    for one, other, target in loader:
        optimizer.zero_grad()
        outputs = model(one, other)
        loss = F.binary_cross_entropy(outputs, target)
        loss.backward()
        optimizer.step()
        right += ((outputs > 0.5) == target.bool()).sum().item()
    print(epoch, loss.item(), right, random.random())
