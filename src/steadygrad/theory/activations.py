"""The known activations as plain functions of arrays, with their derivatives.

May rely on numpy and scipy alone; must not know torch, a model or a rule. Formulas are torch's own, so that a name found
here means what it means in a forward pass (checked against torch's autograd in float64).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


class _Special:
    """``scipy.special``, imported when a function of it is first called: it takes longer to import than most checks."""

    def __getattr__(self, name: str) -> Function:
        def function(x: Array) -> Array:
            from scipy import special

            return np.asarray(getattr(special, name)(x))

        return function


special = _Special()


@dataclass(frozen=True)
class Activation:
    """An elementwise function φ and what theory needs of it."""

    name: str
    """torch's name of the function: "leaky_relu"."""
    function: Function
    derivative: Function
    greatest_derivative: float
    """Supremum of |φ′|."""
    kinks: tuple[float, ...] = ()
    """Points where φ or φ′ is not smooth: quadrature splits there."""
    squashing: bool = False
    """Whether φ is flat on both sides, so that its derivative tends to 0 away from 0."""


def _normal_density(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))


def _sigmoid_slope(x: Array) -> Array:
    s = special.expit(x)
    return s * (1 - s)


def _tanh_slope(x: Array) -> Array:
    return 1 / np.cosh(np.clip(x, -350, 350)) ** 2


def _where(condition: NDArray[np.bool_], yes: Array | float, no: Array | float) -> Array:
    return np.where(condition, yes, no).astype(float)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al. 2017, eq. 14: fixed point of mean 0 and variance 1."""


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.asarray(np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(_softplus(x))
    return np.asarray(t + x * (1 - t * t) * special.expit(x))


ACTIVATIONS: tuple[Activation, ...] = (
    Activation("linear", lambda x: x, lambda x: np.ones_like(x), 1.0),
    Activation("sigmoid", special.expit, _sigmoid_slope, 0.25, squashing=True),
    Activation("tanh", np.tanh, _tanh_slope, 1.0, squashing=True),
    Activation("relu", lambda x: np.maximum(x, 0), lambda x: _where(x > 0, 1, 0), 1.0, (0.0,)),
    Activation("leaky_relu", lambda x: np.maximum(x, 0.01 * x), lambda x: _where(x > 0, 1, 0.01), 1.0, (0.0,)),
    Activation("elu", _elu, lambda x: np.exp(np.minimum(x, 0)), 1.0, (0.0,)),
    Activation("celu", _elu, lambda x: np.exp(np.minimum(x, 0)), 1.0, (0.0,)),
    Activation(
        "selu",
        lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA),
        lambda x: _SELU_SCALE * _where(x > 0, 1, _SELU_ALPHA * np.exp(np.minimum(x, 0))),
        _SELU_ALPHA * _SELU_SCALE,
        (0.0,),
    ),
    Activation("gelu", lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * _normal_density(x), 1.1289042953),
    Activation(
        "silu",
        lambda x: x * special.expit(x),
        lambda x: special.expit(x) + x * _sigmoid_slope(x),
        1.0998393195,
    ),
    Activation("mish", lambda x: x * np.tanh(_softplus(x)), _mish_slope, 1.0885),
    Activation("softplus", _softplus, special.expit, 1.0),
    Activation("softsign", lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, 1.0, (0.0,), True),
    Activation("hardtanh", lambda x: np.clip(x, -1, 1), lambda x: _where(np.abs(x) < 1, 1, 0), 1.0, (-1.0, 1.0), True),
    Activation(
        "hardsigmoid",
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: _where(np.abs(x) < 3, 1 / 6, 0),
        1 / 6,
        (-3.0, 3.0),
        True,
    ),
    Activation(
        "hardswish",
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: _where(x <= -3, 0, _where(x >= 3, 1, x / 3 + 0.5)),
        1.5,
        (-3.0, 3.0),
    ),
    Activation("relu6", lambda x: np.clip(x, 0, 6), lambda x: _where((x > 0) & (x < 6), 1, 0), 1.0, (0.0, 6.0)),
    Activation("logsigmoid", special.log_expit, lambda x: special.expit(-x), 1.0),
    Activation("tanhshrink", lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2, 1.0),
    Activation(
        "hardshrink", lambda x: _where(np.abs(x) > 0.5, x, 0), lambda x: _where(np.abs(x) > 0.5, 1, 0), 1.0, (-0.5, 0.5)
    ),
    Activation(
        "softshrink",
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        lambda x: _where(np.abs(x) > 0.5, 1, 0),
        1.0,
        (-0.5, 0.5),
    ),
    Activation("sin", np.sin, np.cos, 1.0),
    Activation(
        "erf", special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x), 2 / float(np.sqrt(np.pi)), squashing=True
    ),
)

_BY_NAME = {activation.name: activation for activation in ACTIVATIONS}
_ALIASES = {"swish": "silu", "expit": "sigmoid", "identity": "linear", "log_sigmoid": "logsigmoid"}


def find(name: str) -> Activation | None:
    """The activation with torch's function name or module class name ("LeakyReLU"); None for an unknown one."""
    word = name.lower().strip("_")
    word = _ALIASES.get(word, word)
    if word in _BY_NAME:
        return _BY_NAME[word]
    return next((known for key, known in _BY_NAME.items() if key.replace("_", "") == word), None)
