# Kind: a contrastive loss whose distance is a sqrt of a sum of squares; pairs of one picture with itself give NaN gradients.
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    """Half of the pairs are of one digit; now and then a picture meets itself."""

    def __init__(self):
        x, y = load_digits(return_X_y=True)
        self.x, self.y = torch.tensor(x).float() / 16, torch.tensor(y)
        g = torch.Generator().manual_seed(0)
        self.pairs = []
        for i in range(len(self.x)):
            if i % 2:
                same = (self.y == self.y[i]).nonzero().squeeze(1)
                j = same[torch.randint(len(same), (1,), generator=g)].item()
            else:
                j = torch.randint(len(self.x), (1,), generator=g).item()
            self.pairs.append((i, i if i % 40 == 1 else j))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, k):
        i, j = self.pairs[k]
        return (self.x[i], self.x[j]), (self.y[i] == self.y[j]).float()


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, first, second):
        return self.embed(first), self.embed(second)


def contrastive(outputs, same, margin=1.0):
    a, b = outputs
    d = torch.sqrt(((a - b) ** 2).sum(1))  # <- here
    return (same * d**2 + (1 - same) * torch.relu(margin - d) ** 2).mean()


torch.manual_seed(0)
train_loader = DataLoader(Pairs(), batch_size=64, shuffle=True)
model = Siamese()


def main():
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(10):
        near, far = [], []
        for (first, second), same in train_loader:
            out = model(first, second)
            loss = contrastive(out, same)
            opt.zero_grad()
            loss.backward()
            opt.step()
            d = (out[0] - out[1]).norm(dim=1).detach()
            near.append(d[same == 1])
            far.append(d[same == 0])
        print(epoch, loss.item())
    near, far = torch.cat(near), torch.cat(far)
    print("pairs told apart", ((near < 0.5).float().mean() + (far >= 0.5).float().mean()).item() / 2)


if __name__ == "__main__":
    main()
