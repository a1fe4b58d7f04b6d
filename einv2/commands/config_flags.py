"""A configuration as flags: added to a parser, read from its options, written as a command line.

The field ``chunk_seconds`` is --chunk-seconds S, a tuple is A,B,.., a bool is --flag or --no-flag. The options keep in ``given``
the names of the fields that were typed, so that a preset or a stored run can fill in the others.
"""

import argparse
import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from ..config import field_help

T = TypeVar("T")


def add(parser: argparse.ArgumentParser, cls: type) -> None:
    """Add a flag for every field of a configuration, in a group."""
    kinds, texts = typing.get_type_hints(cls), field_help(cls)
    has_lists = any(isinstance(kind, types.GenericAlias) for kind in kinds.values())
    group = parser.add_argument_group(
        cls.__name__, "a list that starts with a minus is written --flag=-A,B" if has_lists else None
    )
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        options: dict[str, Any] = {"default": field.default, "help": texts[field.name]}
        if kind is bool:
            group.add_argument(_flag(field.name), action=_GivenSwitch, **options)
        elif isinstance(kind, types.GenericAlias):
            converter = list_of(typing.get_args(kind)[0])
            group.add_argument(_flag(field.name), action=_Given, type=converter, metavar="A,B,..", **options)
        else:
            group.add_argument(_flag(field.name), action=_Given, type=kind, metavar=kind.__name__.upper(), **options)
    parser.set_defaults(given=frozenset())


def list_of(item: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A converter for argparse of "A,B,.."; its name appears in argparse's errors."""

    def convert(text: str) -> tuple[T, ...]:
        return tuple(item(part) for part in text.split(",") if part)

    convert.__name__ = f"comma-separated list of {getattr(item, '__name__', 'values')}"
    return convert


def read(cls: type[T], options: argparse.Namespace) -> T:
    """The configuration that the options hold. A field whose option is None has its default."""
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in values.items() if value is not None})


def fill(options: argparse.Namespace, values: Mapping[str, Any]) -> None:
    """Set the fields that were not typed: flags win over a preset, in whatever order they come."""
    for name, value in values.items():
        if name not in options.given:
            setattr(options, name, value)


def arguments(
    config: Any, preset: Mapping[str, Any] = types.MappingProxyType({}), leave_out: Collection[str] = ()
) -> list[str]:
    """A configuration as the words of a command line: the fields that differ from the preset, or else from the defaults."""
    words = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in leave_out and value != preset.get(field.name, field.default):
            words += flag(field.name, value)
    return words


def flag(name: str, value: Any) -> list[str]:
    """One field as the words of a command line."""
    if isinstance(value, bool):
        return [_flag(name) if value else _flag(f"no_{name}")]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [f"{_flag(name)}={text}"] if text.startswith("-") else [_flag(name), text]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class _Given(argparse.Action):
    """Store the value, and in ``given`` that there was one."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        setattr(namespace, self.dest, values)
        namespace.given |= {self.dest}


class _GivenSwitch(argparse.BooleanOptionalAction):
    """The same for --flag and --no-flag."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        super().__call__(parser, namespace, values, option_string)
        namespace.given |= {self.dest}
