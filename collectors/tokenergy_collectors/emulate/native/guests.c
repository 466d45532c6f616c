/* Real processes on emulated boards.

   In: the file named by TOKENERGY_EMULATED_PROCESSES, with lines "INDEX PID". Out: the processes
   of a board. It is read at each call, so that a shell may add a process that it has just started. */

#include "library.h"

#include <stdio.h>
#include <stdlib.h>

unsigned te_guests(unsigned index, unsigned *pids) {
    const char *path = getenv("TOKENERGY_EMULATED_PROCESSES");
    FILE *file = path && *path ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    char line[64];
    unsigned count = 0, board, pid;
    while (count < TE_GUESTS && fgets(line, sizeof line, file))
        if (sscanf(line, "%9u %9u", &board, &pid) == 2 && board == index)
            pids[count++] = pid;
    fclose(file);
    return count;
}
