"""Work that holds memory; a module of its own, so that a new process imports little else."""

import numpy as np

from bench import measuring


def ballast(millions):
    """Hold so many million doubles for a moment, and return the peak memory."""
    np.ones(millions * 1_000_000).sum()
    return measuring.peak_gb()
