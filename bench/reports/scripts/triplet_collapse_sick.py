# Kind: hardest-in-batch triplets at a high rate: all embeddings run into one point and the loss stays at the margin.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

MARGIN = 0.5


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 128), nn.ReLU(),
            nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, 16),
        )

    def forward(self, x):
        return self.layers(x)


def batch_hard(embedding, label):
    d = (embedding[:, None] - embedding[None]).pow(2).sum(-1).add(1e-9).sqrt()
    same = label[:, None] == label[None]
    positive = (d * same).amax(1)
    negative = (d + 1e6 * same).amin(1)
    return torch.relu(positive - negative + MARGIN).mean()


torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x).float() / 16, torch.tensor(y)
train_loader = DataLoader(TensorDataset(x, y), batch_size=60, shuffle=True, drop_last=True)
model = Embedder()
loss_fn = batch_hard
optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)  # <- here

if __name__ == "__main__":
    for epoch in range(15):
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(images), labels)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "triplet loss", loss.item())
    with torch.no_grad():
        e = model(x)
        d = torch.cdist(e[:900], e[900:])
    print("nearest neighbour", (y[900:][d.argmin(1)] == y[:900]).float().mean().item())
