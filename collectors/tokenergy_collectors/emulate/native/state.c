/* The state file: mapped read-only, found by time, read under a seqlock. */

#include "library.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES 1000
#define PPM 1000000
#define NJ_PER_MJ 1000000
#define MOST 1000000 /* of anything in a slot; no product of such numbers overflows */

static const struct te_header *mapped; /* the file itself */
static struct te_header head;          /* its header when it was mapped: later bounds come from this copy */
static dev_t mapped_dev;
static ino_t mapped_ino;

static _Atomic int64_t fixed_us = INT64_MIN;

/* Not NVML's: let this process ask for a given instant of profile time; a negative one returns to
   the clock. For tests, which compare readings with those of the Python emulator. */
EXPORT void tokenergy_at_us(int64_t at_us) {
    atomic_store(&fixed_us, at_us < 0 ? INT64_MIN : at_us);
}

static int64_t monotonic_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t te_now_us(void) {
    int64_t at_us = atomic_load_explicit(&fixed_us, memory_order_relaxed);
    return at_us != INT64_MIN ? at_us : monotonic_us() - head.origin_us;
}

static int feeder_lives(const struct te_header *file) {
    if (atomic_load_explicit(&fixed_us, memory_order_relaxed) != INT64_MIN)
        return 1;
    return monotonic_us() <= atomic_load_explicit(&file->alive_until_us, memory_order_relaxed);
}

static uint64_t table_bytes(const struct te_header *h) {
    uint64_t bytes = sizeof(struct te_table) + h->cells * UINT64_C(12) +
                     h->readings * UINT64_C(8) + h->gauges * sizeof(struct te_gauge);
    return (bytes + 7) / 8 * 8;
}

static uint64_t slot_bytes(const struct te_header *h) {
    return sizeof(struct te_slot) + h->boards * table_bytes(h);
}

static uint64_t slots_at(const struct te_header *h) {
    return sizeof(struct te_header) + h->boards * sizeof(struct te_board);
}

/* Check every bound that later code relies on; the file may be torn, or another version's. */
static int is_sound(const struct te_header *h, uint64_t file_bytes) {
    return memcmp(h->magic, TE_MAGIC, sizeof h->magic) == 0 &&
           h->header_bytes == sizeof(struct te_header) &&
           h->board_bytes == sizeof(struct te_board) &&
           h->table_bytes == sizeof(struct te_table) &&
           h->gauge_bytes == sizeof(struct te_gauge) && h->boards <= TE_MAX_BOARDS &&
           h->slots > 0 && h->slots <= MOST && h->cells <= MOST && h->readings <= MOST &&
           h->gauges <= MOST && h->slot_us > 0 && h->cell_us > 0 && h->gauge_us > 0 &&
           h->slot_us / h->cell_us == h->cells && h->slot_us % h->cell_us == 0 &&
           h->slot_us / h->gauge_us == h->gauges && h->slot_us % h->gauge_us == 0 &&
           h->total_bytes == slots_at(h) + h->slots * slot_bytes(h) &&
           h->total_bytes == file_bytes;
}

static nvmlReturn_t adopt(int file) {
    struct stat about;
    if (fstat(file, &about) != 0 || about.st_size < (off_t)sizeof(struct te_header))
        return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    if (mapped && about.st_dev == mapped_dev && about.st_ino == mapped_ino)
        return feeder_lives(mapped) ? NVML_SUCCESS : NVML_ERROR_DRIVER_NOT_LOADED;
    const struct te_header *found =
        mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (found == MAP_FAILED)
        return NVML_ERROR_UNKNOWN;
    struct te_header copy;
    memcpy(&copy, found, sizeof copy);
    nvmlReturn_t code = NVML_SUCCESS;
    if (!is_sound(&copy, (uint64_t)about.st_size))
        code = NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    else if (!feeder_lives(found))
        code = NVML_ERROR_DRIVER_NOT_LOADED;
    if (code != NVML_SUCCESS) {
        munmap((void *)found, (size_t)about.st_size);
        return code;
    }
    if (mapped)
        munmap((void *)mapped, head.total_bytes);
    mapped = found;
    head = copy;
    mapped_dev = about.st_dev;
    mapped_ino = about.st_ino;
    return NVML_SUCCESS;
}

nvmlReturn_t te_open(void) {
    const char *path = getenv("TOKENERGY_EMULATED_NVML");
    if (!path || !*path)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == EACCES ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_DRIVER_NOT_LOADED;
    nvmlReturn_t code = adopt(file);
    close(file);
    return code;
}

const struct te_header *te_head(void) { return &head; }

const struct te_board *te_board(unsigned index) {
    return (const struct te_board *)((const char *)mapped + sizeof head) + index;
}

nvmlReturn_t te_answers(unsigned index) {
    if (!feeder_lives(mapped))
        return NVML_ERROR_GPU_IS_LOST;
    return atomic_load_explicit(&te_board(index)->failure, memory_order_relaxed);
}

