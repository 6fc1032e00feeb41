"""A stand-in for the backend of Kubeflow Pipelines 2.16: its v2beta1 REST API over runs that really run.

It answers as a real 2.16.1 backend was seen to answer (states, filters, pages, errors, equal names), and it executes
the very compiled pipeline that it is sent: each run is a child process with KFP's local runner.

What of the real backend it does not do: no pods (so no images, resources, node selectors, secrets, service accounts,
pull errors or unschedulable pods: the platform part of a pipeline is accepted and ignored), no object store, no
metadata store, no cache, no recurring runs, no user interface, no authorization beyond one bearer token, no control
flow beyond what KFP's local runner can do (2.16.1: next to none).
"""
