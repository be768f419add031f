"""A fix holds for the class and not for the one model that was looked at: it is checked with other numbers, or not offered."""

from __future__ import annotations

import pytest

from steadygrad._check import check_subject
from steadygrad._fix.elsewhere import anew, given, others_of, runs
from steadygrad._fix.selecting import Lists, _literal
from steadygrad.record import Verdict
from tests.families import always
from tests.fix.files import HEAD, dedented
from tests.fix.workshop import PLAIN, Workshop

SIZED = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self, depth=15, hidden=16):
            super().__init__()
            layers = [nn.Linear(16, hidden), nn.Sigmoid()]
            for _ in range(depth - 1):
                layers += [nn.Linear(hidden, hidden), nn.Sigmoid()]
            self.net = nn.Sequential(*layers, nn.Linear(hidden, 4))

        def forward(self, x):
            return self.net(x)
""")

CONFIGURED = HEAD + dedented("""
    class Config:
        def __init__(self, depth=12, width=16):
            self.depth, self.width, self.name = depth, width, "net"


    class Net(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.fcs = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.depth))
            self.head = nn.Linear(config.width, 4)

        def forward(self, x):
            for fc in self.fcs:
                x = torch.sigmoid(fc(x))
            return self.head(x)


    model = Net(Config())
""")

BUILT = HEAD + dedented("""
    def build_model(depth=12):
        if depth > 15:
            raise ValueError("too deep")
        layers = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        return nn.Sequential(*layers, nn.Linear(16, 4))
""")

LIT = dedented("""
    import lightning as L
    import torch
    from torch import nn
    from torch.nn import functional as F


    class LitClassifier(L.LightningModule):
        def __init__(self, depth=15, hidden=16, lr=1e-3):
            super().__init__()
            self.save_hyperparameters()
            layers = [nn.Linear(16, hidden), nn.Sigmoid()]
            for _ in range(depth - 1):
                layers += [nn.Linear(hidden, hidden), nn.Sigmoid()]
            self.net = nn.Sequential(*layers, nn.Linear(hidden, 4))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
""")

OFFERED = {
    "a class": (SIZED, "net.py:Net", {"inputs": ["32,16"]}, ["depth=10", "depth=25", "hidden=10", "hidden=26"]),
    "a configuration": (CONFIGURED, "net.py", {"inputs": ["32,16"]}, ["depth=8", "depth=20", "width=10", "width=26"]),
    "a function": (BUILT, "net.py:build_model", {"inputs": ["32,16"]}, ["depth=8", "depth=6"]),
    "a LightningModule": (LIT, "net.py:LitClassifier", {}, ["depth=10", "depth=25", "hidden=10", "hidden=26"]),
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(OFFERED, "a function"))
def test_what_is_offered_holds_with_other_numbers(name: str, workshop: Workshop) -> None:
    text, target, options, expected = OFFERED[name]
    if name == "a LightningModule":
        pytest.importorskip("lightning")
    elif name == "a configuration":
        # Its widths would not fit the batch: those are no numbers that the source runs with.
        expected = expected[:2]
    workshop.lay_out({"net.py": text})
    found = workshop.fixed(target, only="folded-initialisation", **options)
    assert list(found.elsewhere) == expected
    assert f"also with {expected[0]}, {expected[1]}" in found.words
    workshop.write(found)
    for words in expected if ":" in target else ():
        subject = workshop.subject(target, **options, arguments=[words])
        assert found.cured.taken is not None
        if found.cured.taken.rate is not None:
            for group in subject.optimizer.param_groups:
                group["lr"] = found.cured.taken.rate
        assert check_subject(subject).verdict is Verdict.HEALTHY, words


@pytest.mark.long
def test_what_holds_for_the_one_model_alone_is_refused(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof sees it: names as they were in the model at hand, as a fix might have written them."""
    monkeypatch.setattr(Lists, "of", lambda _, paths: _literal(list(paths)))
    workshop.lay_out({"net.py": SIZED})
    found = workshop.fix("net.py:Net", only="folded-initialisation", inputs=["32,16"])
    assert not found.found
    (why,) = found.tried
    assert why.startswith("folded initialisation: written into the source it does not hold with depth=10 (cannot run: ")


@pytest.mark.long
def test_a_width_is_written_as_the_layer_in_front_has_it(workshop: Workshop) -> None:
    workshop.lay_out({"net.py": SIZED})
    found = workshop.fixed("net.py:Net", only="batch-norm-before", unsafe=True, inputs=["32,16"])
    assert "layers += [nn.Linear(hidden, hidden), nn.Sequential(nn.BatchNorm1d(hidden), nn.Sigmoid())]" in found.diff()
    assert "hidden=26" in found.elsewhere


@pytest.mark.parametrize("name", ["a class", "a configuration", "a function"])
def test_the_other_number_is_what_the_model_is_made_with(name: str, workshop: Workshop) -> None:
    text, target, options, _ = OFFERED[name]
    workshop.lay_out({"net.py": text})
    asked = {**PLAIN, **options}
    with anew():
        subject = workshop.subject(target, **options)
        tried = others_of(subject, target, asked)
    linear = [layer for layer in subject.model.modules() if type(layer).__name__ == "Linear"]
    other = tried[0][0]
    assert (other.name, other.before) == ("depth", len(linear) - 1)
    with anew(), given(other):
        changed = workshop.subject(target, **other.options(asked))
    assert sum(type(layer).__name__ == "Linear" for layer in changed.model.modules()) == other.value + 1
    again = workshop.subject(target, **options)
    assert sum(type(layer).__name__ == "Linear" for layer in again.model.modules()) == len(linear)


def test_a_number_that_the_source_does_not_run_with_is_none(workshop: Workshop) -> None:
    workshop.lay_out({"net.py": BUILT})
    asked = {**PLAIN, "inputs": ["32,16"]}
    with anew():
        (tried,) = others_of(workshop.subject("net.py:build_model", inputs=["32,16"]), "net.py:build_model", asked)
    legal = {other.value: runs("net.py:build_model", asked, other) for other in tried}
    assert legal == {8: True, 20: False, 6: True, 24: False, 13: True, 11: True}
