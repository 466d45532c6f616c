/* What NVML reports about one board. */

#include "library.h"

#include <string.h>

#define POWER_SCOPE_GPU 0
#define POWER_SCOPE_MODULE 1
#define TEMPERATURE_GPU 0
#define NO_INSTANCE 0xFFFFFFFFu

/* Begin a call: find the board, check that it answers and that the pointer is not null. */
#define ENTER(device, out)                    \
    unsigned index;                           \
    TRY(te_find(device, &index));             \
    if (!(out))                               \
        return NVML_ERROR_INVALID_ARGUMENT;

static int unsupported(unsigned index, unsigned what) {
    return (te_board(index)->unsupported & what) != 0;
}

/* Power and energy. */

EXPORT nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *mw) {
    ENTER(device, mw)
    if (unsupported(index, TE_NO_USAGE))
        return NVML_ERROR_NOT_SUPPORTED;
    te_count();
    return te_read(index, te_now_us(), te_usage_mw, mw);
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device,
                                                        unsigned long long *mj) {
    ENTER(device, mj)
    if (unsupported(index, TE_NO_COUNTER))
        return NVML_ERROR_NOT_SUPPORTED;
    te_count();
    uint64_t value;
    TRY(te_energy_mj(index, te_now_us(), &value));
    *mj = value;
    return NVML_SUCCESS;
}

static nvmlReturn_t power(unsigned index, int64_t now_us, unsigned what, te_take *take,
                          nvmlFieldValue_t *f) {
    if (unsupported(index, what))
        return NVML_ERROR_NOT_SUPPORTED;
    TRY(te_read(index, now_us, take, &f->value.ui));
    f->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
    return NVML_SUCCESS;
}

static nvmlReturn_t counter(unsigned index, int64_t now_us, nvmlFieldValue_t *f) {
    uint64_t mj;
    if (unsupported(index, TE_NO_COUNTER))
        return NVML_ERROR_NOT_SUPPORTED;
    TRY(te_energy_mj(index, now_us, &mj));
    f->value.ull = mj;
    f->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
    return NVML_SUCCESS;
}

static nvmlReturn_t field(unsigned index, int64_t now_us, nvmlFieldValue_t *f) {
    int module = f->scopeId == POWER_SCOPE_MODULE;
    if (!module && f->scopeId != POWER_SCOPE_GPU)
        return NVML_ERROR_NOT_SUPPORTED;
    switch (f->fieldId) {
    case NVML_FI_DEV_POWER_INSTANT:
        return power(index, now_us, TE_NO_INSTANT, module ? te_module_instant_mw : te_instant_mw,
                     f);
    case NVML_FI_DEV_POWER_AVERAGE:
        return power(index, now_us, TE_NO_AVERAGE, module ? te_module_average_mw : te_average_mw,
                     f);
    case NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION:
        return module ? NVML_ERROR_NOT_SUPPORTED : counter(index, now_us, f);
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

/* All fields are of the same instant, and each has its own return code. */
EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count,
                                             nvmlFieldValue_t *fields) {
    ENTER(device, fields)
    if (count < 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    te_count();
    int64_t now_us = te_now_us();
    for (nvmlFieldValue_t *f = fields; f < fields + count; f++) {
        f->timestamp = te_head()->start_us + now_us;
        f->latencyUsec = 0;
        f->valueType = 0;
        f->value.ull = 0;
        f->nvmlReturn = field(index, now_us, f);
    }
    return NVML_SUCCESS;
}

/* What does not change. */

#define CONSTANT(name, type, value)                               \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, type *out) {    \
        ENTER(device, out)                                        \
        *out = (type)(value);                                     \
        return NVML_SUCCESS;                                      \
    }

CONSTANT(nvmlDeviceGetIndex, unsigned, index)
CONSTANT(nvmlDeviceGetMinorNumber, unsigned, te_board(index)->minor)
CONSTANT(nvmlDeviceGetBoardId, unsigned, te_board(index)->pci_bus << 8)
CONSTANT(nvmlDeviceGetEnforcedPowerLimit, unsigned, te_board(index)->limit_mw)
CONSTANT(nvmlDeviceGetPowerManagementLimit, unsigned, te_board(index)->limit_mw)
CONSTANT(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, te_board(index)->limit_mw)
CONSTANT(nvmlDeviceGetArchitecture, unsigned, te_board(index)->architecture)
CONSTANT(nvmlDeviceGetPersistenceMode, unsigned, 1)
CONSTANT(nvmlDeviceGetComputeMode, unsigned, 0)
CONSTANT(nvmlDeviceGetPerformanceState, unsigned, 0)
CONSTANT(nvmlDeviceGetDisplayMode, unsigned, 0)
CONSTANT(nvmlDeviceGetDisplayActive, unsigned, 0)
CONSTANT(nvmlDeviceIsMigDeviceHandle, unsigned, 0)

/* The same for calls with two answers. */
#define CONSTANT_2(name, type, value_a, value_b)                               \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, type *a, type *b) {       \
        ENTER(device, a && b)                                               \
        *a = (type)(value_a);                                               \
        *b = (type)(value_b);                                               \
        return NVML_SUCCESS;                                                \
    }

CONSTANT_2(nvmlDeviceGetPowerManagementLimitConstraints, unsigned, te_board(index)->min_limit_mw,
        te_board(index)->limit_mw)
