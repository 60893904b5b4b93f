"""Texture, intensity and shape of one region, as named and coded by the IBSI."""
