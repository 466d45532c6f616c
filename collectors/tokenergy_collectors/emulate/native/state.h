/* The file that a feeder writes and the library reads: emulated boards, some seconds ahead.

   A header, one description a board, and a ring of slots, one after the other. A slot holds what
   all boards report during one stretch of profile time (microseconds since the profile began); the
   slot of an instant t is (t / slot_us) % slots. Numbers are in the machine's own byte order. layout.py is the same in
   numpy's terms, and a test compares the two.

   Writing: a slot is a seqlock. Its seq is odd while it is written and even when it is whole. A
   feeder writes slots well ahead of their time, so a reader meets a slot that is being
   written only if something in it had to be corrected; it then reads again. */

#ifndef TOKENERGY_STATE_H
#define TOKENERGY_STATE_H

#include <stdatomic.h>
#include <stdint.h>

#define TE_MAGIC "TOKNVML1"
#define TE_MAX_BOARDS 1024
#define TE_PROCESSES 8
#define TE_CLOCKS 4

struct te_header {
    char magic[8];
    uint32_t header_bytes; /* sizes of the structures below: a reader checks them */
    uint32_t board_bytes;
    uint32_t table_bytes;
    uint32_t gauge_bytes;
    uint32_t boards;
    uint32_t slots;
    uint32_t cells;    /* of true power in a slot */
    uint32_t gauges;   /* steps of the slow gauges in a slot */
    uint32_t readings; /* room for power readings in a slot */
    uint32_t feeder_pid;
    int64_t origin_us; /* CLOCK_MONOTONIC at profile time zero */
    int64_t start_us;  /* UTC at profile time zero */
    int64_t slot_us;
    int64_t cell_us;
    int64_t gauge_us;
    _Atomic int64_t alive_until_us; /* CLOCK_MONOTONIC; past it the boards are lost */
    uint64_t total_bytes;
    uint32_t cuda_version;
    uint32_t unused;
    char driver_version[80];
    char nvml_version[80];
};

/* Bits of te_board.unsupported. */
enum { TE_NO_INSTANT = 1, TE_NO_AVERAGE = 2, TE_NO_USAGE = 4, TE_NO_COUNTER = 8 };

struct te_board {
    char uuid[80];
    char name[96];
    char pci_bus_id[32];
    uint64_t memory_bytes;
    uint64_t reserved_bytes;
    uint32_t pci_bus;
    uint32_t pci_device_id;
    uint32_t limit_mw;
    uint32_t min_limit_mw;
    uint32_t architecture;
    uint32_t capability_major;
    uint32_t capability_minor;
    uint32_t unsupported;
    uint32_t max_mhz[TE_CLOCKS]; /* by NVML's domain: graphics, SM, memory, video */
    _Atomic int32_t failure;     /* NVML's code for every call on this board; 0 if it works */
    uint32_t minor;              /* number of its device file */
};

struct te_process {
    uint64_t used_bytes;
    uint32_t pid;
    uint32_t unused;
};

struct te_gauge { /* the slow gauges, which hold for gauge_us */
    uint64_t used_bytes;
    uint64_t clock_reasons;
    uint32_t sm_percent;
    uint32_t mem_percent;
    uint32_t temp_c;
    uint32_t processes;
    uint32_t mhz[TE_CLOCKS];
    struct te_process process[TE_PROCESSES];
};

/* One board in one slot. Reading n is refreshed at phase_us + n * update_us. The counter is
   base_mj plus the whole millijoules, at its latest refresh, of the integral (times its own gain,
   rounded down to a nanojoule) and of the rest of the module where it covers that.

   After the structure: int64_t energy_nj[cells] (the integral since time zero at each cell's
   start), struct te_gauge gauge[gauges], uint32_t power_mw[cells], instant_mw[readings],
   average_mw[readings]. */
struct te_table {
    int64_t update_us;
    int64_t phase_us;
    int64_t first; /* number of the first reading here */
    int64_t count;
    int64_t counter_update_us;
    int64_t counter_phase_us;
    int64_t base_mj;
    int32_t counter_gain_ppm;
    uint32_t counter_rest_mw; /* power of the rest of the module, where the counter covers it */
    uint32_t module_rest_mw;  /* the same, where power is reported for the module too; 0: it is not */
    uint32_t usage_instant;   /* nvmlDeviceGetPowerUsage returns the short-window reading */
};

struct te_slot { /* followed by one table a board; each begins at a multiple of 8 bytes */
    _Atomic uint64_t seq;
    int64_t from_us;
    int64_t to_us;
};

_Static_assert(sizeof(struct te_header) == 272, "layout");
_Static_assert(sizeof(struct te_board) == 280, "layout");
_Static_assert(sizeof(struct te_gauge) == 176, "layout");
_Static_assert(sizeof(struct te_table) == 72, "layout");
_Static_assert(sizeof(struct te_slot) == 24, "layout");

#endif
