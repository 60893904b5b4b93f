from collections.abc import Callable
from typing import Any

import pytest

from radiocard.specs import FeatureSpec, parse_as, read_spec


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., FeatureSpec]:
    def make(name: str, **settings: Any) -> FeatureSpec:
        data = read_spec(name).model_dump(mode="python", by_alias=True)
        return parse_as(FeatureSpec, data | settings, "test")

    return make
