"""What belongs to the optimizer and the training loop: learning rate, weight decay, a clip; and what can only be told."""

from __future__ import annotations

import pytest

from tests.fix.files import HEAD, dedented
from tests.fix.workshop import Workshop, difference

SPIKY = HEAD + dedented("""
    def setup():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
        x = torch.randn(64, 8)
        y = 10 * x.sum(1, keepdim=True)
        return model, (x, y), nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=0.3)


    def train():
        torch.manual_seed(0)
        model, (x, y), loss_fn, optimizer = setup()
        for _ in range(10):
            optimizer.zero_grad()
            {backward}
""")

SCRIPT = HEAD + dedented("""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    x = torch.randn(64, 8)
    optimizer = torch.optim.SGD({made})


    def setup():
        return model, (x, 10 * x.sum(1, keepdim=True)), nn.MSELoss(), optimizer


    def train():
        for _ in range(10):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), 10 * x.sum(1, keepdim=True))
            {backward}
""")

CLIP = "torch.nn.utils.clip_grad_norm_(model.parameters(), 1)"
MADE = "model.parameters(), lr=0.3"
STEP = "loss.backward()\n        optimizer.step()"


def script(made: str = MADE, backward: str = STEP) -> str:
    return SCRIPT.replace("{made}", made).replace("{backward}", backward)


@pytest.mark.long
@pytest.mark.parametrize(
    ("backward", "line"),
    [
        (STEP, f"        {CLIP}\n"),
        pytest.param(
            "loss.backward()  # all of it\n        optimizer.step()", f"        {CLIP}\n", marks=pytest.mark.long
        ),
        pytest.param(
            "loss.backward(); optimizer.step()",
            f"        loss.backward(); {CLIP}; optimizer.step()\n",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_clip_is_a_line_behind_backward(backward: str, line: str, workshop: Workshop) -> None:
    text = script(backward=backward)
    workshop.lay_out({"net.py": text})
    found = workshop.fixed(only="clip-norm")
    assert found.safety == "safe"
    workshop.write(found)
    new = workshop.bytes()["net.py"]
    assert line.encode() in difference(text.encode(), new).added
    compile(new, "net.py", "exec")


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (script(backward="pass"), "no backward() stands in net.py; put torch.nn.utils.clip_grad_norm_"),
        pytest.param(script(backward="scaler.scale(loss).backward()"), "gradients are scaled", marks=pytest.mark.long),
        (script(backward=f"loss.backward()\n        {CLIP}"), "clips already"),
        pytest.param(
            SPIKY.replace("{backward}", "loss_fn(model(x), y).backward()"), "is not known where", marks=pytest.mark.long
        ),
        (script(made="[{'params': model.parameters()}], lr=0.3"), "no plain model.parameters()"),
    ],
)
def test_a_clip_that_has_no_place_is_told(text: str, why: str, workshop: Workshop) -> None:
    workshop.lay_out({"net.py": text})
    found = workshop.fix(only="clip-norm")
    assert not found.found
    assert why in found.tried[0]
    assert workshop.bytes() == {"net.py": text.encode()}


@pytest.mark.long
@pytest.mark.parametrize(
    ("made", "new"),
    [
        ("model.parameters(), lr=10.0", "model.parameters(), lr="),
        pytest.param("model.parameters(), 10.0, momentum=0.0", "model.parameters(), ", marks=pytest.mark.long),
        ("model.parameters(),\n    momentum=0.0,  # none\n    lr=1e1,\n", "    lr="),
        pytest.param("params=model.parameters(), lr=(10.0)", "params=model.parameters(), lr=(", marks=pytest.mark.long),
    ],
)
def test_a_rate_is_written_where_the_optimizer_is_made(made: str, new: str, workshop: Workshop) -> None:
    text = script(made=made)
    workshop.lay_out({"net.py": text})
    found = workshop.fixed(only="learning-rate")
    workshop.write(found)
    changed = difference(text.encode(), workshop.bytes()["net.py"])
    assert len(changed.removed) == len(changed.added) == 1
    assert new.encode() in changed.added[0]
    assert not workshop.fix(only="learning-rate").found


@pytest.mark.long
def test_a_rate_is_told_where_no_file_makes_the_optimizer(workshop: Workshop) -> None:
    workshop.lay_out({"net.py": script(made=MADE).replace("nn.MSELoss(), optimizer", "nn.MSELoss()")})
    found = workshop.fix(only="learning-rate", optimizer="sgd:10")
    # The file has an SGD of its own: that is where the rate goes, and it is proven with the one that was given.
    assert found.found
    workshop.lay_out({"net.py": HEAD + "model = nn.Linear(8, 1)\n"})
    told = workshop.fix(only="learning-rate", optimizer="sgd:1e-9", inputs=["32,8"])
    assert not told.found
    assert told.tried == (
        "learning rate: display only: set it where the optimizer is made (no SGD(...) stands in net.py)",
    )


FAR = HEAD + dedented("""
    def setup():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))
        x = torch.randn(64, 8)
        return model, (5000 + 1500 * x, x[:, :4].argmax(1)), F.cross_entropy, torch.optim.Adam(model.parameters())
""")


@pytest.mark.long
def test_an_input_that_wants_standardising_is_told(workshop: Workshop) -> None:
    workshop.lay_out({"net.py": FAR})
    found = workshop.fix(only="standardised-input", unsafe=True)
    assert not found.found
    assert "display only: standardise the data where they are loaded" in found.tried[0]
    assert "only='standardised-input'" in found.by_hand