static struct te_view view_of(const struct te_slot *slot, unsigned index) {
    const char *at = (const char *)(slot + 1) + index * table_bytes(&head);
    struct te_view view = {.table = (const struct te_table *)at, .from_us = slot->from_us};
    at += sizeof(struct te_table);
    view.energy_nj = (const int64_t *)at;
    at += head.cells * sizeof(int64_t);
    view.gauge = (const struct te_gauge *)at;
    at += head.gauges * sizeof(struct te_gauge);
    view.power_mw = (const uint32_t *)at;
    view.instant_mw = view.power_mw + head.cells;
    view.average_mw = view.instant_mw + head.readings;
    return view;
}

nvmlReturn_t te_read(unsigned index, int64_t at_us, te_take *take, void *out) {
    uint64_t number = at_us < 0 ? 0 : (uint64_t)(at_us / head.slot_us) % head.slots;
    const char *slots = (const char *)mapped + slots_at(&head);
    const struct te_slot *slot = (const struct te_slot *)(slots + number * slot_bytes(&head));
    for (int tried = 0; tried < TRIES; tried++) {
        uint64_t before = atomic_load_explicit(&slot->seq, memory_order_acquire);
        struct te_view view = view_of(slot, index);
        nvmlReturn_t code = NVML_ERROR_UNKNOWN;
        if (at_us >= view.from_us && at_us < slot->to_us && at_us - view.from_us < head.slot_us)
            code = take(&view, at_us, out);
        atomic_thread_fence(memory_order_acquire);
        uint64_t after = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        if (before == after && before % 2 == 0)
            return code;
        sched_yield();
    }
    return NVML_ERROR_UNKNOWN;
}

/* Division that rounds down; the divisor is positive. */
static __int128 floor_div(__int128 a, int64_t b) { return a / b - (a % b < 0); }

static nvmlReturn_t reading(const struct te_view *view, const uint32_t *mw, int64_t at_us,
                            void *out) {
    const struct te_table *table = view->table;
    if (table->update_us <= 0)
        return NVML_ERROR_UNKNOWN;
    /* In 128 bits, for a slot that is being written may hold any numbers. */
    __int128 number =
        floor_div((__int128)at_us - table->phase_us, table->update_us) - table->first;
    if (number < 0 || number >= table->count || number >= head.readings)
        return NVML_ERROR_UNKNOWN;
    *(unsigned *)out = mw[(size_t)number];
    return NVML_SUCCESS;
}

nvmlReturn_t te_instant_mw(const struct te_view *view, int64_t at_us, void *out) {
    return reading(view, view->instant_mw, at_us, out);
}

nvmlReturn_t te_average_mw(const struct te_view *view, int64_t at_us, void *out) {
    return reading(view, view->average_mw, at_us, out);
}

nvmlReturn_t te_usage_mw(const struct te_view *view, int64_t at_us, void *out) {
    return reading(view, view->table->usage_instant ? view->instant_mw : view->average_mw, at_us,
                   out);
}

static nvmlReturn_t module_reading(const struct te_view *view, const uint32_t *mw, int64_t at_us,
                                   void *out) {
    uint32_t rest_mw = view->table->module_rest_mw;
    if (!rest_mw)
        return NVML_ERROR_NOT_SUPPORTED;
    TRY(reading(view, mw, at_us, out));
    *(unsigned *)out += rest_mw;
    return NVML_SUCCESS;
}

nvmlReturn_t te_module_instant_mw(const struct te_view *view, int64_t at_us, void *out) {
    return module_reading(view, view->instant_mw, at_us, out);
}

nvmlReturn_t te_module_average_mw(const struct te_view *view, int64_t at_us, void *out) {
    return module_reading(view, view->average_mw, at_us, out);
}

nvmlReturn_t te_gauge(const struct te_view *view, int64_t at_us, void *out) {
    *(struct te_gauge *)out = view->gauge[(at_us - view->from_us) / head.gauge_us];
    return NVML_SUCCESS;
}

/* When the counter that is read at an instant was last refreshed. */
static nvmlReturn_t refreshed_us(const struct te_view *view, int64_t at_us, void *out) {
    const struct te_table *table = view->table;
    if (table->counter_update_us <= 0)
        return NVML_ERROR_UNKNOWN;
    __int128 since_us = (__int128)at_us - table->counter_phase_us;
    __int128 past_us = since_us - floor_div(since_us, table->counter_update_us) *
                                      table->counter_update_us;
    *(int64_t *)out = (int64_t)(at_us - past_us);
    return NVML_SUCCESS;
}

static nvmlReturn_t energy_mj(const struct te_view *view, int64_t at_us, void *out) {
    int64_t inside_us = at_us - view->from_us;
    int64_t cell = inside_us / head.cell_us;
    const struct te_table *table = view->table;
    __int128 energy_nj =
        view->energy_nj[cell] + (__int128)view->power_mw[cell] * (inside_us % head.cell_us);
    __int128 counted_nj = floor_div(energy_nj * ((int64_t)PPM + table->counter_gain_ppm), PPM) +
                          (__int128)table->counter_rest_mw * at_us;
    *(uint64_t *)out = (uint64_t)table->base_mj + (uint64_t)floor_div(counted_nj, NJ_PER_MJ);
    return NVML_SUCCESS;
}

nvmlReturn_t te_energy_mj(unsigned index, int64_t at_us, uint64_t *out) {
    int64_t when_us;
    TRY(te_read(index, at_us, refreshed_us, &when_us));
    return te_read(index, when_us, energy_mj, out);
}
