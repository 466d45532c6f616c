"""An emulated node of GPU boards behind the unmodified `pynvml` module, with known truth.

In: a profile (boards, jobs, strays) and a clock. Out: NVML, token endpoints, a job list, and exact
energies and token counts to score any measurement against, with no GPU in the machine.
"""

from tokenergy_collectors.emulate.node import EmulatedNode, EmulatedSource
from tokenergy_collectors.emulate.profile import Profile, load_profile

__all__ = ["EmulatedNode", "EmulatedSource", "Profile", "load_profile"]
