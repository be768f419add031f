# view_for_transpose, mended: transpose.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TAGS, WORDS = 6, 50


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 32)
        self.lstm = nn.LSTM(32, 32, batch_first=True, bidirectional=True)
        self.tag = nn.Linear(64, TAGS)

    def forward(self, words):
        states, _ = self.lstm(self.embed(words))
        scores = self.tag(states)
        return scores.transpose(1, 2)


def sentences(n=800, length=15):
    g = torch.Generator().manual_seed(0)
    words = torch.randint(0, WORDS, (n, length), generator=g)
    before = torch.cat([torch.zeros(n, 1, dtype=torch.long), words[:, :-1]], 1)
    return words, (words + before % 2) % TAGS


torch.manual_seed(0)
train_loader = DataLoader(TensorDataset(*sentences()), batch_size=40, shuffle=True)
model = Tagger()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

if __name__ == "__main__":
    for epoch in range(8):
        right = []
        for words, tags in train_loader:
            scores = model(words)
            loss = criterion(scores, tags)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right.append((scores.argmax(1) == tags).float().mean())
        print(epoch, loss.item())
    print("accuracy", torch.stack(right).mean().item())
