"""Models to reasons: SHAP values, clinical families, sentences."""
