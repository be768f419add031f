# Shape: names to languages, a character at a time, an RNN by hand, random.choice, p.data.add_ at 0.005
# Expected: no error
import random

import torch
import torch.nn as nn

random.seed(0)
torch.manual_seed(0)
letters = "abcdefghijklmnopqrstuvwxyz"
endings = {"Italian": "ini", "Russian": "ov", "Greek": "os", "Irish": "ey"}
languages = list(endings)


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size, hidden_size)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        hidden = torch.tanh(self.i2h(input) + self.h2h(hidden))
        return self.softmax(self.h2o(hidden)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


rnn = RNN(len(letters), 64, len(languages))
criterion = nn.NLLLoss()
total = 0
for iter in range(1, 401):
    language = random.choice(languages)
    line = "".join(random.choice(letters) for _ in range(random.randint(2, 4))) + endings[language]
    target = torch.tensor([languages.index(language)])
    tensor = torch.zeros(len(line), 1, len(letters))
    for i, letter in enumerate(line):
        tensor[i][0][letters.index(letter)] = 1
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for i in range(tensor.size(0)):
        output, hidden = rnn(tensor[i], hidden)
    loss = criterion(output, target)
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-0.02)
    total += loss.item()
    if iter % 50 == 0:
        print(iter, line, total / 50)
        total = 0
