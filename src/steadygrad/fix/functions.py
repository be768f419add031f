"""Initialisations as small functions for the user's own file: readable, with their source, needing torch alone."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence


def names(paths: Iterable[str]) -> str:
    """A Python expression for a list of module paths: ``[f"fcs.{i}" for i in range(20)]`` where they are numbered.

    Of a path's several numbers the one that most paths differ in is the one that runs.
    """
    paths = list(dict.fromkeys(paths))
    counts = Counter(key for path in paths for key, _ in _numbers(path))
    groups: dict[tuple[str, str], list[int]] = {}
    parts: list[str] = []
    for path in paths:
        numbers = _numbers(path)
        if numbers:
            key, number = max(numbers, key=lambda pair: counts[pair[0]])
            groups.setdefault(key, []).append(number)
        else:
            parts.append(repr_(path))
    for (before, behind), found in groups.items():
        found = sorted(found)
        steps = {b - a for a, b in itertools.pairwise(found)}
        if len(found) < 3 or len(steps) != 1:
            parts += [repr_(f"{before}{number}{behind}") for number in found]
            continue
        step = steps.pop()
        bounds = f"{found[0]}, {found[-1] + 1}, {step}" if step > 1 else f"{found[0]}, {found[-1] + 1}"
        bounds = str(found[-1] + 1) if step == 1 and found[0] == 0 else bounds
        item = f'f"{before}{{i}}{behind}"' if before or behind else "str(i)"
        parts.append(f"*({item} for i in range({bounds}))")
    if len(parts) == 1 and parts[0].startswith("*("):
        return f"[{parts[0][2:-1]}]"
    return f"[{', '.join(parts)}]"


def _numbers(path: str) -> list[tuple[tuple[str, str], int]]:
    """Every number in a path that can run, with what stands before and behind it."""
    return [
        ((path[: found.start()], path[found.end() :]), int(found[0]))
        for found in re.finditer(r"\d+", path)
        if str(int(found[0])) == found[0]
    ]


def repr_(text: str) -> str:
    """A string literal in double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def scheme(kind: str, groups: Sequence[tuple[str, str, float]], torch: str, nn: str) -> tuple[str, list[str]]:
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
    return name, [f"def {name}(model):", f'    """{text}"""', *rows, "    return model"]


def fold(
    rows_: Sequence[tuple[str, float, float, float, float]],
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
    where: str, factor: float, words: str, torch: str, attribute: str = "weight", share: str = ""
) -> tuple[str, list[str]]:
    """Weights (and biases) times a factor; 0 makes them begin at zero."""
    name = "zero_" if factor == 0 else "scale_"
    do = "zero_()" if factor == 0 else f"mul_({factor:.5g})"
    bias = attribute.replace("weight", "bias")
    return name, [
        f"def {name}(model):",
        f'    """{words}"""',
        f"    with {torch}.no_grad():",
        f"        for name in {where}:",
        "            layer = model.get_submodule(name)",
        f"            layer.{attribute}{share}.{do}",
        f"            if layer.{bias} is not None:",
        f"                layer.{bias}{share}.{do}",
        "    return model",
    ]


def raised(groups: Sequence[tuple[str, float]], torch: str) -> tuple[str, list[str]]:
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
        f"    with {torch}.no_grad():",
        *rows,
        "    return model",
    ]


def recurrent(where: str, kind: str, steps: float, torch: str, nn: str) -> tuple[str, list[str]]:
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
