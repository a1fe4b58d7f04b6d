"""Prefetching: make the next item in a thread while the current one is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def ahead(items: Iterable) -> Iterator:
    """The same items in the same order, each made in a thread while the one before it is used. An exception is raised in the place of
    the item that caused it. Items must not be None.
    """
    items = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
