"""Records become containers of JSON and records again, by the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from llmprof.analyzers.document import plain, restored


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    name: str
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    root: Leaf
    top: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    lengths: Mapping[str, float] = field(default_factory=dict)


TREE = Tree(root=Leaf(name="a", places=(1, 2)), leaves=(Leaf(name="b"), Leaf(name="c")), lengths={"a": 1.0})


@pytest.mark.parametrize("tree", [TREE, Tree(root=Leaf(name="a"), top=Leaf(name="z"))])
def test_a_record_inside_another_one_comes_back_wherever_it_stands(tree: Tree) -> None:
    assert restored(Tree, plain(tree)) == tree


def test_containers_are_those_of_json() -> None:
    assert plain(TREE)["leaves"] == [{"name": "b", "places": []}, {"name": "c", "places": []}]
    assert plain({1: float("nan")}) == {"1": None}


def test_a_field_of_a_later_version_is_ignored_also_inside() -> None:
    written = plain(TREE)
    written["later"] = written["root"]["later"] = 3
    assert restored(Tree, written) == TREE


def test_a_record_without_what_it_needs_is_refused() -> None:
    with pytest.raises(TypeError, match="name"):
        restored(Tree, {"root": {}})
