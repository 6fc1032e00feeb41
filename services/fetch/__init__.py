"""KServe's storage initializer for `mlflow://LOOP/VERSION`: fetches the version and proves that it is the one."""
