# Kind: a transformer over (batch, tokens, features) without batch_first: tokens attend to other samples, not to each other.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class TinyViT(nn.Module):
    def __init__(self, dim=32, tokens=8, classes=8):
        super().__init__()
        self.embed = nn.Embedding(16, dim)
        self.place = nn.Parameter(0.02 * torch.randn(1, tokens, dim))
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0)  # <- here
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(dim, classes)

    def forward(self, patches):
        x = self.embed(patches) + self.place
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        x = self.encoder(x)  # <- here
        return self.head(x[:, 0])


def pictures(n=2000):
    """The class is where the one bright patch (number 15) lies."""
    g = torch.Generator().manual_seed(0)
    where = torch.randint(0, 8, (n,), generator=g)
    patches = torch.randint(0, 15, (n, 8), generator=g)
    patches[torch.arange(n), where] = 15
    return patches, where


torch.manual_seed(0)
train_loader = DataLoader(TensorDataset(*pictures()), batch_size=50, shuffle=True)
model = TinyViT()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

if __name__ == "__main__":
    for epoch in range(6):
        right = 0
        for patches, where in train_loader:
            scores = model(patches)
            loss = criterion(scores, where)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += (scores.argmax(1) == where).sum().item()
        print(f"epoch {epoch}: {loss.item():.3f}")
    print("accuracy", right / 2000)
