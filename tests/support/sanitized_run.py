"""Run with libasan preloaded: integrates a stored batch with a sanitized library, lane by lane.

In: the library and an .npz of the batch's arrays by position. Exit code 0 if every lane gives the
same bits, 3 if not; an access outside an array ends the process with the sanitizer's report.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.support.host_shim import HostKernels
from tokenergy_transforms.batch import Batch
from tokenergy_transforms.cuda.lanes import LANES


def main(library: str, stored: str) -> int:
    with np.load(stored) as arrays:
        batch = Batch(*(arrays[f"arr_{i}"].copy() for i in range(len(arrays.files))))
    kernels = HostKernels(Path(library))
    results = [kernels.integrate(batch, lane) for lane in LANES]
    bits = {b"".join(a.tobytes() for a in result.arrays()) for result in results}
    return 0 if len(bits) == 1 else 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
