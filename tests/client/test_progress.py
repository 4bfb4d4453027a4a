from structlog.testing import capture_logs

from client.progress import Lines


def test_a_line_every_tenth_with_rate_and_time_left():
    lines = Lines("A")
    with capture_logs() as logs:
        for done in range(101):
            lines.move("slides", done, 100)
    assert [line["done"] for line in logs] == list(range(10, 101, 10))
    assert logs[-1]["seconds_left"] == 0
    assert all(line["per_second"] > 0 for line in logs)


def test_few_inputs_give_a_line_each():
    lines = Lines("A")
    with capture_logs() as logs:
        for done in (1, 2, 3):
            lines.move("tables", done, 3)
    assert [line["done"] for line in logs] == [1, 2, 3]
