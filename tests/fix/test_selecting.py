"""Lists of layers named at run time: just those that were chosen, and in a deeper model those of the same role."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from steadygrad._fix.selecting import Lists


def chosen(lists: Lists, expression: str, model: nn.Module) -> list[str]:
    """What the expression names when its function is given a model."""
    scope = {"nn": nn, "model": model}
    exec("\n".join(row.strip() for row in lists.rows), scope)
    return list(eval(expression, scope))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.norm = nn.Linear(4, 8), nn.Linear(8, 4), nn.LayerNorm(4)


class Net(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.gates = nn.ModuleList(nn.Linear(4, 4) for _ in range(2 * depth))


def second(depth: int) -> list[str]:
    return [f"blocks.{i}.fc2" for i in range(depth)]


ROLES = {
    "the last of each block": second,
    "all but the first block's": lambda depth: second(depth)[1:],
    "the first block's": lambda depth: second(depth)[:1],
    "all but the last": lambda depth: second(depth)[:-1],
    "a list of layers": lambda depth: [f"gates.{i}" for i in range(2 * depth)],
    "the inner ones of a list": lambda depth: [f"gates.{i}" for i in range(1, 2 * depth - 1)],
    "the last of a list": lambda depth: [f"gates.{2 * depth - 1}"],
    "every other one": lambda depth: [f"gates.{i}" for i in range(0, 2 * depth, 2)],
    "every other one but the first": lambda depth: [f"gates.{i}" for i in range(2, 2 * depth, 2)],
    "the others": lambda depth: [f"gates.{i}" for i in range(1, 2 * depth, 2)],
    "a layer with a name": lambda depth: ["head"],
    "a layer of a kind": lambda depth: ["stem.0", "stem.2"],
    "the norms": lambda depth: [f"blocks.{i}.norm" for i in range(depth)],
    "everything linear": lambda depth: [n for n, m in Net(depth).named_modules() if isinstance(m, nn.Linear)],
}


@pytest.mark.parametrize("depth", [4, 5, 17])
@pytest.mark.parametrize("role", ROLES)
def test_at_another_depth_the_same_role_is_named(role: str, depth: int) -> None:
    lists = Lists(Net(9), "nn")
    expression = lists.of(ROLES[role](9))
    assert chosen(lists, expression, Net(9)) == ROLES[role](9)
    assert chosen(lists, expression, Net(depth)) == ROLES[role](depth)


@given(
    st.sets(st.sampled_from([n for n, m in Net(3).named_modules() if list(m.parameters(recurse=False))]), min_size=1)
)
def test_whatever_is_chosen_is_named_in_the_model_at_hand(paths: set[str]) -> None:
    model = Net(3)
    wanted = [name for name, _ in model.named_modules() if name in paths]
    lists = Lists(model, "nn")
    assert sorted(chosen(lists, lists.of(wanted), model)) == sorted(wanted)


def test_several_lists_have_names_of_their_own() -> None:
    model = Net(3)
    lists = Lists(model, "nn")
    made = [lists.of(second(3)), lists.of(["blocks.0.fc1"]), lists.of(["stem.0", "stem.2"]), lists.of(second(3)[1:])]
    assert len({row.partition(" = ")[0] for row in lists.rows}) == len(lists.rows)
    assert [chosen(lists, one, model)[0] for one in made] == ["blocks.0.fc2", "blocks.0.fc1", "stem.0", "blocks.1.fc2"]
