# Shape: seq2seq: GRU encoder, attention decoder, teacher forcing by random.random(), two SGD optimizers
# Expected: no error
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(1)
torch.manual_seed(1)
SOS, EOS, MAX = 0, 1, 8


class EncoderRNN(nn.Module):
    def __init__(self, vocab, hidden):
        super().__init__()
        self.embedding, self.gru = nn.Embedding(vocab, hidden), nn.GRU(hidden, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        return self.gru(self.dropout(self.embedding(x)))


class AttnDecoder(nn.Module):
    def __init__(self, hidden, vocab):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.Wa, self.Ua, self.Va = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        self.gru = nn.GRU(2 * hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, word, state, keys):
        query = state.permute(1, 0, 2)
        weights = F.softmax(self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2), -1).unsqueeze(1)
        output, state = self.gru(torch.cat([self.embedding(word), weights @ keys], 2), state)
        return self.out(output), state


encoder, decoder = EncoderRNN(12, 48), AttnDecoder(48, 12)
encoder_optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
decoder_optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
criterion = nn.NLLLoss()
for it in range(60):
    source = torch.randint(2, 12, (32, 6))
    target = torch.cat([source.flip(1), torch.full((32, 1), EOS)], 1)
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()
    keys, state = encoder(source)
    word, outputs = torch.full((32, 1), SOS), []
    forced = random.random() < 0.5
    for i in range(7):
        output, state = decoder(word, state, keys)
        outputs.append(output)
        word = target[:, i : i + 1] if forced else output.argmax(-1).detach()
    loss = criterion(F.log_softmax(torch.cat(outputs, 1), -1).view(-1, 12), target.reshape(-1))
    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    if it % 10 == 0:
        print(it, forced, loss.item())
