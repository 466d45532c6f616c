"""Field values through memory that is laid out once: the same as pynvml's own, and never stale."""

from ctypes import addressof, memmove
from struct import pack

import pynvml
import pytest

from tokenergy_collectors.sources.nvml.fieldvalues import FieldRequest

VALUE_AT = pynvml.c_nvmlFieldValue_t.value.offset
CASES = [
    (pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, pack("=IHH", 314_159, 7, 7), 314_159),
    (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG, pack("=Q", 2**40), 2**40),
    (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, pack("=Q", 2**41), 2**41),
    (pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG, pack("=q", 5), 5),
    (pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG, pack("=q", -5), None),
    (pynvml.NVML_VALUE_TYPE_SIGNED_INT, pack("=iI", 6, 7), 6),
    (pynvml.NVML_VALUE_TYPE_SIGNED_INT, pack("=iI", -6, 7), None),
    (pynvml.NVML_VALUE_TYPE_DOUBLE, pack("=d", 123.9), 123),
    (99, pack("=Q", 1), None),
    (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, pack("=Q", 2**64 - 1), None),
]


class Library:
    """Answers field values with what the test says."""

    def __init__(self, answer):
        self.answer = answer

    def nvmlDeviceGetFieldValues(self, handle, count, values):  # noqa: N802 - NVML's name
        return self.answer(values)


def put(value, kind, raw):
    value.valueType, value.nvmlReturn = kind, pynvml.NVML_SUCCESS
    memmove(addressof(value) + VALUE_AT, raw, 8)


@pytest.fixture
def answering(monkeypatch):
    return lambda answer: monkeypatch.setattr(pynvml, "nvmlLib", Library(answer))


@pytest.mark.parametrize(("kind", "raw", "expected"), CASES)
def test_every_type_is_decoded(answering, kind, raw, expected):
    def answer(values):
        assert (values[0].fieldId, values[0].scopeId) == (186, 1)
        put(values[0], kind, raw)
        return 0

    answering(answer)
    assert FieldRequest([(186, 1, 2**62)]).read(None) == [expected]


def test_a_field_that_was_not_written_is_none_and_not_the_last_value(answering):
    written = [True]

    def answer(values):
        if written[0]:
            put(values[0], pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, pack("=Q", 7))
        put(values[1], pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, pack("=Q", 9))
        return 0

    answering(answer)
    request = FieldRequest([(186, 0, 100), (83, 0, 100)])
    assert request.read(None) == [7, 9]
    written[0] = False
    assert request.read(None) == [None, 9]


def test_a_value_above_its_limit_is_none(answering):
    def answer(values):
        put(values[0], pynvml.NVML_VALUE_TYPE_UNSIGNED_INT, pack("=Q", 101))
        return 0

    answering(answer)
    assert FieldRequest([(186, 0, 100)]).read(None) == [None]
    assert FieldRequest([(186, 0, 101)]).read(None) == [101]


def test_a_call_that_fails_is_an_error(answering):
    answering(lambda values: pynvml.NVML_ERROR_UNINITIALIZED)
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        FieldRequest([(186, 0, 100)]).read(None)


@pytest.mark.parametrize(
    ("code", "lost"), [(pynvml.NVML_ERROR_GPU_IS_LOST, True), (pynvml.NVML_ERROR_TIMEOUT, False)]
)
def test_a_field_may_say_that_the_board_is_lost(answering, code, lost):
    def answer(values):
        values[0].nvmlReturn = code
        return 0

    answering(answer)
    request = FieldRequest([(186, 0, 100)])
    if lost:
        with pytest.raises(pynvml.NVMLError):
            request.read(None)
    else:
        assert request.read(None) == [None]
