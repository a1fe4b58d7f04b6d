"""Simulated scenes: what is drawn (scene), where it sounds (rooms), what sounds (sources), the result (render), and one
scene as a small file that rebuilds it (specification)."""

from .render import render, write_scenes
from .scene import Scene, SceneConfig, SceneEvent, sample_scene, scene_from_json
from .sources import SoundFolder, SourceBank
from .specification import Specification, rebuild
from .synthesis import synthesise

__all__ = [
    "Scene",
    "SceneConfig",
    "SceneEvent",
    "SoundFolder",
    "SourceBank",
    "Specification",
    "rebuild",
    "render",
    "sample_scene",
    "scene_from_json",
    "synthesise",
    "write_scenes",
]
