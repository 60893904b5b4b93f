"""The page that ``benchmarks/conformal.py`` fills."""

TEMPLATE = """# Prediction sets and novelty alarms

Made by `benchmarks/conformal.py` from simulated patients only. The model is logistic regression (C = 1) on all \
columns; sets may miss the true class in {alpha} % of the cases. Patients of the first four tables are drawn as sizes \
and ejection fractions, without images.

## Split conformal sets of one fixed model: coverage follows its Beta law

{draws} draws of calibration patients, each with {n_split} fresh patients of its own. The coverage follows \
Beta(k, n + 1 - k) with k = ceil((n + 1)(1 - alpha)) and mean k / (n + 1), the number of fresh patients covered the \
beta-binomial law of it, whose figures are shown.

| sets that hold | n | mean k / (n + 1) | found | SD of the law | found | 5 to 95 % of the law | found | K-S, p |
|---|---|---|---|---|---|---|---|---|
{split}

## What a model file gives: sets calibrated by out-of-fold answers

Training cohorts of five classes, {folds} folds, {repeats} repeats; the model trained on all patients answers for \
{n_fresh} fresh ones, others for every cohort. For this no exact law is known, and no guarantee without an assumption \
of stability (cross-conformal sets, which need the models of all folds, are proven to cover 1 - 2 alpha, less a term \
that vanishes with n). Standard errors over the cohorts in brackets.

| kind | patients per class | cohorts | coverage | lowest to highest | worst class | mean size, fresh | as printed |
|---|---|---|---|---|---|---|---|
{trained}

`as printed`: the mean size that stands with every set, from the training patients out of fold.

## False alarms among fresh patients of the training's kind

| stated | patients per class | cohorts | found (standard error) | lowest to highest |
|---|---|---|---|---|
{alarms}

200 fresh patients for each cohort. The stated rate is one over training cohorts; with one small cohort it is higher \
or lower.

## Patients of a class that the model does not know

One training cohort of 20 per class; alarms at 10 %. Intervals are 95 %, over patients, for this training cohort. \
`empty sets`: class-conditional sets of the unknown patients that hold no class.

| | AUROC | alarms | false alarms | patients | empty sets |
|---|---|---|---|---|---|
{left_out}

A new class that looks like a known one in these columns cannot stand out. No alarm is no proof that the patient has \
one of the known classes.

## An unseen scanner

Simulated images of 70 patients on three scanners; trained on two, the third is new. False alarms are of the training \
patients, each among the others.

| columns | unseen | AUROC | alarms | false alarms | patients |
|---|---|---|---|---|---|
{vendors}
"""
