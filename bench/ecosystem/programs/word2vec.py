# Shape: word2vec: skip-gram with negative samples, sparse embeddings, SparseAdam, numpy's random numbers
# Expected: no error
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(0)
torch.manual_seed(0)
vocab, dim = 100, 16


class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.u = nn.Embedding(vocab, dim, sparse=True)
        self.v = nn.Embedding(vocab, dim, sparse=True)
        nn.init.uniform_(self.u.weight, -1.0 / dim, 1.0 / dim)
        nn.init.constant_(self.v.weight, 0)

    def forward(self, pos_u, pos_v, neg_v):
        u, v = self.u(pos_u), self.v(pos_v)
        score = -F.logsigmoid(torch.clamp((u * v).sum(1), -10, 10))
        neg = torch.bmm(self.v(neg_v), u.unsqueeze(2)).squeeze(2)
        return (score - F.logsigmoid(-torch.clamp(neg, -10, 10)).sum(1)).mean()


model = SkipGram()
optimizer = torch.optim.SparseAdam(list(model.parameters()), lr=0.02)
for step in range(150):
    topic = np.random.randint(0, 10, 64)
    pos_u, pos_v = (torch.from_numpy(topic * 10 + np.random.randint(0, 10, 64)) for _ in range(2))
    neg_v = torch.from_numpy(np.random.randint(0, vocab, (64, 5)))
    optimizer.zero_grad()
    loss = model(pos_u, pos_v, neg_v)
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, loss.item(), np.random.rand())
