"""The intake: labels from where the user keeps them into the collector, and how much new data there is.

What lives here: the job and its main. What does not: how sources are read (`serinus/sources/`), what becomes of a label
(the collector), when new data asks for a run (`serinus/decide/retrain.py`). It runs the user's own functions, so it is
a process of its own: in the pipeline's image on a cluster, a child of the supervisor on a laptop.
"""
