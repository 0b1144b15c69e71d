"""The days of the simulated apparel shop as rows (day, high season), from apparel600_dynamic_covariates.csv.gz (CLVTools), which has weeks; none without it."""
import csv
import datetime
import gzip
import os
import sys

path = os.path.join(sys.argv[1], 'apparel600_dynamic_covariates.csv.gz')
if os.path.exists(path):
    with gzip.open(path, 'rt') as lines:
        weeks = {row['Cov.Date']: row['High.Season'] for row in csv.DictReader(lines)}
    for week, high in weeks.items():
        for day in range(7):
            print(datetime.date.fromisoformat(week) + datetime.timedelta(days=day), high, sep=',')
