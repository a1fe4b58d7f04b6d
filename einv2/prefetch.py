"""Work in the background of other work."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def ahead(items: Iterable) -> Iterator:
    """The same items in their order; while one is used, the next is made in a thread. What making one raises comes in its turn.

    No item is None.
    """
    items = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
