"""The collector: what predictors answered and what turned out to be true, taken over HTTP and kept in a database.

What lives here: the HTTP door, the reading of batches, CSV and KServe's events, who may do what, metrics, retention,
and the process' life. What does not: tables and SQL (`serinus/adapters/records_sql.py`), the client
(`serinus/adapters/collector_api.py`), what is concluded from the records (`serinus/decide`, `services/quality`).
"""
