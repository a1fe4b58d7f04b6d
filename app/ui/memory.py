"""A closed tab gives back what it held: its uploads, what was computed of them, and the sounds and downloads made for it.

Streamlit keeps the session of a closed tab for ``server.disconnectedSessionTTL`` seconds, so that a connection which broke finds
it again. What is over it drops only when yet another tab closes, so here a thread sees to it.

After each run of a page Streamlit collects garbage among all objects there are. With PyTorch loaded these are so many that it
takes longer than a move of a slider, so the thread also puts aside what has been loaded.
"""

import ctypes
import gc
import sys
import threading
import time

import streamlit as st
from streamlit import runtime

EVERY_SECONDS = 5.0


@st.cache_resource(show_spinner=False)
def watch() -> None:
    """From now on; called by every page, it begins once. Does nothing where pages run without a server, as in a test."""
    if runtime.exists() and type(runtime.get_instance()) is runtime.Runtime:
        threading.Thread(target=_sweep, args=(runtime.get_instance(),), daemon=True, name="sessions").start()


def _sweep(server: runtime.Runtime) -> None:
    loop = server._get_async_objs().eventloop
    n_loaded = 0
    while server.state != runtime.RuntimeState.STOPPED:
        time.sleep(EVERY_SECONDS)
        over = _over(server)
        if over:
            loop.call_soon_threadsafe(_forget, server)
            time.sleep(EVERY_SECONDS)
        if over or len(sys.modules) != n_loaded:
            n_loaded = len(sys.modules)
            _collect()
            _give_back()


def _collect() -> None:
    """Frees what stands in circles of references, as sessions do; what is left is looked at no more until this is called again."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _over(server: runtime.Runtime) -> bool:
    kept = server._session_mgr._session_storage._cache
    return kept.currsize < len(kept._data)


def _forget(server: runtime.Runtime) -> None:
    """On the thread of the server."""
    manager = server._session_mgr
    with manager._storage_lock:
        over = manager._session_storage._cache.expire()
    for _, kept in over:
        kept.session.shutdown()


def _give_back() -> None:
    """Memory that was freed goes back to the system, where the C library can be told so."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
