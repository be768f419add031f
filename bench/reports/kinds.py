"""The table: for every kind of report what training does to both scripts, and what a right answer of steadygrad's names.

Right answers are stated from the report's own solution, before anything was asked. Knows the scripts' files; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
MARK = "# <- here"
WHICH = ("sick", "fixed")


@dataclass(frozen=True)
class Kind:
    """One pair of scripts. ``{}`` in arguments stands for the script's path."""

    name: str
    codes: tuple[str, ...]
    """Codes of rules that name the cause; any of them is right."""
    fails: float
    """The sick script's last printed number is at most this, or not finite (accuracy, R², Dice and the like: more is better)."""
    trains: float
    """The mended script's is at least this."""
    check: tuple[str, ...] = ("{}",)
    """What a user gives ``steadygrad check``, the script's own batches among it; () where it cannot be asked."""
    check_fixed: tuple[str, ...] | None = None
    """The same for the mended script, where it is another."""
    bare: str = ""
    """The model's class (or builder), to be checked with nothing else; "" where there is none."""
    severity: str = "error"
    """The least that is right for the sick script: "warning" where it learns a good part all the same."""
    given: bool = False
    """The fault is an argument of ``steadygrad check`` itself, which stands on no line of the script."""
    in_loop: bool = False
    """The fault lies in the training loop alone, which ``check`` does not see."""

    def path(self, which: str) -> Path:
        return SCRIPTS / f"{self.name}_{which}.py"

    def arguments(self, which: str) -> tuple[str, ...]:
        """What is handed to ``steadygrad check``."""
        given = self.check if which == "sick" or self.check_fixed is None else self.check_fixed
        return tuple(part.replace("{}", str(self.path(which))) for part in given)

    @property
    def story(self) -> str:
        """What the sick script's first line says of it."""
        first = self.path("sick").read_text(encoding="utf-8").splitlines()[0]
        return first.removeprefix("# Kind: ")

    def marked(self) -> frozenset[int]:
        """Lines of the sick script that are at fault, from 1; none where no line is."""
        lines = self.path("sick").read_text(encoding="utf-8").splitlines()
        return frozenset(number for number, line in enumerate(lines, 1) if line.rstrip().endswith(MARK))


def _with(model: str, batch: str, loss: str, optimizer: str) -> tuple[str, ...]:
    loss = f"{{}}:{loss[1:]}" if loss.startswith(":") else loss
    return ("{}:" + model, "--batch", "{}:" + batch, "--loss", loss, "--optimizer", optimizer)


CUT = ("SG107",)
ONE_SIDED = ("SG308", "SG103")
TWICE = ("SG303",)
NOT_FINITE = ("SG203",)
NOT_HELD = ("SG107", "SG106")
MIXED = ("SG109",)
"""What belongs to one sample meets another's, and nothing else is wrong: only fresh batches show it."""

