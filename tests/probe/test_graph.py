"""The trunk of a graph against networkx's dominators, on random graphs and on real ones."""

from __future__ import annotations

import networkx
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from steadygrad.probe.graph import deepest_trunk, graph_of, longest_depth, reaches, skips, trunk_positions


@st.composite
def graphs(draw):
    """Edges of a directed acyclic graph in topological order: every node but 0 has one from an earlier node."""
    size = draw(st.integers(2, 14))
    following = [set() for _ in range(size)]
    for node in range(1, size):
        for source in draw(st.sets(st.integers(0, node - 1), min_size=1, max_size=3)):
            following[source].add(node)
    return [tuple(sorted(targets)) for targets in following]


def as_networkx(following):
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(following)))
    graph.add_edges_from((source, target) for source, targets in enumerate(following) for target in targets)
    return graph


def dominators(following, end):
    above = networkx.immediate_dominators(as_networkx(following), 0)
    found, node = [end], end
    while node != 0:
        node = above[node]
        found.append(node)
    return found[::-1]


@given(graphs(), st.data())
def test_the_trunk_is_the_dominators_of_its_end(following, data):
    end = data.draw(st.integers(1, len(following) - 1))
    assert trunk_positions(following, end) == dominators(following, end)


@given(graphs(), st.data())
def test_reaching_is_having_a_descendant(following, data):
    end = data.draw(st.integers(0, len(following) - 1))
    graph = as_networkx(following)
    ancestors = networkx.ancestors(graph, end) | {end}
    assert reaches(following, [end]) == [node in ancestors for node in range(len(following))]


@given(graphs())
def test_the_longest_depth_is_that_of_networkx(following):
    last = len(following) - 1
    longest = max(len(path) - 1 for path in networkx.all_simple_paths(as_networkx(following), 0, last))
    assert longest_depth(following, [last]) == {last: longest}


@given(graphs(), st.data())
def test_the_deepest_trunk_node_dominates(following, data):
    end = data.draw(st.integers(1, len(following) - 1))
    trunk = trunk_positions(following, end)
    labels = deepest_trunk(following, trunk)
    for node in range(len(following)):
        passed = [i for i, position in enumerate(trunk) if position in dominators(following, node)]
        assert labels[node] == max(passed)


def test_a_node_that_no_path_reaches_has_no_trunk():
    assert trunk_positions([(1,), (), ()], 2) == []


def test_a_skip_is_a_path_that_nothing_weighs():
    diamond = [(1, 2), (3,), (3,), ()]
    assert skips(diamond, 0, 3, lambda node: node != 1)
    assert not skips(diamond, 0, 3, lambda node: node == 0)


def test_the_graph_of_a_real_net_is_in_topological_order():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(3, 4, requires_grad=True)
    graph = graph_of((net(x) + x.sum()).sum().grad_fn)
    assert all(target > source for source, targets in enumerate(graph.next) for target in targets)
    assert len(graph.nodes) == len(graph.position) == len(set(graph.nodes))
    leaves = [node for node in graph.nodes if hasattr(node, "variable")]
    assert {id(node.variable) for node in leaves} == {id(x), *(id(p) for p in net.parameters())}
