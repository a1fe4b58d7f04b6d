"""Frees the memory of closed tabs: their uploads, results, sounds and downloads.

Streamlit keeps the session of a closed tab for ``server.disconnectedSessionTTL`` seconds, so that a broken connection can be
resumed. It drops an expired session only when another tab closes, so a thread drops them here.

After each run of a page Streamlit runs the garbage collector. With PyTorch loaded there are so many objects that this takes longer
than handling a slider, so the thread also freezes the objects of loaded modules (``gc.freeze``).
"""

import gc
import sys
import threading
import time
from typing import Any

import streamlit as st
from streamlit import runtime

from einv2.memory import release_memory

EVERY_SECONDS = 5.0


@st.cache_resource(show_spinner=False)
def watch() -> None:
    """Start the thread, once per server; every page calls this. Does nothing where pages run without a server, as in a test."""
    if runtime.exists() and type(runtime.get_instance()) is runtime.Runtime:
        threading.Thread(target=_sweep, args=(runtime.get_instance(),), daemon=True, name="sessions").start()


def _sweep(server: runtime.Runtime) -> None:
    loop = server._get_async_objs().eventloop
    n_loaded = 0
    while server.state != runtime.RuntimeState.STOPPED:
        time.sleep(EVERY_SECONDS)
        expired = _has_expired(server)
        if expired:
            loop.call_soon_threadsafe(_drop_expired, server)
            time.sleep(EVERY_SECONDS)
        if expired or len(sys.modules) != n_loaded:
            n_loaded = len(sys.modules)
            _collect()
            release_memory()


def _collect() -> None:
    """Frees reference cycles, which sessions are; the collector then skips the remaining objects until the next call."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _manager(server: runtime.Runtime) -> Any:
    """Its parts that are used here are private."""
    return server._session_mgr


def _has_expired(server: runtime.Runtime) -> bool:
    cache = _manager(server)._session_storage._cache
    return cache.currsize < len(cache._data)


def _drop_expired(server: runtime.Runtime) -> None:
    """Runs on the thread of the server."""
    manager = _manager(server)
    with manager._storage_lock:
        expired = manager._session_storage._cache.expire()
    for _, stored in expired:
        stored.session.shutdown()
