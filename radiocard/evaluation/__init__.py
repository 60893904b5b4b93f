"""Estimators to evidence: nested resampling, metrics with intervals over patients, calibration."""
