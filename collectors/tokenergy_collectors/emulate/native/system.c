/* Start and end, the system's versions, and the handles of boards. */

#include "library.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned inits;

/* A handle is the address of its own byte; it stays the same when another file is mapped. */
static struct te_handle { char byte; } handles[TE_MAX_BOARDS];

nvmlReturn_t te_running(void) {
    return atomic_load_explicit(&inits, memory_order_acquire) ? NVML_SUCCESS
                                                              : NVML_ERROR_UNINITIALIZED;
}

nvmlDevice_t te_handle_of(unsigned index) { return &handles[index]; }

nvmlReturn_t te_find(nvmlDevice_t device, unsigned *index) {
    TRY(te_running());
    uintptr_t at = (uintptr_t)device - (uintptr_t)handles;
    if (at >= te_head()->boards)
        return NVML_ERROR_INVALID_ARGUMENT;
    *index = (unsigned)at;
    return te_answers(*index);
}

nvmlReturn_t te_text(const char *text, size_t room, char *out, unsigned size) {
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    size_t length = strnlen(text, room);
    if (length >= size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(out, text, length);
    out[length] = 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    nvmlReturn_t code = inits ? NVML_SUCCESS : te_open();
    if (code == NVML_SUCCESS) {
        te_count_from_now();
        inits++;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

EXPORT nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

/* The file stays mapped: another thread may be reading it. */
EXPORT nvmlReturn_t nvmlShutdown(void) {
    pthread_mutex_lock(&lock);
    nvmlReturn_t code = te_running();
    if (code == NVML_SUCCESS)
        inits--;
    pthread_mutex_unlock(&lock);
    return code;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t code) {
#define ERROR(number, text) \
    case number:            \
        return text;
    switch (code) {
#include "errors.def"
    default:
        return "UNKNOWN";
    }
#undef ERROR
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned size) {
    TRY(te_running());
    return TEXT(te_head()->driver_version, out, size);
}

EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *out, unsigned size) {
    TRY(te_running());
    return TEXT(te_head()->nvml_version, out, size);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *out) {
    TRY(te_running());
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    *out = (int)te_head()->cuda_version;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *out) {
    return nvmlSystemGetCudaDriverVersion(out);
}

/* Emulated boards report no events, so there is no set to wait on. */
EXPORT nvmlReturn_t nvmlEventSetCreate(void **set) {
    TRY(te_running());
    return set ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *out) {
    TRY(te_running());
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    *out = te_head()->boards;
    return NVML_SUCCESS;
}

static nvmlReturn_t give(unsigned index, nvmlDevice_t *out) {
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    TRY(te_answers(index));
    *out = te_handle_of(index);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *out) {
    TRY(te_running());
    if (index >= te_head()->boards)
        return NVML_ERROR_INVALID_ARGUMENT;
    return give(index, out);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *out) {
    TRY(te_running());
    if (!uuid)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned index = 0; index < te_head()->boards; index++)
        if (strncmp(te_board(index)->uuid, uuid, sizeof te_board(index)->uuid) == 0)
            return give(index, out);
    return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *out) {
    TRY(te_running());
    if (!bus_id)
        return NVML_ERROR_INVALID_ARGUMENT;
    /* Linux and CUDA write the domain in four digits; NVML takes both. */
    const char *before = strlen(bus_id) == strlen("0000:00:00.0") ? "0000" : "";
    char whole[sizeof te_board(0)->pci_bus_id];
    if (snprintf(whole, sizeof whole, "%s%s", before, bus_id) >= (int)sizeof whole)
        return NVML_ERROR_NOT_FOUND;
    for (unsigned index = 0; index < te_head()->boards; index++)
        if (strncasecmp(te_board(index)->pci_bus_id, whole, sizeof whole) == 0)
            return give(index, out);
    return NVML_ERROR_NOT_FOUND;
}
