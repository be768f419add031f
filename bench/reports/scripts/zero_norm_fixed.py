# zero_norm, mended: F.normalize, which bounds the norm from below.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Retrieval(nn.Module):
    """Scores of a bag of word vectors against each of 12 prototypes."""

    def __init__(self, dim=24, topics=12):
        super().__init__()
        self.project = nn.Linear(dim, 16, bias=False)
        self.prototypes = nn.Parameter(torch.randn(topics, 16) * 0.3)

    def forward(self, words):
        w = self.project(words)
        w = F.normalize(w, dim=-1)
        scores = w @ F.normalize(self.prototypes, dim=1).T
        return 10 * scores.mean(1)


def documents(n=1500, length=8):
    g = torch.Generator().manual_seed(0)
    topic = torch.randint(0, 12, (n,), generator=g)
    meaning = torch.randn(12, 24, generator=g)
    words = meaning[topic][:, None] + torch.randn(n, length, 24, generator=g)
    known = torch.randint(length // 2, length + 1, (n, 1), generator=g)
    words[torch.arange(length) >= known] = 0  # padding
    return words, topic


torch.manual_seed(0)
words, topic = documents()
train_loader = DataLoader(TensorDataset(words, topic), batch_size=50, shuffle=True)
model = Retrieval()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

if __name__ == "__main__":
    for epoch in range(6):
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    print("accuracy", (model(words).argmax(1) == topic).float().mean().item())
