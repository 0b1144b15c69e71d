"""match_sklearn.py NAME FILE TARGET: scikit-learn's logistic regression on the folds of bench/match, for comparison.

One-hot words, standardised numbers, the median for a missing one; the strength by cross-validation inside each fold's training part.
"""
import csv
import datetime
import sys

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

name, path, target = sys.argv[1:]
with open(path) as file:
    rows = list(csv.reader(file))
header, rows = rows[0], rows[1:]
left_out = {"fold", target, "ID", "duration"}


def column(values):
    """Numbers, days as numbers, or words."""
    for convert in (float, lambda v: float(datetime.date.fromisoformat(v).toordinal())):
        try:
            return np.array([convert(v) if v else np.nan for v in values])
        except ValueError:
            pass
    return np.array(values, dtype=object)


columns = [column([row[i] for row in rows]) for i, c in enumerate(header) if c not in left_out]
fold = np.array([int(row[header.index("fold")]) for row in rows])
y = np.array([row[header.index(target)] in ("yes", "1") for row in rows])
words = [i for i, c in enumerate(columns) if c.dtype == object]
numbers = [i for i, c in enumerate(columns) if c.dtype != object]
x = np.empty((len(rows), len(columns)), dtype=object)
for i, c in enumerate(columns):
    x[:, i] = c

score = np.empty(len(y))
for f in range(5):
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), words)),
        LogisticRegressionCV(Cs=[0.01, 0.1, 1, 10], cv=5, scoring="neg_log_loss", max_iter=2000))
    model.fit(x[fold != f], y[fold != f])
    score[fold == f] = model.predict_proba(x[fold == f])[:, 1]
print(f"scikit-learn, one-hot logistic regression, {name}: AUC {roc_auc_score(y, score):.4f}, log loss {log_loss(y, score):.4f}")
