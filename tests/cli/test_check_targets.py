"""Files as people have them: scripts that train, parse arguments, hold a configuration or lie in a package."""

from __future__ import annotations

import json
import sys

import pytest

from steadygrad.cli import main

HEAD = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n"

NET = """class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.a, self.b = nn.Linear(20, width), nn.Linear(width, 3)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


"""

TRAIN = (
    HEAD
    + "from torch.utils.data import DataLoader, TensorDataset\n"
    + NET
    + """x, y = torch.randn(192, 20), torch.randint(0, 3, (192,))
train_loader = DataLoader(TensorDataset(x, y), batch_size=48, shuffle=True)
model = Net()
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
for xb, yb in train_loader:
    optimizer.zero_grad()
    criterion(model(xb), yb).backward()
    optimizer.step()
"""
)

GPT = (
    "from dataclasses import dataclass\n"
    + HEAD
    + """@dataclass
class GPTConfig:
    block_size: int = 24
    vocab_size: int = 100
    n_layer: int = 2
    n_embd: int = 32


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.limit = config.block_size
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList(nn.Linear(config.n_embd, config.n_embd) for _ in range(config.n_layer))
        self.head = nn.Linear(config.n_embd, config.vocab_size)

    def forward(self, idx, targets=None):
        _, time = idx.shape
        assert time <= self.limit
        x = self.wte(idx) + self.wpe(torch.arange(time))
        for layer in self.h:
            x = x + F.gelu(layer(x))
        logits = self.head(x)
        return logits, None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())
"""
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def written(text, name="net.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return written


def setup_of(capsys, *arguments):
    capsys.readouterr()
    code = main(["check", *arguments, "--trial", "0", "--output-format", "json"])
    captured = capsys.readouterr()
    assert code != 2, captured.err
    return json.loads(captured.out)["setup"]


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert main(["check", *arguments]) == 2
    error = capsys.readouterr().err
    assert "steadygrad/" not in error.replace("steadygrad/net", ""), "no traceback of ours"
    return error


def test_arguments_of_ours_are_not_the_files(write, capsys):
    text = (
        HEAD
        + "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--width', type=int, default=16)\n"
    )
    text += "args = parser.parse_args()\nseen = list(sys.argv)\n" + NET.replace("width=32", "width=args.width")
    before = sys.argv
    assert setup_of(capsys, write(text) + ":Net")["parameters"] == 21 * 16 + 17 * 3
    assert sys.argv is before
    text = text.replace("default=16", "required=True")
    error = refusal(capsys, write(text, "strict.py") + ":Net")
    assert "ends the program" in error and "steadygrad run --only-check strict.py" in error


def test_a_function_that_parses_arguments_when_it_builds(write, capsys):
    text = HEAD + "import argparse\n" + NET
    text += (
        "def build_model():\n    p = argparse.ArgumentParser()\n    p.add_argument('--width', type=int, default=8)\n"
    )
    text += "    return Net(p.parse_args().width)\n"
    assert setup_of(capsys, write(text))["parameters"] == 21 * 8 + 9 * 3


def test_a_script_brings_its_optimizer_loss_and_loader(write, capsys):
    setup = setup_of(capsys, write(TRAIN, "train.py"))
    assert setup["optimizer"] == "SGD, learning rate 0.25" and setup["loss"] == "CrossEntropyLoss"
    assert setup["batch"] == "(48, 20) float32, (48,) int64, fresh ones of DataLoader"
    assert [one["words"] for one in setup["assumptions"]] == ["from train.py: train_loader, criterion, optimizer"]
    main(["check", "train.py", "--trial", "0"])
    assert "taken      from train.py: train_loader, criterion" in capsys.readouterr().out


def test_options_win_over_what_the_script_brings(write, capsys):
    setup = setup_of(capsys, write(TRAIN, "train.py"), "--optimizer", "adam:0.01", "--loss", "cross_entropy")
    assert setup["optimizer"].startswith("Adam") and setup["loss"] == "cross_entropy"


@pytest.mark.parametrize(
    ("change", "batch"),
    [
        (("torch.randn(192, 20)", "torch.randn(192, 1, 4, 5)"), "(48, 20) float32, (48,) int64"),
        (("torch.randn(192, 20)", "torch.randn(192, 40)"), "64 × 20"),
    ],
    ids=["flattened", "another width"],
)
def test_a_batch_that_the_loop_changes_is_flattened_or_made(write, capsys, change, batch):
    text = TRAIN.replace(*change).replace("model(xb)", "model(xb.flatten(1)[:, :20])")
    setup = setup_of(capsys, write(text, "train.py"))
    assert setup["batch"].startswith(batch) and setup["loss"] == "CrossEntropyLoss"


def test_a_loader_without_its_data_is_left_out_and_told_of(write, capsys):
    text = TRAIN.replace("TensorDataset(x, y)", "Pictures()").partition("for xb")[0]
    pictures = "class Pictures(torch.utils.data.Dataset):\n    def __len__(self):\n        return 8\n\n"
    pictures += "    def __getitem__(self, index):\n        raise FileNotFoundError('data/0.png')\n\n\n"
    setup = setup_of(capsys, write(text.replace("x, y =", pictures + "x, y ="), "train.py"))
    assert setup["optimizer"] == "SGD, learning rate 0.25" and setup["batch"].startswith("64 × 20")
    assert "train_loader is left out: FileNotFoundError: data/0.png" in setup["assumptions"][0]["words"]


@pytest.mark.parametrize(
    "loss",
    [
        "criterion = nn.MSELoss()",
        "class FocalLoss(nn.Module):\n    def forward(self, output, target):\n        return F.mse_loss(output, target)",
        "class Own(nn.Module):\n    def forward(self, out, y):\n        return F.mse_loss(out, y)\n\n\nloss_fn = Own()",
    ],
    ids=["torch's", "a class", "an object"],
)
def test_a_loss_is_no_model(write, capsys, loss):
    assert setup_of(capsys, write(HEAD + NET + loss + "\n"))["model"] == "Net"


def test_what_has_nothing_to_train_is_no_model_beside_one(write, capsys):
    text = HEAD + NET + "pool, squash = nn.MaxPool2d(2), nn.Sigmoid()\nmodel = Net()\n"
    assert setup_of(capsys, write(text))["model"] == "Net"


def test_a_second_model_is_left_out_where_the_optimizer_tells(write, capsys):
    text = TRAIN.replace("criterion =", "teacher = nn.Linear(20, 3)\ncriterion =")
    assert setup_of(capsys, write(text, "train.py"))["model"] == "Net"


@pytest.mark.parametrize(
    ("arguments", "layers"),
    [((), 2), (("--arg", "config=GPTConfig(n_layer=4)"), 4), (("--arg", "config.n_layer=3"), 3)],
    ids=["unasked", "a call", "a field"],
)
@pytest.mark.parametrize("argument", ["config", "config: GPTConfig", "cfg: 'GPTConfig'", "config=GPTConfig()"])
def test_a_configuration_is_built(write, capsys, arguments, layers, argument):
    name = argument.split(":")[0].split("=")[0]
    text = GPT.replace("self, config)", f"self, {argument})")
    if name != "config":
        text = text.replace("config.", f"{name}.")
        arguments = tuple(part.replace("config", name, 1) for part in arguments)
    setup = setup_of(capsys, write(text), *arguments)
    assert setup["parameters"] == 32 * (24 + 100 + 100) + 100 + layers * 33 * 32


@pytest.mark.parametrize(
    "made",
    [
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--width', type=int, default=16)\n"
        "args = parser.parse_args()\n",
        "from types import SimpleNamespace\nargs = SimpleNamespace(width=16)\n",
    ],
    ids=["parsed", "a namespace"],
)
def test_a_configuration_of_the_files_own_is_taken(write, capsys, made):
    text = (
        HEAD
        + made
        + NET.replace("width=32", "args").replace("width)", "args.width)").replace("(width,", "(args.width,")
    )
    assert setup_of(capsys, write(text) + ":Net")["parameters"] == 21 * 16 + 17 * 3
    assert setup_of(capsys, "net.py:Net", "--arg", "args.width=8")["parameters"] == 21 * 8 + 9 * 3
    assert "has no 'depth'" in refusal(capsys, "net.py:Net", "--arg", "args.depth=8")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("config=GPTConfig(n_layr=4)", "takes no argument 'n_layr'"),
        ("config.n_layr=4", "takes no argument 'n_layr'"),
        ("config=__import__('os')", "does not call a class"),
        ("config=GPTConfig(n_layer=open('x'))", "give plain values"),
        ("cnfig.n_layer=4", "no configuration 'cnfig'"),
        ("config.a.b=4", "--arg config.depth=20"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused_in_a_sentence(write, capsys, argument, sentence):
    assert sentence in refusal(capsys, write(GPT), "--arg", argument)


SIZED = {
    "a language model": (GPT, "64 × 24 of whole numbers from 0 to 99"),
    "a longer one": (
        GPT.replace("block_size: int = 24", "block_size: int = 256"),
        "64 × 32 of whole numbers from 0 to 99",
    ),
    "patches": (
        HEAD
        + """class ViT(nn.Module):
    def __init__(self, image_size=72, patch=12, in_channels=1):
        super().__init__()
        self.patch = patch
        self.emb = nn.Linear(in_channels * patch * patch, 32)
        self.pos = nn.Parameter(torch.zeros(1, (image_size // patch) ** 2, 32))
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        p = self.patch
        x = x.unfold(2, p, p).unfold(3, p, p).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        return self.head((self.emb(x) + self.pos).mean(1))
""",
        "64 × 1 × 72 × 72 of N(0, 1)",
    ),
    "a convolution": (
        HEAD
        + """class CNN(nn.Module):
    def __init__(self, img_size=(44, 60), in_chans=4):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, stride=4)
        self.head = nn.Linear(8 * 11 * 15, 10)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))
""",
        "64 × 4 × 44 × 60 of N(0, 1)",
    ),
    "a series": (
        HEAD
        + """class Series(nn.Module):
    def __init__(self, seq_len=90):
        super().__init__()
        self.rnn = nn.GRU(7, 16, batch_first=True)
        self.head = nn.Linear(16 * seq_len, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0].flatten(1))
""",
        "64 × 90 × 7 of N(0, 1)",
    ),
    "ids and targets": (
        GPT.replace("targets=None", "targets"),
        "64 × 24 of whole numbers from 0 to 99, 64 × 24 of whole numbers from 0 to 99",
    ),
}


@pytest.mark.parametrize("name", SIZED)
def test_a_batch_takes_its_size_from_what_the_model_says(write, capsys, name):
    text, size = SIZED[name]
    setup = setup_of(capsys, write(text))
    assert setup["batch"].partition(", made from")[0] == size


def test_what_is_guessed_is_on_one_line_and_what_would_make_it_sure_on_the_next(write, capsys):
    main(["check", write(HEAD + NET), "--trial", "0"])
    lines = capsys.readouterr().out.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("  assumed "))
    end = next(i for i, line in enumerate(lines) if line.startswith("  to be sure"))
    guessed = " ".join(line.strip() for line in lines[begin:end])
    assert all(word in guessed for word in ("batch: ", "; loss: ", "; optimizer: "))
    assert "--batch FILE.py:FUNCTION, --loss NAME and --optimizer SPEC" in " ".join(lines[end : end + 2])
    main(["check", "net.py", "--trial", "0", "--loss", "cross_entropy", "--optimizer", "sgd:0.1"])
    assert "to be sure give --batch FILE.py:FUNCTION\n" in capsys.readouterr().out


@pytest.mark.parametrize("deep", [False, True], ids=["package", "package in a package"])
def test_a_file_of_a_package_works_by_its_path(write, capsys, deep):
    folder = "parcel_a/inner" if deep else "parcel_b"
    dots = ".." if deep else "."
    for name in {"parcel_a/__init__.py", f"{folder}/__init__.py"} if deep else {f"{folder}/__init__.py"}:
        write("", name)
    write("WIDTH = 12\n", f"{folder.split('/')[0]}/numbers_of_it.py")
    text = HEAD + f"from {dots}numbers_of_it import WIDTH\n" + NET.replace("width=32", "width=WIDTH")
    assert setup_of(capsys, write(text, f"{folder}/net.py"))["parameters"] == 21 * 12 + 13 * 3
    write(text.replace("width=WIDTH", "width=WIDTH + 1"), f"{folder}/net.py")
    assert setup_of(capsys, f"{folder}/net.py")["parameters"] == 21 * 13 + 14 * 3, "an edited file is read anew"


def test_where_there_is_no_one_model_run_is_named(write, capsys):
    script = HEAD + 'def main():\n    model = nn.Linear(4, 2)\n\n\nif __name__ == "__main__":\n    main()\n'
    assert "steadygrad run --only-check made.py" in refusal(capsys, write(script, "made.py"))
    two = HEAD + NET + NET.replace("Net", "Other")
    assert "steadygrad run --only-check two.py" in refusal(capsys, write(two, "two.py"))


def test_the_text_of_an_import_error_is_kept(write, capsys):
    write("x = 1\n", "neighbour.py")
    error = refusal(capsys, write("from neighbour import missing_thing\n", "a.py"))
    assert "cannot import name 'missing_thing' from 'neighbour'" in error
    error = refusal(capsys, write("import neighbour.part\n", "b.py"))
    assert "No module named 'neighbour.part'; 'neighbour' is not a package" in error


def test_an_optimizer_of_another_model_is_told(write, capsys):
    file = write(TRAIN.replace("optimizer = torch.optim.SGD(model.parameters(), lr=0.25)", ANOTHER), "train.py")
    assert main(["check", file]) == 1
    assert "SG107" in (said := capsys.readouterr().out) and "the optimizer does not hold them" in said


ANOTHER = """optimizer = torch.optim.SGD([p.detach().clone().requires_grad_() for p in model.parameters()], lr=0.25)"""
