/* What the parts of the library share. */

#ifndef TOKENERGY_LIBRARY_H
#define TOKENERGY_LIBRARY_H

#include "nvml_abi.h"
#include "state.h"

#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

/* Ends a function with a return code unless a call succeeds. */
#define TRY(call)                             \
    do {                                      \
        nvmlReturn_t code_ = (call);          \
        if (code_ != NVML_SUCCESS)            \
            return code_;                     \
    } while (0)

/* One board's table and the arrays behind it. */
struct te_view {
    const struct te_table *table;
    const int64_t *energy_nj;
    const struct te_gauge *gauge;
    const uint32_t *power_mw;
    const uint32_t *instant_mw;
    const uint32_t *average_mw;
    int64_t from_us;
};

/* Takes one value out of a view; must cope with any bytes, since a slot may change while it is read. */
typedef nvmlReturn_t te_take(const struct te_view *view, int64_t at_us, void *out);

/* Map the state file named in the environment, if it is not mapped already. */
nvmlReturn_t te_open(void);

/* The header as it was when the file was mapped. */
const struct te_header *te_head(void);
const struct te_board *te_board(unsigned index);

/* Profile time. */
int64_t te_now_us(void);

/* UNINITIALIZED, or success. */
nvmlReturn_t te_running(void);

/* Find a board by its handle, and check that it answers: returns the board's own failure, or
   GPU_IS_LOST if the feeder has gone. */
nvmlReturn_t te_find(nvmlDevice_t device, unsigned *index);
nvmlReturn_t te_answers(unsigned index);
nvmlDevice_t te_handle_of(unsigned index);

/* Take a value from the slot of an instant; UNKNOWN if the feeder has not written it. */
nvmlReturn_t te_read(unsigned index, int64_t at_us, te_take *take, void *out);

/* Real processes that somebody has put on a board: up to TE_GUESTS of them; returns how many. */
#define TE_GUESTS 64
unsigned te_guests(unsigned index, unsigned *pids);

/* The readings, as sensor.py has them. */
te_take te_instant_mw, te_average_mw, te_usage_mw, te_module_instant_mw, te_module_average_mw,
    te_gauge;
nvmlReturn_t te_energy_mj(unsigned index, int64_t at_us, uint64_t *out);

/* Count one reading of power or energy by this process, if counting is on. */
void te_count_from_now(void);
void te_count(void);

/* Copy a string from a field of `room` bytes into a caller's buffer, terminated. */
nvmlReturn_t te_text(const char *text, size_t room, char *out, unsigned size);
#define TEXT(field, out, size) te_text(field, sizeof(field), out, size)

#endif
