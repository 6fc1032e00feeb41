"""Does an installation work? What `helm test` runs: everything the operator needs is asked, and what serves answers."""
