# Shape: forward-forward: each layer its own optimizer and loss, no gradient between layers
# Expected: no error
import torch
import torch.nn as nn
from torch.optim import Adam

torch.manual_seed(1234)


def overlay(x, y):
    """The label in the first ten numbers."""
    x_ = x.clone()
    x_[:, :10] = 0.0
    x_[range(x.shape[0]), y] = x.max()
    return x_


class Layer(nn.Linear):
    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.relu = nn.ReLU()
        self.opt = Adam(self.parameters(), lr=0.02)
        self.threshold = 1.5

    def forward(self, x):
        x_direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
        return self.relu(torch.mm(x_direction, self.weight.T) + self.bias.unsqueeze(0))

    def train_layer(self, x_pos, x_neg, epochs=25):
        for i in range(epochs):
            g_pos = self.forward(x_pos).pow(2).mean(1)
            g_neg = self.forward(x_neg).pow(2).mean(1)
            loss = torch.log(1 + torch.exp(torch.cat([-g_pos + self.threshold, g_neg - self.threshold]))).mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            if i % 8 == 0:
                print("Loss: ", loss.item())
        return self.forward(x_pos).detach(), self.forward(x_neg).detach()


class Net(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.layers = [Layer(a, b) for a, b in zip(dims, dims[1:])]

    def train_net(self, x_pos, x_neg):
        for i, layer in enumerate(self.layers):
            print("training layer: ", i)
            x_pos, x_neg = layer.train_layer(x_pos, x_neg)

    def predict(self, x):
        goodness = []
        for label in range(10):
            h, total = overlay(x, torch.full((len(x),), label)), 0
            for layer in self.layers:
                h = layer(h)
                total = total + h.pow(2).mean(1)
            goodness.append(total.unsqueeze(1))
        return torch.cat(goodness, 1).argmax(1)


y = torch.randint(0, 10, (300,))
x = torch.cat([torch.zeros(300, 10), torch.randn(10, 54)[y] + 0.5 * torch.randn(300, 54)], 1)
net = Net([64, 100, 100])
net.train_net(overlay(x, y), overlay(x, y[torch.randperm(300)]))
with torch.no_grad():
    print("train error:", 1.0 - net.predict(x).eq(y).float().mean().item())
