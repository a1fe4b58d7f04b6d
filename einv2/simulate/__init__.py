"""Simulated scenes: what is drawn (scene), where it sounds (rooms), what sounds (sources), what recordings have besides
(disturbances, unclassified, microphone), the result (render), and one scene as a small file that rebuilds it (specification)."""

from .render import is_drawn, rebuild_drawn, render, write_scenes
from .scene import Scene, SceneConfig, SceneEvent, sample_scene, scene_from_json
from .sources import SoundFolder, SourceBank
from .specification import Specification, rebuild
from .synthesis import synthesise
from .unclassified import UnclassifiedBank

__all__ = [
    "Scene",
    "SceneConfig",
    "SceneEvent",
    "SoundFolder",
    "SourceBank",
    "Specification",
    "UnclassifiedBank",
    "is_drawn",
    "rebuild",
    "rebuild_drawn",
    "render",
    "sample_scene",
    "scene_from_json",
    "synthesise",
    "write_scenes",
]
