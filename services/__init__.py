"""Every process that runs. A service's main wires ports to adapters; it may import everything, nothing imports it."""
