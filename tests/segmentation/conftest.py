import pytest

from radiocard.simulate.cohort import simulate_cohort


@pytest.fixture(scope="session")
def hearts():
    """Ten simulated patients, two per group."""
    return simulate_cohort(per_class=2, seed=5)
