"""On a real cluster with KServe, a Gateway and Prometheus, named by KUBECONFIG; what is not there is a failure."""
