# Shape: graph convolution over a sparse adjacency matrix, Adam with weight decay, full batch, masks
# Expected: no error
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(42)


class GraphConv(nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(input_dim, output_dim))
        self.bias = nn.Parameter(torch.zeros(output_dim))
        nn.init.xavier_normal_(self.kernel)

    def forward(self, x, adj):
        return torch.spmm(adj, torch.mm(x, self.kernel)) + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass):
        super().__init__()
        self.gc1 = GraphConv(nfeat, nhid)
        self.gc2 = GraphConv(nhid, nclass)
        self.dropout = nn.Dropout(0.5)

    def forward(self, features, adj):
        x = F.relu(self.gc1(features, adj))
        x = self.dropout(x)
        return F.log_softmax(self.gc2(x, adj), dim=1)


n, classes = 200, 4
labels = torch.randint(0, classes, (n,))
same = labels[:, None] == labels[None]
linked = torch.rand(n, n) < torch.where(same, 0.06, 0.005)
adjacency = (linked | linked.T).float() + torch.eye(n)
degree = adjacency.sum(1).pow(-0.5)
adjacency = (degree[:, None] * adjacency * degree[None]).to_sparse()
features = torch.randn(n, 32) + 0.8 * torch.randn(classes, 32)[labels]
train, test = torch.arange(0, 80), torch.arange(80, n)
model = GCN(32, 16, classes)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
criterion = nn.NLLLoss()
for epoch in range(60):
    model.train()
    optimizer.zero_grad()
    output = model(features, adjacency)
    loss = criterion(output[train], labels[train])
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 20 == 0:
        model.eval()
        with torch.no_grad():
            right = (model(features, adjacency).argmax(1) == labels)[test].float().mean().item()
        print(f"Epoch {epoch + 1:04d} loss {loss.item():.4f} accuracy {right:.3f}")
