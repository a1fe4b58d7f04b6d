"""Simulated scenes: what is drawn (scene), where it sounds (rooms), what sounds (sources), and the result (render)."""

from .render import render, write_scenes
from .scene import Scene, SceneConfig, SceneEvent, sample_scene, scene_from_json
from .sources import SoundFolder, SourceBank
from .synthesis import synthesise

__all__ = [
    "Scene",
    "SceneConfig",
    "SceneEvent",
    "SoundFolder",
    "SourceBank",
    "render",
    "sample_scene",
    "scene_from_json",
    "synthesise",
    "write_scenes",
]
