import threading
import time
from concurrent.futures import CancelledError
from itertools import count, islice

import numpy as np
import pytest

from client.prepare.slides.pipeline import Crew, in_batches


@pytest.mark.parametrize("readers", [1, 4])
def test_results_come_in_the_order_of_the_items(readers):
    def late(number):
        time.sleep(0.01 * (number % 3 == 0))  # every third overtaken by those after it
        return number * number

    with Crew(readers, 1) as crew:
        assert list(crew.read(late, range(20), ahead=5)) == [n * n for n in range(20)]


def test_a_stage_takes_no_more_than_it_may_hold():
    taken = []

    def items():
        for number in count():  # never ends: only what is asked for may be taken
            taken.append(number)
            yield number

    with Crew(2, 2) as crew:
        stages = crew.encode(len, in_batches(crew.read(float, items(), ahead=6), 4))
        assert list(islice(stages, 10)) == [4] * 10
        assert len(taken) <= 6 + 4 * (10 + 2 * 2)
        stages.close()


def test_every_encoder_has_work_of_one_slide():
    meeting = threading.Barrier(3, timeout=20)  # breaks unless three calls are under way at once
    with Crew(1, 3) as crew:
        assert len(list(crew.encode(lambda _: meeting.wait(), range(6)))) == 6


def test_readers_and_encoders_work_at_the_same_time():
    read = threading.Event()

    def encode(number):
        assert number or read.wait(20)  # the first batch ends only when a later item has been read
        return number

    with Crew(1, 1) as crew:
        items = crew.read(lambda n: (n == 2 and read.set(), n)[1], range(3), ahead=2)
        assert list(crew.encode(lambda n: encode(n) if n else (read.wait(20), n)[1], items)) == [0, 1, 2]


def test_an_error_arrives_in_its_place_and_nothing_runs_on():
    done = []

    def work(number):
        if number == 3:
            raise ValueError("three")
        time.sleep(0.01)
        done.append(number)

    with Crew(2, 1) as crew:
        results = crew.read(work, range(100), ahead=8)
        assert len(list(islice(results, 3))) == 3
        with pytest.raises(ValueError, match="three"):
            next(results)
        after = len(done)
        time.sleep(0.05)
        assert len(done) == after < 20


def test_a_stopped_crew_ends_what_is_under_way():
    with Crew(1, 1) as crew:
        results = crew.read(float, count(), ahead=2)
        next(results)
        crew.stop()
        with pytest.raises(CancelledError):
            list(results)


def test_batches_are_full_but_the_last():
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_batches([], 3)) == []
    assert [len(b) for b in in_batches(np.zeros((6, 2)), 3)] == [3, 3]
