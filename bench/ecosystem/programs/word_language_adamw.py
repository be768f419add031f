# Shape: word-language model with AdamW at the rate of 20 that its hand-written updates had
# Expected: error SG204
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1111)
ntokens, bptt = 60, 12


class RNNModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(ntokens, 32)
        self.rnn = nn.LSTM(32, 32, 2)
        self.decoder = nn.Linear(32, ntokens)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        return F.log_softmax(self.decoder(output).view(-1, ntokens), dim=1), hidden


data = torch.randint(0, ntokens, (500, 10)).sort(0).values
model = RNNModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=20)
hidden = (torch.zeros(2, 10, 32), torch.zeros(2, 10, 32))
for batch, i in enumerate(range(0, 490, bptt)):
    seq_len = min(bptt, len(data) - 1 - i)
    source, targets = data[i : i + seq_len], data[i + 1 : i + 1 + seq_len].reshape(-1)
    hidden = tuple(v.detach() for v in hidden)
    optimizer.zero_grad()
    output, hidden = model(source, hidden)
    loss = F.nll_loss(output, targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()
    if batch % 5 == 0:
        print(f"| batch {batch} | loss {loss.item():5.2f}")
