"""sklearn_models.py NAME FILE: AUC and log loss of four models of scikit-learn on the folds of the first column; the last column is the target.

Logistic regression (one-hot words, standardised numbers), the same on ten bins of each number, both with the strength by cross-validation inside
each training part; histogram gradient boosting with early stopping; a random forest of 300 trees with leaves of five rows.
"""
import csv
import sys
import warnings

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, StandardScaler

warnings.filterwarnings("ignore")
name, path = sys.argv[1:]
with open(path) as file:
    rows = list(csv.reader(file))[1:]


def column(values):
    """Numbers, or words."""
    try:
        return np.array([float(v) if v else np.nan for v in values])
    except ValueError:
        return np.array(values, dtype=object)


columns = [column([row[i] for row in rows]) for i in range(1, len(rows[0]) - 1)]
fold = np.array([int(row[0]) for row in rows])
y = np.array([int(row[-1]) for row in rows])
words = [i for i, c in enumerate(columns) if c.dtype == object]
numbers = [i for i, c in enumerate(columns) if c.dtype != object]
few = [i for i in numbers if len(np.unique(columns[i][~np.isnan(columns[i])])) <= 12]
many = [i for i in numbers if i not in few]
x = np.empty((len(rows), len(columns)), dtype=object)
for i, c in enumerate(columns):
    x[:, i] = c


def one_hot():
    return OneHotEncoder(handle_unknown="ignore", min_frequency=5)


def median():
    return SimpleImputer(strategy="median")


def logistic():
    return LogisticRegressionCV(Cs=[0.01, 0.1, 1, 10], cv=5, scoring="neg_log_loss", max_iter=1000)


models = {
    "logistic regression": lambda: make_pipeline(make_column_transformer((make_pipeline(median(), StandardScaler()), numbers), (one_hot(), words)), logistic()),
    "binned logistic regression": lambda: make_pipeline(
        make_column_transformer((make_pipeline(median(), KBinsDiscretizer(10, strategy="quantile")), many), (one_hot(), few + words)), logistic()),
    "gradient boosting": lambda: make_pipeline(
        make_column_transformer((median(), numbers), (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words)),
        HistGradientBoostingClassifier(learning_rate=0.05, max_iter=1000, early_stopping=True, n_iter_no_change=20, max_leaf_nodes=15, random_state=1)),
    "random forest": lambda: make_pipeline(make_column_transformer((median(), numbers), (one_hot(), words)),
                                           RandomForestClassifier(300, min_samples_leaf=5, random_state=1)),
}
for label, model in models.items():
    score = np.empty(len(y))
    for f in range(5):
        fitted = model().fit(x[fold != f], y[fold != f])
        score[fold == f] = fitted.predict_proba(x[fold == f])[:, 1]
    print(f"{name}|{label}|{roc_auc_score(y, score):.4f}|{log_loss(y, score):.4f}", flush=True)
