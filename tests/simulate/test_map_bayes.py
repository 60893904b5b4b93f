import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import multivariate_normal, norm

from radiocard.errors import UsageError
from radiocard.simulate.map_bayes import map_bayes_accuracy
from radiocard.simulate.map_classes import GLOBAL_LATENTS, LATENTS, TASKS


@pytest.mark.parametrize("task", ["t1-amyloid", "dcm", "myocarditis", "hhd-hcm"])
def test_one_latent_agrees_with_the_integral_over_the_largest_density(task):
    x = np.linspace(600, 2000, 20_001)
    densities = [norm.pdf(x, *model.t1_ms) for model in TASKS[task].values()]
    exact = trapezoid(np.max(densities, axis=0), x) / len(densities)
    found = map_bayes_accuracy(task, latents=("t1_ms",))
    assert abs(found.value - exact) < 4 * found.standard_error
    assert np.mean(list(found.per_class.values())) == pytest.approx(exact, abs=0.01)


def test_two_latents_agree_with_the_integral():
    x, y = np.meshgrid(np.linspace(700, 1400, 701), np.linspace(40, 95, 551), indexing="ij")
    densities = []
    for model in TASKS["myocarditis"].values():
        sd = np.array([model.t1_ms[1], model.t2_ms[1]])
        cov = np.outer(sd, sd) * [[1, 0.5], [0.5, 1]]
        densities.append(multivariate_normal([model.t1_ms[0], model.t2_ms[0]], cov).pdf(np.stack([x, y], axis=-1)))
    exact = np.max(densities, axis=0).sum() * 1.0 * 0.1 / 2
    found = map_bayes_accuracy("myocarditis", latents=("t1_ms", "t2_ms"))
    assert abs(found.value - exact) < 4 * found.standard_error + 1e-4


def test_more_measurements_never_hurt_and_overlap_remains():
    for task in TASKS:
        few, more, all_of_them = (
            map_bayes_accuracy(task, latents=chosen, n=6000).value for chosen in (("t1_ms",), GLOBAL_LATENTS, LATENTS)
        )
        assert few < more < all_of_them < 0.995
        assert few < 0.85


def test_a_latent_that_is_the_same_in_every_group_is_a_guess():
    assert map_bayes_accuracy("hhd-hcm", latents=("t2_ms",), n=1000).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"task": "fabry"}, "Task is 'fabry'"),
        ({"task": "dcm", "latents": ("lvef",)}, "Latents lvef: expected some of"),
        ({"task": "dcm", "latents": ()}, r"Latents \(none\)"),
        ({"task": "dcm", "n": 10}, "n is 10"),
    ],
)
def test_refuses_impossible_calls(kwargs, text):
    with pytest.raises(UsageError, match=text):
        map_bayes_accuracy(**kwargs)
