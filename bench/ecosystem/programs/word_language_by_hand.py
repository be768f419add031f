# Shape: word-language model, LSTM, weights changed by hand through p.data at a rate of 20 or the one given, gradients clipped to 0.25
# Expected: no error
# With 400: error SG204
import math
import sys

import torch
import torch.nn as nn

torch.manual_seed(1111)
ntokens, bptt = 60, 12


class RNNModel(nn.Module):
    def __init__(self, emsize=32, nhid=32, nlayers=2, dropout=0.2):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntokens, emsize)
        self.rnn = nn.LSTM(emsize, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntokens)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
        return torch.log_softmax(self.decoder(self.drop(output)).view(-1, ntokens), dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return weight.new_zeros(2, bsz, 32), weight.new_zeros(2, bsz, 32)


def corpus(n):
    """Words of which each makes three others likely."""
    after = torch.randint(0, ntokens, (ntokens, 3))
    words = [0]
    for choice in torch.randint(0, 3, (n,)).tolist():
        words.append(after[words[-1], choice].item())
    return torch.tensor(words)


def repackage_hidden(h):
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


data = corpus(8000)[: 10 * 800].view(10, -1).t().contiguous()
model = RNNModel()
criterion = nn.NLLLoss()
lr = float(sys.argv[1]) if len(sys.argv) > 1 else 20
model.train()
hidden = model.init_hidden(10)
total = 0.0
for batch, i in enumerate(5 * list(range(0, data.size(0) - 1, bptt))):
    seq_len = min(bptt, len(data) - 1 - i)
    source, targets = data[i : i + seq_len], data[i + 1 : i + 1 + seq_len].view(-1)
    model.zero_grad()
    hidden = repackage_hidden(hidden)
    output, hidden = model(source, hidden)
    loss = criterion(output, targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    for p in model.parameters():
        p.data.add_(p.grad, alpha=-lr)
    total += loss.item()
    if batch % 30 == 29:
        print(f"| batch {batch + 1} | lr {lr:02.2f} | loss {total / 30:5.2f} | ppl {math.exp(total / 30):8.2f}")
        total = 0
