"""Initialisations as small functions for the user's own file: readable, with their source, needing torch alone.

Which layers they are for is an expression each, and ``lists`` are the lines that make what it is made of (``Lists``).
"""

from __future__ import annotations

from collections.abc import Sequence


def scheme(kind: str, groups: Sequence[tuple[str, str, float]], lists: Sequence[str], nn: str) -> tuple[str, list[str]]:
    """Function name and rows for He, Xavier, LeCun, orthogonal: ``groups`` are (names, activation, gain)."""
    said = {
        "he": (
            "He initialisation (He et al. 2015, arXiv:1502.01852).",
            'kaiming_normal_(layer.weight, nonlinearity="relu")',
        ),
        "xavier": ("Xavier initialisation (Glorot and Bengio 2010).", "xavier_normal_(layer.weight)"),
        "lecun": ("LeCun initialisation (LeCun et al. 1998).", 'kaiming_normal_(layer.weight, nonlinearity="linear")'),
    }
    rows = []
    for where, activation, gain in groups:
        if kind == "orthogonal":
            text = "Orthogonal weights on the critical line (Saxe et al. 2014, arXiv:1312.6120)."
            call = f"orthogonal_(layer.weight, {gain:.4g})  # gain for {activation}"
        else:
            text, call = said[kind]
        rows += [
            f"    for name in {where}:",
            "        layer = model.get_submodule(name)",
            f"        {nn}.init.{call}",
            "        if layer.bias is not None:",
            f"            {nn}.init.zeros_(layer.bias)",
        ]
    name = f"{kind}_init_"
    return name, [f"def {name}(model):", f'    """{text}"""', *lists, *rows, "    return model"]


def fold(
    rows_: Sequence[tuple[str, float, float, float, float]],
    lists: Sequence[str],
    depth: int,
    activation: str,
    torch: str,
    nn: str,
    *,
    convolutions: bool,
    biases: bool,
) -> tuple[str, list[str]]:
    """Rows of the folded initialisation; ``rows_`` are (names, scale, shift, mean and deviation of what comes in)."""
    table = [
        f"            ({where}, {', '.join(f'{round(number, 9):.5g}' for number in numbers)}),".replace("-0,", "0,")
        for where, *numbers in rows_
    ]
    draw = [f"                {nn}.init.orthogonal_(weight)"]
    if convolutions:
        draw = [
            "                middle = tuple(size // 2 for size in weight.shape[2:])",
            "                if middle and weight.shape[0] <= weight.shape[1]:  # delta-orthogonal, arXiv:1806.05393",
            "                    weight.zero_()",
            f"                    drawn = {nn}.init.orthogonal_({torch}.empty(weight.shape[:2]))",
            "                    weight[(slice(None), slice(None), *middle)] = drawn",
            "                else:",
            f"                    {nn}.init.orthogonal_(weight)",
        ]
    bias = ["                layer.bias.copy_(shift - mean * weight.flatten(1).sum(1))"]
    if not biases:
        bias = ["                if layer.bias is not None:", f"    {bias[0]}"]
    return "fold_", [
        "def fold_(model):",
        f'    """Folded initialisation: {activation} at a working point that bears {depth} layers.',
        "",
        "    Martens et al. 2021, arXiv:2110.01765; Zhang et al. 2022, arXiv:2203.08120.",
        '    """',
        *lists,
        f"    with {torch}.no_grad():",
        "        # scale and shift of each layer's result; mean and deviation of what comes in",
        "        for names, scale, shift, mean, std in (",
        *table,
        "        ):",
        "            for name in names:",
        "                layer = model.get_submodule(name)",
        "                weight = layer.weight",
        *draw,
        "                weight.mul_(scale / std / weight.flatten(1).square().sum(1).mean().sqrt())",
        *bias,
        "    return model",
    ]


def scaled(
    where: str, lists: Sequence[str], factor: float, words: str, torch: str, attribute: str = "weight", share: str = ""
) -> tuple[str, list[str]]:
    """Weights (and biases) times a factor; 0 makes them begin at zero."""
    name = "zero_" if factor == 0 else "scale_"
    do = "zero_()" if factor == 0 else f"mul_({factor:.5g})"
    bias = attribute.replace("weight", "bias")
    return name, [
        f"def {name}(model):",
        f'    """{words}"""',
        *lists,
        f"    with {torch}.no_grad():",
        f"        for name in {where}:",
        "            layer = model.get_submodule(name)",
        f"            layer.{attribute}{share}.{do}",
        f"            if layer.{bias} is not None:",
        f"                layer.{bias}{share}.{do}",
        "    return model",
    ]


def raised(groups: Sequence[tuple[str, float]], lists: Sequence[str], torch: str) -> tuple[str, list[str]]:
    """Biases in front of gates raised: ``groups`` are (names, by how much)."""
    rows = [
        row
        for where, much in groups
        for row in (f"        for name in {where}:", f"            model.get_submodule(name).bias.add_({much:.4g})")
    ]
    text = "Gates that begin half open (Srivastava et al. 2015, arXiv:1505.00387)."
    return "open_gates_", [
        "def open_gates_(model):",
        f'    """{text}"""',
        *lists,
        f"    with {torch}.no_grad():",
        *rows,
        "    return model",
    ]


def recurrent(where: str, lists: Sequence[str], kind: str, steps: float, torch: str, nn: str) -> tuple[str, list[str]]:
    """Orthogonal or identity recurrence, chrono biases."""
    draw = f"{nn}.init.eye_(part)" if kind == "identity" else f"{nn}.init.orthogonal_(part)"
    source = {
        "orthogonal": "Orthogonal recurrence (Saxe et al. 2014, arXiv:1312.6120).",
        "identity": "Identity recurrence (Le et al. 2015, arXiv:1504.00941).",
    }.get(
        kind,
        f"Chrono biases for {steps:.0f} steps (Tallec and Ollivier 2018, arXiv:1804.11188), orthogonal recurrence.",
    )
    rows = [
        "def remember_(model):",
        f'    """{source}"""',
        *lists,
        f"    with {torch}.no_grad():",
        f"        for name in {where}:",
        "            cell = model.get_submodule(name)",
        "            size = cell.hidden_size",
        "            for key, parameter in cell.named_parameters():",
        '                if key.startswith("weight_hh"):',
        "                    for part in parameter.split(size):",
        f"                        {draw}",
    ]
    if kind == "identity":
        rows += [
            '                elif key.startswith("weight_ih"):',
            f"                    {nn}.init.normal_(parameter, std=0.1)",
        ]
    rows += ['                elif key.startswith("bias"):', "                    parameter.zero_()"]
    if kind in ("chrono", "gated"):
        rows += [
            '                    if key.startswith("bias_ih"):',
            f"                        keep = {torch}.empty(size).uniform_(1, {max(steps, 3.0) - 1:.0f}).log()",
            "                        parameter[size : 2 * size] = keep",
            "                        if len(parameter) == 4 * size:",
            "                            parameter[:size] = -keep",
        ]
    return "remember_", [*rows, "    return model"]
