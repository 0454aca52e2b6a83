"""Files are read many at once, in order, and no more of them than fit into memory."""

import hashlib
import threading

from trainable.data.io.files import MOST_PIXELS_WAITING, in_parallel


class Decoder:
    """Counts the pixels of the pictures that are decoded at the same time."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = self.most = 0

    def __call__(self, num_pixels):
        with self._lock:
            self._now += num_pixels
            self.most = max(self.most, self._now)
        hashlib.sha256(bytes(1_000_000)).hexdigest()
        with self._lock:
            self._now -= num_pixels
        return num_pixels


def test_large_pictures_are_decoded_one_by_one_and_all_come_in_order():
    decoder, ticks = Decoder(), []
    sizes = [MOST_PIXELS_WAITING * share // 10 for share in (6, 5, 20, 1, 2, 9, 3)]
    results = in_parallel(decoder, sizes, lambda: ticks.append(1), num_pixels=lambda size: size)
    assert list(results) == sizes
    assert len(ticks) == len(sizes)
    assert decoder.most == max(sizes), "the one that is larger than the limit, and nothing beside it"


def test_pictures_together_stay_below_the_limit():
    decoder = Decoder()
    sizes = [MOST_PIXELS_WAITING * share // 100 for share in range(10, 60, 3)]
    list(in_parallel(decoder, sizes, num_pixels=lambda size: size))
    assert decoder.most <= MOST_PIXELS_WAITING
