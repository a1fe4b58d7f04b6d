"""A module of einv2 imports only from its own layer or from those above it, and never from the app."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "einv2"
LAYERS = {
    "background": 1, "config": 1, "containers": 1, "deviations": 1, "files": 1, "geometry": 1, "inputformat": 1, "pickles": 1,
    "annotations": 2, "audio": 2, "class_lists": 2, "dcase_csv": 2, "foa": 2, "headers": 2, "inputcheck": 2,
    "labels": 2, "listening": 2, "metadata": 2,
    "metrics": 2, "simulate": 2, "systems": 2,
    "augment": 3, "distributed": 3, "fast": 3, "features": 3, "losses": 3, "models": 3,
    "alignment": 4, "checkpoint": 4, "data": 4, "datasets": 4, "microscope": 4, "official": 4, "toy": 4,
    "decode": 5, "ensemble": 5, "evaluation": 5, "inference": 5, "introspect": 5, "prediction": 5, "train": 5,
    "bench": 6, "reproduce": 6, "scaling": 6, "arguments": 6, "cli": 6, "__main__": 6, "__init__": 6,
}  # fmt: skip
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path):
    """The module or sub-package of einv2 that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path):
    """Dotted names of all that a file imports, inside functions too: einv2.foa for ``from . import foa``."""
    package = ("einv2", *path.relative_to(ROOT).parent.parts)
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            names += [f"{module}.{alias.name}" for alias in node.names] if module == "einv2" else [module]
    return names


def inside(path):
    """The parts of einv2 that a file imports, its own left out."""
    return {n.split(".")[1] for n in imported(path) if n.startswith("einv2.")} - {part_of(path)}


def test_every_module_has_a_layer():
    assert {part_of(p) for p in FILES} <= LAYERS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_come_from_above(path):
    below = sorted(n for n in inside(path) if LAYERS[n] > LAYERS[part_of(path)])
    assert not below, f"{path.name} is of layer {LAYERS[part_of(path)]} and imports {below}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_app_no_streamlit_no_plotly(path):
    assert not {n.split(".")[0] for n in imported(path)} & {"app", "streamlit", "plotly"}


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {}
    for path in FILES:
        graph.setdefault(part_of(path), set()).update(inside(path))
    order = list(TopologicalSorter(graph).static_order())  # CycleError names the circle
    assert order.index("config") < order.index("foa") < order.index("inference") < order.index("cli")


def test_imports_are_seen():
    """The reader of imports above does find relative, late and nested ones."""
    assert {"config", "evaluation", "inference", "prediction"} == inside(ROOT / "__init__.py")
    assert {"config", "files", "metrics", "train", "simulate", "official"} <= inside(ROOT / "cli.py")
    assert {"audio", "class_lists", "labels", "config", "files"} == inside(ROOT / "simulate" / "render.py")
