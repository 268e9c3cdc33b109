import math

from ouroloop.metric_ranges import range_of


def test_ranges():
    assert range_of("fid_n100") == (0.0, math.inf)
    assert range_of("recall") == (0.0, 1.0)
    assert range_of("logdet_ratio") == range_of("one of yours") == (-math.inf, math.inf)
