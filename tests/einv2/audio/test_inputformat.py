import numpy as np
import pytest

from einv2.audio import inputformat
from einv2.audio.inputformat import AS_IS, CHOICES, FIRST_FOUR, FUMA, LEFT_RIGHT, N3D, WXYZ

BLOCK = np.arange(1.0, 21.0, dtype=np.float32).reshape(5, 4)


@pytest.mark.parametrize("choice", [*CHOICES, FIRST_FOUR, FUMA.of_first_four()])
def test_a_name_is_a_format_and_back(choice):
    assert inputformat.parse(choice.key) == choice


@pytest.mark.parametrize(
    "text, order, gains",
    [
        ("wxyz", (0, 2, 3, 1), (1, 1, 1, 1)),
        ("w-yzx", (0, 1, 2, 3), (1, -1, 1, 1)),
        ("yzxw", (3, 0, 1, 2), (1, 1, 1, 1)),
        ("W-X-YZ", (0, 2, 3, 1), (1, -1, 1, -1)),
        ("n3d,flip-y", (0, 1, 2, 3), (1, -(3**-0.5), 3**-0.5, 3**-0.5)),
        ("+20db", (0, 1, 2, 3), (10, 10, 10, 10)),
    ],
)
def test_orders_signs_and_several(text, order, gains):
    found = inputformat.parse(text)
    assert found.order == order and found.gains == pytest.approx(gains)
    again = inputformat.parse(found.key)
    assert again.order == order and again.gains == pytest.approx(gains)


@pytest.mark.parametrize("text", ["", "fuma2", "wwyz", "wyz", "fuma,", "w,y,z,x"])
def test_unknown_names(text):
    with pytest.raises(ValueError, match="is unknown: give acn-sn3d, wxyz-sn3d, fuma"):
        inputformat.parse(text)


def test_how_many_channels():
    np.testing.assert_array_equal(FIRST_FOUR.apply(BLOCK), BLOCK[:4])
    np.testing.assert_array_equal(FUMA.apply(BLOCK[:3])[1:], [BLOCK[2], 0 * BLOCK[0], BLOCK[1]])
    for read_as, n in ((AS_IS, 5), (AS_IS, 3), (N3D, 3), (FUMA, 2), (FUMA, 5)):
        with pytest.raises(ValueError, match="shape"):
            read_as.apply(BLOCK[:n])


def test_the_first_four_stay_when_more_is_set_right():
    both = FIRST_FOUR.then(FUMA)
    assert both.first_four and both == FUMA.of_first_four() == inputformat.parse("first-four,fuma")
    assert both.then(LEFT_RIGHT).first_four
    assert WXYZ.then(FUMA) is FUMA
