# attention_unscaled, mended: scores divided by sqrt(d), projections of a sane scale.
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

VOCAB, LENGTH, DIM = 20, 8, 128


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(DIM, DIM)
        self.k = nn.Linear(DIM, DIM)
        self.v = nn.Linear(DIM, DIM)
        for layer in (self.q, self.k, self.v):
            nn.init.normal_(layer.weight, std=DIM**-0.5)

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        return torch.softmax(scores / DIM**0.5, dim=-1) @ self.v(x)


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(VOCAB, DIM)
        self.place = nn.Embedding(LENGTH, DIM)
        self.first = SelfAttention()
        self.second = SelfAttention()
        self.out = nn.Linear(DIM, VOCAB)

    def forward(self, tokens):
        x = self.token(tokens) + self.place.weight
        x = self.first(x)
        x = self.second(x)
        return self.out(x).flatten(0, 1)


def reversal(n=2000):
    g = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, VOCAB, (n, LENGTH), generator=g)
    return tokens, tokens.flip(1)


torch.manual_seed(0)
train_loader = DataLoader(TensorDataset(*reversal()), batch_size=100, shuffle=True)
model = Lookup()


def criterion(scores, tokens):
    return nn.functional.cross_entropy(scores, tokens.flatten())


optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

if __name__ == "__main__":
    for epoch in range(15):
        right = 0
        for tokens, wanted in train_loader:
            scores = model(tokens)
            loss = criterion(scores, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += (scores.argmax(1) == wanted.flatten()).float().mean().item()
        print(epoch, loss.item())
    print("accuracy", right / len(train_loader))
