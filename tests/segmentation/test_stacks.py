from dataclasses import replace

import numpy as np

from radiocard.segmentation.stacks import person_of, twin_groups
from radiocard.specs import read_network

RECIPE = read_network("dynunet_cpu")


def test_a_person_has_both_phases_on_one_square(level_cases):
    person = person_of(level_cases[0], RECIPE, margin_px=16)
    assert person.diagnosis == "NOR"
    assert person.simulated
    assert len(person.volumes) == 2
    for volume in person.volumes:
        assert volume.image.shape == volume.mask.shape
        assert volume.image.shape[1:] == (160, 160)
        assert set(np.unique(volume.mask)) == {0, 1, 2, 3}


def test_a_case_without_cine_has_nothing_to_learn_from(level_cases):
    assert person_of(replace(level_cases[0], images={}, masks={}), RECIPE, margin_px=0).volumes == ()


def test_people_who_share_an_image_are_one_group(level_cases):
    people = [person_of(case, RECIPE, margin_px=0) for case in level_cases]
    twin = replace(people[2], patient_id="twin", volumes=(people[0].volumes[1], people[2].volumes[0]))
    groups = twin_groups([*people, twin])
    assert groups[0] == groups[2] == groups[3] != groups[1]
    assert len(set(twin_groups(people))) == 3
