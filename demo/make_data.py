#!/usr/bin/env python3
"""Makes online_retail_orders.csv.gz, one line an invoice, from UCI's Online Retail.

    demo/make_data.py 'Online Retail.csv' demo/online_retail_orders.csv.gz

The first file is UCI's sheet saved as CSV (or their data.csv), compressed with
gzip or not.  What is left out and why is written in demo/README.md.
"""
import csv
import gzip
import io
import sys
from datetime import datetime
from decimal import Decimal

# What the shop pays or corrects: no sale to anybody, unless a customer is named
FEES = {"AMAZONFEE", "BANK CHARGES", "S", "B"}


def moment(text):
    """The time stamp, in ISO form or as the sheet shows it."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.strptime(text, "%m/%d/%Y %H:%M")


def read_lines(path):
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        yield from csv.DictReader(file)


def is_sale(line):
    if line["InvoiceNo"].startswith("A") or Decimal(line["UnitPrice"]) == 0:
        return False
    return bool(line["CustomerID"]) or line["StockCode"] not in FEES


def read_orders(path):
    """Order id -> [customer, time stamp, amount, country]; an invoice's first time stamp counts."""
    orders = {}
    for line in filter(is_sale, read_lines(path)):
        ordered_at = moment(line["InvoiceDate"])
        amount = int(line["Quantity"]) * Decimal(line["UnitPrice"])
        order = orders.setdefault(
            line["InvoiceNo"], [line["CustomerID"].removesuffix(".0"), ordered_at, Decimal(0), line["Country"]])
        order[1] = min(order[1], ordered_at)
        order[2] += amount
    return orders


def decimal_text(amount):
    """At least two decimals, more only where they are used."""
    if amount == round(amount, 2):
        amount = round(amount, 2)
    return f"{amount:f}"


def main():
    source, target = sys.argv[1:]
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["order_id", "customer", "ordered_at", "amount", "country"])
    orders = read_orders(source)
    for order_id, (customer, ordered_at, amount, country) in sorted(orders.items(), key=lambda o: (o[1][1], o[0])):
        out.writerow([order_id, customer, ordered_at.isoformat(" "), decimal_text(amount), country])
    with open(target, "wb") as file, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed:
        packed.write(text.getvalue().encode())


main()
