"""Tables to estimators: recipes, selection, the rule, pools of columns, model files."""
