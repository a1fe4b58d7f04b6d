"""Results kept in the session: a few of each kind; the least recently used is dropped first."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


@dataclass(frozen=True)
class SessionCache:
    """The last ``size`` results of one kind, under one key of the session."""

    session_key: str
    size: int

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result stored under ``key``; made now if there is none."""
        results: dict = st.session_state.setdefault(self.session_key, {})
        results[key] = results.pop(key) if key in results else make()
        for oldest in list(results)[: -self.size]:
            del results[oldest]
        return results[key]

    def peek(self, key: Hashable) -> Any:
        """The result stored under ``key``, or None. It does not count as a use."""
        return st.session_state.get(self.session_key, {}).get(key)

    def holds(self, key: Hashable) -> bool:
        return key in st.session_state.get(self.session_key, {})

    def clear(self) -> None:
        st.session_state.pop(self.session_key, None)
