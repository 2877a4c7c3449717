"""One test for each way in which a test of the conformance suite can end."""

import asyncio
import ctypes
import threading
import unittest


class EndingTests(unittest.TestCase):
    """In alphabetical order, as unittest runs them, so that bad endings come between good ones."""

    def test_a_passes(self) -> None:
        asyncio.new_event_loop().close()

    def test_b_fails(self) -> None:
        self.fail("on purpose")

    def test_c_hangs(self) -> None:
        threading.Event().wait()

    def test_d_passes_after_a_hang(self) -> None:
        pass

    def test_e_crashes(self) -> None:
        ctypes.string_at(0)

    def test_f_passes_after_a_crash(self) -> None:
        pass

    def test_g_is_skipped(self) -> None:
        self.skipTest("on purpose")

    def test_h_fails_in_a_subtest(self) -> None:
        for number in (1, 2):
            with self.subTest(number=number):
                assert number == 1


class FixtureTests(unittest.TestCase):
    """A class whose fixture fails, so that none of its tests runs."""

    @classmethod
    def setUpClass(cls) -> None:
        raise OSError("on purpose")

    def test_never_runs(self) -> None:
        pass
