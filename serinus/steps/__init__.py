"""The bodies of the pipeline's steps: plain functions of paths and text. The Kubeflow shells around them
(components/) and what they decide by (decide/) live elsewhere.
"""
