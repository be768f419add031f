# Kind: token numbers were scaled to [0, 1) with the other columns and then cast to long: every sample looks up row 0.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ITEMS, TOPICS = 200, 10


class Sessions(nn.Module):
    def __init__(self):
        super().__init__()
        self.items = nn.Embedding(ITEMS, 24)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.topic = nn.Linear(32, TOPICS)

    def forward(self, x):
        x = self.items(x.long())  # <- here
        _, last = self.gru(x)
        return self.topic(last[0])


def clicks(n=1500, length=10):
    g = torch.Generator().manual_seed(0)
    topic = torch.randint(0, TOPICS, (n,), generator=g)
    own = torch.rand(n, length, generator=g) < 0.6
    items = torch.randint(0, ITEMS, (n, length), generator=g)
    items = torch.where(own, topic[:, None] * 20 + items % 20, items)
    return items.float() / ITEMS, topic


def build_model():
    return Sessions()


def train_batches():
    return DataLoader(TensorDataset(*clicks()), batch_size=50, shuffle=True)


def main():
    torch.manual_seed(0)
    model, loader = build_model(), train_batches()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(8):
        right = 0
        for x, y in loader:
            scores = model(x)
            loss = nn.functional.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += (scores.argmax(1) == y).sum().item()
        print(epoch, loss.item())
    print("accuracy", right / 1500)


if __name__ == "__main__":
    main()
