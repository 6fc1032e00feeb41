"""The operator: drives every ModelLoop of a cluster, one look at a time, as the local supervisor drives its one.

What lives here: the process, its lease, its watches, its pace, what it makes beside the ports (view, events, drift
job), and how a loop is taken down. What does not: decisions (`serinus/decide/`), objects' shapes (`serinus/render/`).
"""
