-- What rfm_scores reads, and nothing else: the limit
SELECT count(customer), count(day), count(amount) FROM (:query) AS q (customer, day, amount) \g /dev/null
