"""Image filters: those of IBSI-2 and those of PyRadiomics 3, computed where a region needs them."""

from radiocard.preprocessing.filters.apply import filtered_images

__all__ = ["filtered_images"]