KINDS: tuple[Kind, ...] = (
    Kind("relu_bce_logits", ONE_SIDED, 0.65, 0.95, bare="TumourNet"),
    Kind(
        "relu_scores",
        ONE_SIDED,
        0.85,
        0.95,
        check=_with("ConvNet", "get_loader", "cross_entropy", "adam:3e-3"),
        bare="ConvNet",
        severity="warning",
    ),
    Kind("relu_regression", ONE_SIDED, 0.5, 0.65, severity="warning"),
    Kind("relu_pinn", ONE_SIDED, 0.1, 0.95, check=(), bare="Solution"),
    Kind("softmax_cross_entropy", TWICE, 0.6, 0.9, bare="Classifier"),
    Kind("sigmoid_bce_logits", TWICE, 0.4, 0.9, bare="Net"),
    Kind("sigmoid_cross_entropy", TWICE, 0.2, 0.7, bare="Head", severity="warning"),
    Kind("dice_on_mask", CUT, 0.2, 0.9, bare="TinySeg"),
    Kind("loss_item", CUT, 0.2, 0.9, check=_with("TwoHeads", "loader", ":total_loss", "adam:5e-3"), bare="TwoHeads"),
    Kind("argmax_loss", CUT, 0.2, 0.9, check=("{}", "--batch", "{}:train_loader", "--loss", "{}:step_loss")),
    Kind("numpy_round_trip", CUT, 0.6, 0.95, bare="Spectral"),
    Kind("data_attribute", CUT, 0.6, 0.7, bare="AutoEncoder", severity="warning"),
    Kind("python_list", CUT, 0.3, 0.8, bare="DeepNet"),
    Kind("no_grad_backbone", CUT, 0.3, 0.85, bare="Classifier"),
    Kind("optimizer_of_old_model", NOT_HELD, 0.2, 0.9, bare="Net", in_loop=True),
    Kind(
        "head_after_optimizer",
        NOT_HELD,
        0.2,
        0.85,
        check=("{}:build_model", "--batch", "{}:make_loader", "--loss", "cross_entropy"),
        in_loop=True,
    ),
    Kind("no_zero_grad", ("SG307",), 0.1, 0.4, bare="Regressor", in_loop=True),
    Kind(
        "zero_grad_after_backward",
        ("SG307", "SG107"),
        0.2,
        0.9,
        check=_with("MLP", "get_data", "cross_entropy", "adam:1e-3"),
        bare="MLP",
        in_loop=True,
    ),
    Kind(
        "clip_too_small",
        ("SG306",),
        0.3,
        0.9,
        check=("{}", "--clip", "norm:1e-4"),
        check_fixed=("{}", "--clip", "norm:1"),
        given=True,
    ),
    Kind("scheduler_per_batch", ("SG106",), 0.4, 0.9, bare="Net", in_loop=True),
    Kind("column_against_row", ("SG309",), 0.1, 0.5, bare="Net"),
    Kind("shuffled_labels", MIXED, 0.2, 0.9),
    Kind("batch_first", (*MIXED, "SG311", "SG101", "SG105"), 0.3, 0.95, bare="TinyViT"),
    Kind("lstm_axes", (*MIXED, "SG311"), 0.3, 0.8, bare="Forecast"),
    Kind("view_for_transpose", (*MIXED, "SG311"), 0.5, 0.95, bare="Tagger"),
    Kind("softmax_wrong_dim", (*MIXED, "SG311"), 0.65, 0.95),
    Kind(
        "embedding_of_scaled",
        ("SG105", "SG109", "SG304"),
        0.2,
        0.9,
        check=_with("build_model", "train_batches", "cross_entropy", "adam:4e-3"),
    ),
    Kind("rate_too_large", ("SG204",), 0.2, 0.85, bare="LeNet"),
    Kind(
        "rate_too_small",
        ("SG106",),
        0.3,
        0.9,
        check=_with("Net", "loader", "cross_entropy", "adamw:1e-7"),
        check_fixed=_with("Net", "loader", "cross_entropy", "adamw:1e-3"),
        given=True,
    ),
    Kind("triplet_collapse", ("SG204", "SG105"), 0.3, 0.9),
    Kind("summed_loss", ("SG204",), 0.2, 0.5),
    Kind("house_prices", ("SG106", "SG310"), 0.1, 0.9),
    Kind("weight_decay", ("SG106", "SG105"), 0.2, 0.9),
    Kind("bf16_weights", ("SG108",), 0.4, 0.8),
    Kind("loss_upside_down", ("SG204", "SG207"), 0.2, 0.85),
    Kind("log_of_zero", NOT_FINITE, 0.2, 0.9),
    Kind("sqrt_at_zero", NOT_FINITE, 0.5, 0.9, check=("{}", "--batch", "{}:train_loader", "--loss", "{}:contrastive")),
    Kind("zero_norm", NOT_FINITE, 0.2, 0.9),
    Kind("acos_at_one", NOT_FINITE, 0.5, 0.99),
    Kind("all_masked", NOT_FINITE, 0.2, 0.95),
    Kind("raw_sigma", NOT_FINITE, 0.1, 0.7),
    Kind("vae_logvar", ("SG203", "SG304"), 0.2, 0.6),
    Kind("deep_sigmoid", ("SG102", "SG101"), 0.2, 0.9, bare="DNN"),
    Kind(
        "plain_conv",
        ("SG101", "SG105", "SG301"),
        0.3,
        0.9,
        check=_with("Deep", "make_loader", "cross_entropy", "adam:3e-3"),
        bare="Deep",
    ),
    Kind(
        "zero_weights",
        ("SG301", "SG107"),
        0.2,
        0.9,
        check=_with("Net", "loader", "cross_entropy", "sgd:0.1"),
        bare="Net",
    ),
    Kind("randn_weights", ("SG301", "SG102"), 0.4, 0.9, bare="Net"),
    Kind("raw_features", ("SG304", "SG102"), 0.7, 0.95),
    Kind("dropout_keep", MIXED, 0.3, 0.9, bare="Net"),
    Kind(
        "batch_of_two",
        ("SG302",),
        0.7,
        0.95,
        check=_with("Net", "train_loader", "cross_entropy", "adam:1e-3"),
        bare="Net",
        severity="warning",
    ),
    Kind("rnn_long", ("SG104",), 0.5, 0.9, bare="Memory"),
    Kind("relu_rnn_explodes", ("SG202", "SG201"), 0.1, 0.5, bare="Adder"),
    Kind("attention_unscaled", ("SG305",), 0.4, 0.9, bare="Lookup"),
    Kind("gan_saturated", ("SG102",), 0.3, 0.8, check=(), in_loop=True),
)
