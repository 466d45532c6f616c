"""Which NVML errors mean "no value" and which are raised, code by code."""

import pynvml
import pytest

from tokenergy_collectors.sources.nvml.calls import (
    DEVICE_LOST,
    if_supported,
    optional,
    or_none,
)
from tokenergy_collectors.sources.nvml.fieldvalues import FieldRequest

CODES = {
    getattr(pynvml, name)
    for name in dir(pynvml)
    if name.startswith("NVML_ERROR_") and isinstance(getattr(pynvml, name), int)
}
NO_VALUE = {
    if_supported: {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND},
    optional: {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_NOT_FOUND,
    },
    or_none: CODES,
}


def fail(code):
    raise pynvml.NVMLError(code)


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("ask", NO_VALUE)
def test_each_error_is_no_value_or_is_raised(ask, code):
    if code in NO_VALUE[ask]:
        assert ask(fail, code) is None
    else:
        with pytest.raises(pynvml.NVMLError) as raised:
            ask(fail, code)
        assert raised.value.value == code


@pytest.mark.parametrize("ask", NO_VALUE)
def test_what_the_call_returns_is_passed_on_and_other_errors_rise(ask):
    assert ask(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        ask(divmod, 7, 0)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_field_with_each_code_is_no_value_or_a_lost_board(monkeypatch, code):
    class Library:
        def nvmlDeviceGetFieldValues(self, handle, count, values):  # noqa: N802 - NVML's name
            values[0].nvmlReturn = code
            return pynvml.NVML_SUCCESS

    monkeypatch.setattr(pynvml, "nvmlLib", Library())
    request = FieldRequest([(pynvml.NVML_FI_DEV_POWER_INSTANT, 0, 100)])
    lost = {
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_RESET_REQUIRED,
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_UNKNOWN,
    }
    assert lost == DEVICE_LOST
    if code in lost:
        with pytest.raises(pynvml.NVMLError):
            request.read(None)
    else:
        assert request.read(None) == [None]
