"""An emulated node of GPU boards behind the unmodified `pynvml` module, with known truth.

In: a profile (boards, jobs, strays) and a clock. Out: NVML, token endpoints, a job list, and exact
energies and token counts to score any measurement against, with no GPU in the machine.
"""

from tokenergy_collectors.emulate.profile.profile import Profile, load_profile
from tokenergy_collectors.emulate.run.node import EmulatedNode, EmulatedSource

__all__ = ["EmulatedNode", "EmulatedSource", "Profile", "load_profile"]
