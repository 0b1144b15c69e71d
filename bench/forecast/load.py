"""The public shops as rows (shop, customer, day, amount); a file that is not in the directory is left out.

grocery_elog.csv.gz (BTYDplus), cdnow_master.csv and cdnow_sample.csv (Fader and Hardie), apparel600_transactions.csv.gz and
apparel250_transactions.csv.gz (CLVTools), online_retail_II.csv.xz (UCI)
"""
import csv
import gzip
import lzma
import os
import sys

OPEN = {'.gz': gzip.open, '.xz': lzma.open, '.csv': open}


def rows(name):
    path = os.path.join(sys.argv[1], name)
    if not os.path.exists(path):
        print(f'forecast: {name} is not there; its shop is left out', file=sys.stderr)
        return
    with OPEN[os.path.splitext(path)[1]](path, 'rt') as lines:
        yield from csv.DictReader(lines)


out = csv.writer(sys.stdout)
for shop, name, customer, day, amount in (('grocer', 'grocery_elog.csv.gz', 'cust', 'date', None),
                                          ('cdnow', 'cdnow_master.csv', 'customer_id', 'date', 'amount'),
                                          ('cdnow sample', 'cdnow_sample.csv', 'master_id', 'date', 'amount'),
                                          ('apparel 600', 'apparel600_transactions.csv.gz', 'Id', 'Date', 'Price'),
                                          ('apparel 250', 'apparel250_transactions.csv.gz', 'Id', 'Date', 'Price')):
    for row in rows(name):
        out.writerow([shop, row[customer], row[day][:10], row[amount] if amount else 1])
invoices = {}
for row in rows('online_retail_II.csv.xz'):
    if row['Customer ID']:
        key = row['Customer ID'], row['InvoiceDate'][:10], row['Invoice']
        invoices[key] = invoices.get(key, 0) + float(row['Quantity']) * float(row['Price'])
for (customer, day, _), amount in invoices.items():
    out.writerow(['online retail ii', customer, day, f'{amount:.2f}'])
