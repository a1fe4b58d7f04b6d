import pytest

from einv2.prefetch import ahead


def test_what_is_made_ahead_keeps_its_order_and_its_errors():
    assert list(ahead(range(5))) == [0, 1, 2, 3, 4] and list(ahead([])) == []
    items = ahead(1 // x for x in (1, 0))
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_one_who_stops_takes_no_more():
    made = []
    items = ahead(made.append(n) or n for n in range(100))
    next(items)
    items.close()
    assert len(made) <= 2
