"""The C library under AddressSanitizer and UndefinedBehaviorSanitizer, with a C program."""

import shutil
import subprocess

import pytest

from tests.support.emulated import Walk
from tokenergy_collectors.emulate.native import build
from tokenergy_collectors.emulate.native.build import compile_library
from tokenergy_collectors.emulate.native.state import StateFile

PROGRAM = """
#include "nvml_abi.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>
void tokenergy_at_us(int64_t);
const char *nvmlErrorString(int);
int nvmlInit_v2(void), nvmlShutdown(void), nvmlDeviceGetCount_v2(unsigned *);
int nvmlDeviceGetHandleByIndex_v2(unsigned, nvmlDevice_t *);
int nvmlDeviceGetHandleByUUID(const char *, nvmlDevice_t *);
int nvmlDeviceGetHandleByPciBusId_v2(const char *, nvmlDevice_t *);
int nvmlDeviceGetUUID(nvmlDevice_t, char *, unsigned);
int nvmlDeviceGetName(nvmlDevice_t, char *, unsigned);
int nvmlDeviceGetPciInfo_v3(nvmlDevice_t, nvmlPciInfo_t *);
int nvmlDeviceGetFieldValues(nvmlDevice_t, int, nvmlFieldValue_t *);
int nvmlDeviceGetPowerUsage(nvmlDevice_t, unsigned *);
int nvmlDeviceGetUtilizationRates(nvmlDevice_t, nvmlUtilization_t *);
int nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t, nvmlMemory_v2_t *);
int nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t, unsigned *, nvmlProcessInfo_t *);
int nvmlDeviceGetFanSpeed(nvmlDevice_t, unsigned *);
#define GOOD(call) do { int code = (call); if (code) { \\
    printf("%s: %s\\n", #call, nvmlErrorString(code)); return 1; } } while (0)
int main(void) {
    unsigned boards, mw, total = 0;
    tokenergy_at_us(0);
    for (int round = 0; round < 3; round++) {
        GOOD(nvmlInit_v2());
        GOOD(nvmlDeviceGetCount_v2(&boards));
        for (int64_t at_us = 0; at_us < 19999999; at_us += 99991) {
            tokenergy_at_us(at_us);
            for (unsigned index = 0; index < boards; index++) {
                nvmlDevice_t device, again;
                char uuid[41], name[22];
                nvmlPciInfo_t pci;
                nvmlFieldValue_t fields[3] = {{.fieldId = 186}, {.fieldId = 185}, {.fieldId = 83}};
                nvmlUtilization_t rates;
                nvmlMemory_v2_t memory = {.version = NVML_VERSION_OF(nvmlMemory_v2_t, 2u)};
                nvmlProcessInfo_t list[1];
                unsigned count = 1;
                GOOD(nvmlDeviceGetHandleByIndex_v2(index, &device));
                GOOD(nvmlDeviceGetUUID(device, uuid, sizeof uuid));
                GOOD(nvmlDeviceGetName(device, name, sizeof name));
                GOOD(nvmlDeviceGetPciInfo_v3(device, &pci));
                GOOD(nvmlDeviceGetHandleByUUID(uuid, &again));
                GOOD(nvmlDeviceGetHandleByPciBusId_v2(pci.busId, &again));
                GOOD(nvmlDeviceGetFieldValues(device, 3, fields));
                for (int i = 0; i < 3; i++)
                    GOOD(fields[i].nvmlReturn);
                GOOD(nvmlDeviceGetPowerUsage(again, &mw));
                GOOD(nvmlDeviceGetUtilizationRates(device, &rates));
                GOOD(nvmlDeviceGetMemoryInfo_v2(device, &memory));
                GOOD(nvmlDeviceGetComputeRunningProcesses_v3(device, &count, list));
                if (nvmlDeviceGetFanSpeed(device, &mw) != NVML_ERROR_NOT_SUPPORTED)
                    return 2;
                if (device != again || fields[1].value.ui != mw || strncmp(name, "NVIDIA", 6))
                    return 3;
                total++;
            }
        }
        tokenergy_at_us(20000000);
        nvmlDevice_t device;
        GOOD(nvmlDeviceGetHandleByIndex_v2(0, &device));
        if (nvmlDeviceGetPowerUsage(device, &mw) != NVML_ERROR_UNKNOWN)
            return 4;
        GOOD(nvmlShutdown());
    }
    printf("%u\\n", total);
    return 0;
}
"""

SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def test_no_report(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    program = tmp_path / "program"
    program.with_suffix(".c").write_text(PROGRAM)
    library = compile_library(tmp_path, SANITIZE)
    sources = build.__file__.rpartition("/")[0]
    words = ["gcc", "-std=gnu11", "-Wall", "-Werror", *SANITIZE, f"-I{sources}"]
    words += [program.with_suffix(".c"), library, f"-Wl,-rpath,{tmp_path}", "-o", program]
    subprocess.run(words, check=True)
    node = Walk().node
    state = StateFile(tmp_path / "boards", node.boards, origin_us=0, start_us=node.start_us)
    state.publish(0)
    state.publish(1)
    variables = {"TOKENERGY_EMULATED_NVML": str(state.path)}
    done = subprocess.run([program], env=variables, capture_output=True, text=True, timeout=60)
    state.close()
    assert (done.returncode, done.stdout, done.stderr) == (0, "2412\n", "")
