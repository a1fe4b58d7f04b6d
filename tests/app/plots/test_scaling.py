"""The figure of what grows, on made-up rows."""

from app.plots.scaling import scaling

LENGTH = [{"minutes": m, "seconds": 0.4 * m, "memory_mb": 500.0} for m in (1, 10, 60)]
CLIPS = [{"processes": p, "clips": n, "seconds": 0.5 * n / p, "memory_mb": 450.0} for p in (1, 2) for n in (4, 8)]


def test_lines_are_the_rows_and_the_ideal_is_one_process_divided():
    figure = scaling(LENGTH, CLIPS)
    seconds, memory, *_ = figure.data
    assert list(seconds.x) == [1, 10, 60] and list(memory.y) == [0.5] * 3
    (ideal,) = [line for line in figure.data if line.line.dash == "dot"]
    assert list(ideal.y) == [1.0, 2.0] and list(ideal.x) == [4, 8]
    assert [line.name for line in figure.data if line.showlegend is not False] == [
        "1 process, one thread each",
        "2 processes, one thread each",
        "ideal of 2 processes",
    ]
