import numpy as np
import pytest

from radiocard.features import mcc
from radiocard.features.mcc import maximal_correlations


def matrices(seed, m, n, density=1.0):
    rng = np.random.default_rng(seed)
    p = rng.random((m, n, n)) ** 3 * (rng.random((m, n, n)) < density)
    p += p.transpose(0, 2, 1)
    total = p.sum(axis=(1, 2), keepdims=True)
    p /= np.where(total > 0, total, 1)
    return p, p.sum(axis=2)


def by_definition(p):
    """Square root of the second largest eigenvalue of the matrix that PyRadiomics documents."""
    there = p.any(axis=0)
    p = p[np.ix_(there, there)]
    px = p.sum(axis=1)
    q = np.einsum("ik,jk,i,k->ij", p, p, 1 / px, 1 / px)
    return np.sqrt(np.sort(np.linalg.eigvals(q).real)[-2])


@pytest.mark.parametrize("n", [2, 3, 8, 33, 100])
@pytest.mark.parametrize("density", [1.0, 0.2])
def test_equals_the_definition(n, density):
    p, marginal = matrices(n, 6, n, density)
    found = maximal_correlations(p, marginal)
    several = (marginal > 0).sum(axis=1) > 1
    assert found[several] == pytest.approx([by_definition(x) for x in p[several]], rel=1e-9, abs=1e-7)


def test_both_methods_agree(monkeypatch):
    p, marginal = matrices(0, 4, 40, 0.3)
    p[:, 7] = p[:, :, 7] = 0
    p /= p.sum(axis=(1, 2), keepdims=True)
    marginal = p.sum(axis=2)
    few = maximal_correlations(p, marginal)
    monkeypatch.setattr(mcc, "_FEW_LEVELS", 10)
    assert maximal_correlations(p, marginal) == pytest.approx(few, abs=1e-12)


@pytest.mark.parametrize("limit", [0, 128])
def test_closed_forms(limit, monkeypatch):
    monkeypatch.setattr(mcc, "_FEW_LEVELS", limit)
    two = np.array([[0.4, 0.1], [0.1, 0.4]])  # of two levels, it is the correlation
    independent = np.full((2, 2), 0.25)
    apart = np.eye(2) / 2
    swapped = np.eye(2)[::-1] / 2
    one = np.diag([1.0, 0.0])
    p = np.stack([two, independent, apart, swapped, one, np.zeros((2, 2))])
    found = maximal_correlations(p, p.sum(axis=2))
    assert found[:4] == pytest.approx([0.6, 0, 1, 1], abs=1e-12)
    assert np.isnan(found[4:]).all()