CONSTANT_2(nvmlDeviceGetCudaComputeCapability, int, te_board(index)->capability_major,
        te_board(index)->capability_minor)
CONSTANT_2(nvmlDeviceGetMigMode, unsigned, 0, 0)
/* Emulated boards encode and decode no video: 0 percent, over a second. */
CONSTANT_2(nvmlDeviceGetEncoderUtilization, unsigned, 0, 1000000)
CONSTANT_2(nvmlDeviceGetDecoderUtilization, unsigned, 0, 1000000)

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *out, unsigned size) {
    ENTER(device, out)
    return TEXT(te_board(index)->uuid, out, size);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *out, unsigned size) {
    ENTER(device, out)
    return TEXT(te_board(index)->name, out, size);
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *out) {
    ENTER(device, out)
    const struct te_board *board = te_board(index);
    memset(out, 0, sizeof *out);
    memcpy(out->busId, board->pci_bus_id, sizeof out->busId);
    /* The older form has a domain of four digits, not eight. */
    memcpy(out->busIdLegacy, board->pci_bus_id + 4, sizeof out->busIdLegacy - 1);
    out->bus = board->pci_bus;
    out->pciDeviceId = board->pci_device_id;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned domain,
                                              unsigned *mhz) {
    ENTER(device, mhz)
    if (domain >= TE_CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    *mhz = te_board(index)->max_mhz[domain];
    return NVML_SUCCESS;
}

/* The slow gauges. */

#define ENTER_GAUGE(device, out)                                \
    struct te_gauge gauge;                                      \
    ENTER(device, out)                                          \
    TRY(te_read(index, te_now_us(), te_gauge, &gauge));

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *out) {
    ENTER_GAUGE(device, out)
    out->gpu = gauge.sm_percent;
    out->memory = gauge.mem_percent;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned domain, unsigned *mhz) {
    ENTER_GAUGE(device, mhz)
    if (domain >= TE_CLOCKS)
        return NVML_ERROR_INVALID_ARGUMENT;
    *mhz = gauge.mhz[domain];
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor,
                                             unsigned *temp_c) {
    ENTER_GAUGE(device, temp_c)
    if (sensor != TEMPERATURE_GPU)
        return NVML_ERROR_INVALID_ARGUMENT;
    *temp_c = gauge.temp_c;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *out) {
    ENTER_GAUGE(device, out)
    if (out->version != NVML_VERSION_OF(nvmlTemperature_t, 1u))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (out->sensorType != TEMPERATURE_GPU)
        return NVML_ERROR_INVALID_ARGUMENT;
    out->temperature = (int)gauge.temp_c;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device,
                                                           unsigned long long *reasons) {
    ENTER_GAUGE(device, reasons)
    *reasons = gauge.clock_reasons;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                                              unsigned long long *reasons) {
    return nvmlDeviceGetCurrentClocksEventReasons(device, reasons);
}

/* The first form counts the driver's reserved memory as used, the second reports it apart. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *out) {
    ENTER_GAUGE(device, out)
    const struct te_board *board = te_board(index);
    out->total = board->memory_bytes + board->reserved_bytes;
    out->used = gauge.used_bytes + board->reserved_bytes;
    out->free = out->total - out->used;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *out) {
    ENTER_GAUGE(device, out)
    const struct te_board *board = te_board(index);
    if (out->version != NVML_VERSION_OF(nvmlMemory_v2_t, 2u))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    out->total = board->memory_bytes + board->reserved_bytes;
    out->reserved = board->reserved_bytes;
    out->used = gauge.used_bytes;
    out->free = board->memory_bytes - gauge.used_bytes;
    return NVML_SUCCESS;
}

/* If the array is too small, return how many there are. */
EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                            nvmlProcessInfo_t *list) {
    ENTER_GAUGE(device, count)
    unsigned room = *count;
    unsigned own = gauge.processes < TE_PROCESSES ? gauge.processes : TE_PROCESSES;
    unsigned guest[TE_GUESTS];
    unsigned found = own + te_guests(index, guest);
    *count = found;
    if (room < found)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (found && !list)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < found; i++)
        list[i] = i < own ? (nvmlProcessInfo_t){gauge.process[i].pid, gauge.process[i].used_bytes,
                                                NO_INSTANCE, NO_INSTANCE}
                          : (nvmlProcessInfo_t){guest[i - own], 0, NO_INSTANCE, NO_INSTANCE};
    return NVML_SUCCESS;
}

/* These boards run no graphics, and nothing shares them through MPS. */
EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                             nvmlProcessInfo_t *list) {
    (void)list;
    ENTER(device, count)
    *count = 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device,
                                                               unsigned *count,
                                                               nvmlProcessInfo_t *list) {
    return nvmlDeviceGetGraphicsRunningProcesses_v3(device, count, list);
}

/* What emulated boards do not have, and what only root could change. Arguments after the handle
   are not read. */
#define UNAVAILABLE(name, code)                     \
    EXPORT nvmlReturn_t name(nvmlDevice_t device) { \
        unsigned index;                             \
        TRY(te_find(device, &index));               \
        return NVML_ERROR_##code;                   \
    }
#include "unavailable.def"
#undef UNAVAILABLE
