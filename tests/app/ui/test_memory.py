"""What is loaded is put aside from the collection of garbage, and still freed once a session is over."""

import gc
import weakref

import pytest

from app.ui import memory


class Session:
    """In a circle of references, as Streamlit's are."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def unfrozen():
    yield
    gc.unfreeze()


def test_what_was_loaded_is_put_aside(unfrozen):
    memory._collect()
    n_aside = gc.get_freeze_count()
    assert n_aside > 10_000 and len(gc.get_objects()) < n_aside / 10


def test_a_session_that_was_put_aside_is_freed_when_it_is_over(unfrozen):
    session = Session()
    gone = weakref.ref(session)
    memory._collect()
    del session
    gc.collect()
    assert gone() is not None
    memory._collect()
    assert gone() is None
