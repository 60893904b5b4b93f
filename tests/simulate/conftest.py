import pytest

from radiocard.simulate.cohort import simulate_cohort


@pytest.fixture(scope="session")
def simulated():
    return simulate_cohort(per_class=4, seed=20)
